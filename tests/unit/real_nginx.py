# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real nginx with the templates of doors and the edge, and what stands behind it, for the tests that ask it."""

from __future__ import annotations

import http.client
import http.server
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time
from typing import NamedTuple

import jinja2
from ansible.plugins.filter import core, urlsplit
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.edge import paths

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"
PLACES = (os.environ.get("PATH", ""), "/usr/sbin", str(ROLES.parent / ".cache" / "nginx" / "usr" / "sbin"))
NGINX = shutil.which("nginx", path=":".join(PLACES)) or "nginx: see tools/nginx.sh"
TYPES = "".join(f"{kind}_temp_path {kind};" for kind in "client_body proxy fastcgi scgi uwsgi".split()) + "#"
"""In place of what nginx's package has in folders of the system."""


class Asked(NamedTuple):
    """A request that reached what stands behind nginx."""

    method: str
    path: str
    headers: http.client.HTTPMessage
    body: bytes


class Behind(http.server.ThreadingHTTPServer):
    """What stands behind nginx: it writes down what it is asked, and knows one session."""

    daemon_threads = True

    def __init__(self, session_path=""):
        super().__init__(("127.0.0.1", 0), Answer)
        self.place = f"127.0.0.1:{self.server_port}"
        self.asked: list[Asked] = []
        self.session_path = session_path
        self.session_status = 0
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def answered(self):
        """Return what was asked beside the session."""
        return [one for one in self.asked if one.path != self.session_path]


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append(Asked(self.command, self.path, self.headers, body))
        status = 200
        if self.path == self.server.session_path and self.command == "GET":
            status = self.server.session_status or (200 if "good" in (self.headers["Cookie"] or "") else 401)
        if self.headers["Upgrade"] == "websocket":
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.end_headers()
            self.wfile.write(b"frame")
            time.sleep(float(self.headers["Held"] or 0))
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.send_header("Content-Security-Policy", "default-src *")
        self.send_header("Set-Cookie", "theirs=1")
        self.send_header("Set-Cookie", "long=" + "x" * int(self.headers["Long"] or 0))
        self.end_headers()
        self.wfile.write(b"ok" if self.command != "HEAD" else b"")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer

    def log_message(self, *_):
        pass


def rendered(name, **variables):
    """Return a role's template as Ansible would render it; a variable that is not given is an error."""
    environment = jinja2.Environment(
        trim_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True
    )
    environment.filters.update(
        bool=core.to_bool,
        regex_escape=core.regex_escape,
        hash=core.get_hash,
        urlsplit=urlsplit.FilterModule().filters()["urlsplit"],
    )
    text = (ROLES / name).read_text(encoding="utf-8")
    return environment.from_string(text).render(**variables)


def write_errors(folder, headers=""):
    """Write what nginx says by itself, at the edge with its headers."""
    text = rendered("nginx/templates/errors.j2", paths=paths.describe(), headers=headers)
    folder.joinpath("errors.conf").write_text(text, encoding="utf-8")


def unpackaged(text):
    """Return a configuration without what nginx's packages bring: the perl module, and folders of the system."""
    lines = [line for line in text.splitlines() if not line.startswith("load_module ")]
    return "\n".join(lines).replace("include /etc/nginx/mime.types", TYPES)


def write_door(folder, *doors, log="/dev/null", **given):
    """Write the configuration of doors, and an empty file for each part beside it.

    Args:
        log: the file in place of the journal.
    """
    usual = {
        "_gpuchat_nginx": {"user": "root", "perl_module": "perl.so", "authorities": "/ca.crt"},
        "door_body_limit": "1m",
        "door_stream_timeout": "30m",
        "_door_routes": [],
        "_door_paths": paths.describe(),
        "_door_bucket": "gpuchat-files",
        "_door_session_path": "",
        "_door_sockets": [],
        "_door_folder": str(folder),
    }
    text = unpackaged(rendered("door/templates/nginx.conf.j2", **{**usual, **given, "_door_all": doors}))
    text = text.replace("default_type", f"{TYPES}\n  default_type", 1)
    text = text.replace("syslog:server=unix:/dev/log,nohostname,tag=gpuchat_door", log)
    folder.joinpath("nginx.conf").write_text(text, encoding="utf-8")
    write_errors(folder)
    for name in ("key.conf", "store.conf", "sign_in.conf"):
        folder.joinpath(name).touch()


def nginx(folder, *more):
    """Return the exit status of nginx, and what it says; a pipe would stay open for as long as it runs."""
    said = folder / "said"
    command = [NGINX, "-e", said, "-p", folder, "-c", folder / "nginx.conf", "-g", f"pid {folder}/pid;", *more]
    with said.open("wb") as output:
        done = subprocess.run(command, stdout=output, stderr=output, check=False)
    return done.returncode, said.read_text(encoding="utf-8")


def start(folder):
    """Start nginx with the configuration in a folder."""
    status, said = nginx(folder)
    assert status == 0, said


def stop(folder, *servers):
    """Stop the nginx of a folder, and what stands behind it."""
    os.kill(int(folder.joinpath("pid").read_text(encoding="utf-8")), signal.SIGTERM)
    for one in servers:
        one.shutdown()
        one.server_close()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
