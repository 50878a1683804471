"""Our options of the ``locust`` command, also in its start form, and safer defaults for Locust's own."""

from __future__ import annotations

from typing import Any

from loadtests.machine import AUTO
from loadtests.plan import DEFAULT_PLAN, built_in_plans


def add_arguments(parser: Any) -> None:
    """Adds our options to Locust's parser, and keeps Locust off every interface but loopback unless told otherwise.

    Locust puts only what is added to the parser itself into the start form: an argument of a group would be left out.
    """
    parser.add_argument(
        "--plan",
        default=DEFAULT_PLAN,
        metavar="NAME|FILE",
        help=f"plan whose [swarm] section is run: a TOML file, or one of {', '.join(built_in_plans())}",
    )
    parser.add_argument(
        "--target",
        default="",
        metavar="URL",
        help="calling service to load; its admin token is read from RINGFENCE_ADMIN_TOKEN. "
        "Empty: the reference service is started on loopback",
    )
    parser.add_argument(
        "--run-folder",
        default="",
        metavar="DIR",
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
    parser.set_defaults(web_host="127.0.0.1", master_bind_host="127.0.0.1")
