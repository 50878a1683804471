"""Builds the engine's rows and writes them to disk."""
