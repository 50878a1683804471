"""The UDP probe of a link: its plans, its two endpoint processes, and the figures computed from it."""
