"""The port at which Locust's master waits for its workers."""

from __future__ import annotations

import sys
from typing import Any

from locust.exception import RPCError
from locust.rpc import zmqrpc

from bedrock.exit_codes import ExitCode
from loadtests.records.machine import CANNOT_LISTEN


class ReportingServer(zmqrpc.Server):
    """Locust's server. Locust ends with 1 when it cannot bind, or with a traceback; 1 would be read as FAIL."""

    def __init__(self, host: str, port: int) -> None:
        listen: Any = super().__init__
        try:
            listen(host, port)
        except RPCError as error:
            why = str(error).removeprefix("Socket bind failure: ")
            print(
                f"ringfence: {CANNOT_LISTEN} {host}, port {port}: {why} "
                "(end the program that has the port, or name another with --master-bind-port)",
                file=sys.stderr,
            )
            raise SystemExit(int(ExitCode.ENVIRONMENT)) from None


def install() -> None:
    """Has Locust's master use our server."""
    vars(zmqrpc)["Server"] = ReportingServer
