# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a PostgreSQL on another host, by TLS alone, and only one whose certificate shows that it is meant."""

from __future__ import annotations

import contextlib
import json
import pathlib
import secrets
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core import host
from ..core.errors import CommandFailed, Refusal
from . import wire

CONNECT_SECONDS = 10.0
ASK_SECONDS = 600.0
SETTINGS = {"client_encoding": "UTF8", "client_min_messages": "error", "application_name": "gpuchat"}


@dataclass(frozen=True)
class Place:
    """Where a database is, and who asks it.

    Attributes:
        host: the name that its certificate bears.
        address: at which it is asked; empty where that is the name.
        authority: certificates in PEM form, of which one signed the server's.
    """

    host: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)
    authority: str = field(repr=False)
    address: str = ""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Place:
        """Return the place that a file or a module's options describe."""
        names = ("host", "name", "user", "password", "authority")
        return cls(
            port=int(given["port"]), address=str(given.get("address") or ""), **{n: str(given[n]) for n in names}
        )


class Session:
    """A session in a database."""

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self._connection = connection

    def sign_in(self, place: Place) -> None:
        """Start the session.

        Raises:
            ServerError: the server refuses.
            ProtocolError: it does not know the password either.
        """
        self._connection.sendall(wire.startup(place.user, place.name, SETTINGS))
        proof, expected, is_shown = wire.Proof(place.password, secrets.token_hex(18)), b"", False
        while True:
            kind, body = self._next()
            if kind == "Z":
                return
            if kind != "R":
                continue
            wanted, said = wire.wanted_of(body)
            if wanted == wire.SASL:
                self._connection.sendall(proof.first(said))
            elif wanted == wire.SASL_GOES_ON:
                answer, expected = proof.final(said)
                self._connection.sendall(answer)
            elif wanted == wire.SASL_ENDS:
                if not expected or said != expected:
                    raise wire.ProtocolError("what answers there does not know the password either")
                is_shown = True
            elif wanted != wire.OK or not is_shown:
                raise wire.ProtocolError(f"the server asks for another way to sign in than {wire.SCRAM}")

    def ask(self, sql: str) -> str:
        """Return what statements bring, a row on a line, as psql prints it.

        Raises:
            ServerError: the server refuses one of them.
        """
        self._connection.sendall(wire.query(sql))
        rows, errors = [], []
        while True:
            kind, body = self._next(is_lenient=True)
            if kind == "D":
                rows.append("|".join(wire.row_of(body)))
            elif kind == "E":
                errors.append(wire.error_of(body))
            elif kind == "Z":
                for first in errors:
                    raise first
                return "\n".join(rows)

    def _next(self, is_lenient: bool = False) -> tuple[str, bytes]:
        kind, length = wire.length_of(self._exactly(wire.HEAD))
        body = self._exactly(length)
        if kind == "E" and not is_lenient:
            raise wire.error_of(body)
        return kind, body

    def _exactly(self, length: int) -> bytes:
        found = b""
        while len(found) < length:
            part = self._connection.recv(length - len(found))
            if not part:
                raise wire.ProtocolError("the server ended the connection")
            found += part
        return found


@contextlib.contextmanager
def session(place: Place) -> Iterator[Session]:
    """Have a session for a while; what was begun and not finished in it is taken back.

    Raises:
        OSError: the server is not reached, or not the one that is meant (ssl.SSLError).
        ServerError: it lets nobody in.
        ProtocolError: it has no TLS, or speaks something else.
    """
    context = ssl.create_default_context(cadata=place.authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # From 3.13 on Python refuses an authority's certificate that does not name its key's usage; the interfaces take it.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    with socket.create_connection((place.address or place.host, place.port), CONNECT_SECONDS) as plain:
        plain.sendall(wire.tls_request())
        answer = plain.recv(1)
        if answer != b"S":
            what = "has no TLS" if answer == b"N" else "does not speak PostgreSQL's protocol"
            raise wire.ProtocolError(f"what answers there {what}")
        with context.wrap_socket(plain, server_hostname=place.host) as connection:
            connection.settimeout(ASK_SECONDS)
            opened = Session(connection)
            opened.sign_in(place)
            yield opened


class Elsewhere:
    """Speaks SQL with the database that a file on this host describes."""

    def __init__(self, path: str) -> None:
        self._path = path

    def say(self, _database: str, sql: str) -> host.Output:
        """Have it do statements, and return what they bring; it has one database for us, whatever its name.

        Raises:
            Refusal: nobody has written down where it is.
            CommandFailed: it is not reached, or refuses.
        """
        try:
            place = Place.of(json.loads(pathlib.Path(self._path).read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError):
            raise Refusal(f"found no {self._path}; wanted it, as a run writes it; run site.yml") from None
        try:
            with session(place) as opened:
                return host.Output(0, opened.ask(sql), "")
        except (OSError, wire.ServerError, wire.ProtocolError) as error:
            raise CommandFailed(
                f"found that the database at {place.host}:{place.port} does not do what was asked ({error}); wanted it "
                "to; run site.yml with --tags data_door, which looks at all of it"
            ) from None

    def ask(self, database: str, sql: str) -> Any:
        """Return the JSON that statements bring."""
        return json.loads(self.say(database, sql).stdout)
