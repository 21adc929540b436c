# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands over a fleet: what they do in which order, and how they end."""

from __future__ import annotations

import stat
import tarfile

import collect_logs
import drain
import fleet
import pytest
import restart

HOSTS = ("one", "two", "three")
FOUND = {"known": ["s"], "supervisor": "systemd", "running": True, "health": {"timeout": 60}}


class Fleet:
    """Stands in for the hosts: answers by name, and remembers who was asked to act."""

    def __init__(self):
        self.looks = dict.fromkeys(HOSTS, FOUND)
        self.acts = {}
        self.acted = []

    def chosen(self, options, variables=()):
        return tuple(fleet.Member(name, (), {"ssh_password": "open sesame"}, {}, local=False) for name in HOSTS)

    def run(self, members, program, given, *, timeout, sudo=True):
        acting = [one.name for one in members if given(one)["act"]]
        if acting:
            self.acted.append(acting)
        for one in members:
            value = (self.acts if acting else self.looks).get(one.name, FOUND)
            well = isinstance(value, dict)
            yield fleet.Outcome(
                one.name, "done" if well else "run", value if well else None, "" if well else value, 1.0
            )


@pytest.fixture
def hosts(monkeypatch):
    fake = Fleet()
    monkeypatch.setattr(fleet, "chosen", fake.chosen)
    monkeypatch.setattr(fleet, "run", fake.run)
    return fake


def test_a_service_is_restarted_on_one_host_after_the_other(hosts, capsys):
    assert restart.main(["s", "-i", "x"]) == 0
    assert hosts.acted == [["one"], ["two"], ["three"]]
    assert "two: healthy after 1 s" in capsys.readouterr().out


def test_a_host_on_which_it_is_down_already_comes_first_so_that_never_two_are(hosts):
    hosts.looks["three"] = {**FOUND, "running": False}
    assert restart.main(["s", "-i", "x"]) == 0
    assert hosts.acted == [["three"], ["one"], ["two"]]


def test_the_first_that_does_not_come_back_ends_it(hosts, capsys):
    hosts.acts["two"] = "s is not healthy after 60 s: the unit is failed"
    assert restart.main(["s", "-i", "x"]) == 2
    assert hosts.acted == [["one"], ["two"]]
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [
        "two: s did not come back: s is not healthy after 60 s: the unit is failed",
        "Not touched: three",
    ]


def test_nothing_is_touched_where_a_host_cannot_be_reached(hosts, capsys):
    hosts.looks["three"] = "no answer from three"
    assert restart.main(["s", "-i", "x"]) == 3
    assert hosts.acted == []
    assert capsys.readouterr().out == "three: no answer from three\nNothing was restarted.\n"


def test_hosts_without_the_service_are_left_out(hosts, capsys):
    hosts.looks["one"] = {"known": ["other"]}
    assert restart.main(["s", "-i", "x"]) == 0
    assert hosts.acted == [["two"], ["three"]]
    hosts.looks = {name: {"known": ["other"]} for name in HOSTS}
    assert restart.main(["s", "-i", "x"]) == 2
    assert "No host has the service s; they have: other" in capsys.readouterr().out


def test_a_dry_run_says_what_would_be_restarted(hosts, capsys):
    hosts.looks["one"] = {**FOUND, "health": {"url": "http://127.0.0.1/health", "timeout": 900}}
    assert restart.main(["s", "-i", "x", "--dry-run"]) == 0
    assert hosts.acted == []
    first = capsys.readouterr().out.splitlines()[0]
    assert first == (
        "one: would restart s (running, systemd; healthy when http://127.0.0.1/health answers, within 900 s)"
    )


def test_logs_lie_in_one_archive_for_its_owner_alone(hosts, tmp_path, monkeypatch, capsys):
    hosts.acts = {
        "one": {"files": {"states/disks.txt": "df says open sesame\n"}, "cut": []},
        "two": {"files": {"services/s/log.txt": "x"}, "cut": ["services/s/log.txt"]},
        "three": "no answer from three",
    }
    output = tmp_path / "logs.tar.gz"
    assert collect_logs.main(["-i", "x", "-o", str(output)]) == 3
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["logs.tar.gz"]
    with tarfile.open(output) as archive:
        texts = {one.name: archive.extractfile(one).read().decode() for one in archive}
    assert texts == {
        "logs/one/states/disks.txt": "df says ********\n",
        "logs/two/services/s/log.txt": "x",
        "logs/two/cut.txt": "services/s/log.txt\n",
        "logs/three/problem.txt": "no answer from three\n",
    }
    with pytest.raises(fleet.Refusal, match="wanted a new file"):
        collect_logs.main(["-i", "x", "-o", str(output)])


def test_a_dry_run_of_the_logs_writes_nothing(hosts, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    hosts.looks = {name: {"commands": {"states/disks.txt": "df"}} for name in HOSTS}
    assert collect_logs.main(["-i", "x", "--dry-run"]) == 0
    assert "  states/disks.txt: df" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_an_archive_that_was_broken_off_is_not_left(hosts, tmp_path, monkeypatch):
    def broken(*_words, **_more):
        yield fleet.Outcome("one", "run", None, "x", 1.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(fleet, "run", broken)
    with pytest.raises(KeyboardInterrupt):
        collect_logs.main(["-i", "x", "-o", str(tmp_path / "logs.tar.gz")])
    assert list(tmp_path.iterdir()) == []


class Rotation:
    """Stands in for hosts with model servers: answers each step, and remembers those that change something."""

    def __init__(self):
        self.looks = {name: standing("q") for name in HOSTS}
        self.open = {}
        self.problems = {}
        self.acted = []

    def run(self, members, program, given, *, timeout, sudo=True):
        act = given(members[0])["act"]
        if act != "look":
            self.acted.append((act, [one.name for one in members], given(members[0])["seconds"]))
        for one in members:
            problem = self.problems.get((act, one.name), "")
            value = {**self.looks[one.name], "open": {"q": self.open.get(one.name, 0)}, "seconds": 3.0}
            yield fleet.Outcome(one.name, "run" if problem else "done", None if problem else value, problem, 1.0)


def standing(*engines, since=None, **more):
    return {"engines": dict.fromkeys(engines, True), "since": since, "has_door": True, "obeys": True, **more}


@pytest.fixture
def rotation(hosts, monkeypatch):
    fake = Rotation()
    monkeypatch.setattr(fleet, "run", fake.run)
    monkeypatch.setattr(drain.time, "sleep", lambda _seconds: None)
    return fake


def test_a_host_leaves_rotation_and_its_answers_are_waited_for(rotation, capsys):
    assert drain.main(["two", "-i", "x", "--seconds", "9"]) == 0
    assert [one[:2] for one in rotation.acted] == [("close", ["two"]), ("wait", ["two"])]
    assert rotation.acted[1][2] == 9
    assert capsys.readouterr().out == ("two: takes no more requests\ntwo: out of rotation; no request is open (3 s)\n")


def test_what_is_still_open_is_told_and_the_host_stays_out(rotation, capsys):
    rotation.open["two"] = 2
    assert drain.main(["two", "-i", "x"]) == 1
    assert "still open are 2 to q; the same command waits on" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("looks", "leaving"),
    [
        pytest.param({"two": standing(), "three": standing()}, ["one"], id="nobody else has the model"),
        pytest.param({"two": standing("q", since=1.0), "three": standing("other")}, ["one"], id="the other is out"),
        pytest.param({}, ["one", "two", "three"], id="all at once"),
    ],
)
def test_the_last_that_answers_for_a_model_stays_unless_it_is_forced(rotation, capsys, looks, leaving):
    rotation.looks.update(looks)
    assert drain.main([*leaving, "-i", "x"]) == 2
    assert rotation.acted == []
    assert "one: nobody else answers for q" in capsys.readouterr().out
    assert drain.main([*leaving, "-i", "x", "--force"]) == 0
    assert rotation.acted[0][:2] == ("close", leaving)


def test_a_dry_run_takes_nobody_out(rotation, capsys):
    rotation.looks["two"] = standing("q", since=0.0)
    assert drain.main(["one", "-i", "x", "--dry-run"]) == 0
    assert drain.main(["two", "-i", "x", "--back", "--dry-run"]) == 0
    assert rotation.acted == []
    assert capsys.readouterr().out == (
        "one: would leave rotation with q\ntwo: would be put back (since 1970-01-01 00:00 UTC)\n"
    )


def test_a_host_comes_back_when_its_engines_answer(rotation, capsys):
    rotation.looks["two"] = standing("q", since=0.0)
    assert drain.main(["one", "two", "-i", "x", "--back", "--seconds", "5"]) == 0
    assert rotation.acted == [("open", ["two"], 5)]
    assert capsys.readouterr().out == "one: in rotation\ntwo: back in rotation\n"
    rotation.problems["open", "two"] = "found no answer of q"
    assert drain.main(["two", "-i", "x", "--back"]) == 2
    assert capsys.readouterr().out == "two: found no answer of q\n"
    drain.main(["two", "-i", "x", "--back", "--force"])
    assert rotation.acted[-1] == ("open", ["two"], 0)


def test_a_host_that_cannot_be_reached_serves_nobody_and_is_not_taken_out(rotation, capsys):
    rotation.problems["look", "one"] = "no answer from one"
    assert drain.main(["one", "-i", "x"]) == 3
    assert capsys.readouterr().out == "one: no answer from one\nNothing was done.\n"
    rotation.looks["three"] = standing()
    assert drain.main(["two", "-i", "x"]) == 2
    assert rotation.acted == []


def test_a_host_without_model_server_and_an_unknown_one_are_told(rotation, capsys):
    rotation.looks["one"] = standing()
    assert drain.main(["one", "-i", "x"]) == 2
    assert "one: no model server" in capsys.readouterr().out
    with pytest.raises(fleet.Refusal, match="no host tow in the inventory; wanted one of one, two, three"):
        drain.main(["tow", "-i", "x"])
    assert rotation.acted == []


@pytest.fixture
def silences(rotation, monkeypatch):
    """Let the host three be the monitoring host too, and return what it is told."""
    told, usual = [], rotation.run

    def chosen(options, variables=()):
        groups = {"three": ("gpu", "monitoring")}
        ports = {"monitoring_alertmanager_port": 9193}
        return tuple(fleet.Member(name, groups.get(name, ("gpu",)), {}, ports, local=False) for name in HOSTS)

    def run(members, program, given, *, timeout, sudo=True):
        words = given(members[0])
        if "work" not in words:
            yield from usual(members, program, given, timeout=timeout)
            return
        assert [one.name for one in members] == ["three"]
        assert words["port"] == 9193
        told.append((words["state"], words["work"], words["hosts"], words["seconds"]))
        yield fleet.Outcome("three", "done", {"warnings": rotation.open.get("warnings", [])}, "", 1.0)

    monkeypatch.setattr(fleet, "chosen", chosen)
    monkeypatch.setattr(fleet, "run", run)
    return told


def test_nobody_is_told_of_what_the_work_brings_until_the_host_is_back(rotation, silences):
    assert drain.main(["two", "-i", "x"]) == 0
    assert silences == [("present", "work on two", ["two"], 4 * 3600)]
    rotation.looks["two"] = standing("q", since=0.0)
    assert drain.main(["two", "-i", "x", "--back"]) == 0
    assert silences[1:] == [("ended", "work on two", ["two"], 0)]


def test_people_are_told_as_ever_of_a_host_that_could_not_leave(rotation, silences):
    rotation.problems["close", "two"] = "found a door of an earlier release"
    assert drain.main(["two", "-i", "x", "--silence", "0.5"]) == 2
    assert silences == [("present", "work on two", ["two"], 1800), ("absent", "work on two", ["two"], 0)]


@pytest.mark.parametrize("words", [["--silence", "0"], ["--dry-run"]])
def test_without_hours_and_in_a_dry_run_nothing_is_silent(rotation, silences, words):
    assert drain.main(["two", "-i", "x", *words]) == 0
    assert silences == []


def test_a_monitoring_host_that_cannot_be_told_is_no_reason_to_stay(rotation, silences, capsys):
    rotation.open["warnings"] = ["found an Alertmanager that was not reached"]
    assert drain.main(["two", "-i", "x"]) == 0
    assert "three: found an Alertmanager that was not reached" in capsys.readouterr().out
