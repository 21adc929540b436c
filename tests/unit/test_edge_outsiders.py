# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real nginx with the templates of edge and door makes of bytes and keys that no browser sends."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import pathlib
import re
import socket
import ssl
import tempfile

import pytest

from .real_nginx import free_port, rendered, start, stop, write_door
from .test_edge_ways import KINDS, SESSION, Edge, certificate

PAGE = {"lobehub": "/signin", "open_webui": "/auth"}
GUARDED = {"lobehub": "/webapi/chat/vllm", "open_webui": "/api/chat/completions"}
CLOSED = {"lobehub": "/webapi/proxy", "open_webui": "/api/v1/retrieval/process/web"}
PATIENCE = 2
"""Seconds after which nothing more is expected; all rows wait beside each other."""


class Site(Edge):
    """A running edge by HTTPS, and the interface behind it, which writes down what it is asked."""

    def __init__(self, folder, kind):
        certificate(folder, "tls")
        self.plain_port = free_port()
        site = {"scheme": "https", "tls": "selfsigned", "strict_transport": True}
        super().__init__(folder, kind, given={"edge_http_port": self.plain_port}, **site)

    def connect(self, protocol):
        context = ssl._create_unverified_context()
        context.set_alpn_protocols([protocol])
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        one = context.wrap_socket(plain, server_hostname="chat.example.com")
        assert one.selected_alpn_protocol() == protocol
        return one

    def told(self, protocol, data):
        """Send bytes as they are; return all that comes back."""
        answer = b""
        with contextlib.suppress(TimeoutError, ConnectionError, ssl.SSLError), self.connect(protocol) as one:
            one.sendall(data)
            one.settimeout(PATIENCE)
            while not (protocol == "h2" and status_of(answer) is not None) and (piece := one.recv(65536)):
                answer += piece
        return answer


@pytest.fixture(scope="module", params=list(KINDS))
def site(request):
    with tempfile.TemporaryDirectory(prefix="edge-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        one = Site(folder, request.param)
        yield one
        one.stop()


def filled(site, text):
    words = {b"PAGE": PAGE, b"GUARDED": GUARDED, b"CLOSED": CLOSED, b"SESSION": SESSION}
    for word, by_kind in words.items():
        text = text.replace(word, by_kind[site.kind].encode())
    return text


HOST = b"Host: chat.example.com\r\n"
HIDDEN = b"GET /invocations HTTP/1.1\r\n" + HOST + b"\r\n"


def get(target, more=b"", host=HOST, method=b"GET", version=b"HTTP/1.1"):
    return method + b" " + target + b" " + version + b"\r\n" + host + more + b"\r\n"


def post(more, body, target=b"GUARDED"):
    return get(target, more, method=b"POST") + body


ONE = {
    "a page, which is not to be compressed": (get(b"PAGE", b"Accept-Encoding: gzip\r\n"), {200}),
    "a length and chunks": (post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + HIDDEN), {400}),
    "chunks twice": (
        post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + HIDDEN),
        {400},
    ),
    "chunks, and identity": (post(b"Transfer-Encoding: identity, chunked\r\n", b"0\r\n\r\n" + HIDDEN), {400, 501}),
    "chunks behind a tab": (post(b"Transfer-Encoding:\tchunked\r\n", b"0\r\n\r\n" + HIDDEN), {400, 401, 404, 501}),
    "chunks of an older protocol": (
        get(b"GUARDED", b"Transfer-Encoding: chunked\r\n", method=b"POST", version=b"HTTP/1.0") + b"0\r\n\r\n" + HIDDEN,
        {400},
    ),
    "a chunk's size with a sign": (post(b"Transfer-Encoding: chunked\r\n", b"+5\r\nhello\r\n0\r\n\r\n"), {400, 401}),
    "a chunk's size that overflows": (
        post(b"Transfer-Encoding: chunked\r\n", b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
        {400, 401, 413},
    ),
    "a chunk's end by a line feed": (post(b"Transfer-Encoding: chunked\r\n", b"0\n\n" + HIDDEN), {400, 401, 404}),
    "a length with a sign": (post(b"Content-Length: +5\r\n", b"hello" + HIDDEN), {400}),
    "a negative length": (post(b"Content-Length: -5\r\n", b"hello"), {400}),
    "a length in hexadecimal": (post(b"Content-Length: 0x5\r\n", b"hello"), {400}),
    "two lengths": (post(b"Content-Length: 0\r\nContent-Length: 80\r\n", HIDDEN), {400}),
    "two lengths in a line": (post(b"Content-Length: 0, 80\r\n", HIDDEN), {400}),
    "a length that is too large": (post(b"Content-Length: 9223372036854775808\r\n", b""), {400, 413}),
    "a body beside GET": (get(b"PAGE", b"Content-Length: %d\r\n" % len(HIDDEN)) + HIDDEN, {200, 413}),
    "two hosts": (get(b"PAGE", b"Host: evil.example.com\r\n"), {400}),
    "no host": (get(b"PAGE", host=b""), {400}),
    "a host with a path": (get(b"PAGE", host=b"Host: chat.example.com/../x\r\n"), {400}),
    "a host with an account": (get(b"PAGE", host=b"Host: chat.example.com@evil.example.com\r\n"), {400}),
    "a host with a space": (get(b"PAGE", host=b"Host: chat.example.com evil\r\n"), {400}),
    "a host with a zero byte": (get(b"PAGE", host=b"Host: chat.example.com\x00.evil\r\n"), {400}),
    "an absolute address of the site": (get(b"https://chat.example.comPAGE"), {200}),
    "an absolute address of another path": (get(b"http://127.0.0.1:8000/invocations"), {404}),
    "a tunnel": (get(b"127.0.0.1:8000", method=b"CONNECT"), {400, 405}),
    "an echo": (get(b"PAGE", b"X-Secret: a\r\n", method=b"TRACE"), {405}),
    "an asterisk": (get(b"*", method=b"OPTIONS"), {400, 404, 405}),
    "a space before the colon": (get(b"PAGE", b"X-Smuggled : 1\r\n"), {200, 400}),
    "a folded header": (get(b"PAGE", b"X: a\r\n X-Smuggled: 1\r\n"), {200, 400}),
    "a header with a zero byte": (get(b"PAGE", b"X: a\x00b\r\n"), {400}),
    "a header by a bare carriage return": (get(b"PAGE", b"X: a\rX-Smuggled: 1\r\n"), {200, 400}),
    "another protocol": (
        get(b"PAGE", b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: Upgrade, HTTP2-Settings\r\n"),
        {200},
    ),
    "a web socket where there is none": (
        get(b"PAGE", b"Upgrade: websocket\r\nConnection: Upgrade\r\nOrigin: https://evil.example.com\r\n"),
        {200},
    ),
    "a header that asks for others to be dropped": (
        get(b"GUARDED", b"Connection: close, Cookie, X-Forwarded-For\r\nCookie: SESSION\r\n", method=b"POST"),
        {200},
    ),
    "a method in place of another": (
        get(b"GUARDED", b"X-HTTP-Method-Override: POST\r\nX-Original-URL: CLOSED\r\n"),
        {401, 405},
    ),
    "dots": (get(b"PAGE/../..CLOSED"), {400, 404}),
    "encoded dots": (get(b"PAGE/%2e%2e/%2e%2eCLOSED"), {400, 404}),
    "dots, encoded twice": (get(b"PAGE/%252e%252e%252fCLOSED"), {404}),
    "an encoded slash": (get(b"PAGE%2f..%2f..CLOSED"), {400, 404}),
    "a backslash": (get(b"PAGE\\..\\..CLOSED"), {404}),
    "an encoded backslash": (get(b"PAGE%5c..%5c..CLOSED"), {404}),
    "an overlong encoding": (get(b"PAGE/%c0%ae%c0%ae/CLOSED"), {400, 404}),
    "a parameter in a path": (get(b"PAGE/..;CLOSED"), {404}),
    "a zero byte in a path": (get(b"PAGE%00CLOSED"), {400}),
    "a question mark that is encoded": (get(b"PAGE%3fx"), {404}),
    "a fragment": (get(b"CLOSED#PAGE"), {400, 404}),
    "a path with a dot at its end": (get(b"PAGE."), {404}),
    "a path with a space at its end": (get(b"PAGE%20"), {404}),
    "a path in other letters": (get(b"CLOSED".replace(b"CLOSED", b"/WEBAPI/PROXY")), {404}),
    "two slashes": (get(b"/CLOSED"), {404}),
    "lines in a path": (get(b"PAGE%0d%0aX-Smuggled:%201"), {404}),
    "lines in an argument": (get(b"PAGE?x=%0d%0aX-Smuggled:%201"), {200}),
    "bare lines in a path": (b"GET PAGE\nX-Smuggled: 1 HTTP/1.1\r\n" + HOST + b"\r\n", {0, 400}),
    "a request of HTTP 0.9": (b"GET PAGE\r\n", {0, 400}),
    "a second request behind the first": (get(b"PAGE") + HIDDEN, {200, 404}),
    "a second request in a body without a session": (post(b"Content-Length: %d\r\n" % len(HIDDEN), HIDDEN), {401}),
    # What nginx has not read when it ends the connection may cost its answer (a reset).
    "a line of 70 kB": (get(b"PAGE?" + b"a" * 70000), {0, 414}),
    "a header of 70 kB": (get(b"PAGE", b"X: " + b"a" * 70000 + b"\r\n"), {0, 400, 431}),
    "a thousand headers": (get(b"PAGE", b"".join(b"X-%d: a\r\n" % one for one in range(1500))), {200, 400}),
    "a session of a name that is longer": (get(b"GUARDED", b"Cookie: xSESSION\r\n", method=b"POST"), {401}),
    "a session in quotes of another": (get(b"GUARDED", b'Cookie: a="; SESSION"\r\n', method=b"POST"), {200, 401}),
    "a session in a header of the site's own": (
        get(b"GUARDED", b"X-Forwarded-Cookie: SESSION\r\n", method=b"POST"),
        {401},
    ),
}
"""What is sent by HTTP/1.1, and the statuses that may come back (0: none)."""


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def number(value, prefix):
    """Write a number as HPACK does (RFC 7541, 5.1)."""
    most = 2**prefix - 1
    if value < most:
        return bytes([value])
    value, told = value - most, [most]
    while value >= 128:
        told.append(value % 128 + 128)
        value //= 128
    return bytes([*told, value])


def headers(flags, fields):
    block = b"".join(b"\0" + number(len(name), 7) + name + number(len(value), 7) + value for name, value in fields)
    return frame(1, 4 | flags, 1, block)


def request(site, fields, body=None, trailers=None):
    """Return a connection of HTTP/2 with one request, its fields as they are."""
    told = [[(name, filled(site, value)) for name, value in one] for one in (fields, trailers or [])]
    data = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + headers(body is None, told[0])
    if body is not None:
        data += frame(0, trailers is None, 1, filled(site, body))
    return data + (headers(1, told[1]) if trailers else b"")


INDEXED = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}
"""Statuses in the table of RFC 7541, appendix A."""


def status_of(answer):
    """Return the status of a stream, 0 where it was reset or the connection ended without one; None: not there yet."""
    at, found = 0, None
    while at + 9 <= len(answer):
        length, kind = int.from_bytes(answer[at : at + 3], "big"), answer[at + 3]
        payload = answer[at + 9 : at + 9 + length]
        if kind in (3, 7) and found is None:
            return 0
        if kind == 1 and found is None:
            while payload[0] & 0xE0 == 0x20:  # a change of the table's size
                more = 1
                while payload[0] & 0x1F == 0x1F and payload[more] & 0x80:
                    more += 1
                payload = payload[more + (payload[0] & 0x1F == 0x1F) :]
            found = INDEXED[payload[0] & 0x7F] if payload[0] & 0x80 else int(payload[2:5])
        at += 9 + length
    return found


def fields(path=b"PAGE", method=b"GET", more=(), authority=b"chat.example.com", scheme=b"https"):
    told = [(b":method", method), (b":scheme", scheme), (b":authority", authority), (b":path", path)]
    return [*((name, value) for name, value in told if value is not None), *more]


OF_SESSION = (b"cookie", b"SESSION")
LINES = b"\r\nX-Smuggled: 1\r\n\r\nGET CLOSED HTTP/1.1\r\n"
TWO = {
    "a page": (fields(), {200}),
    "a question of somebody signed in": ((fields(b"GUARDED", b"POST", [OF_SESSION]), b"{}"), {200}),
    "a question of nobody": ((fields(b"GUARDED", b"POST"), b"{}"), {401}),
    "a closed path": ((fields(b"CLOSED", b"POST", [OF_SESSION]), b"{}"), {404}),
    "lines in a path": (fields(b"PAGE HTTP/1.1" + LINES), {0, 400}),
    "a space in a path": (fields(b"PAGE HTTP/1.1 CLOSED"), {0, 400, 404}),
    "a zero byte in a path": (fields(b"PAGE\0"), {0, 400}),
    "a path without a slash": (fields(b"CLOSED".replace(b"CLOSED", b"webapi/proxy")), {0, 400}),
    "an absolute address for a path": (fields(b"http://127.0.0.1:8000/invocations"), {0, 400, 404}),
    "an empty path": (fields(b""), {0, 400}),
    "no path": (fields(None), {0, 400}),
    "two paths": ([*fields(), (b":path", b"CLOSED")], {0, 400}),
    "two methods": ([*fields(), (b":method", b"POST")], {0, 400}),
    "two authorities": ([*fields(), (b":authority", b"evil.example.com")], {0, 400}),
    "an authority behind a header": ([(b"x", b"a"), *fields()], {0, 200, 400}),
    "a pseudo-header that is unknown": ([*fields(), (b":smuggled", b"a")], {0, 400}),
    "a status of a client's": ([*fields(), (b":status", b"200")], {0, 400}),
    "lines in a method": (fields(method=b"GET CLOSED HTTP/1.1" + LINES), {0, 400}),
    "lines in an authority": (fields(authority=b"chat.example.com" + LINES), {0, 400}),
    "lines in a scheme": (fields(scheme=b"https" + LINES), {0, 400}),
    "another scheme": (fields(scheme=b"file"), {0, 200, 400}),
    "lines in a header": (fields(more=[(b"x", b"a" + LINES)]), {0, 400}),
    "lines in a header's name": (fields(more=[(b"x" + LINES, b"a")]), {0, 200, 400}),
    "a colon in a header's name": (fields(more=[(b"x-smuggled: 1", b"a")]), {0, 200, 400}),
    "capital letters in a header's name": (fields(more=[(b"X-Smuggled", b"1")]), {0, 400}),
    "an empty name of a header": (fields(more=[(b"", b"1")]), {0, 200, 400}),
    "an authority and another host": (fields(more=[(b"host", b"evil.example.com")]), {0, 400}),
    "a host alone": (fields(authority=None, more=[(b"host", b"chat.example.com")]), {200}),
    "chunks": (
        (fields(b"GUARDED", b"POST", [(b"transfer-encoding", b"chunked"), OF_SESSION]), b"0\r\n\r\n" + HIDDEN),
        {0, 200, 400},
    ),
    "a length that is too short": (
        (fields(b"GUARDED", b"POST", [(b"content-length", b"2"), OF_SESSION]), b"{}" + HIDDEN),
        {0, 400},
    ),
    "a length that is too long": (
        (fields(b"GUARDED", b"POST", [(b"content-length", b"500"), OF_SESSION]), b"{}"),
        {0, 400},
    ),
    "two lengths": (
        (fields(b"GUARDED", b"POST", [(b"content-length", b"2"), (b"content-length", b"60"), OF_SESSION]), b"{}"),
        {0, 400},
    ),
    "a request in a body": ((fields(b"GUARDED", b"POST", [OF_SESSION]), HIDDEN), {200}),
    "headers of a connection": (
        (fields(b"GUARDED", b"POST", [(b"connection", b"cookie"), (b"upgrade", b"websocket"), OF_SESSION]), b"{}"),
        {0, 200, 400},
    ),
    "fields behind a body": (
        (fields(b"GUARDED", b"POST", [OF_SESSION]), b"{}", [(b"x-smuggled", b"1"), (b":path", b"CLOSED")]),
        {0, 200, 400},
    ),
    "dots": (fields(b"PAGE/../..CLOSED"), {400, 404}),
    "dots, encoded twice": (fields(b"PAGE/%252e%252e%252fCLOSED"), {404}),
    "a fragment": (fields(b"CLOSED#PAGE"), {0, 400, 404}),
    "a tunnel": ([(b":method", b"CONNECT"), (b":authority", b"127.0.0.1:8000")], {0, 400, 405}),
    "a header of 15 kB": (fields(more=[(b"x", b"a" * 15000)]), {0, 200, 400}),
}
"""What is sent by HTTP/2, and the statuses that may come back (0: the stream is reset, or the connection ended)."""


@pytest.fixture(scope="module")
def answers(site):
    """What comes back for each row, by protocol and name, and all that reached what is behind the edge meanwhile."""
    by_1 = {("http/1.1", name): filled(site, sent) for name, (sent, _statuses) in ONE.items()}
    by_2 = {
        ("h2", name): request(site, *(sent if isinstance(sent, tuple) else (sent,)))
        for name, (sent, _statuses) in TWO.items()
    }
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        asked = {row: pool.submit(site.told, row[0], data) for row, data in {**by_1, **by_2}.items()}
        found = {row: one.result() for row, one in asked.items()}
    return found, [*site.interface.asked, *site.files.asked]


PLAIN = {
    "a page": (get(b"PAGE"), 301),
    "no request at all": (b"x\r\n\r\n", 400),
    "no host": (get(b"PAGE", host=b""), 400),
    "a long address": (get(b"PAGE?" + b"a" * 40000), 414),
    "an echo": (get(b"PAGE", method=b"TRACE"), 405),
    "a large body": (get(b"PAGE", b"Content-Length: 99999999\r\n", method=b"POST"), 413),
    "a place of the edge's own": (get(b"/.early_400"), 404),
}
"""What is sent by plain HTTP, where the site is by HTTPS, and the status."""


@pytest.mark.parametrize("name", PLAIN)
def test_plain_http_says_in_openais_form_what_it_does_not_redirect(site, name):
    data, status = PLAIN[name]
    with socket.create_connection(("127.0.0.1", site.plain_port), timeout=5) as asking:
        asking.sendall(filled(site, data))
        answer = http.client.HTTPResponse(asking)
        answer.begin()
        text = answer.read()
    assert (answer.status, answer.headers["X-Content-Type-Options"]) == (status, "nosniff")
    assert "Strict-Transport-Security" not in answer.headers
    assert status == 301 or json.loads(text)["error"]["code"] == status


@pytest.mark.parametrize("name", ONE)
def test_every_answer_by_https_says_that_there_is_no_other_way(answers, name):
    answer = answers[0]["http/1.1", name]
    said = answer.count(b"\r\nStrict-Transport-Security: max-age=31536000\r\n")
    assert said == answer.count(b"HTTP/1.1 ")


@pytest.mark.parametrize("name", ONE)
def test_what_no_browser_sends_by_http_1_is_refused_or_has_no_effect(answers, name):
    answer = answers[0]["http/1.1", name]
    found = {int(one) for one in re.findall(rb"HTTP/1.1 (\d{3})", answer)} or {0}
    assert found <= ONE[name][1], answer[:300]


@pytest.mark.parametrize("name", TWO)
def test_what_no_browser_sends_by_http_2_is_refused_or_has_no_effect(answers, name):
    assert (status_of(answers[0]["h2", name]) or 0) in TWO[name][1]


def test_nothing_reaches_the_interface_but_what_the_edge_hands_on(site, answers):
    assert len(answers[1]) > 10
    for asked in answers[1]:
        path, cookies = asked.path.partition("?")[0], asked.headers["Cookie"] or ""
        allowed = {PAGE[site.kind], site.interface.session_path}
        if path not in allowed:
            assert (path, "good" in cookies) == (GUARDED[site.kind], True), asked
        assert path != PAGE[site.kind] or "Accept-Encoding" not in asked.headers, asked
        assert "X-Smuggled" not in asked.headers, asked
        assert asked.headers.get_all("Host") == ["chat.example.com"], asked
        assert asked.headers.get_all("X-Forwarded-For") == ["127.0.0.1"], asked


DOOR = {
    "kind": "engine",
    "address": "127.0.0.1",
    "hosts": [],
    "addresses": [],
    "answers": 0,
    "tls": False,
    "files": None,
    "upstream": None,
    "gives_key": False,
    "tools": [],
}
OLD, NEW = "an.old+key_of-16", "a~new/key=of-16-"


@pytest.fixture(scope="module")
def door():
    """The port of a door in front of an engine, on its own host, that knows a key and its predecessor."""
    with tempfile.TemporaryDirectory(prefix="door-") as name:
        folder, port = pathlib.Path(name), free_port()
        folder.chmod(0o755)
        write_door(folder, {**DOOR, "port": port})
        key = rendered(
            "door/templates/key.conf.j2",
            _gpuchat_here={"engine": {}},
            _gpuchat_secrets={"vllm_api_key_previous": OLD},
            gpuchat_vllm_api_key=NEW,
            gpuchat_vllm_engine_key="shown-to-engines",
            _door_routes=[],
            _door_tools=[],
        )
        folder.joinpath("key.conf").write_text(key, encoding="utf-8")
        folder.joinpath("models-1.json").write_text("{}", encoding="utf-8")
        start(folder)
        yield port
        stop(folder)


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        (f"Bearer {NEW}", 200),
        (f"Bearer {OLD}", 200),
        (f"bearer {NEW}", 200),
        (f"BEARER {OLD}", 200),
        (f"Bearer {NEW.upper()}", 401),
        (f"Bearer {OLD.replace('.', 'x')}", 401),
        (f"Bearer {OLD}x", 401),
        (f"Bearer {OLD[:-1]}", 401),
        (f"xBearer {OLD}", 401),
        ("Bearer shown-to-engines", 401),
        ("Bearer ", 401),
        ("", 401),
        (None, 401),
    ],
)
def test_a_door_knows_a_key_and_its_predecessor_to_their_last_characters(door, shown, status):
    asking = http.client.HTTPConnection("127.0.0.1", door, timeout=10)
    asking.request("GET", "/v1/models", headers={} if shown is None else {"Authorization": shown})
    answer = asking.getresponse()
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (status, "Bearer" if status == 401 else None)
    asking.close()
