"""The way between an engine process and whoever drives it: messages on an ipc socket, and the driver's client."""
