"""The matrix as pytest runs it: plugin, controller, exit codes."""
