"""The link model: a link's parameters, how they change with time, and when each packet arrives. Pure: no I/O."""
