# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A load through the edge measures real answers, and is compared with the one before."""

from __future__ import annotations

import json
import time

import pytest
from running import Stack

pytestmark = pytest.mark.long

MODEL = "gpuchat-demo"
LOAD = ("load_users=3", "load_seconds=5", "load_prompt_tokens=256", "load_answer_tokens=16", f"load_model={MODEL}")


def load(stack: Stack, *more: str) -> tuple[str, list[dict[str, object]]]:
    """Make a load; return what it said, and all runs that are kept."""
    words = [word for one in (*LOAD, *more) for word in ("-e", one)]
    said = stack.must_play(*words, playbook="playbooks/load.yml")
    kept = json.loads((stack.inventory / ".gpuchat" / f"load-{MODEL}.json").read_text())
    return said, kept["runs"]


def test_a_load_has_answers_and_is_compared_with_the_one_before(stack: Stack) -> None:
    time.sleep(5)  # in which the edge forgets what other tests have asked
    said, runs = load(stack)
    found = runs[-1]["figures"]
    assert found["completed"] > 0, said
    assert (found["failed"], found["errors"]) == (0, {}), said
    assert found["total_output_tokens"] == 16 * found["completed"]
    assert 180 <= found["total_input_tokens"] / found["completed"] <= 340
    assert found["ttft_ms"]["p50"] > 0
    assert "time to first token (TTFT), ms" in said
    assert stack.secrets["api_key"] not in said
    time.sleep(5)
    said, again = load(stack)
    assert len(again) == len(runs) + 1
    assert again[-1]["compared_with"] == runs[-1]["when"]
    assert "ttft_ms" in again[-1]["changes"]
