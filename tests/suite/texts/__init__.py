"""Reads the texts that people read out of every kind of file of this repository."""
