# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens when something breaks, and that the next run or the service itself puts it right."""

from __future__ import annotations

import json

import pytest
from interfaces import interface_of
from running import Stack, wait


def test_nothing_but_ssh_the_edge_and_the_doors_listens_beyond_the_loopback(stack: Stack) -> None:
    for host in stack.hosts:
        listeners = [line.split()[3].replace("[::]", "0.0.0.0") for line in stack.on(host, "ss -ltnH").splitlines()]
        beyond = {one for one in listeners if not one.startswith(("127.", "[::1]"))}
        wanted = {"0.0.0.0:22"}
        wanted |= {"0.0.0.0:80", "0.0.0.0:443"} if host == stack.host_of("edge") else set()
        wanted |= {"172.16.255.249:8000"} if host == stack.host_of("interface") else set()
        wanted |= {"172.31.80.11:8000"} if host == stack.host_of("engine") and len(stack.hosts) > 1 else set()
        assert beyond == wanted, host


@pytest.mark.long
def test_a_killed_engine_comes_back_by_itself_and_the_edge_says_so_meanwhile(stack: Stack) -> None:
    stack.on("engine", "pkill -KILL -f '[v]llm serve'")
    seen: list[tuple[int, str]] = []
    wait(lambda: seen.append(stack.ask()) is None and seen[-1][0] in (502, 503), 30, "the edge's word")
    assert json.loads(seen[-1][1])["error"]["type"] == "server_error"
    stack.wait_for_answer()


def test_the_stack_answers_again_after_docker_was_restarted(stack: Stack) -> None:
    for host in stack.hosts:
        stack.on(host, "systemctl restart docker")
    stack.wait_for_answer()
    wait(lambda: stack.curl(interface_of(stack).page, key=False)[0] == 200, 120, "the chat's page")


@pytest.mark.long
def test_the_stack_answers_again_after_its_hosts_were_restarted(stack: Stack) -> None:
    stack.restart(*stack.hosts)
    stack.wait_for_answer(300)
    wait(lambda: stack.curl(interface_of(stack).page, key=False)[0] == 200, 120, "the chat's page")
    for host in stack.hosts:
        assert "reject with tcp reset" in stack.on(host, "nft list table inet gpuchat")
    assert "changed=0" in stack.must_play()
