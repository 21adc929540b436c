# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.units import GIB
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.devices import Device
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.layout import (
    Shape,
    candidates,
    in_order,
    needs_expert_parallel,
    obstacle,
    replicated,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.wishes import Wishes
from hypothesis import given
from hypothesis import strategies as st

SHAPE = Shape(heads=32, key_heads=8, layers=32, vocabulary=128256, head_size=128, inner_widths=(14336,))


def node(count, memory=80, peers=None, **more):
    return tuple(
        Device("a GPU", memory * GIB, "9.0", index=n, peers=peers, handle=str(n), **more) for n in range(count)
    )


@pytest.mark.parametrize(
    ("shape", "tp", "expected"),
    [
        (SHAPE, 1, ""),
        (SHAPE, 8, ""),
        (SHAPE, 16, ""),
        (SHAPE, 3, "its 32 attention heads do not divide by 3"),
        (replace(SHAPE, heads=24), 3, "its 8 key heads neither divide by 3 nor into it"),
        (replace(SHAPE, heads=24, key_heads=0), 3, "its feed-forward width of 14336 does not divide by 3"),
        (replace(SHAPE, heads=40, key_heads=40, vocabulary=100), 5, "its vocabulary of 100 does not divide by 5"),
        (replace(SHAPE, block=128), 16, ""),
        (replace(SHAPE, state_heads=(32, 12)), 8, "its 12 heads of states do not divide by 8"),
        (replace(SHAPE, state_heads=(32,), state_groups=2), 4, "its 2 groups of Mamba heads do not divide by 4"),
        (replace(SHAPE, state_heads=(32,), state_groups=2), 2, ""),
        (replace(SHAPE, state_heads=(32,), state_groups=1), 4, ""),
        (
            replace(SHAPE, inner_widths=(18944,), block=128),
            8,
            "its feed-forward width of 18944 in 8 parts is no multiple of 128",
        ),
    ],
)
def test_what_hinders_a_split_is_reported(shape, tp, expected):
    assert obstacle(shape, tp) == expected


@pytest.mark.parametrize(
    ("width", "block", "tp", "expected"),
    [(768, 128, 2, False), (768, 128, 4, True), (768, 1, 4, False), (1536, 128, 8, True), (768, 128, 1, False)],
)
def test_experts_are_dealt_out_whole_where_they_cannot_be_split(width, block, tp, expected):
    shape = replace(SHAPE, inner_widths=(), expert_width=width, experts=128, block=block)
    assert needs_expert_parallel(shape, tp) is expected


def splits(nodes, linked, **wishes):
    found = candidates(SHAPE, nodes, Wishes(**wishes), linked)
    return [(one.tensor_parallel_size, one.pipeline_parallel_size, one.nodes_per_engine) for one in found]


@pytest.mark.parametrize(
    ("nodes", "linked", "wishes", "expected"),
    [
        ((node(4),), True, {}, [(1, 1, 1), (2, 1, 1), (4, 1, 1)]),
        ((node(3),), True, {}, [(1, 1, 1), (2, 1, 1), (1, 3, 1)]),
        ((node(2),), False, {}, [(1, 1, 1), (1, 2, 1), (2, 1, 1)]),
        ((node(4),), False, {}, [(1, 1, 1), (1, 2, 1), (2, 1, 1), (1, 3, 1), (1, 4, 1), (2, 2, 1), (4, 1, 1)]),
        ((node(4),), True, {"tensor_parallel_size": 2}, [(2, 1, 1), (2, 2, 1)]),
        ((node(4),), True, {"pipeline_parallel_size": 2}, [(1, 2, 1), (2, 2, 1)]),
        ((node(4, is_slice=True),), True, {}, [(1, 1, 1)]),
        ((node(2), node(2)), True, {}, [(1, 1, 1), (2, 1, 1), (2, 2, 2)]),
        ((node(4), node(4)), True, {"tensor_parallel_size": 3}, []),
        ((node(8), node(8)), True, {"tensor_parallel_size": 16}, [(16, 1, 2)]),
    ],
)
def test_layouts_are_evaluation_from_the_smallest(nodes, linked, wishes, expected):
    assert splits(nodes, linked, **wishes) == expected


def test_gpus_stand_in_order_of_memory_and_then_of_links():
    bridged = [replace(one, peers=frozenset({(one.index + 2) % 4})) for one in node(4)]
    small = replace(node(1, 40)[0], index=4)
    assert [one.index for one in in_order([small, *bridged], False)] == [0, 2, 1, 3, 4]


@pytest.mark.parametrize(
    ("nodes", "size", "most", "experts", "counts"),
    [
        ((node(4),), 1, None, 0, [1, 2, 3, 4]),
        ((node(4),), 1, 2, 0, [1, 2]),
        ((node(5),), 2, None, 0, [1, 2]),
        ((node(2), node(3)), 1, None, 0, [1, 2, 3, 4, 5]),
        ((node(6),), 1, None, 128, [1, 2, 4]),
        ((node(2, is_slice=True),), 1, None, 0, [1]),
    ],
)
def test_replicas_are_as_many_as_there_is_room_for(nodes, size, most, experts, counts):
    shape = replace(SHAPE, experts=experts, expert_width=4096)
    first = next(one for one in candidates(shape, nodes, Wishes(), True) if one.engine_size == size)
    assert [one.data_parallel_size for one in replicated(shape, first, nodes, True, most)] == counts


@given(st.lists(st.integers(1, 8), min_size=1, max_size=3), st.booleans())
def test_no_gpu_works_for_two_engines(counts, linked):
    nodes = tuple(
        tuple(replace(one, handle=f"{number}/{one.handle}") for one in node(count))
        for number, count in enumerate(counts)
    )
    for first in candidates(SHAPE, nodes, Wishes(), linked):
        for one in replicated(SHAPE, first, nodes, linked, None):
            handles = [device.handle for device in one.all_devices]
            assert len(handles) == len(set(handles)) == one.gpu_count
