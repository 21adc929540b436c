# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's state comes to as metrics."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.gpu import figures
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.gpu.figures import Figures
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring import state, textfile
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.survey.types import FAULT, WARNING, Finding

from ..survey.healthy import READING

H100 = Figures(0, "GPU-1", "NVIDIA H100", 0.5, 8 * 2**30, 80 * 2**30, 41, 310.5, 2, 0x44)


def lines(reading=READING, gpus=(H100,), wanted=("0",), findings=(), now=1000.0):
    text = textfile.exposition(state.families(reading, gpus, wanted, findings, now))
    return [line for line in text.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize(
    "line",
    [
        "gpuchat_gpus_seen 1",
        "gpuchat_gpus_wanted 1",
        'gpuchat_gpu_info{gpu="0",uuid="GPU-1",name="NVIDIA H100"} 1',
        'gpuchat_gpu_utilization_ratio{gpu="0"} 0.5',
        f'gpuchat_gpu_memory_used_bytes{{gpu="0"}} {8 * 2**30}',
        f'gpuchat_gpu_memory_total_bytes{{gpu="0"}} {80 * 2**30}',
        'gpuchat_gpu_temperature_celsius{gpu="0"} 41',
        'gpuchat_gpu_power_watts{gpu="0"} 310.5',
        'gpuchat_gpu_throttled{gpu="0",reason="hardware_thermal"} 1',
        'gpuchat_gpu_throttled{gpu="0",reason="power_brake"} 0',
        'gpuchat_gpu_ecc_uncorrected_total{gpu="0"} 2',
        'gpuchat_certificate_expires_timestamp_seconds{file="/etc/gpuchat/edge/tls.crt"} 1864987200',
        'gpuchat_certificate_lifetime_seconds{file="/etc/gpuchat/edge/tls.crt"} 69206400',
        'gpuchat_unit_active{unit="gpuchat-edge"} 1',
        'gpuchat_survey_findings{severity="warning"} 0',
        'gpuchat_survey_findings{severity="fault"} 0',
        "gpuchat_state_timestamp_seconds 1000",
    ],
)
def test_a_host_on_which_all_is_well_says(line):
    assert line in lines()


@pytest.mark.parametrize(("since", "number"), [(None, 0), (990.0, 1)])
def test_a_host_that_is_out_of_rotation_says_so(since, number):
    assert f"gpuchat_host_drained {number}" in lines({**READING, state.DRAINED: since})


def test_a_host_without_gpus_says_so_and_one_whose_gpus_do_not_answer_says_nothing():
    assert "gpuchat_gpus_seen 0" in lines(gpus=())
    assert not [line for line in lines(gpus=None) if line.startswith(("gpuchat_gpus_seen", "gpuchat_gpu_"))]


@pytest.mark.parametrize(
    ("places", "number"),
    [
        ((), 0),
        (("cpu",), 0),
        (("all",), 1),
        (("0", "1"), 2),
        (("all", "0", "1"), 2),
        (("GPU-1", "cpu"), 1),
        (("MIG-1", "MIG-2"), 1),
        (("GPU-1", "MIG-2"), 1),
    ],
)
def test_the_engines_say_how_many_gpus_there_should_be(places, number):
    assert state.number_of(places) == number


def test_a_figure_that_a_gpu_does_not_give_has_no_sample():
    found = lines(gpus=(Figures(3),))
    assert 'gpuchat_gpu_info{gpu="3",uuid="",name=""} 1' in found
    assert not [line for line in found if "ratio" in line or "watts" in line or "throttled" in line]


def test_a_unit_that_stands_still_and_findings_are_counted():
    reading = copy.deepcopy(READING)
    reading["services"]["gpuchat-door"]["running"] = False
    findings = [Finding("x", severity, "x", "", "") for severity in (FAULT, WARNING, FAULT)]
    found = lines(reading, findings=findings)
    assert 'gpuchat_unit_active{unit="gpuchat-door"} 0' in found
    assert 'gpuchat_survey_findings{severity="fault"} 2' in found
    assert 'gpuchat_survey_findings{severity="warning"} 1' in found


def test_the_drivers_errors_are_counted_by_gpu_from_nought_on():
    reading = copy.deepcopy(READING)
    reading["gpu"]["gpus"] = [{"pci_address": "0000:3b:00.0"}, {"pci_address": "0000:5e:00.0"}]
    reading["kernel log"] = [{"address": "0000:3b:00", "number": number, "count": 2} for number in (79, 31)]
    assert [line for line in lines(reading) if "xid" in line] == [
        'gpuchat_gpu_xid_total{gpu="0000:3b:00.0"} 4',
        'gpuchat_gpu_xid_total{gpu="0000:5e:00.0"} 0',
    ]
    del reading["kernel log"]  # nobody could read it
    assert not [line for line in lines(reading) if "xid" in line]


BACKUPS = [
    (None, []),
    ({}, ["gpuchat_backup_last_success_timestamp_seconds 0"]),
    ({"success": {"time": 5}}, ["gpuchat_backup_last_success_timestamp_seconds 5"]),
    (
        {"success": {"time": 5}, "drill": {"time": 7, "good": False}},
        [
            "gpuchat_backup_last_success_timestamp_seconds 5",
            "gpuchat_backup_drill_last_timestamp_seconds 7",
            "gpuchat_backup_drill_ok 0",
        ],
    ),
]


@pytest.mark.parametrize(("status", "said"), BACKUPS, ids=["none wanted", "none made", "made", "a bad drill"])
def test_backups_are_told_where_they_are_made(status, said):
    reading = {**READING, **({} if status is None else {"backup": status})}
    assert [line for line in lines(reading) if "backup" in line] == said


def test_a_reading_of_which_nothing_came_is_still_a_state():
    assert lines({}, None, (), ()) == [
        "gpuchat_gpus_wanted 0",
        'gpuchat_survey_findings{severity="warning"} 0',
        'gpuchat_survey_findings{severity="fault"} 0',
        "gpuchat_state_timestamp_seconds 1000",
    ]


SMI = """\
0, GPU-1, NVIDIA H100 80GB HBM3, 97, 71000, 81559, 63, 650.12, 0, 0x0000000000000004
1, GPU-2, NVIDIA A100, [N/A], [N/A], 40960, 40, [N/A], [N/A], [N/A]
Unable to determine the device handle for GPU
"""


def test_nvidia_smi_is_read_as_nvml_is():
    fields = [one for one in figures.SMI_FIELDS if one != "clocks_throttle_reasons.active"]
    busy, divided = figures.of_smi(SMI, fields)
    assert busy == Figures(0, "GPU-1", "NVIDIA H100 80GB HBM3", 0.97, 71000 * 2**20, 81559 * 2**20, 63, 650.12, 0, 4)
    assert divided == Figures(1, "GPU-2", "NVIDIA A100", None, None, 40960 * 2**20, 40, None, None, None)


def test_the_usual_power_cap_is_no_trouble():
    assert not any(figures.reasons(0x04 | 0x01).values())
    assert figures.reasons(0x20)["software_thermal"]
