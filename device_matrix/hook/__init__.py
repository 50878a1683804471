"""Builds the script that both drivers inject before the page's own scripts."""

from __future__ import annotations

import json
from pathlib import Path

from device_matrix.devices import Device

SOURCE = Path(__file__).with_name("peer_connection.js")
SAMPLE_INTERVAL_MS = 1000
FIRST_AUDIO_POLL_MS = 40


def init_script(device: Device) -> str:
    """Returns the hook, with the device's core count and memory for pages that ask for them."""
    options = {
        "cores": device.cores,
        "deviceMemoryGb": _device_memory_gb(device.ram_mb),
        "sampleIntervalMs": SAMPLE_INTERVAL_MS,
        "firstAudioPollMs": FIRST_AUDIO_POLL_MS,
    }
    return f"({SOURCE.read_text()})({json.dumps(options)});"


def _device_memory_gb(ram_mb: int) -> float:
    """Returns navigator.deviceMemory: the nearest power of two, from 0.25 to 8 (W3C Device Memory)."""
    steps = (0.25, 0.5, 1, 2, 4, 8)
    return min(steps, key=lambda step: abs(step - ram_mb / 1024))
