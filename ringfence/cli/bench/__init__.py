"""``ringfence bench``: what a call, its signaling, or a link costs this machine, measured now."""
