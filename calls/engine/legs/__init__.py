"""One side of one call: caller, callee, media."""
