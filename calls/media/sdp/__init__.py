"""Session descriptions: read, written, negotiated."""
