# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.units import MIB
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.gpu import readings
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.gpu.readings import (
    SMI_FIELDS,
    SWITCH,
    Gpu,
    PciDevice,
    Process,
    Reading,
    Surroundings,
)
from hypothesis import given
from hypothesis import strategies as st

SMI = pathlib.Path(__file__).parent / "recorded" / "smi"


def smi(name, processes=None):
    return readings.parse_smi((SMI / name).read_text(), SMI_FIELDS, processes)


def test_nvidia_smis_rows_are_read_with_their_units():
    found, version = smi("two.csv", (SMI / "processes.csv").read_text())
    assert version == "535.86.10"
    assert found[1] == Gpu(
        index=1,
        pci_address="0000:0f:00.0",
        uuid="GPU-9d41e6c2-58b7-21fe-8a07-b2c4d1e09f11",
        name="NVIDIA A100-SXM4-80GB",
        memory_bytes=81920 * MIB,
        memory_free_bytes=7214 * MIB,
        compute_capability="8.0",
        architecture="Ampere",
        mig_mode="disabled",
        mig_devices=(),
        pcie_gen=4,
        pcie_width=16,
        pcie_max_gen=4,
        pcie_max_width=16,
        ecc_corrected=2,
        ecc_uncorrected=0,
        temperature_c=61,
        processes=(
            Process(1834, "/opt/venv/bin/python3", 73216 * MIB),
            Process(1835, "a title, with commas", None),
        ),
    )
    assert found[0].processes == ()


def test_processes_that_could_not_be_asked_for_are_unknown():
    assert [gpu.processes for gpu in smi("two.csv")[0]] == [None, None]


def test_nvidia_smi_tells_of_shared_memory_by_telling_nothing():
    surroundings = Surroundings(memory_bytes=128, memory_free_bytes=64)
    described = readings.report(Reading("nvidia-smi", smi("shared.csv")[0]), surroundings)["gpus"][0]
    assert described["memory_is_shared"]
    assert (described["pci_address"], described["memory_bytes"], described["memory_free_bytes"]) == (
        "000f:01:00.0",
        128,
        64,
    )
    assert (described["architecture"], described["mig_mode"], described["mig_devices"], described["ecc_errors"]) == (
        "Blackwell",
        None,
        [],
        None,
    )


def test_a_gpu_in_mig_mode_that_tells_no_memory_shares_none():
    described = readings.report(Reading("nvml", (Gpu(0, memory_supported=False, mig_mode="enabled"),)), Surroundings())
    assert not described["gpus"][0]["memory_is_shared"]


def test_a_row_of_a_lost_gpu_makes_the_state_and_shares_no_memory():
    described = readings.report(Reading("nvidia-smi", smi("lost.csv")[0]), Surroundings(memory_bytes=128))
    assert described["state"] == "lost"
    assert described["reason"].startswith("GPU 1 at 0000:5e:00.0: GPU is lost; ")
    lost = described["gpus"][1]
    assert (lost["fault"], lost["memory_bytes"], lost["memory_is_shared"]) == ("GPU is lost", None, False)
    assert lost["mig_devices"] is None


def test_nvidia_smi_cannot_name_the_parts_of_a_gpu_in_mig_mode():
    (gpu,), _version = smi("mig.csv")
    assert (gpu.mig_mode, gpu.mig_devices, gpu.ecc_corrected) == ("enabled", None, None)


def test_warnings_between_nvidia_smis_rows_are_no_gpus():
    text = "\nWARNING: infoROM is corrupted at gpu 0000:0F:00.0\n" + (SMI / "two.csv").read_text() + "\nWARNING: a, b\n"
    assert readings.parse_smi(text, SMI_FIELDS, None) == smi("two.csv")


cells = st.one_of(st.text(), st.sampled_from(["[N/A]", "0", "00000000:01:00.0", "zz:01", "Enabled", "GPU-1"]))


@given(st.lists(st.lists(cells, min_size=5, max_size=5)), st.text())
def test_no_answer_of_nvidia_smi_breaks_its_reading(rows, processes):
    text = "\n".join(", ".join(row) for row in rows)
    fields = ("index", "uuid", "memory.total", "pci.bus_id", "mig.mode.current")
    found, version = readings.parse_smi(text, fields, f"GPU-1, {processes}, 1, a\n{processes}")
    readings.report(Reading("nvidia-smi", found, version), Surroundings())


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("00000000:3B:00.0", "0000:3b:00.0"),
        ("0000000F:01:00.0", "000f:01:00.0"),
        ("00010000:00:1E.0", "10000:00:1e.0"),
        (" 0000:3b:00.0\n", "0000:3b:00.0"),
    ],
)
def test_a_pci_address_is_written_as_sysfs_does(text, address):
    assert readings.pci_address(text) == address


@pytest.mark.parametrize(
    ("number", "version"), [(12040, "12.4"), (13000, "13.0"), (11080, "11.8"), (9020, "9.2"), (10010, "10.1")]
)
def test_cudas_version_is_read_from_its_number(number, version):
    assert readings.cuda_version(number) == version


@pytest.mark.parametrize(
    ("number", "capability", "name"),
    [
        (9, "9.0", "Hopper"),
        (None, "9.0", "Hopper"),
        (None, "7.0", "Volta"),
        (None, "7.5", "Turing"),
        (None, "8.6", "Ampere"),
        (None, "8.9", "Ada Lovelace"),
        (10, "12.0", "Blackwell"),
        (None, "12.1", "Blackwell"),
        (8, None, "Ada Lovelace"),
        (0xFFFFFFFF, "8.6", "Ampere"),
        (99, "99.0", None),
        (None, None, None),
    ],
)
def test_an_architecture_is_named_by_the_driver_or_by_the_compute_capability(number, capability, name):
    assert readings.architecture(number, capability) == name


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.161.07  Sat Feb 17 22:55:48 UTC 2024\n", "535.161.07"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (x)\n", "580.95.05"),
        ("NVRM version: NVIDIA UNIX aarch64 Kernel Module  470.57  Mon\n", "470.57"),
        ("", None),
    ],
)
def test_the_kernel_modules_version_is_found(text, version):
    assert readings.module_version(text) == version


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"vendor": "0x10de\n", "device": "0x2330\n", "class": "0x030200\n"}, True),
        ({"vendor": "0x10de\n", "device": "0x2684\n", "class": "0x030000\n"}, True),
        ({"vendor": "0x10de\n", "device": "0x22ba\n", "class": "0x040300\n"}, False),  # a graphics card's sound
        ({"vendor": "0x10de\n", "device": "0x22a3\n", "class": "0x068000\n"}, False),  # an NVSwitch
        ({"vendor": "0x1002\n", "device": "0x74a1\n", "class": "0x120000\n"}, True),
        ({"vendor": "0x8086\n", "device": "0x56a0\n", "class": "0x030000\n"}, False),
        ({"vendor": "0x1a03\n", "device": "0x2000\n", "class": "0x030000\n"}, False),  # a server's own console
        ({"vendor": "", "device": "", "class": ""}, False),
    ],
)
def test_only_nvidias_and_amds_cards_are_found_on_pci(files, found):
    device = readings.pci_device("0000:01:00.0", files, "some")
    assert (device is not None) == found


def test_a_host_with_cards_of_both_is_nvidias():
    devices = (PciDevice("0000:01:00.0", "10de", "2684"), PciDevice("0000:02:00.0", "1002", "164e", "amdgpu"))
    described = readings.report(Reading("nvml", (Gpu(0, "0000:01:00.0"),)), Surroundings(devices, kfd=True))
    assert described["accelerator"] == "nvidia"


def test_a_fault_whose_gpu_cannot_be_reported_from_another_names_no_address():
    devices = tuple(PciDevice(f"0000:0{index}:00.0", "10de", "2684", "nvidia") for index in (1, 2, 3))
    gpu = Gpu(1, fault="GPU is lost")
    described = readings.report(Reading("nvml", (Gpu(0, "0000:01:00.0"), gpu)), Surroundings(devices))
    assert described["reason"].startswith("GPU 1 at an unknown address: GPU is lost; ")


ends = st.lists(st.sampled_from([SWITCH, "0000:00:00.0", "0000:01:00.0", "0000:02:00.0", "unknown"]), max_size=18)


@given(st.lists(st.one_of(st.none(), ends), max_size=3))
def test_no_gpu_is_its_own_peer_and_a_switch_makes_peers_both_ways(links):
    found = [
        Gpu(index, f"0000:0{index}:00.0", nvlinks=None if end is None else tuple(end))
        for index, end in enumerate(links)
    ]
    between = readings.nvlinks_between(found)
    if between is None:
        assert not [end for end in links if end is not None]
        return
    for one, others in between.items():
        assert one not in others
        assert 0 not in others.values()
        for other in others:
            if f"0000:0{other}:00.0" not in links[one] and f"0000:0{one}:00.0" not in links[other]:
                assert between[other][one] == others[other]


def test_an_unknown_field_is_found_in_what_nvidia_smi_says():
    assert readings.unknown_smi_field('Field "compute_cap" is not a valid field to query.\n\n') == "compute_cap"
    assert readings.unknown_smi_field("0, NVIDIA L4\n") is None
