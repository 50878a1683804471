"""Draws small SVG charts without a script or a library, with the colours of the page's style sheet."""
