# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of the model API: what they look like, and what the edge keeps of them to tell a right one."""

from __future__ import annotations

import base64
import datetime
import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

OWNER = "api_key"
"""The stack's own key, and the client that shows it: its owner, who may share it."""

CLIENT_PREFIX = f"{OWNER}/"
PREVIOUS = "_previous"
KEY = re.compile(r"sk-([0-9a-f]{8})-[A-Za-z0-9_-]{43}")
"""A key names itself by its id; the rest is 32 random bytes."""

ID_BYTES, SECRET_BYTES = 4, 32
NO_ID = "none"


@dataclass(frozen=True)
class ApiKey:
    """What the edge knows of a key.

    Attributes:
        id: by which the edge finds it; ``NO_ID`` for one that somebody else made.
        digest: of the whole key, as nginx's secure_link compares it: MD5, base64 for URLs without padding.
        end: seconds since the epoch from which on it is refused; 0 for never.
    """

    client: str
    id: str
    digest: str
    end: int = 0

    @property
    def link(self) -> str:
        """Return what nginx's secure_link takes: the digest, and the end where there is one."""
        return f"{self.digest},{self.end}" if self.end else self.digest


def entry(client: str) -> str:
    """Return the name under which a client's key is kept."""
    return f"{CLIENT_PREFIX}{client}"


def clients_of(known: Mapping[str, str]) -> list[str]:
    """Return the clients whose keys are kept."""
    names = [name[len(CLIENT_PREFIX) :] for name in known if name.startswith(CLIENT_PREFIX)]
    return [name for name in names if not name.endswith(PREVIOUS)]


def owners(known: Mapping[str, str]) -> list[str]:
    """Return the names of the owner's keys that are kept: the one, and its predecessor while a rotation lasts."""
    return [name for name in (OWNER, f"{OWNER}{PREVIOUS}") if known.get(name)]


def compose(key_id: str, secret: str) -> str:
    return f"sk-{key_id}-{secret}"


def id_of(key: str) -> str:
    found = KEY.fullmatch(key)
    return found.group(1) if found else NO_ID


def wrong_key(name: str, value: object) -> str:
    """Say what is wrong with a client's key that somebody wrote into the file of secrets; never the key itself."""
    is_right = isinstance(value, str) and KEY.fullmatch(value)
    return "" if is_right else f"{name} is none of the keys that a run makes; wanted one of these"


def describe(known: Mapping[str, str], ends: Mapping[str, str], given: str = "") -> list[dict[str, object]]:
    """Return all keys that are valid, as the edge knows them, each id once: it finds one by that.

    Args:
        known: secrets by name.
        ends: clients, each with the last day of its key (``2030-12-31``, UTC), or an empty text.
        given: the owner's key where a variable gives it; the stack's own ones do not count then.
    """
    keys = [_described(OWNER, key) for key in ([given] if given else [known[name] for name in owners(known)])]
    for client, last_day in ends.items():
        keys += [_described(client, key, end_of(last_day)) for key in _all(known, entry(client))]
    first: dict[str, ApiKey] = {}
    for key in keys:
        first.setdefault(key.id, key)
    return [{**asdict(key), "link": key.link} for key in first.values()]


def end_of(last_day: str) -> int:
    """Return when a day has passed, in seconds since the epoch; 0 for no day.

    Raises:
        ValueError: it is no day.
    """
    if not last_day:
        return 0
    day = datetime.datetime.strptime(last_day, "%Y-%m-%d").replace(tzinfo=datetime.timezone.utc)
    return int((day + datetime.timedelta(days=1)).timestamp())


def _all(known: Mapping[str, str], name: str) -> list[str]:
    return [known[one] for one in (name, f"{name}{PREVIOUS}") if known.get(one)]


def _described(client: str, key: str, end: int = 0) -> ApiKey:
    digest = hashlib.md5(key.encode(), usedforsecurity=False).digest()
    return ApiKey(client, id_of(key), base64.urlsafe_b64encode(digest).decode().rstrip("="), end)
