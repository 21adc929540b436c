# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the backup's program decides: words of restic, differences, and what it refuses."""

from __future__ import annotations

import json

import pytest

SUMMARY = {"message_type": "summary", "snapshot_id": "ab12", "data_added": 10, "total_bytes_processed": 20}


def lines(*messages):
    return "".join(json.dumps(one) + "\n" for one in messages)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        pytest.param({"keep": {"daily": 0}}, "set backup_keep", id="nothing is kept"),
        pytest.param({"keep": {}}, "set backup_keep", id="no period"),
        pytest.param({"database": "a'; DROP"}, "plain name", id="a name that is no name"),
        pytest.param({"more": 1}, "run site.yml", id="a word of a later release"),
    ],
)
def test_settings_that_cannot_serve_are_refused(program, given, change, word):
    with pytest.raises(program.Trouble, match=word):
        program.settings_of({**given, **change})


def test_settings_without_a_target_are_refused(program, given):
    del given["target"]
    with pytest.raises(program.Trouble, match="target"):
        program.settings_of(given)


def test_what_is_kept_is_said_in_restics_words(program):
    assert program.keep_words({"weekly": 5, "daily": 7, "monthly": 0}) == ["--keep-daily=7", "--keep-weekly=5"]


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("Fatal: wrong password or no key found", "set backup_password"),
        (
            "Fatal: repository does not exist: unable to open config file: stat /srv: no such file\nIs there one?",
            "mount its disk",
        ),
        ("Fatal: unable to open config file: dial tcp: connect: connection refused", "its server is not reached"),
        ("unable to create lock in backend: repository is already locked by PID 5", "another run holds it"),
        ("decrypting blob <data/e3> from 57 failed: ciphertext verification failed\nFatal: 2 errors", "it is damaged"),
        ("Load(<data/5c>) failed: no such file or directory\nFatal: repository contains errors", "it is damaged"),
        ("LoadRaw(<index/d8>): invalid data returned", "it is damaged"),
        ("client.BucketExists: Access Denied.", "lets nobody in"),
        ("something new", "restic cannot work with the backup"),
    ],
)
def test_restics_words_are_told_with_what_they_mean(program, said, word):
    told = program.explained(said, "/srv/backup")
    assert word in told
    assert "/srv/backup" in told
    assert said.splitlines()[-1] in told


@pytest.mark.parametrize(
    ("said", "absent"),
    [
        ("repository does not exist: unable to open config file", True),
        ("unable to open config file: connection refused", False),
        ("unable to open config file: Access Denied", False),
        ("wrong password or no key found", False),
    ],
)
def test_a_new_repository_is_made_only_where_restic_says_that_there_is_none(program, said, absent):
    assert program.is_absent(said) is absent


def test_the_summary_is_found_among_other_messages(program):
    said = lines({"message_type": "status"}) + "no JSON\n{broken\n" + lines(SUMMARY)
    assert program.summary_of(said) == SUMMARY


def test_a_backup_without_a_snapshot_is_none(program):
    with pytest.raises(program.Trouble, match="no snapshot"):
        program.summary_of(lines({"message_type": "summary"}))


def test_what_could_not_be_read_is_named(program):
    said = lines({"message_type": "error", "item": "/a", "error": {}}, SUMMARY)
    assert program.unread(said) == ["/a"]


OLD = {"id": "aaaa1111", "time": "2026-11-28T03:00:00Z"}
NEW = {"id": "bbbb2222", "time": "2026-11-29T03:00:00Z"}


@pytest.mark.parametrize(("wanted", "found"), [("latest", NEW), ("aaaa", OLD), ("bbbb2222", NEW)])
def test_a_snapshot_is_found_by_its_name_or_its_age(program, wanted, found):
    assert program.snapshot_of(json.dumps([NEW, OLD]), wanted) == found


@pytest.mark.parametrize(("listed", "wanted"), [("[]", "latest"), ("null", "latest"), (json.dumps([OLD]), "a")])
def test_a_snapshot_that_is_not_there_is_told(program, listed, wanted):
    with pytest.raises(program.Trouble, match="found no backup"):
        program.snapshot_of(listed, wanted)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"a": [1, "5"], "b": [2, "6"]}, []),
        ({"a": [1, "5"]}, ["table b is missing"]),
        ({"a": [1, "5"], "b": [1, "3"]}, ["table b has 1 rows instead of 2"]),
        ({"a": [1, "7"], "b": [2, "6"]}, ["rows of table a differ"]),
        ({"a": [1, "5"], "b": [2, "6"], "c": [0, "0"]}, ["table c was not in the backup"]),
    ],
)
def test_tables_that_are_not_as_they_were_are_named(program, found, words):
    assert program.table_differences({"a": [1, "5"], "b": [2, "6"]}, found) == words


def test_a_long_list_of_differences_is_cut(program):
    assert program.shortened([f"file {number} differs" for number in range(7)]).endswith("; and 2 more")


def test_extensions_and_their_comments_are_left_to_the_superuser(program):
    listing = (
        "; Archive created at today\n"
        "2; 3079 16386 EXTENSION - vector \n"
        "3512; 0 0 COMMENT - EXTENSION vector \n"
        "6; 2615 16388 SCHEMA - drizzle lobehub\n"
        "3513; 0 0 COMMENT public TABLE users lobehub\n"
    )
    kept = program.loadable(listing)
    assert "EXTENSION" not in kept
    assert kept.count("\n") == 3


@pytest.mark.parametrize(
    ("major", "found"),
    [(0, "/usr/lib/postgresql/18/bin"), (9, "/usr/lib/postgresql/9/bin"), (15, "/usr/lib/postgresql/18/bin")],
)
def test_postgresqls_programs_are_those_of_its_server(program, major, found):
    assert program.programs_of(["/usr/lib/postgresql/9/bin", "/usr/lib/postgresql/18/bin"], major) == found


def test_without_a_folder_of_versions_the_path_finds_them(program):
    assert program.programs_of([]) == ""


def test_a_tables_name_stands_in_the_statement_as_it_is_quoted(program):
    assert 'FROM ONLY public."Odd ""name" gpuchat_row;' in program.sum_statement('public."Odd ""name"')


GOOD = {"format": 1, "kind": "lobehub", "version": "2.1.40"}


@pytest.mark.parametrize(
    ("manifest", "word"),
    [
        ({**GOOD, "format": 2}, "format 2"),
        ({**GOOD, "kind": "open_webui"}, "set gpuchat_interface to open_webui"),
        ({**GOOD, "version": "2.2.0"}, "set lobehub_version"),
        ({**GOOD, "version": "2.1.100"}, "newer than 2.1.48"),
    ],
)
def test_a_backup_that_the_interface_cannot_take_is_refused(program, settings, manifest, word):
    with pytest.raises(program.Trouble, match=word):
        program.check_manifest(manifest, settings)


@pytest.mark.parametrize("version", ["2.1.48", "2.1.9", "1.143.3"])
def test_a_backup_of_the_same_or_an_earlier_version_is_taken(program, settings, version):
    program.check_manifest({**GOOD, "version": version}, settings)


ELSEWHERE = {
    "host": "db.example.com",
    "port": 5432,
    "name": "chat",
    "user": "chat",
    "password": "secret",
    "authority_file": "/etc/gpuchat/database/authority.crt",
}


def test_the_hosts_own_server_is_asked_by_its_socket_as_its_administrator(program, given):
    known = program.settings_of({**given, "connection": ""})
    found = program.environment_of(known, {})
    assert known.runs_as == "postgres"
    assert (found["PGHOST"], found["PGUSER"]) == ("/var/lib/gpuchat/postgresql/socket", "postgres")
    assert "PGPASSWORD" not in found


def test_one_elsewhere_is_asked_by_tls_as_the_databases_owner_and_by_root_alone(program, given):
    known = program.settings_of({**given, "connection": "/etc/gpuchat/database/connection.json"})
    found = program.environment_of(known, ELSEWHERE)
    assert known.runs_as == ""
    assert {name: found[name] for name in found if name != "PGOPTIONS"} == {
        "PGHOST": "db.example.com",
        "PGPORT": "5432",
        "PGUSER": "chat",
        "PGPASSWORD": "secret",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/etc/gpuchat/database/authority.crt",
        "PGCONNECT_TIMEOUT": "30",
    }


def test_an_address_beside_the_name_is_the_one_that_is_asked(program, settings):
    assert program.environment_of(settings, {**ELSEWHERE, "address": "10.0.0.9"})["PGHOSTADDR"] == "10.0.0.9"


def test_a_connection_that_lacks_something_is_told(program, settings):
    with pytest.raises(program.Trouble, match=r"'user'.*run site.yml"):
        program.environment_of(settings, {"host": "db.example.com", "port": 5432})


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("ERROR:  permission denied to create database", "given CREATEDB"),
        ('ERROR:  permission denied to create extension "vector"', "make the extension in template1"),
        ("pg_dump: error: aborting because of server version mismatch", "the client in its version"),
        ("ERROR:  something new", "ERROR:  something new"),
    ],
)
def test_what_a_server_refuses_is_told_with_what_it_means(program, said, meant):
    told = program.refusal_explained(said)
    assert told.startswith(said)
    assert told.endswith(meant) or meant in told
