# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is to compute with, and what its driver still needs for that."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.errors import Refusal

TURING, MAXWELL, BLACKWELL = 0x1E00, 0x1340, 0x2900
"""The lowest PCI device ids of the generations. Open kernel modules begin with Turing (README of NVIDIA's
open-gpu-kernel-modules), Blackwell has no others, and Kepler's last branch is 470."""

LAST_BRANCH = "580"
"""The last branch of NVIDIA's driver that serves Maxwell, Pascal and Volta."""

FIRST_BRANCH = "570"
"""The first branch that serves Blackwell."""

CPU_INSTEAD = "or set gpuchat_accelerator to cpu"


@dataclass(frozen=True)
class Found:
    """What a host has.

    Attributes:
        accelerator: ``nvidia``, ``rocm`` or ``cpu``, by the devices that are there.
        state: how NVIDIA's GPUs answer, as ``gpuchat_gpu_info`` names it.
        reason: the same in words.
        nouveau: the free driver holds a GPU.
        secure_boot: the firmware lets only signed kernel modules in; None where it cannot be known.
        undivided: the GPUs in MIG mode that nobody has divided, where there is no other; CUDA finds no device there.
        device_ids: the PCI device ids of NVIDIA's GPUs, which tell their generation before any driver does.
    """

    accelerator: str
    state: str
    reason: str = ""
    nouveau: bool = False
    secure_boot: bool | None = None
    undivided: tuple[int, ...] = ()
    device_ids: tuple[int, ...] = ()

    @property
    def last_branch(self) -> str:
        """The last branch of NVIDIA's driver that serves these GPUs, and with closed modules alone; else empty."""
        return LAST_BRANCH if any(one < TURING for one in self.device_ids) else ""


@dataclass(frozen=True)
class Wanted:
    """What the owner wants.

    Attributes:
        accelerator: ``auto``, ``nvidia`` or ``cpu``.
        install_driver: the driver may be installed.
        signed_modules: the driver's packages bring kernel modules that the firmware trusts.
        reboot: the host may be restarted.
        branch: the branch of the driver that would be installed; empty where the GPUs decide.
        open_modules: it would be installed with the open kernel modules.
    """

    accelerator: str = "auto"
    install_driver: bool = False
    signed_modules: bool = False
    reboot: bool = False
    branch: str = ""
    open_modules: bool = True


@dataclass(frozen=True)
class Decision:
    """What the host computes with, and what is to be done first."""

    accelerator: str
    install_driver: bool = False
    reboot: bool = False
    reason: str = ""


def decide(found: Found, wanted: Wanted, installed: bool = False) -> Decision:
    """Decide what a host computes with.

    Args:
        installed: this run has just installed the driver.

    Raises:
        Refusal: it cannot be as wanted; the text says what to set or to do.
    """
    if wanted.accelerator == "cpu":
        return Decision("cpu", reason="the CPU, as gpuchat_accelerator says")
    if found.accelerator == "rocm":
        raise Refusal(
            "found an AMD GPU (rocm), which gpuchat does not serve yet; wanted NVIDIA GPUs or none; "
            f"take the host out of the group gpu, {CPU_INSTEAD}"
        )
    if found.undivided:
        raise Refusal(f"{no_mig_devices(found.undivided[0])}; {CPU_INSTEAD}")
    if found.state == "ok":
        return Decision("nvidia", reason="NVIDIA GPUs with a working driver")
    if found.state == "no_gpu":
        if wanted.accelerator == "nvidia":
            raise Refusal(
                "found no NVIDIA GPU on this host; wanted one, as gpuchat_accelerator says; "
                "look at `lspci -d 10de:`, or set gpuchat_accelerator to auto or cpu"
            )
        return Decision("cpu", reason="the CPU: the host has no NVIDIA GPU")
    return _to_be_fixed(found, wanted, installed)


def no_mig_devices(index: int) -> str:
    """Return the words for a GPU in MIG mode without a part: what was found, what was wanted, and the commands."""
    return (
        f"found that GPU {index} is in MIG mode and has no MIG device, so that CUDA finds nothing there; wanted MIG "
        f"devices or the whole GPU; make some with `nvidia-smi mig -i {index} -cgi PROFILE -C`, where `nvidia-smi mig "
        f"-i {index} -lgip` lists the profiles, or turn the mode off with `nvidia-smi -i {index} -mig 0`"
    )


def _to_be_fixed(found: Found, wanted: Wanted, installed: bool) -> Decision:
    if found.state == "out_of_reach":  # whatever may be installed or restarted
        raise Refusal(f"{found.reason}, {CPU_INSTEAD}")
    if found.state == "no_driver" and not installed:
        return _to_be_installed(found, wanted)
    if found.state in ("no_driver", "mismatch"):
        if wanted.reboot:
            return Decision("nvidia", reboot=True, reason=f"a restart of the host: {found.reason}")
        raise Refusal(
            f"{found.reason}; wanted a driver that runs; restart the host and run again, or set nvidia_driver_reboot "
            "to true; where it has just restarted, look at `dkms status` and `modprobe nvidia`, and set "
            "nvidia_driver_kernel to the kind of kernel that runs"
        )
    hint = {
        "lost": "restart the host; if it happens again, look at its power, cooling and seat (`dmesg | grep NVRM`)",
        "no_permission": "run as root, and see that the container or virtual machine was given the devices",
    }.get(found.state, "look at `nvidia-smi` on the host")
    raise Refusal(f"{found.reason}; wanted GPUs that answer; {hint}, {CPU_INSTEAD}")


def _refuse_generations(found: Found, wanted: Wanted) -> None:
    old = [one for one in found.device_ids if one < TURING]
    if any(one < MAXWELL for one in old):
        raise Refusal(
            f"found a GPU older than Maxwell (PCI 10de:{min(old):04x}), whose last driver is of branch 470; wanted "
            f"GPUs that vLLM runs on, of Volta or newer; take it out of the host, {CPU_INSTEAD}"
        )
    if old and max(found.device_ids) >= BLACKWELL:
        raise Refusal(
            f"found GPUs older than Turing (PCI 10de:{min(old):04x}) beside Blackwell's or newer "
            f"(10de:{max(found.device_ids):04x}), which no one driver serves: the former need closed kernel modules, "
            f"the latter open ones; wanted one generation; move the former to another host, {CPU_INSTEAD}"
        )
    if old and wanted.branch.isdigit() and int(wanted.branch) > int(LAST_BRANCH):
        raise Refusal(
            f"found a GPU older than Turing (PCI 10de:{min(old):04x}) and branch {wanted.branch}; wanted "
            f"{LAST_BRANCH}, the last that serves it; set nvidia_driver_branch to {LAST_BRANCH}"
        )
    newest = max(found.device_ids, default=0)
    if newest < BLACKWELL:
        return
    blackwell = f"found a GPU of Blackwell's generation or newer (PCI 10de:{newest:04x})"
    if wanted.branch.isdigit() and int(wanted.branch) < int(FIRST_BRANCH):
        raise Refusal(
            f"{blackwell} and branch {wanted.branch}; wanted {FIRST_BRANCH} or newer, the first that serves it; set "
            f"nvidia_driver_source to nvidia, or on Ubuntu nvidia_driver_branch to {LAST_BRANCH}"
        )
    if not wanted.open_modules:
        raise Refusal(
            f"{blackwell} and closed kernel modules; wanted the open ones, for it has no others; set "
            "nvidia_driver_open_modules to true"
        )


def _to_be_installed(found: Found, wanted: Wanted) -> Decision:
    if not wanted.install_driver:
        raise Refusal(
            f"found an NVIDIA GPU without a working driver ({found.reason}); wanted the driver; install it, "
            f"or set nvidia_driver_install to true, {CPU_INSTEAD}"
        )
    _refuse_generations(found, wanted)
    if found.secure_boot and not wanted.signed_modules:
        raise Refusal(
            "Secure Boot is on, and the driver's packages build their kernel modules on this host, which the firmware "
            "would not trust; wanted signed modules; set nvidia_driver_source to distribution on Ubuntu, "
            "or turn Secure Boot off in the firmware, or sign the modules with a key of your own and install the driver"
        )
    if found.nouveau and not wanted.reboot:
        raise Refusal(
            "the free driver nouveau holds the GPU, and lets go of it only when the host restarts; wanted a restart "
            "after NVIDIA's driver is installed; set nvidia_driver_reboot to true, "
            "or blacklist nouveau, restart the host and run again"
        )
    return Decision("nvidia", install_driver=True, reason=f"NVIDIA's driver is to be installed: {found.reason}")
