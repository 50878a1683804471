"""Stores everything in SQLite on disk."""
