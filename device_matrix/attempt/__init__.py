"""One attempt at one cell: its environment, its run, its evidence, its result."""
