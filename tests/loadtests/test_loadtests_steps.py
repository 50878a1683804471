"""Loads that are judged step by step, for real: the reference service has a fault that says where it breaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from swarm_process import Swarm, swarm_in

from calls.targets.admin_api import AdminApi
from reports.build import summarize
from reports.result.stepped_load_result import KneeResult, RolloutResult
from reports.slo.slo_file import load_slo

pytestmark = [pytest.mark.patient, pytest.mark.integration]
TOKEN = "steps"
SLO = """
[limits]
setup_limit_s = 20.0
[validity]   # bounds that no machine breaks, however slow: what is judged is the service
send_late_p99_ms_max = 60000
send_late_seconds_ratio_max = 1.0
send_late_legs_ratio_max = 1.0
datagrams_dropped_max = 1000000
health_gap_s_max = 3600
lost_halves_ratio_max = 1.0
busy_seconds_ratio_max = 1.0
starts_dropped_ratio_max = 1.0
[[rule]]
name = "calls complete"
metric = "completion_ratio"
where = { source = "swarm" }
objective = ">= 0.6"
"""
PLAN = """
name = "steps"
seed = 5
slo = "slo.toml"
[service]
no_answer_s = 2
[swarm]
people = 120
spawn_rate_per_s = 100
mix = "hotline"
talk_s = { median = 0.8, sigma = 0.1, min = 0.6, max = 1.0 }
messages_per_person_per_min = 0
"""
STEPS = "rise_s = 0.3\nsettle_s = 0.2\nhold_s = 3\nmax_hold_s = 9\n"
KNEE = PLAN + f'shape = "knee"\n[swarm.knee]\nstart_calls = 3\nmax_calls = 12\ngrowth = 4\nrefine = 0\n{STEPS}'
ROLLOUT = (
    PLAN.replace("people = 120", "people = 170")
    + f'shape = "rollout"\n[swarm.rollout]\npeak_calls = 16\nshadow = 0\nshares = [0.2, 0.8, 1.0]\n{STEPS}'
)
RATE_LIMIT_PER_S = 6.0


def start(swarm: Swarm, plan: str) -> None:
    (swarm.folder / "slo.toml").write_text(SLO)
    (swarm.folder / "plan.toml").write_text(plan)
    options = ["--plan", str(swarm.folder / "plan.toml"), "--run-folder", str(swarm.run)]
    swarm.start("--headless", "--only-summary", *options, env={"RINGFENCE_ADMIN_TOKEN": TOKEN})


def wait_for_stage(swarm: Swarm, stage: str) -> None:
    swarm.wait_for(lambda line: line["event"] == "second" and line["stage"] == stage)


def switch(swarm: Swarm, **fault: Any) -> None:
    """Makes the service worse while it is under load."""
    manifest = msgspec.json.decode((swarm.run / "manifest.json").read_bytes())
    AdminApi(manifest["target"]["url"], TOKEN).ask("POST", "/admin/faults", fault)


def test_a_knee_search_finds_the_rate_that_the_service_is_limited_to(tmp_path: Path) -> None:
    """The service takes 6 invitations a second. 3 calls of 0.8 s ask for some 4 a second, 12 for some 15."""
    with swarm_in(tmp_path) as swarm:
        start(swarm, KNEE)
        wait_for_stage(swarm, "3 calls")
        switch(swarm, rate_limit_per_s=RATE_LIMIT_PER_S)
        assert swarm.wait() == 0, swarm.log()[-3000:]
        knee = msgspec.json.decode((swarm.run / "knee.json").read_bytes(), type=KneeResult)
        assert (knee.ended, knee.verdict, knee.low_calls, knee.high_calls) == ("broke", "PASS", 3, 12)
        assert knee.low_setups_per_s is not None
        assert knee.high_setups_per_s is not None
        assert knee.low_setups_per_s < RATE_LIMIT_PER_S < knee.high_setups_per_s
        assert [step.judgement.verdict for step in knee.steps] == ["PASS", "FAIL"]
        assert knee.machines is not None
        assert knee.machines.at_least is not None
        assert knee.machines.at_most is not None
        assert knee.machines.at_least <= 6900 / RATE_LIMIT_PER_S <= knee.machines.at_most
        told = [line for line in swarm.seconds() if line["event"] == "judged"]
        assert [(line["stage"], line["verdict"]) for line in told] == [("3 calls", "PASS"), ("12 calls", "FAIL")]
        summary = summarize(swarm.run, load_slo(tmp_path / "slo.toml"))
        assert (summary.verdict, summary.rules[0].name) == ("PASS", "capacity"), summary.reasons
        assert not summary.rules[1].required, "the SLO of the whole run was broken on purpose"


def test_a_rollout_stops_at_the_stage_that_the_service_cannot_carry(tmp_path: Path) -> None:
    """3.2 calls ask for some 4 invitations a second, 12.8 for some 16: whenever the limit comes, the first passes."""
    with swarm_in(tmp_path) as swarm:
        start(swarm, ROLLOUT)
        wait_for_stage(swarm, "20 %")
        switch(swarm, rate_limit_per_s=RATE_LIMIT_PER_S)
        assert swarm.wait() == 1, swarm.log()[-3000:]
        rollout = msgspec.json.decode((swarm.run / "rollout.json").read_bytes(), type=RolloutResult)
        assert (rollout.verdict, rollout.ended, rollout.stages) == ("FAIL", "failed", ["20 %", "80 %", "100 %"])
        assert [(step.name, step.judgement.verdict) for step in rollout.steps] == [("20 %", "PASS"), ("80 %", "FAIL")]
        assert rollout.sentence.startswith("the rollout stopped at stage '80 %': calls complete: completion_ratio")
        summary = summarize(swarm.run, load_slo(tmp_path / "slo.toml"))
        assert summary.verdict == "FAIL"
        assert rollout.sentence in summary.reasons
        assert summary.rollout == rollout
