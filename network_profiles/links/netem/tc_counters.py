"""What tc's own counters say of one direction, by cause.

All causes are told apart: an outage drops in an action of its own, netem's loss and the fifo's tail are counted each in
its queue. A queue behind those (rate, delay) never drops unless the kernel is out of room for what is on its way: that
counts as ``refused``. How late a packet left against the model's moment, the kernel does not say.
"""

from __future__ import annotations

from typing import Any

from network_profiles.links.netem.qdisc_layout import PATHS
from network_profiles.model.plain_profile import Side

QUESTIONS: dict[Side, tuple[str, str, str]] = {
    side: (
        f"actions get action gact index {path.gate}",
        f"qdisc show dev {path.lossy}",
        f"qdisc show dev {path.goes_out}",
    )
    for side, path in PATHS.items()
}
"""What ``counted`` needs the answers to, in order."""


def counted(answers: list[list[Any]]) -> dict[str, Any]:
    """Returns the fields of DirectionCounters from tc's answers (JSON) to the questions of one direction."""
    gate = next(action for entry in answers[0] for action in entry.get("actions", ()))["stats"]
    lossy = {queue["handle"]: queue for queue in answers[1]}
    behind = {queue["handle"]: queue for queue in answers[2]}
    queue_drops = lossy["20:"]["drops"]
    # netem counts what the queue below it refused among its own drops.
    loss_drops = lossy["1:"]["drops"] - queue_drops
    refused = max(behind["1:"]["drops"], behind["10:"]["drops"])
    return {
        "packets": gate["packets"],
        "bytes": gate["bytes"],
        "delivered_packets": gate["packets"] - gate["drops"] - loss_drops - queue_drops - refused,
        "delivered_bytes": lossy["1:"]["bytes"] + lossy["20:"]["backlog"],
        "drops": {"loss": loss_drops, "queue": queue_drops, "outage": gate["drops"]},
        "refused": refused,
        "overrun": 0,
        "late_p99_ms": None,
        "late_max_ms": None,
    }
