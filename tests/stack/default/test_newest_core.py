# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The newest ansible-core keeps the stack as the core of the other tests made it, from a control node of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from running import ROOT, Stack

sys.path.insert(0, str(ROOT / "molecule" / "world"))

import images


@pytest.fixture
def newest(stack: Stack) -> Iterator[Callable[[], dict[str, int]]]:
    """Return a function that runs site.yml on the newest core, and returns its recap for the server."""
    name = f"gpuchat-{stack.world['name']}-control"
    inside, outside = (f"gpuchat-{stack.world['name']}-{network}" for network in ("inside", "outside"))
    words = [
        "--volume",
        f"{ROOT}:{ROOT}:ro",
        "--volume",
        f"{stack.inventory}:{stack.inventory}",
        "--workdir",
        str(ROOT),
    ]
    words += ["--env", "LC_ALL=C.UTF-8", "--env", "PYTHONDONTWRITEBYTECODE=1", "--env", "ANSIBLE_HOME=/tmp/ansible"]

    def docker(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["docker", *command], capture_output=True, text=True, check=False)

    def play() -> dict[str, int]:
        done = docker("exec", name, "/opt/newest/bin/ansible-playbook", "site.yml", "-i", str(stack.inventory))
        assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
        (recap,) = re.findall(r"^server +: (.*)$", done.stdout, re.MULTILINE)
        return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", recap)}

    docker("rm", "--force", name)
    made = docker("run", "--detach", "--name", name, "--network", inside, *words, images.ensure("control"))
    assert made.returncode == 0, made.stderr
    assert docker("network", "connect", outside, name).returncode == 0  # where the host that is not allowed in listens
    yield play
    docker("rm", "--force", name)


@pytest.mark.long
def test_what_is_missing_is_put_right_and_a_second_run_changes_nothing(
    stack: Stack, newest: Callable[[], dict[str, int]]
) -> None:
    stack.on("server", "rm -r /etc/gpuchat/edge /etc/systemd/system/gpuchat-edge.service")
    assert newest()["changed"] > 0
    assert newest()["changed"] == 0
    stack.wait_for_answer()
