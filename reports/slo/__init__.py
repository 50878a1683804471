"""SLO files and the metrics that their rules may name."""
