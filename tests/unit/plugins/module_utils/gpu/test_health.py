# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.gpu.health import (
    FIXES,
    GRAVE,
    OF_PROGRAMS,
    Xid,
    throttling,
    xids,
)

LOG = """\
NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  580.65.06
NVRM: Xid (PCI:0000:3b:00): 31, pid=4711, name=python3, Ch 00000008
NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.
NVRM: Xid (PCI:0000:5e:00): 31, pid=4712, name=python3, first
NVRM: Xid (PCI:0000:5e:00): 31, pid=4713, name=python3, last
"""


def test_the_drivers_errors_are_those_of_a_gpu_and_a_number_with_their_last_words():
    assert xids(LOG) == (
        Xid("0000:3b:00", 31, "pid=4711, name=python3, Ch 00000008"),
        Xid("0000:3b:00", 79, "pid='<unknown>', name=<unknown>, GPU has fallen off the bus."),
        Xid("0000:5e:00", 31, "pid=4713, name=python3, last", count=2),
    )
    assert xids("") == ()


def test_errors_of_nvswitches_are_read_with_their_own_word_on_how_grave_they_are():
    found = xids(
        "nvidia-nvswitch3: SXid (PCI:0000:c5:00.0): 12028, Non-fatal, Link 32 egress non-posted PRIV error\n"
        "nvidia-nvswitch0: SXid (PCI:0000:c1:00.0): 20034, Fatal, Link 30 LTSSM Fault Up\n"
    )
    assert [(one.address, one.number, one.is_grave, one.is_of_switch) for one in found] == [
        ("0000:c5:00.0", 12028, False, True),
        ("0000:c1:00.0", 20034, True, True),
    ]
    assert "nvidia-fabricmanager" in found[0].fix


@pytest.mark.parametrize(
    ("number", "grave", "of_program"), [(79, True, False), (31, False, True), (48, True, False), (63, False, False)]
)
def test_a_number_says_who_is_to_blame(number, grave, of_program):
    one = Xid("0000:3b:00", number, "")
    assert (one.is_grave, one.is_of_program) == (grave, of_program)


@pytest.mark.parametrize(
    ("number", "fix"),
    [
        (79, "power the host off and on"),
        (167, "power the host off and on"),
        (63, "nvidia-smi -q -d ECC,ROW_REMAPPER"),
        (172, "nvidia-smi -q -d ECC,ROW_REMAPPER"),
        (136, "nvidia-smi nvlink --status"),
        (149, "nvidia-smi nvlink --status"),
        (119, "nvidia_driver_branch"),
        (31, "the engine's log"),
        (163, "look the number up"),
    ],
)
def test_a_number_says_what_to_do(number, fix):
    assert fix in Xid("0000:3b:00", number, "").fix


def test_a_number_is_of_one_kind():
    numbers = [number for some, _fix in FIXES for number in some]
    assert len(set(numbers)) == len(numbers)
    assert set(numbers) - OF_PROGRAMS >= GRAVE


@pytest.mark.parametrize(
    ("mask", "reasons"),
    [
        ("0x0000000000000000", ()),
        ("0x0000000000000001", ()),
        ("0x0000000000000004", ()),
        ("0x0000000000000048", ("hardware slowdown", "too hot, by the hardware")),
        ("0x0000000000000020", ("too hot, by the driver",)),
    ],
)
def test_idle_and_the_usual_power_cap_hold_no_gpu_back(mask, reasons):
    uuid = "GPU-11111111-2222-3333-4444-555555555555"
    assert throttling(f"{uuid}, {mask}\n") == ({uuid: reasons} if reasons else {})


def test_a_gpu_that_does_not_say_is_left_out():
    assert throttling("GPU-11111111-2222-3333-4444-555555555555, [N/A]\n") == {}
