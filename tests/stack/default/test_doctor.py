# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor finds nothing in a stack that is well, and names first what was broken in it.

More faults stand in tests/stack/planted.py, for a run by hand; these take seconds each.
"""

from __future__ import annotations

import planted
import pytest
from running import Stack, wait

QUICK = (
    "the door stopped",
    "PostgreSQL stopped",
    "a word that nginx does not know",
    "the edge's port closed by somebody's rule",
)


def test_nothing_is_wrong_with_a_stack_that_is_well_and_nothing_is_changed(stack: Stack) -> None:
    said = stack.must_play(playbook=planted.DOCTOR)
    assert "1 host: nothing is wrong" in said
    assert planted.diagnosis(stack) == []
    assert "changed=0" in said
    assert "changed=1" not in said


@pytest.mark.parametrize("name", QUICK)
def test_what_was_broken_is_the_first_cause(stack: Stack, name: str) -> None:
    planted.check_first(stack, planted.of(name))
    wait(
        lambda: stack.on("server", "systemctl is-active gpuchat-edge gpuchat-door").split() == ["active"] * 2,
        20,
        "both",
    )
