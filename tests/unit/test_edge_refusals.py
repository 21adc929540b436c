# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real nginx with the edge's templates says to who is refused: the form, the headers, and how much was taken."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pathlib
import signal
import tempfile

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat import room

from .test_edge_ways import KINDS, Behind, Edge, free_port, nginx, variables, write

OWNER = "sk-0123abcd-" + "k" * 43
LISTING = "/v1/models"
HEADERS = ("X-Content-Type-Options", "Referrer-Policy", "Content-Security-Policy")


class Keyed(Edge):
    """An edge that knows one key, in front of an interface."""

    def __init__(self, folder, kind):
        self.described = room.describe(kind, KINDS[kind], "closed")
        self.folder, self.kind, self.port = folder, kind, free_port()
        self.interface = Behind(self.described.get("session_path", ""))
        self.files = Behind()
        places = [f"127.0.0.1:{one.server_address[1]}" for one in (self.interface, self.files)]
        given = variables(folder, self.port, self.described, *places)
        digest = base64.urlsafe_b64encode(hashlib.md5(OWNER.encode()).digest()).decode().rstrip("=")
        given["_edge_api_keys"] = [{"id": "0123abcd", "link": digest, "client": "api_key"}]
        write(folder, given)
        status, said = nginx(folder)
        assert status == 0, said


@pytest.fixture(scope="module", params=sorted(KINDS))
def keyed(request):
    with tempfile.TemporaryDirectory(prefix="edge-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        edge = Keyed(folder, request.param)
        yield edge
        os.kill(int((folder / "pid").read_text()), signal.SIGTERM)
        for one in (edge.interface, edge.files):
            one.shutdown()
            one.server_close()


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


@pytest.mark.parametrize("path", ["/", "/index.html", LISTING, "/v1/chat/completions", "/webapi/x", "/api/x", "/x"])
def test_nobody_without_a_session_or_key_sends_a_large_body_anywhere(keyed, path):
    try:
        status = keyed.ask("POST", path, body=b"x" * 50_000_000)[0]
    except (BrokenPipeError, ConnectionResetError):
        status = 413  # the edge has ended the connection in the middle of it
    assert status in (401, 404, 405, 413)
    assert not keyed.interface.answered


def test_a_deep_link_of_who_is_new_leads_on_when_they_have_signed_in(keyed):
    link = (
        "/signin?callbackUrl=https%3A%2F%2Fchat.example.com%2Fagent%2Fx" if keyed.kind == "lobehub" else "/c/deep?x=1"
    )
    assert keyed.ask("GET", link)[0] == 200
    (asked,) = keyed.interface.asked
    assert asked.path == link
