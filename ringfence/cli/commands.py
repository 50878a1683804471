"""Every command of ``ringfence``: where its function is, one sentence for lists of commands, and one example.

This is the only place for examples. ``--help`` shows them, and tests/ringfence/test_ringfence_examples.py runs them.
"""

from __future__ import annotations

from dataclasses import dataclass

GROUPS = {
    "network": "Link profiles: list, show, prove, or run a command behind one.",
    "devices": "Device profiles of the matrix: list them, or show one.",
    "plans": "Plans of runs: what each does, needs, and how long it takes.",
    "scenarios": "Scenarios: what can happen in a call of the swarm or the matrix.",
    "metrics": "Metrics that a rule of an SLO file may name.",
    "slo": "SLO files: which there are, and their rules in words.",
    "bench": "Measure how much load this machine carries.",
}
"""Commands that only hold other commands, each with its sentence."""


@dataclass(frozen=True, slots=True)
class CliCommand:
    """One command that does something."""

    words: str
    """How it is called, without ``ringfence``."""
    function: str
    """``module:function``, imported when the command is used."""
    sentence: str
    """For lists of commands: at most 66 characters."""
    example: str
    is_quick: bool = False
    """The example needs no namespace, no browser and no load, and ends within seconds."""


CHAPTERS = {
    "Test a calling service": ("run", "swarm", "matrix", "serve"),
    "Judge and compare runs": ("gate", "report", "compare", "history"),
    "Look things up": ("plans", "devices", "network", "scenarios", "metrics", "slo"),
    "Know this machine": ("doctor", "bench"),
}
"""How ``ringfence --help`` orders the commands: what stands together, under which title."""

COMMANDS = (
    CliCommand(
        "run", "ringfence.cli.run:run",
        "Run a whole plan: load and devices, then report and verdict.",
        "ringfence run --plan smoke",
    ),
    CliCommand(
        "swarm", "ringfence.cli.run:swarm",
        "Run only the load of a plan, without the devices.",
        "ringfence swarm --plan soak --time-scale 0.1",
    ),
    CliCommand(
        "matrix", "ringfence.cli.run:matrix",
        "Run only the devices of a plan, without the load.",
        "ringfence matrix --devices nokia-1,moto-e13 --networks gprs_2g",
    ),
    CliCommand(
        "serve", "ringfence.cli.serve:serve",
        "Start the reference calling service, to try it in a browser.",
        "ringfence serve --port 8086",
    ),
    CliCommand(
        "gate", "ringfence.cli.verdict:gate",
        "Judge a run. The exit code is the verdict.",
        "ringfence gate runs/latest", is_quick=True,
    ),
    CliCommand(
        "report", "ringfence.cli.verdict:report",
        "Write the reports of a run again, and show its summary.",
        "ringfence report runs/latest", is_quick=True,
    ),
    CliCommand(
        "compare", "ringfence.cli.past_runs:compare",
        "Show the rules of two runs side by side.",
        "ringfence compare runs/before runs/latest", is_quick=True,
    ),
    CliCommand(
        "history", "ringfence.cli.past_runs:history",
        "List the runs of a folder with their verdicts.",
        "ringfence history --runs runs", is_quick=True,
    ),
    CliCommand(
        "network list", "ringfence.cli.network.list_and_show:list_profiles",
        "List the network profiles and the regional mixes of them.",
        "ringfence network list", is_quick=True,
    ),
    CliCommand(
        "network show", "ringfence.cli.network.list_and_show:show",
        "Draw how a link changes with time, and say which calls fit on it.",
        "ringfence network show gprs_2g", is_quick=True,
    ),
    CliCommand(
        "network verify", "ringfence.cli.network.verify:verify",
        "Measure links and compare every figure with the profile.",
        "ringfence network verify gprs_2g lte_good",
    ),
    CliCommand(
        "network exec", "ringfence.cli.network.exec:exec_behind",
        "Run any command behind a link, as if on that network.",
        "ringfence network exec edge_275g -- ping -c 3 '$RINGFENCE_FAR_END'",
    ),
    CliCommand(
        "devices list", "ringfence.cli.devices:list_devices",
        "List the device profiles.",
        "ringfence devices list", is_quick=True,
    ),
    CliCommand(
        "devices show", "ringfence.cli.devices:show",
        "Show every figure of one device profile, with its source.",
        "ringfence devices show moto-e13", is_quick=True,
    ),
    CliCommand(
        "plans list", "ringfence.cli.lookup.plans:list_plans",
        "List the plans: how long each takes, and what it needs.",
        "ringfence plans list", is_quick=True,
    ),
    CliCommand(
        "plans show", "ringfence.cli.lookup.plans:show_plan",
        "Show the load, the cells and the needs of one plan.",
        "ringfence plans show smoke", is_quick=True,
    ),
    CliCommand(
        "scenarios list", "ringfence.cli.lookup.scenarios:list_scenarios",
        "List what can happen in a call.",
        "ringfence scenarios list", is_quick=True,
    ),
    CliCommand(
        "scenarios show", "ringfence.cli.lookup.scenarios:show_scenario",
        "Show what each side does, and how the call may end.",
        "ringfence scenarios show hold", is_quick=True,
    ),
    CliCommand(
        "metrics list", "ringfence.cli.lookup.metrics:list_metrics",
        "List the metrics: unit, population, and what each measures.",
        "ringfence metrics list", is_quick=True,
    ),
    CliCommand(
        "metrics show", "ringfence.cli.lookup.metrics:show_metric",
        "Show one metric, with a rule that uses it.",
        "ringfence metrics show setup_ms_p95", is_quick=True,
    ),
    CliCommand(
        "slo list", "ringfence.cli.lookup.slo:list_slo_files",
        "List the SLO files, and which plans use them.",
        "ringfence slo list", is_quick=True,
    ),
    CliCommand(
        "slo show", "ringfence.cli.lookup.slo:show_slo_file",
        "Show the rules of one SLO file in words.",
        "ringfence slo show smoke", is_quick=True,
    ),
    CliCommand(
        "bench media", "ringfence.cli.bench.media:media",
        "Measure how many calls one core carries.",
        "ringfence bench media --quick",
    ),
    CliCommand(
        "bench link", "ringfence.cli.bench.link:link",
        "Measure what shaped links cost, and how exact they stay.",
        "ringfence bench link --max 8",
    ),
    CliCommand(
        "bench signaling", "ringfence.cli.bench.signaling:signaling",
        "Measure how many calls without media one core sets up.",
        "ringfence bench signaling --quick",
    ),
    CliCommand(
        "doctor", "ringfence.cli.doctor:doctor",
        "Show what this machine has and lacks, and how to get it.",
        "ringfence doctor", is_quick=True,
    ),
)  # fmt: skip


def sentence_of(name: str) -> str:
    """Returns the sentence of a command of the first level, whether it does something or holds others."""
    return GROUPS[name] if name in GROUPS else next(each.sentence for each in COMMANDS if each.words == name)


def commands_in(group: str) -> list[CliCommand]:
    """Returns the commands that the group ``group`` holds."""
    return [each for each in COMMANDS if each.words.startswith(f"{group} ")]
