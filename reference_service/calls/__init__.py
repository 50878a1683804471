"""Handles calls: their states, their log, and the messages in them."""
