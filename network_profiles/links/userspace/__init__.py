"""The userspace backend: two TUN devices, and a process that forwards packets between them by the link model."""
