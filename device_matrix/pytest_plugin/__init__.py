"""Runs the matrix in pytest: plugin, controller, exit codes."""
