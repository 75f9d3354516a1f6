"""One plain function per command: joins the parts and writes the files."""
