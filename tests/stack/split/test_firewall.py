# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packet filter beside others, and rules that would shut out the one who sets them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from interfaces import ask_from_the_room
from running import Stack, wait

TABLE = "nft --json list tables"


def table(stack: Stack) -> str:
    """Return the word by which the table is known that is loaded at the edge."""
    entries = [one.get("table", {}) for one in json.loads(stack.on("edge", TABLE))["nftables"]]
    return next((str(one["comment"]) for one in entries if one.get("name") == "gpuchat"), "")


@pytest.fixture
def forwarded(stack: Stack) -> Iterator[int]:
    """Yield another port that leads to ssh, as before a host behind NAT, of whose own the inventory knows nothing."""
    rule = "PREROUTING -p tcp --dport 2222 -j REDIRECT --to-ports 22"
    stack.on("edge", f"iptables -t nat -A {rule}")
    yield 2222
    stack.on("edge", f"iptables -t nat -D {rule}")


def test_rules_that_would_shut_out_ssh_are_taken_back_by_themselves(stack: Stack, forwarded: int) -> None:
    before = table(stack)
    wrong = {"gpuchat_allowed_networks": ["10.99.0.0/16"], "edge_http_port": 22, "firewall_undo_seconds": 15}
    wrong["ansible_port"] = forwarded
    done = stack.play("--tags", "firewall", "--limit", stack.host_of("edge"), "-e", json.dumps(wrong))
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    assert "found that no new connection to this host comes through the new packet filter" in said
    assert "set gpuchat_allowed_networks" in said
    wait(lambda: table(stack) == before, 30, "the former rules")
    assert "changed=0" in stack.must_play("--tags", "firewall")
    assert stack.curl("/v1/models")[0] == 200


@pytest.fixture
def flushed(stack: Stack) -> Iterator[Stack]:
    """Debian's own unit takes away everybody's rules: those by which this host finds names, and Docker's on it."""
    stack.on("edge", "iptables-save >/root/iptables")
    yield stack
    stack.on("edge", "iptables-restore </root/iptables && systemctl restart docker")
    known = ("--cookie", "theme=dark")
    wait(lambda: stack.curl("/auth?from=inbox", *known, key=False)[0] == 200, 60, "the chat's page")


def test_the_table_stays_whatever_becomes_of_the_distributions_own_rules(flushed: Stack) -> None:
    before = table(flushed)
    for action in ("start", "reload", "restart", "stop"):
        flushed.on("edge", f"systemctl {action} nftables")
        wait(lambda: table(flushed) == before, 10, f"the table after {action}")


@pytest.mark.long
def test_a_service_that_listens_beside_the_doors_of_a_host_behind_turns_a_row_red(stack: Stack) -> None:
    stack.on("engine", "systemd-run --quiet --unit open-port python3 -m http.server 8080")
    wait(lambda: stack.on("engine", "ss -ltnH 'sport = :8080'") != "", 20, "the open port")
    try:
        done = stack.play(playbook="playbooks/verify.yml")
    finally:
        stack.on("engine", "systemctl stop open-port")
    assert done.returncode != 0
    (red,) = [line for line in done.stdout.splitlines() if "FAILED" in line and " inside " in line]
    assert "no port of gpu1 is open" in red
    assert "found the ports 8080 open, wanted none but 22" in red
    assert " ok" in next(
        line
        for line in stack.must_play(playbook="playbooks/verify.yml").splitlines()
        if line.strip().startswith("no port of gpu1 is open")
    )


UFW = "ufw allow 22/tcp && ufw --force enable"
FIREWALLD = "systemctl start firewalld && firewall-cmd --state"


@pytest.fixture(params=[("ufw", UFW), ("firewalld", FIREWALLD)], ids=["ufw", "firewalld"])
def beside(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """Have another firewall on the front, which lets in ssh alone."""
    package, start = request.param
    apt = "DEBIAN_FRONTEND=noninteractive apt-get -qq"
    stack.on("edge", f"{apt} update && {apt} install -y --no-install-recommends {package} >/dev/null")
    stack.on("edge", start)
    yield stack
    stack.on("edge", f"{apt} purge -y --autoremove {package} >/dev/null; systemctl restart docker")


@pytest.mark.long
def test_beside_another_firewall_people_get_in_and_the_interface_reaches_its_door(beside: Stack) -> None:
    stack = beside
    wait(lambda: stack.curl("/v1/models")[0] == 0, 10, "the other firewall to close the edge")
    stack.must_play("--tags", "firewall")
    assert stack.curl("/v1/models")[0] == 200
    assert ask_from_the_room(stack, [("172.16.255.249", 8000, "/v1/models")]) == ["200"]
    assert "changed=0" in stack.must_play("--tags", "firewall")
