# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving the services from one supervisor to the other."""

from __future__ import annotations

import re

from running import Stack

LEFT_BY_SYSTEMD = "ls /etc/systemd/system/gpuchat-vllm.service /etc/systemd/system/gpuchat-lobechat.service 2>/dev/null"
PROJECTS = "docker ps --filter label=com.docker.compose.project --format '{{.Names}}' | sort"


def test_units_are_confined_by_their_containers_and_the_edge_by_its_unit(stack: Stack) -> None:
    wanted = "'{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.Config.User}}'"
    for name in ("gpuchat-vllm", "gpuchat-lobechat"):
        assert stack.on("server", f"docker inspect {name} --format {wanted}").startswith("true [ALL] 6998")
    said = stack.on("server", "systemd-analyze security gpuchat-edge.service --no-pager | tail -1")
    assert float(re.findall(r"gpuchat-edge.service: ([0-9.]+)", said)[0]) < 4.0, said


def test_a_move_to_compose_leaves_nothing_of_the_units_behind(stack: Stack) -> None:
    stack.must_play("-e", "gpuchat_supervisor=compose")
    assert stack.on("server", PROJECTS).split() == ["gpuchat-lobechat", "gpuchat-vllm"]
    assert stack.on("server", LEFT_BY_SYSTEMD, check=False) == ""
    assert (
        stack.on("server", "systemctl list-units --all --plain --no-legend 'gpuchat-vllm*' 'gpuchat-lobechat*'") == ""
    )


def test_a_move_back_leaves_nothing_of_the_projects_behind(stack: Stack) -> None:
    stack.must_play()
    assert stack.on("server", PROJECTS) == ""
    assert stack.on("server", "ls /etc/gpuchat/*/compose.yml", check=False) == ""
    assert stack.on("server", "systemctl is-active gpuchat-vllm gpuchat-lobechat").split() == ["active", "active"]
    assert "changed=0" in stack.must_play()
