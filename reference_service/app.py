"""Builds the HTTP application: health, sign-in, the WebSocket, the web client, the admin API."""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
from typing import Annotated

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Middleware
from aiohttp.web_protocol import RequestPayloadError

from reference_service.admin import SILENCE_S, Admin, Handler, json_response, problem, read_body
from reference_service.connection_limiter import ConnectionLimiter
from reference_service.listeners import Listeners
from reference_service.people.accounts import NOBODYS_PASSWORD, check_password, make_token
from reference_service.service import Service, now_ms
from reference_service.sessions import Sessions
from reference_service.settings import MAX_SIGN_IN_BYTES
from reference_service.static import StaticFiles

SHUTDOWN_S = 2.0
"""Longer than the close of a WebSocket may take (1 s): aiohttp fails on a handler that ends in that very moment."""
LINGERING_S = 2.0
"""How long the rest of an unwanted body is read before the connection is closed."""
MAX_BODY_BYTES = 16 * 1024 * 1024
"""Largest request body: a seed of tens of thousands of people."""


class SignInRequest(msgspec.Struct, frozen=True):
    """``POST /api/sign-in``."""

    name: Annotated[str, msgspec.Meta(max_length=64)]
    password: Annotated[str, msgspec.Meta(max_length=200)]


def build(service: Service) -> tuple[web.AppRunner, Listeners]:
    """Returns the runner, not set up yet, and its listeners."""
    limiter = ConnectionLimiter(service.settings.max_waiting, service.settings.silence_s)
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_bounded(limiter)])
    app[SILENCE_S] = service.settings.silence_s
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=SHUTDOWN_S, handle_signals=False, lingering_time=LINGERING_S,
        logger=_quiet_logger(),
    )  # fmt: skip

    def make_handler() -> object:
        assert runner.server is not None, "no connection comes before the runner is set up"
        return runner.server()

    listeners = Listeners(limiter.factory(make_handler), service.settings.link_range)
    sessions = Sessions(service, limiter)
    static = StaticFiles(service.settings.web_root)
    api = _Api(service)
    app.add_routes(
        [
            web.get("/health", api.health),
            web.post("/api/sign-in", api.sign_in),
            web.get("/ws", sessions.serve),
            *Admin(service, sessions, listeners, limiter).routes(),
            web.get("/", static.index),
            web.get("/static/{path:.+}", static.file),
            web.get("/{path:favicon\\.ico|favicon\\.svg|manifest\\.webmanifest|sw\\.js|robots\\.txt}", static.file),
        ]
    )
    return runner, listeners


def _bounded(limiter: ConnectionLimiter) -> Middleware:
    """Returns the middleware that reports each request to the limiter, and turns errors of the disk into an answer."""

    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        limiter.heard(request)
        try:
            return await handler(request)
        except sqlite3.Error:
            return problem(
                507, "storage", "the service cannot store or read this now: its disk is full or has an error"
            )
        finally:
            limiter.answered(request)

    return handle


def _quiet_logger() -> logging.Logger:
    """Returns aiohttp's log without mistakes of clients: a flood of them would fill a disk, or block on a full pipe."""
    logger = logging.getLogger("reference_service.http")
    logger.addFilter(_is_ours)
    return logger


def _is_ours(record: logging.LogRecord) -> bool:
    fault = record.exc_info[1] if record.exc_info else None
    return not isinstance(fault, (HttpProcessingError, RequestPayloadError, ConnectionError))


class _Api:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def health(self, _request: web.Request) -> web.Response:
        service = self._service
        return json_response(
            {
                "status": "ok",
                "users": len(service.directory.users),
                "online": service.presence.users_online,
                "active_calls": service.switchboard.active_calls,
            }
        )

    async def sign_in(self, request: web.Request) -> web.Response:
        faults = self._service.faults
        if faults.slow_ms:
            await asyncio.sleep(faults.slow_ms / 1000)
        retry_after_s = faults.over_rate("sign-in", asyncio.get_running_loop().time())
        if retry_after_s is not None:
            refusal = problem(429, "rate_limited", "too many sign-ins: try again later")
            refusal.headers["Retry-After"] = str(math.ceil(retry_after_s))
            return refusal
        sign_in = await read_body(request, SignInRequest, MAX_SIGN_IN_BYTES)
        user = self._service.directory.users.get(sign_in.name)
        hashed = user.password if user is not None else NOBODYS_PASSWORD
        fits = await asyncio.to_thread(check_password, sign_in.password, hashed)
        if user is None or not fits:
            return problem(401, "bad_credentials", "name or password is wrong")
        directory, lifetime_s = self._service.directory, self._service.settings.token_lifetime_s
        # By the hash that was checked: a password that changed meanwhile must not get a token.
        token = make_token(user.name, hashed, now_ms() / 1000 + lifetime_s, directory.token_key)
        return json_response({"token": token, "user": {"name": user.name, "display_name": user.display_name}})
