"""Errors that the media engine raises to its caller. A leg's own failures are events, not exceptions.

MediaError                  the root
|-- BadDescription          a session description that cannot be used
`-- ClipUnavailable         this machine lacks a codec library                            (exit 5)
"""

from __future__ import annotations

from bedrock.errors import EnvironmentLacks, RingfenceError


class MediaError(RingfenceError):
    """A request to the media engine cannot be carried out."""


class BadDescription(MediaError):
    """The far end's session description is malformed, or has nothing in common with ours."""


class ClipUnavailable(EnvironmentLacks, MediaError):
    """A codec library that encodes or decodes the clips is missing."""
