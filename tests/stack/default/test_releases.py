# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed collection does what the checkout does, and so does the oldest ansible-core that is served."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest
from running import ROOT, Stack

OLDEST_CORE = ROOT / ".cache" / "cores" / "2.17"


def run(command: list[str], **environment: str) -> str:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=kept | environment, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout


@pytest.mark.long
def test_the_installed_collection_finds_nothing_to_change_in_what_the_checkout_made(
    stack: Stack, tmp_path: pathlib.Path
) -> None:
    bin_folder = pathlib.Path(sys.executable).parent
    path = f"{bin_folder}:{os.environ['PATH']}"
    run([str(ROOT / "tools" / "collection.sh"), str(tmp_path)], PATH=path)
    command = [str(bin_folder / "ansible-playbook"), "gpuchat.stack.site", "-i", str(stack.inventory)]
    printed = run(command, ANSIBLE_COLLECTIONS_PATH=str(tmp_path / "collections"))
    assert "changed=0" in printed


WITHOUT_A_STACK = """
systemctl disable --now gpuchat-edge gpuchat-door gpuchat-watchdog gpuchat-firewall gpuchat-postgresql
docker rm --force gpuchat-vllm-gpuchat-demo gpuchat-lobehub gpuchat-object-store
docker network rm gpuchat-room
DEBIAN_FRONTEND=noninteractive apt-get -qq remove nginx nftables postgresql-17
rm -r /etc/gpuchat /etc/systemd/system/gpuchat-*.service /var/lib/gpuchat/files /var/lib/gpuchat/services
systemctl daemon-reload
"""


@pytest.mark.long
def test_a_host_with_images_and_model_alone_converges_on_the_oldest_ansible_core(stack: Stack) -> None:
    run([str(ROOT / "tools" / "venv.sh"), str(OLDEST_CORE), "requirements/core-2.17.txt", "12"])
    stack.on("server", f"set -e {WITHOUT_A_STACK}")
    command = [str(OLDEST_CORE / "bin" / "ansible-playbook"), "site.yml", "-i", str(stack.inventory)]
    assert "core 2.17" in run([command[0], "--version"])
    assert "failed=0" in run(command)
    assert "changed=0" in run(command)
