# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real nginx with the edge's own templates hands on to an interface, and what it refuses."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import http.server
import json
import pathlib
import socket
import ssl
import subprocess
import tempfile
import time

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat import room
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.edge import paths

from .real_nginx import Behind, free_port, nginx, rendered, start, stop, unpackaged, write_door, write_errors

TEMPLATES = "nginx servers site api chat room room-maps handed-on headers keys stapling".split()
KINDS = {"lobehub": "2.1.26", "open_webui": "0.12.4"}
SESSION = {"lobehub": "better-auth.session_token=good.signature", "open_webui": "token=good"}
SIGNATURE = "X-Amz-Signature=" + "0a" * 32
OWN = "http://chat.example.com"


def variables(folder, port, described, interface="", files="", **site):
    """Return what the edge's templates are given."""
    networks = ["127.0.0.0/8"]
    usual = {
        "names": ["chat.example.com", "further.example.com"],
        "scheme": "http",
        "port_in_url": "",
        "url": OWN,
        "tls": "none",
        "routes": [],
        "limited": [],
        "listings": [],
        "access": {"chat": networks, "api": networks, "proxies": []},
        "asks_certificate": False,
        "asks_password": False,
        "forward_auth": None,
        "strict_transport": False,
        "own_authority": False,
        "is_open_to_directory": False,
        "gives_key": False,
        "has_interface": bool(described),
        "files_door": {},
        "upstreams": {
            kind: {"servers": [f"{place} max_fails=0"], "scheme": "http", "certified_name": ""}
            for kind, place in (("interface", interface), ("files", files))
            if place
        },
    }
    usual["origins"] = [f"{site.get('scheme', 'http')}://{name}" for name in usual["names"]]
    told = paths.describe()
    return {
        "_gpuchat_nginx": {"user": "root", "group": "root", "perl_module": "perl.so", "authorities": "/ca.crt"},
        "_gpuchat_preflight": {"stapling": []},
        "inventory_hostname": "edge",
        "gpuchat_vllm_api_key": "engine",
        "edge_http_port": port,
        "edge_https_port": port,
        "edge_ipv6": False,
        "edge_body_limit": "1m",
        "edge_stream_timeout": "30m",
        "edge_api_rate": 10,
        "edge_api_burst": 40,
        "edge_api_connections": 40,
        "edge_api_answers": 128,
        "edge_api_origins": site.pop("origins", []),
        "_edge_site": {**usual, **site},
        "_edge_paths": told,
        "_edge_room": described,
        "_edge_bucket": "gpuchat-files",
        "_edge_socket": str(folder / "room.sock"),
        "_edge_is_measured": site.get("is_measured", False),
        "_edge_status": str(folder / "status.sock"),
        "_edge_metrics_log": str(folder / "log.sock"),
        "_edge_folder": str(folder),
        "_edge_api_keys": [],
        "_edge_api_limits": {"rate": [], "streams": [], "answers": []},
        "_edge_chat_limits": {"rate": 1000, "burst": 2000, "connections": 100, "newcomers": 10},
        "_edge_password_lines": site.get("password_lines", []),
        "_edge_content_policy": "default-src 'self'",
    }


def write(folder, given):
    """Write the edge's configuration."""
    write_errors(folder, "headers.conf")
    for name in TEMPLATES:
        text = unpackaged(rendered(f"edge/templates/{name}.conf.j2", **given))
        log = "#" if given["_edge_is_measured"] else "access_log off; #"
        text = text.replace("access_log syslog:server=unix:/dev/log", log)
        (folder / f"{name}.conf").write_text(text, encoding="utf-8")
    (folder / "models.json").write_text("{}", encoding="utf-8")
    (folder / "store.conf").touch()  # the files are the stack's own to keep
    (folder / "sign_in.conf").touch()


class Edge:
    """A running edge in front of an interface and an object store that write down what they are asked."""

    def __init__(self, folder, kind, signup="closed", sso=False, given=None, **site):
        self.described = room.describe(kind, KINDS.get(kind, ""), signup, sso)
        self.folder, self.kind, self.port = folder, kind, free_port()
        self.interface = Behind(self.described.get("session_path", ""))
        self.files = Behind()
        places = [one.place for one in (self.interface, self.files)]
        write(folder, {**variables(folder, self.port, self.described, *places, **site), **(given or {})})
        start(folder)

    def ask(self, method, path, session=False, body=None, host="chat.example.com", **headers):
        """Return the status, the headers and the body of an answer; what is asked was written down before."""
        self.interface.asked.clear()
        self.files.asked.clear()
        told = {"Host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if session:
            told["Cookie"] = "; ".join(filter(None, (told.get("Cookie"), SESSION[self.kind])))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, body=body, headers=told)
        answer = connection.getresponse()
        # What follows a change of the protocol has no end.
        text = b"" if answer.status == 101 else answer.read()
        connection.close()
        return answer.status, answer.headers, text

    def stop(self):
        stop(self.folder, self.interface, self.files)


@pytest.fixture(scope="module")
def edges():
    """Yield what returns the running edge of an interface."""
    # The address of a Unix socket is short.
    with tempfile.TemporaryDirectory(prefix="edge-") as name:
        running: dict[str, Edge] = {}

        def started(kind):
            if kind not in running:
                folder = pathlib.Path(name, kind)
                folder.mkdir()
                running[kind] = Edge(folder, kind)
            return running[kind]

        pathlib.Path(name).chmod(0o755)
        yield started
        for one in running.values():
            one.stop()


@pytest.fixture
def edge(edges, kind):
    return edges(kind)


of_lobehub = pytest.mark.parametrize("kind", ["lobehub"])
of_open_webui = pytest.mark.parametrize("kind", ["open_webui"])
of_each = pytest.mark.parametrize("kind", KINDS)

CLOSED = [
    (kind, path)
    for kind, version in KINDS.items()
    for path in room.describe(kind, version, "closed")["closed_examples"]
]
GUARDED = [
    (kind, one["method"], one["path"])
    for kind, version in KINDS.items()
    for one in room.describe(kind, version, "closed")["guarded_examples"]
]


@pytest.mark.parametrize("session", [False, True], ids=["out", "in"])
@pytest.mark.parametrize(("kind", "path"), CLOSED)
def test_what_is_not_for_people_is_refused_whoever_asks(edge, path, session):
    for method in ("GET", "POST"):
        status, _headers, _text = edge.ask(method, f"/{path}", session)
        assert status == 404
        assert not edge.interface.asked


@pytest.mark.parametrize(("kind", "method", "path"), GUARDED)
def test_what_is_behind_signing_in_is_asked_for_the_session_first(edge, method, path):
    status, headers, text = edge.ask(method, f"/{path}")
    assert (status, headers["Content-Type"]) == (401, "application/json")
    assert b"authentication_error" in text
    assert not edge.interface.answered
    assert not edge.files.asked
    assert edge.ask(method, f"/{path}", session=True)[0] == 200
    asked = [*edge.interface.answered, *edge.files.asked]
    # Where the session's own path is asked, it is asked twice.
    assert [one.path for one in asked or edge.interface.asked[1:]] == [f"/{path}"]


OPENED = [
    ("lobehub", "GET", "/", 200),
    ("lobehub", "GET", "/signin?callbackUrl=https%3A%2F%2Fchat.example.com%2Fagent%2Fx%3Ftopic%3D1", 200),
    ("lobehub", "GET", "/signin?callbackUrl=%2Fagent%2Fx%3F%6dessage%3Dhi", 302),
    ("lobehub", "GET", "/signin?callbackUrl=%2Fagent%2Fx%3Fmessage%3Dhi", 302),
    ("lobehub", "GET", "/signin?callbackUrl=%2Fagent%2Fx%3F%256dessage%3Dhi", 302),
    ("lobehub", "GET", "/agent/agt_x?topic=tpc_y&thread=z", 200),
    ("lobehub", "GET", "/agent/x?messageId=y", 200),
    ("lobehub", "GET", "/agent/x?MESSAGE=y", 404),
    ("lobehub", "GET", "/chat?session=x&message=y", 404),
    ("lobehub", "GET", "/?message=y", 404),
    ("lobehub", "GET", "/settings?active=x&y", 200),
    ("lobehub", "GET", "/agent/%3F?message=y", 404),
    ("lobehub", "GET", "/agent/x??message=y", 404),
    ("lobehub", "GET", "/agent/x%0a", 404),
    ("lobehub", "GET", "/api/version%0A", 404),
    ("lobehub", "GET", "/agent/x%0d", 404),
    ("lobehub", "GET", "/agent/x%250a", 404),
    ("lobehub", "GET", "/agent/x%7f", 404),
    ("lobehub", "GET", "/agent/x#y", 404),
    ("lobehub", "POST", "/agent/x", 405),
    ("lobehub", "GET", "/settings/common", 200),
    ("lobehub", "GET", "/_next/static/chunks/a.js", 200),
    ("lobehub", "POST", "/_next/static/chunks/a.js", 405),
    ("lobehub", "GET", "/_next/static/../image?url=x", 404),
    ("lobehub", "GET", "/_next/static/%2e%2e/image?url=x", 404),
    ("lobehub", "GET", "/manifest.webmanifest", 200),
    ("lobehub", "GET", "/trpc/lambda/config.getGlobalConfig?input=x", 200),
    ("lobehub", "GET", "/api/version", 200),
    ("lobehub", "GET", "/api/auth/get-session", 200),
    ("lobehub", "POST", "/api/auth/sign-in/email", 200),
    ("lobehub", "POST", "/api/auth/check-user", 200),
    ("lobehub", "POST", "/api/auth/sign-up/email", 404),
    ("lobehub", "GET", "/signup?email=x", 404),
    ("lobehub", "DELETE", "/api/auth/sign-out", 405),
    ("open_webui", "GET", "/", 200),
    ("open_webui", "GET", "/auth?redirect=%2Fc%2Fx", 200),
    ("open_webui", "GET", "/auth?redirect=%2F%3Fq%3Dhello", 302),
    ("open_webui", "GET", "/?models=m", 200),
    ("open_webui", "GET", "/c/x?models=m", 200),
    ("open_webui", "GET", "/home?x=1&Q=hello", 404),
    ("open_webui", "GET", "/_app/immutable/entry/start.js", 200),
    ("open_webui", "GET", "/api/config", 200),
    ("open_webui", "POST", "/api/v1/auths/signin", 200),
    ("open_webui", "POST", "/api/v1/auths/signup", 404),
    ("open_webui", "GET", "/admin/settings", 404),
    ("open_webui", "GET", "/watch?v=x", 404),
    ("open_webui", "GET", "/api/config%0a", 404),
    ("open_webui", "GET", "/c/x%09", 404),
    ("open_webui", "GET", "/c/%E6%A8%A1?x=%0a", 200),
]


@pytest.mark.parametrize(("kind", "method", "path", "status"), OPENED)
def test_pages_and_signing_in_need_no_session(edge, method, path, status):
    assert edge.ask(method, path)[0] == status
    assert len(edge.interface.asked) == (status == 200)


BATCHES = [
    ("user.getUserState", 200),
    ("user.getUserState,topic.getTopics,message.getMessages", 200),
    ("user.getUserState%2Ctopic.getTopics", 200),
    ("topic.getTopics,", 404),
    (",topic.getTopics", 404),
    ("topic.getTopics,market.getMcpList", 404),
    ("aiProvider.getAiProviderRuntimeState", 200),
    ("aiProvider.updateAiProviderConfig", 404),
    ("topic.getTopics,aiProvider.toggleProviderEnabled", 404),
    ("topic.enableSharing", 404),
    ("topic.enableSharing,topic.getTopics", 404),
    ("topic.getTopics,topic.enableSharing", 404),
    ("topic.enableSharingX", 200),
    ("upload.createS3PreSignedUrl", 200),
    ("chunk.semanticSearch", 404),
    ("chunk.semanticSearchForChat", 200),
    ("aiAgent.createOperation", 404),
    ("aiAgent.createClientTaskThread", 200),
    ("aiAgent.createClientTaskThread,aiAgent.startExecution", 404),
    ("aiAgent.execSomethingNew", 404),
    ("agent.x.y", 404),
    ("healthcheck", 404),
    ("agent%2EgetAgentConfig", 404),
    ("%61gent.getAgentConfig", 200),
    ("agent.getAgentConfig/x", 404),
]


@of_lobehub
@pytest.mark.parametrize(("names", "status"), BATCHES)
def test_each_procedure_of_a_batch_must_be_open(edge, names, status):
    for method in ("GET", "POST"):
        assert edge.ask(method, f"/trpc/lambda/{names}?batch=1", session=True)[0] == status
        assert len(edge.interface.answered) == (status == 200)


@of_lobehub
def test_nobody_says_to_lobehub_who_they_are(edge):
    for header in ("", "anything", "eyJ1c2VySWQiOiJib2IifQ=="):
        assert edge.ask("POST", "/webapi/chat/vllm", True, b"{}", X_lobe_chat_auth=header, Oidc_Auth="x")[0] == 200
        (asked,) = edge.interface.answered
        assert asked.headers.get_all("X-lobe-chat-auth") == ["NxI="]
        assert "Oidc-Auth" not in asked.headers
        assert asked.body == b"{}"
    edge.ask("GET", "/trpc/lambda/user.getUserState", True, X_lobe_chat_auth="anything")
    assert "X-lobe-chat-auth" not in edge.interface.answered[0].headers


@of_lobehub
@pytest.mark.parametrize("names", ["chunk.createParseFileTask", "file.getFileItemById,chunk.getChunksByFileId"])
def test_what_is_done_with_the_pieces_of_a_file_has_the_header_that_lobehub_wants_of_it(edge, names):
    assert edge.ask("POST", f"/trpc/lambda/{names}?batch=1", True, b"{}", X_lobe_chat_auth="anything")[0] == 200
    assert edge.interface.answered[0].headers.get_all("X-lobe-chat-auth") == ["NxI="]


FORGED = (
    "Remote-User X-Remote-User X-Forwarded-Email X-Forwarded-Preferred-Username X-User-Email X-Authentik-Username "
    "X-Api-Key X-Webauth-Email Cf-Access-Authenticated-User-Email X-Goog-Authenticated-User-Email X-Original-URL "
    "X-Rewrite-URL X-HTTP-Method-Override True-Client-IP X-Original-Forwarded-For"
).split()


@of_each
def test_headers_of_a_server_in_front_are_nobody_elses(edge):
    forged = dict.fromkeys((*FORGED, *edge.described["stripped"]), "admin@example.com")
    forged.update({"X-Forwarded-For": "10.9.9.9", "X-Real-IP": "10.9.9.9", "Authorization": "Bearer x"})
    for _kind, method, path in [one for one in GUARDED if one[0] == edge.kind][:2] + [("", "GET", "/".lstrip("/"))]:
        edge.ask(method, f"/{path}", True, **forged)
        for asked in edge.interface.asked:
            assert asked.headers["X-Forwarded-For"] == "127.0.0.1"
            assert asked.headers["X-Forwarded-Proto"] == "http"
            assert asked.headers["X-Forwarded-Host"] == "chat.example.com"
            assert [name for name in (*FORGED, *edge.described["stripped"]) if name in asked.headers] == []


@of_each
def test_the_interface_sees_its_own_cookies_alone(edge):
    kept = {"lobehub": "LOBE_LOCALE=de-DE; ", "open_webui": ""}[edge.kind]
    path = {"lobehub": "/webapi/models/vllm", "open_webui": "/api/models"}[edge.kind]
    edge.ask(
        "GET",
        path,
        True,
        Cookie=f"{kept}wiki=secret; xtoken=secret; gpuchat_person=secret; better-auth.session_tokenX=secret",
    )
    assert len(edge.interface.asked) == 2
    for asked in edge.interface.asked:
        shown = {one.strip() for one in asked.headers["Cookie"].split(";") if one.strip()}
        assert shown == {SESSION[edge.kind], *filter(None, [kept.rstrip("; ")])}


PLAIN, SECURE, TOKEN = "better-auth.session_token", "__Secure-better-auth.session_token", "token"
SPELLED = {
    "as it was given": ("lobehub", f"{PLAIN}=good.a%2Bb%2Fc%3D", f"{PLAIN}=good.a%2Bb%2Fc%3D"),
    "as it was given by HTTPS": ("lobehub", f"{SECURE}=good.a", f"{SECURE}=good.a"),
    "an invented one before it": ("lobehub", f"{PLAIN}=invented; {SECURE}=good.a", f"{SECURE}=good.a"),
    "an invented one behind it": ("lobehub", f"{SECURE}=good.a; {PLAIN}=invented", f"{SECURE}=good.a"),
    "an invented one of the name that is read first": ("lobehub", f"{PLAIN}=good.a; {SECURE}=invented", None),
    "an escaped letter": ("lobehub", f"{PLAIN}=good.%61", None),
    "an escape in small letters": ("lobehub", f"{PLAIN}=good.%2b", None),
    "a sign that is escaped else": ("lobehub", f"{PLAIN}=good.a=", None),
    "in quotes": ("open_webui", f'{TOKEN}="good"', None),
    "in quotes, with a number for a letter": ("open_webui", f'{TOKEN}="good\\141"', None),
    "behind a space": ("open_webui", f"{TOKEN}= good", None),
    "before a space": ("open_webui", f"{TOKEN}=good ; x=y", None),
    "before a tab": ("open_webui", f"{TOKEN}=good\t; x=y", None),
    "behind one that is none": ("open_webui", f'{TOKEN}="x"; {TOKEN}=good', f"{TOKEN}=good"),
}
"""A cookie of a session as a browser shows it, and what of it is handed on."""


@pytest.mark.parametrize(("kind", "shown", "handed_on"), SPELLED.values(), ids=SPELLED)
def test_a_session_is_one_cookie_in_the_spelling_in_which_it_was_given(edge, shown, handed_on):
    path = {"lobehub": "/webapi/models/vllm", "open_webui": "/api/models"}[edge.kind]
    assert edge.ask("GET", path, Cookie=shown)[0] == (200 if handed_on else 401)
    for asked in edge.interface.answered:
        assert asked.headers["Cookie"].rstrip("; ") == handed_on


KEPT_BY_A_COMPANY = "; ".join(f"_oauth2_proxy_{one}={'x' * 4000}" for one in range(3))
LARGE = {
    "a page": {"lobehub": ("GET", "/signin"), "open_webui": ("GET", "/auth")},
    "signing in": {"lobehub": ("POST", "/api/auth/sign-out"), "open_webui": ("GET", "/api/v1/auths/")},
    "behind signing in": {"lobehub": ("GET", "/webapi/models/vllm"), "open_webui": ("GET", "/api/models")},
}


@of_each
@pytest.mark.parametrize("where", LARGE)
def test_cookies_of_a_companys_sign_in_are_large_in_both_directions(edge, where):
    method, path = LARGE[where][edge.kind]
    assert edge.ask(method, path, True, Cookie=KEPT_BY_A_COMPANY, Long="9000")[0] == 200
    assert {len(asked.headers["Cookie"]) < 100 for asked in edge.interface.asked} == {True}


@of_lobehub
def test_who_invents_a_cookie_beside_their_session_asks_models_no_more_often(edge):
    shown = (f"{PLAIN}=x{one}; {SECURE}=good.{'b' * 43}" for one in range(30))
    assert 429 in {edge.ask("POST", "/webapi/chat/vllm", Cookie=one)[0] for one in shown}


@of_each
@pytest.mark.parametrize("status", [500, 503, 404, 429])
def test_nobody_is_let_in_where_the_interface_cannot_say_who_is_signed_in(edge, status):
    path = {"lobehub": "/webapi/models/vllm", "open_webui": "/api/models"}[edge.kind]
    edge.interface.session_status = status
    try:
        assert edge.ask("GET", path, True)[0] == 503
        assert not edge.interface.answered
    finally:
        edge.interface.session_status = 0


SOCKETS = [
    (OWN, True, 101),
    ("http://further.example.com", True, 101),
    (OWN, False, 101),
    ("http://evil.example.com", True, 403),
    ("https://chat.example.com", True, 403),
    ("http://chat.example.com.evil.com", True, 403),
    ("null", True, 403),
    (None, True, 403),
]


@of_open_webui
@pytest.mark.parametrize(("origin", "session", "status"), SOCKETS)
def test_a_web_socket_needs_the_sites_own_origin_for_it_is_open_before_somebody_signs_in(edge, origin, session, status):
    more = {"Origin": origin} if origin else {}
    path = "/ws/socket.io/?EIO=4&transport=websocket"
    assert edge.ask("GET", path, session, Upgrade="websocket", Connection="Upgrade", **more)[0] == status
    assert len(edge.interface.answered) == (status == 101)


WRITERS = {
    "the site's own page": (OWN, "POST", 200),
    "its page by another name": ("http://further.example.com", "POST", 200),
    "a program": (None, "POST", 200),
    "a page of a sibling site": ("http://wiki.example.com", "POST", 403),
    "a page by plain HTTP or HTTPS, as the site is not": ("https://chat.example.com", "POST", 403),
    "a page of no origin": ("null", "POST", 403),
    "a page of a sibling site that reads": ("http://wiki.example.com", "GET", 200),
}


@of_each
@pytest.mark.parametrize("session", [False, True], ids=["signing in", "signed in"])
@pytest.mark.parametrize(("origin", "method", "status"), WRITERS.values(), ids=WRITERS)
def test_a_page_of_another_origin_writes_nothing_in_somebodys_name(edge, origin, method, status, session):
    path = {
        ("lobehub", True): "/trpc/lambda/user.getUserState",
        ("lobehub", False): "/api/auth/sign-out" if method == "POST" else "/api/auth/get-session",
        ("open_webui", True): "/api/v1/chats/",
        ("open_webui", False): "/api/v1/auths/signout",
    }[edge.kind, session]
    assert edge.ask(method, path, session, **({"Origin": origin} if origin else {}))[0] == status
    assert len(edge.interface.answered) == (status == 200)


@of_each
def test_no_other_path_becomes_a_web_socket(edge):
    guarded = {"lobehub": "/webapi/models/vllm", "open_webui": "/api/models"}[edge.kind]
    for path, session in ((guarded, True), ("/", False)):
        assert edge.ask("GET", path, session, Upgrade="websocket", Connection="Upgrade", Origin=OWN)[0] == 200
        assert "Upgrade" not in edge.interface.asked[-1].headers


FILES = [
    ("GET", f"/gpuchat-files/a/b.png?X-Amz-Date=1&{SIGNATURE}", True, 200),
    ("PUT", f"/gpuchat-files/a/b.png?{SIGNATURE}", True, 200),
    ("GET", f"/gpuchat-files/a/b.png?{SIGNATURE}", False, 401),
    ("GET", "/gpuchat-files/a/b.png", True, 404),
    ("GET", "/gpuchat-files/a/b.png?X-Amz-Signature=", True, 404),
    ("GET", f"/gpuchat-files/?{SIGNATURE}", True, 404),
    ("GET", f"/gpuchat-filesx/a?{SIGNATURE}", True, 404),
    ("DELETE", f"/gpuchat-files/a?{SIGNATURE}", True, 405),
    ("POST", f"/gpuchat-files/a?{SIGNATURE}", True, 405),
    ("GET", f"/gpuchat-files/../rustfs/admin?{SIGNATURE}", True, 404),
    ("GET", f"/gpuchat-files/..%2frustfs/admin?{SIGNATURE}", True, 404),
    ("GET", f"/rustfs/admin?{SIGNATURE}", True, 404),
]


@of_lobehub
@pytest.mark.parametrize(("method", "path", "session", "status"), FILES)
def test_a_file_is_for_those_who_are_signed_in_by_a_signed_address(edge, method, path, session, status):
    body = b"x" * 1000 if method == "PUT" else None
    found, headers, _text = edge.ask(
        method, path, session, body, "chat.example.com:8443", X_Amz_Copy_Source="/other", Content_Type="image/png"
    )
    assert found == status
    assert len(edge.files.asked) == (status == 200)
    for asked in edge.files.asked:
        assert (asked.path, asked.body) == (path, body or b"")
        assert asked.headers["Host"] == "chat.example.com:8443"
        assert asked.headers["Content-Type"] == "image/png"
        assert not {"Cookie", "X-Amz-Copy-Source", "Authorization"} & set(asked.headers)
        assert headers.get_all("Content-Security-Policy") == ["sandbox"]
        assert headers.get_all("X-Content-Type-Options") == ["nosniff"]
        assert "Set-Cookie" not in headers


@of_open_webui
def test_windows_that_people_leave_open_are_counted_by_themselves(edge):
    asked = f"GET /ws/socket.io/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nOrigin: {OWN}\r\nHeld: 5\r\n\r\n".encode()
    with contextlib.ExitStack() as windows:
        found = []
        for _window in range(101):
            one = windows.enter_context(socket.create_connection(("127.0.0.1", edge.port), timeout=5))
            one.sendall(asked)
            found.append(one.recv(100)[9:12])
        assert found == [*[b"101"] * 100, b"429"]
        assert edge.ask("GET", "/api/models", True)[0] == 200


@of_each
def test_a_large_body_is_refused_before_the_interface_sees_it(edge):
    method, path = {"lobehub": ("POST", "/webapi/chat/vllm"), "open_webui": ("POST", "/api/v1/files/")}[edge.kind]
    assert edge.ask(method, path, True, b"x" * 900_000)[0] == 200
    assert edge.ask(method, path, True, b"x" * 1_100_000)[0] == 413
    assert not edge.interface.asked


@of_each
def test_guessing_passwords_ends_soon_and_nothing_else_does(edge):
    path = {"lobehub": "/api/auth/sign-in/email", "open_webui": "/api/v1/auths/signin"}[edge.kind]
    found = [edge.ask("POST", path)[0] for _ in range(20)]
    assert found[-1] == 429
    assert 200 in found or found.count(429) == 20
    assert edge.ask("GET", "/")[0] == 200


ANYWHERE = ["0.0.0.0/0", "::/0"]
BEHIND_A_PROXY = {"chat": ANYWHERE, "api": ANYWHERE, "proxies": ["127.0.0.0/8"]}


@of_each
def test_who_has_a_network_of_ipv6_has_no_more_tries_than_who_has_an_address(kind):
    path = {"lobehub": "/api/auth/sign-in/email", "open_webui": "/api/v1/auths/signin"}[kind]

    def tried(edge, *addresses):
        return {edge.ask("POST", path, X_Forwarded_For=one)[0] for one in addresses}

    with tempfile.TemporaryDirectory(prefix="edge-") as name:
        pathlib.Path(name).chmod(0o755)
        edge = Edge(pathlib.Path(name), kind, access=BEHIND_A_PROXY)
        try:
            assert 429 in tried(edge, *(f"2001:db8:0:1:{one:x}::{one:x}" for one in range(1, 30)))
            assert tried(edge, *(f"2001:db8:0:{one:x}::1" for one in range(2, 30))) == {200}
            # Addresses of IPv4 are whole, in whatever form a proxy tells them.
            assert tried(edge, *(f"192.0.2.{one}" for one in range(30))) == {200}
            assert tried(edge, *(f"::ffff:198.51.100.{one}" for one in range(30))) == {200}
            assert 429 in tried(edge, *["203.0.113.10"] * 30)
        finally:
            edge.stop()


BY_THE_COMPANY = {
    "lobehub": ("POST", "/api/auth/sign-in/oauth2", "/api/auth/callback/generic-oidc?code=x&state=y"),
    "open_webui": ("GET", "/oauth/oidc/login", "/oauth/oidc/callback?code=x&state=y"),
}


@of_each
def test_an_office_comes_back_from_its_company_and_strangers_keep_nothing(kind):
    method, begins, comes_back = BY_THE_COMPANY[kind]
    with tempfile.TemporaryDirectory(prefix="edge-") as name:
        pathlib.Path(name).chmod(0o755)
        edge = Edge(pathlib.Path(name), kind, sso=True)
        try:
            # Each of twenty people goes there and comes back, and nobody guesses anything by that.
            assert {edge.ask(*one)[0] for one in [(method, begins), ("GET", comes_back)] * 20} == {200}
            assert edge.interface.asked[0].path == comes_back
            for status, size in ((200, 0), (413, 100_000)):
                assert edge.ask(method, begins, body=b"x" * size)[0] == status
                assert bool(edge.interface.asked) == (status == 200)
            assert edge.ask("POST", comes_back)[0] == 405
            assert 429 in {edge.ask(method, begins)[0] for _ in range(80)}
            assert edge.ask("GET", "/")[0] == 200
        finally:
            edge.stop()


@of_each
def test_a_socket_that_was_left_behind_is_taken_at_a_reload(edge):
    assert nginx(edge.folder, "-s", "reload")[0] == 0
    time.sleep(0.5)
    path = {"lobehub": "/webapi/models/vllm", "open_webui": "/api/models"}[edge.kind]
    assert edge.ask("GET", path, True)[0] == 200
    assert nginx(edge.folder, "-t")[0] == 0


DOOR_PATHS = [
    ("files", "/gpuchat-files/a?x=1", "files"),
    ("files", "/f/x", "interface"),
    ("files", "/", None),
    ("files", "/webapi/proxy", None),
    ("files", "/trpc/lambda/user.getUserState", None),
    ("files", "/f/..%2fwebapi/proxy", None),
    ("interface", "/gpuchat-files/a?x=1", "files"),
    ("interface", "/trpc/lambda/user.getUserState", "interface"),
]


def start_door(folder, kind, **places):
    """Start a door to an interface and its files; return its port."""
    port = free_port()
    door = {"kind": kind, "address": "127.0.0.1", "port": port, "hosts": [], "addresses": ["127.0.0.1"], "tls": False}
    door.update({known: {"servers": [place], "scheme": "http"} for known, place in places.items()}, tools=[])
    session_path = "/trpc/lambda/user.getUserRegistrationDuration"
    write_door(folder, door, _door_session_path=session_path, _door_sockets=["^/ws/socket\\.io/$"])
    start(folder)
    return port


def ask_door(port, path, **headers):
    """Return the status of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Host": "chat.example.com:8443", "Authorization": "AWS4 x", **headers})
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(("kind", "path", "where"), DOOR_PATHS)
def test_a_door_to_files_leads_to_files_and_links_alone(kind, path, where):
    with tempfile.TemporaryDirectory(prefix="door-") as name:
        folder, behind = pathlib.Path(name), {"files": Behind(), "upstream": Behind()}
        places = {known: one.place for known, one in behind.items()}
        port = start_door(folder, kind, **places)
        assert ask_door(port, path, Cookie=KEPT_BY_A_COMPANY, Long="9000") == (200 if where else 404)
        asked = [(known, one) for known, server in behind.items() for one in server.asked]
        assert [known for known, _ in asked] == ([where.replace("interface", "upstream")] if where else [])
        for _known, one in asked:
            assert (one.path, one.headers["Host"]) == (path, "chat.example.com:8443")
            assert one.headers["Authorization"] == "AWS4 x"
        stop(folder, *behind.values())


@pytest.mark.parametrize(
    ("path", "is_told"),
    [
        ("/trpc/lambda/user.getUserRegistrationDuration", True),
        ("/trpc/lambda/message.searchMessages?input=words", False),
        ("/reset-password?token=aToken123", False),
        ("/api/auth/verify-email?token=aToken123", False),
        ("/api/auth/callback/generic-oidc?code=aCode123&state=x", False),
        ("/oauth/oidc/callback?code=aCode123", False),
        ("/f/aFile123", False),
        (f"/gpuchat-files/a?{SIGNATURE}", False),
        ("/api/auth/reset-password/aToken123?callbackURL=x", False),
    ],
)
def test_what_people_ask_is_in_no_error_of_a_door(path, is_told):
    """The doctor reads of errors what is not reached: by what the edge itself asks."""
    with tempfile.TemporaryDirectory(prefix="door-") as name:
        folder, nobody = pathlib.Path(name), f"127.0.0.1:{free_port()}"
        port = start_door(folder, "interface", files=nobody, upstream=nobody)
        assert ask_door(port, path) == 503
        stop(folder)
        assert (path in folder.joinpath("said").read_text(encoding="utf-8")) is is_told


def test_a_door_says_in_openais_form_what_is_malformed():
    with tempfile.TemporaryDirectory(prefix="door-") as name:
        folder, nobody = pathlib.Path(name), f"127.0.0.1:{free_port()}"
        port = start_door(folder, "interface", files=nobody, upstream=nobody)
        with socket.create_connection(("127.0.0.1", port), timeout=5) as asking:
            asking.sendall(b"GET /v1/models HTTP/1.1\r\n\r\n")
            answer = http.client.HTTPResponse(asking)
            answer.begin()
            said = json.loads(answer.read())
        stop(folder)
        assert (answer.status, said["error"]["code"]) == (400, 400)


def test_a_page_with_a_header_of_its_own_is_known_by_the_cookie_of_the_password():
    line = "bob:{SHA}" + base64.b64encode(hashlib.sha1(b"secret").digest()).decode()
    with tempfile.TemporaryDirectory(prefix="edge-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        folder.joinpath("passwords").write_text(line + "\n", encoding="utf-8")
        edge = Edge(folder, "open_webui", asks_password=True, password_lines=[line])
        try:
            assert edge.ask("GET", "/")[0] == 401
            basic = "Basic " + base64.b64encode(b"bob:secret").decode()
            status, headers, _text = edge.ask("GET", "/", Authorization=basic)
            assert status == 200
            (person,) = (one.partition(";")[0] for one in headers.get_all("Set-Cookie") if "gpuchat_person" in one)
            page = {"Authorization": "Bearer x.y.z"}
            assert edge.ask("GET", "/api/models", True, Cookie=person, **page)[0] == 200
            assert edge.ask("GET", "/api/models", True, **page)[0] == 401
            assert edge.ask("GET", "/api/models", True, Cookie="gpuchat_person=x", **page)[0] == 401
        finally:
            edge.stop()


NAMES = [
    ("bob:wrong", 200, None),
    ("alice:wrong", 401, None),
    ("alice:", 401, None),
    ("BOB:secret", 401, None),
    ("alice:other", 200, "alice"),
]
"""What a browser that is known as bob shows, what it gets, and as whom it is known then."""


@pytest.fixture(scope="module")
def two_people():
    """An edge whose people are known by a password, with the cookies of both."""
    lines = [
        f"{name}:{{SHA}}{base64.b64encode(hashlib.sha1(word).digest()).decode()}"
        for name, word in (("bob", b"secret"), ("alice", b"other"))
    ]
    with tempfile.TemporaryDirectory(prefix="edge-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        folder.joinpath("passwords").write_text("\n".join(lines) + "\n", encoding="utf-8")
        edge = Edge(folder, "open_webui", asks_password=True, password_lines=lines)
        yield edge, {line.partition(":")[0]: hashlib.sha256(f"{line}engine".encode()).hexdigest() for line in lines}
        edge.stop()


@pytest.mark.parametrize(("shown", "status", "known"), NAMES)
def test_a_cookie_of_ones_own_opens_nobody_elses_name(two_people, shown, status, known):
    edge, cookies = two_people
    basic = "Basic " + base64.b64encode(shown.encode()).decode()
    found, headers, _text = edge.ask("GET", "/", Cookie=f"gpuchat_person={cookies['bob']}", Authorization=basic)
    given = [one.partition(";")[0] for one in headers.get_all("Set-Cookie") or [] if "gpuchat_person" in one]
    assert (found, given) == (status, [f"gpuchat_person={cookies[known]}"] if known else [])


@pytest.mark.parametrize(("path", "kind"), [("/api/models", "application/json"), ("/auth", "text/html")])
def test_who_shows_no_password_is_told_so_in_the_form_of_what_they_asked(two_people, path, kind):
    status, headers, text = two_people[0].ask("GET", path, session=True)
    assert (status, headers.get_all("WWW-Authenticate")) == (401, ['Basic realm="The chat"'])
    assert headers["Content-Type"] == kind
    assert kind == "text/html" or json.loads(text)["error"]["type"] == "authentication_error"


FORWARD = {
    "url": "http://127.0.0.1:9/verify",
    "place": "127.0.0.1:9",
    "host": "127.0.0.1",
    "is_tls": False,
    "authority": "",
    "signin": "",
    "headers": [{"name": "Remote-User", "variable": "upstream_http_remote_user"}],
}
FILES_DOOR = {
    "address": "127.0.0.2",
    "port": 0,
    "tls": False,
    "addresses": ["127.0.0.1"],
    "files": {"scheme": "http"},
    "upstream": {"scheme": "http"},
}


def certificate(folder, name):
    """Make a key and a certificate; return the certificate's bytes."""
    names = ["-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt", "-subj", f"/CN={name}"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *names], check=True, capture_output=True
    )
    return ssl.PEM_cert_to_DER_cert(folder.joinpath(f"{name}.crt").read_text(encoding="utf-8"))


def test_the_interface_finds_its_own_files_at_the_sites_port_and_people_do_not_see_that_door():
    with tempfile.TemporaryDirectory(prefix="edge-") as name:
        folder, port = pathlib.Path(name), free_port()
        folder.chmod(0o755)
        shown = {"127.0.0.1": certificate(folder, "tls"), "127.0.0.2": certificate(folder, "room")}
        behind = [Behind(), Behind()]
        described = room.describe("lobehub", KINDS["lobehub"], "closed")
        places = [one.place for one in behind]
        door = {**FILES_DOOR, "port": port, "tls": True}
        given = variables(folder, port, described, *places, scheme="https", tls="selfsigned", files_door=door)
        write(folder, {**given, "edge_http_port": free_port()})
        start(folder)
        for address, path, source, expected in (
            ("127.0.0.1", "/signin", "127.0.0.1", 200),
            ("127.0.0.2", "/gpuchat-files/a", "127.0.0.1", 200),
            ("127.0.0.2", "/f/a", "127.0.0.1", 200),
            ("127.0.0.2", "/signin", "127.0.0.1", 404),
            ("127.0.0.2", "/f/a", "127.0.0.3", 403),
            ("127.0.0.1", "/gpuchat-files/a", "127.0.0.1", 404),
        ):
            context = ssl._create_unverified_context()
            asking = http.client.HTTPSConnection(address, port, timeout=10, context=context, source_address=(source, 0))
            asking.request("GET", path)
            assert asking.sock.getpeercert(True) == shown[address]
            assert asking.getresponse().status == expected
            asking.close()
        stop(folder, *behind)


LAYOUTS = [
    {},
    {"asks_password": True, "password_lines": ["bob:$2y$05$x"]},
    {"forward_auth": FORWARD},
    {"strict_transport": True},
]


@pytest.mark.parametrize("site", LAYOUTS, ids=["open", "password", "forward", "strict"])
@pytest.mark.parametrize("signup", ["closed", "open"])
@pytest.mark.parametrize("kind", [*KINDS, "none"])
def test_nginx_takes_each_layout(kind, signup, site):
    with tempfile.TemporaryDirectory(prefix="edge-") as name:
        folder, site = pathlib.Path(name), dict(site)
        described = room.describe(kind, KINDS.get(kind, ""), signup)
        behind = [("127.0.0.1:9" if described else ""), ("127.0.0.1:9" if kind == "lobehub" else "")]
        port = free_port()
        if kind == "lobehub":
            site["files_door"] = {**FILES_DOOR, "port": port}
        write(folder, variables(folder, port, described, *behind, **site))
        status, said = nginx(folder, "-t")
        assert status == 0, said
