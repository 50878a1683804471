"""Measures how many calls one core carries: arms that hold calls on a pinned core, and the search for their knee."""
