# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which PostgreSQL runs with which settings, and who gets which database."""

from __future__ import annotations

import dataclasses
import pathlib
import re

import pytest
import yaml
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.units import GIB
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.data import postgresql
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.data.postgresql import (
    Database,
    Found,
    Places,
    Role,
    Server,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system.release import Release

ROLE = pathlib.Path(__file__).resolve().parents[5] / "roles" / "postgresql"
TRIXIE, NOBLE, ALMA = (
    Release("debian", "13", "trixie"),
    Release("ubuntu", "24.04", "noble", ("debian",)),
    Release("almalinux", "10.0", "", ("rhel", "centos", "fedora")),
)
ROOT = "/var/lib/gpuchat/postgresql"
PLACES = Places("17", "/usr/lib/postgresql/17/bin", f"{ROOT}/17", f"{ROOT}/socket")
HBA = "/etc/gpuchat/postgresql/pg_hba.conf"
SALT = b"0123456789abcdef"
PASSWORD = "a password of its own".replace(" ", "-")
LOBEHUB = Database("lobehub", "lobehub", PASSWORD, ("vector",))
FRESH = Server(available={"vector": "0.8.0", "pgcrypto": "1.3"})


def server(role=None, database=None, available=None):
    kept = postgresql.verifier(PASSWORD, SALT)
    return Server(
        {"lobehub": role or Role(True, (), kept)},
        {"lobehub": database or Found("lobehub", "UTF8", False, False, {"vector": "0.8.0", "plpgsql": "1.0"})},
        available or FRESH.available,
    )


def statements(plan):
    return [(one.database, one.sql) for one in plan.actions]


# --- versions


@pytest.mark.parametrize(
    ("wished", "release", "kept", "installed", "wanted"),
    [
        ("auto", TRIXIE, [], [], "17"),
        ("auto", NOBLE, [], ["16"], "16"),
        ("auto", TRIXIE, ["17"], ["15", "17"], "17"),
        ("15", TRIXIE, ["15"], ["15", "17"], "15"),
        ("18", TRIXIE, [], [], "18"),
        ("auto", ALMA, [], ["16"], "16"),
        ("auto", ALMA, [], [], ""),
        ("auto", TRIXIE, ["15", "17"], ["15", "17"], "17"),
    ],
)
def test_the_version_is_the_wished_one_or_that_of_the_release(wished, release, kept, installed, wanted):
    assert postgresql.major_for(wished, release, kept, installed) == wanted


@pytest.mark.parametrize("wished", ["auto", "17"])
def test_data_of_another_version_are_left_alone_and_the_playbook_that_upgrades_them_is_named(wished):
    with pytest.raises(Refusal, match=r"PostgreSQL 15, and PostgreSQL 17 .* run playbooks/upgrade_postgresql\.yml"):
        postgresql.major_for(wished, TRIXIE, ["15"], ["15", "17"])


@pytest.mark.parametrize("wished", ["14", "seventeen", "17.2"])
def test_what_is_no_version_or_too_old_is_refused(wished):
    with pytest.raises(Refusal, match="set major to auto"):
        postgresql.major_for(wished, TRIXIE, [], [])


@pytest.mark.parametrize(
    ("major", "installed", "words"),
    [
        ("17", [], "found none of PostgreSQL's server programs; wanted those of PostgreSQL 17"),
        ("17", ["15"], "found those of 15 "),
        ("", [], "wanted some"),
    ],
)
def test_programs_that_are_not_there_are_named(major, installed, words):
    with pytest.raises(Refusal, match=re.escape(words)):
        postgresql.refuse_without_programs(major, installed)
    postgresql.refuse_without_programs("17", ["15", "17"])


def test_the_role_installs_the_versions_that_the_module_expects():
    told = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))["_postgresql_own_packages"]
    expected = {
        name: [f"postgresql-{major}", f"postgresql-{major}-pgvector"] for name, major in postgresql.MAJORS.items()
    }
    assert told == expected


def test_the_playbook_that_messages_name_is_there():
    assert (ROLE.parents[1] / postgresql.UPGRADE_PLAYBOOK).is_file()


# --- the cluster


def test_an_empty_host_gets_folders_and_a_cluster():
    plan = postgresql.plan_cluster(ROOT, PLACES, {}, has_data=False)
    assert [(step.act, step.name) for step in plan.actions] == [
        ("folder", ROOT),
        ("folder", f"{ROOT}/socket"),
        ("folder", f"{ROOT}/17"),
        ("initdb", f"{ROOT}/17"),
    ]
    assert [difference.before for difference in plan.differences] == [""] * 4


def test_a_cluster_that_is_there_is_never_made_anew():
    folders = {ROOT: (0o711, True), f"{ROOT}/socket": (0o711, True), f"{ROOT}/17": (0o700, True)}
    assert not postgresql.plan_cluster(ROOT, PLACES, folders, has_data=True).changed
    plan = postgresql.plan_cluster(ROOT, PLACES, {**folders, f"{ROOT}/17": (0o755, False)}, has_data=True)
    assert [step.act for step in plan.actions] == ["folder"]
    assert plan.differences[0].before == "0755, somebody else\n"


def test_a_data_folder_with_other_files_is_refused():
    with pytest.raises(Refusal, match="files in .*/17 that are no PostgreSQL cluster"):
        postgresql.plan_cluster(ROOT, PLACES, {}, has_data=False, holds_other=True)


def test_a_cluster_can_be_upgraded_whatever_its_version():
    command = postgresql.initdb_command(PLACES)
    assert command[0] == "/usr/lib/postgresql/17/bin/initdb"
    assert {"--data-checksums", "--encoding=UTF8", "--locale=C.UTF-8", "--auth-local=peer"} < set(command)


# --- settings


@pytest.mark.parametrize(
    ("gib", "shared", "cache"),
    [(1, "128MB", "256MB"), (16, "1024MB", "4096MB"), (23.5, "1408MB", "5888MB"), (256, "2048MB", "65536MB")],
)
def test_settings_leave_most_of_the_memory_to_models(gib, shared, cache):
    found = postgresql.settings_for(int(gib * GIB))
    assert (found["shared_buffers"], found["effective_cache_size"]) == (shared, cache)


def test_a_little_more_or_less_memory_restarts_nothing():
    assert postgresql.settings_for(16 * GIB + 5 * 1024**2) == postgresql.settings_for(16 * GIB + 90 * 1024**2)


def configured(given=None, version="17.1"):
    return postgresql.configuration(16 * GIB, PLACES, version, HBA, given or {})


def test_it_listens_on_a_socket_alone_and_logs_no_word_of_a_chat():
    lines = configured().text.splitlines()
    for line in (
        "listen_addresses = ''",
        f"unix_socket_directories = '{ROOT}/socket'",
        "password_encryption = 'scram-sha-256'",
        "log_min_messages = 'log'",
        "log_min_error_statement = 'panic'",
        "log_parameter_max_length_on_error = '0'",
        "log_error_verbosity = 'terse'",
    ):
        assert line in lines


def test_settings_of_the_inventory_win_and_are_quoted():
    text = configured({"work_mem": "64MB", "max_connections": 300, "wal_compression": False, "a.b": "it's \\ so"}).text
    assert "work_mem = '64MB'\n" in text
    assert "max_connections = '300'\n" in text
    assert "wal_compression = 'off'\n" in text
    assert "a.b = 'it''s \\\\ so'\n" in text
    assert text.count("work_mem = ") == 2  # maintenance_work_mem is another


@pytest.mark.parametrize("name", ["listen_addresses", "Data_Directory", "include", "jit", "port"])
def test_what_the_role_decides_is_no_setting(name):
    with pytest.raises(Refusal, match=f"found the setting {name}, which the role decides itself"):
        configured({name: "x"})


@pytest.mark.parametrize("given", [{"work mem": 1}, {"x\ny": 1}, {"work_mem": "1\nport = 1"}, {"work_mem": [1]}])
def test_what_is_no_setting_is_refused(given):
    with pytest.raises(Refusal, match="set settings to such ones"):
        configured(given)


@pytest.mark.parametrize(
    ("given", "version", "restarts"),
    [
        ({}, "17.1", False),
        ({"work_mem": "64MB"}, "17.1", False),
        ({"max_connections": 200}, "17.1", True),
        ({"shared_preload_libraries": "pg_stat_statements"}, "17.1", True),
        ({}, "17.2", True),
    ],
)
def test_it_starts_anew_only_for_what_a_reload_does_not_take_up(given, version, restarts):
    assert (configured(given, version).start_digest != configured().start_digest) is restarts


# --- passwords


def test_a_verifier_is_that_of_rfc_7677():
    kept = postgresql.verifier("pencil", b"W\x22\x9b\xd1", 4096)
    assert re.fullmatch(r"SCRAM-SHA-256\$4096:VyKb0Q==\$[\w+/]{43}=:[\w+/]{43}=", kept)


def test_a_verifier_is_the_one_that_postgresql_makes():
    """Made by PostgreSQL 17 with ``PASSWORD 'pencil-of-mine'``."""
    assert postgresql.is_password_of("pencil-of-mine", RECORDED)
    assert not postgresql.is_password_of("pencil-of-yours", RECORDED)


RECORDED = (
    "SCRAM-SHA-256$4096:UDKEQ8hoBiokboKqFekbMg=="
    "$bKpem7U1Du3m4n6YTs9THoP0Pbm9xHwcRnBJnkToHCM=:Q8k4MPkS1bOvHvixpWBJtEA+B79Cturz4mo8up+8juc="
)


@pytest.mark.parametrize("kept", ["", "md5c4ca4238a0b923820dcc509a6f75849b", "SCRAM-SHA-256$4096:%%$a:b"])
def test_what_is_kept_in_another_form_is_another_password(kept):
    assert not postgresql.is_password_of(PASSWORD, kept)


# --- databases


def test_a_fresh_server_gets_role_database_and_extension_and_no_clear_password():
    plan = postgresql.plan_databases([LOBEHUB], FRESH, [SALT])
    powers = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
    assert statements(plan) == [
        ("postgres", f"CREATE ROLE \"lobehub\" LOGIN {powers} PASSWORD '{postgresql.verifier(PASSWORD, SALT)}';"),
        ("postgres", 'CREATE DATABASE "lobehub" OWNER "lobehub" TEMPLATE template0 ENCODING \'UTF8\';'),
        ("postgres", 'REVOKE ALL ON DATABASE "lobehub" FROM PUBLIC;'),
        ("lobehub", "REVOKE CREATE ON SCHEMA public FROM PUBLIC;"),
        ("lobehub", 'CREATE EXTENSION "vector";'),
    ]
    assert PASSWORD not in str(plan)
    assert "SCRAM" not in str(plan.result())


def test_a_server_that_has_it_all_is_left_alone():
    plan = postgresql.plan_databases([LOBEHUB], server(), [b"another salt"])
    assert (plan.changed, plan.reason) == (False, "all databases are as wanted")


def test_a_server_that_is_not_there_yet_will_get_it_all():
    plan = postgresql.plan_databases([LOBEHUB], Server(), [SALT])
    assert [difference.name for difference in plan.differences] == [
        "role lobehub",
        "database lobehub",
        "extension vector of lobehub",
    ]


KEPT = postgresql.verifier(PASSWORD, SALT)
OTHER = postgresql.verifier("another-password", SALT)
CLOSED = Found("lobehub", "UTF8", False, False, {"vector": "0.8.0"})


@pytest.mark.parametrize(
    ("there", "database", "begins"),
    [
        (server(role=Role(True, (), OTHER)), "postgres", 'ALTER ROLE "lobehub" PASSWORD \'SCRAM-SHA-256$'),
        (server(role=Role(True)), "postgres", 'ALTER ROLE "lobehub" PASSWORD \'SCRAM-SHA-256$'),
        (server(role=Role(True, ("SUPERUSER",), KEPT)), "postgres", 'ALTER ROLE "lobehub" LOGIN NOSUPERUSER'),
        (server(role=Role(False, (), KEPT)), "postgres", 'ALTER ROLE "lobehub" LOGIN '),
        (server(database=dataclasses.replace(CLOSED, owner="postgres")), "postgres", "ALTER DATABASE"),
        (server(database=dataclasses.replace(CLOSED, public=True)), "postgres", "REVOKE ALL ON DATABASE"),
        (server(database=dataclasses.replace(CLOSED, public_schema=True)), "lobehub", "REVOKE CREATE ON SCHEMA"),
        (server(available={"vector": "0.8.1"}), "lobehub", 'ALTER EXTENSION "vector" UPDATE;'),
        (server(database=dataclasses.replace(CLOSED, extensions={})), "lobehub", 'CREATE EXTENSION "vector";'),
    ],
)
def test_what_differs_is_changed_and_nothing_else(there, database, begins):
    made = statements(postgresql.plan_databases([LOBEHUB], there, [SALT]))
    assert [(where, sql.startswith(begins)) for where, sql in made] == [(database, True)]


def test_a_database_of_another_encoding_is_refused():
    with pytest.raises(Refusal, match="encoding LATIN1; wanted UTF8"):
        postgresql.plan_databases([LOBEHUB], server(database=dataclasses.replace(CLOSED, encoding="LATIN1")), [SALT])


def test_an_extension_that_the_programs_lack_is_refused():
    with pytest.raises(Refusal, match="found no extension vector .* set postgresql_packages"):
        postgresql.plan_databases([LOBEHUB], Server(available={"plpgsql": "1.0"}), [SALT])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Lobe-Hub"}, "found the name 'Lobe-Hub'"),
        ({"owner": "postgres"}, "found the name 'postgres'"),
        ({"extensions": ('vector"; DROP',)}, "found the name"),
        ({"password": "short"}, "fewer than 12"),
        ({"password": "pässword-of-lobehub"}, "ASCII"),
        ({"password": "two words and a bit"}, "ASCII"),
    ],
)
def test_what_cannot_be_a_database_is_refused_without_its_password(changes, words):
    with pytest.raises(Refusal, match=words) as refused:
        postgresql.check_databases([dataclasses.replace(LOBEHUB, **changes)])
    assert changes.get("password", "none such") not in str(refused.value)


def test_two_databases_of_one_owner_are_refused():
    with pytest.raises(Refusal, match="the same owner twice"):
        postgresql.check_databases([LOBEHUB, dataclasses.replace(LOBEHUB, name="other")])


def test_a_servers_answers_are_read():
    told = {
        "roles": {"lobehub": {"login": True, "powers": ["CREATEDB"], "password": "x"}},
        "databases": {
            "lobehub": {"owner": "lobehub", "encoding": "UTF8", "public": False},
            "postgres": {"owner": "postgres", "encoding": "UTF8", "public": True},
        },
        "available": {"vector": "0.8.0"},
    }
    found = postgresql.server_of(told, {"lobehub": {"public_schema": True, "extensions": {"vector": "0.7.0"}}})
    assert found.roles == {"lobehub": Role(True, ("CREATEDB",), "x")}
    assert found.databases["lobehub"] == Found("lobehub", "UTF8", False, True, {"vector": "0.7.0"})
    assert found.databases["postgres"] == Found("postgres", "UTF8", True, False, {})
    assert found.available == {"vector": "0.8.0"}


# --- upgrades


def test_data_of_an_older_version_are_upgraded():
    plan = postgresql.plan_upgrade(["15"], "17", ROOT)
    assert [(step.act, step.name) for step in plan.actions] == [("upgrade", "15 17")]
    assert (plan.differences[0].before, plan.differences[0].after) == ("PostgreSQL 15\n", "PostgreSQL 17\n")


@pytest.mark.parametrize("new", ["15", ""])
def test_data_of_the_wanted_version_need_no_upgrade(new):
    assert not postgresql.plan_upgrade(["15"], new, ROOT).changed


@pytest.mark.parametrize(
    ("kept", "new", "words"), [([], "17", "run site.yml instead"), (["18"], "17", "newer than 17")]
)
def test_an_upgrade_without_older_data_is_refused(kept, new, words):
    with pytest.raises(Refusal, match=words):
        postgresql.plan_upgrade(kept, new, ROOT)


@pytest.mark.parametrize(
    ("old", "kept", "former", "step"),
    [
        ("15", ["17"], ["15"], "15 17"),
        ("15", [], ["15"], "15"),
        ("15", ["15"], [], None),
        ("17", ["17"], ["15"], None),  # an upgrade from 17 has failed before it had put anything aside
        ("17", ["18"], ["15", "17"], "17 18"),
    ],
)
def test_an_upgrade_is_taken_back_to_the_version_of_before_and_no_older_one(old, kept, former, step):
    plan = postgresql.plan_revert(old, kept, former, ROOT)
    assert [one.name for one in plan.actions] == ([step] if step else [])


@pytest.mark.parametrize(("old", "kept"), [("15", []), ("auto", ["17"]), ("16", ["17"])])
def test_without_the_data_of_before_nothing_is_taken_back(old, kept):
    with pytest.raises(Refusal, match="or restore a backup"):
        postgresql.plan_revert(old, kept, [], ROOT)


def test_extensions_that_the_new_programs_have_newer_are_updated():
    told = {"extensions": {"vector": "0.4.4", "plpgsql": "1.0", "own": "3"}}
    found = postgresql.updates("lobehub", told, {"vector": "0.8.0", "plpgsql": "1.0"})
    assert [(one.database, one.sql) for one in found] == [("lobehub", 'ALTER EXTENSION "vector" UPDATE;')]


def test_an_upgrade_that_does_not_fit_is_refused():
    postgresql.refuse_small_disk(ROOT, 10 * GIB, 13 * GIB)
    with pytest.raises(Refusal, match=r"wanted .*12\.0 GiB"):
        postgresql.refuse_small_disk(ROOT, 10 * GIB, 11 * GIB)


def watcher(**more):
    usual = {"login": True, "powers": (), "password": ""}
    return postgresql.Role(**{**usual, **more})


CREATE_WATCHER = (
    'CREATE ROLE "prometheus" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD NULL;'
)
GRANT_WATCHER = 'GRANT pg_monitor TO "prometheus";'
WATCHERS = [
    ("none is there", None, (), [CREATE_WATCHER, GRANT_WATCHER]),
    ("it is there", watcher(), ("prometheus",), []),
    ("it may read nothing", watcher(), (), [GRANT_WATCHER]),
    (
        "it has a password",
        watcher(password="x"),
        ("prometheus",),
        [CREATE_WATCHER.replace("CREATE ROLE", "ALTER ROLE")],
    ),
    (
        "it has powers",
        watcher(powers=("SUPERUSER",)),
        ("prometheus",),
        [CREATE_WATCHER.replace("CREATE ROLE", "ALTER ROLE")],
    ),
    (
        "it may not sign in",
        watcher(login=False),
        ("prometheus",),
        [CREATE_WATCHER.replace("CREATE ROLE", "ALTER ROLE")],
    ),
]


@pytest.mark.parametrize(("found", "may", "said"), [one[1:] for one in WATCHERS], ids=[one[0] for one in WATCHERS])
def test_who_reads_the_figures_has_no_password_and_no_power_beside(found, may, said):
    there = Server({"prometheus": found} if found else {}, {}, {}, may)
    plan = postgresql.plan_databases([], there, [], watched=True)
    assert statements(plan) == [("postgres", sql) for sql in said]
    assert plan.changed == bool(said)


def test_who_read_the_figures_goes_where_nobody_watches_any_more():
    there = Server({"prometheus": watcher()}, {}, {}, ("prometheus",))
    assert statements(postgresql.plan_databases([], there, [])) == [("postgres", 'DROP ROLE "prometheus";')]
    assert not postgresql.plan_databases([], Server(), []).changed


def test_no_database_is_that_roles():
    with pytest.raises(Refusal, match="prometheus"):
        postgresql.check_databases([dataclasses.replace(LOBEHUB, owner="prometheus")])
