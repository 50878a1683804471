"""Links whose rate changes all the time: recorded and generated traces, and the delivery opportunities they give.

``mahimahi`` reads a recorded trace, ``generate`` makes one by a random process, and ``delivery_opportunities`` says for
either when a packet's last byte leaves.
"""
