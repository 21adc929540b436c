# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each fault that is planted in a running stack is the first that the doctor names; without it, nothing is.

It takes half a minute for each fault, so it is run by hand (CONTRIBUTING.md). ``-k WORDS`` chooses among them by their
names.
"""

from __future__ import annotations

import json
import os
import pathlib

import planted
import pytest
from planted import Fault
from running import Stack

WORLD = json.loads((pathlib.Path(os.environ["GPUCHAT_INVENTORY"]) / ".world.json").read_text())
FAULTS = planted.faults_of(WORLD["hosts"])


@pytest.fixture(scope="module", autouse=True)
def nothing_is_wrong_before(stack: Stack) -> None:
    planted.check_well(stack)


@pytest.fixture(scope="module")
def backed_up(stack: Stack) -> None:
    stack.must_play(*planted.BACKED_UP, playbook="playbooks/backup.yml")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.name)
def test_what_was_broken_is_the_first_cause_and_nothing_is_wrong_afterwards(
    stack: Stack, fault: Fault, request: pytest.FixtureRequest
) -> None:
    own = fault.words if fault.words == planted.BACKED_UP else ()
    if own:
        request.getfixturevalue("backed_up")
    planted.check_first(stack, fault)
    planted.check_well(stack, *own)
