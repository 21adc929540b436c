# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chat's host and the control node's folder are lost at once: all comes back on a new host, as the guide has it."""

from __future__ import annotations

import pathlib
import re
import shlex
import subprocess
import sys

import pytest
from browsing import DIALOGUES, browse
from kept import expect_kept, files, rows, stopped
from running import ROOT, Stack

NAS = "probe"
"""The host of the world that has the backup."""

GUIDE = ROOT / "docs" / "backup.md"
PLAYBOOK = "ansible-playbook "
WORLD = ROOT / "molecule" / "world"


def open_a_way(stack: Stack, address: str) -> None:
    """Let root of the chat's host in at the backup's, as the guide has its owner do by hand."""
    stack.on("interface", "cd; test -e .ssh/id_ed25519 || ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519")
    public = stack.on("interface", "cat /root/.ssh/id_ed25519.pub").strip()
    stack.on(NAS, f"echo '{public}' >>/root/.ssh/authorized_keys")
    stack.on("interface", f"ssh-keyscan -t ed25519 {address} >>/root/.ssh/known_hosts")


def lose(stack: Stack, host: str) -> None:
    """Have a host of the world burn down with its disks, and a bare one of its name in its place."""
    name = f"gpuchat-{stack.world['name']}-{host}"
    for words in (["rm", "--force", "--volumes", name], ["volume", "rm", f"{name}-docker"]):
        subprocess.run(["docker", *words], check=True, capture_output=True)
    subprocess.run([sys.executable, str(WORLD / "world.py"), "up", str(stack.inventory)], check=True)


def guided(stack: Stack, target: str) -> list[str]:
    """Return the guide's commands, with what is this stack's in the place of the example's."""
    part = GUIDE.read_text().partition("**The control node too.**")[2]
    [block, *_others] = re.findall(r"```sh\n(.*?)```", part, re.DOTALL)
    for example, own in {
        "sftp:backup@nas.example.com:/gpuchat": target,
        "read -rs RESTIC_PASSWORD": f"RESTIC_PASSWORD={shlex.quote(stack.secrets['backup_password'])}",
        "chat.example.com": stack.domain,
    }.items():
        assert example in block
        block = block.replace(example, own)
    return block.splitlines()


@pytest.mark.long
def test_all_is_as_it_was_on_a_new_host_and_a_new_control_node(stack: Stack, tmp_path: pathlib.Path) -> None:
    [address] = stack.world["hosts"][NAS]["addresses"].values()  # type: ignore[index]
    target = f"sftp:root@{address}:/srv/backup"
    to_there = ("-e", f"backup_target={target}")
    open_a_way(stack, address)
    stopped(stack, "stop")  # whoever chats would change rows between the two looks
    stack.must_play(*to_there, playbook="playbooks/backup.yml")
    rows_before, files_before, secrets = rows(stack), files(stack), stack.secrets
    commands = guided(stack, target)

    lose(stack, stack.host_of("interface"))
    folder = stack.inventory / ".gpuchat"
    folder.rename(tmp_path / "lost")
    open_a_way(stack, address)
    with_restic = [line for line in commands if not line.startswith(PLAYBOOK)]
    stack.on("interface", "apt-get -qq update && apt-get -qq install --yes restic")
    stack.on("interface", "\n".join(["set -e; cd; mkdir INVENTORY", *with_restic]))
    there = f"gpuchat-{stack.world['name']}-{stack.host_of('interface')}:/root/INVENTORY/.gpuchat"
    subprocess.run(["docker", "cp", there, str(folder)], check=True)
    assert stack.secrets == secrets
    state = (WORLD / "state-of-host.sh").read_text()
    stack.on("interface", f"({state}) >/root/.bare")  # for the tests of the removal
    for line in commands:
        if line.startswith(PLAYBOOK):
            playbook, _word, _inventory, *words = shlex.split(line)[1:]
            stack.must_play(*to_there, *words, playbook=playbook)

    expect_kept(stack, rows_before, files_before)
    stack.wait_for_answer()
    seen = browse(stack, tmp_path, "--history", DIALOGUES["nihao"]["answer"], "--sign-out")
    assert int(str(seen["talks"])) >= 2  # test_1_browser.py said them
    assert "changed=0" in next(
        line for line in stack.must_play(*to_there).splitlines() if line.startswith(stack.host_of("interface") + " ")
    )
    stack.must_play("--tags", "backup")  # the inventory of this world names no target
    stack.on(NAS, "rm -r /srv/backup")
