"""Adds our options to the ``locust`` command and to the start form of its web UI, and sets safer defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from loadtests.plan.overrides import NO_REGION, PLANNED
from loadtests.plan.personas import load_personas
from loadtests.plan.regions import load_regions
from loadtests.plan.swarm_plan import DEFAULT_PLAN, SHAPES, LoadPlan, built_in_plans
from loadtests.records.machine import AUTO
from loadtests.web.request_guard import HOST_OPTION, HOST_VARIABLE

LOAD, USERS, CALLS, MORE = "Load", "Users", "Calls", "More options"
GROUPS = (LOAD, USERS, CALLS, MORE)
"""The groups of the start form. The last one is closed until somebody opens it."""


@dataclass(frozen=True, slots=True)
class PlanOption:
    """One value of the plan that a run may change. Its name is a field of ``PlanOverrides``."""

    name: str
    label: str
    """A short noun, for the start form."""
    group: str
    help: str
    choices: Callable[[], Iterable[str]] | None = None

    @property
    def field(self) -> str:
        """The name of the field in a posted form."""
        return self.name.replace("-", "_")


PLAN_OPTIONS = (
    PlanOption(
        "shape",
        "Load shape",
        LOAD,
        "How the number of calls changes over time. A shape that the plan has no table for keeps peak and length",
        lambda: SHAPES,
    ),
    PlanOption("calls", "Calls at once", LOAD, "Peak number of calls in progress. Other levels and users follow"),
    PlanOption("people", "Number of users", USERS, "How many people sign in, probes not counted"),
    PlanOption(
        "mix", "Persona mix", USERS, "Which devices, networks and habits the users have", lambda: load_personas().mixes
    ),
    PlanOption(
        "region",
        "Network mix, by region",
        USERS,
        "Access networks of all users, in the shares of a region. none: the network of each persona",
        lambda: [NO_REGION, *load_regions()],
    ),
    PlanOption("scenarios", "Scenarios", CALLS, "Call scenarios and their weights, e.g. talk=90, decline=3"),
    PlanOption(
        "talk-median-s",
        "Talk time, median (s)",
        CALLS,
        "Median call length. Minimum and maximum are scaled with it",
    ),
    PlanOption("probe-calls", "Probe pairs", CALLS, "Pairs per worker whose calls are decoded and scored"),
    PlanOption("calls-per-min", "Calls per minute", MORE, "Peak rate of new calls. Use it in place of Calls at once"),
    PlanOption("time-scale", "Time scale", MORE, "0.1 runs the load in a tenth of its time. Call length is unchanged"),
    PlanOption(
        "dtx",
        "Silence suppression (DTX)",
        MORE,
        "on: people take turns and Opus sends nothing in silence. off: everybody talks all the time",
        lambda: ("on", "off"),
    ),
    PlanOption("messages-per-min", "Messages per user and minute", MORE, "Text messages that a person sends"),
    PlanOption("visits-per-min", "App visits per user and minute", MORE, "Visits to threads and missed calls"),
    PlanOption("seed", "Random seed", MORE, "Seed of every random choice. Equal seeds give equal loads"),
)

LOCUST_FIELDS = frozenset({"user_count", "spawn_rate", "run_time", "profile", "user_classes", "shape_class"})
"""Fields that Locust's own start form may post, besides its host."""
START_FIELDS = LOCUST_FIELDS | {"plan", *(option.field for option in PLAN_OPTIONS)}
"""Fields that may be posted to start a run. Target and run folder can only be named on the command line."""


class StartForm:
    """Our options, with the values of the plan that Locust was started with."""

    def __init__(self) -> None:
        self._planned: Mapping[str, str] = {}

    def show(self, plan: LoadPlan) -> None:
        """Shows the values of ``plan`` in the form. Locust asks for the arguments again for every page."""
        self._planned = planned_values(plan)

    def layout(self) -> dict[str, Any]:
        """Returns groups and fields for ``start_form.js``, in the order in which the form shows them."""
        plan = {
            "name": "plan",
            "label": "Plan",
            "group": LOAD,
            "help": f"TOML file, or one of {', '.join(built_in_plans())}. Empty fields below take its values",
            "planned": "",
        }
        options = [
            {
                "name": option.field,
                "label": option.label,
                "group": option.group,
                "help": option.help,
                "planned": self._planned.get(option.name, ""),
            }
            for option in PLAN_OPTIONS
        ]
        return {"groups": GROUPS, "more": MORE, "fields": [plan, *options]}

    def add_arguments(self, parser: Any) -> None:
        """Adds our options to Locust's parser.

        Locust shows in the start form only options of the parser itself, so none of them is in a group. Unless told
        otherwise, Locust listens on loopback only.
        """
        parser.add_argument(
            "--plan",
            default=DEFAULT_PLAN,
            metavar="NAME|FILE",
            help=f"plan whose [swarm] section is run: a TOML file, or one of {', '.join(built_in_plans())}",
        )
        for option in PLAN_OPTIONS:
            planned = self._planned.get(option.name, "")
            text = f"{option.help}. Plan: {planned}" if planned else f"{option.help}. Default: the plan's value"
            if option.choices is None:
                parser.add_argument(f"--{option.name}", default="", help=text)
            else:
                choices = [PLANNED, *option.choices()]
                parser.add_argument(f"--{option.name}", choices=choices, default=PLANNED, help=text)
        for name, arguments in COMMAND_LINE_ONLY.items():
            parser.add_argument(name, include_in_web_ui=False, **arguments)
        parser.set_defaults(web_host="127.0.0.1", master_bind_host="127.0.0.1")


COMMAND_LINE_ONLY: Mapping[str, Mapping[str, Any]] = {
    "--target": {
        "default": "",
        "metavar": "URL",
        "help": "calling service to load; its admin token is read from RINGFENCE_ADMIN_TOKEN. "
        "Empty: the reference service is started on loopback",
    },
    "--run-folder": {
        "default": "",
        "metavar": "DIR",
        "help": "folder for records, logs and the live file. Empty: runs/<time>-locust. "
        "On a worker without access to the master's disk: keeps the records until the master has them",
    },
    "--media-address": {
        "default": AUTO,
        "metavar": "ADDRESS",
        "help": "local IP address for the media of this worker's calls. auto: the address that reaches the target",
    },
    HOST_OPTION: {
        "default": "",
        "metavar": "HOST,HOST",
        "env_var": HOST_VARIABLE,
        "help": "host names that browsers may use for the web UI, besides loopback and --web-host: the name of a proxy "
        "or of this machine, with its port if browsers use another one",
    },
}
"""Options that the start form does not show: they say where the load goes and where the records are written."""


def planned_values(plan: LoadPlan) -> dict[str, str]:
    """Returns the plan's value of every option, as a person would write it."""
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
