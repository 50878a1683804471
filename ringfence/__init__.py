"""The command line: plans, orchestration, doctor, bench. The top floor: it may import every package but the service."""

__version__ = "0.1.0"
