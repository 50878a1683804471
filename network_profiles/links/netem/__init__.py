"""The netem backend: the kernel's own queues (tc), in a namespace that is the wire between host and device."""
