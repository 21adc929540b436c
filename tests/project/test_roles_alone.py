# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each role works alone, by its full name, in a play of somebody's own."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROLES = sorted(path.parent.parent.name for path in ROOT.glob("roles/*/tasks/main.yml") if "stack" not in path.parts)
OF_THE_CHAT = ("backup", "data_door", "lobehub", "object_store", "open_webui", "postgresql")
"""Roles of the group chat, which has one host."""
UNDEFINED = re.compile(r"is undefined|has no attribute|Traceback|Finalization of task args|Unexpected failure")
CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "vocab_size": 1000,
    "max_position_embeddings": 2048,
    "torch_dtype": "bfloat16",
}


@pytest.fixture(scope="module")
def output(request, tmp_path_factory):
    """What check mode says to a play for each role, each on a host of its own, for they remember what was checked."""
    here = [item for item in request.session.items if item.path == request.path and hasattr(item, "callspec")]
    asked = {item.callspec.params["role"] for item in here}
    folder = tmp_path_factory.mktemp("alone")
    subprocess.run([sys.executable, str(ROOT / "tools" / "stage.py"), str(folder)], check=True, capture_output=True)
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps(CONFIG))
    header = json.dumps({"w": {"dtype": "U8", "shape": [1_000_000], "data_offsets": [0, 1_000_000]}}).encode()
    (model / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(1_000_000))
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "gpuchat_domain": "chat.example.com",
        "gpuchat_allowed_networks": ["10.0.0.0/8"],
        "gpuchat_models": [{"name": "q", "path": str(model)}],
        "gpuchat_accelerator": "cpu",
        # Nobody listens there: this is check mode, and no host but this one is there.
        "gpuchat_private_address": "{{ '10.255.255.' ~ (groups['all'].index(inventory_hostname) + 1) }}",
        "gpuchat_toolbox": str(folder / "toolbox"),
        "gpuchat_registry_map": {"docker.io": "127.0.0.1:9"},  # nobody answers there
        "docker_source": "present",
    }
    groups = {
        "gpu": ["on_vllm", "on_model", "on_door", "on_watchdog"],
        "chat": ["on_chat"],
        "edge": ["on_edge", "on_firewall", "on_nginx", "on_verify", "on_exporters"],
        "monitoring": ["on_monitoring"],
    }
    groups["others"] = [f"on_{role}" for role in ROLES if role not in OF_THE_CHAT]
    children = {group: {"hosts": {host: {} for host in hosts}} for group, hosts in groups.items()}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": variables, "children": children}}))
    kept = {"engines": {"q": {"task": "chat", "args": {"max-model-len": 2048}}}}
    (folder / ".gpuchat" / "plans").mkdir(parents=True)
    for host in groups["gpu"]:
        (folder / ".gpuchat" / "plans" / f"{host}.json").write_text(json.dumps(kept))
    plays = [
        {
            "name": f"on_{role}",
            "hosts": "on_chat" if role in OF_THE_CHAT else f"on_{role}",
            "gather_facts": False,
            "ignore_errors": True,  # one host's failure would end the run
            "vars": {"gpuchat_interface": role} if role == "open_webui" else {},
            "roles": [f"gpuchat.stack.{role}"],
        }
        for role in ROLES
        if role in asked
    ]
    (folder / "alone.yml").write_text(yaml.safe_dump(plays))
    command = [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "--check", "-i", "hosts.yml", "alone.yml"]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(folder), "ANSIBLE_CONFIG": str(folder / "none.cfg")}
    environment["ANSIBLE_PIPELINING"] = "true"
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def plays_of(output):
    parts = re.split(r"^PLAY (?:\[on_(\w+)\] \*+|RECAP \*+)$", output, flags=re.MULTILINE)
    return {name: text for name, text in zip(parts[1::2], parts[2::2], strict=False) if name}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_runs_alone_or_says_in_our_words_what_it_lacks(output, role):
    text = plays_of(output)[role]
    assert f"[gpuchat.stack.{role} : " in text, output
    assert not UNDEFINED.search(text), text
    for said in re.findall(r'"msg": "(.*?)"\}', text):
        assert re.search(r"; wanted .*; set |; install", said), said


def test_the_inventory_is_checked_once_for_each_play(output):
    for role, text in plays_of(output).items():
        assert text.count("TASK [gpuchat.stack.stack : Check the inventory] ") == 1, role
