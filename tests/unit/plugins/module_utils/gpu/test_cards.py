# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.units import GIB
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.gpu import cards
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.gpu.facts import cards as gpus

# As nvidia-smi or NVML prints them, or as cloud providers do.
NAMES = [
    ("NVIDIA A100-SXM4-40GB", 39.4, "8.0"),
    ("NVIDIA A100-SXM4-80GB", 79.25, "8.0"),
    ("NVIDIA A100 80GB PCIe", 79.25, "8.0"),
    ("NVIDIA A100-PCIE-40GB", 39.4, "8.0"),
    ("NVIDIA A10G", 22.1, "8.6"),
    ("NVIDIA A10", 22.1, "8.6"),
    ("A10 24GB", 22.1, "8.6"),
    ("NVIDIA A30", 23.5, "8.0"),
    ("NVIDIA A40", 44.4, "8.6"),
    ("NVIDIA A800-SXM4-80GB", 79.25, "8.0"),
    ("NVIDIA H100 80GB HBM3", 79.15, "9.0"),
    ("NVIDIA H100 PCIe", 79.18, "9.0"),
    ("NVIDIA H100 NVL", 93.1, "9.0"),
    ("NVIDIA H200", 139.81, "9.0"),
    ("NVIDIA H20", 95.1, "9.0"),
    ("NVIDIA GH200 480GB", 94.5, "9.0"),
    ("NVIDIA GH200 144G HBM3e", 139.8, "9.0"),
    ("NVIDIA B200", 178.35, "10.0"),
    ("NVIDIA B300 SXM6 AC", 267.7, "10.3"),
    ("NVIDIA GB200", 184.3, "10.0"),
    ("NVIDIA GB10", 119.7, "12.1"),
    ("NVIDIA L4", 22.05, "8.9"),
    ("NVIDIA L40S", 44.4, "8.9"),
    ("NVIDIA L40", 44.4, "8.9"),
    ("Tesla T4", 14.65, "7.5"),
    ("Tesla V100-SXM2-16GB", 15.77, "7.0"),
    ("Tesla V100-SXM2-32GB", 31.74, "7.0"),
    ("Tesla V100-PCIE-32GB", 31.74, "7.0"),
    ("Tesla P40", 23.87, "6.1"),
    ("Tesla P100-PCIE-16GB", 15.89, "6.0"),
    ("NVIDIA GeForce RTX 3090", 23.6, "8.6"),
    ("NVIDIA GeForce RTX 3090 Ti", 23.6, "8.6"),
    ("NVIDIA GeForce RTX 4090", 23.55, "8.9"),
    ("NVIDIA GeForce RTX 4090 Laptop GPU", 15.6, "8.9"),
    ("NVIDIA GeForce RTX 4060 Ti", 7.63, "8.9"),
    ("NVIDIA GeForce RTX 5090", 31.37, "12.0"),
    ("NVIDIA GeForce RTX 5090 Laptop GPU", 23.42, "12.0"),
    ("NVIDIA GeForce RTX 5070 Ti", 15.46, "12.0"),
    ("NVIDIA GeForce RTX 2080 Ti", 10.75, "7.5"),
    ("NVIDIA RTX A6000", 47.5, "8.6"),
    ("NVIDIA RTX 6000 Ada Generation", 47.4, "8.9"),
    ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 94.97, "12.0"),
    ("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", 94.97, "12.0"),
    ("Quadro RTX 8000", 47.5, "7.5"),
    ("NVIDIA Thor", 122.8, "11.0"),
    ("Jetson AGX Orin", 61.4, "8.7"),
]


@pytest.mark.parametrize(("name", "gib", "capability"), [pytest.param(*row, id=row[0]) for row in NAMES])
def test_a_gpu_is_known_by_its_name(name, gib, capability):
    found = cards.lookup(name)
    assert found is not None
    assert (found.memory_bytes, found.compute_capability) == (int(gib * GIB), capability)


@pytest.mark.parametrize("name", ["", "NVIDIA", "AMD Instinct MI300X", "NVIDIA X9000", "llvmpipe"])
def test_an_unknown_gpu_is_not_guessed(name):
    assert cards.lookup(name) is None


def test_the_size_of_a_slice_is_not_taken_for_the_cards():
    assert cards.lookup("NVIDIA A100-SXM4-80GB MIG 7g.80gb").memory_bytes == int(80 * 0.95 * GIB)
    assert cards.lookup("NVIDIA A100-SXM4-80GB MIG 3g.40gb").bandwidth == pytest.approx(2039e9 * 38 / 79.25)


def test_a_slice_has_its_own_memory_and_its_share_of_the_card():
    card, slice_of = cards.lookup("NVIDIA H100 80GB HBM3"), cards.lookup("NVIDIA H100 80GB HBM3 MIG 3g.40gb")
    assert slice_of.memory_bytes == int(40 * 0.95 * GIB)
    assert slice_of.flops_16bit == pytest.approx(card.flops_16bit * 3 / 7)
    assert slice_of.bandwidth < card.bandwidth
    assert not slice_of.has_nvlink


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0]) for row in gpus.GPUS])
def test_every_row_says_what_a_plan_needs(row):
    pattern, memory, bandwidth, half, fp8, fp4, capability, _nvlink, _unified, source = row
    re.compile(pattern)
    assert 4 < memory < 300
    assert 100 <= bandwidth <= 8000
    assert half > 0
    major, minor = (int(part) for part in capability.split("."))
    assert bool(fp8) == ((major, minor) >= (8, 9)), "FP8 units came with Ada and Hopper"
    assert bool(fp4) == (major >= 10), "FP4 units came with Blackwell"
    assert source


def test_only_machines_of_one_memory_are_unified():
    unified = {row[0] for row in gpus.GPUS if row[8]}
    assert unified == {r"\bgb10\b|\bdgx spark\b", r"\bthor\b", r"\bagx orin\b|\borin\b.*\b64", r"\borin\b"}


@pytest.mark.parametrize(
    ("name", "is_joined"),
    [
        ("NVIDIA H100 80GB HBM3", True),
        ("NVIDIA A100-SXM4-80GB", True),
        ("NVIDIA A100 80GB PCIe", False),
        ("NVIDIA GeForce RTX 3090", False),
        ("NVIDIA Something", False),
    ],
)
def test_where_nobody_has_looked_nvlink_joins_server_boards_and_no_cards(name, is_joined):
    assert cards.is_switched(name) == is_joined


@pytest.mark.parametrize(
    ("name", "gib"),
    [
        ("NVIDIA GeForce RTX 3080 20GB", 19.6),
        ("NVIDIA GeForce RTX 3060 8GB", 7.8),
        ("NVIDIA A100-SXM-64GB", 62.7),
        ("GRID A100-10C", 9.8),
        ("NVIDIA A40-24Q", 23.5),
        ("rtx3090", 23.6),
        ("RTX4090", 23.5),
        ("Jetson Orin Nano 8GB", 7.8),
        ("NVIDIA GeForce RTX 4090 48GB", 47.4),
        ("NVIDIA GH200 480GB", 94.5),
        ("NVIDIA H100 80GB HBM3", 79.1),
        ("NVIDIA L40S-24Q", 23.5),
        ("NVIDIA L40S-48Q", 44.4),
        ("GRID A100-1-5C", 4.9),
        ("GRID T4-8C", 7.8),
        ("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", 95.0),
    ],
)
def test_a_variant_that_the_table_lacks_has_the_memory_that_its_name_says(name, gib):
    assert cards.lookup(name).memory_bytes / 2**30 == pytest.approx(gib, abs=0.1)
