"""``ringfence devices``: the device profiles of the matrix."""

from __future__ import annotations

from rich.console import Console
from rich.table import Column, Table

from bedrock.errors import InputError
from bedrock.exit_codes import ExitCode
from bedrock.foreign_text import json_text
from bedrock.toml_input import unknown_name
from device_matrix.cpu.cpu_limit import quota_cores
from device_matrix.devices import catalogue

DESKTOP_CORES = 64
"""More cores than any phone has, so the quota shown is the device's own and not this machine's limit."""


def list_devices(*, json: bool = False) -> int:
    """List the device profiles.

    Parameters
    ----------
    json
        Print a JSON array instead of a table.
    """
    devices = catalogue()
    if json:
        print(json_text([device.model_dump(mode="json", by_alias=True) for device in devices.values()], indent=1))
        return ExitCode.PASS
    whole_id = Column("id", no_wrap=True, min_width=max(map(len, devices)))  # ids get copied into commands
    columns = ("class", "os", "CSS pixels", "DPR", "RAM MB", "CPU cores")
    # Without outer padding the table fits into 80 columns.
    table = Table(whole_id, *columns, box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for device in devices.values():
        table.add_row(
            device.id,
            device.device_class,
            device.os,
            f"{device.viewport.width_px}x{device.viewport.height_px}",
            f"{device.device_pixel_ratio:.3g}",
            str(device.ram_mb),
            f"{quota_cores(device, DESKTOP_CORES):.2f}",
        )
    console = Console()
    console.print(table)
    console.print("[dim]CPU cores: the limit of the browser's control group, in cores of a desktop.[/]")
    console.print("[dim]Every device is emulated in desktop Chromium (tier browser).[/]")
    return ExitCode.PASS


def show(device: str, *, json: bool = False) -> int:
    """Show every figure of one device profile, with its source.

    Parameters
    ----------
    device
        The device's id.
    json
        Print a JSON object instead of lines.
    """
    devices = catalogue()
    if device not in devices:
        raise InputError([unknown_name("device_matrix/devices.toml", "device", "device", device, devices)])
    figures = devices[device].model_dump(mode="json", by_alias=True)
    if json:
        print(json_text(figures, indent=1))
        return ExitCode.PASS
    console = Console(highlight=False, soft_wrap=True)
    for name, value in figures.items():
        console.print(f"[dim]{name:20}[/] {value}", markup=True)
    return ExitCode.PASS
