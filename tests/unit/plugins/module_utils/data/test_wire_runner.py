# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session with a PostgreSQL elsewhere, with a server that stands in for it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import struct

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import CommandFailed, Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.data import wire, wire_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.data.wire_runner import Elsewhere, Place, Session

PLACE = Place("db.example.com", 5432, "chat", "chat", "secret", "CERTIFICATE")
SALT = b"0123456789abcdef"


def auth(number, said=b""):
    return wire.message("R", struct.pack("!i", number) + said)


class Server:
    """A connection whose other end knows a password."""

    def __init__(self, password="secret", rows=(), after=b"", way=wire.SASL):
        self.password, self.rows, self.after, self.way = password, rows, after, way
        self.sent, self.first = b"", ""

    def sendall(self, said):
        if said[4:8] == struct.pack("!i", wire.VERSION):
            self.sent += auth(self.way, b"SCRAM-SHA-256\0\0")
        elif said[:1] == b"p" and not self.first:
            self.first = said[said.index(b"n,,") + 3 :].decode()
            nonce = self.first.partition("r=")[2] + "more"
            self.challenge = f"r={nonce},s={base64.b64encode(SALT).decode()},i=4096"
            self.sent += auth(wire.SASL_GOES_ON, self.challenge.encode())
        elif said[:1] == b"p":
            without, _comma, _proof = said[5:].decode().rpartition(",p=")
            salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), SALT, 4096)
            signed = f"{self.first},{self.challenge},{without}".encode()
            shown = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
            self.sent += auth(wire.SASL_ENDS, b"v=" + base64.b64encode(shown)) + auth(wire.OK)
            self.sent += wire.message("S", b"a\0b\0") + wire.message("Z", b"I")
        elif said[:1] == b"Q":
            for row in self.rows:
                fields = b"".join(struct.pack("!i", len(one)) + one.encode() for one in row)
                self.sent += wire.message("D", struct.pack("!h", len(row)) + fields)
            self.sent += self.after + wire.message("Z", b"I")

    def recv(self, length):
        part, self.sent = self.sent[: min(length, 7)], self.sent[min(length, 7) :]
        return part


class Silent(Server):
    """One that is gone."""

    def sendall(self, said):
        del said


def signed_in(server):
    opened = Session(server)
    opened.sign_in(PLACE)
    return opened


def test_who_knows_the_password_signs_in_and_asks():
    assert signed_in(Server(rows=[["a", "1"], ["b", "2"]])).ask("SELECT;") == "a|1\nb|2"


def test_a_server_that_does_not_know_the_password_is_none():
    with pytest.raises(wire.ProtocolError, match="does not know the password either"):
        signed_in(Server(password="another"))


@pytest.mark.parametrize("way", [wire.OK, wire.CLEARTEXT, wire.MD5])
def test_a_password_goes_nowhere_by_another_way(way):
    server = Server(way=way)
    with pytest.raises(wire.ProtocolError, match="another way"):
        signed_in(server)


def test_what_the_server_refuses_is_raised_once_it_is_through():
    opened = signed_in(Server(after=wire.message("E", b"C42501\0Mno\0\0")))
    for _time in range(2):
        with pytest.raises(wire.ServerError, match="no") as caught:
            opened.ask("CREATE;")
        assert caught.value.code == "42501"


def test_a_server_that_goes_away_is_told():
    with pytest.raises(wire.ProtocolError, match="ended the connection"):
        Session(Silent()).ask("SELECT 1;")


def written(tmp_path, **more):
    path = tmp_path / "connection.json"
    given = {"host": "db.example.com", "port": 5432, "name": "chat", "user": "chat", "password": "s", "authority": "C"}
    path.write_text(json.dumps({**given, **more}))
    return str(path)


def test_a_place_that_nobody_wrote_down_is_told(tmp_path):
    with pytest.raises(Refusal, match=r"run site\.yml"):
        Elsewhere(str(tmp_path / "none.json")).say("", "SELECT 1;")


def test_a_server_that_is_not_reached_is_told_with_its_place(tmp_path, monkeypatch):
    def refuse(*_given):
        raise ConnectionRefusedError("Connection refused")

    monkeypatch.setattr(
        wire_runner.ssl, "create_default_context", lambda **_given: type("Context", (), {"verify_flags": 0})()
    )
    monkeypatch.setattr(wire_runner.socket, "create_connection", refuse)
    with pytest.raises(CommandFailed, match=r"db\.example\.com:5432 .*Connection refused"):
        Elsewhere(written(tmp_path)).say("", "SELECT 1;")


def test_a_place_does_not_show_its_password():
    assert "secret" not in repr(PLACE)
