# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a verification does as a person: before a server with accounts, and by the list of what the edge hands on."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import threading
import time
import urllib.parse

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat import room as chat_room
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.verify import openai_api, rooms, site_runner

VERSIONS = {"lobehub": "2.1.26", "open_webui": "0.12.4"}
ACCOUNT = {"email": "admin@chat.example.com", "password": "s3cret-w0rd"}
SIGNED_IN = [
    "a person signs in",
    "a signed-in person gets an answer in pieces",
    "a header of the person's own changes nothing",
    "signed in, the same paths stay closed",
    "the person signs out",
]


def way(described, path, method):
    """Return ``closed``, ``open`` or ``session``, as the edge's templates read the list of an interface."""
    plain = "/" + urllib.parse.unquote(path.split("?")[0])
    if re.search(described["odd_path"], f"/{path}"):
        return "closed"
    if any(re.search(one["pattern"], plain) for one in described["closed_pages"]):
        return "closed"
    found = next((one for one in described["ways"] if re.search(one["pattern"], plain)), None)
    if not found or not re.fullmatch(found["methods"], method):
        return "closed"
    return "session" if found["session"] else "open"


@pytest.mark.parametrize("kind", rooms.ROOMS)
def test_the_edge_hands_on_what_a_person_does_and_nothing_that_an_attacker_tries(kind):
    room, described = rooms.ROOMS[kind], chat_room.describe(kind, VERSIONS[kind], "closed")
    assert way(described, room.page, "GET") == "open"
    assert way(described, room.sign_in, "POST") == "open"
    assert way(described, room.sign_out, "POST") == "open"
    assert way(described, room.chat, "POST") == "session"
    assert way(described, room.session, "GET") == "session"
    assert {way(described, path, "GET") for path in room.attacks} == {"closed"}
    assert {way(described, path, "POST") for path in (*room.attacks, *room.sign_up)} == {"closed"}
    assert {way(described, one["path"], one["method"]) for one in described["guarded_examples"]} == {"session"}


class Chat(http.server.BaseHTTPRequestHandler):
    """LobeHub behind its edge, with one account."""

    session = ""
    buffers = False

    def do_GET(self):
        self.answer(404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, cookies = self.path.lstrip("/"), self.headers.get("Cookie") or ""
        room = rooms.ROOMS["lobehub"]
        if path == room.sign_in:
            known = json.loads(body) == ACCOUNT
            type(self).session = "abc" if known else ""
            self.answer(200 if known else 401, ("Set-Cookie", "session=abc; HttpOnly; Path=/"))
        elif not self.session or f"session={self.session}" not in cookies:
            self.answer(401)
        elif path == room.sign_out:
            type(self).session = ""
            self.answer(200)
        elif path == room.chat and json.loads(body)["stream"]:
            self.stream()
        else:
            self.answer(404)

    def answer(self, status, *headers):
        self.send_response(status)
        for header in headers:
            self.send_header(*header)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        pieces = [
            f"id: 1\nevent: text\ndata: {json.dumps(word)}\n\n" for word in ("Hello", " there", ", all", " works")
        ]
        pieces.append('id: 1\nevent: stop\ndata: "stop"\n\n')
        for piece in ["".join(pieces)] if self.buffers else pieces:
            time.sleep(0.05)
            self.wfile.write(piece.encode())

    def log_message(self, *_args):
        pass


@pytest.fixture
def chat():
    if not shutil.which("curl"):
        pytest.skip("no curl here")
    handler = type("Own", (Chat,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        handler.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield handler
        server.shutdown()


def rows(chat, monkeypatch, password=ACCOUNT["password"]):
    """Return the rows of a person who signs in there, by name."""
    real = site_runner.checks
    monkeypatch.setattr(
        site_runner, "checks", lambda site: tuple(one for one in real(site) if one.needs or one.name in SIGNED_IN)
    )
    site = {
        "domain": "127.0.0.1",
        "models": [{"name": "qwen", "task": "chat", "tool_calls": True}],
        "plain": True,
        "http_port": chat.port,
        "open_ports": [],
        "closed_paths": [],
        "admin_email": ACCOUNT["email"],
        "closed_chat_paths": ["trpc/lambda/a.b,c.d"],
        "guarded_chat_paths": [],
    }
    options = {"site": site, "vantage": "inside", "authority": "", "api_key": "", "admin_password": password}
    found = site_runner.ensure({**options, "rows": [], "final": False, "report_file": None}, check=False)
    return {one["name"]: one for one in found["rows"]}


def test_a_person_signs_in_once_asks_and_signs_out(chat, monkeypatch):
    found = rows(chat, monkeypatch)
    assert {name: (one["status"], one["detail"]) for name, one in found.items()} == dict.fromkeys(
        SIGNED_IN, ("passed", "")
    )
    assert chat.session == ""
    assert "s3cret" not in json.dumps(found)


def test_an_account_of_another_password_leaves_nobody_signed_in(chat, monkeypatch):
    found = rows(chat, monkeypatch, password="former")
    assert [found[name]["status"] for name in SIGNED_IN] == ["failed", *["not checked"] * 4]
    assert "gpuchat_admin_password" in found[SIGNED_IN[0]]["hint"]


def test_an_answer_that_is_collected_on_the_way_is_seen(chat, monkeypatch):
    chat.buffers = True
    found = rows(chat, monkeypatch)
    assert found["a signed-in person gets an answer in pieces"]["status"] == "failed"
    assert found["the person signs out"]["status"] == "passed"


@pytest.mark.parametrize(("kind", "is_well"), [("lobehub", False), ("open_webui", True)])
def test_what_an_interface_gathers_by_itself_is_no_proxys_doing(kind, is_well):
    arrivals = [0.4 + 0.03 * (number // 40) for number in range(200)]
    said = openai_api.judge_arrivals(arrivals, 0.0, rooms.GATHERED.get(kind, openai_api.CHUNKS_PER_ARRIVAL))
    assert (said is None) is is_well
