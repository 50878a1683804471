"""The link model: what a link is made of and how it changes. Pure: no socket, no process."""
