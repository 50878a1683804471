"""Holds the page objects: the actions of a user in the app under test."""
