# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.gpu import readings
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.gpu.readings import (
    SWITCH,
    Gpu,
    PciDevice,
    Reading,
    Surroundings,
)
from hypothesis import given
from hypothesis import strategies as st


def test_a_gpu_in_mig_mode_that_tells_no_memory_shares_none():
    described = readings.report(Reading("nvml", (Gpu(0, memory_supported=False, mig_mode="enabled"),)), Surroundings())
    assert not described["gpus"][0]["memory_is_shared"]


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


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({"vendor": "0x1da3\n", "class": "0x120000\n"}, "Intel Gaudi at 0000:01:00.0"),
        ({"vendor": "0x19e5\n", "class": "0x120000\n"}, "Huawei Ascend at 0000:01:00.0"),
        ({"vendor": "0x1002\n", "class": "0x120000\n"}, "AMD Instinct at 0000:01:00.0"),
        ({"vendor": "0x1002\n", "device": "0x740f\n", "class": "0x038000\n"}, "AMD Instinct at 0000:01:00.0"),
        ({"vendor": "0x8086\n", "device": "0x0bda\n", "class": "0x038000\n"}, "Intel Data Center GPU at 0000:01:00.0"),
        ({"vendor": "0x8086\n", "device": "0x56c0\n", "class": "0x038000\n"}, "Intel Data Center GPU at 0000:01:00.0"),
        ({"vendor": "0x8086\n", "device": "0xe211\n", "class": "0x030000\n"}, "Intel Arc at 0000:01:00.0"),
        ({"vendor": "0x1ed5\n", "device": "0x0222\n", "class": "0x030200\n"}, "Moore Threads MTT at 0000:01:00.0"),
        ({"vendor": "0x1d0f\n", "device": "0x7264\n", "class": "0x088000\n"}, "AWS Neuron at 0000:01:00.0"),
        ({"vendor": "0x17cb\n", "class": "0x120000\n"}, "Qualcomm Cloud AI at 0000:01:00.0"),
        ({"vendor": "0x1d22\n", "class": "0x120000\n"}, "Baidu Kunlun at 0000:01:00.0"),
        ({"vendor": "0x1d0f\n", "device": "0xec20\n", "class": "0x020000\n"}, ""),  # a network card of the same maker
        ({"vendor": "0x10ee\n", "class": "0x120000\n"}, ""),  # logic that anything can be made of
        ({"vendor": "0x8086\n", "device": "0x4680\n", "class": "0x038000\n"}, ""),  # a processor's own beside a card
        ({"vendor": "0x1002\n", "class": "0x030000\n"}, ""),  # a processor's own graphics
        ({"vendor": "0x8086\n", "class": "0x120000\n"}, ""),  # a processor's small one
        ({"vendor": "0x19e5\n", "class": "0x030000\n"}, ""),  # a server's own console
    ],
)
def test_an_accelerator_of_others_never_becomes_a_cpu_in_silence(files, word):
    other = readings.other_accelerator("0000:01:00.0", files)
    assert other == word
    none = Reading("none", code=readings.LIBRARY_NOT_FOUND)
    found = readings.report(none, Surroundings(others=(other,) if other else ()))
    assert (found["state"], found["accelerator"]) == ("out_of_reach" if word else "no_gpu", "cpu")
    assert not word or f"found {word}, which gpuchat does not serve" in found["reason"]
    amd = (PciDevice("0000:01:00.0", "1002", "74a1", "amdgpu"),)
    with_driver = readings.report(none, Surroundings(amd, kfd=True, others=("AMD Instinct at 0000:01:00.0",)))
    assert (with_driver["state"], with_driver["accelerator"]) == ("no_gpu", "rocm")


@pytest.mark.parametrize("code", [17, 9, 999, 255], ids=["blocked by Windows", "no driver", "unknown", "ended"])
@pytest.mark.parametrize(
    ("beside", "word"),
    [({"dxg": True}, "install it in Windows, never a driver in WSL2"), ({"soc": "nvidia,tegra234"}, "JetPack alone")],
    ids=["WSL2", "Jetson"],
)
def test_whatever_a_library_says_whose_driver_is_elsewhere_the_cure_is_there(code, beside, word):
    failed = Reading("nvidia-smi", code=code, said="Failed to initialize NVML: GPU access blocked")
    described = readings.report(failed, Surroundings(**beside))
    assert (described["state"], described["accelerator"]) == ("out_of_reach", "nvidia")
    assert word in described["reason"]
    assert "GPU access blocked" in described["reason"]


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
