"""A swarm against a target that others shy away from: on IPv6, behind TLS with a certificate of its own."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from swarm_process import swarm_in, write_plan
from tls_front import behind_tls, certificate

from calls.targets.admin_api import TOKEN_VARIABLE
from calls.targets.own_service import start_own_service
from calls.targets.trust import CA_FILE_VARIABLE

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this kernel has no IPv6"),
]


async def test_a_swarm_calls_over_ipv6_and_tls(tmp_path: Path) -> None:
    pem, context = certificate(tmp_path, name="::1")
    service = await asyncio.to_thread(
        lambda: start_own_service(tmp_path / "db.sqlite", tmp_path / "service.log", host="::1")
    )
    try:
        async with behind_tls(service.url, context) as url:
            assert url.startswith("https://[::1]:")
            with swarm_in(tmp_path) as swarm:
                plan = write_plan(tmp_path, people=14, calls=2)
                swarm.start(
                    "--headless", "--only-summary", "--plan", str(plan), "--run-folder", str(swarm.run),
                    "--target", url,
                    env={TOKEN_VARIABLE: service.admin_token, CA_FILE_VARIABLE: str(pem)},
                )  # fmt: skip
                await asyncio.to_thread(swarm.wait_for, lambda second: second["completed"] >= 1)
                swarm.master.send_signal(signal.SIGINT)
                assert await asyncio.to_thread(swarm.wait) == 130, swarm.log()[-3000:]
                legs = swarm.legs()
    finally:
        await asyncio.to_thread(service.process.stop)
    heard = [leg for leg in legs if leg["outcome"] == "completed"]
    assert heard, legs


async def test_a_swarm_says_which_certificate_it_does_not_trust(tmp_path: Path) -> None:
    _, context = certificate(tmp_path)
    service = await asyncio.to_thread(lambda: start_own_service(tmp_path / "db.sqlite", tmp_path / "service.log"))
    try:
        async with behind_tls(service.url, context) as url:
            with swarm_in(tmp_path) as swarm:
                plan = write_plan(tmp_path, people=14, calls=2, hold_s=3)
                swarm.start(
                    "--headless", "--only-summary", "--plan", str(plan), "--run-folder", str(swarm.run),
                    "--target", url, env={TOKEN_VARIABLE: service.admin_token, CA_FILE_VARIABLE: ""},
                )  # fmt: skip
                assert await asyncio.to_thread(swarm.wait) == 5
                assert "is not trusted" in swarm.log()
                assert CA_FILE_VARIABLE in swarm.log()
    finally:
        await asyncio.to_thread(service.process.stop)
