"""Benchmarks links: CPU time, memory, and errors of delay, for one to many links."""
