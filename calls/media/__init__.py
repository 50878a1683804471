"""The media engine of an asyncio process: ICE and DTLS by aiortc's parts, then our own packets on our own schedule.

``interface`` says what the engine uses, ``factory.MediaFactory`` makes it. A leg is honest work: every packet is
encrypted, sent, received, decrypted, parsed and counted; only the encoding is shared (tier ``packets``).

Never here: a STUN or TURN server, an address other than the one given, a thread of our own, gevent.
"""
