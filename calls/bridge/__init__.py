"""Connects an engine process with its driver: messages on an ipc socket, and the driver's client."""
