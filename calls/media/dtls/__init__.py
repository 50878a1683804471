"""DTLS handshakes and SRTP."""
