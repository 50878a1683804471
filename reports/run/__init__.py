"""Reads a run folder: its files, its records, its cells, its live lines."""
