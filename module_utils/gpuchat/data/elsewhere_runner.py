# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a database of somebody else's, and changes nothing there: what is tried in it is taken back."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

from ..core import host
from ..core.errors import Refusal
from . import elsewhere, postgresql_runner, wire, wire_runner
from .elsewhere import Database
from .wire_runner import Place, Session


def look(params: Mapping[str, Any]) -> dict[str, object]:
    """Return what a database is, as the module's result; check mode looks as well.

    Raises:
        Refusal: it cannot hold a chat; the text says everything that is wrong.
    """
    place = Place.of(params)
    found, refused = _ask(place, params["extensions"])
    words = elsewhere.faults(found, params["extensions"], refused)
    if words:
        of_it = f"the database {place.name} at {place.host}:{place.port}"
        raise Refusal(f"{of_it} cannot hold the chat; nothing was changed:\n" + "\n".join(f"- {one}" for one in words))
    warnings = elsewhere.backup_warnings(found, _client()) if params["is_backed_up"] else []
    return {
        "changed": False,
        "diff": [],
        "version": found.version,
        "extensions": dict(found.extensions),
        **({"warnings": warnings} if warnings else {}),
    }


def _ask(place: Place, extensions: Sequence[str]) -> tuple[Database, dict[str, str]]:
    words = (place.host, place.port, place.name, place.user)
    try:
        with wire_runner.session(place) as opened:
            found = Database.of(json.loads(opened.ask(elsewhere.QUESTION)))
            return found, _try(opened, found, extensions)
    except wire.ServerError as error:
        raise Refusal(elsewhere.unreached("server", str(error), *words, error.code)) from None
    except wire.ProtocolError as error:
        raise Refusal(elsewhere.unreached("protocol", str(error), *words)) from None
    except socket.gaierror as error:
        raise Refusal(elsewhere.unreached("name", error.strerror or str(error), *words)) from None
    except ssl.SSLCertVerificationError as error:
        raise Refusal(elsewhere.unreached("certificate", error.verify_message, *words)) from None
    except ssl.SSLError as error:
        raise Refusal(elsewhere.unreached("certificate", error.reason or str(error), *words)) from None
    except OSError as error:
        raise Refusal(elsewhere.unreached("connection", error.strerror or str(error), *words)) from None


def _try(opened: Session, found: Database, extensions: Sequence[str]) -> dict[str, str]:
    """Try what an interface will do, and return what is refused, with the server's words."""
    tries = {name: elsewhere.extension_statement(name) for name in extensions if name not in found.extensions}
    tries = {name: sql for name, sql in tries.items() if name in found.available}
    refused = {}
    for what, sql in {} if found.read_only else {**tries, **elsewhere.TRIES}.items():
        try:
            opened.ask(elsewhere.attempt(sql))
        except wire.ServerError as error:
            refused[what] = str(error)
            opened.ask("ROLLBACK;")
    return refused


def _client() -> str:
    """Return the major version of pg_dump on this host, or of the release's packages; empty where nobody knows."""
    said = host.run(["pg_dump", "--version"]).stdout
    found = re.search(r"\(PostgreSQL\) ([0-9]+)", said)
    return found[1] if found else postgresql_runner.release().row(elsewhere.CLIENTS) or ""
