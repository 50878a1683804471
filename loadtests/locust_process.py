"""``python -m loadtests.locust_process``: starts Locust for a run of ours, without Locust's configuration files.

Locust reads ``~/.locust.conf``, and ``locust.conf`` and ``pyproject.toml`` of the working directory. A run time or a
log level in one of them would change the plan, and no report would say so. A user who starts ``locust`` by hand wants
these files, and gets them.
"""

from __future__ import annotations

from typing import Any

# First of all: Locust has gevent patch the standard library, before anybody keeps a lock of it.
from locust import argument_parser, main


class ParserWithoutFiles(argument_parser.LocustArgumentParser):
    """Locust's parser, with no configuration files of its own accord."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "default_config_files": []})


if __name__ == "__main__":
    vars(argument_parser)["LocustArgumentParser"] = ParserWithoutFiles
    start: Any = main.main
    start()
