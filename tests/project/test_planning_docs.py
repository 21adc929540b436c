# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/planning.md says what the planner does."""

from __future__ import annotations

import re

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.report import plan_page
from planning_docs import DOCUMENT, ROW, document

TEXT = DOCUMENT.read_text(encoding="utf-8")
ROWS = ROW.findall(TEXT)


def test_there_are_fifteen_wrong_wishes():
    assert len({described for _wish, described in ROWS}) == len(ROWS) >= 15


def test_each_message_is_the_one_that_the_planner_gives():
    assert document() == TEXT, "run tools/planning_docs.py"


@pytest.mark.parametrize("described", [described for _wish, described in ROWS])
def test_a_message_says_what_was_found_what_is_wanted_and_what_to_do(described):
    assert re.search(r"\b(is|found|holds|has|takes|cannot|does not fit)\b", described)
    assert re.search(r"\b(wanted|wants|knows|does not know|what would fit)\b", described)
    assert re.search(r"\b(set|remove|add|take|update|did you mean|what would fit)\b", described)


def test_the_letters_of_a_bar_are_the_documented_ones():
    budget = dict.fromkeys(("weights", "activations", "cuda_graphs", "overhead", "kv_cache"), 0)
    gpu = {"memory_bytes": 2**30, "used_bytes": 0, "engine": None}
    letters = {part.letter for part in plan_page.parts({"budget": budget}, gpu)}
    assert set(re.findall(r"`(.)`", TEXT.partition("## Reading a plan")[2])) == letters
