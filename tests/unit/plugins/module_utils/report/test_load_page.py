# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last load of a model on the report's page, and how its figures went."""

from __future__ import annotations

import copy
import json
import re

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.load import figures
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.report import load_page, run_page_runner

WORK = {"users": 4, "prompt_tokens": 256, "answer_tokens": 64, "shared_prefix": False, "name": "q"}


def run(ttft=0.05, **more):
    """Return a run with figures as the load itself makes them."""
    asked = [figures.Request(figures.ANSWERED, 1.0 + place, ttft * (1 + place), 1.0, 250, 64) for place in range(3)]
    found = figures.measure(asked, [0.01, 0.02], 4.0)
    return {"when": "2026-11-29T08:00:00+00:00", "model": "q", "work": WORK, "figures": found, "expected": None, **more}


def history(*runs):
    return {"model": "q", "runs": list(runs)}


def test_the_last_run_is_told_and_drawn():
    text = load_page.block(history(run()))
    for words in ("2026-11-29 08:00 UTC: 4 users, 256 tokens asked and 64 answered; 3 answers", "100 / 140 / 149 ms"):
        assert words in text
    assert text.count("<figure") == len(load_page.TIMES)
    for bar in re.findall(r'<div class="bar".*?</div>', text):
        assert sum(map(float, re.findall(r"width:([0-9.]+)%", bar))) == pytest.approx(100, abs=0.1)
    assert "<svg" not in text  # one run has no course


def test_the_course_is_that_of_the_same_work():
    other = run(work={**WORK, "users": 9})
    text = load_page.block(history(run(), other, run(ttft=0.1)))
    assert "first token, median, ms, 2 runs: from 100 to 200" in text
    assert text.count("<svg") == len(load_page.COURSES)


def test_the_plans_estimate_stands_beside_the_rate():
    expected = {"ttft_ms": 10.0, "each": 80.0, "together": 320.0}
    assert "tokens/s together (the plan estimates 320)" in load_page.block(history(run(expected=expected)))


@pytest.mark.parametrize("runs", [[], [{}], [{"figures": {"completed": 0}}]])
def test_a_history_without_answers_is_nothing(runs):
    assert load_page.block(history(*runs)) == ""


def test_a_name_is_no_markup():
    assert "<b>" not in load_page.block({"model": "<b>", "runs": [run(model="<b>")]})


def test_histories_that_cannot_be_read_are_left_out(tmp_path):
    (tmp_path / "load-a.json").write_text("{")
    (tmp_path / "load-b.json").write_text("[]")
    (tmp_path / "load-q.json").write_text(json.dumps(history(copy.deepcopy(run()))))
    assert [one["model"] for one in run_page_runner._loads(str(tmp_path))] == ["q"]
    assert run_page_runner._loads("") == []
