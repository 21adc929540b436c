# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that are broken for real are told of by name, all at once, and told of no more when they are put right.

A host's clock is that of its machine, which no test sets: what the node exporter says of it is changed on its way.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from planted import back, certificate, kept, written
from running import ROOT, Stack, wait
from test_1_monitoring import ENGINE, HOST, OTHER, firing, get, put

SILENCES = "http://127.0.0.1:9093/api/v2/silences"
DISK, LOOP = "/srv/small", "/root/small.img"
TLS = "/etc/gpuchat/edge/tls.crt"
SOCKETS = "/run/gpuchat-metrics"
AHEAD = f"""
import http.client, http.server, re, socket, socketserver
class Node(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("{SOCKETS}/true.sock")
class Handler(http.server.BaseHTTPRequestHandler):
    def address_string(self):
        return "door"
    def do_GET(self):
        node = Node("node")
        node.request("GET", self.path)
        text = node.getresponse().read()
        text = re.sub(rb"(?m)^node_time_seconds (\\S+)", lambda m: b"node_time_seconds %f" % (float(m[1]) + 60), text)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(text)
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
Server("{SOCKETS}/node.sock", Handler).serve_forever()
"""
"""It takes the place of the exporter's socket, and asks that one."""

LOOPS = "for one in $(seq 0 63); do [ -b /dev/loop$one ] || mknod /dev/loop$one b 7 $one; done"
BREAKS = {
    ("DiskFull", OTHER): (
        (
            f"{LOOPS}; truncate -s 64M {LOOP} && mkfs.ext4 -q {LOOP} && mkdir -p {DISK} && "
            f"mount -o loop {LOOP} {DISK} && "
            f"{{ dd if=/dev/zero of={DISK}/full bs=64k 2>/dev/null; true; }}"
        ),
        f"umount {DISK}; rm -f {LOOP}",
    ),
    ("CertificateEnding", HOST): (
        f"{kept(TLS)} && {written(TLS, certificate(-800, 2)[0])} && systemctl start gpuchat-state",
        f"{back(TLS)} && systemctl start gpuchat-state",
    ),
    ("ClockOff", OTHER): (
        (
            f"cd {SOCKETS} && mv node.sock true.sock && systemd-run --quiet --collect --unit=test-ahead python3 "
            f"/run/ahead.py && "
            "for one in 1 2 3 4 5 6 7 8 9; do [ -S node.sock ] && break; sleep 1; done; "
            "chown --reference=true.sock node.sock && chmod --reference=true.sock node.sock"
        ),
        f"systemctl stop test-ahead; cd {SOCKETS} && mv true.sock node.sock",
    ),
    ("EngineDown", OTHER): (f"docker stop {ENGINE}", f"docker start {ENGINE}"),
}


@pytest.fixture(scope="module", autouse=True)
def ahead(stack: Stack) -> Iterator[None]:
    put(stack, "/run/ahead.py", AHEAD, OTHER)
    yield
    stack.on(OTHER, "rm -f /run/ahead.py")


def test_what_is_broken_is_told_of_and_what_is_put_right_is_not(stack: Stack) -> None:
    names = {name for name, _host in BREAKS}

    def there() -> set[tuple[str, str]]:
        return {one for one in firing(stack) if one[0] in names}

    wait(lambda: not there(), 60, f"no alert of these before: {there()}")
    began, seen = time.monotonic(), {}
    try:
        for (_name, host), (breaks, _mends) in BREAKS.items():
            stack.on(host, breaks)
        while set(BREAKS) - set(seen):
            assert time.monotonic() < began + 90, f"{set(BREAKS) - set(seen)} not told of; there are {firing(stack)}"
            seen.update(dict.fromkeys(there() - set(seen), time.monotonic() - began))
            time.sleep(1)
    finally:
        for (_name, host), (_breaks, mends) in BREAKS.items():
            stack.on(host, mends, check=False)
    print({name: f"{seconds:.0f} s" for (name, _host), seconds in seen.items()})
    wait(lambda: not there(), 150, f"the end of these alerts: {there()}")


def silences(stack: Stack, work: str) -> list[dict[str, object]]:
    found = [one for one in get(stack, SILENCES) if one["comment"] == work]  # type: ignore[attr-defined]
    return [one for one in found if one["status"]["state"] != "expired"]


def test_a_drained_host_is_silent_until_it_is_back(stack: Stack) -> None:
    def drain(*words: str) -> str:
        command = [sys.executable, str(ROOT / "deploys" / "drain.py"), OTHER, "--force", "-i", str(stack.inventory)]
        return subprocess.run([*command, *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    def seconds_left() -> float:
        (one,) = silences(stack, f"work on {OTHER}")
        found = re.sub(r"\.\d+Z$", "", str(one["endsAt"]))
        return float(stack.on(HOST, f"echo $(($(date -u -d {found}Z +%s) - $(date +%s)))"))

    try:
        drain("--silence", "1", "--seconds", "30")
        (one,) = silences(stack, f"work on {OTHER}")
        assert 3000 < seconds_left() <= 3600
        (host,) = [each for each in one["matchers"] if each["name"] == "host"]  # type: ignore[attr-defined]
        assert host["value"] == OTHER
        # An engine that stands still there is an alert, and one that nobody is told of.
        stack.on(OTHER, f"docker stop {ENGINE}")
        held = "http://127.0.0.1:9093/api/v2/alerts?silenced=true&active=false&inhibited=false"
        wait(lambda: ("EngineDown", OTHER) in named(get(stack, held)), 60, "the silent alert")
    finally:
        stack.on(OTHER, f"docker start {ENGINE}", check=False)
        drain("--back", "--seconds", "240")
    assert seconds_left() <= 90


def named(alerts: object) -> set[tuple[str, str]]:
    return {(one["labels"]["alertname"], one["labels"].get("host", "")) for one in alerts}  # type: ignore[attr-defined]
