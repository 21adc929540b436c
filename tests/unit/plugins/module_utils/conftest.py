# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the runners share: a host whose commands are a table, and HTTP servers on the loopback."""

from __future__ import annotations

import http.server
import os
import threading
import time

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host


@pytest.fixture
def state_directory(tmp_path, monkeypatch):
    """Keep records under ``tmp_path``, and leave owners alone where the tests do not run as root."""
    folder = tmp_path / "state"
    monkeypatch.setattr(host, "STATE_DIRECTORY", str(folder))
    if os.getuid() != 0:
        monkeypatch.setattr(os, "fchown", lambda *_: None)
    return folder


class Commands:
    """Stands in for ``host.run``: answers by the first entry whose words begin the command, and remembers all."""

    def __init__(self):
        self.answers = {}
        self.made = []

    def answer(self, words, stdout="", rc=0, stderr=""):
        """Set what a command leaves; a function as ``stdout`` is asked each time."""
        self.answers[words] = (rc, stdout, stderr)

    def __call__(self, command, timeout=600, environment=None):
        line = " ".join(command)
        self.made.append(line)
        rc, stdout, stderr = next((left for words, left in self.answers.items() if line.startswith(words)), (0, "", ""))
        return host.Output(rc, stdout() if callable(stdout) else stdout, stderr)

    def that(self, *verbs):
        """Return the commands that hold one of some words, in their order."""
        return [line for line in self.made if set(line.split()) & set(verbs)]


@pytest.fixture
def commands(monkeypatch):
    fake = Commands()
    monkeypatch.setattr(host, "run", fake)
    return fake


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by the server's ``routes``: (method, path) to a function that gets the handler."""

    protocol_version = "HTTP/1.1"

    def _serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        self.server.asked.append((self.command, self.path, dict(self.headers.items())))
        route = self.server.routes.get((self.command, self.path.partition("?")[0]))
        if route is None:
            self.say(404, b'{"error": {"message": "no such path", "type": "invalid_request_error"}}')
        else:
            route(self)

    do_GET = do_HEAD = do_POST = _serve

    def say(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def stream(self, events, pause):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for event in events:
            self.wfile.write(f"data: {event}\n\n".encode())
            self.wfile.flush()
            time.sleep(pause)
        self.close_connection = True

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.routes = {}
        self.asked = []

    @property
    def place(self):
        return f"127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def server():
    with Server() as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield one
        one.shutdown()
        thread.join()
