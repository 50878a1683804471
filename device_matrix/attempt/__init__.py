"""Runs one attempt at one cell: its environment, its call, its evidence, its result."""
