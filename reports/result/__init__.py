"""The result of a run as data: the shape of ``summary.json`` and its parts."""
