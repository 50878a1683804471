"""How the process starts, and what it says when it cannot."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from service_process import Start, launch

pytestmark = pytest.mark.integration


async def refused(*arguments: str | Path) -> tuple[int, str]:
    process = await launch(*arguments)
    output, complaint = await process.communicate()
    assert output == b""
    assert process.returncode is not None
    return process.returncode, complaint.decode()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org", ""])
async def test_listens_on_no_address_but_loopback_and_links(tmp_path: Path, host: str) -> None:
    code, complaint = await refused("--host", host, "--database", tmp_path / "db.sqlite")
    assert code == 2
    assert "--host" in complaint.splitlines()[-1]
    assert not (tmp_path / "db.sqlite").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--port", "70000"),
        ("--port", "http"),
        ("--no-answer-s", "0"),
        ("--degradation", "maybe"),
        ("--lose-every-nth-answer", "-1"),
        ("--link-range", "8.8.8.0/24"),
        ("--link-range", "10.213.0.1/16"),
        ("--unknown",),
    ],
    ids=" ".join,
)
async def test_wrong_flags(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code, complaint = await refused("--database", tmp_path / "db.sqlite", *arguments)
    assert code == 2
    assert arguments[0] in complaint


async def test_port_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        code, complaint = await refused("--database", tmp_path / "db.sqlite", "--port", port)
    assert code == 5
    assert complaint.count("\n") == 1
    assert f"127.0.0.1:{port} is taken" in complaint


async def test_database_unusable(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("this is not a database, and long enough to be told from one" * 20)
    for database in (tmp_path / "folder", tmp_path / "text", Path("/proc/nowhere/db.sqlite"), tmp_path / "text" / "x"):
        code, complaint = await refused("--database", database)
        assert (code, complaint.count("\n")) == (5, 1), complaint
        assert str(database) in complaint


async def test_makes_the_folder_of_its_database(start: Start, tmp_path: Path) -> None:
    process = await launch("--database", tmp_path / "a" / "b" / "db.sqlite", "--host", "localhost")
    assert process.stdout is not None
    assert b'"event": "ready"' in await process.stdout.readline()
    process.terminate()
    await process.communicate()
    assert process.returncode == 0
    assert (tmp_path / "a" / "b" / "db.sqlite").exists()
