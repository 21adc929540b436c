# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a host's accelerators and at its firmware, and has decided what the host computes with."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

from ..core import host
from ..core.change import Plan
from ..core.errors import Refusal
from ..system.release import Release
from . import readings, readings_runner
from .accelerator import Found, Wanted, decide

FABRIC_MANAGER = "nvidia-fabricmanager.service"
FABRIC_SECONDS = 120.0
"""What it gets after a restart of the host: it trains the links of all GPUs."""

FIRMWARE = "/sys/firmware/efi"
SECURE_BOOT = f"{FIRMWARE}/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
"""The variable of the UEFI specification (3.3, "Globally Defined Variables"); its last byte is 1 where it is on."""


def ensure(params: Mapping[str, Any], check: bool) -> dict[str, object]:
    """Return a module's result: what the host computes with, what is to be done first, and all that was found.

    Raises:
        Refusal: it cannot be as wanted.
    """
    seen = _seen()
    devices: list[dict[str, object]] = seen["pci_devices"]  # type: ignore[assignment]
    gpus: list[dict[str, object]] = seen["gpus"]  # type: ignore[assignment]
    undivided = tuple(
        int(str(gpu["index"])) for gpu in gpus if gpu["mig_mode"] == "enabled" and gpu["mig_devices"] == []
    )
    found = Found(
        str(seen["accelerator"]),
        str(seen["state"]),
        str(seen["reason"]),
        any(device["driver"] == "nouveau" for device in devices),
        secure_boot(),
        undivided if len(undivided) == len(gpus) else (),
        tuple(int(str(device["device_id"]), 16) for device in devices if device["vendor_id"] == readings.NVIDIA),
    )
    release = Release.parse(host.os_release())
    wanted = Wanted(
        str(params["accelerator"]),
        bool(params["install_driver"]),
        release.id in params["signed_modules"],
        bool(params["reboot"]),
        str(release.row(params["branches"]) or params["branch"]),
        bool(params["open_modules"]),
    )
    installed = bool(params["driver_installed"])
    try:
        decision = decide(found, wanted, installed)
    except Refusal:
        if not (check and installed):
            raise
        note = "what the GPUs say: the driver is not installed yet"
        result = Plan(reason="NVIDIA's driver is to be installed first", notes=(note,)).result()
        return {
            **seen,
            **result,
            "accelerator": "nvidia",
            "last_branch": found.last_branch,
            "install_driver": False,
            "reboot": False,
        }
    result = Plan(reason=decision.reason).result()
    todo = {"install_driver": decision.install_driver, "reboot": decision.reboot, "last_branch": found.last_branch}
    return {**seen, **result, "accelerator": decision.accelerator, **todo}


def _seen() -> dict[str, object]:
    """Return what can be read of the accelerators, once a fabric manager that runs has set up their fabric."""
    seen = readings_runner.look()

    def missing() -> str | None:
        nonlocal seen
        seen = readings_runner.look()
        return seen["reason"] if _is_fabric_missing(seen) else None  # type: ignore[return-value]

    if _is_fabric_missing(seen) and host.run(["systemctl", "is-active", "--quiet", FABRIC_MANAGER]).rc == 0:
        host.wait_for(missing, FABRIC_SECONDS, 5.0)
    return seen


def _is_fabric_missing(seen: Mapping[str, object]) -> bool:
    return any(gpu.get("fault") == readings.NO_FABRIC for gpu in seen["gpus"])  # type: ignore[attr-defined]


def secure_boot() -> bool | None:
    """Return whether the firmware lets only signed kernel modules in; None where it cannot be known."""
    try:
        return pathlib.Path(SECURE_BOOT).read_bytes()[-1] == 1
    except (OSError, IndexError):
        return None if pathlib.Path(FIRMWARE).exists() else False
