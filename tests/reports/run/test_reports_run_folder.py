from __future__ import annotations

import json
from pathlib import Path

import pytest

from bedrock.exit_codes import ExitCode
from reports.errors import NewerFormat, RunFolderMissing
from reports.run.run_folder import find_run


def _manifest(folder: Path, **fields: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "run_id": "r1", **fields}))
    return folder


def test_latest_is_followed_from_the_link_and_from_its_folder(tmp_path: Path) -> None:
    run = _manifest(tmp_path / "runs" / "r1")
    (tmp_path / "runs" / "latest").symlink_to("r1")
    assert find_run(tmp_path / "runs" / "latest").path == run.resolve()
    assert find_run(tmp_path / "runs").path == run.resolve()
    assert find_run(run).run_id == "r1"


def test_a_latest_that_leads_nowhere_says_where_it_led(tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to("gone")
    with pytest.raises(RunFolderMissing, match="points at gone, which is gone") as caught:
        find_run(tmp_path / "latest")
    assert caught.value.exit_code is ExitCode.USAGE


def test_no_folder_and_a_file_are_refused_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunFolderMissing, match="there is no run folder"):
        find_run(tmp_path / "none")
    with pytest.raises(RunFolderMissing, match="is a file"):
        find_run(tmp_path / "file")


def test_a_newer_format_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(NewerFormat, match="has format 2, and this version of ringfence reads up to format 1"):
        find_run(_manifest(tmp_path, format=2, faults="of another shape"))


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (b"", "manifest.json is torn"),
        (b'{"format": 1, "run_id": "r', "manifest.json is torn"),
        (b"[1, 2]", "manifest.json has a wrong value"),
        (b'{"format": 1, "run_id": "r9", "faults": 7}', "manifest.json has a wrong value"),
    ],
)
def test_a_damaged_manifest_is_a_reason_not_an_error(tmp_path: Path, written: bytes, problem: str) -> None:
    (tmp_path / "manifest.json").write_bytes(written)
    folder = find_run(tmp_path)
    assert folder.problems[0].startswith(problem)


def test_what_is_right_in_a_wrong_manifest_is_kept(tmp_path: Path) -> None:
    folder = find_run(_manifest(tmp_path, run_id="r9", faults=7, plan_name="smoke"))
    assert folder.manifest is not None
    assert (folder.run_id, folder.manifest.plan_name, folder.manifest.faults) == ("r9", "smoke", [])


def test_a_folder_that_is_no_run_is_told_from_a_run_without_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(RunFolderMissing, match="is no run folder: it holds none of manifest"):
        find_run(tmp_path)
    (tmp_path / "calls").mkdir()
    assert find_run(tmp_path).problems == (
        "manifest.json is missing: no ringfence run wrote this folder, or it was damaged",
    )


def test_faults_that_the_manifest_never_took_in_are_found(tmp_path: Path) -> None:
    known = {"at_s": 20.0, "what": "swarm_worker_died", "detail": "w", "severity": "invalid"}
    _manifest(tmp_path, faults=[known])
    late = {"at_s": 10.0, "what": "engine_died", "detail": "e", "severity": "invalid"}
    (tmp_path / "faults.jsonl").write_text(f"{json.dumps(known)}\n{json.dumps(late)}\n" + '{"at_s": 3')
    assert [fault.what for fault in find_run(tmp_path).faults] == ["engine_died", "swarm_worker_died"]


def test_a_run_names_the_slo_that_it_was_meant_for(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("")
    assert find_run(_manifest(tmp_path / "a", slo={"name": "mine", "file": str(file)})).slo_reference == str(file)
    built_in = {"name": "smoke", "file": "/elsewhere/reports/slo/smoke.toml"}
    assert find_run(_manifest(tmp_path / "b", slo=built_in)).slo_reference == "smoke"
    for gone in ("/gone.toml", "/mine/smoke.toml"):
        assert find_run(_manifest(tmp_path / "d", slo={"name": "smoke", "file": gone})).slo_reference == gone
    assert find_run(_manifest(tmp_path / "e", slo={"name": "smoke", "file": 7})).slo_reference == "smoke"
    assert find_run(_manifest(tmp_path / "c")).slo_reference == "default"
