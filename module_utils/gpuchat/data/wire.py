# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's protocol (version 3.0), as far as a client needs it that signs in and asks.

With it a database is tried from a host that has no program of PostgreSQL's yet, before anything is installed there.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

VERSION, ASKS_FOR_TLS = 196608, 80877103
HEAD = 5
"""Bytes of a message's kind and length."""

LARGEST = 64 * 1024**2
"""Bytes of a message; an answer of ours is far smaller."""

SCRAM = "SCRAM-SHA-256"
OK, CLEARTEXT, MD5, SASL, SASL_GOES_ON, SASL_ENDS = 0, 3, 5, 10, 11, 12
"""What a server wants of who signs in."""


class ProtocolError(Exception):
    """What is said is none of this protocol, or proves that it is somebody else who answers."""


class ServerError(Exception):
    """What the server refuses.

    Attributes:
        code: of five letters and digits (SQLSTATE).
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def tls_request() -> bytes:
    """Return what asks for TLS before anything is said."""
    return struct.pack("!ii", 8, ASKS_FOR_TLS)


def startup(user: str, database: str, settings: Mapping[str, str]) -> bytes:
    """Return the first message of a session."""
    given = {"user": user, "database": database, **settings}
    body = b"".join(f"{name}\0{value}\0".encode() for name, value in given.items()) + b"\0"
    return struct.pack("!ii", len(body) + 8, VERSION) + body


def message(kind: str, body: bytes) -> bytes:
    """Return a message of a kind."""
    return kind.encode() + struct.pack("!i", len(body) + 4) + body


def query(sql: str) -> bytes:
    """Return the message that has the server do statements, all or none but where they say otherwise."""
    return message("Q", sql.encode() + b"\0")


def length_of(head: bytes) -> tuple[str, int]:
    """Return a message's kind, and the length of its body in bytes.

    Raises:
        ProtocolError: no server says so.
    """
    kind, length = head[:1].decode("latin-1"), struct.unpack("!i", head[1:HEAD])[0] - 4
    if not 0 <= length <= LARGEST:
        raise ProtocolError("what answers there does not speak PostgreSQL's protocol")
    return kind, length


def error_of(body: bytes) -> ServerError:
    """Return what an error's message says, in one line."""
    parts = [part for part in body.split(b"\0") if part]
    fields = {chr(part[0]): part[1:].decode(errors="replace") for part in parts}
    return ServerError(fields.get("C", ""), " ".join(fields.get("M", "no words").split()))


def row_of(body: bytes) -> list[str]:
    """Return the fields of a row, as text; one that is null is an empty text."""
    count, at, found = struct.unpack("!h", body[:2])[0], 2, []
    for _number in range(count):
        length = struct.unpack("!i", body[at : at + 4])[0]
        at += 4
        found.append(body[at : at + max(length, 0)].decode(errors="replace"))
        at += max(length, 0)
    return found


def wanted_of(body: bytes) -> tuple[int, bytes]:
    """Return what a server wants of who signs in, and what it says to that."""
    return struct.unpack("!i", body[:4])[0], body[4:]


@dataclass(frozen=True)
class Proof:
    """How a client shows by SCRAM-SHA-256 (RFC 5802, RFC 7677) that it knows a password, and the server that it does.

    Attributes:
        nonce: random, of letters and digits.
    """

    password: str = field(repr=False)
    nonce: str = field(repr=False)

    @property
    def _bare(self) -> str:
        return f"n=,r={self.nonce}"  # PostgreSQL takes the name of the session's start

    def first(self, offered: bytes) -> bytes:
        """Return the first message.

        Args:
            offered: the ways that the server knows.

        Raises:
            ProtocolError: it does not know this one.
        """
        if SCRAM.encode() not in offered.split(b"\0"):
            raise ProtocolError(f"the server does not offer {SCRAM}")
        text = f"n,,{self._bare}".encode()
        return message("p", SCRAM.encode() + b"\0" + struct.pack("!i", len(text)) + text)

    def final(self, challenge: bytes) -> tuple[bytes, bytes]:
        """Return the answer to the server's challenge, and what it must say then.

        Raises:
            ProtocolError: it is none.
        """
        words = dict(part.split("=", 1) for part in challenge.decode(errors="replace").split(",") if "=" in part)
        try:
            nonce, salt, rounds = words["r"], base64.b64decode(words["s"], validate=True), int(words["i"])
        except (KeyError, ValueError, binascii.Error):
            raise ProtocolError("the server's challenge is none of SCRAM's") from None
        if not nonce.startswith(self.nonce) or not 1 <= rounds <= 10_000_000:
            raise ProtocolError("the server's challenge is none to what was said")
        plain = unicodedata.normalize("NFKC", self.password).encode()
        salted = hashlib.pbkdf2_hmac("sha256", plain, salt, rounds)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = f"c=biws,r={nonce}"
        signed = f"{self._bare},{challenge.decode()},{without_proof}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        proof = base64.b64encode(bytes(one ^ other for one, other in zip(client_key, signature))).decode()
        expected = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
        return message("p", f"{without_proof},p={proof}".encode()), b"v=" + base64.b64encode(expected)
