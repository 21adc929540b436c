# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/load.yml hands its variables to the module, and refuses a load without a bound before anything is asked."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = {"ansible_connection": "local", "ansible_become": False}
VARIABLES = {
    "ansible_python_interpreter": sys.executable,
    "gpuchat_domain": "chat.example.com",
    "gpuchat_allowed_networks": ["10.0.0.0/8"],
    "gpuchat_accelerator": "cpu",
    "gpuchat_models": [{"name": "demo", "aliases": ["default"]}, {"name": "vectors", "task": "embed"}],
}


def load(folder, *words):
    """Make a load in check mode, in which nothing is asked; return its exit status and words."""
    children = {group: {"hosts": {"here": HERE}} for group in ("gpu", "chat", "edge")}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": VARIABLES, "children": children}}))
    program = pathlib.Path(sys.executable).parent / "ansible-playbook"
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    command = [str(program), str(ROOT / "playbooks/load.yml"), "-i", str(folder / "hosts.yml"), "--check", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.mark.of_core
def test_what_is_asked_for_reaches_the_module(tmp_path):
    words = [
        "load_model=default",
        "load_users=7",
        "load_seconds=9",
        "load_prompt_tokens=300",
        "load_shared_prefix=true",
    ]
    status, said = load(tmp_path, "-v", *(word for one in words for word in ("-e", one)))
    assert status == 0, said
    assert "the load on default: check mode asks nothing" in said
    assert not (tmp_path / ".gpuchat").exists()


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("load_users=501", "load_users is '501'; wanted a whole number from 1 to 500; set load_users to one"),
        ("load_seconds=4000", "load_seconds is '4000'; wanted a whole number from 1 to 3600"),
        ("load_second=9", "load_second is no variable of gpuchat; wanted load_seconds"),
        ("load_model=vectors", "found that vectors is there for the task embed; wanted a model that chats"),
    ],
)
def test_a_load_that_cannot_be_made_is_refused(tmp_path, word, why):
    status, said = load(tmp_path, "-e", word)
    assert status != 0
    assert why in said
