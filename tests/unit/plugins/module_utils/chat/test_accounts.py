# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts as the rows of the interface's own tables."""

from __future__ import annotations

import re

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat import accounts
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat.accounts import Account, Found, Ids
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from hypothesis import given
from hypothesis import strategies as st

IDS = Ids("user_new", "account1", "verification1")
NOW = "2026-11-29T10:00:00.000Z"
THERE = Found(True, "user_old", guarded=True, started=True, has_nobody=True)
NOBODY = Found(True, guarded=True, started=True, has_nobody=True)
HASH = "salt:key"


def plan(account, found):
    return accounts.plan(account, found, IDS, NOW)


def ada(interface="lobehub", **more):
    return Account(interface, "Ada@Example.com", **more)


def test_better_auths_hash_of_a_password_is_met_byte_for_byte():
    # As Node.js makes it with Better Auth's numbers; LobeHub 2.1.26 has let people in by such rows.
    salt = bytes(range(16))
    made = accounts.scrypt_hash("password", salt)
    text, key = made.split(":")
    assert text == salt.hex()
    assert key == (
        "3e0919938b5e2b36382eb5a81c23ab15482d02c6a9e295451ff69530660a61b2"
        "ca15c113ee385e40a1a76b9345e7d3d519fe53b60d2786758802d888ceb009d1"
    )
    assert accounts.scrypt_hash("pass\uff57ord", salt) == made  # NFKC: a full-width w is a w
    assert accounts.scrypt_hash("password", bytes(16)) != made


@given(st.binary(min_size=16, max_size=16))
def test_a_bcrypt_setting_is_one_whatever_the_salt(salt):
    setting = accounts.bcrypt_setting(salt)
    assert re.fullmatch(r"\$2b\$12\$[./A-Za-z0-9]{22}", setting)
    assert accounts.BCRYPT64.index(setting[-1]) % 16 == 0


@pytest.mark.parametrize(
    ("salt", "letters"), [(bytes(16), "." * 22), (b"\xff" * 16, "9" * 21 + "u"), (b"\x10" + bytes(15), "C" + "." * 21)]
)
def test_a_salt_is_written_in_bcrypts_own_letters(salt, letters):
    assert accounts.bcrypt_setting(salt, 5) == "$2b$05$" + letters


def test_a_new_account_of_lobehubs_has_its_first_steps_behind_it():
    made = plan(ada(name="Ada", password_hash=HASH), NOBODY)
    (user,) = [one for one in made.statements if "INSERT INTO public.users" in one]
    assert "'user_new', 'ada@example.com', 'ada@example.com', 'Ada', true" in user
    assert f'"finishedAt": "{NOW}"' in user
    assert any("INSERT INTO public.accounts" in one and HASH in one for one in made.statements)
    assert made.created
    assert made.words == ("account Ada@Example.com", "password of Ada@Example.com")


def test_who_has_no_name_is_called_by_the_address():
    assert "'Ada'" in plan(ada(), NOBODY).statements[0]


def test_an_account_that_is_there_is_not_changed():
    for interface in accounts.DATABASES:
        kept = plan(ada(interface, name="X", password_hash=HASH, token="t"), THERE)
        assert (kept.words, kept.statements, kept.created) == ((), (), False)


def test_a_reset_gives_an_account_that_is_there_a_password_or_a_link_and_signs_it_out():
    made = plan(ada(password_hash=HASH, token="TOKEN", reset=True), THERE)
    text = "\n".join(made.statements)
    assert "INSERT INTO public.users" not in text
    assert text.count("user_old") >= 4
    assert "UPDATE public.accounts SET password = 'salt:key'" in text
    assert "'reset-password:TOKEN'" in text
    assert "DELETE FROM public.auth_sessions WHERE user_id = 'user_old'" in text
    assert not made.created


def test_a_link_is_good_for_its_hours_and_voids_the_one_before():
    first, second = plan(ada(token="TOKEN", hours=5), NOBODY).statements[1:3]
    assert first.startswith("DELETE FROM public.verifications")
    assert "interval '5 hours'" in second
    assert "(now() AT TIME ZONE 'UTC')" in second  # the column knows no zone, and LobeHub takes it for UTC


@pytest.mark.parametrize("interface", accounts.DATABASES)
def test_an_administrator_becomes_one_and_stays_one(interface):
    wanted = ada(interface, administrator=True, password_hash=HASH)
    assert any("'admin'" in one for one in plan(wanted, NOBODY).statements)
    assert plan(wanted, THERE).words == ("Ada@Example.com is an administrator",)
    assert (
        plan(
            wanted, Found(True, "user_old", administrator=True, guarded=True, started=True, has_nobody=True)
        ).statements
        == ()
    )
    assert (
        plan(
            ada(interface), Found(True, "user_old", administrator=True, guarded=True, started=True, has_nobody=True)
        ).statements
        == ()
    )


def test_open_webui_gets_a_row_with_its_role_and_one_with_its_password():
    user, _update, auth = plan(ada("open_webui", password_hash="$2b$x"), NOBODY).statements
    assert "'user_new', 'ada@example.com', 'Ada', 'user', '/api/v1/users/user_new/profile/image'" in user
    assert "'$2b$x', true" in auth


def test_tables_refuse_what_people_could_do_to_others_from_the_first_account_on():
    made = plan(ada(), Found(True, "user_old", started=True, has_nobody=True))
    assert made.words == ("tables refuse providers' addresses, plugins, and what is somebody else's",)
    assert made.statements == accounts.GUARD_STATEMENTS
    assert "key_vaults" in made.statements[0]


def guard(name):
    (made,) = [one for one in accounts.GUARD_STATEMENTS if f"FUNCTION public.{name}() RETURNS trigger" in one]
    return made


def test_no_plugin_is_stored_and_so_no_program_that_one_names():
    assert "BEGIN\n    RETURN NULL;\nEND" in guard("keep_no_tools")
    assert accounts.TRIGGERS["user_installed_plugins"] == "keep_no_tools"


def test_a_files_hash_is_kept_with_its_address_in_both_tables_and_in_what_is_there_already():
    apart = guard("keep_files_apart")
    hashed = "encode(sha256(convert_to({} || ':' || {}, 'UTF8')), 'hex')"
    assert hashed.format("(fields ->> 'url')", "(fields ->> 'hash_id')") in apart
    assert hashed.format("(fields ->> 'url')", "(fields ->> 'file_hash')") in apart
    assert "user_id <> fields ->> 'user_id'" in apart
    statements = list(accounts.GUARD_STATEMENTS)
    (rewritten,) = [one for one in statements if "UPDATE public.files" in one]
    assert hashed.format("url", "hash_id") in rewritten
    triggers = [one for one in statements if "CREATE TRIGGER keep_files_apart BEFORE INSERT ON" in one]
    assert len(triggers) == 2
    # Rewritten before the triggers are there, and never a second time.
    assert statements.index(rewritten) < min(map(statements.index, triggers))
    assert "NOT EXISTS (\n    SELECT FROM pg_trigger WHERE tgname = 'keep_files_apart'" in rewritten


@pytest.mark.parametrize(("table", "columns"), accounts.OWNERS.items())
def test_a_row_names_nothing_that_is_somebody_elses(table, columns):
    (made,) = [one for one in accounts.GUARD_STATEMENTS if f"BEFORE INSERT OR UPDATE ON public.{table} " in one]
    for column, named in columns.items():
        assert f"'{column}', '{named}'" in made
    assert f"IF to_regclass('public.{table}') IS NOT NULL" in made
    assert "owner <> fields ->> 'user_id'" in guard("keep_to_own_things")


def test_guards_of_another_release_and_one_that_is_gone_are_made_anew():
    question = accounts.account_query(ada())
    assert f"IS NOT DISTINCT FROM '{accounts.GUARDED}'" in question
    assert accounts.GUARD_STATEMENTS[-1].endswith(f"IS '{accounts.GUARDED}';")
    for table, name in accounts.TRIGGERS.items():
        assert f"('public.{table}', '{name}')" in question
    assert "pg_trigger" not in accounts.account_query(ada("open_webui"))


def test_who_signs_up_later_starts_with_a_chat():
    made = plan(ada(), Found(True, "user_old", guarded=True, has_nobody=True))
    assert made.statements == (accounts.START_STATEMENT,)
    assert "finishedAt" in accounts.START_STATEMENT
    assert plan(ada("open_webui"), Found(True, "user_old")).statements == ()


@given(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])))
def test_no_text_ends_its_literal(text):
    written = accounts.literal(text)
    assert written.startswith("'")
    assert written.endswith("'")
    assert written[1:-1].replace("''", "") == text.replace("'", "")
    assert written[1:-1].replace("''", "'") == text


def test_a_zero_byte_is_refused():
    with pytest.raises(Refusal, match="zero byte"):
        accounts.literal("a\0b")


@pytest.mark.parametrize(
    "email",
    ["", "a", "@b.de", "a@b", "a@localhost", "a@10.0.0.1", "a b@c.de", "a@b.de\n", "a,b@c.de", 'a"@b.de', "a@-b.de"],
)
def test_an_address_with_which_nobody_could_sign_in_is_refused(email):
    with pytest.raises(Refusal, match="set email"):
        accounts.check("lobehub", email, "")


@pytest.mark.parametrize("email", ["a@b.de", "o'neil+x@sub.example.com", "A@B.test", "1@2.xn.com"])
def test_an_address_that_people_have_passes(email):
    accounts.check("lobehub", email, "12345678")


@pytest.mark.parametrize(
    ("interface", "password", "words"),
    [
        ("lobehub", "1234567", "8 to 64"),
        ("lobehub", "x" * 65, "8 to 64"),
        ("open_webui", "\u00fc" * 37, "72 bytes"),
        ("lobehub", "x" * 64, ""),
        ("open_webui", "\u00fc" * 36, ""),
        ("open_webui", "short", ""),
    ],
)
def test_a_password_that_the_interface_would_not_take_is_refused(interface, password, words):
    if not words:
        accounts.check(interface, "a@b.de", password)
        return
    with pytest.raises(Refusal, match=words):
        accounts.check(interface, "a@b.de", password)


def test_questions_name_the_tables_and_the_address():
    assert "'ai_providers'" in accounts.tables_query("lobehub")
    assert "count(*) = 2" in accounts.tables_query("open_webui")
    assert "lower(email) = 'o''neil@b.de'" in accounts.account_query(Account("lobehub", "O'Neil@b.de"))
    assert 'public."user"' in accounts.account_query(Account("open_webui", "a@b.de"))


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ('{"guarded": true, "started": true, "nobody": true, "user": null}', NOBODY),
        ('{"guarded": false, "started": false, "user": {"id": "u", "role": null}}', Found(True, "u")),
        (
            '{"guarded": true, "started": true, "nobody": true, "user": {"id": "u", "role": "admin"}}',
            Found(True, "u", administrator=True, guarded=True, started=True, has_nobody=True),
        ),
    ],
)
def test_an_answer_is_read(answer, found):
    assert accounts.found_of(answer) == found


def test_all_statements_happen_or_none():
    assert accounts.script(["A;", "B;"]) == "BEGIN;\nA;\nB;\nCOMMIT;\n"


def test_no_secret_stands_in_words_or_in_what_python_shows():
    account = ada(password_hash="HASH1", token="TOKEN1")
    made = plan(account, NOBODY)
    assert not any(secret in f"{account!r} {made!r} {made.words}" for secret in ("HASH1", "TOKEN1"))


def test_models_are_asked_in_the_name_of_somebody_who_cannot_sign_in():
    made = plan(ada(), Found(True, "user_old", guarded=True, started=True))
    assert made.words == ("models are asked in nobody's name",)
    assert "INSERT INTO public.users (id) VALUES ('')" in made.statements[0]
    assert "accounts" not in "".join(made.statements)
