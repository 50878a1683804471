"""The rows that engines, swarm and matrix write, and the Parquet segments that hold them."""
