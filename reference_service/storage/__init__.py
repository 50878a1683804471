"""SQLite on disk."""
