# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts a history into LobeHub by its own importer, in the name of whose history it is."""

from __future__ import annotations

import pathlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from ..core import host
from ..core.errors import Unhealthy
from ..data import postgresql_runner
from . import history
from .history import History, There

SESSION_SECONDS = 3600
POST_SECONDS = 600
UNTOLD = "whether LobeHub takes all of it: check mode sends nothing"


class Database:
    """LobeHub's database."""

    def __init__(self, name: str, sockets: str, connection: str = "") -> None:
        self._name = name
        self._psql = postgresql_runner.speaker(sockets, connection)

    def ask(self, sql: str) -> Any:
        return self._psql.ask(self._name, sql)

    def say(self, sql: str) -> None:
        self._psql.say(self._name, sql)


def bring(params: Mapping[str, Any], check: bool) -> dict[str, object]:
    """Make sure that a person has a whole history; return the module's result.

    Args:
        params: the module's options.
        check: whether to predict only.
    """
    export = history.read(pathlib.Path(params["file"]).read_text(encoding="utf-8", errors="replace"))
    database = Database(params["database"], params["sockets"], params["connection"])
    question = history.question(params["email"], sorted(export.ids("messages")))
    before = There.of(database.ask(question))
    plan = history.decide(export, before, params["email"])
    result = {**plan.result(), "left_out": list(export.left_out)}
    if not plan.changed:
        return {**result, "counts": history.counted(export, before, before)}
    if check:
        return {**result, "counts": {}, "not_predicted": [UNTOLD]}
    batches = [one for one in plan.actions if isinstance(one, Mapping)]
    _send(params, export, before, database, batches)
    return {**result, "counts": history.counted(export, before, There.of(database.ask(question)))}


def _send(
    params: Mapping[str, Any],
    export: History,
    before: There,
    database: Database,
    batches: Sequence[Mapping[str, Any]],
) -> None:
    """Post all batches in a session that ends with them, however they end."""
    token = secrets.token_urlsafe(32)
    headers = {"content-type": "application/json", "cookie": history.cookies(token, params["auth_secret"])}
    url = f"{params['url'].rstrip('/')}/{history.PROCEDURE}"
    database.say(history.session(before.user, token, SESSION_SECONDS))
    try:
        for number, batch in enumerate(batches, 1):
            answer = host.http(url, "POST", headers, history.body(batch), POST_SECONDS, direct=True)
            wrong = history.verdict(answer.status, answer.json()) if answer.status else answer.error
            if wrong:
                raise Unhealthy(
                    f"found {wrong} from LobeHub at part {number} of {len(batches)} of the history; wanted it taken; "
                    f"{history.way_out(answer.status)}"
                )
    finally:
        database.say(history.end(token))
        database.say(history.order(export, before))
