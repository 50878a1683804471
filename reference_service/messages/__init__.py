"""Text messages and their past."""
