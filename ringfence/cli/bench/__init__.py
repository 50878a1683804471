"""``ringfence bench``: measures what a call, its signaling, or a link costs on this machine."""
