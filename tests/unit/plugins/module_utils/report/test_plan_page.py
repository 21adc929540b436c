# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import re

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.units import GIB
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.report import plan_page_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.report.plan_page import (
    WIDTH,
    Part,
    Planned,
    as_json,
    drawn,
    page,
    parts,
    shared_parts,
    table,
    using,
)
from hypothesis import given
from hypothesis import strategies as st

from ..pages import Elements, asked_by

BUDGET = {"weights": 15, "activations": 1, "cuda_graphs": 1, "overhead": 1, "kv_cache": 20, "total": 44, "usable": 40}
PLAN = {
    "fits": True,
    "reason": "fits: 4 whole conversations of 32,768 tokens at once",
    "args": {"max-model-len": 32768, "enable-auto-tool-choice": True, "speculative-config": '{"method": "ngram"}'},
    "env": {"A": "1"},
    "budget": {name: size * GIB for name, size in BUDGET.items()},
    "kv_cache_tokens": 150000,
    "users": 4,
    "context": 32768,
    "layout": {"data_parallel_size": 1},
    "gpus": [
        {"node": 0, "gpu": "0", "name": "NVIDIA L40S", "memory_bytes": 44 * GIB, "used_bytes": 2 * GIB, "engine": 0},
        {"node": 0, "gpu": "1", "name": "NVIDIA L40S", "memory_bytes": 44 * GIB, "used_bytes": 0, "engine": None},
    ],
    "reasons": ["one GPU holds the model"],
    "warnings": ["1 GPU stays idle"],
    "alternatives": [{"change": {"data_parallel_size": 2}, "gives": "8 whole conversations"}],
    "estimate": {
        "decode_alone": 30.0,
        "decode_full": 100.0,
        "decode_full_each": 25.0,
        "batch": 4,
        "prefill": 12000.0,
        "first_token_seconds": 2.7,
        "context": 32768,
        "load_seconds": [8.0, 80.0],
    },
    "vllm_version": "0.32.0",
}
GOOD = Planned("gpu1", "Qwen/Qwen3-8B", PLAN)
SHORT = Planned("gpu2", "Qwen/Qwen3-8B", {**PLAN, "fits": False, "reason": "users is 50 and 4 fit"})
REFUSED = Planned("gpu3", "Qwen/Qwen3-8B", None, "found no folder")
CPU = Planned("cpu", "Qwen/Qwen3-0.6B", {**PLAN, "gpus": [], "estimate": None})
NASTY = "<script>alert(1)</script>\"'&\x1b[31m"


def test_the_parts_of_a_gpu_sum_up_to_it():
    for gpu in PLAN["gpus"]:
        assert sum(part.size for part in parts(PLAN, gpu)) == 44 * GIB
    assert [part.size // GIB for part in parts(PLAN, PLAN["gpus"][0])] == [2, 15, 3, 20, 4]
    assert [part.size // GIB for part in parts(PLAN, PLAN["gpus"][1])] == [0, 0, 0, 0, 44]


def test_what_does_not_fit_fills_the_gpu_and_no_more():
    small = {**PLAN["gpus"][0], "memory_bytes": 10 * GIB}
    assert [part.size // GIB for part in parts(PLAN, small)] == [2, 8, 0, 0, 0]
    assert [part.label for part in parts(PLAN, small)][1] == "weights 15.0 GiB"


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=5), st.integers(10, 100))
def test_a_bar_is_as_long_as_wanted(sizes, width):
    assert len(drawn([Part("x", "x", "#", size, size) for size in sizes], width)) == width


def test_a_bar_is_drawn_to_scale():
    pieces = [Part("a", "a", "#", 30, 30), Part("b", "b", ":", 10, 99)]
    assert drawn(pieces, 8) == "######::"


def test_the_terminal_shows_bars_users_flags_and_what_else_would_do():
    described = table([GOOD])
    assert re.search(r"gpu1: Qwen/Qwen3-8B on 2 x NVIDIA L40S vLLM 0.32.0 +FITS", described)
    assert re.search(r"GPU 0 +\[x+#+=+:+\.+\] 44.0 GiB", described)
    assert re.search(r"GPU 1 +\[\.{60}\] 44.0 GiB idle", described)
    assert "4 conversations of 32,768 tokens at once" in described
    assert "--max-model-len 32768  --enable-auto-tool-choice" in described
    assert """--speculative-config {"method": "ngram"}""" in " ".join(described.split())
    assert "or       data_parallel_size: 2: 8 whole conversations" in described


def test_the_terminal_says_why_something_does_not_fit():
    assert "DOES NOT FIT\n  why      users is 50 and 4 fit" in table([SHORT])
    assert "REFUSED\n  why      found no folder" in table([REFUSED])


def test_what_no_memory_would_help_is_refused_and_drawn_all_the_same():
    described = table(
        [Planned("gpu1", "m", {**PLAN, "fits": False, "reason": "no such flag", "obstacles": ["no such flag"]})]
    )
    assert re.search("REFUSED\n  why      no such flag\n  GPU 0 +\\[x", described)
    assert "flags" not in described


@given(st.text(max_size=300), st.lists(st.text(max_size=300), max_size=3))
def test_the_terminal_gets_printable_letters_and_no_wide_lines(name, warnings):
    described = table([Planned(name, name, {**PLAN, "warnings": warnings}), Planned(name, name, None, name)])
    assert all(len(line) <= WIDTH for line in described.split("\n"))
    assert all(letter.isprintable() for letter in described.replace("\n", ""))


SMALL = {**PLAN, "budget": {**PLAN["budget"], "weights": 2 * GIB, "kv_cache": 0}, "task": "embed", "users": 256}
TOGETHER = [
    Planned("gpu1", "chat", {**PLAN, "gpus": [{**PLAN["gpus"][0], "memory_bytes": 48 * GIB}]}, "", tuple(PLAN["gpus"])),
    Planned("gpu1", "bge", {**SMALL, "gpus": [PLAN["gpus"][0]]}, "", tuple(PLAN["gpus"])),
]


def test_each_gpu_of_a_host_shows_the_parts_of_all_its_models():
    both, idle = PLAN["gpus"]
    assert [(part.words, part.size // GIB) for part in shared_parts(TOGETHER, both)] == [
        ("other processes", 2),
        ("chat: weights", 15),
        ("chat: activations, graphs, libraries", 3),
        ("chat: KV cache", 20),
        ("bge: weights", 2),
        ("bge: activations, graphs, libraries", 2),
        ("bge: KV cache", 0),
        ("headroom", 0),
    ]
    assert (using(TOGETHER, both), using(TOGETHER, idle)) == ("chat, bge", "idle")


def test_a_host_of_several_models_has_one_bar_for_each_gpu_and_then_its_models():
    shown = table(TOGETHER)
    assert shown.startswith("gpu1: 2 models\n  GPU 0    [")
    assert shown.count("GPU 0 ") == 1
    assert all(len(line) <= WIDTH for line in shown.split("\n"))
    assert "256 of up to 32,768 tokens at once" in shown
    words = " ".join(Elements(page([*TOGETHER, REFUSED])).words)
    assert words.count("Memory of each GPU") == 1
    assert "chat, bge" in words


def test_the_page_needs_nothing_else():
    assert not asked_by(page([GOOD, SHORT, REFUSED, CPU]))


def test_the_page_says_what_the_terminal_says():
    words = " ".join(Elements(page([GOOD, SHORT, REFUSED, CPU])).words)
    for described in (
        "4 conversations of 32,768 tokens",
        "1 GPU stays idle",
        "one GPU holds the model",
        "found no folder",
    ):
        assert described in words
    assert "max-model-len: 32768" in words


@pytest.mark.parametrize("where", ["host", "model", "reason", "flag", "warning", "gpu", "alternative", "env"])
def test_nothing_in_a_plan_is_markup(where):
    plan = {
        **PLAN,
        "fits": False,
        "reason": NASTY if where == "reason" else "",
        "args": {NASTY: NASTY} if where == "flag" else {},
        "env": {NASTY: NASTY} if where == "env" else {},
        "warnings": [NASTY] if where == "warning" else [],
        "gpus": [{**PLAN["gpus"][0], "name": NASTY, "gpu": NASTY}] if where == "gpu" else [],
        "alternatives": [{"change": {NASTY: NASTY}, "gives": NASTY}] if where == "alternative" else [],
    }
    text = page([Planned(NASTY if where == "host" else "h", NASTY if where == "model" else "m", plan)])
    assert "script" not in Elements(text).seen
    assert "<script" not in text


def test_programs_get_the_plans_as_they_are():
    described = json.loads(as_json([GOOD, REFUSED]))["plans"]
    assert described[0] == {"host": "gpu1", "model": "Qwen/Qwen3-8B", "verdict": "fits", "refusal": None, "plan": PLAN}
    assert (described[1]["verdict"], described[1]["refusal"], described[1]["plan"]) == (
        "refused",
        "found no folder",
        None,
    )


ENTRIES = [
    {"host": "gpu1", "models": [{"name": "Qwen/Qwen3-8B", "plan": PLAN, "refusal": ""}], "gpus": PLAN["gpus"]},
    {"host": "gpu3", "models": [], "refusal": "found no folder"},
]


def test_both_files_are_written_once(tmp_path, state_directory):
    params = {"plans": ENTRIES, "folder": str(tmp_path / "new")}
    predicted = plan_page_runner.ensure(params, check=True)
    assert (predicted["changed"], (tmp_path / "new").exists()) == (True, False)
    first, second = plan_page_runner.ensure(params, check=False), plan_page_runner.ensure(params, check=False)
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["diff"] == predicted["diff"]
    assert first["msg"] == "2 plans, 1 of them fit"
    assert (tmp_path / "new" / "plan.html").read_text().startswith("<!doctype html>")
    assert len(json.loads((tmp_path / "new" / "plan.json").read_text())["plans"]) == 2
    assert "REFUSED" in second["table"]


@pytest.mark.parametrize("plan", [{}, {"fits": True}])
def test_a_plan_that_no_planner_returned_is_refused(plan):
    with pytest.raises(Refusal, match="set plans to that"):
        Planned.read({"host": "gpu1", "models": [{"name": "m", "plan": plan}]})
