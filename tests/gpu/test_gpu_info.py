# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each field of gpuchat_gpu_info against nvidia-smi's own words, on a real driver.

What moves (free memory, temperature, the PCIe link, processes) is asked of nvidia-smi before and after.
"""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ET

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.gpu import readings_runner

MIB = 1024**2
PATHS = {
    "PIX": {"pcie_switch"},
    "PXB": {"pcie_switches"},
    "PHB": {"host_bridge"},
    "NODE": {"numa_node"},
    "SYS": {"sockets"},
}


def smi(*words):
    return subprocess.run(["nvidia-smi", *words], check=True, capture_output=True, text=True).stdout


def log():
    return ET.fromstring(smi("-q", "-x"))


@pytest.fixture(scope="module")
def seen():
    """Return nvidia-smi's log before, what the runner tells, and nvidia-smi's log after."""
    return log(), readings_runner.look(), log()


@pytest.fixture(scope="module")
def pairs(seen):
    """Return for each GPU what the runner reports of it, and nvidia-smi's element before and after."""
    before, described, after = seen
    return list(zip(described["gpus"], before.findall("gpu"), after.findall("gpu"), strict=True))


def word(element, path):
    text = (element.findtext(path) or "N/A").strip()
    return None if text in ("N/A", "[N/A]", "Not Supported", "Unknown Error") else text


def number(element, path):
    text = word(element, path)
    return int(re.match(r"\d+", text).group()) if text else None


def within(value, elements, path, unit=1, room=0):
    """Say whether a value lies between nvidia-smi's two, give or take some room; all may be unknown together."""
    ends = [number(element, path) for element in elements]
    if None in ends or value is None:
        return {*ends, value} == {None}
    return (min(ends) - room) * unit <= value <= (max(ends) + room) * unit


def test_the_driver_is_reported_as_nvidia_smi_tells_it(seen):
    before, described, _after = seen
    assert (described["state"], described["source"], described["accelerator"]) == ("ok", "nvml", "nvidia")
    assert described["driver_version"] == word(before, "driver_version")
    assert described["cuda_version"] == word(before, "cuda_version")
    assert len(described["gpus"]) == number(before, "attached_gpus")


def test_each_gpu_on_pci_is_bound_to_nvidias_driver(seen):
    _before, described, _after = seen
    served = {gpu["pci_address"] for gpu in described["gpus"]}
    assert served <= {device["address"] for device in described["pci_devices"] if device["driver"] == "nvidia"}


def test_what_stays_is_the_same(pairs):
    for gpu, before, _after in pairs:
        assert gpu["uuid"] == word(before, "uuid")
        assert gpu["name"] == word(before, "product_name")
        assert gpu["architecture"] == word(before, "product_architecture")
        domain, _colon, rest = before.get("id").lower().partition(":")
        assert gpu["pci_address"] == f"{int(domain, 16):04x}:{rest}"
        assert gpu["pcie"]["max_gen"] == number(before, "pci/pci_gpu_link_info/pcie_gen/max_link_gen")
        assert gpu["pcie"]["max_width"] == number(before, "pci/pci_gpu_link_info/link_widths/max_link_width")
        mode = word(before, "mig_mode/current_mig")
        assert gpu["mig_mode"] == (mode.lower() if mode else None)
        assert gpu["fault"] is None


def test_indexes_and_compute_capabilities_are_the_same(pairs):
    rows = smi("--query-gpu=index,uuid,compute_cap", "--format=csv,noheader").splitlines()
    assert [f"{gpu['index']}, {gpu['uuid']}, {gpu['compute_capability']}" for gpu, *_logs in pairs] == rows


def test_memory_is_the_same(pairs):
    for gpu, *logs in pairs:
        if gpu["memory_is_shared"]:
            assert word(logs[0], "fb_memory_usage/total") is None
        else:
            assert gpu["memory_bytes"] // MIB == number(logs[0], "fb_memory_usage/total")
            assert within(gpu["memory_free_bytes"], logs, "fb_memory_usage/free", MIB, 2)


def test_what_moves_lies_between_before_and_after(pairs):
    for gpu, *logs in pairs:
        assert within(gpu["temperature_c"], logs, "temperature/gpu_temp", room=2)
        assert within(gpu["pcie"]["gen"], logs, "pci/pci_gpu_link_info/pcie_gen/current_link_gen")
        assert within(gpu["pcie"]["width"], logs, "pci/pci_gpu_link_info/link_widths/current_link_width")


@pytest.mark.parametrize("kind", ["corrected", "uncorrected"])
def test_memory_errors_are_the_same(pairs, kind):
    name = {"corrected": "correctable", "uncorrected": "uncorrectable"}[kind]
    for gpu, before, _after in pairs:
        volatile = "ecc_errors/volatile"
        tags = [element.tag for element in before.findall(f"{volatile}/*")]
        paths = [tag for tag in tags if re.fullmatch(rf"[sd]ram_{name}(_parity|_secded)?", tag)]
        paths = paths or [{"corrected": "single_bit/total", "uncorrected": "double_bit/total"}[kind]]  # before Turing
        counts = [number(before, f"{volatile}/{path}") for path in paths]
        known = [count for count in counts if count is not None]
        assert (gpu["ecc_errors"] or {}).get(kind) == (sum(known) if known else None)


def test_the_parts_of_a_gpu_in_mig_mode_are_the_same(pairs):
    for gpu, before, _after in pairs:
        parts = before.findall("mig_devices/mig_device")
        names = ("index", "gpu_instance_id", "compute_instance_id")
        assert [[part[name] for name in names] for part in gpu["mig_devices"]] == [
            [number(part, name) for name in names] for part in parts
        ]
        for part, element in zip(gpu["mig_devices"], parts, strict=True):
            assert part["memory_bytes"] // MIB == number(element, "fb_memory_usage/total")
            assert part["uuid"] in smi("-L")


def test_computing_processes_are_the_same(pairs):
    for gpu, *logs in pairs:
        listed = [
            {
                number(one, "pid"): number(one, "used_memory")
                for one in element.findall("processes/process_info")
                if "C" in (word(one, "type") or "")
            }
            for element in logs
        ]
        described = {process["pid"]: process["memory_bytes"] for process in gpu["processes"]}
        assert set(listed[0]) & set(listed[1]) <= set(described) <= set(listed[0]) | set(listed[1])


def test_the_topology_is_that_of_nvidia_smis_matrix(seen):
    _before, described, _after = seen
    rows = [re.sub(r"\x1b\[\d*m", "", row).split() for row in smi("topo", "-m").splitlines()]
    matrix = {row[0]: row[1:] for row in rows if row and re.fullmatch(r"GPU\d+", row[0]) and "X" in row}
    for pair in described["topology"]:
        one, other = pair["gpus"]
        cell = matrix[f"GPU{one}"][other]
        if cell.startswith("NV"):
            assert (pair["link"], f"NV{pair['nvlinks']}") == ("nvlink", cell)
        else:
            assert (pair["link"] in PATHS[cell], pair["nvlinks"]) == (True, 0)


def test_nvidia_smi_as_the_source_tells_the_same(seen, monkeypatch):
    _before, described, _after = seen
    monkeypatch.delattr(readings_runner, "pynvml")
    assert host.program("nvidia-smi")
    other = readings_runner.look()
    assert other["source"] == "nvidia-smi"
    for name in ("state", "driver_version", "cuda_version", "accelerator", "pci_devices"):
        assert other[name] == described[name], name
    for one, two in zip(described["gpus"], other["gpus"], strict=True):
        for name in ("index", "pci_address", "uuid", "name", "compute_capability", "architecture", "mig_mode"):
            assert one[name] == two[name], name
        assert (one["memory_bytes"] or 0) // MIB == (two["memory_bytes"] or 0) // MIB
