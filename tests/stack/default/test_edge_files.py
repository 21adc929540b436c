# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that fails between the edge's files, or before it has taken them up, is finished by the next one."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from running import Stack

EDGE = "/etc/gpuchat/edge"
RECORD = "/var/lib/gpuchat"
EDGE_ALONE = ("--tags", "edge")


@pytest.fixture
def healed(stack: Stack) -> Iterator[Stack]:
    """The stack, whose edge is brought back to what the inventory says when the test is over."""
    yield stack
    stack.must_play(*EDGE_ALONE)


def digests(stack: Stack) -> tuple[str, str]:
    """Return the digests of the edge's files: of the set on disk, and of the set that it runs with."""
    on_disk = json.loads(stack.on("server", f"cat {RECORD}/files/edge.json"))["digest"]
    running = json.loads(stack.on("server", f"cat {RECORD}/services/gpuchat-edge.json"))["reload_digest"]
    return on_disk, running


def immutable(path: str, on: bool) -> str:
    """Return the command that sets or clears a file's immutable flag, as chattr does (ioctl_iflags(2))."""
    ioctl = f"fcntl.ioctl(open('{path}'), 0x40086602, struct.pack('l', {0x10 if on else 0}))"
    return f'python3 -c "import fcntl, struct; {ioctl}"'


def test_an_invalid_template_leaves_the_running_edge_alone_and_names_file_and_line(stack: Stack) -> None:
    before = stack.on("server", f"cat {EDGE}/nginx.conf")
    # By a name of the role's own, for what people set was judged before.
    no_rate = json.dumps({"_edge_chat_limits": {"rate": "often", "burst": 1, "connections": 1, "newcomers": 1}})
    done = stack.play(*EDGE_ALONE, "-e", no_rate)
    assert done.returncode != 0
    line = next(number for number, text in enumerate(before.splitlines(), 1) if "zone=chat_networks:10m" in text)
    said = " ".join((done.stdout + done.stderr).split())
    assert "invalid rate" in said
    assert f"in {EDGE}/nginx.conf:{line}" in said
    assert stack.on("server", f"cat {EDGE}/nginx.conf") == before
    assert stack.ask()[0] == 200


@pytest.mark.long
def test_a_file_that_cannot_be_replaced_leaves_the_whole_set_as_it_was(healed: Stack) -> None:
    changes = (*EDGE_ALONE, "-e", "edge_body_limit=49m", "-e", "edge_api_burst=41")
    healed.on("server", immutable(f"{EDGE}/api.conf", True))
    try:
        assert healed.play(*changes).returncode != 0
    finally:
        healed.on("server", immutable(f"{EDGE}/api.conf", False))
    assert "49m" not in healed.on("server", f"cat {EDGE}/nginx.conf")
    assert "burst=41" not in healed.on("server", f"cat {EDGE}/api.conf")
    assert healed.ask()[0] == 200
    assert "changed: [server]" in healed.must_play(*changes)
    assert "49m" in healed.on("server", f"cat {EDGE}/nginx.conf")
    assert "burst=41" in healed.on("server", f"cat {EDGE}/api.conf")
    on_disk, running = digests(healed)
    assert on_disk == running


@pytest.mark.long
def test_a_run_that_dies_between_files_and_restart_is_finished_by_the_next(healed: Stack) -> None:
    record = f"{RECORD}/services/gpuchat-edge.json"
    healed.on("server", f"cp -p {record} /root/record")
    healed.must_play(*EDGE_ALONE, "-e", "edge_api_burst=42")
    healed.on("server", f"mv /root/record {record}")  # as if the run had ended after the files
    on_disk, running = digests(healed)
    assert on_disk != running
    assert "the files of gpuchat-edge have changed since it started" in healed.must_play(
        *EDGE_ALONE, "-e", "edge_api_burst=42", "-v"
    )
    assert digests(healed) == (on_disk, on_disk)


def test_a_stop_that_meets_a_start_leaves_no_core_behind(healed: Stack) -> None:
    hit = "systemctl restart {0} & sleep 0.0{1}; systemctl stop {0}; wait"
    for unit in ("gpuchat-edge", "gpuchat-door"):
        healed.on("server", "; ".join(hit.format(unit, number % 10) for number in range(30)), check=False)
        said = f"systemctl restart {unit} && systemctl stop {unit}; systemctl is-failed {unit}; systemctl start {unit}"
        assert healed.on("server", said, check=False).split() == ["inactive"]
    assert healed.on("server", "ls -d /core*", check=False) == ""
    healed.wait_for_answer()
