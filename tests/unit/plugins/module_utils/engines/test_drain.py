# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When an engine answers nobody any more, by what the kernel lists of its sockets."""

from __future__ import annotations

import pathlib
import socket

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.engines import drain, drain_runner, engines
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.engines.drain import Quiet

HEAD = "Num       RefCount Protocol Flags    Type St Inode Path\n"
LISTENS = f"0000000000000000: 00000002 00000000 00010000 0001 01 476018 {engines.SOCKET}\n"
ACCEPTED = f"0000000000000000: 00000003 00000000 00000000 0001 03 476021 {engines.SOCKET}\n"
WAITS = f"0000000000000000: 00000003 00000000 00000000 0001 02     0 {engines.SOCKET}\n"
NAMELESS = "0000000000000000: 00000003 00000000 00000000 0001 03 11636\n"
OTHER = "0000000000000000: 00000003 00000000 00000000 0001 03 11637 /run/other.sock\n"


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        pytest.param("", 0, id="no socket at all"),
        pytest.param(LISTENS, 0, id="it listens"),
        pytest.param(LISTENS + ACCEPTED, 1, id="one request"),
        pytest.param(LISTENS + ACCEPTED + WAITS, 2, id="one that is not accepted yet"),
        pytest.param(LISTENS + NAMELESS + OTHER, 0, id="connections of others"),
    ],
)
def test_requests_are_counted_by_their_connections(rows, count):
    assert drain.connections(HEAD + rows, {engines.SOCKET, ""}) == count


def test_the_kernel_says_so(tmp_path):
    path = str(tmp_path / "one.sock")

    def count():
        return drain.connections(pathlib.Path("/proc/net/unix").read_text(), {path})

    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        assert count() == 0
        client.connect(path)
        assert count() == 1
        accepted, _address = server.accept()
        with accepted:
            assert count() == 1
        assert count() == 0


def test_quiet_is_over_when_nobody_came_for_a_while():
    quiet = Quiet().after({"a": 1, "b": 0}, 10)
    assert (quiet.is_over(100), quiet.words()) == (False, "1 to a")
    quiet = quiet.after({"a": 0, "b": 0}, 11)
    assert not quiet.is_over(11.5)
    quiet = quiet.after({"a": 0, "b": 0}, 12.9)
    assert not quiet.is_over(12.9)
    assert quiet.is_over(13)


def test_who_comes_late_begins_it_anew():
    quiet = Quiet().after({"a": 0}, 10).after({"a": 1}, 11).after({"a": 0}, 11.5)
    assert not quiet.is_over(12.5)
    assert quiet.is_over(13.5)


class Engines:
    """Containers by their process, whose sockets are in ``proc``, on a clock that only sleep moves."""

    def __init__(self, proc):
        self.proc, self.now, self.plan = proc, 0.0, {}

    def runs(self, process, *plan):
        """Have a container run; ``plan`` says from which second on how many are connected."""
        self.plan[process] = plan
        (self.proc / process / "net").mkdir(parents=True)
        self._write()

    def _write(self):
        for process, plan in self.plan.items():
            count = next((count for since, count in reversed(plan) if self.now >= since), 0)
            (self.proc / process / "net" / "unix").write_text(HEAD + LISTENS + ACCEPTED * count)

    def sleep(self, seconds):
        self.now += seconds
        self._write()


@pytest.fixture
def running(tmp_path, commands, monkeypatch):
    one = Engines(tmp_path)
    monkeypatch.setattr(drain_runner, "PROC", tmp_path)
    monkeypatch.setattr(drain_runner.time, "sleep", one.sleep)
    monkeypatch.setattr(drain_runner.time, "monotonic", lambda: one.now)
    commands.answer("docker inspect --format {{.State.Pid}} gpuchat-vllm-a", "101\n")
    commands.answer("docker inspect --format {{.State.Pid}} gpuchat-vllm-b", "102\n")
    commands.answer("docker inspect --format {{.State.Pid}} gpuchat-vllm-stopped", "0\n")
    commands.answer("docker inspect --format {{.State.Pid}} gpuchat-vllm-gone", rc=1, stderr="no such object")
    return one


def given(*names):
    return [{"name": name, "container": f"gpuchat-vllm-{name}", "socket": f"/var/{name}.sock"} for name in names]


def test_a_stream_is_waited_for_to_its_end(running):
    running.runs("101", (0, 2), (5, 1), (9, 0))
    result = drain_runner.wait(given("a"), ["a"], 120, check=False)
    assert (result["changed"], result["open"], result["msg"]) == (False, {"a": 0}, "no request is open")
    assert 11 <= result["seconds"] <= 12
    assert "warnings" not in result


def test_the_limit_ends_the_wait_and_tells_what_is_open(running):
    running.runs("101", (0, 3))
    running.runs("102")
    result = drain_runner.wait(given("a", "b"), ["a", "b"], 20, check=False)
    assert result["open"] == {"a": 3, "b": 0}
    assert running.now == 20
    assert "3 to a" in result["msg"]
    assert result["warnings"] == [result["msg"]]


def test_an_engine_that_stays_is_not_waited_for(running):
    running.runs("101")
    running.runs("102", (0, 5))
    assert drain_runner.wait(given("a", "b"), ["a"], 120, check=False)["open"] == {"a": 0}


def test_an_engine_that_does_not_run_answers_nobody(running):
    result = drain_runner.wait(given("stopped", "gone", "a"), ["stopped", "gone", "a"], 120, check=False)
    assert result["msg"] == "no request is open"
    assert running.now <= 3


def test_an_engine_without_a_container_is_looked_at_by_its_units_process(running, commands, monkeypatch):
    monkeypatch.setattr(drain_runner.service_runner, "program_for", lambda _name: "")
    commands.answer("systemctl show --property=MainPID --value gpuchat-vllm-a.service", "101\n")
    running.runs("101", (0, 2))
    assert drain_runner.wait(given("a"), ["a"], 120, check=True)["open"] == {"a": 2}


def test_check_mode_looks_once(running):
    running.runs("101", (0, 2))
    result = drain_runner.wait(given("a"), ["a"], 120, check=True)
    assert (result["msg"], running.now) == ("requests are open: 2 to a", 0)
