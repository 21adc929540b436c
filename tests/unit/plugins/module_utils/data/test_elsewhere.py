# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a database of somebody else's can hold a chat."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.data import elsewhere
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.data.elsewhere import Database

GOOD = Database(17, "17.2", "UTF8", False, True, {"plpgsql": "1.0", "vector": "0.8.0"}, {"vector": "0.8.0"})


@pytest.mark.parametrize(
    ("changed", "refused", "words"),
    [
        pytest.param({}, {}, [], id="a good one has no fault"),
        pytest.param({"extensions": {}}, {}, [], id="an extension that its user may make need not be there"),
        pytest.param(
            {"extensions": {}}, {"vector": "denied"}, ['CREATE EXTENSION "vector"'], id="one that they may not make"
        ),
        pytest.param({"extensions": {}, "available": {}}, {}, ["no extension vector"], id="one that is not installed"),
        pytest.param({"major": 14, "version": "14.9"}, {}, ["found PostgreSQL 14.9; wanted 15"], id="an old server"),
        pytest.param({"encoding": "LATIN1"}, {}, ["LATIN1; wanted UTF8"], id="an encoding that holds few languages"),
        pytest.param({"others": ("joe",)}, {}, ["tables of joe"], id="somebody else's tables"),
        pytest.param({}, {"make tables": "no"}, ["may not make tables (no)"], id="a right that is missing"),
        pytest.param(
            {"read_only": True, "encoding": "LATIN1"}, {}, ["follows another"], id="a replica says nothing of the rest"
        ),
    ],
)
def test_a_database_is_judged(changed, refused, words):
    found = elsewhere.faults(dataclasses.replace(GOOD, **changed), ["vector"], refused)
    assert len(found) == len(words)
    assert all(word in text for word, text in zip(words, found, strict=True))


@pytest.mark.parametrize(
    ("changed", "client", "words"),
    [
        pytest.param({}, "17", [], id="a dump by the same version"),
        pytest.param({}, "", [], id="a version that nobody knows"),
        pytest.param({"major": 18}, "17", ["wanted pg_dump 18"], id="a server newer than its client"),
        pytest.param({"makes_databases": False}, "17", ["CREATEDB"], id="no database beside it"),
    ],
)
def test_what_backups_need_is_told(changed, client, words):
    found = elsewhere.backup_warnings(dataclasses.replace(GOOD, **changed), client)
    assert len(found) == len(words)
    assert all(word in text for word, text in zip(words, found, strict=True))


@pytest.mark.parametrize(
    ("kind", "code", "wanted"),
    [
        ("name", "", "resolver"),
        ("connection", "", "open the way"),
        ("certificate", "", "authority_file"),
        ("protocol", "", "ssl and password_encryption"),
        ("server", "28P01", "gpuchat_database_password"),
        ("server", "28000", "pg_hba.conf"),
        ("server", "3D000", "gpuchat_database.name"),
        ("server", "XX000", "its log"),
    ],
)
def test_why_a_database_is_not_reached_says_what_to_do(kind, code, wanted):
    text = elsewhere.unreached(kind, "said so", "db.example.com", 5432, "chat", "chat", code)
    assert wanted in text
    assert "said so" in text


def test_a_database_is_read_from_its_answer():
    told = {
        "number": 170002,
        "version": "17.2",
        "encoding": "UTF8",
        "read_only": False,
        "makes_databases": True,
        "extensions": {"plpgsql": "1.0", "vector": "0.8.0"},
        "available": {"vector": "0.8.0"},
        "others": [],
    }
    assert Database.of(told) == GOOD


def test_what_is_tried_is_taken_back():
    assert elsewhere.attempt("CREATE TABLE a ();") == "BEGIN;CREATE TABLE a ();ROLLBACK;"
