# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.units import GIB
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.devices import Device, read_gpus

L40S = {"name": "NVIDIA L40S"}


def test_a_gpus_name_says_what_is_left_out():
    (gpu,) = read_gpus([L40S])[0]
    assert gpu.compute_capability == "8.9"
    assert 44 * GIB < gpu.memory_bytes < 45 * GIB


@pytest.mark.parametrize(
    ("described", "gib"),
    [
        pytest.param(48, 44.4, id="as it is sold: CUDA sees less"),
        pytest.param(44.74, 44.74, id="no whole MiB, so it is CUDA's own: as described"),
        pytest.param(40, 40, id="less than the table: as described"),
        pytest.param(96, 96, id="another card than the table's: as described"),
    ],
)
def test_memory_that_is_reported_counts_as_cuda_will_see_it(described, gib):
    (gpu,) = read_gpus([{**L40S, "memory_bytes": int(described * GIB)}])[0]
    assert gpu.memory_bytes == pytest.approx(gib * GIB, rel=0.001)


@pytest.mark.parametrize("capability", ["9.0", 9.0, [9, 0]])
def test_a_capability_may_be_written_as_text_number_or_list(capability):
    (gpu,) = read_gpus([{**L40S, "compute_capability": capability}])[0]
    assert gpu.compute_capability == "9.0"


@pytest.mark.parametrize("name", ["AMD Instinct MI300X", "MI355X", "Intel Arc A770", "HL-325L Gaudi 3", "Apple M3 Max"])
def test_an_accelerator_of_another_maker_is_refused_for_what_it_is_though_its_memory_is_given(name):
    with pytest.raises(Refusal, match="is another maker's, which gpuchat does not serve yet; wanted NVIDIA GPUs"):
        read_gpus([{"name": name, "memory_bytes": 192 * GIB}])


def test_more_gpus_than_any_host_has_are_refused_before_they_are_planned_with():
    with pytest.raises(Refusal, match=r"gpus\[\].count is 100000; wanted up to 256 of one host"):
        read_gpus([{**L40S, "count": 100_000}])


@pytest.mark.parametrize(
    ("name", "card", "count"),
    [
        ("2x RTX 3090", "RTX 3090", 2),
        ("8xH100", "H100", 8),
        ("4 \u00d7 NVIDIA L40S", "NVIDIA L40S", 4),
        ("2 RTX 4090", "RTX 4090", 2),
        ("4x4090", "4090", 4),
        ("RTX3090 x2", "RTX3090", 2),
        ("A100x8", "A100", 8),
        ("L40Sx4", "L40S", 4),
        ("NVIDIA A100 80GB (x2)", "NVIDIA A100 80GB", 2),
        ("RTX 3090 * 2", "RTX 3090", 2),
    ],
)
def test_a_name_that_says_how_many_cards_there_are_is_none_of_one(name, card, count):
    words = f"has a count in its name; wanted the name of one card, .* set gpus to .*name: {card}, count: {count}}}"
    with pytest.raises(Refusal, match=words):
        read_gpus([{"name": name}])


@pytest.mark.parametrize(
    "name",
    [
        *("GeForce GTX 970", "GeForce GTX 1080 Ti", "4090", "RTX 3090", "Quadro RTX 8000", "NVIDIA GH200 480GB"),
        *("NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-80GB", "Tesla V100-SXM2-16GB", "Tesla P100-PCIE-16GB"),
        *("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", "24 GB RTX 3090", "NVIDIA A100 MIG 1g.10gb"),
    ],
)
def test_numbers_that_names_of_cards_have_are_no_counts(name):
    assert len(read_gpus([{"name": name, "memory_bytes": 24 * GIB}])[0]) == 1


def test_several_of_a_kind_are_counted_on():
    assert [gpu.index for gpu in read_gpus([{**L40S, "count": 2}, L40S])[0]] == [0, 1, 2]


def test_the_drivers_own_numbers_stay():
    assert [gpu.handle for gpu in read_gpus([{**L40S, "index": 3}, {**L40S, "index": 1}])[0]] == ["3", "1"]


def test_memory_that_nobody_else_holds_is_free():
    full = {**L40S, "memory_bytes": 46 * GIB, "memory_free_bytes": 40 * GIB}
    ours = {"name": "VLLM::EngineCore", "memory_bytes": 5 * GIB}
    theirs = {"name": "python3", "memory_bytes": GIB}
    assert read_gpus([full])[0][0].used_bytes == 6 * GIB
    assert read_gpus([{**full, "processes": [ours, theirs]}])[0][0].used_bytes == GIB


def test_slices_take_their_gpus_place():
    slices = [{"uuid": f"MIG-{n}", "name": None, "memory_bytes": 20 * GIB} for n in "ab"]
    found = read_gpus([{"name": "NVIDIA A100-SXM4-80GB", "index": 0, "memory_bytes": 80 * GIB, "mig_devices": slices}])[
        0
    ]
    assert [(gpu.handle, gpu.is_slice, gpu.memory_bytes) for gpu in found] == [
        ("MIG-a", True, 20 * GIB),
        ("MIG-b", True, 20 * GIB),
    ]


def test_whole_gpus_beside_a_sliced_one_keep_the_drivers_numbers():
    slices = [{"uuid": f"MIG-{n}", "name": None, "memory_bytes": 20 * GIB} for n in "ab"]
    sliced = {"name": "NVIDIA A100-SXM4-80GB", "index": 0, "memory_bytes": 80 * GIB, "mig_devices": slices}
    found = read_gpus([sliced, {**L40S, "index": 1}, {**L40S, "index": 2}])[0]
    assert [(gpu.handle, gpu.index) for gpu in found] == [("MIG-a", 0), ("MIG-b", 0), ("1", 1), ("2", 2)]


@pytest.mark.parametrize(
    ("gpus", "message"),
    [
        ("L40S", "wanted a list of GPUs"),
        (["L40S"], "wanted a mapping such as"),
        ([{"memory_bytes": 1}], "wanted a mapping such as"),
        ([L40S, [L40S]], "wanted one list for one node, or one list for each node"),
        ([[L40S], []], "take the node without GPU away"),
        ([{**L40S, "memory_bytes": 48}], "less than 1 GiB; wanted bytes"),
        ([{"name": "a GPU"}], "add memory_bytes to it under gpus"),
        ([{**L40S, "compute_capability": "new"}], "wanted a text such as '8.9'"),
        ([{**L40S, "count": 0}], "wanted auto or a whole number from 1"),
        ([{**L40S, "fault": "GPU is lost"}], "wanted sound ones; take it out of gpus"),
        (
            [{**L40S, "index": 3, "mig_mode": "enabled", "mig_devices": []}],
            "GPU 3 is in MIG mode and has no MIG device",
        ),
    ],
)
def test_what_is_no_gpu_is_refused(gpus, message):
    with pytest.raises(Refusal, match=message):
        read_gpus(gpus)


def test_no_gpu_means_the_cpu():
    assert read_gpus([]) == ()


@pytest.mark.parametrize(
    ("device", "is_linked"),
    [
        pytest.param(Device("NVIDIA H100 80GB HBM3", GIB, "9.0"), True, id="as its kind usually is"),
        pytest.param(Device("NVIDIA H100 PCIe", GIB, "9.0"), False, id="a card is not"),
        pytest.param(Device("NVIDIA L40S", GIB, "8.9"), False, id="its kind has none"),
        pytest.param(Device("NVIDIA H100 80GB HBM3", GIB, "9.0", peers=frozenset()), False, id="seen alone"),
        pytest.param(Device("NVIDIA GeForce RTX 3090", GIB, "8.6", peers=frozenset({1})), True, id="seen bridged"),
    ],
)
def test_links_that_were_seen_count_before_those_of_its_kind(device, is_linked):
    assert device.is_linked == is_linked


def test_memory_of_an_unknown_capability_is_estimated_as_of_a_likely_one():
    assert (Device("a GPU", GIB).compute_capability, Device("a GPU", GIB).capability) == ("", (8, 0))


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"index": "x"}, "index"),
        ({"index": -1}, "index"),
        ({"memory_free_bytes": "lots"}, "memory_free_bytes"),
        ({"memory_free_bytes": True}, "memory_free_bytes"),
        ({"nvlink_peers": ["a"]}, "nvlink_peers"),
        ({"nvlink_peers": [{}]}, "nvlink_peers"),
        ({"memory_free_bytes": 1, "processes": [{"name": "VLLM::Worker", "memory_bytes": "9e9"}]}, "processes"),
    ],
)
def test_a_reading_that_is_no_number_is_refused_by_its_name(wrong, name):
    with pytest.raises(Refusal, match=rf"gpus\[\]\.{name}.* is .*; wanted a whole number from 0"):
        read_gpus([{"name": "NVIDIA L40S", **wrong}])
