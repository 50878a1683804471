"""A cell: one device x network x scenario, and the driver that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

SEPARATOR = "--"


class DriverName(StrEnum):
    """Who drives the browser."""

    PLAYWRIGHT = "playwright"
    APPIUM = "appium"


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing to run. Plain data: xdist carries it from the controller to the workers."""

    device: str
    network: str
    scenario: str
    driver: DriverName
    expected_s: float = 0.0
    """How long it should take, for packing the longest first."""

    @property
    def id(self) -> str:
        return SEPARATOR.join((self.device, self.network, self.scenario))

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "driver": self.driver.value}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Cell:
        return cls(**{**fields, "driver": DriverName(fields["driver"])})
