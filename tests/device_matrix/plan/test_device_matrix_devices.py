"""The device profiles: what must hold of the data, and how a wrong file is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedrock.errors import InputError
from device_matrix.cpu.cpu_limit import FLOOR_CORES, quota_cores
from device_matrix.devices import Device, DeviceClass, catalogue, load_devices


def of_class(*classes: DeviceClass) -> list[Device]:
    return [device for device in catalogue().values() if device.device_class in classes]


def test_the_catalogue_covers_the_market_and_says_what_is_emulated() -> None:
    assert len(catalogue()) >= 30
    assert len(of_class(DeviceClass.GO, DeviceClass.LOW)) >= 10
    assert len(of_class(DeviceClass.IOS)) >= 4
    assert all(device.emulated for device in catalogue().values())


def test_a_user_agent_names_no_android_model_and_takes_the_running_browsers_version() -> None:
    for device in catalogue().values():
        agent = device.user_agent_for("156")
        if device.device_class is DeviceClass.IOS:
            assert "iPhone OS" in agent
            assert "Chrome" not in agent
        else:
            assert "(Linux; Android 10; K)" in agent
            assert "Chrome/156.0.0.0" in agent


@pytest.mark.parametrize(
    ("device", "available", "cores"),
    [("itel-a16", 8, 4 / 15), ("moto-g4", 8, 1.0), ("pixel-7", 2, 2.0), ("galaxy-a03-core", 8, 8 / 9)],
)
def test_the_quota_is_the_whole_devices_cpu_in_desktop_cores(device: str, available: int, cores: float) -> None:
    assert quota_cores(catalogue()[device], available) == pytest.approx(cores)


def test_the_quota_has_a_floor() -> None:
    weakest = catalogue()["itel-a16"].model_copy(update={"cpu_slowdown": 30.0})
    assert quota_cores(weakest, 8) == FLOOR_CORES


def test_every_problem_of_a_file_is_named_with_its_key(tmp_path: Path) -> None:
    path = tmp_path / "devices.toml"
    path.write_text(
        '[[devices]]\nid = "A B"\ntitle = "x"\nclass = "tiny"\nyear = 2020\nos = "a"\nsoc = "b"\ncpu = "c"\ncores = 0\n'
        "ram_mb = 512\nviewport = { width_px = 360, height_px = 640, depth_px = 3 }\ndevice_pixel_ratio = 2\n"
        'cpu_slowdown = 2\nuser_agent = "android"\nemulated = true\nsource = "guess"\n'
    )
    with pytest.raises(InputError) as caught:
        load_devices(path)
    keys = {problem.key for problem in caught.value.problems}
    expected = {"id", "class", "cores", "viewport.depth_px", "source"}
    assert {f"devices[0].{key}" for key in expected} <= keys


def test_an_unknown_user_agent_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    text = Path(load_devices.__globals__["DEVICES_FILE"]).read_text()
    path = tmp_path / "devices.toml"
    path.write_text(text.replace('user_agent = "android_reduced"', 'user_agent = "android_reducd"', 1))
    with pytest.raises(InputError, match="did you mean 'android_reduced'"):
        load_devices(path)


def test_a_device_that_stands_twice_is_refused(tmp_path: Path) -> None:
    text = Path(load_devices.__globals__["DEVICES_FILE"]).read_text()
    path = tmp_path / "devices.toml"
    path.write_text(text.replace('id = "nokia-1"', 'id = "itel-a16"', 1))
    with pytest.raises(InputError, match="'itel-a16' stands twice"):
        load_devices(path)
