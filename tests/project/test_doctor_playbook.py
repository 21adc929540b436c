# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/doctor.yml goes on where the inventory has faults and hosts cannot be reached, and makes nothing."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = {"ansible_connection": "local", "ansible_become": False, "gpuchat_private_address": "10.9.9.1"}
GONE = {"ansible_host": "127.0.0.1", "ansible_port": 1, "gpuchat_private_address": "10.9.9.2"}
GOOD = {
    "ansible_python_interpreter": sys.executable,
    "gpuchat_domain": "chat.example.com",
    "gpuchat_allowed_networks": ["10.0.0.0/8"],
    "gpuchat_accelerator": "cpu",
    "gpuchat_models": [{"name": "demo"}],
}


def examined(folder, *words, **variables):
    """Run the doctor on this machine and a host that is not there; return its exit status, words, and doctor.json."""
    children = {"gpu": {"hosts": {"here": HERE}}, "chat": {"hosts": {"gone": GONE}}, "edge": {"hosts": {"gone": {}}}}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": {**GOOD, **variables}, "children": children}}))
    program = pathlib.Path(sys.executable).parent / "ansible-playbook"
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    command = [str(program), str(ROOT / "playbooks/doctor.yml"), "-i", str(folder / "hosts.yml"), *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    path = folder / ".gpuchat" / "doctor.json"
    assert path.exists(), done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr, json.loads(path.read_text())


def places(found):
    return [(one["host"], one["kind"]) for one in found["causes"]]


@pytest.mark.of_core
def test_a_host_that_cannot_be_reached_stands_before_what_is_wrong_with_the_others(tmp_path):
    status, said, found = examined(tmp_path)
    assert (status != 0, found["status"]) == (True, 3)
    assert places(found)[0] == ("gone", "host.unreachable")
    assert ("here", "host.bare") in places(found)
    assert "  1  unreachable  gone: found no way into it: " in said
    assert "changed=1" not in said
    assert os.listdir(tmp_path / ".gpuchat") == ["doctor.json"]


def test_a_wrong_inventory_stands_first_and_its_hosts_are_looked_at(tmp_path):
    status, _said, found = examined(tmp_path, gpuchat_domain="https://chat.example.com", doctor_fail="always")
    assert status != 0
    assert places(found)[:3] == [("", "inventory.fault"), ("", "inventory.fault"), ("gone", "host.unreachable")]
    said = " ".join(one["found"] for one in found["causes"][:2])
    assert "gpuchat_domain is 'https" in said
    assert "doctor_fail is 'always'; wanted one of never, fault, warning" in said


def test_secrets_that_cannot_be_read_end_nothing(tmp_path):
    (tmp_path / ".gpuchat").mkdir()
    (tmp_path / ".gpuchat" / "secrets.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    status, _said, found = examined(tmp_path)
    assert status != 0
    assert places(found)[0] == ("", "inventory.fault")
    assert "cannot be decrypted" in found["causes"][0]["found"]
    assert {"here", "gone"} <= {host for host, _kind in places(found)}


def test_where_nothing_shall_fail_the_table_is_all(tmp_path):
    status, said, found = examined(tmp_path, "--limit", "here", "-e", "doctor_fail=never")
    assert (status, found["hosts"]) == (0, ["here"])
    assert "note: not looked at, for --limit leaves it out: gone" in said
