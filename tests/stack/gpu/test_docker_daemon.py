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
