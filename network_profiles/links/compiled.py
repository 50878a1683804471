"""Lists the modules of a link's packet path that mypyc may compile: ``python -m network_profiles.links.compiled``."""

from __future__ import annotations

from bedrock.compiled import CompiledSet

LINKS = CompiledSet(
    "links",
    (
        "network_profiles.model.jitter",
        "network_profiles.model.link",
        "network_profiles.model.loss",
        "network_profiles.model.timeline",
        "network_profiles.links.timer",
        "network_profiles.model.traces.delivery_opportunities",
        "network_profiles.links.userspace.lateness",
        "network_profiles.links.userspace.direction_forwarder",
        "network_profiles.links.userspace.tun_forwarder",
    ),
)
"""The modules that a packet passes in the link's own process."""

if __name__ == "__main__":
    LINKS.build_and_report()
