"""What a scenario does in the middle of a call."""
