# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's protocol, as a client speaks it."""

from __future__ import annotations

import struct

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.data import wire

RFC = wire.Proof("pencil", "rOprNGfwEbeRWgbNEkqO")
"""The example of RFC 7677, but that a name is in its first message: PostgreSQL takes that of the session's start."""

CHALLENGE = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"


def test_a_proof_is_the_one_of_the_rfc(monkeypatch):
    monkeypatch.setattr(wire.Proof, "_bare", "n=user,r=rOprNGfwEbeRWgbNEkqO")
    answer, expected = RFC.final(CHALLENGE)
    assert answer[5:].endswith(b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    assert expected == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_a_password_is_normalized_as_postgresql_does_it():
    composed, apart = (wire.Proof(one, "n").final(b"r=nx,s=AAAA,i=1") for one in ("é", "e\u0301"))
    assert composed == apart


def test_the_first_message_names_the_way():
    said = RFC.first(b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
    assert said[:1] == b"p"
    assert b"SCRAM-SHA-256\0" in said
    assert said.endswith(b"n,,n=,r=rOprNGfwEbeRWgbNEkqO")


def test_a_server_without_scram_is_told():
    with pytest.raises(wire.ProtocolError, match="does not offer SCRAM-SHA-256"):
        RFC.first(b"SCRAM-SHA-256-PLUS\0\0")


@pytest.mark.parametrize(
    "challenge",
    [
        pytest.param(b"r=somebodyelse,s=AAAA,i=4096", id="another one's nonce"),
        pytest.param(b"r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=0", id="no rounds"),
        pytest.param(b"r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=99999999", id="rounds without end"),
        pytest.param(b"r=rOprNGfwEbeRWgbNEkqOx,s=?,i=4096", id="a salt that is none"),
        pytest.param(b"\xff", id="no text"),
    ],
)
def test_a_challenge_of_somebody_else_is_not_answered(challenge):
    with pytest.raises(wire.ProtocolError, match="challenge"):
        RFC.final(challenge)


def test_messages_have_their_length_in_front():
    assert wire.query("SELECT 1;") == b"Q" + struct.pack("!i", 14) + b"SELECT 1;\0"
    assert wire.startup("a", "b", {"c": "d"}) == struct.pack("!ii", 31, 196608) + b"user\0a\0database\0b\0c\0d\0\0"


def test_a_head_that_no_server_sends_is_told():
    assert wire.length_of(b"Z" + struct.pack("!i", 5)) == ("Z", 1)
    for length in (3, -1, wire.LARGEST + 5):
        with pytest.raises(wire.ProtocolError):
            wire.length_of(b"H" + struct.pack("!i", length))


def test_an_error_is_read_in_one_line():
    error = wire.error_of(b"SFATAL\0C28P01\0Mpassword\n authentication failed\0\0")
    assert (error.code, str(error)) == ("28P01", "password authentication failed")


def test_a_row_is_read_with_its_nulls():
    body = struct.pack("!h", 3) + struct.pack("!i", 1) + b"t" + struct.pack("!i", -1) + struct.pack("!i", 0)
    assert wire.row_of(body) == ["t", "", ""]
