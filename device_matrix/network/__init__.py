"""Which link a cell gets, and how its browser reaches it."""
