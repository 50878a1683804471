"""Chooses the cells of a run, from the plan's ``[matrix]`` section and the command line."""
