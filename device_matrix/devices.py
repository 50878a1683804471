"""Reads and checks the device profiles, devices.toml."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from bedrock.errors import InputError, Problem
from bedrock.toml_input import Written, check, nearest, read_toml

DEVICES_FILE = Path(__file__).with_name("devices.toml")

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class DeviceClass(StrEnum):
    """The market segment of a phone, cheapest first."""

    GO = "go"
    LOW = "low"
    MID = "mid"
    UPPER = "upper"
    FLAGSHIP = "flagship"
    IOS = "ios"


class Viewport(Written):
    """The screen in CSS pixels."""

    width_px: int = Field(ge=240, le=1400)
    height_px: int = Field(ge=320, le=2000)


class Device(Written):
    """One phone model: what of it can affect a call."""

    id: Identifier
    title: Text
    device_class: DeviceClass = Field(alias="class")
    year: int = Field(ge=2010, le=2100)
    os: Text
    soc: Text
    cpu: Text
    cores: int = Field(ge=1, le=16)
    ram_mb: int = Field(ge=256, le=1_000_000)
    viewport: Viewport
    device_pixel_ratio: float = Field(ge=1, le=4)
    cpu_slowdown: float = Field(ge=1, le=30)
    """How much slower one of its cores is than one desktop core: 8 = eight times slower."""
    user_agent: Text
    """``{chrome_major}`` stands for the running browser's major version."""
    h264_encoder: bool | None = None
    emulated: bool
    source: Annotated[str, StringConstraints(pattern=r"^[Wd]: .+")]
    """The source of ``cpu_slowdown``: W = WebPageTest's own value, d = derived."""

    def user_agent_for(self, chrome_major: str) -> str:
        return self.user_agent.replace("{chrome_major}", chrome_major)


class _File(Written):
    user_agents: dict[str, Text] = Field(default_factory=dict)
    devices: list[Device] = Field(min_length=1)

    @model_validator(mode="after")
    def _ids_are_unique(self) -> _File:
        seen: set[str] = set()
        for device in self.devices:
            if device.id in seen:
                raise ValueError(f"device id '{device.id}' stands twice")
            seen.add(device.id)
        return self


def load_devices(path: Path = DEVICES_FILE) -> Mapping[str, Device]:
    """Returns the profiles by id, in the file's order. Raises InputError with every problem of the file."""
    written = check(_File, read_toml(path), str(path))
    problems, devices = [], {}
    for index, device in enumerate(written.devices):
        user_agent = device.user_agent
        if not user_agent.startswith("Mozilla/"):
            if user_agent not in written.user_agents:
                key = f"devices[{index}].user_agent"
                problems.append(
                    Problem(
                        str(path), key, f"unknown user agent '{user_agent}'", nearest(user_agent, written.user_agents)
                    )
                )
                continue
            user_agent = written.user_agents[user_agent]
        devices[device.id] = device.model_copy(update={"user_agent": user_agent})
    if problems:
        raise InputError(problems)
    return devices


@functools.cache
def catalogue() -> Mapping[str, Device]:
    """Returns the built-in profiles; reads the file once per process."""
    return load_devices()
