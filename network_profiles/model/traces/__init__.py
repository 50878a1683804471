"""Links whose rate never stands still: recorded traces, our own generator of them, and the room they leave a packet.

Three ways into the link model: a file in mahimahi's format (``mahimahi``), a random process that makes a trace as time
goes on (``generate``), and from either the moment at which a packet's last byte leaves (``room``).
"""
