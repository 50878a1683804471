"""Serves the operator's API behind a token: seed users, listen on links, set faults, read call log and counters."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import resource
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import msgspec
from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError

from reference_service.connection_limiter import ConnectionLimiter
from reference_service.faults import FaultOrder
from reference_service.listeners import Listeners, ListenRefused
from reference_service.messages.history_seeder import SeededHistory
from reference_service.people.directory import NewAccount, UnknownPerson
from reference_service.service import Service, now_ms
from reference_service.sessions import CLOSE_BAD_TOKEN, Sessions

SILENCE_S = web.AppKey("silence_s", float)
LARGEST_ROW = (1 << 63) - 1
T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Seed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /admin/seed``; a pair is (who follows, whom)."""

    users: list[NewAccount] = []
    follows: list[tuple[str, str]] = []
    close_friends: list[tuple[str, str]] = []
    pasts: list[SeededHistory] = []


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``POST`` and ``DELETE /admin/listen``."""

    address: Annotated[str, msgspec.Meta(max_length=64)]


def json_response(body: object, status: int = 200) -> web.Response:
    """Returns ``body`` as JSON."""
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


def problem(status: int, code: str, message: str) -> web.Response:
    """Returns an error in the form of the whole HTTP API."""
    return json_response({"error": code, "message": message}, status)


async def read_body(request: web.Request, kind: type[T], at_most_bytes: int | None = None) -> T:
    """Returns the request's body. Raises an HTTP error for a wrong body, and for one that comes too slowly."""
    if at_most_bytes is not None:
        request = request.clone(client_max_size=at_most_bytes)
    silence_s = request.config_dict[SILENCE_S]
    try:
        async with asyncio.timeout(silence_s):
            return msgspec.json.decode(await request.read(), type=kind)
    except TimeoutError:
        raise web.HTTPRequestTimeout(
            body=_wording("too_slow", f"the body did not come within {silence_s:g} s"), content_type="application/json"
        ) from None
    except (msgspec.DecodeError, ValueError, RecursionError, RequestPayloadError) as wrong:
        body = _wording("bad_request", str(wrong) or "the body does not come as its headers say")
        raise web.HTTPBadRequest(body=body, content_type="application/json") from None


def _wording(code: str, message: str) -> bytes:
    return msgspec.json.encode({"error": code, "message": message.encode(errors="replace").decode()})


def _same_secret(given: str, wanted: str) -> bool:
    """Compares in constant time: it shows neither where the texts differ nor how long the wanted one is."""
    # aiohttp decodes bytes that are not UTF-8 to lone surrogates.
    digests = (hashlib.sha256(text.encode(errors="surrogateescape")).digest() for text in (given, wanted))
    return hmac.compare_digest(*digests)


class Admin:
    """Serves ``/admin/*``."""

    def __init__(self, service: Service, sessions: Sessions, listeners: Listeners, limiter: ConnectionLimiter) -> None:
        self._service = service
        self._limiter = limiter
        self._sessions = sessions
        self._listeners = listeners

    def routes(self) -> list[web.RouteDef]:
        """Every admin route, each behind the token."""
        return [
            web.post("/admin/seed", self._guard(self._seed)),
            web.post("/admin/listen", self._guard(self._listen)),
            web.delete("/admin/listen", self._guard(self._unlisten)),
            web.post("/admin/faults", self._guard(self._set_faults)),
            web.get("/admin/faults", self._guard(self._get_faults)),
            web.get("/admin/calls", self._guard(self._calls)),
            web.post("/admin/calls/{call_id:.+}/end", self._guard(self._end_call)),
            web.get("/admin/reports", self._guard(self._reports)),
            web.get("/admin/stats", self._guard(self._stats)),
        ]

    def _guard(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            token = self._service.settings.admin_token
            if not token:
                return problem(403, "admin_closed", "RINGFENCE_ADMIN_TOKEN was not set when the service started")
            if not _same_secret(request.headers.get("Authorization", ""), f"Bearer {token}"):
                return problem(401, "bad_admin_token", "send 'Authorization: Bearer TOKEN'")
            return await handler(request)

        return guarded

    async def _seed(self, request: web.Request) -> web.Response:
        seed = await read_body(request, Seed)
        known = self._service.directory.users.keys() | {person.name for person in seed.users}
        if strangers := sorted({past.name for past in seed.pasts} - known):
            return problem(400, "unknown_user", f"a past names {strangers[0]!r}, who has no account")
        try:
            changed = await self._service.directory.seed(seed.users, seed.follows, seed.close_friends)
            for name in changed:
                for device in self._service.presence.of(name):
                    device.close(CLOSE_BAD_TOKEN, "the password has changed: sign in again")
            await self._service.history_seeder.seed(seed.pasts, now_ms())
        except UnknownPerson as unknown:
            return problem(400, "unknown_user", str(unknown))
        counts = {name: len(getattr(seed, name)) for name in ("users", "follows", "close_friends")}
        return json_response({**counts, "users_in_all": len(self._service.directory.users)})

    async def _listen(self, request: web.Request) -> web.Response:
        try:
            url = await self._listeners.add((await read_body(request, Listen)).address)
        except ListenRefused as refused:
            return problem(409, "listen_refused", str(refused))
        return json_response({"url": url})

    async def _unlisten(self, request: web.Request) -> web.Response:
        """Also cuts the clients that came in by the address: its link is gone, and no close frame would arrive."""
        address = (await read_body(request, Listen)).address
        was_listening = await self._listeners.remove(address)
        gone = [device for device in self._service.presence.everyone() if device.local_address == address]
        for device in gone if was_listening else ():
            device.drop()
        return json_response({"was_listening": was_listening})

    async def _set_faults(self, request: web.Request) -> web.Response:
        self._service.faults.apply(await read_body(request, FaultOrder))
        return json_response(self._service.faults.to_dict())

    async def _get_faults(self, _request: web.Request) -> web.Response:
        return json_response(self._service.faults.to_dict())

    async def _calls(self, request: web.Request) -> web.Response:
        """``?limit=`` (default 1000), ``?after=`` (``next`` of the page before), ``?call_id=``."""
        try:
            limit = min(max(int(request.query.get("limit", "1000")), 1), 10_000)
            after = int(request.query.get("after", "0"))
        except ValueError:
            return problem(400, "bad_request", "limit and after are whole numbers")
        if not 0 <= after <= LARGEST_ROW:
            return problem(400, "bad_request", f"after is between 0 and {LARGEST_ROW}")
        call_id = request.query.get("call_id")
        if call_id is not None and not call_id.isascii():
            call_id = call_id.encode(errors="replace").decode()
        calls = await self._service.log.page(limit=limit, after=after, call_id=call_id)
        return json_response({"calls": calls, "next": calls[-1]["row"] if len(calls) == limit else None})

    async def _end_call(self, request: web.Request) -> web.Response:
        """Ends a call for the operator. Both people get ``call.ended`` with ``by`` null."""
        if not self._service.switchboard.end_by_operator(request.match_info["call_id"]):
            return problem(404, "unknown_call", "no such call is on")
        return json_response({"ended": True})

    async def _reports(self, _request: web.Request) -> web.Response:
        return json_response({"reports": await self._service.controls.all_reports()})

    async def _stats(self, _request: web.Request) -> web.Response:
        service = self._service
        used = resource.getrusage(resource.RUSAGE_SELF)
        stats: dict[str, Any] = {
            "uptime_s": (now_ms() - service.started_at_ms) / 1000,
            "cpu_s": used.ru_utime + used.ru_stime,
            "users": len(service.directory.users),
            "online": service.presence.users_online,
            "sockets": len(service.presence.everyone()),
            "waiting": self._limiter.waiting,
            "turned_away": self._limiter.turned_away,
            "active_calls": service.switchboard.active_calls,
            "calls": dict(service.switchboard.counts),
            "messages": service.messaging.sent,
            "reports": service.controls.reports,
            "errors": dict(self._sessions.errors),
            "faults": service.faults.to_dict(),
            "links": self._listeners.links,
            "store": {
                "commits": service.store.commits,
                "jobs": service.store.jobs,
                "largest_batch": service.store.largest_batch,
                "failed": service.store.failed,
                "problem": service.store.problem,
            },
        }
        return json_response(stats)
