"""Measures the engine process and what its machine has left."""
