from __future__ import annotations

from pathlib import Path

import pytest

from ringfence.doctor.tuning import check_tuning


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    write(tmp_path, "sys/net/core/rmem_max", "4194304")
    write(tmp_path, "sys/net/ipv4/ip_local_port_range", "32768\t60999")
    write(tmp_path, "net/udp", "heading\n" + "one\n" * 10)
    write(tmp_path, "net/tcp", "heading\n" + "one\n" * 22)
    return tmp_path


def write(proc: Path, name: str, text: str) -> None:
    (proc / name).parent.mkdir(parents=True, exist_ok=True)
    (proc / name).write_text(text.rstrip() + "\n")


def test_a_machine_with_room_says_for_how_many_calls(proc: Path) -> None:
    buffers, ports = check_tuning(proc)
    assert buffers.ok
    assert ports.ok
    assert ports.detail == "32768 to 60999, 32 in use: room for 7050 calls"
    assert not buffers.tiers | ports.tiers, "a poor setting keeps no tier from running"


@pytest.mark.parametrize(
    ("name", "text", "finding", "fix"),
    [
        ("sys/net/core/rmem_max", "212992", "receive buffers", "sysctl -w net.core.rmem_max=2097152"),
        ("sys/net/ipv4/ip_local_port_range", "60000 60999", "ports", "net.ipv4.ip_local_port_range"),
        ("sys/net/netfilter/nf_conntrack_max", "1000", "connection tracking", "net.netfilter.nf_conntrack_max=12500"),
    ],
)
def test_a_setting_that_binds_comes_with_its_command(proc: Path, name: str, text: str, finding: str, fix: str) -> None:
    write(proc, "sys/net/netfilter/nf_conntrack_count", "500")
    write(proc, "sys/net/netfilter/nf_conntrack_max", "262144")
    write(proc, name, text)
    bad = [check for check in check_tuning(proc) if not check.ok]
    assert [check.name for check in bad] == [finding]
    assert fix in bad[0].fix


def test_what_cannot_be_read_is_not_judged(tmp_path: Path) -> None:
    assert check_tuning(tmp_path) == []
