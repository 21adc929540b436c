# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.units import MIB
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.gpu import readings
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.gpu.readings import (
    Gpu,
    Process,
    Reading,
    Surroundings,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.gpu.smi import (
    SMI_FIELDS,
    parse_smi,
    unknown_smi_field,
)
from hypothesis import given
from hypothesis import strategies as st

SMI = pathlib.Path(__file__).parent / "recorded" / "smi"


def smi(name, processes=None):
    return parse_smi((SMI / name).read_text(), SMI_FIELDS, processes)


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


def test_a_row_of_a_lost_gpu_makes_the_state_and_shares_no_memory():
    described = readings.report(Reading("nvidia-smi", smi("lost.csv")[0]), Surroundings(memory_bytes=128))
    assert described["state"] == "lost"
    assert described["reason"].startswith("GPU 1 at 0000:5e:00.0: GPU is lost; ")
    lost = described["gpus"][1]
    assert (lost["fault"], lost["memory_bytes"], lost["memory_is_shared"]) == ("GPU is lost", None, False)
    assert lost["mig_devices"] is None


@pytest.mark.parametrize("said", ["[Unknown Error]", "ERR!"])
def test_a_gpu_whose_memory_cannot_be_read_is_none_to_plan_with(said):
    rows, _version = parse_smi(f"0, GPU-1, {said}", ("index", "uuid", "memory.total"), None)
    described = readings.report(Reading("nvidia-smi", rows), Surroundings(memory_bytes=128))
    assert described["state"] == "lost"
    assert "its memory cannot be read" in described["gpus"][0]["fault"]


def test_nvidia_smi_cannot_name_the_parts_of_a_gpu_in_mig_mode():
    (gpu,), _version = smi("mig.csv")
    assert (gpu.mig_mode, gpu.mig_devices, gpu.ecc_corrected) == ("enabled", None, None)


def test_warnings_between_nvidia_smis_rows_are_no_gpus():
    text = "\nWARNING: infoROM is corrupted at gpu 0000:0F:00.0\n" + (SMI / "two.csv").read_text() + "\nWARNING: a, b\n"
    assert parse_smi(text, SMI_FIELDS, None) == smi("two.csv")


def test_a_number_that_no_gpu_has_is_unknown():
    (gpu,), _version = parse_smi(f"0, GPU-1, {'9' * 5000}", ("index", "uuid", "memory.total"), None)
    assert gpu.memory_bytes is None
    assert readings.host_memory(f"MemTotal: {'9' * 5000} kB\nMemAvailable: 5 kB\n") == (None, 5 * 1024)


cells = st.one_of(st.text(), st.sampled_from(["[N/A]", "0", "00000000:01:00.0", "zz:01", "Enabled", "GPU-1"]))


@given(st.lists(st.lists(cells, min_size=5, max_size=5)), st.text())
def test_no_answer_of_nvidia_smi_breaks_its_reading(rows, processes):
    text = "\n".join(", ".join(row) for row in rows)
    fields = ("index", "uuid", "memory.total", "pci.bus_id", "mig.mode.current")
    found, version = parse_smi(text, fields, f"GPU-1, {processes}, 1, a\n{processes}")
    readings.report(Reading("nvidia-smi", found, version), Surroundings())


def test_an_unknown_field_is_found_in_what_nvidia_smi_says():
    assert unknown_smi_field('Field "compute_cap" is not a valid field to query.\n\n') == "compute_cap"
    assert unknown_smi_field("0, NVIDIA L4\n") is None
