"""ICE and the sockets under it."""
