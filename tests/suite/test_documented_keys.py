"""Every key of a plan, of an SLO file and of a link profile stands in its document, with its default and its range."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel
from written_models import NO_BOUND_NEEDED, allowed_in, default_of, tables_of

from calls.scenarios import SCENARIOS
from device_matrix.devices import Device, catalogue
from device_matrix.scenarios import SCENARIO_NAMES
from network_profiles.catalogue.catalogue import PROFILES_FOLDER, read_folder
from network_profiles.model.profile import NetworkProfile
from reports.slo.metrics import METRICS, WHERE_KEYS, Kind
from reports.slo.slo_file import SloFile
from ringfence.run_plan import PlanFile

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
SET_BY_THE_READER = {"file"}
"""Of an SLO file's model: the place that it was read from, no key."""


def rows(page: str, heading: str = "") -> dict[str, list[str]]:
    """The rows of the tables below ``heading`` (of the whole page, where it is empty), by the name in their first cell.

    A heading is compared by the name that stands in it, so that ``## `[swarm.knee]` `` is ``swarm.knee``.
    """
    found: dict[str, list[str]] = {}
    at = ""
    for line in (DOCS / page).read_text().splitlines():
        if line.startswith("#"):
            at = line.lstrip("# ").strip("`[]")
        elif line.startswith("| `") and (not heading or at == heading):
            first, *rest = [cell.strip() for cell in line.strip("| \n").split(" | ")]
            found |= dict.fromkeys(re.findall(r"`([^`]+)`", first), rest)
    return found


PLAN_TABLES = tables_of(PlanFile)
SLO_TABLES = {name: table for name, table in tables_of(SloFile).items() if name}


def assert_documented(table: type[BaseModel], documented: dict[str, list[str]]) -> None:
    assert set(documented) == set(table.model_fields) - SET_BY_THE_READER
    for key, field in table.model_fields.items():
        if key not in SET_BY_THE_READER:
            _unit, default, allowed, _meaning = documented[key]
            assert default == default_of(field), key
            assert allowed_in(field) in (allowed, NO_BOUND_NEEDED), key


@pytest.mark.parametrize("name", PLAN_TABLES)
def test_every_key_of_a_plan(name: str) -> None:
    assert_documented(PLAN_TABLES[name], rows("plans-and-shapes.md", name or "The plan itself"))


@pytest.mark.parametrize("name", SLO_TABLES)
def test_every_key_of_an_slo_file(name: str) -> None:
    assert_documented(SLO_TABLES[name], rows("slo-files.md", name))


def test_every_metric_with_its_unit() -> None:
    documented = rows("slo-files.md", "Metrics")
    assert set(documented) == set(METRICS)
    for metric in METRICS.values():
        unit, better, *_ = documented[metric.name]
        assert unit == (metric.unit or ("ratio" if metric.kind is Kind.RATIO else "0 to 1")), metric.name
        assert better == metric.better.value, metric.name


def test_every_key_of_where() -> None:
    text = (DOCS / "slo-files.md").read_text().partition("### Keys of `where`")[2]
    for table, keys in WHERE_KEYS.items():
        line = next(line for line in text.splitlines() if line.startswith(("| the run", f"| {table} ")))
        assert all(f"`{key}`" in line for key in keys), table


def test_every_key_of_a_link_profile() -> None:
    keys = {key for table in tables_of(NetworkProfile).values() for key in table.model_fields}
    assert keys <= set(rows("networks.md"))


def test_every_built_in_link_profile() -> None:
    assert set(read_folder(PROFILES_FOLDER)) <= set(rows("networks.md", "The profiles"))


def test_every_key_of_a_device() -> None:
    keys = {field.alias or key for key, field in Device.model_fields.items()}
    assert keys == set(rows("devices.md", "Keys of a device"))


@pytest.mark.parametrize(("heading", "names"), [("Of the swarm", SCENARIOS), ("Of the device matrix", SCENARIO_NAMES)])
def test_every_scenario(heading: str, names: list[str]) -> None:
    assert set(rows("scenarios.md", heading)) == set(names)


def test_every_device_stands_in_its_class() -> None:
    documented = rows("devices.md")
    for device in catalogue().values():
        assert f"`{device.id}`" in documented[device.device_class.value][0], device.id
