"""The media engine of an asyncio process: ICE and DTLS by aiortc's parts, then our own packets on our own schedule.

``interface`` is what the engine uses; ``factory.MediaFactory`` creates it. Every packet is really encrypted, sent,
received, decrypted, parsed and counted. Only the encoding is shared between legs (tier ``packets``).

This package never uses a STUN or TURN server, an address other than the given one, a thread of its own, or gevent.
"""
