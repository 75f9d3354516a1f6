"""The commands: the only place that parses flags, prints and exits."""
