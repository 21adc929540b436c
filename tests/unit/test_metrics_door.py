# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real nginx with the door's own template shows of a host, and to whom."""

from __future__ import annotations

import http.client
import pathlib
import socket
import socketserver
import ssl
import subprocess
import tempfile
import threading
import time

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.metrics import Source

from .real_nginx import Answer, free_port, start, stop, write_door

MONITORING, OTHER = "watcher", "front"
NAMES = {"node": "/metrics/node", "engine": "/metrics/engine/qwen"}
NAME = "metrics.gpuchat.internal"
NO_DOOR = {"addresses": [], "tls": False, "files": {}, "upstream": {}, "tools": []}
"""What doors of another kind have."""


class Exporter(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """What listens behind the door: it writes down what it is asked."""

    daemon_threads = True
    session_path = ""

    def __init__(self, path):
        super().__init__(str(path), Answer)
        self.asked = []
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def get_request(self):
        return super().get_request()[0], ("exporter", 0)


class Door:
    """A running door in front of exporters."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.exporters = {job: Exporter(folder / f"{job}.sock") for job in NAMES}
        signed_by("ca", folder, MONITORING, OTHER, "host")
        signed_by("foreign", folder, "stranger", name=MONITORING)
        sources = [Source(job, path, f"unix:{folder}/{job}.sock", "/metrics").as_dict() for job, path in NAMES.items()]
        sources.append(Source("nginx", "/metrics/nginx", f"unix:{folder}/none.sock", "/metrics").as_dict())
        shown = {"kind": "metrics", "address": "127.0.0.1", "port": self.port, "hosts": [MONITORING]}
        write_door(folder, {**NO_DOOR, **shown, "sources": sources}, log=f"{folder}/log")
        folder.joinpath("hosts.crt").write_bytes(folder.joinpath("ca.crt").read_bytes())
        start(folder)

    def ask(self, path, method="GET", shows=MONITORING, body=None, headers=(), version=None):
        """Return the status and the body of an answer; what was asked before is forgotten."""
        for one in self.exporters.values():
            one.asked.clear()
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        context.check_hostname = False
        if version:
            context.maximum_version = version
        if shows:
            context.load_cert_chain(self.folder / f"{shows}.crt", self.folder / f"{shows}.key")
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port)
            connection.sock = context.wrap_socket(plain, server_hostname=NAME)
            connection.request(method, path, body=body, headers=dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()

    @property
    def asked(self):
        return [(job, one.path) for job, server in self.exporters.items() for one in server.asked]

    def stop(self):
        stop(self.folder, *self.exporters.values())


def signed_by(authority, folder, *files, name=""):
    """Make an authority, and a certificate of its for each file, which bears the file's name or the one given."""

    def openssl(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, cwd=folder)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *curve, "-keyout", f"{authority}.key", "-out", f"{authority}.crt", "-subj", "/CN=authority")
    for one in files:
        openssl("req", *curve, "-keyout", f"{one}.key", "-out", "request", "-subj", f"/CN={name or one}")
        signed = ("-CA", f"{authority}.crt", "-CAkey", f"{authority}.key", "-CAcreateserial", "-out", f"{one}.crt")
        openssl("x509", "-req", "-in", "request", *signed)


@pytest.fixture(scope="module")
def door():
    with tempfile.TemporaryDirectory(prefix="door-") as name:
        running = Door(pathlib.Path(name))
        yield running
        running.stop()


@pytest.mark.parametrize("job", NAMES)
def test_the_monitoring_host_is_shown_what_the_host_has_to_show(door, job):
    assert door.ask(NAMES[job]) == (200, b"ok")
    assert door.asked == [(job, "/metrics")]


@pytest.mark.parametrize(
    ("shows", "status"),
    [
        pytest.param(OTHER, 403, id="another host of the stack"),
        pytest.param("", 400, id="nobody in particular"),
        pytest.param("stranger", 400, id="somebody with the name, of another authority"),
    ],
)
@pytest.mark.parametrize("path", ["/metrics/node", "/metrics/engine/qwen", "/"])
def test_nobody_else_is_shown_anything(door, shows, status, path):
    assert door.ask(path, shows=shows)[0] == status
    assert door.asked == []


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/metrics",
        "/metrics/",
        "/metrics/node/",
        "/metrics/node/../../v1/models",
        "/metrics/node%2f..%2f..%2fv1/models",
        "/metrics/node;/v1/models",
        "/metrics/NODE",
        "//metrics/node",
        "/metrics//node",
        "/metrics/engine",
        "/metrics/engine/",
        "/metrics/engine/qwen/",
        "/metrics/engine/qwen/v1/models",
        "/metrics/engine/other",
        "/metrics/node?collect[]=cpu",
        "/metrics/engine/qwen?name[]=x",
        "/v1/models",
        "/models.json",
        "/nginx.conf",
        "/debug/pprof/",
    ],
)
def test_no_other_path_leads_anywhere(door, path):
    assert door.ask(path)[0] == 404
    assert door.asked == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PROPFIND"])
def test_no_other_method_leads_anywhere(door, method):
    assert door.ask("/metrics/engine/qwen", method)[0] == 405
    assert door.asked == []


def test_a_dot_in_a_path_leads_where_the_plain_path_does_and_is_not_handed_on(door):
    assert door.ask("/metrics/./x/../%6eode")[0] == 200
    assert door.asked == [("node", "/metrics")]


@pytest.mark.parametrize("body", [b"words", iter([b"wo", b"rds"])], ids=["of a length", "in chunks"])
def test_neither_a_body_nor_a_header_but_the_forms_wanted_is_handed_on(door, body):
    headers = {"Accept": "text/plain", "Authorization": "Bearer x", "Cookie": "a=b", "X-Request-Id": "x"}
    assert door.ask("/metrics/engine/qwen", body=body, headers=headers)[0] == 200
    (asked,) = door.exporters["engine"].asked
    assert asked.body == b""
    assert {name.lower(): value for name, value in asked.headers.items()} == {
        "host": "localhost",
        "accept": "text/plain",
        "accept-encoding": "identity",
    }


def test_a_large_body_is_refused(door):
    assert door.ask("/metrics/node", body=b"x" * 2048)[0] == 413
    assert door.asked == []


def test_an_exporter_that_does_not_run_is_said_to_be_missing(door):
    assert door.ask("/metrics/nginx")[0] == 503


def test_an_older_tls_is_not_spoken(door):
    with pytest.raises((ssl.SSLError, OSError)):
        door.ask("/metrics/node", version=ssl.TLSVersion.TLSv1_2)


def test_plain_http_is_refused(door):
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=10)
    connection.request("GET", "/metrics/node")
    assert connection.getresponse().status == 400
    connection.close()


def test_what_succeeds_is_not_logged_and_what_fails_is(door):
    """A line is written once its request is over, which is after the answer."""
    log = door.folder / "log"
    before = log.read_text().count('"status":403')
    door.ask("/metrics/node")
    door.ask("/metrics/node", shows=OTHER)
    end = time.monotonic() + 10
    while log.read_text().count('"status":403') == before:
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.02)
    assert '"status":200' not in log.read_text()
