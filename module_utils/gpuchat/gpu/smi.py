# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nvidia-smi prints: its tables of GPUs and processes, its errors, the CUDA version that the driver serves."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..core.units import MIB
from .readings import GPU_IS_LOST, MISMATCH, Gpu, MigDevice, Process, architecture, obstacle, pci_address

SMI_FIELDS = (
    "index",
    "pci.bus_id",
    "uuid",
    "name",
    "driver_version",
    "memory.total",
    "memory.free",
    "compute_cap",
    "mig.mode.current",
    "pcie.link.gen.current",
    "pcie.link.width.current",
    "pcie.link.gen.max",
    "pcie.link.width.max",
    "ecc.errors.corrected.volatile.total",
    "ecc.errors.uncorrected.volatile.total",
    "temperature.gpu",
)

FAILED = ("[Unknown Error]", "[Unknown error]", "ERR!")
"""What stands in place of a value that a sound GPU has."""

SMI_PROCESS_FIELDS = ("gpu_uuid", "pid", "used_memory", "process_name")


def unknown_smi_field(text: str) -> str | None:
    """Return the field that an older nvidia-smi does not know, and for which it refuses the whole query."""
    found = re.search(r'Field "([^"]+)" is not a valid field to query', text)
    return found.group(1) if found else None


def smi_error(status: int, text: str) -> tuple[int, str]:
    """Return NVML's error code for an nvidia-smi that failed, and its words on one line.

    A GPU off the bus is known by its words: newer drivers end with 255 and "Unknown Error". So is a mismatch.
    """
    said = " ".join(text.split())
    if "Unable to determine the device handle" in said or "GPU is lost" in said:
        return GPU_IS_LOST, said
    return MISMATCH if "library version mismatch" in said else status, said


def parse_smi(text: str, fields: Sequence[str], processes: str | None) -> tuple[tuple[Gpu, ...], str | None]:
    """Read the answers of ``nvidia-smi --query-gpu`` and ``--query-compute-apps`` (CSV, no header, no units).

    Returns the GPUs and the driver's version. Memory is given in MiB there; warnings may stand between the rows.
    """
    lines = [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]
    rows = [dict(zip(fields, cells)) for cells in lines if len(cells) == len(fields)]
    versions = [row["driver_version"] for row in rows if _word(row.get("driver_version"))]
    return tuple(_smi_gpu(row, processes) for row in rows), versions[0] if versions else None


def _smi_gpu(row: Mapping[str, str], processes: str | None) -> Gpu:
    uuid, capability, mode = (_word(row.get(name)) for name in ("uuid", "compute_cap", "mig.mode.current"))
    address = row.get("pci.bus_id") or ""
    faults = [cell.strip("[]") for cell in row.values() if cell in ("[GPU is lost]", "[GPU requires reset]")]
    if row.get("memory.total") in FAILED:
        faults.append(f"its memory cannot be read ({row['memory.total'].strip('[]')})")
    return Gpu(
        index=_number(row.get("index")),
        pci_address=pci_address(address) if re.fullmatch(r"[0-9A-Fa-f]+:[0-9A-Fa-f:.]+", address) else None,
        uuid=uuid,
        name=_word(row.get("name")),
        memory_bytes=_number(row.get("memory.total"), MIB),
        memory_free_bytes=_number(row.get("memory.free"), MIB),
        memory_supported=row.get("memory.total") not in ("[N/A]", "[Not Supported]", "N/A"),
        compute_capability=capability,
        architecture=architecture(None, capability),
        mig_mode=mode.lower() if mode else None,
        mig_devices=None if mode == "Enabled" or faults else (),
        pcie_gen=_number(row.get("pcie.link.gen.current")),
        pcie_width=_number(row.get("pcie.link.width.current")),
        pcie_max_gen=_number(row.get("pcie.link.gen.max")),
        pcie_max_width=_number(row.get("pcie.link.width.max")),
        ecc_corrected=_number(row.get("ecc.errors.corrected.volatile.total")),
        ecc_uncorrected=_number(row.get("ecc.errors.uncorrected.volatile.total")),
        temperature_c=_number(row.get("temperature.gpu")),
        processes=None if processes is None or uuid is None else _smi_processes(processes, uuid),
        fault=faults[0] if faults else "",
    )


def _smi_processes(text: str, uuid: str) -> tuple[Process, ...]:
    rows = [[cell.strip() for cell in line.split(",", 3)] for line in text.splitlines()]
    return tuple(
        Process(int(pid), _word(name), _number(used, MIB))
        for gpu, pid, used, name in (row for row in rows if len(row) == len(SMI_PROCESS_FIELDS))
        if gpu == uuid and pid.isdecimal()
    )


def _word(cell: str | None) -> str | None:
    return None if not cell or cell.startswith("[") or cell == "N/A" else cell


def _number(cell: str | None, unit: int = 1) -> int | None:
    return int(cell) * unit if cell and re.fullmatch("[0-9]{1,18}", cell) else None


def library_version(said: str) -> str | None:
    """Find the library's version in the words with which nvidia-smi tells of another kernel module."""
    found = re.search(r"NVML library version: (\d[\d.]*\d)", said)
    return found.group(1) if found else None


def with_mig_devices(gpus: Sequence[Gpu], described: str, listed: str) -> tuple[Gpu, ...]:
    """Give GPUs in MIG mode their parts; those of a GPU that the description leaves out stay unknown.

    Args:
        described: the answer of ``nvidia-smi -q -x``, which names no part.
        listed: the answer of ``nvidia-smi -L``, which names them and tells no more.
    """
    parts = {uuid: gpu.find("mig_devices") for uuid, gpu in _described(described).items()}
    names = _mig_names(listed)
    return tuple(
        gpu
        if gpu.mig_mode != "enabled" or parts.get(gpu.uuid) is None
        else replace(gpu, mig_devices=tuple(_mig_device(gpu, one, names) for one in parts[gpu.uuid]))  # type: ignore[union-attr]
        for gpu in gpus
    )


def with_use(gpus: Sequence[Gpu], described: str) -> tuple[Gpu, ...]:
    """Say of GPUs what keeps programs from them, by ``nvidia-smi -q -x``: a hypervisor, a mode, a fabric."""
    found = _described(described)
    return tuple(_with_use(gpu, found[gpu.uuid]) if gpu.uuid in found else gpu for gpu in gpus)


def _with_use(gpu: Gpu, said: ET.Element) -> Gpu:
    mode = said.findtext("gpu_virtualization_mode/virtualization_mode") or ""
    barred = obstacle(said.findtext("compute_mode"), said.findtext("fabric/state"), gpu.mig_mode)
    return replace(gpu, is_shared_out=mode.startswith("Host"), obstacle=barred)


def _described(text: str) -> dict[str | None, ET.Element]:
    """Return the GPUs of ``nvidia-smi -q -x`` by UUID; none where it cannot be read."""
    try:
        return {gpu.findtext("uuid"): gpu for gpu in ET.fromstring(text).iter("gpu")}
    except ET.ParseError:
        return {}


def _mig_device(gpu: Gpu, one: ET.Element, names: Mapping[tuple[str | None, int], tuple[str, str]]) -> MigDevice:
    index, instance, compute = (
        _number((one.findtext(name) or "").strip()) or 0 for name in ("index", "gpu_instance_id", "compute_instance_id")
    )
    profile, uuid = names.get((gpu.uuid, index), (None, None))
    total, free = (
        _number((one.findtext(f"fb_memory_usage/{name}") or "").partition(" ")[0], MIB) for name in ("total", "free")
    )
    return MigDevice(index, uuid, f"{gpu.name} MIG {profile}" if profile else None, total, free, instance, compute)


def _mig_names(listed: str) -> dict[tuple[str | None, int], tuple[str, str]]:
    """Return profile and UUID of each part, by its GPU's UUID and its index."""
    names: dict[tuple[str | None, int], tuple[str, str]] = {}
    gpu = None
    for line in listed.splitlines():
        whole, part = re.match(r"GPU \d+: .*\(UUID: (\S+)\)", line), MIG_LINE.match(line)
        if whole:
            gpu = whole.group(1)
        elif part:
            names[gpu, int(part.group(2))] = part.group(1), part.group(3)
    return names


MIG_LINE = re.compile(r"\s+MIG (\S+)\s+Device\s+(\d+): \(UUID: (\S+)\)")


def smi_cuda_version(text: str) -> str | None:
    """Find the highest CUDA version that the driver serves in ``nvidia-smi -q -x``."""
    found = re.search(r"<cuda_version>(\d+\.\d+)</cuda_version>", text)
    return found.group(1) if found else None
