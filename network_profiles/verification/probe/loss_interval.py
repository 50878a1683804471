"""Computes the exact distribution of the number of packets that a bursty link loses.

Losses of a Gilbert-Elliott chain come in clusters. A Clopper-Pearson interval assumes independent losses, so it would
fail a correct link several times as often as stated. The chain's own distribution is used instead; for bursts of one
packet the two nearly agree.
"""

from __future__ import annotations

from network_profiles.model.loss import chain


def loss_counts(packets: int, loss_ratio: float, loss_burst_packets: float) -> list[float]:
    """Returns the probability of 0, 1, 2 … lost packets of ``packets``, for a stationary chain."""
    if loss_ratio <= 0.0 or loss_ratio >= 1.0 or packets == 0:
        certain = packets if loss_ratio >= 1.0 else 0
        return [0.0] * certain + [1.0]
    enter_bad, leave_bad = chain(loss_ratio, loss_burst_packets)
    good, bad = (
        [1.0 - loss_ratio],
        [loss_ratio],
    )  # probability of each state for the next packet, by the count lost so far
    for _ in range(packets):
        stays = [*good, 0.0]
        loses = [0.0, *bad]
        good = [kept * (1.0 - enter_bad) + lost * leave_bad for kept, lost in zip(stays, loses, strict=True)]
        bad = [kept * enter_bad + lost * (1.0 - leave_bad) for kept, lost in zip(stays, loses, strict=True)]
        while len(good) > 1 and good[-1] + bad[-1] < 1e-12:
            good.pop()
            bad.pop()
    return [kept + lost for kept, lost in zip(good, bad, strict=True)]


def central_interval(probabilities: list[float], confidence: float) -> tuple[int, int]:
    """Returns the central interval of counts with ``confidence``: half of the rest lies on either side."""
    tail = (1.0 - confidence) / 2.0
    low = high = None
    below = 0.0
    for count, probability in enumerate(probabilities):
        if low is None and below + probability > tail:
            low = count
        below += probability
        if below >= 1.0 - tail:
            high = count
            break
    last = len(probabilities) - 1
    return low if low is not None else last, high if high is not None else last
