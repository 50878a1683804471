"""Measures a call's traffic: captured RTP, the browser's statistics, the link's drops."""
