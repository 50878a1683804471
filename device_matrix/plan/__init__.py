"""Which cells a run has: the plan's section, options, and the grid made from both."""
