"""From a table to a panel of series, and back to a table."""
