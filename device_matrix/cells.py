"""Defines a cell: one device, one network, one scenario, and the driver that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

SEPARATOR = "--"


class DriverName(StrEnum):
    """The program that drives the browser."""

    PLAYWRIGHT = "playwright"
    APPIUM = "appium"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell to run. Plain data: xdist carries it from the controller to the workers."""

    device: str
    network: str
    scenario: str
    driver: DriverName
    expected_s: float = 0.0
    """How long the cell should take; the longest cells start first."""

    @property
    def id(self) -> str:
        return SEPARATOR.join((self.device, self.network, self.scenario))

    def names(self) -> dict[str, str]:
        """Returns the names of its parts, as live events carry them."""
        names = {"device": self.device, "network": self.network, "scenario": self.scenario}
        return names | {"driver": self.driver.value}

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "driver": self.driver.value}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Cell:
        return cls(**{**fields, "driver": DriverName(fields["driver"])})
