"""Handles text messages, and seeds the history of users."""
