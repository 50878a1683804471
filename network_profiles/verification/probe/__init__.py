"""The UDP probe of a link: what is sent, what the link model says of it, and the process at each end."""
