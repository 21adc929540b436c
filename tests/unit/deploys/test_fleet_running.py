# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts are reached by pyinfra over ssh, and none of them holds up another."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from dataclasses import asdict

import fleet
import pytest

PROGRAM = """
import json, os, sys, time
given = json.load(sys.stdin)
os.system("echo what a command prints is no answer")
if given.get("sleep"):
    time.sleep(given["sleep"])
if given.get("fail"):
    sys.exit(given["fail"])
print(json.dumps({"given": given, "large": "x" * given.get("large", 0), "folder": os.getcwd()}))
"""


def packed(text):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("__main__.py", text)
    return content.getvalue()


@pytest.fixture
def at(server, home):
    """Return a function that makes a host of the server, by options of Ansible's ssh plugin."""

    def make(name, become=None, connection="ssh", **more):
        options = {
            "host": "127.0.0.1",
            "port": server.port,
            "remote_user": "deploy",
            "private_key_file": server.key,
            "timeout": 5,
            **more,
        }
        if become is not None:
            become = {"become_method": "sudo", "become_flags": "-H -S -n", **become}
        found = {"name": name, "groups": [], "variables": {}, "python": "auto", "connection": connection}
        return fleet.member_of({**found, "options": options, "become": become})

    return make


def run(*members, timeout=30, program=PROGRAM, **given):
    outcomes = fleet.run(members, packed(program), lambda one: {"name": one.name, **given}, timeout=timeout)
    return {one.name: one for one in outcomes}


def test_pyinfras_host_data_are_what_ansible_says(members, of_ansible, tmp_path):
    script = (
        "import json, pathlib, sys, fleet_worker\n"
        "members, folder = json.load(sys.stdin)\n"
        "state = fleet_worker.state_of(members, pathlib.Path(folder))\n"
        "print(json.dumps({host.name: {**host.data.dict(), 'groups': host.groups,\n"
        "    'connector': type(host.connector).__name__, **host.connector.data} for host in state.inventory}))\n"
    )
    words = [sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(fleet.__file__).parent)}
    given = json.dumps([[asdict(one) for one in members], str(tmp_path)])
    done = subprocess.run(words, input=given, env=environment, capture_output=True, text=True, check=True)
    of_pyinfra = json.loads(done.stdout)
    assert set(of_pyinfra) == set(of_ansible)
    unset = {"ssh_port": 0, "ssh_key": "", "ssh_password": "", "_sudo_user": "root", "_sudo_password": ""}
    for name, wanted in of_ansible.items():
        found = {**unset, **{key: value for key, value in of_pyinfra[name].items() if value is not None}}
        assert found["connector"] == ("LocalConnector" if wanted["local"] else "SSHConnector")
        keys = set(wanted) - {"local", "models"}
        keys -= {key for key in keys if wanted["local"] and key.startswith("ssh_")}
        keys -= {"_sudo_user"} if not wanted["_sudo"] else set()
        found["groups"] = sorted(found["groups"])
        assert {key: found[key] for key in keys} == {key: wanted[key] for key in keys}, name


def test_one_program_runs_on_every_host_by_key_by_password_and_here(at, server):
    others = {"remote_user": "other", "private_key_file": None, "password": "open sesame"}
    found = run(
        at("by-key"), at("by-password", **others), at("here", connection="local"), at("also-here", connection="local")
    )
    assert {(one.name, one.stage, one.problem) for one in found.values()} == {
        (name, "done", "") for name in ("by-key", "by-password", "here", "also-here")
    }
    assert found["by-key"].value["given"] == {"name": "by-key"}
    assert {"deploy by key", "other by password"} <= set(server.log().splitlines())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param({"remote_user": "nobody"}, "refuses the key or password of nobody", id="key refused"),
        pytest.param({"port": 1}, "127.0.0.1 port 1 refuses connections", id="no ssh server"),
        pytest.param({"host": "nowhere.invalid"}, "nowhere.invalid cannot be resolved", id="no such name"),
        pytest.param({"private_key_file": "/nowhere/key"}, "No such private key file: /nowhere/key", id="no key"),
    ],
)
def test_a_host_that_cannot_be_reached_is_one_outcome_in_plain_words(at, options, told):
    found = run(at("lost", **options), at("well"))
    assert found["well"].stage == "done"
    assert found["lost"].stage == "connect"
    assert re.search(told, found["lost"].problem), found["lost"].problem


def test_an_unknown_host_is_refused_as_ssh_would_that_can_ask_nobody(at, home, server):
    (home / ".ssh" / "known_hosts").unlink()
    assert f"the host key of [127.0.0.1]:{server.port} is not known" in run(at("new"))["new"].problem


def test_another_host_key_than_the_known_one_is_refused_unless_none_is_asked_for(at, home, server):
    known = home / ".ssh" / "known_hosts"
    other = (server.folder / "key.pub").read_text().split()[1]
    known.write_text(known.read_text().replace(server.host_key.split()[1], other))
    found = run(at("strict"), at("any", host_key_checking=False))
    assert "shows another host key" in found["strict"].problem
    assert found["any"].stage == "done"


def test_a_new_host_key_is_learned_where_ssh_would_learn_it(at, home):
    known = home / ".ssh" / "known_hosts"
    known.unlink()
    assert run(at("new", ssh_common_args="-o StrictHostKeyChecking=accept-new"))["new"].stage == "done"
    assert known.read_text().startswith("[127.0.0.1]:")


def test_a_locked_key_is_the_agents_matter(at, tmp_path, monkeypatch, server):
    locked = tmp_path / "locked"
    shutil.copy(server.key, locked)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(locked)], check=True)
    assert "is encrypted" in run(at("locked", private_key_file=str(locked)))["locked"].problem
    assert run(at("told", private_key_file=str(locked), private_key_passphrase="open sesame"))["told"].stage == "done"
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(tmp_path / "agent")], stdout=subprocess.DEVNULL) as agent:
        while not (tmp_path / "agent").exists():
            time.sleep(0.05)
        subprocess.run(["ssh-add", "-q", server.key], check=True)
        assert run(at("unlocked", private_key_file=str(locked)))["unlocked"].stage == "done"
        agent.terminate()


def test_a_host_that_accepts_and_says_nothing_holds_nobody_up(at):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        seconds = {}
        members = [at("silent", port=silent.getsockname()[1], timeout=3), at("well")]
        for one in fleet.run(members, packed(PROGRAM), lambda _one: {}, timeout=20):
            seconds[one.name] = time.monotonic() - began
            if one.name == "silent":
                assert (one.stage, "says nothing" in one.problem) == ("connect", True)
    assert list(seconds) == ["well", "silent"]


def test_a_program_that_does_not_end_is_given_up(at):
    found = run(at("slow"), timeout=3, sleep=30)
    assert (found["slow"].stage, found["slow"].problem) == ("run", "no end after 3 s (the program was at work)")


@pytest.mark.parametrize("way", ["jump", "command"])
def test_a_jump_host_is_gone_through_by_the_users_own_configuration(at, home, server, way):
    (home / ".ssh" / "config").write_text(
        f"Host localhost\n  IdentityFile {server.key}\n  Port {server.port}\n  User deploy\n"
    )
    known = home / ".ssh" / "known_hosts"
    hop = f"ssh -F {home}/.ssh/config -o UserKnownHostsFile={known} -W %h:%p localhost"
    arguments = {"jump": f"-J deploy@localhost:{server.port}", "command": f'-o ProxyCommand="{hop}"'}
    before = server.log().count("on to")
    found = run(at("far", ssh_common_args=arguments[way]))
    assert (found["far"].stage, found["far"].problem) == ("done", "")
    assert server.log().count("on to") == before + 1


def test_a_host_without_python_is_told(at, server):
    tools = server.folder / "bin"
    (server.folder / "bare").touch()
    for name in ("sh", "cat"):
        (tools / name).symlink_to(shutil.which(name))
    try:
        found = run(at("bare"))
        (tools / "python3").write_text("#!/bin/sh\nexit 1\n")  # one that is too old says so by its status
        (tools / "python3").chmod(0o755)
        old = run(at("old"))
    finally:
        for name in ("sh", "cat", "python3"):
            (tools / name).unlink(missing_ok=True)
        (server.folder / "bare").unlink()
    for one in (found["bare"], old["old"]):
        assert (one.stage, one.problem) == (
            "python",
            "found no Python 3.9 or later; wanted one, as Ansible does; install python3",
        )


@pytest.mark.parametrize(
    ("wanted", "become", "stage", "told"),
    [
        pytest.param("", {}, "done", "", id="none asked for"),
        pytest.param("", {"become_pass": "open sesame"}, "done", "", id="given, and not asked for"),
        pytest.param("open sesame", {"become_pass": "open sesame"}, "done", "", id="the right one"),
        pytest.param(
            "open sesame", {"become_pass": "closed sesame"}, "run", "1 incorrect password attempt", id="a wrong one"
        ),
        pytest.param("open sesame", {}, "run", "a password is required", id="none given"),
    ],
)
def test_sudo_gets_its_password_where_nobody_sees_it(at, server, wanted, become, stage, told):
    server.sudo_wants(wanted)
    found = run(at("one", become=become))["one"]
    assert (found.stage, told in found.problem) == (stage, True), found.problem
    if stage == "run":
        assert "cannot become root" in found.problem
        assert "ansible_become_password" in found.problem
    seen = (server.folder / "bin" / "seen").read_text()
    assert "-u root" in seen
    assert "sesame" not in seen + server.log()


def test_a_secret_is_in_no_argument_of_any_process_here(at, server):
    server.sudo_wants("open sesame")
    member = at("one", become={"become_pass": "open sesame"})
    seen = []
    stop = threading.Event()

    def look():
        while not stop.is_set():
            for process in filter(str.isdecimal, os.listdir("/proc")):
                for name in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):
                        seen.append(pathlib.Path("/proc", process, name).read_bytes())
            stop.wait(0.05)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        assert run(member, sleep=1, word="a given word")["one"].stage == "done"
    finally:
        stop.set()
        looking.join()
    assert any(b"fleet_worker" in text for text in seen)
    assert not [text for text in seen if b"open sesame" in text or b"a given word" in text]


def test_what_a_program_says_when_it_fails_is_the_problem(at):
    assert run(at("one"), fail="found nothing; wanted something")["one"].problem == "found nothing; wanted something"
    crashed = run(at("one"), program="import nowhere")["one"]
    assert (crashed.stage, crashed.problem) == ("run", "ModuleNotFoundError: No module named 'nowhere'")


def test_a_large_answer_arrives_whole_and_nothing_is_left_behind(at, tmp_path, monkeypatch):
    here, there = tmp_path / "here", tempfile.gettempdir()
    here.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(here))
    before = set(os.listdir(there))
    assert len(run(at("one"), large=5_000_000)["one"].value["large"]) == 5_000_000
    assert list(here.iterdir()) == []
    assert [name for name in set(os.listdir(there)) - before if "pyinfra" in name] == []


def test_a_process_that_cannot_connect_at_all_says_why_for_each_host(at, monkeypatch, tmp_path):
    (tmp_path / "gevent.py").write_text("raise ImportError('no gevent here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = run(at("one"))["one"]
    assert found.stage == "connect"
    assert found.problem == "the process that connects has ended: ImportError: no gevent here"


def test_without_pyinfra_nothing_is_tried(at, monkeypatch):
    monkeypatch.setattr(fleet.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(fleet.Refusal, match=r"found no pyinfra .* run \.venv/bin/python"):
        run(at("one"))
