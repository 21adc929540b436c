# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor finds nothing in a stack that is well, and names first what was broken in it."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from running import Stack, wait

DOCTOR = "playbooks/doctor.yml"
EDGE = "/etc/gpuchat/edge/site.conf"
SQUATTER = "systemd-run --unit squatter --collect python3 -m http.server 443"


@dataclass(frozen=True)
class Broken:
    """Something broken on the stack's host, how it is put right, and the finding that it is to be."""

    kind: str
    named: str
    come: str
    go: str


BROKEN = (
    Broken("service.stopped", "gpuchat-door", "systemctl stop gpuchat-door", "systemctl start gpuchat-door"),
    Broken(
        "service.stopped",
        "gpuchat-postgresql",
        "systemctl stop gpuchat-postgresql",
        "systemctl start gpuchat-postgresql",
    ),
    Broken(
        "port.taken",
        "squatter.service",
        f"systemctl stop gpuchat-edge && {SQUATTER} && sleep 1 && ! systemctl start gpuchat-edge",
        "systemctl stop squatter; systemctl reset-failed gpuchat-edge; systemctl start gpuchat-edge",
    ),
    Broken(
        "log.nginx.directive",
        "nginx does not understand",
        f"cp -p {EDGE} /root/site.conf && echo 'proxi_pass x;' >>{EDGE} && ! systemctl restart gpuchat-edge",
        f"mv /root/site.conf {EDGE}; systemctl reset-failed gpuchat-edge; systemctl start gpuchat-edge",
    ),
)


def diagnosis(stack: Stack) -> list[dict[str, str]]:
    found = json.loads((stack.inventory / ".gpuchat" / "doctor.json").read_text())
    return list(found["causes"])


def test_nothing_is_wrong_with_a_stack_that_is_well_and_nothing_is_changed(stack: Stack) -> None:
    said = stack.must_play(playbook=DOCTOR)
    assert "1 host: nothing is wrong" in said
    assert diagnosis(stack) == []
    assert "changed=0" in said
    assert "changed=1" not in said


@pytest.mark.parametrize("broken", BROKEN, ids=lambda one: f"{one.kind} {one.named}")
def test_what_was_broken_is_the_first_cause(stack: Stack, broken: Broken) -> None:
    stack.on("server", broken.come)
    try:
        done = stack.play(playbook=DOCTOR)
    finally:
        stack.on("server", broken.go, check=False)
    first = diagnosis(stack)[0]
    assert done.returncode != 0, done.stdout
    assert first["kind"] == broken.kind, done.stdout
    assert broken.named in first["found"]
    wait(
        lambda: stack.on("server", "systemctl is-active gpuchat-edge gpuchat-door").split() == ["active"] * 2,
        20,
        "both",
    )
