# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a host's accelerators: NVML, else nvidia-smi, and what sysfs shows beside them."""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any

with contextlib.suppress(ImportError):  # a host without the toolbox has none
    import pynvml

from ..core import host
from ..core.change import Plan
from . import readings, smi
from .readings import Gpu, MigDevice, Process, Reading, Surroundings

PCI_FOLDER = "/sys/bus/pci/devices"
KFD = "/dev/kfd"
MODULE_VERSION = "/proc/driver/nvidia/version"
MEMORY = "/proc/meminfo"
COMPATIBLE = "/proc/device-tree/compatible"
DXG = "/dev/dxg"
WSL_SMI = "/usr/lib/wsl/lib/nvidia-smi"
"""WSL2 puts its folder into the path of users who log in, and not into that of sudo or ssh's commands."""

LIBRARIES = ("/usr/lib/*-linux-gnu/libnvidia-ml.so.1", "/usr/lib64/libnvidia-ml.so.1", "/usr/lib/libnvidia-ml.so.1")
CONTAINER = "/run/systemd/container"
"""Made by systemd where it runs in a container."""

SMI_TIMEOUT = 60
"""Seconds: without the persistence mode each call initialises every GPU anew, a few seconds on large machines."""


def look() -> dict[str, object]:
    """Return a module's result: the state of the host's accelerators, and all that can be read of them."""
    notes = []
    reading = read_nvml()
    if reading is None:
        reading = read_smi()
        if reading.source == "nvidia-smi":
            notes.append(
                "read by nvidia-smi, which says nothing of links and topology, for no Python with pynvml "
                "that fits was found; the role toolbox brings one"
            )
    found = readings.report(reading, surroundings())
    result = Plan(reason="; ".join([f"{found['state']}: {found['reason']}", *notes])).result()
    return {**result, **found}


def surroundings() -> Surroundings:
    """Read what the host shows without any driver's help."""
    devices, others = [], []
    with contextlib.suppress(OSError):
        for address in sorted(os.listdir(PCI_FOLDER)):
            folder = f"{PCI_FOLDER}/{address}"
            files = {name: _text(f"{folder}/{name}") for name in ("vendor", "device", "class")}
            driver = (
                os.path.basename(os.path.realpath(f"{folder}/driver")) if os.path.exists(f"{folder}/driver") else None
            )
            device = readings.pci_device(address, files, driver)
            devices += [device] if device else []
            other = readings.other_accelerator(address, files)
            others += [other] if other else []
    total, free = readings.host_memory(_text(MEMORY))
    return Surroundings(
        devices=tuple(devices),
        kfd=os.path.exists(KFD),
        soc=readings.soc(_text(COMPATIBLE)),
        dxg=os.path.exists(DXG),
        module_version=readings.module_version(_text(MODULE_VERSION)),
        memory_bytes=total,
        memory_free_bytes=free,
        others=tuple(others),
        is_container=os.path.exists(CONTAINER),
    )


def _text(path: str) -> str:
    try:
        return pathlib.Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def read_smi() -> Reading:
    """Read by nvidia-smi; an older one refuses a query for fields that it does not know, so these are left out."""
    program = host.program("nvidia-smi") or (WSL_SMI if os.path.exists(WSL_SMI) else None)
    if program is None:
        return Reading("none", code=readings.LIBRARY_NOT_FOUND, said="found neither NVIDIA's library nor nvidia-smi")
    fields = list(smi.SMI_FIELDS)
    while True:
        output = host.run([program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"], SMI_TIMEOUT)
        unknown = smi.unknown_smi_field(output.text)
        if unknown not in fields:
            break
        fields.remove(unknown)
    if output.rc == readings.NOT_FOUND or "No devices were found" in output.text:
        return Reading("nvidia-smi")
    if output.rc != 0:
        code, said = smi.smi_error(output.rc, output.text)
        library = smi.library_version(said) or (_library() if code == readings.MISMATCH else None)
        return Reading("nvidia-smi", code=code, said=said, library_version=library)
    query = f"--query-compute-apps={','.join(smi.SMI_PROCESS_FIELDS)}"
    processes = host.run([program, query, "--format=csv,noheader,nounits"], SMI_TIMEOUT)
    found, version = smi.parse_smi(output.stdout, fields, processes.stdout if processes.rc == 0 else None)
    described = host.run([program, "-q", "-x"], SMI_TIMEOUT).stdout
    found = smi.with_use(found, described)
    if any(gpu.mig_mode == "enabled" for gpu in found):
        found = smi.with_mig_devices(found, described, host.run([program, "-L"], SMI_TIMEOUT).stdout)
    return Reading("nvidia-smi", found, version, smi.smi_cuda_version(described))


def _library() -> str | None:
    """Return the version of NVIDIA's library by its file's name, for nvidia-smi names it only since branch 530."""
    files = (os.path.realpath(path) for pattern in LIBRARIES for path in glob.glob(pattern))
    versions = (re.search(r"libnvidia-ml\.so\.(\d+\.\d[\d.]*)$", file) for file in files)
    return next((found[1] for found in versions if found), None)


def read_nvml() -> Reading | None:
    """Read by NVML; None where this Python has no pynvml, or NVIDIA's library is too old for it."""
    if "pynvml" not in globals():
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if error.value == readings.FUNCTION_NOT_FOUND:
            return None
        version = _ask("nvmlSystemGetNVMLVersion") if error.value == readings.MISMATCH else None
        library = version.partition(".")[2] if version else None  # CUDA's major version stands before the driver's
        return Reading("nvml", code=error.value, said=str(error), library_version=library)
    try:
        return _read_all()
    except pynvml.NVMLError as error:
        return Reading("nvml", code=error.value, said=str(error))
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _read_all() -> Reading:
    handles: dict[int, Any] = {}
    found = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        try:
            handles[index] = pynvml.nvmlDeviceGetHandleByIndex(index)
            found.append(_gpu(index, handles[index]))
        except pynvml.NVMLError as error:
            if error.value == readings.NO_PERMISSION:
                raise
            handle = handles.pop(index, None)
            found.append(Gpu(index, _address("nvmlDeviceGetPciInfo", handle), fault=str(error)))
    cuda = _ask("nvmlSystemGetCudaDriverVersion_v2") or _ask("nvmlSystemGetCudaDriverVersion")
    pairs = [(one, other) for one in handles for other in handles if one < other]
    levels = {pair: _ask("nvmlDeviceGetTopologyCommonAncestor", *(handles[index] for index in pair)) for pair in pairs}
    return Reading(
        "nvml",
        tuple(found),
        _ask("nvmlSystemGetDriverVersion"),
        readings.cuda_version(cuda) if cuda else None,
        paths={pair: level for pair, level in levels.items() if level is not None},
    )


def _ask(name: str, *arguments: Any) -> Any:
    """Ask NVML for one value; None for what this driver, this GPU, this pynvml or this user does not get.

    Raises:
        NVMLError: the GPU is lost or needs a reset; nothing more can be asked of it.
    """
    function = getattr(pynvml, name, None)
    if function is None:
        return None
    try:
        value = function(*arguments)
    except pynvml.NVMLError as error:
        if error.value in (readings.GPU_IS_LOST, readings.RESET_REQUIRED):
            raise
        return None
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _gpu(index: int, handle: Any) -> Gpu:
    capability = _ask("nvmlDeviceGetCudaComputeCapability", handle)
    words = f"{capability[0]}.{capability[1]}" if capability else None
    total, free, supported = _memory(handle)
    mode = _ask("nvmlDeviceGetMigMode", handle)
    mig_mode = ("enabled" if mode[0] else "disabled") if mode else None
    return Gpu(
        index=index,
        pci_address=_address("nvmlDeviceGetPciInfo", handle),
        uuid=_ask("nvmlDeviceGetUUID", handle),
        name=_ask("nvmlDeviceGetName", handle),
        memory_bytes=total,
        memory_free_bytes=free,
        memory_supported=supported,
        compute_capability=words,
        architecture=readings.architecture(_ask("nvmlDeviceGetArchitecture", handle), words),
        mig_mode=mig_mode,
        mig_devices=tuple(_mig_devices(handle)) if mode and mode[0] else (),
        is_shared_out=_ask("nvmlDeviceGetVirtualizationMode", handle) in (readings.HOST_VGPU, readings.HOST_VSGA),
        pcie_gen=_ask("nvmlDeviceGetCurrPcieLinkGeneration", handle),
        pcie_width=_ask("nvmlDeviceGetCurrPcieLinkWidth", handle),
        pcie_max_gen=_ask("nvmlDeviceGetMaxPcieLinkGeneration", handle),
        pcie_max_width=_ask("nvmlDeviceGetMaxPcieLinkWidth", handle),
        nvlinks=_nvlinks(handle),
        ecc_corrected=_ask("nvmlDeviceGetTotalEccErrors", handle, 0, 0),  # 0: since the driver was loaded
        ecc_uncorrected=_ask("nvmlDeviceGetTotalEccErrors", handle, 1, 0),
        temperature_c=_temperature(handle),
        processes=_processes(handle),
        obstacle=readings.obstacle(_ask("nvmlDeviceGetComputeMode", handle), _fabric(handle), mig_mode),
    )


def _memory(handle: Any) -> tuple[int | None, int | None, bool]:
    """Return total and free memory, and whether there is such a thing on this GPU."""
    try:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    except pynvml.NVMLError_NotSupported:
        return None, None, False
    except pynvml.NVMLError as error:  # a sound GPU knows its memory
        if error.value in (readings.GPU_IS_LOST, readings.RESET_REQUIRED, readings.UNKNOWN):
            raise
        return None, None, True
    return memory.total, memory.free, True


def _address(name: str, *arguments: Any) -> str | None:
    """Ask for a PCI address."""
    try:
        asked = _ask(name, *arguments) if arguments[0] is not None else None
    except pynvml.NVMLError:
        return None
    bus = getattr(asked, "busId", b"")
    text = bus.decode() if isinstance(bus, bytes) else str(bus)
    return readings.pci_address(text) if text else None


def _fabric(handle: Any) -> int | None:
    """Return how far the fabric of the GPU's NVSwitches is set up; the older call is for drivers before 550."""
    for name, kind in (
        ("nvmlDeviceGetGpuFabricInfoV", "c_nvmlGpuFabricInfoV_t"),
        ("nvmlDeviceGetGpuFabricInfo", "c_nvmlGpuFabricInfo_t"),
    ):
        made = getattr(pynvml, kind, None)  # an older pynvml than ours may be the system's
        info = made() if made else None
        if info is not None and _ask(name, handle, ctypes.byref(info)) is not None:
            return int(info.state)
    return None


def _temperature(handle: Any) -> int | None:
    value: int | None = _ask("nvmlDeviceGetTemperatureV", handle, 0)  # 0: the sensor on the GPU's die
    return value if value is not None else _ask("nvmlDeviceGetTemperature", handle, 0)


def _mig_devices(handle: Any) -> Iterator[MigDevice]:
    for index in range(_ask("nvmlDeviceGetMaxMigDeviceCount", handle) or 0):
        part = _ask("nvmlDeviceGetMigDeviceHandleByIndex", handle, index)
        if part is not None:
            total, free, _supported = _memory(part)
            yield MigDevice(
                index,
                _ask("nvmlDeviceGetUUID", part),
                _ask("nvmlDeviceGetName", part),
                total,
                free,
                _ask("nvmlDeviceGetGpuInstanceId", part),
                _ask("nvmlDeviceGetComputeInstanceId", part),
            )


def _nvlinks(handle: Any) -> tuple[str, ...] | None:
    """Return the far end of each active link; None where this driver cannot say of links."""
    ends = []
    for link in range(pynvml.NVML_NVLINK_MAX_LINKS):
        try:
            active = pynvml.nvmlDeviceGetNvLinkState(handle, link)
        except pynvml.NVMLError as error:
            if error.value in (readings.GPU_IS_LOST, readings.RESET_REQUIRED):
                raise
            if error.value in (readings.FUNCTION_NOT_FOUND, readings.NO_PERMISSION):
                return None
            continue
        if active:
            ends.append(_far_end(handle, link))
    return tuple(ends)


def _far_end(handle: Any, link: int) -> str:
    kind = _ask("nvmlDeviceGetNvLinkRemoteDeviceType", handle, link)
    if kind == getattr(pynvml, "NVML_NVLINK_DEVICE_TYPE_SWITCH", 2):
        return readings.SWITCH
    return _address("nvmlDeviceGetNvLinkRemotePciInfo", handle, link) or "unknown"


def _processes(handle: Any) -> tuple[Process, ...] | None:
    for version in ("_v3", "_v2"):  # a driver before 510 has no _v3
        listed = _ask(f"nvmlDeviceGetComputeRunningProcesses{version}", handle)
        if listed is not None:
            return tuple(
                Process(process.pid, _ask("nvmlSystemGetProcessName", process.pid), process.usedGpuMemory)
                for process in listed
            )
    return None
