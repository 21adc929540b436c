# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One engine over several hosts: what its ranks are told, when they start, and that all end where one is gone."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.engines import ranks

HOSTS, ADDRESSES = ("gpu0", "gpu1"), ("10.0.0.1", "10.0.0.2")
SPAN = {"hosts": list(HOSTS), "addresses": list(ADDRESSES), "port": 29501}
LISTED = [
    {"ifname": "lo", "addr_info": [{"family": "inet", "local": "127.0.0.1"}]},
    {
        "ifname": "eth1",
        "addr_info": [{"family": "inet6", "local": "fe80::1"}, {"family": "inet", "local": "10.0.0.2"}],
    },
    {"ifname": "down"},
]


def rank(number, interface="eth1"):
    return ranks.Rank(HOSTS, number, ADDRESSES, 29501, interface)


# --- What a rank is told ---------------------------------------------------------------------------------------------


def test_the_first_host_leads_and_serves_and_the_others_answer_nobody():
    common = {"nnodes": 2, "master-addr": "10.0.0.1", "master-port": 29501, "distributed-executor-backend": "mp"}
    assert rank(0).args() == {**common, "node-rank": 0}
    assert rank(1).args() == {**common, "node-rank": 1, "headless": True}


def test_a_rank_talks_by_the_interface_of_its_private_address_alone():
    assert ranks.read({**SPAN, "rank": 1}, ranks.interfaces(LISTED)).environment() == {
        "VLLM_HOST_IP": "10.0.0.2",
        "GLOO_SOCKET_IFNAME": "eth1",
        "NCCL_SOCKET_IFNAME": "=eth1",  # without the sign, eth10 would do
    }


def test_a_host_that_has_all_of_an_engine_has_no_rank():
    assert ranks.read({}, {}) is None


def test_ranks_have_one_mark_where_nothing_of_theirs_differs():
    one = ranks.mark(HOSTS, "vllm:1", "abc", {"max-model-len": 4096})
    assert one == ranks.mark(HOSTS, "vllm:1", "abc", {"max-model-len": 4096})
    assert one != ranks.mark(HOSTS, "vllm:1", "abc", {"max-model-len": 8192})


# --- What is refused before anything stops ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refused", "wanted"),
    [
        pytest.param(
            lambda: ranks.check_interface("big", rank(0, ""), ranks.interfaces(LISTED)),
            ("10.0.0.2 (eth1)", "10.0.0.1", "gpuchat_private_address"),
            id="an address that is not the host's",
        ),
        pytest.param(
            lambda: ranks.check_all_there("big", rank(0), ["gpu0"], 5),
            ("leaves out", "gpu1", "--limit"),
            id="a host that the run leaves out",
        ),
        pytest.param(
            lambda: ranks.check_all_there("big", rank(0), ["gpu0", "gpu1", "gpu2"], 2),
            ("2 of its 3", "--forks 3"),
            id="fewer forks than hosts",
        ),
        pytest.param(
            lambda: ranks.check_ports("big", rank(0), "1024\t65535\n", (32768, 60999)),
            ("1024 65535", "32768 to 60999", "sysctl"),
            id="ports of the kernel that are not open",
        ),
    ],
)
def test_a_start_that_cannot_come_to_its_end_is_refused(refused, wanted):
    with pytest.raises(Refusal) as said:
        refused()
    for word in (*wanted, "found", "wanted"):
        assert word in str(said.value)


def test_what_is_as_it_has_to_be_is_not_refused():
    ranks.check_interface("big", rank(1), ranks.interfaces(LISTED))
    ranks.check_all_there("big", rank(1), ["gpu1", "gpu0"], 2)
    ranks.check_ports("big", rank(1), "32768\t60999\n", (32768, 60999))


# --- The program that keeps them together ----------------------------------------------------------------------------

QUICK = ("BEAT, SILENCE, LAST = 2.0, 30.0, 10.0", "BEAT, SILENCE, LAST = 0.2, 3.0, 1.0")

ENGINE = """
import socket, sys, time
print("vLLM runs", flush=True)
if sys.argv[1] == "serves":
    server = socket.socket(socket.AF_UNIX)
    server.bind(sys.argv[2])
    server.listen()
    while True:
        one = server.accept()[0]
        one.recv(999)
        one.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n")
        one.close()
time.sleep(60)
"""


class Ranks:
    """Two ranks on the loopback, each with an engine that does nothing but answer /health where it serves."""

    def __init__(self, folder):
        assert QUICK[0] in ranks.PROGRAM
        self.folder, self.running = folder, {}
        (folder / "ranks.py").write_text(ranks.PROGRAM.replace(*QUICK))
        (folder / "engine.py").write_text(ENGINE)
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = str(one.getsockname()[1])

    def start(self, number, mark="abc"):
        path = self.folder / f"{number}.sock"
        path.unlink(missing_ok=True)
        words = [str(number), "2", "127.0.0.1", self.port, mark, str(path), "--", sys.executable]
        words += [str(self.folder / "engine.py"), "serves" if number == 0 else "follows", str(path)]
        log = (self.folder / f"{number}.log").open("a")
        self.running[number] = subprocess.Popen(
            [sys.executable, str(self.folder / "ranks.py"), *words], stdout=log, stderr=log, start_new_session=True
        )

    def said(self, number):
        return (self.folder / f"{number}.log").read_text()

    def health(self, number, path=b"/health"):
        try:
            with socket.socket(socket.AF_UNIX) as one:
                one.settimeout(2)
                one.connect(str(self.folder / f"{number}.sock"))
                one.sendall(b"GET " + path + b" HTTP/1.0\r\n\r\n")
                return one.recv(64).split()[1].decode()
        except OSError:
            return ""

    def wait(self, condition, what):
        end = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < end, f"{what}\n{self.said(0)}\n{self.said(1)}"
            time.sleep(0.05)

    def wait_for_health(self):
        self.wait(lambda: self.health(0) == self.health(1) == "200", "both are healthy")

    def ends(self, number):
        self.running[number].wait(20)
        return self.running[number].returncode

    def kill(self, number):
        os.killpg(self.running[number].pid, signal.SIGKILL)
        self.running[number].wait()

    def close(self):
        for one in self.running.values():
            if one.poll() is None:
                os.killpg(one.pid, signal.SIGKILL)
            one.wait()


@pytest.fixture
def two(tmp_path):
    one = Ranks(tmp_path)
    (tmp_path / "0.log").touch()
    (tmp_path / "1.log").touch()
    yield one
    one.close()


@pytest.mark.parametrize("first", [0, 1])
def test_no_rank_starts_before_all_are_there_and_each_is_healthy_when_the_first_one_is(two, first):
    two.start(first)
    two.wait(lambda: "waiting" in two.said(0) or "found no rank 0" in two.said(1), "the first one waits")
    assert "vLLM runs" not in two.said(first)
    assert two.health(first) in ("", "503")
    two.start(1 - first)
    two.wait_for_health()
    assert two.health(1, b"/v1/models") == "404"


@pytest.mark.parametrize("killed", [0, 1])
def test_a_rank_that_is_gone_ends_the_others_and_they_start_together_again(two, killed):
    two.start(0)
    two.start(1)
    two.wait_for_health()
    two.kill(killed)
    assert two.ends(1 - killed) == 1
    assert f"rank {killed} is gone; all ranks start anew" in two.said(1 - killed)
    two.start(1 - killed)
    two.start(killed)
    two.wait_for_health()


@pytest.mark.parametrize("stopped", [0, 1])
def test_a_rank_that_says_nothing_counts_as_gone(two, stopped):
    two.start(0)
    two.start(1)
    two.wait_for_health()
    two.running[stopped].send_signal(signal.SIGSTOP)
    assert two.ends(1 - stopped) == 1
    assert f"rank {stopped} says nothing for 3 s" in two.said(1 - stopped)


def test_an_engine_that_ends_as_if_all_were_well_ends_its_rank_as_a_failure(two):
    """So it does where its worker has died."""
    (two.folder / "engine.py").write_text("import time; time.sleep(1)")
    two.start(0)
    two.start(1)
    assert {two.ends(0), two.ends(1)} == {1}


def test_ranks_with_other_settings_wait_for_each_other_and_say_so(two):
    two.start(0, mark="abc")
    two.start(1, mark="xyz")
    two.wait(lambda: "other settings" in two.said(1), "the second one says so")
    assert "wanted abc" in two.said(0)
    assert "vLLM runs" not in two.said(0) + two.said(1)
    two.kill(1)
    two.start(1, mark="abc")
    two.wait_for_health()


def test_a_rank_that_is_told_to_end_ends_its_engine_first_and_well(two):
    (two.folder / "engine.py").write_text(
        ENGINE.replace(
            "import socket", "import signal; signal.signal(signal.SIGTERM, lambda *_: exit(0))\nimport socket"
        )
    )
    two.start(0)
    two.start(1)
    two.wait_for_health()
    two.running[1].send_signal(signal.SIGTERM)
    assert two.ends(1) == 0
    assert two.ends(0) == 1


def test_a_rank_that_waits_ends_when_it_is_told(two):
    two.start(0)
    two.wait(lambda: "waiting" in two.said(0), "it waits")
    two.running[0].send_signal(signal.SIGTERM)
    assert two.ends(0) == 128 + signal.SIGTERM


def test_who_says_something_else_is_no_rank(two):
    two.start(0)
    two.wait(lambda: "waiting" in two.said(0), "it waits")
    with socket.create_connection(("127.0.0.1", int(two.port))) as one:
        one.sendall(b"GET / HTTP/1.1\r\n\r\nrank x abc\nrank 7 abc\nrank 0 abc\n")
        with contextlib.suppress(ConnectionError):  # what was not read when it hung up resets the connection
            one.sendall(b"x" * 5000)
            assert one.recv(1) == b""
    two.start(1)
    two.wait_for_health()
