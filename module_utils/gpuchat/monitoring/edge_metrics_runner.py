# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts the edge's requests: takes nginx's lines from one socket, and shows the counts at another, both of systemd's.

nginx never waits for it: a line for which there is no room is lost.
"""

from __future__ import annotations

import contextlib
import http.server
import os
import socket
import sys
import threading
from collections.abc import Sequence

from . import edge_metrics, textfile
from .edge_metrics import Counts

FIRST = 3
"""The number of the first socket that systemd hands over (sd_listen_fds(3))."""
TYPE = "text/plain; version=0.0.4; charset=utf-8"
PATH = "/metrics"
WAIT_SECONDS = 5
"""How long whoever asks may take for its question, and to take the answer."""
ROOM = 1 << 20
"""Bytes of lines that may wait, as far as the kernel allows it."""


def main(_words: Sequence[str]) -> int:
    sockets = given()
    logs = [one for one in sockets if one.type == socket.SOCK_DGRAM]
    doors = [one for one in sockets if one.type == socket.SOCK_STREAM]
    if len(logs) != 1 or len(doors) != 1:
        sys.stderr.write(
            "found no sockets of systemd's; wanted one for lines and one for questions; start its .socket unit\n"
        )
        return 2
    counts, lock = Counts(), threading.Lock()
    server = Server(doors[0], counts, lock)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    take(logs[0], counts, lock)
    return 0


def given() -> list[socket.socket]:
    """Return the sockets that systemd has handed over."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    numbers = range(FIRST, FIRST + int(os.environ.get("LISTEN_FDS") or 0))
    return [socket.socket(fileno=number) for number in numbers]


def take(log: socket.socket, counts: Counts, lock: threading.Lock) -> None:
    """Count lines for as long as the socket is open."""
    log.setblocking(True)
    log.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
    while True:
        try:
            line = log.recv(edge_metrics.LONGEST_LINE + 1)
        except OSError:
            return
        with lock:
            counts.add(line)


class Server(http.server.HTTPServer):
    """Answers one question after another, on a socket that is there."""

    address_family = socket.AF_UNIX

    def __init__(self, door: socket.socket, counts: Counts, lock: threading.Lock) -> None:
        super().__init__(("", 0), Asked, bind_and_activate=False)
        self.socket.close()
        self.socket = door
        self.counts, self.lock = counts, lock

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, _address = self.socket.accept()
        return connection, ("", 0)

    def handle_error(self, *_about: object) -> None:
        """Say nothing of whoever hangs up."""


class Asked(http.server.BaseHTTPRequestHandler):
    """A question for the metrics."""

    server: Server
    timeout = WAIT_SECONDS

    def do_GET(self) -> None:
        if self.path != PATH:
            self.send_error(404)
            return
        with self.server.lock:
            families = self.server.counts.families()
        body = textfile.exposition(families).encode()
        self.send_response(200)
        self.send_header("Content-Type", TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Leave the journal to others."""
