"""A link's packet path, compiled where that is possible: ``python -m network_profiles.compiled`` builds it."""

from __future__ import annotations

from bedrock.compiled import CompiledSet

LINKS = CompiledSet(
    "links",
    (
        "network_profiles.jitter",
        "network_profiles.link",
        "network_profiles.loss",
        "network_profiles.timeline",
        "network_profiles.timer",
        "network_profiles.traces.room",
        "network_profiles.userspace.lateness",
        "network_profiles.userspace.passage",
        "network_profiles.userspace.shuttle",
    ),
)
"""What a packet passes through in the link's own process."""

if __name__ == "__main__":
    LINKS.build_and_tell()
