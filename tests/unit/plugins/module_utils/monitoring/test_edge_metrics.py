# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the edge's requests come to, whatever is sent."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import sources_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring import edge_metrics, textfile
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring.edge_metrics import Counts, Request

HEAD = b"<190>Nov 29 13:00:00 gpuchat_edge_metrics: "


def line(kind="chat", status="200", client="", sent=100, seconds=1.5, first="0.250"):
    return HEAD + json.dumps([kind, status, client, sent, seconds, first]).encode()


def said(counts):
    return [one for one in textfile.exposition(counts.families()).splitlines() if not one.startswith("#")]


@pytest.mark.parametrize(
    ("first", "seconds"),
    [("0.250", 0.25), ("", None), ("-", None), ("0.1, 0.3", 0.3), ("0.1 : 0.2, -", None), ("0.1 : 0.2", 0.2)],
)
def test_the_server_that_answered_last_says_when_it_began(first, seconds):
    assert edge_metrics.read(line(first=first)) == Request("chat", "200", "", 100, 1.5, seconds)


STRANGE = [
    b"",
    HEAD,
    HEAD + b"[",
    HEAD + b"[]",
    HEAD + b'["chat","200","",1,1]',
    HEAD + b'["chat","200","",1,1,"",1]',
    HEAD + b'["chat","20","",1,1,""]',
    HEAD + '["chat","\uff12\uff10\uff10","",1,1,""]'.encode(),
    HEAD + b'["chat","200","",-1,1,""]',
    HEAD + b'["chat","200","",1,-1,""]',
    HEAD + b'["chat","200","",1,Infinity,""]',
    HEAD + b'["chat","200","",1,NaN,""]',
    HEAD + b'["chat","200","",Infinity,1,""]',
    HEAD + b'["chat","200","",' + b"9" * 400 + b',1,""]',
    HEAD + b'["chat","200","",1,1e300,""]',
    HEAD + b'["chat","200","",1,1,"nan"]',
    HEAD + b'["chat","200","",1,1,"1e999"]',
    HEAD + b'["chat","200","",1,1,"x"]',
    HEAD + b"[" * 3000,
    HEAD + b'["chat","200","' + b"x" * 5000 + b'",1,1,""]',
    b"\xff" * 100 + b": [1]",
    b'{"time":"2026-11-29T13:00:00","path":"/: ["}',
]


@pytest.mark.parametrize("strange", STRANGE, ids=range(len(STRANGE)))
def test_what_is_no_line_of_the_edge_is_counted_as_such_and_nothing_else(strange):
    counts = Counts()
    counts.add(strange)
    assert (said(counts) == ["gpuchat_edge_unreadable_lines_total 1"]) == (edge_metrics.read(strange) is None)
    assert edge_metrics.read(strange) is None or edge_metrics.read(strange).first_byte is None


def test_requests_are_counted_by_kind_status_and_client():
    counts = Counts()
    for one in (line(), line(), line("api", "429", "team"), line("sign_in", "401", first="")):
        counts.add(one)
    found = said(counts)
    assert 'gpuchat_edge_requests_total{kind="chat",code="200",client=""} 2' in found
    assert 'gpuchat_edge_requests_total{kind="api",code="429",client="team"} 1' in found
    assert 'gpuchat_edge_request_seconds_bucket{kind="chat",le="1"} 0' in found
    assert 'gpuchat_edge_request_seconds_bucket{kind="chat",le="2.5"} 2' in found
    assert 'gpuchat_edge_request_seconds_sum{kind="chat"} 3' in found
    assert 'gpuchat_edge_first_byte_seconds_bucket{kind="chat",le="0.25"} 2' in found
    assert 'gpuchat_edge_sent_bytes_total{kind="chat"} 200' in found
    assert not [one for one in found if "first_byte" in one and "sign_in" in one]
    assert "gpuchat_edge_unreadable_lines_total 0" in found


def test_a_kind_that_the_edge_does_not_have_is_another():
    counts = Counts()
    counts.add(line("forged"))
    assert said(counts)[0] == 'gpuchat_edge_requests_total{kind="other",code="200",client=""} 1'


def test_the_number_of_series_is_bounded_whatever_comes():
    counts = Counts()
    for number in range(30_000):
        counts.add(line(edge_metrics.KINDS[number % 5], str(number % 1000).zfill(3), f"client{number % 977}"))
    found = [one for one in said(counts) if one.startswith("gpuchat_edge_requests_total")]
    assert len(found) <= edge_metrics.MOST_SERIES + 100
    assert sum(int(one.rpartition(" ")[2]) for one in found) == 30_000
    assert len({one.partition('client="')[2] for one in found if " " not in one}) <= edge_metrics.MOST_CLIENTS
    assert len(said(counts)) < edge_metrics.MOST_SERIES + 400


# The program, on sockets as systemd gives them.


STARTER = """\
import os, sys
os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"] = str(os.getpid()), "2"
os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4)
os.set_inheritable(3, True); os.set_inheritable(4, True)
os.execv(sys.executable, [sys.executable, "-I", sys.argv[3]])
"""


class Program:
    """The program as a host has it, and its sockets."""

    def __init__(self, folder):
        self.log, self.door = str(folder / "log.sock"), str(folder / "door.sock")
        for entry in sources_runner.program(str(folder / "program"), "monitoring.edge_metrics_runner"):
            place = pathlib.Path(entry["dest"])
            if entry.get("folder"):
                place.mkdir(parents=True, exist_ok=True)
            else:
                place.write_text(entry["content"], encoding="utf-8")
        lines, questions = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), socket.socket(socket.AF_UNIX)
        lines.bind(self.log)
        questions.bind(self.door)
        questions.listen()
        # Far from where they are to be put, and in the order in which nobody expects them.
        numbers = [os.dup(one.fileno()) for one in (lines, questions)]
        passed = [100, 101]
        for number, other in zip(numbers, passed, strict=True):
            os.dup2(number, other)
            os.close(number)
        words = [sys.executable, "-c", STARTER, *map(str, passed), str(folder / "program")]
        self.process = subprocess.Popen(words, pass_fds=passed)
        for other in passed:
            os.close(other)
        lines.close()
        questions.close()

    def ask(self, text="GET /metrics HTTP/1.0\r\n\r\n"):
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(20)
            asked.connect(self.door)
            asked.sendall(text.encode())
            return b"".join(iter(lambda: asked.recv(65536), b"")).decode()

    def until(self, words):
        end = time.monotonic() + 20
        while words not in (found := self.ask()):
            assert time.monotonic() < end, found
            time.sleep(0.05)
        return found

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def program():
    with tempfile.TemporaryDirectory(prefix="edge-") as folder:
        running = Program(pathlib.Path(folder))
        yield running
        running.stop()


def test_the_program_counts_what_it_is_sent_and_shows_it(program):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(program.log)
        for one in (line("files"), b"\x00", line("files", "404")):
            sender.send(one)
    found = program.until('kind="files",code="404",client=""} 1')
    assert found.startswith("HTTP/1.0 200")
    assert "Content-Type: text/plain; version=0.0.4" in found
    assert 'gpuchat_edge_requests_total{kind="files",code="200",client=""} 1' in found


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 404"),
        ("POST /metrics HTTP/1.0\r\n\r\n", "HTTP/1.0 501"),
        ("\r\n\r\n", ""),
    ],
)
def test_the_program_answers_one_question_alone(program, question, answer):
    assert program.ask(question).startswith(answer)


def test_a_flood_is_lost_and_holds_neither_sender_nor_whoever_asks(program):
    program.process.send_signal(19)  # stopped, as a program that cannot keep up
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.connect(program.log)
        lost = 0
        for _ in range(20_000):
            try:
                sender.send(line("other"))
            except BlockingIOError:
                lost += 1
        program.process.send_signal(18)
        assert lost > 10_000
        for _ in range(20_000):
            try:
                sender.send(line("other"))
            except BlockingIOError:
                lost += 1
    assert 'gpuchat_edge_requests_total{kind="other"' in program.until('kind="other"')
    memory = pathlib.Path(f"/proc/{program.process.pid}/status").read_text(encoding="utf-8")
    (resident,) = [int(one.split()[1]) for one in memory.splitlines() if one.startswith("VmRSS")]
    assert resident < 64 * 1024


def test_who_asks_and_says_nothing_holds_others_for_seconds_alone(program):
    silent = socket.socket(socket.AF_UNIX)
    silent.connect(program.door)
    assert program.ask().startswith("HTTP/1.0 200")
    silent.close()


def test_without_sockets_of_systemds_the_program_says_what_it_lacks(program, tmp_path):
    folder = pathlib.Path(program.log).parent / "program"
    done = subprocess.run([sys.executable, "-I", folder], capture_output=True, text=True, check=False)
    assert (done.returncode, "start its .socket unit" in done.stderr) == (2, True)
