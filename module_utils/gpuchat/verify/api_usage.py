# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much each client of the model API has asked, from the edge's access log."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

TRIAL_AGENT = "gpuchat-keys"
"""By which the edge's log tells the trial of a key from its use."""

FIRST_ERROR = 400


@dataclass(frozen=True)
class Usage:
    """What one client has asked.

    Attributes:
        errors: answers of a status from 400 on, refusals by a limit among them.
        last: when it asked last, as ``2030-12-31 23:59`` (UTC); empty where it never did.
    """

    requests: int = 0
    bytes: int = 0
    errors: int = 0
    last: str = ""

    def plus(self, other: Usage) -> Usage:
        return Usage(
            self.requests + other.requests,
            self.bytes + other.bytes,
            self.errors + other.errors,
            max(self.last, other.last),
        )


@dataclass(frozen=True)
class Log:
    """What an edge's log says.

    Attributes:
        since: how far it was read back, as ``2030-12-31 23:59`` (UTC); empty where it holds nothing.
    """

    since: str = ""
    clients: Mapping[str, Usage] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        return {"since": self.since, "clients": {name: asdict(one) for name, one in self.clients.items()}}

    @classmethod
    def read(cls, given: Mapping[str, object]) -> Log:
        clients: Mapping[str, Mapping[str, object]] = given.get("clients") or {}  # type: ignore[assignment]
        return cls(str(given.get("since") or ""), {name: Usage(**one) for name, one in clients.items()})  # type: ignore[arg-type]


def summarize(lines: Iterable[str]) -> Log:
    """Sum up an access log; whatever is no line of it is passed over."""
    since = ""
    found: dict[str, Usage] = {}
    for text in lines:
        entry = _entry(text)
        when = _utc(entry.get("time"))
        if not when:
            continue
        since = min(since or when, when)
        client = entry.get("client")
        if isinstance(client, str) and client and entry.get("agent") != TRIAL_AGENT:
            one = Usage(1, _whole(entry.get("bytes")), int(_whole(entry.get("status")) >= FIRST_ERROR), when)
            found[client] = found.get(client, Usage()).plus(one)
    return Log(since, found)


def together(logs: Sequence[Log]) -> Log:
    """Return several edges' logs as one, which reaches back as far as the shortest of them."""
    clients: dict[str, Usage] = {}
    for log in logs:
        for name, usage in log.clients.items():
            clients[name] = clients.get(name, Usage()).plus(usage)
    return Log(max((log.since for log in logs if log.since), default=""), clients)


def _entry(text: str) -> Mapping[str, object]:
    try:
        entry = json.loads(text)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _utc(given: object) -> str:
    try:
        at = datetime.datetime.fromisoformat(str(given))
    except ValueError:
        return ""
    return at.astimezone(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M")


def _whole(given: object) -> int:
    return given if isinstance(given, int) else 0
