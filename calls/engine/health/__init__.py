"""The engine watching itself and what its machine has left."""
