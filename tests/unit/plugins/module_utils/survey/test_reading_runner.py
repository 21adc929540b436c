# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the survey reads on a host, with files under a temporary folder and commands out of a table."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker.container import Container, compose_project
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model.files import Manifest, ModelFile
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.survey import reading_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system import files, files_runner, service_runner

IMAGE = "registry.example.com/vllm/vllm-openai@sha256:" + "a" * 64
KEY = "sk-0123456789abcdef0123456789abcdef"
COMMIT = "c" * 40


class Made:
    """A host that a run has left: file sets, services, a model and a container, all below one folder."""

    def __init__(self, root: pathlib.Path, commands):
        self.root, self.commands = root, commands
        self.model = root / "models" / "demo"
        self.model.mkdir(parents=True)
        (self.model / "config.json").write_text("{}")
        status = (self.model / "config.json").stat()
        entry = ModelFile("config.json", status.st_size, "e" * 64, mtime_ns=status.st_mtime_ns)
        asked = {"source": "huggingface", "repo": "a/b", "revision": "main", "include": [], "exclude": []}
        (self.model / "gpuchat-model.json").write_text(Manifest(COMMIT, asked, (entry,)).text())
        container = Container(
            "gpuchat-vllm",
            IMAGE,
            "1:1",
            volumes=(
                f"{self.model}:/model:ro",
                f"{self.model}-sql:/adapters/sql:ro",
                f"{root}/api_key:/run/secrets/vllm_api_key:ro",
                f"{root}/run:/run/vllm",
            ),
            gpus="all",
        )
        self.digest = self.file_set(
            "gpuchat-vllm", {"compose.yml": compose_project(container), "api_key": KEY + "\n"}, mode=0o600
        )
        self.service("gpuchat-vllm", "compose", digest=f"{self.digest} {COMMIT}")
        self.unit = self.file_set("door", {"nginx.conf": "events {}", "host.crt": "no certificate"})
        self.service("gpuchat-door", "systemd", digest="", reload_digest=self.unit)
        commands.answer("docker info", json.dumps({"ServerVersion": "26.1.5", "Runtimes": {"runc": {}, "nvidia": {}}}))
        commands.answer("docker ps --all", "c1")
        commands.answer("docker ps -aq", "c1")
        state = {"Running": True, "Status": "running", "Health": {"Status": "healthy"}}
        config = {"Image": IMAGE, "Env": [f"VLLM_API_KEY={KEY}"]}
        one = {"Id": "c1", "Name": "/gpuchat-vllm", "State": state, "Config": config, "RestartCount": 0}
        commands.answer("docker inspect", json.dumps([one]))
        commands.answer("systemctl show", "ActiveState=active\nUnitFileState=enabled\nNRestarts=0\nResult=success\n")

    def file_set(self, name, texts, mode=0o644):
        wanted = []
        for path, text in texts.items():
            place = self.root / path
            place.write_text(text)
            place.chmod(mode)
            wanted.append(files.WantedFile(str(place), text.encode(), mode, os.getuid(), os.getgid()))
        manifest = files.manifest_of(wanted)
        host.write_json(files_runner.manifest_path(name), manifest)
        return manifest["digest"]

    def service(self, name, supervisor, **digests):
        host.write_json(service_runner.record_path(name), {"supervisor": supervisor, **digests})


@pytest.fixture
def made(tmp_path, state_directory, commands, monkeypatch):
    monkeypatch.setattr(host, "program", lambda name: f"/usr/bin/{name}" if name in ("docker", "dpkg-query") else None)
    monkeypatch.setattr(reading_runner, "STACK", str(tmp_path / "stack"))
    (tmp_path / "stack").write_text("# By which secrets\napi_key 5f0c\n")
    commands.answer("dpkg-query", "installed nginx 1.26.3-3\nnot-installed docker-ce \n")
    return Made(tmp_path, commands)


def read(**given):
    return reading_runner.read(given)


def test_a_host_as_the_run_left_it_has_no_drift(made):
    found = read()
    assert {name: one["drifted"] for name, one in found["files"].items()} == {"gpuchat-vllm": {}, "door": {}}
    assert {name: (one["running"], one["steps"]) for name, one in found["services"].items()} == {
        "gpuchat-vllm": (True, []),
        "gpuchat-door": (True, []),
    }
    assert found["stack"] == {"api_key": "5f0c"}
    assert found["packages"] == {"nginx": "1.26.3-3"}
    assert found["containers"] == {"gpuchat-vllm": {"image": IMAGE, "gpus": True}}
    assert found["docker"]["containers"][0]["health"] == "healthy"
    assert found["services"]["gpuchat-vllm"]["commit"] == COMMIT


def test_the_model_is_the_one_that_the_containers_files_name(made):
    model = read()["models"][str(made.model)]
    assert (model["commit"], model["missing"], model["changed"], model["repo"]) == (COMMIT, [], [], "a/b")


def test_an_adapter_that_is_gone_is_seen(made):
    assert read()["models"][f"{made.model}-sql"] == {"there": False}


def test_a_changed_and_a_missing_file_of_a_model_are_seen_by_size_and_time(made):
    os.utime(made.model / "config.json", ns=(1, 1))
    assert read()["models"][str(made.model)]["changed"] == ["config.json"]
    (made.model / "config.json").unlink()
    assert read()["models"][str(made.model)]["missing"] == ["config.json"]


def test_a_folder_that_the_inventory_names_is_read_too(made, tmp_path):
    assert read(models=[str(tmp_path / "none")])["models"][str(tmp_path / "none")] == {"there": False}


def test_what_was_changed_by_hand_is_seen_by_its_path(made):
    (made.root / "nginx.conf").write_text("events { }")
    (made.root / "host.crt").unlink()
    (made.root / "api_key").chmod(0o644)
    found = read()["files"]
    assert found["door"]["drifted"] == {
        str(made.root / "nginx.conf"): ["content"],
        str(made.root / "host.crt"): ["missing"],
    }
    assert found["gpuchat-vllm"]["drifted"] == {str(made.root / "api_key"): ["mode"]}


def test_a_service_that_started_before_its_files_changed_would_be_restarted(made):
    made.service("gpuchat-vllm", "compose", digest=f"{'0' * 64} {COMMIT}")
    assert "restart" in read()["services"]["gpuchat-vllm"]["steps"]


def test_a_stopped_and_a_disabled_service_are_seen(made):
    made.commands.answer("systemctl show", "ActiveState=inactive\nUnitFileState=disabled\nNRestarts=0\n")
    found = read()["services"]["gpuchat-door"]
    assert (found["running"], found["enabled"], found["state"]) == (False, False, "inactive")


def test_no_secret_is_part_of_the_reading(made):
    assert KEY not in json.dumps(read())


def test_a_host_that_nobody_has_set_up_gives_a_reading_too(tmp_path, state_directory, commands, monkeypatch):
    monkeypatch.setattr(host, "program", lambda _name: None)
    monkeypatch.setattr(reading_runner, "STACK", str(tmp_path / "stack"))
    found = read()
    assert (found["services"], found["files"], found["stack"], found["unanswered"]) == ({}, {}, {}, {})
    assert found["docker"] == {"installed": False}
    assert found["host"]["kernel"]
    assert found["disks"]["/"]["bytes"] > 0


def test_a_command_that_hangs_costs_its_own_answer_alone(made):
    made.commands.answer("docker info", lambda: time.sleep(60))
    began = time.monotonic()
    found = read(seconds=1)
    assert time.monotonic() - began < 30
    assert found["unanswered"] == {"docker": "no answer within 1 s"}
    assert found["services"]["gpuchat-door"]["running"]


def test_what_hangs_is_ended_with_all_that_it_started(tmp_path):
    mark = tmp_path / "mark"

    def hang():
        subprocess.run(["sh", "-c", f"sleep 1.5; touch {mark}"], check=False)

    answers, problems = reading_runner.together({"slow": hang, "quick": lambda: 1}, 0.5)
    assert (answers, problems) == ({"quick": 1}, {"slow": "no answer within 0.5 s"})
    time.sleep(1.5)
    assert not mark.exists()


def test_a_part_that_fails_says_why_and_one_that_dies_is_no_answer():
    def fails():
        raise OSError(5, "Input/output error", "/srv/models")

    _answers, problems = reading_runner.together({"fails": fails, "dies": lambda: os._exit(1)}, 5)
    assert "Input/output error" in problems["fails"]
    assert problems["dies"] == "it ended without a word"


def test_a_part_writes_nothing_where_the_answer_is_written(capfd):
    def loud():
        print("noise")
        os.write(1, b"noise")

    reading_runner.together({"loud": loud}, 5)
    assert capfd.readouterr().out == ""


def test_the_packet_filter_is_compared_as_nft_itself_understands_its_file(made, monkeypatch, tmp_path):
    rules = tmp_path / "rules.nft"
    rules.write_text('table inet gpuchat {\n  comment "0123456789abcdef"\n}\n')
    monkeypatch.setattr(reading_runner.firewall_runner, "RULES", str(rules))
    made.file_set("firewall", {"rules.nft": rules.read_text()})
    table = {"table": {"family": "inet", "name": "gpuchat", "handle": 7, "comment": "0123456789abcdef"}}
    rule = {"rule": {"family": "inet", "chain": "input", "handle": 9, "expr": [{"accept": None}]}}
    made.commands.answer("nft --json list table", json.dumps({"nftables": [table, rule]}))
    alone = [{"table": {**table["table"], "handle": 1}}, {"rule": {**rule["rule"], "handle": 2}}]
    made.commands.answer("unshare --net", json.dumps({"nftables": alone}))
    assert read()["packet filter"] == {"loaded": True, "same": True}
    made.commands.answer("nft --json list table", json.dumps({"nftables": [table, rule, rule]}))
    assert read()["packet filter"] == {"loaded": True, "same": False}
    made.commands.answer("nft --json list table", rc=1)
    assert read()["packet filter"] == {"loaded": False, "same": False}


NETWORK = "4d853f41a6a4" + "c" * 52


@pytest.mark.parametrize(
    ("mode", "networks", "lacks"),
    [
        ("gpuchat-room", {"gpuchat-room": {"NetworkID": NETWORK}}, ""),
        (NETWORK, {"gpuchat-room": {"NetworkID": NETWORK}}, ""),
        ("gpuchat-room", {}, "gpuchat-room"),
        (NETWORK, {"another": {"NetworkID": "d" * 64}}, NETWORK),
        (NETWORK, {"another": None}, NETWORK),
        ("host", {}, ""),
        ("container:abc", {}, ""),
        ("", {}, ""),
    ],
)
def test_a_container_lacks_a_network_that_it_was_made_for_by_name_or_number(mode, networks, lacks):
    inspected = {"HostConfig": {"NetworkMode": mode}, "NetworkSettings": {"Networks": networks}}
    assert reading_runner._lacks_network(inspected) == lacks


def test_all_that_a_reading_needs_is_loaded_before_its_processes_close_its_archive():
    """Each part is a process that closes all files, the one in memory that the program came in among them."""
    source = pathlib.Path(reading_runner.__file__).parents[2]
    look = (
        "import sys; from gpuchat.core import sources_runner; import gpuchat.survey.reading_runner;"
        "needed = sources_runner.needed(['survey.reading_runner']);"
        "print([one for one in needed if f'gpuchat.{one}' not in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, cwd=source, check=True)
    assert done.stdout.strip() == "[]"
