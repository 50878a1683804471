"""One module a command or a group of commands; ``app`` puts them together."""
