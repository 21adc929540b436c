# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.units import GIB
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.devices import Device
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.sharing import (
    BARELY,
    NOT_AT_ALL,
    WELL,
    Need,
    Request,
    assign,
    divide,
    hundredths,
    shared,
)
from hypothesis import given
from hypothesis import strategies as st


def gpus(*sizes, peers=None):
    return tuple(
        Device("GPU", size * GIB, "8.9", index=number, handle=str(number), peers=peers)
        for number, size in enumerate(sizes)
    )


def by_size(needed):
    """Serve a model where its GPUs together have so many GiB: barely with that, well with half as much again."""

    def serves(name, devices):
        there = sum(device.memory_bytes for device in devices) / GIB
        return WELL if there >= 1.5 * needed[name] else BARELY if there >= needed[name] else NOT_AT_ALL

    return serves


def handles(places):
    return {name: [one.handle for one in used] for name, used in places.items()}


TWO, FOUR = gpus(48, 48), gpus(48, 48, 48, 48)


@pytest.mark.parametrize(
    ("devices", "needed", "wishes", "found"),
    [
        (gpus(48), {"a": 16}, {}, {"a": ["0"]}),
        (gpus(48), {"a": 2, "b": 16}, {}, {"a": ["0"], "b": ["0"]}),
        (TWO, {"a": 2, "b": 16}, {}, {"a": ["1"], "b": ["0"]}),
        (TWO, {"a": 16, "b": 12, "c": 2}, {}, {"a": ["0"], "b": ["1"], "c": ["1"]}),
        (FOUR, {"a": 60, "b": 2}, {}, {"a": ["0", "1"], "b": ["2"]}),
        (FOUR, {"a": 170, "b": 2}, {}, {"a": ["0", "1", "2", "3"], "b": ["0"]}),
        (gpus(24, 80), {"a": 2, "b": 30}, {}, {"a": ["0"], "b": ["1"]}),
        (gpus(80, 24), {"a": 2, "b": 10}, {}, {"a": ["0"], "b": ["1"]}),
        (FOUR, {"a": 16, "b": 2}, {"b": 2}, {"a": ["0"], "b": ["1", "2"]}),
        (TWO, {"a": 16, "b": 2}, {"a": (TWO[1],)}, {"a": ["1"], "b": ["0"]}),
        (TWO, {"a": 16, "b": 2}, {"a": TWO}, {"a": ["0", "1"], "b": ["0"]}),
        (TWO, {"a": 16, "b": 2}, {"a": (TWO[0],), "b": (TWO[0],)}, {"a": ["0"], "b": ["0"]}),
        (TWO, {"a": 300, "b": 2}, {}, {"a": ["0"], "b": ["1"]}),
        (gpus(24, 80), {"a": 40}, {"a": 1}, {"a": ["1"]}),
        (gpus(24, 24, 80, 80), {"a": 60}, {"a": 2}, {"a": ["2", "3"]}),
        (gpus(24, 80), {"a": 32, "b": 30}, {}, {"a": ["1"], "b": ["1"]}),
        (gpus(24, 80), {"a": 70, "b": 30}, {}, {"a": ["1"], "b": ["0"]}),
        (gpus(24, 80), {"a": 32, "b": 30}, {"b": 1}, {"a": ["1"], "b": ["1"]}),
        (gpus(24, 24), {"a": 300, "b": 2}, {"a": 1}, {"a": ["0"], "b": ["1"]}),
    ],
    ids=[
        "one model takes the only GPU",
        "two models share one GPU",
        "two models have a GPU each",
        "of three on two GPUs the smallest shares",
        "a large one takes as many as serve it",
        "a very large one takes all and one is shared",
        "the smallest GPU that serves is enough",
        "the larger model chooses first",
        "a count is kept",
        "named GPUs are kept, and others are free",
        "where all are named one is shared",
        "named GPUs may overlap",
        "what fits nowhere leaves a GPU to the others",
        "a count is of GPUs that serve",
        "a count of several is of GPUs that serve",
        "a free GPU that serves not at all is not taken",
        "but a full one is not shared",
        "a count rather shares than has a GPU that serves not at all",
        "a count that fits nowhere is kept",
    ],
)
def test_models_get_gpus_by_their_need(devices, needed, wishes, found):
    requests = [
        Request(
            name,
            size * GIB,
            wishes[name] if isinstance(wishes.get(name), tuple) else None,
            wishes[name] if isinstance(wishes.get(name), int) else 0,
        )
        for name, size in needed.items()
    ]
    places = assign(requests, devices, by_size(needed))
    assert handles(places) == found
    assert list(places) == list(needed)


def test_gpus_joined_by_nvlink_are_taken_together():
    peers = {0: {2}, 1: set(), 2: {0}}
    devices = tuple(Device("GPU", 48 * GIB, index=n, handle=str(n), peers=frozenset(peers[n])) for n in range(3))
    assert handles(assign([Request("a", 60 * GIB, count=2)], devices, by_size({"a": 60}))) == {"a": ["0", "2"]}


ONE = gpus(48)


@pytest.mark.parametrize(
    ("needs", "shares"),
    [
        ({"a": Need(40, 50, takes_rest=True), "b": Need(6, 6)}, {"a": 84, "b": 6}),
        ({"a": Need(40, 50, takes_rest=True), "b": Need(20, 30, takes_rest=True)}, {"a": 55, "b": 35}),
        ({"a": Need(60, 80), "b": Need(25, 25)}, {"a": 65, "b": 25}),
        ({"a": Need(6, 6), "b": Need(5, 5)}, {"a": 6, "b": 5}),
        ({"a": Need(80, 90, takes_rest=True), "b": Need(13, 13)}, {"a": 80, "b": 13}),
    ],
    ids=[
        "the rest is the chat model's",
        "two that can use it halve the rest",
        "a wish is served as far as there is room",
        "models for vectors leave the rest free",
        "what is needed may be more than is usual",
    ],
)
def test_shares_are_dealt_by_need(needs, shares):
    assert divide(dict.fromkeys(needs, ONE), needs, dict.fromkeys(needs, 90)) == (shares, ())


def test_shares_that_are_too_many_are_named_with_what_to_set():
    needs = {"a": Need(60, 60), "b": Need(50, 50)}
    (shortage,) = divide({"a": ONE, "b": ONE}, needs, {"a": 90, "b": 90})[1]
    assert "share the GPU 0 (GPU), need a 0.6 and b 0.5 of its memory, and 0.95 are there" in str(shortage)
    assert "set users or context of the models a and b in gpuchat_models lower, or gpus of one" in str(shortage)


FOR_ALL = "in gpuchat_models (or in vllm_args, where it is for all)"


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (("", ""), "set users or context of the models a and b in gpuchat_models lower, or gpus of one"),
        (
            ("gpu-memory-utilization", "gpu-memory-utilization"),
            f"set gpu-memory-utilization in args of the models a and b {FOR_ALL} lower, or gpus of one",
        ),
        (
            ("", "kv-cache-memory-bytes"),
            f"context of the model a in gpuchat_models, or kv-cache-memory-bytes in args of the model b {FOR_ALL}",
        ),
    ],
    ids=["nothing", "both", "one"],
)
def test_what_the_owner_fixed_is_named_where_shares_are_too_many(told, words):
    needs = {"a": Need(60, 60, told=told[0]), "b": Need(60, 60, told=told[1])}
    (shortage,) = divide({"a": ONE, "b": ONE}, needs, {"a": 90, "b": 90})[1]
    assert words in str(shortage)


def test_a_model_over_several_gpus_gets_what_its_fullest_gpu_has_left():
    needs = {"big": Need(50, 60, takes_rest=True), "small": Need(10, 10)}
    shares, shortages = divide({"big": TWO, "small": TWO[:1]}, needs, {"big": 90, "small": 90})
    assert (shares, shortages) == ({"big": 80, "small": 10}, ())


def test_what_others_hold_and_cuda_itself_take_is_not_given_out():
    used = Device("GPU", 100 * GIB, handle="0", used_bytes=10 * GIB - 5)
    assert hundredths(used, 2 * GIB) == 88


def test_a_system_that_shares_its_memory_with_the_gpu_keeps_its_part():
    assert hundredths(Device("GB10", 120 * GIB, handle="0", is_unified=True), 2 * GIB) == 80


def test_only_gpus_of_several_models_are_shared():
    assert shared({"a": TWO, "b": TWO[:1]}) == {"0": ["a", "b"]}


@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.integers(0, 40), st.booleans(), st.integers(0, 3)), min_size=1, max_size=5
    )
)
def test_shares_and_what_lies_beside_them_never_exceed_a_gpu(drawn):
    needs = {
        str(number): Need(least, least + more, beside * GIB // 2, takes_rest=rest)
        for number, (least, more, rest, beside) in enumerate(drawn)
    }
    shares, shortages = divide(dict.fromkeys(needs, ONE), needs, dict.fromkeys(needs, 90))
    beside = sum(need.beside for need in needs.values())
    if len(needs) > 1 and not shortages:
        assert sum(shares.values()) / 100 * 48 * GIB + beside <= 48 * GIB
    assert all(shares[name] >= need.least for name, need in needs.items())
