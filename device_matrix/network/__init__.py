"""Chooses the link of a cell, and emulates one in the browser where none can be built."""
