"""``python -m loadtests.locust_process``: Locust as a run of ours starts it, deaf to Locust's configuration files.

Locust reads ``~/.locust.conf``, and ``locust.conf`` and ``pyproject.toml`` of the working directory: a run time or a
log level in one of them would change what a plan says, and no report would tell. Who starts ``locust`` by hand means
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
