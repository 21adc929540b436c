# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One engine over several hosts: what each of its ranks is told, and the program that keeps them together.

vLLM itself does not: a first host whose second one is gone serves on until somebody asks, and then hangs for minutes;
a second one whose first is gone waits for ever (v1/executor/multiproc_executor.py and entrypoints/cli/serve.py, 0.32).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import Refusal

BACKEND = "mp"
"""vLLM's ``distributed-executor-backend`` whose processes make one engine over hosts."""


@dataclass(frozen=True)
class Rank:
    """A host's part of an engine that stands on several.

    Attributes:
        hosts: all of them, by rank; the first leads and serves.
        addresses: at which they reach each other, by rank.
        port: at which vLLM's processes gather on the first host; at the next one its ranks meet.
        interface: the host's, that holds its address.
    """

    hosts: tuple[str, ...]
    rank: int
    addresses: tuple[str, ...]
    port: int
    interface: str = ""

    @property
    def address(self) -> str:
        return self.addresses[self.rank]

    @property
    def leads(self) -> bool:
        return self.rank == 0

    @property
    def meeting_port(self) -> int:
        return self.port + 1

    def args(self) -> dict[str, object]:
        """Return the options of vLLM by which it knows its place (``ParallelConfig`` of vllm/config/parallel.py)."""
        found: dict[str, object] = {
            "nnodes": len(self.hosts),
            "node-rank": self.rank,
            "master-addr": self.addresses[0],
            "master-port": self.port,
            "distributed-executor-backend": BACKEND,
        }
        return found if self.leads else {**found, "headless": True}

    def environment(self) -> dict[str, str]:
        """Return by which address and interface its processes talk: vLLM's queues, Gloo and NCCL each have their own.

        NCCL takes a name for the beginning of one, unless ``=`` stands before it.
        """
        by = {"GLOO_SOCKET_IFNAME": self.interface, "NCCL_SOCKET_IFNAME": f"={self.interface}"}
        return {"VLLM_HOST_IP": self.address, **by}

    def command(self, mark: str, socket: str) -> str:
        """Return the words before vLLM's own that keep the ranks together."""
        words = (self.rank, len(self.hosts), self.addresses[0], self.meeting_port, mark, socket)
        return f"python3 /etc/vllm/ranks.py {' '.join(map(str, words))} -- "


def read(given: Mapping[str, Any] | None, interfaces: Mapping[str, str]) -> Rank | None:
    """Return a host's part of an engine as the preflight describes it; None where the host has all of it.

    Args:
        interfaces: the host's, by the addresses that they hold.
    """
    if not given:
        return None
    addresses, rank = tuple(map(str, given["addresses"])), int(given["rank"])
    return Rank(
        tuple(map(str, given["hosts"])), rank, addresses, int(given["port"]), interfaces.get(addresses[rank], "")
    )


def mark(*parts: object) -> str:
    """Return a word for what all ranks of an engine have to have in common."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def interfaces(listed: object) -> dict[str, str]:
    """Return a host's interfaces by their IPv4 addresses, from ``ip -json address``."""
    return {
        str(part["local"]): str(one["ifname"])
        for one in (listed if isinstance(listed, list) else ())
        for part in one.get("addr_info", ())
        if part.get("family") == "inet"
    }


def check_interface(name: str, rank: Rank, there: Mapping[str, str]) -> None:
    """Refuse a host of which no interface holds the address at which the other ranks look for it.

    Args:
        there: the host's interfaces by their addresses.

    Raises:
        Refusal: none does.
    """
    if not rank.interface:
        found = ", ".join(f"{address} ({one})" for address, one in there.items() if one != "lo") or "none"
        raise Refusal(
            f"found the addresses {found} on this host, and that {name} is to reach it at {rank.address}; wanted an "
            "interface of it that holds that address; set gpuchat_private_address of this host to one of its own"
        )


def check_all_there(name: str, rank: Rank, here: Sequence[str], forks: int) -> None:
    """Refuse to start an engine's ranks where not all of them would start.

    Args:
        here: hosts that a run reaches at the same time.
        forks: how many of them it works on at a time.

    Raises:
        Refusal: a host of the engine is left out, or would wait for a turn that another rank holds.
    """
    missing = [host for host in rank.hosts if host not in here]
    if missing:
        raise Refusal(
            f"found that {name} is to start anew on {', '.join(rank.hosts)}, and that this run leaves out or has lost "
            f"{', '.join(missing)}; wanted all of them at once, for each waits for the others; nothing of it was "
            "stopped; run without --limit, with all of them reachable"
        )
    if forks < len(here):
        raise Refusal(
            f"found that {name} is to start anew on {', '.join(rank.hosts)}, and that this run works on {forks} of its "
            f"{len(here)} hosts at a time; wanted all at once, for each rank waits for the others; set --forks "
            f"{len(here)}"
        )


def check_ports(name: str, rank: Rank, given: str, opened: tuple[int, ...]) -> None:
    """Refuse a host whose kernel gives other ports than the packet filter keeps for the ranks.

    Args:
        given: what net.ipv4.ip_local_port_range says.
        opened: first and last of those that are open between the ranks.

    Raises:
        Refusal: it gives others.
    """
    first, last = (int(word) for word in given.split())
    if first < opened[0] or last > opened[1]:
        raise Refusal(
            f"found net.ipv4.ip_local_port_range {first} {last} on this host; wanted ports from {opened[0]} to "
            f"{opened[1]}, which are open between the hosts of {name} ({', '.join(rank.hosts)}) and closed to all "
            f"others; set it by sysctl to {opened[0]} {opened[1]}"
        )


PROGRAM = '''\
# Made by gpuchat; changes are lost in the next run.
"""Keeps the ranks of one engine together: ranks.py RANK COUNT HEAD PORT MARK SOCKET -- COMMAND...

Rank 0 waits until all others have come, and then all start their part at once. From then on each sees whether the
others are there, and ends its own part where one is not, so that its supervisor starts it anew, to wait for them again.
Those after rank 0 answer /health at SOCKET, as rank 0 does by itself: 200 as long as rank 0 says so.
"""
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time

BEAT, SILENCE, LAST = 2.0, 30.0, 10.0
"""Seconds: between two words, without one until a rank counts as gone, and for a part to end by itself."""

at = sys.argv.index("--")
own, count, head, port, mark, path = sys.argv[1:at]
own, count, port = int(own), int(count), int(port)
command = sys.argv[at + 1 :]
state = {"well": False, "child": None, "ends": False}


def say(text):
    print(f"(gpuchat, rank {own} of {count}) {text}", flush=True)


def stop(number, _frame):
    state["ends"] = True
    if state["child"] is None:
        sys.exit(128 + number)
    state["child"].send_signal(number)


def finish(code, why=""):
    """End this rank's part, and with it this program."""
    if why:
        say(why)
    child = state["child"]
    if child is not None and child.poll() is None:
        child.terminate()
        try:
            child.wait(LAST)
        except subprocess.TimeoutExpired:
            child.kill()
    os._exit(code)


def start():
    say("all ranks are here; starting vLLM")
    state["child"] = subprocess.Popen(command)


def ended():
    """Return whether this rank's part has ended, and end with it."""
    code = state["child"].poll()
    if code is not None:
        # One whose worker has died ends as if all were well.
        finish(0 if state["ends"] else abs(code) or 1, f"vLLM has ended here, status {code}")


def is_well():
    """Return whether the engine answers, as rank 0 sees it."""
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(5)
            one.connect(path)
            one.sendall(b"GET /health HTTP/1.0\\r\\n\\r\\n")
            return b" 200 " in one.recv(64)
    except OSError:
        return False


def look():
    while True:
        state["well"] = is_well()
        time.sleep(BEAT)


def words_of(one):
    """Return the whole lines that a connection holds, None where it has ended."""
    try:
        text = one["socket"].recv(4096)
    except (BlockingIOError, socket.timeout):
        return []
    except OSError:
        return None
    if not text:
        return None
    one["heard"] = time.monotonic()
    *lines, one["rest"] = (one["rest"] + text).split(b"\\n")
    return [line.decode(errors="replace").split() for line in lines] if len(one["rest"]) < 4096 else None


def tell(one, *words):
    try:
        one["socket"].sendall(" ".join(map(str, words)).encode() + b"\\n")
    except OSError:
        one["heard"] = 0.0


def wrapped(connection):
    connection.settimeout(5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return {"socket": connection, "rest": b"", "heard": time.monotonic(), "rank": 0}


def lead():
    server = socket.socket(socket.AF_INET)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    while True:
        try:
            server.bind((head, port))
            break
        except OSError as error:
            say(f"found that {head}:{port} cannot be listened at ({error}); wanted it free; trying again")
            time.sleep(BEAT)
    server.listen(count * 4)
    known = selectors.DefaultSelector()
    known.register(server, selectors.EVENT_READ, None)
    ranks, others, beat = {}, [], 0.0
    said = ""

    def lost(one, why):
        known.unregister(one["socket"])
        one["socket"].close()
        if one in others:
            others.remove(one)
        elif ranks.get(one["rank"]) is one:
            del ranks[one["rank"]]
            if state["child"] is not None:
                finish(1, f"rank {one['rank']} {why}; all ranks start anew")

    while True:
        missing = [number for number in range(1, count) if number not in ranks]
        if state["child"] is None and not missing:
            for one in ranks.values():
                tell(one, "go")
            start()
            threading.Thread(target=look, daemon=True).start()
        elif state["child"] is None and said != repr(missing):
            said = repr(missing)
            say(f"waiting at {head}:{port} for rank {', '.join(map(str, missing))}")
        for key, _mask in known.select(0.5):
            if key.data is None:
                one = wrapped(server.accept()[0])
                others.append(one)
                known.register(one["socket"], selectors.EVENT_READ, one)
                continue
            one = key.data
            if one not in others and ranks.get(one["rank"]) is not one:
                continue  # it was closed just now
            lines = words_of(one)
            if lines is None:
                lost(one, "is gone")
                continue
            for line in lines:
                if line[:1] != ["rank"] or len(line) != 3 or one["rank"]:
                    continue
                number = int(line[1]) if line[1].isdecimal() else 0
                if not 0 < number < count:
                    continue
                if line[2] != mark:
                    say(f"found rank {number} with the settings {line[2][:16]}, wanted {mark}; waiting for such a one")
                    tell(one, "other", mark)
                    continue
                if number in ranks and state["child"] is not None:
                    finish(1, f"rank {number} has started anew; all ranks start anew")
                if number in ranks:
                    lost(ranks[number], "has come again")
                one["rank"] = number
                others.remove(one)
                ranks[number] = one
        now = time.monotonic()
        if now - beat >= BEAT:
            beat = now
            for one in list(ranks.values()):
                tell(one, "well" if state["well"] else "here")
        for one in [*ranks.values(), *others]:
            if now - one["heard"] > SILENCE:
                lost(one, f"says nothing for {SILENCE:.0f} s")
        if state["child"] is not None:
            ended()


def answer():
    """Answer /health at this rank's socket, and nothing else."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(16)
    while True:
        one = server.accept()[0]
        with one:
            try:
                one.settimeout(5)
                asked = one.recv(4096).split()[1:2]
                word = b"200 OK" if state["well"] else b"503 Service Unavailable"
                word = word if asked == [b"/health"] else b"404 Not Found"
                one.sendall(b"HTTP/1.1 " + word + b"\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
            except OSError:
                pass


def follow():
    threading.Thread(target=answer, daemon=True).start()
    said = ""
    while True:
        try:
            one = wrapped(socket.create_connection((head, port), 5))
            break_at = meet(one)
        except OSError as error:
            break_at = f"found no rank 0 at {head}:{port} ({error}); wanted it there; trying again"
        if said != break_at:
            said = break_at
            say(said)
        time.sleep(BEAT)


def meet(one):
    """Stay with rank 0; return why it was left, where that was before all ranks had come."""
    tell(one, "rank", own, mark)
    one["socket"].settimeout(0.5)
    beat = 0.0
    while True:
        lines = words_of(one)
        now = time.monotonic()
        gone = "is gone" if lines is None else ""
        if now - one["heard"] > SILENCE:
            gone = f"says nothing for {SILENCE:.0f} s"
        if gone and state["child"] is not None:
            finish(1, f"rank 0 {gone}; all ranks start anew")
        if gone:
            one["socket"].close()
            return f"rank 0 at {head}:{port} {gone}; trying again"
        for line in lines:
            if line[:1] == ["other"]:
                one["socket"].close()
                return f"found rank 0 with other settings ({line[1:]}), wanted {mark}; trying again"
            if line == ["go"] and state["child"] is None:
                start()
            state["well"] = line == ["well"]
        if now - beat >= BEAT:
            beat = now
            tell(one, "here")
        if state["child"] is not None:
            ended()


signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
lead() if own == 0 else follow()
'''
