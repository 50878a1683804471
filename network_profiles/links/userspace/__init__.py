"""The userspace backend: two TUN devices, and a process that carries packets between them as the link model says."""
