# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts, with a database that answers what it is told to."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat import accounts_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import CommandFailed, Refusal, Unhealthy
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.data import postgresql_runner

NOBODY = '{"guarded": true, "started": true, "nobody": true, "user": null}'
USUAL = {
    "interface": "lobehub", "email": "ada@example.com", "name": "", "password": "secret-password", "token": "",
    "hours": 72, "administrator": False, "reset": False, "socket": "/s", "connection": "", "timeout": 0,
}  # fmt: skip


class Database:
    """Takes psql's place: answers in order, and remembers what it was given."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self.commands = []

    def __call__(self, command, given, *_more):
        self.asked.append(given)
        self.commands.append(command)
        answer = self.answers.pop(0) if self.answers else ""
        rc, said = (0, answer) if isinstance(answer, str) else answer
        return host.Output(rc, said if rc == 0 else "", said if rc else "")


@pytest.fixture
def database(monkeypatch):
    def answers(*given):
        fake = Database(*given)
        monkeypatch.setattr(postgresql_runner, "installed", lambda: {"17": "/usr/lib/postgresql/17/bin"})
        monkeypatch.setattr(postgresql_runner, "as_server", fake)
        return fake

    return answers


def ensure(check=False, **more):
    return accounts_runner.ensure({**USUAL, **more}, check)


def test_an_account_is_made_once_its_tables_are_there(database):
    fake = database("t\n", NOBODY)
    result = ensure()
    assert (result["changed"], result["created"]) == (True, True)
    assert "INSERT INTO public.users" in fake.asked[2]
    assert fake.asked[2].rstrip().endswith("COMMIT;")


def test_check_mode_predicts_and_writes_nothing(database):
    fake = database("t\n", NOBODY)
    result = ensure(check=True)
    assert (result["changed"], len(fake.asked)) == (True, 2)
    assert "account ada@example.com" in result["diff"][0]["after"]


def test_an_account_that_is_there_is_no_change(database):
    fake = database("t\n", '{"guarded": true, "started": true, "nobody": true, "user": {"id": "u", "role": null}}')
    result = ensure()
    assert (result["changed"], result["created"], result["diff"], len(fake.asked)) == (False, False, [], 2)


def test_no_secret_is_an_argument_or_in_the_result(database):
    fake = database("t\n", NOBODY)
    result = ensure(token="TOKEN-OF-A-LINK")
    told = f"{result} {fake.commands}"
    assert "secret-password" not in f"{told} {fake.asked}"
    assert "TOKEN-OF-A-LINK" not in told
    assert "SET log_statement = none;" in fake.asked[-1]


def test_a_database_that_is_not_there_is_waited_for_and_not_predicted(database):
    database((2, "psql: error: connection to server on socket failed\n"))
    with pytest.raises(Unhealthy, match="the database does not answer"):
        ensure()
    database("f\n")
    with pytest.raises(Unhealthy, match="docker logs gpuchat-lobehub"):
        ensure()
    database("f\n")
    result = ensure(check=True)
    assert result["changed"]
    assert "has not made its tables" in result["not_predicted"][0]


def test_a_host_without_psql_is_told_and_is_no_end_of_check_mode(monkeypatch):
    monkeypatch.setattr(postgresql_runner, "installed", dict)
    with pytest.raises(Unhealthy, match="found no PostgreSQL on this host"):
        ensure()
    assert "found no PostgreSQL" in ensure(check=True)["not_predicted"][0]


def test_an_error_of_the_databases_shows_its_words_and_no_statement(database):
    database("t\n", NOBODY, (3, "psql:<stdin>:3: ERROR:  duplicate key\n"))
    with pytest.raises(CommandFailed) as caught:
        ensure()
    assert "duplicate key" in str(caught.value)
    assert "INSERT" not in str(caught.value)


def test_a_wrong_address_is_refused_before_anything_is_asked(database):
    fake = database()
    with pytest.raises(Refusal):
        ensure(email="nobody")
    assert fake.asked == []


def test_open_webui_gets_a_hash_that_it_can_check(database):
    fake = database("t\n", NOBODY)
    ensure(interface="open_webui")
    assert "$2b$12$" in fake.asked[2]
    assert accounts_runner._bcrypt("U*U", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.") == (
        "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
    )


def test_a_host_without_bcrypt_is_told(monkeypatch):
    monkeypatch.setattr(accounts_runner, "LIBRARIES", ("libnone.so.9",))
    with pytest.raises(Refusal, match="libcrypt1"):
        accounts_runner._bcrypt("x", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.")


def test_new_names_look_like_the_interfaces_own():
    user = accounts_runner._ids("lobehub").user
    assert (user[:5], len(user)) == ("user_", 32)
    assert [len(part) for part in accounts_runner._ids("open_webui").user.split("-")] == [8, 4, 4, 4, 12]


def test_an_account_in_a_database_elsewhere_is_asked_for_where_a_file_says(database, monkeypatch):
    fake = database("t\n", NOBODY)
    asked = []

    class Elsewhere:
        def __init__(self, path):
            asked.append(path)

        def say(self, name, sql):
            return fake(name, sql)

    monkeypatch.setattr(postgresql_runner, "Elsewhere", Elsewhere)
    assert ensure(connection="/etc/gpuchat/database/connection.json")["created"]
    assert set(asked) == {"/etc/gpuchat/database/connection.json"}
    assert fake.asked[2].startswith("BEGIN;")
