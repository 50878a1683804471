"""One side of one call: caller, callee and their media."""
