"""Probe calls, which really encode and decode: their voice and their recordings."""
