# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks somebody else's servers for their models, from a host that is to hand requests on to them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..core import host
from .endpoint_models import Listed, judge, known

LONGEST_SECONDS = 15.0
"""For a list, of a small machine too; a model that loads may take longer, and is not asked for."""

ATTEMPTS, PAUSE_SECONDS = 2, 2.0
AT_ONCE = 8
SECRET_LENGTH = 8


def ensure(params: Mapping[str, Any]) -> dict[str, object]:
    """Return the models of the servers that a module's parameters name, and the module's result."""
    keys, servers = params["server_keys"] or {}, params["servers"]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda one: _ask(one, str(keys.get(one["name"]) or "")), servers))
    found = {str(one["name"]): answer for one, answer in zip(servers, answers)}
    listed, warnings = known(found, params["before"])
    return {"changed": False, "listed": listed, "unread": [_without(keys.values(), word) for word in warnings]}


def _without(keys: Iterable[object], word: str) -> str:
    """Return a word without the keys that a server may have put into its answer; what is shorter is no secret."""
    for key in sorted((str(one) for one in keys), key=len, reverse=True):
        word = word.replace(key, "(the key)") if len(key) >= SECRET_LENGTH else word
    return word


def _ask(server: Mapping[str, Any], key: str) -> Listed:
    headers = {"Accept": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    seconds = min(LONGEST_SECONDS, float(server["timeout"]))
    found = Listed()
    for attempt in range(ATTEMPTS):
        time.sleep(PAUSE_SECONDS if attempt else 0)
        # As nginx will: past any proxy, by the same authority, and nowhere but where the inventory says.
        answer = host.http(
            f"{server['url']}/models",
            headers=headers,
            timeout=seconds,
            direct=True,
            redirects=False,
            authority=str(server.get("authority") or ""),
        )
        found = judge(answer.status, answer.json(), answer.error, answer.headers.get("location", ""))
        if not found.problem or 300 <= answer.status < 500:
            break
    return found
