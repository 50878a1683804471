"""Our options of the ``locust`` command, also in its start form, and safer defaults for Locust's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from loadtests.plan.overrides import NO_REGION, PLANNED
from loadtests.plan.personas import load_personas
from loadtests.plan.regions import load_regions
from loadtests.plan.swarm_plan import DEFAULT_PLAN, SHAPES, LoadPlan, built_in_plans
from loadtests.records.machine import AUTO
from loadtests.web.request_guard import HOST_OPTION as ALLOWED_HOST
from loadtests.web.request_guard import HOST_VARIABLE as ALLOWED_HOST_VARIABLE


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that may be changed of a plan; its name is a field of ``PlanOverrides``."""

    name: str
    help: str
    choices: Callable[[], Iterable[str]] | None = None


OPTIONS = (
    Option("shape", "How the load moves; one that the plan has no table for is as high and as long", lambda: SHAPES),
    Option("calls", "Calls at once at the load's highest; the rest in proportion, people as needed"),
    Option("calls-per-min", "The same, as starts a minute at the load's highest"),
    Option("time-scale", "0.1 plays the load in a tenth of its time; calls are as long as ever"),
    Option("people", "Who signs in"),
    Option("mix", "Personas of the people", lambda: load_personas().mixes),
    Option("region", "Whose mix of networks everybody is behind", lambda: [NO_REGION, *load_regions()]),
    Option("scenarios", "Scenarios and their weights, e.g. talk=90, decline=3"),
    Option("talk-median-s", "Median seconds of talk; the shortest and longest in proportion"),
    Option("dtx", "Talk spurts with silence in between; else everybody talks all the time", lambda: ("on", "off")),
    Option("messages-per-min", "Text messages that a person writes a minute"),
    Option("visits-per-min", "How often a minute a person looks at threads and missed calls"),
    Option("probe-calls", "Pairs of probes: calls that are decoded and scored"),
    Option("seed", "Of everything that is drawn"),
)

LOCUSTS_FIELDS = frozenset({"user_count", "spawn_rate", "run_time", "profile", "user_classes", "shape_class"})
"""What Locust's own start form may hold besides its host."""
START_FIELDS = LOCUSTS_FIELDS | {"plan", *(option.name.replace("-", "_") for option in OPTIONS)}
"""What may be posted to start a run. Where it goes and where it is written is for the command line alone."""


class StartForm:
    """The options, and what the plan that Locust was started with says about each."""

    def __init__(self) -> None:
        self._planned: Mapping[str, str] = {}

    def show(self, plan: LoadPlan) -> None:
        """Has the form say what ``plan`` says: Locust asks for the arguments anew for every page."""
        self._planned = values_of(plan)

    def add_arguments(self, parser: Any) -> None:
        """Adds our options to Locust's parser, and keeps Locust off every interface but loopback unless told otherwise.

        Locust puts only what is added to the parser itself into the start form: one of a group would be left out.
        """
        parser.add_argument(
            "--plan",
            default=DEFAULT_PLAN,
            metavar="NAME|FILE",
            help=f"plan whose [swarm] section is run: a TOML file, or one of {', '.join(built_in_plans())}",
        )
        for option in OPTIONS:
            says = self._planned.get(option.name, "")
            text = f"{option.help}. Plan: {says}" if says else f"{option.help}. Left out: what the plan says"
            if option.choices is None:
                parser.add_argument(f"--{option.name}", default="", help=text)
            else:
                choices = [PLANNED, *option.choices()]
                parser.add_argument(f"--{option.name}", choices=choices, default=PLANNED, help=text)
        parser.add_argument(
            "--target",
            default="",
            metavar="URL",
            include_in_web_ui=False,
            help="calling service to load; its admin token is read from RINGFENCE_ADMIN_TOKEN. "
            "Empty: the reference service is started on loopback",
        )
        parser.add_argument(
            "--run-folder",
            default="",
            metavar="DIR",
            include_in_web_ui=False,
            help="folder for records, logs and the live file. Empty: runs/<time>-locust. "
            "On a worker without the master's disk: where its records wait until the master has them",
        )
        parser.add_argument(
            "--media-address",
            default=AUTO,
            metavar="ADDRESS",
            include_in_web_ui=False,
            help="IPv4 address that this worker's calls send and receive on. auto: the one that reaches the target",
        )
        parser.add_argument(
            ALLOWED_HOST,
            default="",
            metavar="HOST,HOST",
            env_var=ALLOWED_HOST_VARIABLE,
            include_in_web_ui=False,
            help="hosts by which browsers may ask for the web UI besides loopback and --web-host: a proxy's name or a "
            "machine's (with its port, as browsers see it, when that is not the usual one)",
        )
        parser.set_defaults(web_host="127.0.0.1", master_bind_host="127.0.0.1")


def values_of(plan: LoadPlan) -> dict[str, str]:
    """Returns what a plan says about every option, as one would write it."""
    swarm = plan.swarm
    return {
        "shape": swarm.shape,
        "calls": f"{swarm.peak_calls:g}",
        "time-scale": "1",
        "people": str(swarm.people),
        "mix": swarm.mix,
        "region": swarm.region or NO_REGION,
        "scenarios": ", ".join(f"{name}={weight:g}" for name, weight in swarm.scenarios.items()),
        "talk-median-s": f"{swarm.talk_s.median:g}",
        "dtx": "on" if swarm.dtx else "off",
        "messages-per-min": f"{swarm.messages_per_person_per_min:g}",
        "visits-per-min": f"{swarm.visits_per_person_per_min:g}",
        "probe-calls": str(swarm.probe_calls),
        "seed": str(plan.seed),
    }
