# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster's folders and databases on a host whose programs are a table."""

from __future__ import annotations

import json
import os
import pathlib
import pwd

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import (
    CommandFailed,
    Refusal,
    Unhealthy,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.data import postgresql, postgresql_runner

PASSWORD = "the-password-of-lobehub"
DATABASE = {"name": "lobehub", "owner": "lobehub", "password": PASSWORD, "extensions": ["vector"]}
SERVER = {"roles": {}, "databases": {"postgres": {"owner": "postgres", "encoding": "UTF8", "public": True}}}


class Programs:
    """Stands in for PostgreSQL's programs, run as its user: remembers commands and what they were given."""

    def __init__(self):
        self.made = []
        self.server = {**SERVER, "available": {"vector": "0.8.0"}}
        self.failing = {}

    def __call__(self, command, given="", timeout=600, folder="/"):
        name = pathlib.Path(command[0]).name
        given = given.removeprefix(postgresql_runner.QUIET)
        self.made.append((name, list(command), given))
        if name in self.failing:
            return host.Output(1, "", self.failing[name])
        if name == "initdb":
            data = next(word.partition("=")[2] for word in command if word.startswith("--pgdata="))
            (pathlib.Path(data) / "PG_VERSION").write_text("17\n")
        if name == "pg_upgrade":
            data = next(word.partition("=")[2] for word in command if word.startswith("--new-datadir="))
            (pathlib.Path(data) / "copied").write_text("all of it")
        if name == "psql" and given == postgresql.server_query():
            return host.Output(0, json.dumps(self.server), "")
        if name == "psql" and given == postgresql.DATABASE_QUERY:
            return host.Output(0, json.dumps({"public_schema": False, "extensions": {"vector": "0.4.4"}}), "")
        return host.Output(0, "", "")

    def names(self):
        return [name for name, _command, _given in self.made]


@pytest.fixture
def programs(monkeypatch):
    stand_in = Programs()
    monkeypatch.setattr(postgresql_runner, "as_server", stand_in)
    return stand_in


@pytest.fixture
def place(tmp_path, monkeypatch, commands, programs):
    """A host with the programs of 15 and 17, whose account ``postgres`` is the one that runs the tests."""
    for major in ("15", "17"):
        folder = tmp_path / "lib" / major / "bin"
        folder.mkdir(parents=True)
        (folder / "postgres").touch(0o755)
    monkeypatch.setattr(postgresql_runner, "PROGRAM_FOLDERS", (str(tmp_path / "lib"),))
    monkeypatch.setattr(postgresql_runner, "ONE_VERSION", str(tmp_path / "bin"))
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: pwd.getpwuid(os.getuid()))
    monkeypatch.setattr(host, "os_release", lambda: "ID=debian\nVERSION_ID=13\n")
    commands.answer("systemctl show gpuchat-postgresql.service", "ActiveState=active\n")
    return tmp_path


def params(place, state, **given):
    usual = {
        "hba_file": "/etc/hba",
        "major": "auto",
        "upgraded": False,
        "settings": {},
        "databases": [],
        "watched": False,
        "timeout": 0,
    }
    return {**usual, "state": state, "root": str(place / "data"), "sockets": str(place / "data" / "socket"), **given}


def cluster(place, major):
    folder = place / "data" / major
    folder.mkdir(parents=True)
    (folder / "PG_VERSION").write_text(f"{major}\n")
    return folder


def run(place, state, check=False, **given):
    return postgresql_runner.ensure(params(place, state, **given), check)


def test_check_mode_predicts_a_cluster_and_makes_nothing(place, programs):
    result = run(place, "cluster", check=True)
    assert (result["changed"], result["major"]) == (True, "17")
    assert "data_directory" in result["configuration"]
    assert not (place / "data").exists()
    assert programs.made == []


def test_check_mode_on_a_host_without_postgresql_predicts_all_of_it(place, monkeypatch):
    monkeypatch.setattr(postgresql_runner, "PROGRAM_FOLDERS", ())
    monkeypatch.setattr(pwd, "getpwnam", lambda name: {}[name])
    assert run(place, "cluster", check=True)["programs"] == "/usr/lib/postgresql/17/bin"


def test_check_mode_says_where_only_the_packages_decide_the_version(place, monkeypatch):
    monkeypatch.setattr(postgresql_runner, "PROGRAM_FOLDERS", ("/nowhere",))
    monkeypatch.setattr(host, "os_release", lambda: "ID=rocky\nVERSION_ID=10.0\nID_LIKE='rhel'\n")
    result = run(place, "cluster", check=True)
    assert result["changed"]
    assert "decide it" in result["not_predicted"][0]


def test_a_cluster_is_made_once(place, programs):
    assert run(place, "cluster")["changed"]
    assert oct((place / "data" / "17").stat().st_mode & 0o777) == "0o700"
    assert oct((place / "data" / "socket").stat().st_mode & 0o777) == "0o711"
    assert not run(place, "cluster")["changed"]
    assert programs.names() == ["initdb"]


def test_a_folder_above_that_is_roots_alone_lets_the_server_through(place):
    place.chmod(0o700)
    (place / "state").mkdir(0o700)
    given = {"root": str(place / "state" / "postgresql"), "sockets": str(place / "state" / "postgresql" / "socket")}
    assert f"folder {place}/state" in [one["before_header"] for one in run(place, "cluster", **given)["diff"]]
    assert oct((place / "state").stat().st_mode & 0o777) == "0o711"
    assert not run(place, "cluster", **given)["changed"]


def test_half_a_cluster_is_not_left_in_the_way(place, programs):
    programs.failing["initdb"] = "no space"
    with pytest.raises(CommandFailed, match="no space"):
        run(place, "cluster")
    programs.failing.clear()
    assert run(place, "cluster")["changed"]


def test_without_programs_there_is_no_cluster(place, monkeypatch):
    monkeypatch.setattr(postgresql_runner, "PROGRAM_FOLDERS", ())
    with pytest.raises(Refusal, match="set postgresql_packages"):
        run(place, "cluster")


def test_without_the_packages_account_there_is_no_cluster(place, monkeypatch):
    monkeypatch.setattr(pwd, "getpwnam", lambda name: {}[name])
    with pytest.raises(Refusal, match="found no account postgres"):
        run(place, "cluster")


def test_a_link_of_somebody_else_is_not_followed(place, monkeypatch):
    monkeypatch.setattr(host, "behind", lambda _path: None)
    with pytest.raises(Refusal, match="somebody's link"):
        run(place, "cluster")


def test_the_programs_of_one_version_alone_are_found_by_their_own_word(place, commands, monkeypatch):
    monkeypatch.setattr(postgresql_runner, "PROGRAM_FOLDERS", ())
    commands.answer(f"{place}/bin/postgres --version", "postgres (PostgreSQL) 16.8\n")
    assert postgresql_runner.installed() == {"16": f"{place}/bin"}


def test_sql_stands_in_no_argument_and_the_password_nowhere(place, programs):
    cluster(place, "17")
    result = run(place, "databases", databases=[DATABASE])
    assert result["changed"]
    said = [given for name, _command, given in programs.made if name == "psql"]
    assert [one.split(' "')[0] for one in said[-5:]] == [
        "CREATE ROLE",
        "CREATE DATABASE",
        "REVOKE ALL ON DATABASE",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC;",
        "CREATE EXTENSION",
    ]
    words = " ".join(" ".join(command) for _name, command, _given in programs.made)
    assert "CREATE" not in words
    assert PASSWORD not in words + " ".join(said) + str(result)


def test_check_mode_reads_a_server_and_changes_nothing(place, programs):
    cluster(place, "17")
    assert run(place, "databases", check=True, databases=[DATABASE])["changed"]
    assert not [given for _name, _command, given in programs.made if "CREATE ROLE" in given]


@pytest.mark.parametrize("account", [True, False])
def test_check_mode_takes_that_a_server_which_is_not_there_is_empty(place, programs, monkeypatch, account):
    if account:
        programs.failing["psql"] = "No such file or directory"
    else:
        monkeypatch.setattr(postgresql_runner, "as_server", lambda *_given, **_more: postgresql_runner._account())
        monkeypatch.setattr(pwd, "getpwnam", lambda name: {}[name])
    assert "database lobehub" in run(place, "databases", check=True, databases=[DATABASE])["msg"]


def test_a_server_that_does_not_answer_is_shown_with_its_log(place, programs, commands):
    programs.failing["psql"] = "could not connect\nis it running?"
    commands.answer("journalctl", "FATAL: no space left on device")
    with pytest.raises(Unhealthy, match=r"(?s)does not answer after 0 s: could not connect\..*FATAL: no space"):
        run(place, "databases", databases=[DATABASE])


# --- upgrades


def test_check_mode_predicts_an_upgrade(place, programs):
    cluster(place, "15")
    result = run(place, "upgraded", check=True)
    assert (result["changed"], result["from"], result["to"]) == (True, "15", "17")
    assert programs.made == []


def test_check_mode_predicts_what_comes_after_an_upgrade(place):
    cluster(place, "15")
    result = run(place, "cluster", check=True, upgraded=True)
    assert (result["major"], result["data"]) == ("17", str(place / "data" / "17"))
    assert str(place / "data" / "17") not in str(result["diff"])
    with pytest.raises(Refusal, match="run playbooks/upgrade_postgresql"):
        run(place, "cluster", upgraded=True)


def test_an_upgrade_copies_the_data_and_keeps_those_of_before(place, programs, commands):
    cluster(place, "15")
    assert run(place, "upgraded")["changed"]
    assert sorted(path.name for path in (place / "data").iterdir()) == ["15.before-upgrade", "17"]
    assert (place / "data" / "17" / "copied").exists()
    assert programs.names()[:2] == ["initdb", "pg_upgrade"]
    assert 'ALTER EXTENSION "vector" UPDATE;' in [given for _name, _command, given in programs.made]
    assert "vacuumdb" in programs.names()
    assert commands.that("stop", "start") == ["systemctl stop gpuchat-postgresql"]
    assert not run(place, "upgraded")["changed"]


@pytest.mark.parametrize("program", ["initdb", "pg_upgrade", "vacuumdb", "pg_ctl"])
def test_where_an_upgrade_fails_the_old_one_runs_again(place, programs, commands, program):
    cluster(place, "15")
    programs.failing[program] = "it did not work"
    with pytest.raises(CommandFailed, match="it did not work"):
        run(place, "upgraded")
    assert [path.name for path in (place / "data").iterdir()] == ["15"]
    assert commands.that("stop", "start") == [
        "systemctl stop gpuchat-postgresql",
        "systemctl start gpuchat-postgresql",
    ]


def test_what_stands_in_the_way_of_an_upgrade_is_named(place, programs):
    cluster(place, "15")

    def stand_in(command, *given, **more):
        if command[0].endswith("pg_upgrade"):
            folder = place / "data" / "upgrade" / "data" / "pg_upgrade_output.d" / "today"
            folder.mkdir(parents=True)
            (folder / "loadable_libraries.txt").write_text("could not load library vector")
            return host.Output(1, "Failure, exiting", "")
        return programs(command, *given, **more)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(postgresql_runner, "as_server", stand_in)
        with pytest.raises(CommandFailed, match="could not load library vector"):
            run(place, "upgraded")


def test_an_upgrade_without_the_old_programs_stops_nothing(place, commands):
    cluster(place, "15")
    (place / "lib" / "15" / "bin" / "postgres").unlink()
    with pytest.raises(Refusal, match="wanted those of PostgreSQL 15"):
        run(place, "upgraded")
    assert commands.that("stop") == []


@pytest.mark.parametrize("name", ["15.before-upgrade", "17"])
def test_an_upgrade_puts_nothing_where_something_is(place, commands, name):
    cluster(place, "15")
    (place / "data" / name).mkdir()
    (place / "data" / name / "something").touch()
    with pytest.raises(Refusal, match=f"found files in .*{name}; .* move them elsewhere"):
        run(place, "upgraded")
    assert commands.that("stop") == []


def test_where_the_new_data_cannot_take_their_place_those_of_before_keep_it(place, monkeypatch):
    cluster(place, "15")
    rename = os.rename

    def stand_in(old, new):
        if new.endswith("/17"):
            raise OSError(28, "No space left on device", new)
        rename(old, new)

    monkeypatch.setattr(os, "rename", stand_in)
    with pytest.raises(OSError, match="No space"):
        run(place, "upgraded")
    assert [path.name for path in (place / "data").iterdir()] == ["15"]


def test_an_upgrade_is_taken_back(place, commands):
    cluster(place, "15.before-upgrade")
    cluster(place, "17")
    assert run(place, "reverted", check=True, major="15")["changed"]
    result = run(place, "reverted", major="15")
    assert (result["changed"], result["major"]) == (True, "15")
    assert sorted(path.name for path in (place / "data").iterdir()) == ["15", "17.failed-upgrade"]
    assert commands.that("stop") == ["systemctl stop gpuchat-postgresql"]
    assert not run(place, "reverted", major="15")["changed"]
