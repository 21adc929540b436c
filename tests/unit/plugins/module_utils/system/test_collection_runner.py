# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system import (
    collection_runner,
    files_runner,
    service_runner,
)

pytestmark = pytest.mark.usefixtures("state_directory")
PLANTED = {
    "api_key": "planted-key-of-the-engine\n",
    "secrets.env": "ACCESS_CODE='planted code'\nAUTH_SECRET='planted1planted2'\n",
    "host.key": "-----BEGIN PRIVATE KEY-----\nplantedMIGHAgEAMBMGByqGSM49AgEG\n-----END PRIVATE KEY-----\n",
    "key.conf": 'map "" $engine_authorization {\n  default "Bearer planted-key-of-the-engine";\n}\n',
    "passwords": "anna:$6$planted$0123456789abcdef0123456789\n",
}
PLAIN = {"nginx.conf": "map\ndefault\nlisten 443;\n"}


@pytest.fixture
def stack(tmp_path, monkeypatch, commands):
    """A host with a unit, a compose project and secret files; each command prints all secrets."""
    files = {}
    for name, text in {**PLANTED, **PLAIN}.items():
        (tmp_path / name).write_text(text)
        files[str(tmp_path / name)] = {"sha256": "", "mode": "0400" if name in PLANTED else "0644", "uid": 0, "gid": 0}
    host.write_json(files_runner.manifest_path("all"), {"digest": "", "files": files})
    host.write_json(service_runner.record_path("gpuchat-edge"), {"supervisor": "systemd", "digest": "x"})
    host.write_json(service_runner.record_path("gpuchat-vllm"), {"supervisor": "compose", "digest": "x"})
    monkeypatch.setattr(host, "program", lambda name: None if name == "nvidia-smi" else f"/bin/{name}")
    monkeypatch.setattr(collection_runner, "SECRET_PLACES", ())
    everything = "listen on 443 as default\n" + "".join(PLANTED.values())
    commands.answer("systemctl show", f"ActiveState=active\nEnvironment=A=planted-in-a-unit\n{everything}")
    commands.answer("", everything)
    return commands


def test_no_planted_secret_is_collected(stack):
    collected = collection_runner.collect({"act": True, "lines": 10})
    text = json.dumps(collected)
    assert "planted" not in text
    assert "MIGHAgEA" not in text
    assert "0123456789abcdef" not in text
    assert "listen on 443 as default" in collected["files"]["services/gpuchat-edge/log.txt"]
    assert "ActiveState=active" in collected["files"]["services/gpuchat-edge/show.txt"]


def test_states_and_the_logs_of_the_stacks_own_services_are_collected(stack):
    files = collection_runner.collect({"act": True, "lines": 10})["files"]
    assert {
        "journal/docker.txt",
        "journal/kernel.txt",
        "services/gpuchat-edge/log.txt",
        "services/gpuchat-edge/show.txt",
        "services/gpuchat-edge/status.txt",
        "services/gpuchat-vllm/containers.txt",
        "services/gpuchat-vllm/log.txt",
        "states/disks.txt",
        "states/packet-filter.txt",
        "states/release.txt",
    } <= set(files)
    assert "states/gpus.txt" not in files
    assert [line for line in stack.made if "gpuchat-vllm" in line] == [
        "docker compose --project-name gpuchat-vllm ps --all",
        "docker compose --project-name gpuchat-vllm logs --no-color --timestamps --tail=10",
    ]


def test_a_dry_run_says_what_it_would_read_and_runs_nothing(stack):
    told = collection_runner.collect({"act": False, "lines": 10})["commands"]
    assert told["states/packet-filter.txt"] == "nft list ruleset"
    assert stack.made == []


def test_what_is_collected_is_bounded_and_keeps_the_end(stack, monkeypatch):
    monkeypatch.setattr(collection_runner, "LARGEST", 20)
    monkeypatch.setattr(collection_runner, "LARGEST_TOGETHER", 300)
    stack.answers.clear()
    stack.answer("", "x" * 1000 + " the end")
    collected = collection_runner.collect({"act": True, "lines": 10})
    sizes = [len(text) for text in collected["files"].values()]
    assert max(sizes) <= 20
    assert sum(sizes) <= 300
    assert collected["files"]["states/disks.txt"].endswith("x the end\n")
    assert "states/disks.txt" in collected["cut"]


def test_a_bare_host_has_states_alone(tmp_path, monkeypatch, commands):
    monkeypatch.setattr(host, "program", lambda name: f"/bin/{name}" if name == "df" else None)
    monkeypatch.setattr(collection_runner, "SECRET_PLACES", (str(tmp_path / "none"),))
    files = collection_runner.collect({"act": True, "lines": 10})["files"]
    assert not [name for name in files if name.startswith("services/")]
