# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real nginx with the edge's own templates tells of its requests to who counts them."""

from __future__ import annotations

import contextlib
import http.client
import pathlib
import socket
import tempfile

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring import edge_metrics

from .test_edge_ways import Edge

FIRST = {"lobehub": ("POST", "/webapi/chat/vllm"), "open_webui": ("POST", "/api/chat/completions")}
SIGN_IN = {"lobehub": "/api/auth/sign-in/email", "open_webui": "/api/v1/auths/signin"}
STORE = {"lobehub": ("files", "200"), "open_webui": ("other", "404")}
"""As what a request for a file in a store counts: the one keeps people's files in it, and the other has none."""


@pytest.fixture(scope="module", params=["lobehub", "open_webui"])
def measured(request):
    """Return a running edge, and the socket to which it tells of its requests."""
    with tempfile.TemporaryDirectory(prefix="edge-") as name:
        pathlib.Path(name).chmod(0o755)
        log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        log.bind(f"{name}/log.sock")
        pathlib.Path(name, "log.sock").chmod(0o666)
        log.settimeout(10)
        edge = Edge(pathlib.Path(name), request.param, is_measured=True)
        yield edge, log
        edge.stop()
        log.close()


def told(log):
    return edge_metrics.read(log.recv(65536))


def test_each_request_is_told_by_its_kind_and_its_times(measured):
    edge, log = measured
    asked = [
        (*FIRST[edge.kind], True, ("chat", "200")),
        (*FIRST[edge.kind], False, ("chat", "401")),
        ("POST", SIGN_IN[edge.kind], False, ("sign_in", "200")),
        ("POST", "/v1/chat/completions", False, ("api", "401")),
        ("GET", "/v1/models", False, ("api", "401")),
        ("GET", "/", False, ("other", "200")),
        ("GET", "/nowhere/of/ours.php", False, ("other", "404")),
        ("GET", '/"],"chat","999', False, ("other", "404")),
    ]
    for method, path, session, wanted in asked:
        edge.ask(method, path, session, body=b"{}" if method == "POST" else None)
        found = told(log)
        assert (found.kind, found.status, found.client) == (*wanted, ""), (method, path)
        assert found.sent > 0
        assert (found.first_byte is not None) == bool(edge.interface.asked), path


def test_a_request_whose_kind_is_that_of_files_is_told_so(measured):
    edge, log = measured
    edge.ask("GET", "/gpuchat-files/a.png?X-Amz-Signature=" + "0a" * 32, True)
    found = told(log)
    assert (found.kind, found.status) == STORE[edge.kind]


def test_what_nginx_says_of_itself_is_had_at_its_socket_alone(measured):
    edge, _log = measured
    asked = http.client.HTTPConnection("edge", timeout=10)
    asked.sock = socket.socket(socket.AF_UNIX)
    asked.sock.connect(str(edge.folder / "status.sock"))
    asked.request("GET", "/status")
    assert b"Active connections: " in asked.getresponse().read()
    assert edge.ask("GET", "/status", True)[0] in (404, 200)
    assert not any(b"Active connections" in edge.ask("GET", path, True)[2] for path in ("/status", "/stub_status"))


def test_who_counts_holds_no_request_up_not_even_when_it_is_gone(measured):
    edge, log = measured  # the last of its tests: nobody counts from here on
    for _ in range(100):
        assert edge.ask("GET", "/")[0] == 200
    log.setblocking(False)
    waiting = 0
    with contextlib.suppress(BlockingIOError):
        while log.recv(65536):
            waiting += 1
    assert 0 < waiting <= 100
    log.close()  # what was connected to it is refused from now on
    assert [edge.ask("GET", "/")[0] for _ in range(3)] == [200] * 3
    (edge.folder / "log.sock").unlink()
    assert edge.ask("GET", "/")[0] == 200
