# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was said stays, for those who said it and for nobody else; test_1_browser.py said it."""

from __future__ import annotations

import json
import pathlib
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat import room
from browsing import DIALOGUES, browse
from interfaces import sign_in
from running import Stack

SAID = {
    "lobehub": """
        SELECT m.role, COALESCE(m.model, ''), m.content FROM messages m JOIN users u ON u.id = m.user_id
        WHERE u.email = '{email}'""",
    "open_webui": """
        SELECT m.role, COALESCE(m.model_id, ''), m.content #>> '{{}}'
        FROM chat_message m JOIN "user" u ON u.id = m.user_id WHERE u.email = '{email}' AND m.role = 'assistant'
        UNION SELECT m.role, '', m.content #>> '{{}}'
        FROM chat_message m JOIN "user" u ON u.id = m.user_id WHERE u.email = '{email}' AND m.role = 'user'""",
}
PEOPLE = {"lobehub": "SELECT email FROM users", "open_webui": 'SELECT email FROM "user"'}
TALKS = {
    "lobehub": "/trpc/lambda/topic.recentTopics?batch=1&input=" + quote('{"0":{"json":{"limit":50}}}'),
    "open_webui": "/api/v1/chats/?page=1",
}
SIGN_UP = {"lobehub": "/api/auth/sign-up/email", "open_webui": "/api/v1/auths/signup"}
STRANGER = {"email": "stranger@example.com", "password": "long enough 1", "name": "Stranger"}
SECOND = "second@example.com"


@pytest.fixture
def second(stack: Stack, tmp_path: pathlib.Path) -> tuple[str, str]:
    """Return the words by which curl shows the session of a second person, whose account the operator makes."""
    stack.must_play("-e", f"account_email={SECOND}", playbook="playbooks/account.yml")
    note = (stack.inventory / ".gpuchat" / "accounts" / SECOND).read_text().strip()
    if stack.interface == "open_webui":
        return sign_in(stack, tmp_path, SECOND, note)
    (tmp_path / "chosen.json").write_text(
        json.dumps({"newPassword": "a second person's", "token": parse_qs(urlsplit(note).query)["token"][0]})
    )
    words = ("--header", "Content-Type: application/json", "--header", f"Origin: https://{stack.domain}")
    data = ("--data", f"@{tmp_path / 'chosen.json'}")
    assert stack.curl("/api/auth/reset-password", *words, *data, key=False)[0] == 200
    assert stack.curl("/api/auth/reset-password", *words, *data, key=False)[0] != 200  # the link is good once
    return sign_in(stack, tmp_path, SECOND, "a second person's")


def talks(stack: Stack, session: tuple[str, str]) -> list[object]:
    status, body = stack.curl(TALKS[stack.interface], *session, key=False)
    assert status == 200, body
    found = json.loads(body)
    listed: list[object] = found[0]["result"]["data"]["json"] if stack.interface == "lobehub" else found
    return listed


def test_a_second_browser_finds_what_was_said_in_the_first_and_forgets_the_person_who_signs_out(
    stack: Stack, tmp_path: pathlib.Path
) -> None:
    seen = browse(stack, tmp_path, "--history", DIALOGUES["nihao"]["answer"], "--sign-out")
    assert int(str(seen["talks"])) >= 2  # hello and nihao


def test_every_word_is_a_row_of_the_database_with_the_model_that_answered(stack: Stack) -> None:
    rows = stack.sql(stack.interface, SAID[stack.interface].format(email=stack.admin_email))
    for one in (DIALOGUES["hello"], DIALOGUES["nihao"]):
        assert f"user||{one['ask']}" in rows
        assert f"assistant|{stack.model}|{one['answer']}" in rows


def test_a_second_person_sees_nothing_of_the_first(
    stack: Stack, tmp_path: pathlib.Path, second: tuple[str, str]
) -> None:
    first = tmp_path / "first"
    first.mkdir()
    assert len(talks(stack, sign_in(stack, first, stack.admin_email))) >= 2
    assert talks(stack, second) == []


def test_nobody_makes_an_account_where_that_is_closed(stack: Stack) -> None:
    words = ("--header", "Content-Type: application/json", "--data", json.dumps(STRANGER))
    assert stack.curl(SIGN_UP[stack.interface], *words, key=False)[0] == 404
    assert STRANGER["email"] not in stack.sql(stack.interface, PEOPLE[stack.interface])


def test_without_a_session_whatever_belongs_to_people_is_shut(stack: Stack) -> None:
    version = str(stack.variables.get(f"{stack.interface}_version", "0"))
    described: Any = room.describe(stack.interface, version, "closed")
    answered = {}
    for one in described["guarded_examples"]:
        words = ("--globoff", "--request", one["method"])
        answered[one["method"], one["path"]] = stack.curl(f"/{one['path']}", *words, key=False)[0]
    assert len(answered) > 5
    assert {what: status for what, status in answered.items() if status not in (401, 404)} == {}
