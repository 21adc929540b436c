# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host is asked about a set of files, on hosts that nobody reaches: one that is asked fails."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIRST_LOOK = {
    "has_none": {"file_sets": ["edge"]},
    "has_it": {"file_sets": ["edge", "watchdog"]},
    "not_seen": {"skipped": True},
}
"""What the first look of a run has said of each host."""


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Return the hosts that were asked, by the state that the set was to have."""
    folder = tmp_path_factory.mktemp("absent")
    nobody = {"ansible_host": "127.0.0.1", "ansible_port": 9, "ansible_python_interpreter": "/usr/bin/python3"}
    hosts = {name: {"__gpuchat_membership": found} for name, found in FIRST_LOOK.items()}
    (folder / "hosts.json").write_text(json.dumps({"all": {"vars": nobody, "hosts": hosts}}))
    tasks = [
        {"name": state, "gpuchat_files": {"name": "watchdog", "state": state}, "ignore_unreachable": True}
        for state in ("absent", "present")
    ]
    (folder / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    program = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
    done = subprocess.run(
        [program, "-i", str(folder / "hosts.json"), str(folder / "play.yml")],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    _start, *parts = re.split(r"^TASK \[(?=absent|present)", done.stdout, flags=re.MULTILINE)
    return {part.partition("]")[0]: set(re.findall(r"\[(\w+)\]: UNREACHABLE", part)) for part in parts}


def test_a_host_whose_first_look_found_no_such_set_is_not_asked_to_remove_it(asked):
    assert asked["absent"] == {"has_it", "not_seen"}


def test_every_host_is_asked_for_a_set_that_is_to_be_there(asked):
    assert asked["present"] == set(FIRST_LOOK)
