"""Calls the reference service's admin API: creates users, and has the service listen at a link's host end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bedrock.errors import TargetUnreachable
from calls.errors import TargetRefused
from calls.targets.admin_api import AdminApi
from device_matrix.errors import TargetUnavailable

TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class MatrixUser:
    """A user created on the service, who can sign in."""

    name: str
    display_name: str
    password: str


class TargetAdmin:
    """The service's HTTP API as the harness uses it. Methods raise TargetUnavailable; safe from any thread."""

    def __init__(self, url: str, token: str) -> None:
        self._api = AdminApi(url, token)
        self.url = self._api.url

    def health(self) -> dict[str, Any]:
        """Returns what ``/health`` says."""
        return self._ask("GET", "/health", None)

    def listen(self, address: str) -> str:
        """Lets the service listen on ``address`` too. Returns the URL there."""
        return str(self._ask("POST", "/admin/listen", {"address": address})["url"])

    def stop_listening(self, address: str) -> None:
        """Undoes ``listen``."""
        self._ask("DELETE", "/admin/listen", {"address": address})

    def seed_friends(self, first: MatrixUser, second: MatrixUser) -> None:
        """Creates two users who follow each other, so each may call the other."""
        users = [
            {"name": one.name, "display_name": one.display_name, "password": one.password, "controls": "following"}
            for one in (first, second)
        ]
        follows = [[first.name, second.name], [second.name, first.name]]
        self._ask("POST", "/admin/seed", {"users": users, "follows": follows, "close_friends": []})

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        try:
            return self._api.ask(method, path, body, timeout_s=TIMEOUT_S)
        except TargetRefused as error:
            raise TargetUnavailable(error.message, reason="target_refused", hint=error.hint) from error
        except TargetUnreachable as error:
            raise TargetUnavailable(error.message, hint=error.hint) from error
