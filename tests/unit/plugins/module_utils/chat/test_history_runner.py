# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A history goes to LobeHub in a session that ends with it, however it ends."""

from __future__ import annotations

import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat import history, history_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Unhealthy

EXPORT = {
    "version": 7,
    "state": {
        "topics": [{"id": "t", "title": "Rain"}],
        "messages": [{"id": f"m{number}", "role": "user", "content": "words", "topicId": "t"} for number in range(3)],
    },
}


class LobeHub:
    """A server with its database; ``broken`` is the number of the part that it does not take."""

    def __init__(self, broken=0):
        self.ids: dict[str, set[str]] = {table: set() for table in history.TABLES}
        self.sessions, self.said, self.posts, self.broken = 0, [], 0, broken

    def ask(self, sql):
        return {"user": "u", "ids": {table: list(ids) for table, ids in self.ids.items()}, "foreign": 0}

    def say(self, sql):
        self.said.append(sql)
        self.sessions += sql.count("INSERT INTO auth_sessions") - sql.count("DELETE FROM auth_sessions")

    def http(self, url, method, headers, body, timeout, direct):
        assert self.sessions == 1
        assert direct
        assert url == "http://room:3210/trpc/lambda/importer.importByPost"
        self.posts += 1
        if self.posts == self.broken:
            return host.Response(500, {}, b'{"error": {"json": {"message": "no"}}}')
        data = json.loads(body)["json"]["data"]
        for table in history.TABLES:
            self.ids[table] |= {row["id"] for row in data[table]}
        return host.Response(200, {}, b'{"result": {"data": {"json": {"success": true}}}}')


@pytest.fixture
def lobehub(monkeypatch, request):
    one = LobeHub(**getattr(request, "param", {}))
    monkeypatch.setattr(history_runner, "Database", lambda name, sockets, connection: one)
    monkeypatch.setattr(host, "http", one.http)
    return one


@pytest.fixture
def params(tmp_path):
    (tmp_path / "export.json").write_text(json.dumps(EXPORT), encoding="utf-8")
    return {
        "file": str(tmp_path / "export.json"),
        "email": "ann@example.com",
        "url": "http://room:3210/",
        "auth_secret": "secret",
        "database": "lobehub",
        "sockets": "/sockets",
        "connection": "",
    }


def test_a_history_comes_once_and_a_second_run_opens_no_session(lobehub, params):
    first = history_runner.bring(params, check=False)
    assert first["changed"]
    assert first["counts"]["messages"] == {"file": 3, "skipped": 0, "added": 3, "missing": 0}
    assert lobehub.sessions == 0
    said = len(lobehub.said)
    second = history_runner.bring(params, check=False)
    assert not second["changed"]
    assert second["counts"]["messages"]["skipped"] == 3
    assert len(lobehub.said) == said


def test_check_mode_sends_nothing_and_opens_no_session(lobehub, params):
    result = history_runner.bring(params, check=True)
    assert result["changed"]
    assert result["not_predicted"]
    assert (lobehub.posts, lobehub.said) == (0, [])


@pytest.mark.parametrize("lobehub", [{"broken": 2}], indirect=True)
def test_the_session_ends_where_a_part_is_not_taken_and_the_next_run_sends_the_rest(lobehub, params, monkeypatch):
    monkeypatch.setattr(history, "BATCH_MESSAGES", 2)
    with pytest.raises(Unhealthy, match=r"the status 500 \(no\) from LobeHub at part 2 of"):
        history_runner.bring(params, check=False)
    assert lobehub.sessions == 0
    counts = history_runner.bring(params, check=False)["counts"]["messages"]
    assert counts["missing"] == 0
    assert counts["skipped"] > 0
