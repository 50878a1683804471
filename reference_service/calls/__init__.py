"""Calls: their states, their log, what is said in them."""
