"""When calls start: an open load whose rate follows the plan's shape."""
