"""From a plan to cells: order, drivers, narrowing, and everything unknown named at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bedrock.errors import InputError
from device_matrix.cells import Cell, DriverName
from device_matrix.devices import catalogue
from device_matrix.plan.matrix_plan import MatrixPlan, load_matrix_plan, plan_path, unknown_names
from device_matrix.plan.planner import CellFilters, filter_cells, plan_cells
from network_profiles import load_catalogue


def plan_of(**changes: Any) -> MatrixPlan:
    written = {
        "devices": ["redmi-go", "pixel-7", "iphone-13"],
        "rules": [
            {"scenario": "audio_call", "networks": ["lte_good", "hspa_35g"]},
            {"scenario": "video_fallback", "networks": ["gprs_2g"]},
        ],
    }
    return MatrixPlan.model_validate({**written, **changes})


def cells_of(plan: MatrixPlan) -> list[Cell]:
    return plan_cells(plan, catalogue(), load_catalogue())


def test_every_device_meets_every_network_of_every_rule_once() -> None:
    cells = cells_of(plan_of())
    assert len(cells) == 9
    assert len({cell.id for cell in cells}) == 9
    assert "redmi-go--gprs_2g--video_fallback" in {cell.id for cell in cells}


def test_the_longest_cells_come_first_and_the_order_is_always_the_same() -> None:
    cells = cells_of(plan_of())
    assert [cell.expected_s for cell in cells] == sorted((cell.expected_s for cell in cells), reverse=True)
    assert cells[0].network == "gprs_2g"
    assert cells == cells_of(plan_of(devices=["iphone-13", "pixel-7", "redmi-go"]))


def test_drivers_take_turns_so_that_each_drives_half_and_every_device_meets_both() -> None:
    cells = cells_of(plan_of(devices="all"))
    by_driver = [sum(cell.driver is name for cell in cells) for name in DriverName]
    assert abs(by_driver[0] - by_driver[1]) <= 1
    for device in catalogue():
        assert {cell.driver for cell in cells if cell.device == device} == set(DriverName)


def test_one_driver_can_be_asked_for() -> None:
    assert {cell.driver for cell in cells_of(plan_of(drivers="appium"))} == {DriverName.APPIUM}


def test_a_class_chooses_its_devices_and_a_rule_may_narrow_them() -> None:
    rules = [{"scenario": "audio_call", "networks": ["lte_good"], "devices": ["ios"]}]
    chosen = {cell.device for cell in cells_of(plan_of(devices=["go", "iphone-13"], rules=rules))}
    assert chosen == {"iphone-13"}


def test_a_cell_run_alone_keeps_the_driver_that_it_has_in_the_whole_run() -> None:
    cells = cells_of(plan_of())
    for cell in cells:
        assert filter_cells(cells, CellFilters(cells=(cell.id,))) == [cell]


def test_narrowing_names_every_filter_without_a_match() -> None:
    with pytest.raises(InputError) as caught:
        filter_cells(
            cells_of(plan_of()), CellFilters(devices=("redmi_go",), networks=("lte_god",), drivers=("selenium",))
        )
    hints = [problem.hint for problem in caught.value.problems]
    assert hints == ["did you mean 'redmi-go'?", "did you mean 'lte_good'?", "known: appium, playwright"]


def test_filters_that_leave_no_cell_are_refused() -> None:
    with pytest.raises(InputError, match="no cell matches all of them"):
        filter_cells(cells_of(plan_of()), CellFilters(networks=("lte_good",), scenarios=("video_fallback",)))


def test_rules_that_leave_no_device_are_refused() -> None:
    rules = [{"scenario": "audio_call", "networks": ["lte_good"], "devices": ["flagship"]}]
    with pytest.raises(InputError, match="chooses no cell"):
        cells_of(plan_of(rules=rules))


def test_every_unknown_name_is_found_at_once_with_the_nearest_one(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(
        '[matrix]\ndevices = ["redmi-goo"]\nworkrs = 4\n'
        '[[matrix.rules]]\nscenario = "audio_cal"\nnetworks = ["gprs_3g"]\n'
    )
    with pytest.raises(InputError) as caught:
        load_matrix_plan(path)
    found = {problem.key: problem.hint for problem in caught.value.problems}
    assert found["matrix.workrs"] == "did you mean 'workers'?"
    assert found["matrix.devices[0]"] == "did you mean 'redmi-go'?"
    assert found["matrix.rules[0].scenario"] == "did you mean 'audio_call'?"
    assert found["matrix.rules[0].networks[0]"] == "did you mean 'gprs_2g'?"


def test_a_malformed_section_is_no_reason_to_fall_over_its_names() -> None:
    assert unknown_names({"devices": 3, "rules": ["x", {"scenario": 4, "networks": "lte_good"}]}, "plan.toml") == []


def test_an_unknown_plan_is_refused() -> None:
    with pytest.raises(InputError, match="no built-in plan 'smok'"):
        plan_path("smok")


def test_a_cell_survives_the_way_to_a_worker() -> None:
    cell = cells_of(plan_of())[0]
    assert Cell.from_dict(cell.to_dict()) == cell
