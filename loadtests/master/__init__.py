"""The master process: it prepares the run, holds the workers together, and writes the live file."""
