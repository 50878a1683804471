"""Starts the service, the swarm and the matrix as processes, watches them, and turns what they leave into a verdict."""
