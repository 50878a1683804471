"""What the harness asks of the reference service behind its token: people to call, and an ear on a link's host end."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from device_matrix.errors import TargetUnavailable

TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who can sign in."""

    name: str
    display_name: str
    password: str


class TargetAdmin:
    """The service's HTTP API as the harness uses it. Methods raise TargetUnavailable; safe from any thread."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self._token = token

    def health(self) -> dict[str, Any]:
        """Returns what ``/health`` says."""
        return self._ask("GET", "/health", None)

    def listen(self, address: str) -> str:
        """Lets the service listen on ``address`` too. Returns the URL there."""
        return str(self._ask("POST", "/admin/listen", {"address": address})["url"])

    def stop_listening(self, address: str) -> None:
        """Takes ``listen`` back."""
        self._ask("DELETE", "/admin/listen", {"address": address})

    def seed_friends(self, first: Person, second: Person) -> None:
        """Makes two people who follow each other, so that each may call the other."""
        users = [
            {"name": one.name, "display_name": one.display_name, "password": one.password, "controls": "following"}
            for one in (first, second)
        ]
        follows = [[first.name, second.name], [second.name, first.name]]
        self._ask("POST", "/admin/seed", {"users": users, "follows": follows, "close_friends": []})

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
        )
        # A proxy named in the environment must not stand between us and a service on our own machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=TIMEOUT_S) as reply:
                answer = json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(500).decode(errors="replace")
            hint = "is RINGFENCE_ADMIN_TOKEN the service's own?" if error.code in {401, 403} else ""
            message = f"the service refused {method} {path} with {error.code}: {said}"
            raise TargetUnavailable(message, reason="target_refused", hint=hint) from error
        except (OSError, ValueError) as error:
            raise TargetUnavailable(f"the service at {self.url} does not answer {method} {path}: {error}") from error
        if not isinstance(answer, dict):
            raise TargetUnavailable(f"the service answers {method} {path} with something else than an object")
        return answer
