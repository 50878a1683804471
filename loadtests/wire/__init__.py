"""What master and workers say to each other: the run's specification, live figures, clocks, the end."""
