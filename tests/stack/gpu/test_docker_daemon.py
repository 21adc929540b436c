# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""gpuchat_docker_daemon on a host with a real dockerd, on a file of its own: six calls per state."""

from __future__ import annotations

import base64
import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from running import Stack

FIRST = '{"log-driver": "local",\n\t"features": {"buildkit": true},  "log-opts": {"max-size": "5m"}}'
OWNER = "test"
NVIDIA = {"args": [], "path": "nvidia-container-runtime"}
UNIT = "/usr/lib/systemd/system/docker.service"

# A state's name, what is asked for, and what is asked for when it has changed; they follow one another on one file.
STATES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "settings",
        {"settings": {"log-opts": {"max-size": "10m"}, "debug": True}},
        {"settings": {"log-opts": {"max-file": "3"}, "debug": True}},
    ),
    (
        "runtime",
        {"nvidia_runtime": "present", "cdi": True},
        {"nvidia_runtime": "present", "default_runtime": True},
    ),
    ("no runtime", {"nvidia_runtime": "absent"}, {"nvidia_runtime": "absent", "settings": {"mtu": 1400}}),
    ("absent", {"state": "absent"}, {"settings": {"live-restore": True}}),
]
# What the file holds after each state, and after its change.
WANTED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "settings": (
        {"log-driver": "local", "features": {"buildkit": True}, "log-opts": {"max-size": "10m"}, "debug": True},
        {
            "log-driver": "local",
            "features": {"buildkit": True},
            "log-opts": {"max-size": "5m", "max-file": "3"},
            "debug": True,
        },
    ),
    "runtime": (
        {**json.loads(FIRST), "features": {"buildkit": True, "cdi": True}, "runtimes": {"nvidia": NVIDIA}},
        {**json.loads(FIRST), "runtimes": {"nvidia": NVIDIA}, "default-runtime": "nvidia"},
    ),
    "no runtime": (json.loads(FIRST), {**json.loads(FIRST), "mtu": 1400}),
    "absent": (json.loads(FIRST), {**json.loads(FIRST), "live-restore": True}),
}
Made = dict[tuple[str, str], dict[str, Any]]
CALLS = ("check", "run", "check again", "run again", "changed check", "changed")


def calls(
    stack: Stack, file: str, folder: pathlib.Path, wishes: list[tuple[dict[str, Any], bool]]
) -> list[dict[str, Any]]:
    """Call the module on the host once per wish, in check mode or not, in one play.

    Returns:
        The module's results, each with the ``text`` that the file had afterwards.
    """
    tasks: list[dict[str, Any]] = []
    for number, (wish, check) in enumerate(wishes):
        tasks.append(
            {
                "name": f"Call {number}",
                "gpuchat_docker_daemon": {"path": file, "owner": OWNER, **wish},
                "check_mode": check,
                "diff": True,
                "register": f"call_{number}",
                "failed_when": False,
            }
        )
        tasks.append({"name": "Read", "ansible.builtin.slurp": {"src": file}, "register": f"file_{number}"})
    content = ", ".join(f"[call_{number}, file_{number}.content]" for number in range(len(wishes)))
    results = folder / "results.json"
    copy = {"dest": str(results), "content": f"{{{{ [{content}] | to_json }}}}", "mode": "0600"}
    tasks.append(
        {
            "name": "Keep",
            "ansible.builtin.copy": copy,
            "delegate_to": "localhost",
            "connection": "local",
            "become": False,
        }
    )
    playbook = folder / "calls.yml"
    play = {"name": "Calls", "hosts": "server", "gather_facts": False, "become": True, "tasks": tasks}
    playbook.write_text(yaml.safe_dump([play], sort_keys=False))
    stack.must_play(playbook=str(playbook))
    return [{**call, "text": base64.b64decode(text).decode()} for call, text in json.loads(results.read_text())]


@pytest.fixture(scope="module")
def file(stack: Stack) -> Iterator[str]:
    """A new file on the host, which nothing is remembered of."""
    folder = stack.on("server", "mktemp -d /root/daemon-XXXXXX").strip()
    stack.on("server", f"printf %s '{FIRST}' >{folder}/daemon.json && chmod 640 {folder}/daemon.json")
    yield f"{folder}/daemon.json"
    stack.on("server", f"rm -r {folder}")


@pytest.fixture(scope="module")
def made(stack: Stack, file: str, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Return the results of all calls by state and call."""
    wishes = [
        (wish, "check" in call)
        for _name, first, second in STATES
        for call, wish in zip(CALLS, [first] * 4 + [second] * 2, strict=True)
    ]
    results = calls(stack, file, tmp_path_factory.mktemp("calls"), wishes)
    return dict(zip([(name, call) for name, _first, _second in STATES for call in CALLS], results, strict=True))


def test_this_dockerd_can_validate(stack: Stack) -> None:
    version = re.search(r"version (\d+)", stack.on("server", "dockerd --version"))
    assert version
    assert int(version[1]) >= 23


@pytest.mark.parametrize("state", [row[0] for row in STATES])
def test_check_mode_predicts_each_run_and_a_second_run_changes_nothing(made: Made, state: str) -> None:
    changes = [made[state, call]["changed"] for call in CALLS]
    assert changes == [True, True, False, False, True, True]
    for predicted, done in (("check", "run"), ("changed check", "changed")):
        for key in ("changed", "diff", "msg", "digest", "reload_digest", "restart_required", "reload_required"):
            assert made[state, predicted][key] == made[state, done][key], key


def before(made: Made, state: str) -> str:
    names = [row[0] for row in STATES]
    position = names.index(state)
    return str(made[names[position - 1], "changed"]["text"]) if position else FIRST


@pytest.mark.parametrize("state", [row[0] for row in STATES])
def test_check_mode_leaves_the_file_alone(made: Made, state: str) -> None:
    assert made[state, "check"]["text"] == before(made, state)
    assert made[state, "changed check"]["text"] == made[state, "run"]["text"]


@pytest.mark.parametrize("state", [row[0] for row in STATES])
def test_the_file_holds_what_is_wanted(made: Made, state: str) -> None:
    assert (json.loads(made[state, "run"]["text"]), json.loads(made[state, "changed"]["text"])) == WANTED[state]


def test_absent_gives_back_the_first_file_byte_for_byte(made: Made) -> None:
    assert made["absent", "run"]["text"] == FIRST


def test_dockerd_was_asked_and_no_call_left_it_out(made: Made) -> None:
    assert [key for key, result in made.items() if "not_predicted" in result] == []


def test_restarts_and_reloads_are_reported_apart(made: Made) -> None:
    described = {key: (result["restart_required"], result["reload_required"]) for key, result in made.items()}
    assert described["settings", "run"] == (True, False)
    assert described["settings", "run again"] == (False, False)
    assert described["absent", "changed"] == (False, True)
    assert made["absent", "changed"]["digest"] == made["absent", "run"]["digest"]
    assert made["absent", "changed"]["reload_digest"] != made["absent", "run"]["reload_digest"]


def test_the_mode_stays(stack: Stack, file: str, made: Made) -> None:
    assert stack.on("server", f"stat -c %a {file}").strip() == "640"


def test_what_dockerd_refuses_is_reported_and_the_file_left_alone(
    stack: Stack, file: str, made: Made, tmp_path: pathlib.Path
) -> None:
    there = stack.on("server", f"cat {file}")
    (result,) = calls(stack, file, tmp_path, [({"settings": {"no-such-key": 1}}, False)])
    assert "dockerd does not accept the new daemon.json, so the old one was left in place" in result["msg"]
    assert "no-such-key" in result["msg"]
    assert result["text"] == there


def test_what_the_hosts_own_unit_sets_is_refused_as_dockerd_itself_would(
    stack: Stack, file: str, tmp_path: pathlib.Path
) -> None:
    live = {"path": "/etc/docker/daemon.json", "settings": {"hosts": ["unix:///run/other.sock"]}}
    (result,) = calls(stack, file, tmp_path, [(live, True)])
    assert "hosts is wanted in /etc/docker/daemon.json by the owner test" in result["msg"]
    assert f"(--host in {UNIT})" in result["msg"]
    other = f"{file}.hosts"
    stack.on("server", f"""echo '{json.dumps(live["settings"])}' >{other}""")
    said = stack.on("server", f"dockerd --validate -H fd:// --config-file {other} 2>&1", check=False)
    assert "specified both as a flag and in the configuration file: hosts" in said


LIVE = "/etc/docker/daemon.json"
SOMEBODYS = "somebodys"
# What it is about, settings that `dockerd --validate` takes, and what dockerd says of them when it is to run with them.
OUTAGES: list[tuple[str, dict[str, Any], str]] = [
    (
        "options of another logging driver",
        {"log-driver": "local", "log-opts": {"labels": "production_status", "env": "os"}},
        "unknown log opt",
    ),
    ("a profile that is not there", {"seccomp-profile": "/nosuch"}, "/nosuch"),
    ("a default runtime that is not there", {"default-runtime": "nosuch"}, "nosuch"),
]


@pytest.fixture
def somebodys_container(stack: Stack) -> Iterator[str]:
    """A container that somebody runs, which Docker would not start by itself."""
    stack.on("server", 'test -n "$(docker images -q)"')
    image = stack.on("server", "docker images --format '{{.ID}}' | head -n 1").strip()
    stack.on("server", f"docker run -d --name {SOMEBODYS} --restart no --entrypoint sleep {image} infinity")
    yield SOMEBODYS
    stack.on("server", f"docker rm --force {SOMEBODYS}")


def test_settings_with_which_docker_does_not_run_are_taken_back_with_everything_that_ran(
    stack: Stack, somebodys_container: str, tmp_path: pathlib.Path
) -> None:
    running = "docker ps --format '{{.Names}}' | sort"
    file, records = (
        stack.on("server", f"cat {LIVE}"),
        "cat /var/lib/gpuchat/docker-daemon.json /var/lib/gpuchat/services/docker.json",
    )
    ran, recorded = stack.on("server", running), stack.on("server", records)
    assert somebodys_container in ran
    live = {"path": LIVE, "service": "docker"}
    wishes = [({**live, "settings": settings}, False) for _about, settings, _said in OUTAGES]
    for (about, settings, said), result in zip(OUTAGES, calls(stack, LIVE, tmp_path, wishes), strict=True):
        assert said in result["msg"], about
        assert "Docker runs with it again, its containers too" in result["msg"], about
        assert json.loads(result["text"]) == json.loads(file), about
        checked = stack.on(
            "server",
            f"echo '{json.dumps(settings)}' >/root/asked.json; dockerd --validate --config-file /root/asked.json 2>&1",
        )
        assert "configuration OK" in checked, f"{about}: dockerd --validate sees it, so this shows nothing"
    assert stack.on("server", f"cat {LIVE}") == file
    assert stack.on("server", records) == recorded
    assert stack.on("server", running) == ran
    moved = {**live, "settings": {"data-root": "/srv/elsewhere"}}
    (result,) = calls(stack, LIVE, tmp_path, [(moved, True)])
    assert f"found containers in this Docker that are not gpuchat's ({somebodys_container})" in result["msg"]


@pytest.mark.long
def test_docker_comes_up_on_a_node_of_a_swarm_and_with_a_driver_that_somebody_chose(
    stack: Stack, tmp_path: pathlib.Path
) -> None:
    before = stack.on("server", f"cat {LIVE}")
    assert json.loads(before)["live-restore"], "the run sets it, so this shows something"
    ours = {"owner": "gpuchat", "path": LIVE, "service": "docker"}
    held = json.loads(stack.on("server", "cat /var/lib/gpuchat/docker-daemon.json"))[LIVE]["owners"]["gpuchat"]
    settings: dict[str, Any] = {}
    for place, value in held:
        inner = settings
        for key in place[:-1]:
            inner = inner.setdefault(key, {})
        inner[place[-1]] = value
    page = {"log-driver": "json-file", "log-opts": {"labels": "production_status", "env": "os"}}
    defaults = {"live-restore": True, "log-driver": "local", "log-opts": {"max-size": "50m"}}
    try:
        calls(stack, LIVE, tmp_path, [({**ours, "settings": {"mtu": 1500}}, False)])
        rest = {**json.loads(stack.on("server", f"cat {LIVE}")), **page}
        stack.on("server", f"echo '{json.dumps(rest)}' >{LIVE} && systemctl restart docker")
        stack.on("server", "docker swarm init --advertise-addr 127.0.0.1")
        wishes = [{"defaults": defaults}, {"defaults": defaults, "settings": {"live-restore": True}}]
        left, refused = calls(stack, LIVE, tmp_path, [({**ours, **wish}, False) for wish in wishes])
        assert json.loads(left["text"]) == {key: value for key, value in rest.items() if key != "mtu"}
        assert "live-restore is on in the settings, and this host is a node of a swarm" in refused["msg"]
        assert stack.on("server", "systemctl is-active docker").strip() == "active"
        theirs = json.dumps({**json.loads(left["text"]), "live-restore": True})
        stack.on("server", f"cp {LIVE} {LIVE}.now && echo '{theirs}' >{LIVE}")
        said = stack.on("server", "systemctl restart docker || journalctl -u docker -n 20 -o cat")
        assert "live-restore" in said, "this dockerd starts with both, so this shows nothing"
        stack.on("server", f"mv {LIVE}.now {LIVE} && systemctl reset-failed docker && systemctl restart docker")
    finally:
        stack.on("server", "docker swarm leave --force; docker network rm docker_gwbridge", check=False)
        calls(stack, LIVE, tmp_path, [({**ours, "settings": settings}, False)])
    assert json.loads(stack.on("server", f"cat {LIVE}")) == json.loads(before)
    stack.on("server", f"printf %s '{before}' >{LIVE}")  # in its former order, for the tests that compare texts
