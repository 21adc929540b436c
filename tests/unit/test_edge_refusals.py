# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real nginx with the edge's templates says to who is refused: the form, the headers, and how much was taken."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import pathlib
import re
import socket
import tempfile
import time

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat import room

from .real_nginx import ROLES, free_port, start, stop
from .test_edge_ways import KINDS, SESSION, Edge, variables, write

OWNER = "sk-0123abcd-" + "k" * 43
LISTING = "/v1/models"
HEADERS = ("X-Content-Type-Options", "Referrer-Policy", "Content-Security-Policy")


class Keyed(Edge):
    """An edge that knows one key, in front of an interface."""

    def __init__(self, folder, kind, **site):
        digest = base64.urlsafe_b64encode(hashlib.md5(OWNER.encode()).digest()).decode().rstrip("=")
        key = {"id": "0123abcd", "link": digest, "client": "api_key"}
        super().__init__(folder, kind, given={"_edge_api_keys": [key]}, **site)


@pytest.fixture(scope="module", params=sorted(KINDS))
def keyed(request):
    with tempfile.TemporaryDirectory(prefix="edge-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        edge = Keyed(folder, request.param)
        yield edge
        edge.stop()


@pytest.mark.parametrize("word", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_a_key_is_known_however_its_first_word_is_written(keyed, word):
    assert keyed.ask("GET", LISTING, Authorization=f"{word} {OWNER}")[0] == 200


@pytest.mark.parametrize("shown", ["", f"Bearer {OWNER[:-1]}x", f"Basic {OWNER}", f"Bearer  {OWNER}", OWNER])
def test_who_shows_no_right_key_is_told_in_openais_form_with_all_headers(keyed, shown):
    status, headers, text = keyed.ask("GET", LISTING, **({"Authorization": shown} if shown else {}))
    assert status == 401
    assert json.loads(text)["error"]["type"] == "authentication_error"
    assert headers["Content-Type"] == "application/json"
    assert headers["WWW-Authenticate"] == "Bearer"
    assert [name for name in HEADERS if name not in headers] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/webapi/plugin/gateway"), ("POST", "/webapi/nothing"), ("GET", "/api/nothing"), ("GET", "/pause")],
)
def test_what_the_edge_itself_answers_to_programs_is_no_page(keyed, method, path):
    status, headers, text = keyed.ask(method, path)
    assert status in (401, 404)
    assert "error" in json.loads(text)
    assert headers["Content-Type"] == "application/json"
    assert [name for name in HEADERS if name not in headers] == []
    assert not keyed.interface.answered


KEY = f"Host: x\r\nAuthorization: Bearer {OWNER}\r\n"
MALFORMED = [
    ("no request at all", "x\r\n\r\n", 400),
    ("no host", f"GET {LISTING} HTTP/1.1\r\n\r\n", 400),
    ("two hosts", f"GET {LISTING} HTTP/1.1\r\nHost: y\r\n{KEY}\r\n", 400),
    ("two lengths", f"POST /v1/completions HTTP/1.1\r\n{KEY}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}", 400),
    ("a length that is none", f"POST /v1/completions HTTP/1.1\r\n{KEY}Content-Length: x\r\n\r\n{{}}", 400),
    (
        "a length of two kinds",
        f"POST /v1/completions HTTP/1.1\r\n{KEY}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    ("a zero byte", f"GET {LISTING} HTTP/1.1\r\n{KEY}X: a\0b\r\n\r\n", 400),
    ("a coding that is not spoken", f"POST /v1/completions HTTP/1.1\r\n{KEY}Transfer-Encoding: gzip\r\n\r\n", 501),
    ("a version that is not spoken", f"GET {LISTING} HTTP/3.0\r\n{KEY}\r\n", 505),
    ("a long address", f"GET {LISTING}?{'x' * 40_000} HTTP/1.1\r\n{KEY}\r\n", 414),
    ("a long header", f"GET {LISTING} HTTP/1.1\r\n{KEY}X: {'x' * 40_000}\r\n\r\n", 400),
    ("another method", f"PUT {LISTING} HTTP/1.1\r\n{KEY}Content-Length: 0\r\n\r\n", 405),
    ("a method of no path", f"CONNECT {LISTING} HTTP/1.1\r\n{KEY}\r\n", 405),
    ("a method of nobody", f"TRACE {LISTING} HTTP/1.1\r\n{KEY}\r\n", 405),
    ("a part that is not there", f"GET {LISTING} HTTP/1.1\r\n{KEY}Range: bytes=999-\r\n\r\n", 416),
    ("another one than it is", f'GET {LISTING} HTTP/1.1\r\n{KEY}If-Match: "x"\r\n\r\n', 412),
    (
        "an older one than it is",
        f"GET {LISTING} HTTP/1.1\r\n{KEY}If-Unmodified-Since: Mon, 01 Jan 2001 00:00:00 GMT\r\n\r\n",
        412,
    ),
    ("a place of the edge's own", f"GET /.early_400 HTTP/1.1\r\n{KEY}\r\n", 404),
    ("where keys are asked for", f"GET /.key HTTP/1.1\r\n{KEY}\r\n", 404),
]
"""What nginx itself answers to, most of it before it knows which path is meant."""


@pytest.mark.parametrize(("request_text", "status"), [one[1:] for one in MALFORMED], ids=[one[0] for one in MALFORMED])
def test_each_error_of_nginxs_own_stands_in_openais_form(keyed, request_text, status):
    with socket.create_connection(("127.0.0.1", keyed.port), timeout=5) as asking:
        asking.sendall(request_text.encode("latin-1"))
        answer = http.client.HTTPResponse(asking)
        answer.begin()
        text = answer.read()
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/json")
    assert json.loads(text)["error"]["code"] == status
    assert [name for name in HEADERS if name not in answer.headers] == []


def asked_by_a_page(origins, method="OPTIONS", path=LISTING, key="", **headers):
    """Return an answer of an edge that lets pages of some origins ask."""
    with tempfile.TemporaryDirectory(prefix="edge-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        edge = Keyed(folder, "lobehub", origins=origins)
        try:
            shown = {"Authorization": f"Bearer {key}"} if key else {}
            return edge.ask(method, path, **headers, **shown)
        finally:
            edge.stop()


PAGE, OTHER = "https://app.example.com", "https://other.example.com"
WANTED = "authorization,content-type,x-stainless-os"
BROWSERS = [
    ("a page that is named asks before", [PAGE], "OPTIONS", LISTING, "", PAGE, 204, PAGE),
    ("and gets an answer", [PAGE], "GET", LISTING, OWNER, PAGE, 200, PAGE),
    ("a page that is named twice", [PAGE, PAGE], "GET", LISTING, OWNER, PAGE, 200, PAGE),
    ("or is told what is wrong with its key", [PAGE], "GET", LISTING, "", PAGE, 401, PAGE),
    ("another page asks before", [PAGE], "OPTIONS", LISTING, "", OTHER, 401, None),
    ("another page has a key", [PAGE], "GET", LISTING, OWNER, OTHER, 200, None),
    ("a page that only looks alike", [PAGE], "OPTIONS", LISTING, "", f"{PAGE}.evil.example", 401, None),
    ("any page, where all may", ["*"], "OPTIONS", LISTING, "", OTHER, 204, "*"),
    ("a program, where all pages may", ["*"], "GET", LISTING, OWNER, "", 200, None),
    ("a program's OPTIONS, where all pages may", ["*"], "OPTIONS", LISTING, "", "", 401, None),
    ("a page, where none may", [], "OPTIONS", LISTING, "", PAGE, 401, None),
    ("a page that would see the chat", ["*"], "GET", "/", "", OTHER, 200, None),
    ("a page that would use the chat", ["*"], "OPTIONS", "/webapi/chat/vllm", "", OTHER, 405, None),
]


@pytest.mark.parametrize(
    ("origins", "method", "path", "key", "origin", "status", "allowed"),
    [one[1:] for one in BROWSERS],
    ids=[one[0] for one in BROWSERS],
)
def test_pages_of_the_origins_that_are_named_may_ask_the_api(origins, method, path, key, origin, status, allowed):
    told = {"Origin": origin, "Access-Control-Request-Headers": WANTED} if origin else {}
    found, headers, _text = asked_by_a_page(origins, method, path, key, **told)
    assert (found, headers["Access-Control-Allow-Origin"]) == (status, allowed)
    assert "Access-Control-Allow-Credentials" not in headers
    if status == 204:
        assert headers["Access-Control-Allow-Headers"] == WANTED
        assert headers["Access-Control-Allow-Methods"] == "GET, POST"


@pytest.mark.parametrize("path", ["/", "/index.html", LISTING, "/v1/chat/completions", "/webapi/x", "/api/x", "/x"])
def test_nobody_without_a_session_or_key_sends_a_large_body_anywhere(keyed, path):
    try:
        status = keyed.ask("POST", path, body=b"x" * 50_000_000)[0]
    except (BrokenPipeError, ConnectionResetError):
        status = 413  # the edge has ended the connection in the middle of it
    assert status in (401, 404, 405, 413)
    assert not keyed.interface.answered


SIGNING = {"lobehub": ["/api/auth/sign-in/email", "/api/auth/sign-out"], "open_webui": ["/api/v1/auths/signout"]}


def test_what_is_open_before_signing_in_takes_no_large_body(keyed):
    for path in SIGNING[keyed.kind]:
        assert keyed.ask("POST", path, body=b"x" * 900_000)[0] == 413
        assert not keyed.interface.asked
        assert keyed.ask("POST", path, body=b"x" * 60_000)[0] == 200


def test_who_has_no_session_is_told_so_before_the_body_is_taken(keyed):
    path = {"lobehub": "/webapi/chat/vllm", "open_webui": "/api/v1/files/"}[keyed.kind]
    for length in (b"Content-Length: 900000", b"Transfer-Encoding: chunked"):
        with socket.create_connection(("127.0.0.1", keyed.port), timeout=5) as asking:
            asking.sendall(b"POST %s HTTP/1.1\r\nHost: chat.example.com\r\n%s\r\n\r\n" % (path.encode(), length))
            assert asking.recv(100).startswith(b"HTTP/1.1 401 ")


def test_the_interface_sees_a_body_when_it_is_there(keyed):
    path = {"lobehub": "/webapi/chat/vllm", "open_webui": "/api/v1/files/"}[keyed.kind]
    keyed.interface.asked.clear()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nCookie: {SESSION[keyed.kind]}\r\nContent-Length: 9\r\n\r\n"
    with socket.create_connection(("127.0.0.1", keyed.port), timeout=5) as asking:
        asking.sendall(head.encode() + b"first")
        time.sleep(0.5)
        assert not keyed.interface.answered
        asking.sendall(b"last")
        assert asking.recv(100).startswith(b"HTTP/1.1 200 ")
    assert keyed.interface.answered[0].body == b"firstlast"


LOGGED = [
    ("/api/auth/reset-password/aToken123?callbackURL=x", "/api/auth/reset-password/..."),
    ("/api/auth/reset-password/a%0aToken123", "/api/auth/reset-password/..."),
    (f"/v1/{OWNER}/models", "/v1/..."),
    (f"/f/x%0a{OWNER}", "/f/x\n..."),
    (f"/{OWNER.upper()}", "/..."),
    ("/api/auth/reset-password", "/api/auth/reset-password"),
    ("/agent/sk-x?topic=y", "/agent/sk-x"),
]


@pytest.fixture(scope="module")
def logs():
    """The port of an edge, and the file in which it writes down its requests."""
    with tempfile.TemporaryDirectory(prefix="edge-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        given = variables(folder, free_port(), room.describe("lobehub", KINDS["lobehub"], "closed"), "127.0.0.1:9")
        write(folder, given)
        file = folder / "nginx.conf"
        text = file.read_text(encoding="utf-8")
        assert text.count("access_log off; #") == 1
        file.write_text(text.replace("access_log off; #", f"access_log {folder}/log edge; #"), encoding="utf-8")
        start(folder)
        yield given["edge_http_port"], folder / "log"
        stop(folder)


@pytest.mark.parametrize(("path", "logged"), LOGGED)
def test_what_proves_somebody_in_a_path_is_not_logged(logs, path, logged):
    port, log = logs
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    asking.request("GET", path, headers={"Host": "chat.example.com"})
    asking.getresponse().read()
    asking.close()
    deadline = time.monotonic() + 5
    while not (lines := log.read_text(encoding="utf-8").splitlines()) and time.monotonic() < deadline:
        time.sleep(0.02)
    log.write_text("", encoding="utf-8")
    assert [json.loads(line)["path"] for line in lines] == [logged]


def test_a_door_logs_paths_as_the_edge_does():
    edge, door = (ROLES.joinpath(role, "templates", "nginx.conf.j2").read_text("utf-8") for role in ("edge", "door"))
    (logged,) = re.findall(r"^  map \$uri \$logged_path {\n.*?^  }\n", edge, re.DOTALL | re.MULTILINE)
    assert logged in door
    assert '"path":"$logged_path"' in door


def test_a_deep_link_of_who_is_new_leads_on_when_they_have_signed_in(keyed):
    link = (
        "/signin?callbackUrl=https%3A%2F%2Fchat.example.com%2Fagent%2Fx" if keyed.kind == "lobehub" else "/c/deep?x=1"
    )
    assert keyed.ask("GET", link)[0] == 200
    (asked,) = keyed.interface.asked
    assert asked.path == link
