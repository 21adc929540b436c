# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What LobeChat 1 has exported is brought into the form that LobeHub takes, and nothing of it twice."""

from __future__ import annotations

import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat import history
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat.history import There
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal, Unhealthy

ANN = "ann@example.com"
BROWSER = {
    "exportType": "all",
    "version": 7,
    "state": {
        "settings": {"keyVaults": {"openai": {"apiKey": "sk"}}},
        "sessionGroups": [{"id": "g", "name": "Work", "sort": 1, "createdAt": 1, "updatedAt": 2}],
        "sessions": [
            {
                "id": "s",
                "type": "session",
                "group": "g",
                "pinned": 1,
                "meta": {"title": "Helper", "tags": ["a"]},
                "config": {"model": "m", "systemRole": "Be nice", "id": "x", "slug": "y"},
                "createdAt": 1,
                "updatedAt": 2,
            },
        ],
        "topics": [
            {
                "id": "t",
                "title": "Rain",
                "sessionId": "s",
                "favorite": 1,
                "agentId": "a",
                "createdAt": 1,
                "updatedAt": 2,
            },
            {"id": "i", "title": "Inbox", "sessionId": "inbox", "createdAt": 1},
        ],
        "messages": [
            {"id": "m1", "role": "user", "content": "What\0?", "sessionId": "s", "topicId": "t", "createdAt": 1},
            {
                "id": "m2",
                "role": "assistant",
                "content": None,
                "parentId": "m1",
                "threadId": "th",
                "quotaId": "gone",
                "extra": {"fromModel": "m"},
                "sessionId": "s",
                "topicId": "t",
                "updatedAt": 5,
            },
            {"id": "m3", "role": "function", "content": "{}", "sessionId": "inbox", "topicId": "gone", "files": ["f"]},
        ],
    },
}
DATABASE = {
    "mode": "pglite",
    "schemaHash": "x",
    "data": {
        "sessionGroups": [{"id": "sg_1", "name": "Work"}],
        "sessions": [
            {"id": "ssn_0", "slug": "inbox"},
            {"id": "ssn_1", "clientId": "s", "slug": "abc", "groupId": "sg_1", "pinned": True},
        ],
        "agents": [
            {"id": "agt_1", "title": "Helper", "systemRole": "Be nice", "model": "m", "userId": "u", "tags": ["a"]}
        ],
        "agentsToSessions": [{"agentId": "agt_1", "sessionId": "ssn_1"}],
        "topics": [{"id": "tpc_1", "clientId": "t", "title": "Rain", "sessionId": "ssn_1", "agentId": "agt_1"}],
        "messages": [
            {"id": "msg_1", "clientId": "m1", "role": "user", "content": "q", "sessionId": "ssn_1", "topicId": "tpc_1"},
            {
                "id": "msg_2",
                "role": "tool",
                "content": "r",
                "parentId": "msg_1",
                "model": "m",
                "provider": "vllm",
                "sessionId": "ssn_0",
            },
        ],
        "messagePlugins": [{"id": "msg_2", "toolCallId": "c", "apiName": "a", "identifier": "p", "state": {"k": 1}}],
        "messageTranslates": [{"id": "msg_1", "content": "f", "from": "en", "to": "de"}],
        "userSettings": [{"id": "u", "keyVaults": "secret"}],
    },
}


def rows(data, table):
    return {row["id"]: row for row in history.read(json.dumps(data)).rows[table]}


def test_what_names_rows_that_no_export_holds_is_left_out():
    topics, messages = rows(BROWSER, "topics"), rows(BROWSER, "messages")
    assert "agentId" not in topics["t"]
    assert topics["i"]["sessionId"] is None
    assert messages["m3"]["topicId"] is None
    assert {"threadId", "quotaId", "files"} & {key for row in messages.values() for key in row} == set()


def test_values_that_the_server_would_choke_on_are_mended():
    messages = rows(BROWSER, "messages")
    assert messages["m1"]["content"] == "What?"
    assert messages["m2"]["content"] == ""
    assert messages["m3"]["role"] == "tool"
    assert (messages["m1"]["updatedAt"], messages["m2"]["createdAt"]) == (1, 5)


def test_an_assistant_keeps_its_face_and_its_settings_but_not_its_name_in_another_database():
    session = rows(BROWSER, "sessions")["s"]
    assert session["config"] == {"model": "m", "systemRole": "Be nice"}
    assert session["meta"] == {"tags": ["a"], "title": "Helper"}
    assert (session["title"], session["pinned"], session["group"], session["type"]) == ("Helper", True, "g", "agent")


def test_the_settings_with_their_keys_stay_where_they_are():
    for data in (BROWSER, DATABASE):
        assert "keyVaults" not in json.dumps(history.read(json.dumps(data)).rows)


def test_what_does_not_move_is_told():
    left_out = history.read(json.dumps(BROWSER)).left_out
    assert left_out == (
        "the files of 1 messages, which no export holds",
        "that 1 messages are of side threads: they stand in their topic",
    )


def test_an_export_of_an_edition_with_a_database_gets_the_browsers_form():
    assert list(rows(DATABASE, "sessions")) == ["s"]
    session = rows(DATABASE, "sessions")["s"]
    assert (session["group"], session["pinned"], session["title"]) == ("sg_1", True, "Helper")
    assert session["config"] == {"model": "m", "systemRole": "Be nice"}
    assert rows(DATABASE, "topics")["t"]["sessionId"] == "s"
    messages = rows(DATABASE, "messages")
    assert (messages["m1"]["sessionId"], messages["m1"]["topicId"]) == ("s", "t")
    assert messages["m1"]["extra"]["translate"] == {"content": "f", "from": "en", "to": "de"}
    assert messages["msg_2"]["parentId"] == "m1"
    assert messages["msg_2"]["sessionId"] is None
    assert messages["msg_2"]["extra"] == {"fromModel": "m", "fromProvider": "vllm"}
    assert messages["msg_2"]["plugin"] == {"apiName": "a", "identifier": "p"}
    assert (messages["msg_2"]["tool_call_id"], messages["msg_2"]["pluginState"]) == ("c", {"k": 1})


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("no JSON", "found no JSON"),
        ("[]", "other data than an export"),
        ('{"data": {}}', "other data than an export"),
        ('{"version": 8, "state": {}}', "version 8"),
        ('{"version": 7, "state": {"settings": {}}}', "found no conversation"),
        ('{"schemaHash": "x", "data": {"userSettings": []}}', "found no conversation"),
    ],
)
def test_what_is_no_export_of_a_history_is_refused(text, word):
    with pytest.raises(Refusal, match=word):
        history.read(text)


def test_everything_is_sent_to_whom_has_nothing():
    plan = history.decide(history.read(json.dumps(BROWSER)), There.of({"user": "u"}), ANN)
    assert len(plan.actions) == 1
    assert {table: len(found) for table, found in plan.actions[0].items()} == {
        "sessionGroups": 1,
        "sessions": 1,
        "topics": 2,
        "messages": 3,
    }
    assert "What" not in plan.differences[0].after


def test_only_what_is_missing_is_sent_with_the_rows_that_it_names():
    export = history.read(json.dumps(BROWSER))
    there = There.of(
        {"user": "u", "ids": {"sessionGroups": ["g"], "sessions": ["s"], "topics": ["t", "i"], "messages": ["m1"]}}
    )
    (batch,) = history.decide(export, there, ANN).actions
    assert [row["id"] for row in batch["messages"]] == ["m2", "m3"]
    assert [row["id"] for row in batch["topics"]] == ["t"]
    assert [row["id"] for row in batch["sessions"]] == ["s"]
    assert [row["id"] for row in batch["sessionGroups"]] == ["g"]


def test_nothing_is_sent_where_all_is_there():
    export = history.read(json.dumps(BROWSER))
    there = There.of({"user": "u", "ids": {table: list(export.ids(table)) for table in history.TABLES}})
    assert not history.decide(export, there, ANN).changed
    assert history.counted(export, there, there)["messages"] == {"file": 3, "skipped": 3, "added": 0, "missing": 0}


@pytest.mark.parametrize(
    ("told", "word"),
    [
        ({}, "found no account of ann@example.com"),
        ({"user": "u", "foreign": 2}, "somebody else has 2 of these messages"),
    ],
)
def test_a_history_without_its_one_owner_is_refused(told, word):
    with pytest.raises(Refusal, match=word):
        history.decide(history.read(json.dumps(BROWSER)), There.of(told), ANN)


def test_a_long_history_is_sent_in_parts_of_which_each_names_only_what_it_holds(monkeypatch):
    monkeypatch.setattr(history, "BATCH_MESSAGES", 4)
    export = history.read(json.dumps(BROWSER))
    parts = list(history.batches(export, {table: export.ids(table) for table in history.TABLES}))
    assert len(parts) > 1
    assert sorted(row["id"] for part in parts for row in part["messages"]) == ["m1", "m2", "m3"]
    for part in parts:
        sessions = {row["id"] for row in part["sessions"]}
        topics = {row["id"] for row in part["topics"]}
        for row in part["messages"]:
            assert row["sessionId"] is None or row["sessionId"] in sessions
            assert row["topicId"] is None or row["topicId"] in topics


def test_a_row_longer_than_the_server_takes_is_refused(monkeypatch):
    monkeypatch.setattr(history, "LONGEST_ROW", 100)
    export = history.read(json.dumps(BROWSER))
    with pytest.raises(Refusal, match="LobeHub takes 100 at most"):
        list(history.batches(export, {table: export.ids(table) for table in history.TABLES}))


def test_rows_that_did_not_come_are_a_failure_with_their_counts():
    export = history.read(json.dumps(BROWSER))
    with pytest.raises(Unhealthy, match="3 of 3 messages did not come") as failure:
        history.counted(export, There("u", There.of({}).ids), There("u", There.of({}).ids))
    assert failure.value.result["counts"]["topics"]["missing"] == 2


@pytest.mark.parametrize(
    ("status", "answer", "word"),
    [
        (200, {"result": {"data": {"json": {"success": True, "results": {}}}}}, ""),
        (200, {"result": {"data": {"json": {"success": False, "error": {"message": "broken"}}}}}, "broken"),
        (401, {"error": {"json": {"message": "UNAUTHORIZED"}}}, "the status 401 (UNAUTHORIZED)"),
        (404, None, "the status 404"),
    ],
)
def test_the_importers_answer_is_read_as_it_is_meant(status, answer, word):
    assert word in history.verdict(status, answer)
    assert bool(history.verdict(status, answer)) == bool(word)


def test_a_session_that_is_not_known_is_told_with_the_secret_to_set():
    assert "set auth_secret" in history.way_out(401)
    assert "docker logs" in history.way_out(500)


def test_cookies_are_signed_as_lobehub_signs_them():
    # As better-call does it, for Better Auth: base64 of the HMAC, encoded for an address.
    signed = "abc.mUba1OAOkT%2FIvo5dP34RCkqegy%2BD%2BwnDRShdeGONig4%3D"
    cookies = history.cookies("abc", "secret")
    assert f"better-auth.session_token={signed}" in cookies.split("; ")
    assert f"__Secure-better-auth.session_token={signed}" in cookies.split("; ")
    assert "better-auth.dont_remember=true." in cookies


def test_a_text_never_ends_its_literal():
    assert history.literal("it's \\ :x\0") == "'it''s \\ :x'"
    assert "''); DROP" in history.question("x'); DROP TABLE users; --", [])


def test_the_order_that_parts_lose_is_given_back_for_what_is_new():
    export = history.read(json.dumps(BROWSER))
    sql = history.order(export, There("u", {**There.of({}).ids, "topics": {"t"}}))
    assert '{"c": "m2", "p": "m1"}' in sql
    assert '{"c": "i", "t": 1}' in sql
    assert '{"c": "t", "t": 2}' not in sql
