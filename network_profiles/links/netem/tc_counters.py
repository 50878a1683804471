"""Reads one direction's packet counts, by cause of drop, from tc's own counters.

Each cause has its own counter: outages drop in the gact action, random loss in netem, a full queue in the fifo. The
queues behind those (rate, delay) drop only when the kernel has no room for packets in flight; such drops count as
``refused``. The kernel does not say how late a packet left against the model's time.
"""

from __future__ import annotations

from typing import Any

from network_profiles.links.netem.qdisc_layout import WIRE_PATHS
from network_profiles.model.plain_profile import Side

COUNTER_QUERIES: dict[Side, tuple[str, str, str]] = {
    side: (
        f"actions get action gact index {path.gact_index}",
        f"qdisc show dev {path.loss_device}",
        f"qdisc show dev {path.egress_device}",
    )
    for side, path in WIRE_PATHS.items()
}
"""The tc queries whose answers ``direction_counters`` takes, in order."""


def direction_counters(answers: list[list[Any]]) -> dict[str, Any]:
    """Returns the fields of DirectionCounters from tc's answers (JSON) to one direction's ``COUNTER_QUERIES``."""
    gact = next(action for entry in answers[0] for action in entry.get("actions", ()))["stats"]
    loss_side = {queue["handle"]: queue for queue in answers[1]}
    egress_side = {queue["handle"]: queue for queue in answers[2]}
    queue_drops = loss_side["20:"]["drops"]
    # netem counts the drops of the queue below it among its own.
    loss_drops = loss_side["1:"]["drops"] - queue_drops
    refused = max(egress_side["1:"]["drops"], egress_side["10:"]["drops"])
    return {
        "packets": gact["packets"],
        "bytes": gact["bytes"],
        "delivered_packets": gact["packets"] - gact["drops"] - loss_drops - queue_drops - refused,
        "delivered_bytes": loss_side["1:"]["bytes"] + loss_side["20:"]["backlog"],
        "drops": {"loss": loss_drops, "queue": queue_drops, "outage": gact["drops"]},
        "refused": refused,
        "overrun": 0,
        "late_p99_ms": None,
        "late_max_ms": None,
    }
