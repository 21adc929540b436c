# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's accelerators: what their readings mean, whoever gave them.

Sources: NVIDIA's NVML API reference (error codes, levels of topology, architectures) and nvidia-smi(1), whose exit
statuses are NVML's error codes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from ..core.units import KIB

NVIDIA, AMD = "10de", "1002"
DISPLAY_CLASSES = ("0300", "0302", "0380")
"""PCI classes of graphics cards: VGA controller, 3D controller, other display controller."""

PROCESSING_CLASS = "1200"
"""PCI class of a processing accelerator, such as AMD's MI300X."""

OTHERS = {
    AMD: "AMD Instinct",
    "1da3": "Intel Gaudi",
    "19e5": "Huawei Ascend",
    "1e52": "Tenstorrent",
    "cabc": "Cambricon MLU",
    "17cb": "Qualcomm Cloud AI",
    "1d22": "Baidu Kunlun",
    "1d95": "Graphcore IPU",
    "1de0": "Groq",
    "1e36": "Enflame",
    "1ed2": "FuriosaAI",
}
"""Who makes processing accelerators of a server's size, by PCI vendor (pci-ids.ucw.cz)."""

OTHERS_AS_DISPLAYS = {
    (AMD, "738c"): "AMD Instinct",
    (AMD, "7408"): "AMD Instinct",
    (AMD, "740c"): "AMD Instinct",
    (AMD, "740f"): "AMD Instinct",
    ("8086", "0bd5"): "Intel Data Center GPU",
    ("8086", "0bda"): "Intel Data Center GPU",
    ("8086", "56c0"): "Intel Data Center GPU",
    ("8086", "56c1"): "Intel Data Center GPU",
    **{("8086", device): "Intel Arc" for device in ("56a0", "e20b", "e20c", "e211", "e212", "e223")},
    **{("1ed5", device): "Moore Threads MTT" for device in ("0201", "0222")},
    **{("1d0f", device): "AWS Neuron" for device in ("7064", "7164", "7264", "7364", "7564", "7565")},
}
"""Those among display controllers and others, by vendor and device (there; Linux, include/drm/intel/pciids.h; AWS's own
driver): MI100, MI250X, MI250, MI210; Max 1550 and 1100, Flex 170 and 140; Arc A770, B580, B570, Pro B60, B50 and B70;
MTT S80 and S3000; Inferentia and Trainium. A processor's own graphics are of the same class."""

NO_PERMISSION, NOT_FOUND, DRIVER_NOT_LOADED, LIBRARY_NOT_FOUND = 4, 6, 9, 12
FUNCTION_NOT_FOUND, GPU_IS_LOST, RESET_REQUIRED, MISMATCH, UNKNOWN = 13, 15, 16, 18, 999
PROHIBITED = 2
"""The compute mode in which no program may compute (NVML_COMPUTEMODE_PROHIBITED)."""

FABRIC_PENDING = (1, 2)
"""States of a GPU on NVSwitches that the fabric manager has yet to set up (NVML_GPU_FABRIC_STATE_*): CUDA's error 802
until then. Completed is also what could not be had, without the links."""

NO_COMPUTING, NO_FABRIC = "its compute mode is Prohibited", "the fabric of its NVSwitches is not set up"
OBSTACLES = {
    NO_COMPUTING: (
        "wanted Default; run `nvidia-smi --compute-mode=DEFAULT`, and take out what sets the mode when the host starts"
    ),
    NO_FABRIC: (
        "wanted the state Completed in `nvidia-smi -q`; install nvidia-fabricmanager of the driver's version, run "
        "`systemctl enable --now nvidia-fabricmanager` and look at its log; in a virtual machine it runs on the host"
    ),
}
"""Why CUDA starts nothing on a GPU that answers, and what to do."""

HOST_VGPU, HOST_VSGA = 3, 4
"""Modes of virtualization in which a GPU is a hypervisor's (NVML_GPU_VIRTUALIZATION_MODE_*)."""

STATES = {
    NO_PERMISSION: "no_permission",
    DRIVER_NOT_LOADED: "no_driver",
    LIBRARY_NOT_FOUND: "no_driver",
    GPU_IS_LOST: "lost",
    RESET_REQUIRED: "lost",
    MISMATCH: "mismatch",
}
OUT_OF_REACH = "out_of_reach"

PASSED_THROUGH = frozenset(("vfio-pci", "nvgrace-gpu-vfio-pci", "pci-stub", "pciback", "xen-pciback"))
"""Kernel drivers that hold a device for virtual machines (Linux: drivers/vfio/pci, drivers/pci, drivers/xen)."""

ARCHITECTURES = {
    2: "Kepler",
    3: "Maxwell",
    4: "Pascal",
    5: "Volta",
    6: "Turing",
    7: "Ampere",
    8: "Ada Lovelace",
    9: "Hopper",
    10: "Blackwell",
    13: "Rubin",
}
"""Names by NVML's number (NVML_DEVICE_ARCH_*)."""

ARCHITECTURE_OF_CAPABILITY = {
    "3": "Kepler",
    "5": "Maxwell",
    "6": "Pascal",
    "7": "Volta",
    "7.5": "Turing",
    "8": "Ampere",
    "8.9": "Ada Lovelace",
    "9": "Hopper",
    "10": "Blackwell",
    "11": "Blackwell",
    "12": "Blackwell",
}
"""Names by compute capability, or by its major number alone (NVIDIA's CUDA programming guide)."""

PATHS = {
    0: "same_board",
    10: "pcie_switch",
    20: "pcie_switches",
    30: "host_bridge",
    40: "numa_node",
    50: "sockets",
}
"""What two GPUs' PCIe path crosses, by NVML's level (NVML_TOPOLOGY_*)."""

SWITCH = "switch"
"""The far end of an NVLink that leads to an NVSwitch, and so to each GPU on it."""


@dataclass(frozen=True)
class PciDevice:
    """A display device as sysfs shows it; ids are four hexadecimal digits, ``driver`` is the bound kernel driver."""

    address: str
    vendor_id: str
    device_id: str
    driver: str | None = None


@dataclass(frozen=True)
class MigDevice:
    """A part of a GPU in MIG mode."""

    index: int
    uuid: str | None = None
    name: str | None = None
    memory_bytes: int | None = None
    memory_free_bytes: int | None = None
    gpu_instance_id: int | None = None
    compute_instance_id: int | None = None


@dataclass(frozen=True)
class Process:
    """A process that computes on a GPU; ``memory_bytes`` is what it holds of the GPU's memory."""

    pid: int
    name: str | None
    memory_bytes: int | None


@dataclass(frozen=True)
class Gpu:
    """A GPU; what its source cannot give is None.

    Attributes:
        memory_supported: whether the GPU has memory of its own to speak of.
        nvlinks: the far end of each active NVLink, a PCI address or ``SWITCH``.
        is_shared_out: its driver is a hypervisor's, which shares it among virtual machines (NVIDIA vGPU).
        fault: why the GPU cannot be used, in NVML's words; empty for a sound one.
        obstacle: why CUDA starts nothing on it although it answers, one of ``OBSTACLES``; empty where it does.
    """

    index: int | None = None
    pci_address: str | None = None
    uuid: str | None = None
    name: str | None = None
    memory_bytes: int | None = None
    memory_free_bytes: int | None = None
    memory_supported: bool = True
    compute_capability: str | None = None
    architecture: str | None = None
    mig_mode: str | None = None
    mig_devices: tuple[MigDevice, ...] | None = None
    pcie_gen: int | None = None
    pcie_width: int | None = None
    pcie_max_gen: int | None = None
    pcie_max_width: int | None = None
    nvlinks: tuple[str, ...] | None = None
    ecc_corrected: int | None = None
    ecc_uncorrected: int | None = None
    temperature_c: int | None = None
    processes: tuple[Process, ...] | None = None
    is_shared_out: bool = False
    fault: str = ""
    obstacle: str = ""


@dataclass(frozen=True)
class Reading:
    """What NVML or nvidia-smi said.

    Attributes:
        source: ``nvml``, ``nvidia-smi`` or ``none``.
        code: NVML's error code where nothing could be read, else 0.
        said: the words that came with the code.
        paths: NVML's level of topology by the indexes of two GPUs; None where the source cannot say.
    """

    source: str
    gpus: tuple[Gpu, ...] = ()
    driver_version: str | None = None
    cuda_version: str | None = None
    library_version: str | None = None
    code: int = 0
    said: str = ""
    paths: Mapping[tuple[int, int], int] | None = None


@dataclass(frozen=True)
class Surroundings:
    """What the host shows without any driver's help.

    Attributes:
        devices: the display devices and accelerators on PCI.
        kfd: whether AMD's compute driver offers its device file.
        soc: the system on a chip by the device tree, for instance ``nvidia,tegra234``; its GPU is not on PCI.
        dxg: whether Windows lends its GPUs to this Linux (WSL2); they are not on PCI either.
        others: accelerators of other makers, each with its address.
        module_version: version of NVIDIA's kernel module that is loaded.
        memory_bytes: the host's memory.
        memory_free_bytes: what of it programs could have.
        is_container: kernel and driver are another system's.
    """

    devices: tuple[PciDevice, ...] = ()
    kfd: bool = False
    soc: str = ""
    dxg: bool = False
    module_version: str | None = None
    memory_bytes: int | None = None
    memory_free_bytes: int | None = None
    others: tuple[str, ...] = ()
    is_container: bool = False


def obstacle(compute_mode: int | str | None, fabric: int | str | None, mig_mode: str | None) -> str:
    """Return why CUDA starts nothing on a GPU, by NVML's numbers or nvidia-smi's words; empty where nothing is known.

    A GPU in MIG mode has no links that a fabric would be set up for.
    """
    if compute_mode in (PROHIBITED, "Prohibited"):
        return NO_COMPUTING
    is_pending = fabric in (*FABRIC_PENDING, "Not Started", "In Progress")
    return NO_FABRIC if is_pending and mig_mode != "enabled" else ""


def pci_address(text: str) -> str:
    """Return a PCI address as sysfs writes it, for instance ``0000:3b:00.0``.

    NVML and nvidia-smi write the domain with eight digits and in upper case.
    """
    domain, _colon, rest = text.strip().lower().partition(":")
    return f"{int(domain, 16):04x}:{rest}"


def pci_device(address: str, files: Mapping[str, str], driver: str | None) -> PciDevice | None:
    """Read a device's sysfs files ``vendor``, ``device`` and ``class``; None for anything but an NVIDIA or AMD card."""
    vendor, device, kind = (files.get(name, "").strip().replace("0x", "") for name in ("vendor", "device", "class"))
    classes = (*DISPLAY_CLASSES, PROCESSING_CLASS) if vendor == AMD else DISPLAY_CLASSES
    if vendor not in (NVIDIA, AMD) or kind[:4] not in classes:
        return None
    return PciDevice(address, vendor, device, driver)


def other_accelerator(address: str, files: Mapping[str, str]) -> str:
    """Return the name and address of another maker's accelerator; empty for any other device."""
    vendor, device, kind = (files.get(name, "").strip().replace("0x", "") for name in ("vendor", "device", "class"))
    name = OTHERS.get(vendor) if kind[:4] == PROCESSING_CLASS else OTHERS_AS_DISPLAYS.get((vendor, device))
    return f"{name} at {address}" if name else ""


def soc(compatible: str) -> str:
    """Return NVIDIA's system on a chip from the device tree's ``compatible``, its names from exact to general."""
    return next((name for name in compatible.split("\0") if re.fullmatch(r"nvidia,tegra\d+", name)), "")


def module_version(text: str) -> str | None:
    """Find the version in /proc/driver/nvidia/version."""
    found = re.search(r"Kernel Module\b.*?\s(\d+\.\d+(?:\.\d+)?)\s", text)
    return found.group(1) if found else None


def host_memory(meminfo: str) -> tuple[int | None, int | None]:
    """Return total and available memory (bytes) from /proc/meminfo."""
    kib = dict(re.findall(r"^(\w+):\s+([0-9]{1,18}) kB$", meminfo, re.MULTILINE))
    total, free = (int(kib[name]) * KIB if name in kib else None for name in ("MemTotal", "MemAvailable"))
    return total, free


def cuda_version(number: int) -> str:
    """Return CUDA's version from NVML's number: 1000 times major plus 10 times minor."""
    return f"{number // 1000}.{number % 1000 // 10}"


def architecture(number: int | None, capability: str | None) -> str | None:
    """Name an architecture by NVML's number, or by the compute capability where a driver gives none."""
    if number in ARCHITECTURES:
        return ARCHITECTURES[number]
    exact = capability or ""
    return ARCHITECTURE_OF_CAPABILITY.get(exact) or ARCHITECTURE_OF_CAPABILITY.get(exact.partition(".")[0])


def report(reading: Reading, surroundings: Surroundings) -> dict[str, object]:
    """Return what a module reports of a host's accelerators."""
    nvidia = [device for device in surroundings.devices if device.vendor_id == NVIDIA]
    reading = replace(reading, gpus=_with_addresses(reading.gpus, nvidia))
    state, reason = _state(reading, nvidia, surroundings)
    gpus = tuple(_with_shared_memory(gpu, surroundings) for gpu in reading.gpus)
    source = reading.source if gpus or (reading.code == 0 and reading.source != "none") else "none"
    if not gpus and nvidia:
        source, gpus = "sysfs", tuple(Gpu(pci_address=device.address) for device in nvidia)
    links = nvlinks_between(gpus)
    return {
        "state": state,
        "reason": reason,
        "accelerator": "nvidia" if _is_nvidias(state, surroundings) else _accelerator(gpus, surroundings),
        "source": source,
        "driver_version": reading.driver_version or surroundings.module_version,
        "cuda_version": reading.cuda_version,
        "gpus": [_described(gpu, links) for gpu in gpus],
        "topology": _topology(gpus, links, reading.paths),
        "pci_devices": [asdict(device) for device in surroundings.devices],
    }


def _with_addresses(gpus: tuple[Gpu, ...], nvidia: Sequence[PciDevice]) -> tuple[Gpu, ...]:
    """Give lost GPUs, which report no address any more, those that are left over; the driver counts in their order."""
    left = sorted({device.address for device in nvidia} - {gpu.pci_address for gpu in gpus})
    if len(left) != sum(gpu.pci_address is None for gpu in gpus):
        return gpus
    return tuple(gpu if gpu.pci_address else replace(gpu, pci_address=left.pop(0)) for gpu in gpus)


def _state(reading: Reading, nvidia: Sequence[PciDevice], surroundings: Surroundings) -> tuple[str, str]:
    """Return the state's word, and the sentence that says why, and the fix."""
    if reading.code:
        return _state_of_error(reading, nvidia, surroundings)
    faulty = [gpu for gpu in reading.gpus if gpu.fault]
    if faulty:
        return "lost", _lost(
            ", ".join(f"GPU {gpu.index} at {gpu.pci_address or 'an unknown address'}: {gpu.fault}" for gpu in faulty)
        )
    if reading.gpus and all(gpu.is_shared_out for gpu in reading.gpus):
        return OUT_OF_REACH, (
            f"found {_named(nvidia)}, whose driver is that of a hypervisor (NVIDIA vGPU), with which nothing computes "
            "here; wanted a GPU of this host's own; run gpuchat in a virtual machine that has a vGPU, or install the "
            "usual driver in its place"
        )
    barred = [gpu for gpu in reading.gpus if gpu.obstacle]
    bars = "".join(f"; CUDA starts nothing on GPU {gpu.index}, for {gpu.obstacle}" for gpu in barred)
    if barred and len(barred) == len(reading.gpus):
        cures = "; ".join(cure for why, cure in OBSTACLES.items() if any(gpu.obstacle == why for gpu in barred))
        return OUT_OF_REACH, f"found that {bars.removeprefix('; ')}; {cures}"
    served = {gpu.pci_address for gpu in reading.gpus}
    unserved = [device for device in nvidia if device.address not in served]
    if reading.gpus:
        names = Counter(gpu.name or "GPU" for gpu in reading.gpus)
        named = ", ".join(f"{count} x {name}" for name, count in names.items())
        return "ok", named + (f"; the driver does not serve {_named(unserved)}" if unserved else "") + bars
    if any(device.driver == "nvidia" for device in nvidia):
        return "lost", _lost(f"the driver is bound to {_named(nvidia)} and serves none")
    return _no_driver(nvidia, "the driver serves no GPU", surroundings)


def _state_of_error(reading: Reading, nvidia: Sequence[PciDevice], surroundings: Surroundings) -> tuple[str, str]:
    if not nvidia and (surroundings.soc or surroundings.dxg):  # whose driver is elsewhere, whatever the library says
        return _not_on_pci(reading.said, surroundings)
    state = STATES.get(reading.code, "failed")
    is_outsides = surroundings.is_container and surroundings.module_version is not None
    if is_outsides and nvidia and state in ("no_driver", "mismatch"):
        return _in_container(reading, nvidia, surroundings)
    if state == "no_driver":
        return _no_driver(nvidia, reading.said, surroundings)
    if state == "mismatch":
        return state, (
            f"the loaded kernel module is {surroundings.module_version or 'of another version'}, NVIDIA's library "
            f"{reading.library_version or 'of another'}: the driver was upgraded under a running kernel module; "
            "reboot the host"
        )
    if state == "lost":
        return state, _lost(reading.said)
    if state == "no_permission":
        return state, f"the driver refuses this user ({reading.said}); run as root (become: true)"
    return state, f"NVIDIA's driver answers with an error: {reading.said}; look for NVRM in the kernel's log (dmesg)"


def _in_container(reading: Reading, nvidia: Sequence[PciDevice], surroundings: Surroundings) -> tuple[str, str]:
    """Say what is missing where the driver's kernel modules are the business of the system outside."""
    module, library = surroundings.module_version, reading.library_version
    return OUT_OF_REACH, (
        f"found {_named(nvidia)} from within a container, whose kernel is its host's, with the driver {module} loaded, "
        f"and here {f'the libraries of {library}' if library else reading.said}; wanted the libraries of {module}, and "
        "the devices; install them here without kernel modules, have the container given /dev/nvidia*, and see that "
        "`nvidia-smi` works in it"
    )


def _no_driver(nvidia: Sequence[PciDevice], said: str, surroundings: Surroundings) -> tuple[str, str]:
    if not nvidia:
        return _not_on_pci(said, surroundings)
    if all(device.driver in PASSED_THROUGH for device in nvidia):
        held = ", ".join(sorted({str(device.driver) for device in nvidia}))
        return OUT_OF_REACH, (
            f"found {_named(nvidia)}, which the kernel driver {held} keeps for virtual machines; wanted a GPU of this "
            "host's own; run gpuchat in the virtual machine that has the GPU, or take it from that driver (the "
            "kernel's command line, /etc/modprobe.d, the hypervisor's settings) and restart the host"
        )
    others = sorted({device.driver for device in nvidia if device.driver and device.driver != "nvidia"})
    bound = f", bound to the kernel driver {', '.join(others)}" if others else ""
    return "no_driver", f"found {_named(nvidia)}{bound}, but no working NVIDIA driver ({said}); install the driver"


def _not_on_pci(said: str, surroundings: Surroundings) -> tuple[str, str]:
    if surroundings.soc:
        return OUT_OF_REACH, (
            f"found a Jetson or a board like it (the device tree says {surroundings.soc}), whose GPU does not answer "
            f"({said}); wanted NVML, NVIDIA's management library; install a JetPack that brings libnvidia-ml.so.1 and "
            "nvidia-smi, and see that `nvidia-smi` works for root; the driver comes with JetPack alone"
        )
    if surroundings.dxg:
        return OUT_OF_REACH, (
            f"found /dev/dxg, by which Windows lends a GPU to WSL2, and no NVIDIA GPU that answers ({said}); wanted "
            "Windows's NVIDIA driver, whose library WSL2 has in /usr/lib/wsl/lib; install it in Windows, never a "
            "driver in WSL2, run `wsl --shutdown` there, and see that `/usr/lib/wsl/lib/nvidia-smi` works"
        )
    if surroundings.others and not surroundings.kfd:
        return OUT_OF_REACH, (
            f"found {', '.join(surroundings.others)}, which gpuchat does not serve; wanted NVIDIA GPUs or none; take "
            "the host out of the group gpu"
        )
    return "no_gpu", "the host has no NVIDIA GPU"


def _is_nvidias(state: str, surroundings: Surroundings) -> bool:
    """Tell whether a GPU out of reach is one of NVIDIA's, on PCI or not."""
    nvidia = any(device.vendor_id == NVIDIA for device in surroundings.devices)
    return state == OUT_OF_REACH and (nvidia or bool(surroundings.soc) or surroundings.dxg)


def _lost(what: str) -> str:
    return (
        f"{what}; a GPU has left the bus or needs a reset: look for NVRM and Xid in the kernel's log (dmesg), power "
        "the host off and on, and check seating, power and temperature if it comes back"
    )


def _named(devices: Iterable[PciDevice]) -> str:
    return ", ".join(f"{device.address} ({device.vendor_id}:{device.device_id})" for device in devices)


def _accelerator(gpus: Sequence[Gpu], surroundings: Surroundings) -> str:
    if gpus:
        return "nvidia"
    amd = [device for device in surroundings.devices if device.vendor_id == AMD]
    return "rocm" if amd and surroundings.kfd else "cpu"


def _with_shared_memory(gpu: Gpu, surroundings: Surroundings) -> Gpu:
    """Give a GPU that uses the host's memory (GB10, for instance) that memory's figures."""
    if not is_memory_shared(gpu):
        return gpu
    return replace(gpu, memory_bytes=surroundings.memory_bytes, memory_free_bytes=surroundings.memory_free_bytes)


def is_memory_shared(gpu: Gpu) -> bool:
    """Say whether a GPU has no memory of its own; the driver says "not supported" then."""
    return not gpu.memory_supported and gpu.mig_mode != "enabled"


def nvlinks_between(gpus: Sequence[Gpu]) -> dict[int, dict[int, int]] | None:
    """Count the NVLinks of each GPU (by index) to each other one, straight or through NVSwitches.

    Returns None where nothing is known of any GPU's links.
    """
    known = {gpu.index: Counter(gpu.nvlinks) for gpu in gpus if gpu.nvlinks is not None and gpu.index is not None}
    if not known:
        return None
    addresses = {gpu.index: gpu.pci_address for gpu in gpus}
    counted: dict[int, dict[int, int]] = {index: {} for index in known}
    for one, ends in known.items():
        for other, back in known.items():
            straight = ends[addresses[other] or ""]
            links = straight or min(ends[SWITCH], back[SWITCH])
            if one != other and links:
                counted[one][other] = links
    return counted


def _topology(
    gpus: Sequence[Gpu],
    links: Mapping[int, Mapping[int, int]] | None,
    paths: Mapping[tuple[int, int], int] | None,
) -> list[dict[str, object]] | None:
    if links is None and paths is None:
        return None if len(gpus) != 1 else []
    indexes = sorted(gpu.index for gpu in gpus if gpu.index is not None)
    pairs: list[dict[str, object]] = []
    for one, other in ((one, other) for one in indexes for other in indexes if one < other):
        path = PATHS.get((paths or {}).get((one, other), -1))
        nvlinks = (links or {}).get(one, {}).get(other, 0)
        pairs.append(
            {"gpus": [one, other], "link": "nvlink" if nvlinks else path, "pcie_path": path, "nvlinks": nvlinks}
        )
    return pairs


def _described(gpu: Gpu, links: Mapping[int, Mapping[int, int]] | None) -> dict[str, object]:
    peers = (links or {}).get(-1 if gpu.index is None else gpu.index)
    ecc = {"corrected": gpu.ecc_corrected, "uncorrected": gpu.ecc_uncorrected}
    return {
        "index": gpu.index,
        "pci_address": gpu.pci_address,
        "uuid": gpu.uuid,
        "name": gpu.name,
        "memory_bytes": gpu.memory_bytes,
        "memory_free_bytes": gpu.memory_free_bytes,
        "memory_is_shared": is_memory_shared(gpu),
        "compute_capability": gpu.compute_capability,
        "architecture": gpu.architecture,
        "mig_mode": gpu.mig_mode,
        "mig_devices": None if gpu.mig_devices is None else [asdict(device) for device in gpu.mig_devices],
        "pcie": {
            "gen": gpu.pcie_gen,
            "width": gpu.pcie_width,
            "max_gen": gpu.pcie_max_gen,
            "max_width": gpu.pcie_max_width,
        },
        "nvlink_peers": None if peers is None else [{"index": peer, "links": peers[peer]} for peer in sorted(peers)],
        "ecc_errors": None if set(ecc.values()) == {None} else ecc,
        "temperature_c": gpu.temperature_c,
        "processes": None if gpu.processes is None else [asdict(process) for process in gpu.processes],
        "fault": gpu.fault or gpu.obstacle or None,
    }
