"""Deals out kinds by quota, not by lot."""

from __future__ import annotations

from collections.abc import Mapping


def apportion(shares: Mapping[str, float], count: int) -> list[str]:
    """Returns ``count`` names whose every prefix keeps the shares (summing to 1) as well as whole numbers can."""
    dealt = dict.fromkeys(shares, 0)
    order = []
    for turn in range(1, count + 1):
        behind = max(shares, key=lambda name: shares[name] * turn - dealt[name])
        dealt[behind] += 1
        order.append(behind)
    return order
