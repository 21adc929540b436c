# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what a host's GPUs do at the moment: by NVML, else by nvidia-smi; of a host without any, nothing."""

from __future__ import annotations

import contextlib
from typing import Any

from ..core import host
from . import figures, smi
from .figures import Figures

SMI_SECONDS = 20
NVML_MILLI = 1000
UNCORRECTED, VOLATILE, DIE = 1, 0, 0
"""NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC, NVML_TEMPERATURE_GPU."""


def read() -> tuple[Figures, ...]:
    """Return the figures of each GPU that answers."""
    found = _by_nvml()
    return _by_smi() if found is None else found


def _by_nvml() -> tuple[Figures, ...] | None:
    """Return what NVML says; None where this Python has no pynvml, or it finds no library that fits."""
    try:
        import pynvml  # noqa: PLC0415 - the toolbox's, on hosts that have one
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError, AttributeError):
        return None
    try:
        return tuple(one for index in range(pynvml.nvmlDeviceGetCount()) for one in [_of_device(pynvml, index)] if one)
    except pynvml.NVMLError:
        return ()
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _of_device(nvml: Any, index: int) -> Figures | None:
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
    except nvml.NVMLError:
        return None

    def ask(name: str, *more: object) -> Any:
        function = getattr(nvml, name, None)
        try:
            return function(handle, *more) if function else None
        except nvml.NVMLError:
            return None

    memory, load, power = (ask(f"nvmlDeviceGet{name}") for name in ("MemoryInfo", "UtilizationRates", "PowerUsage"))
    bits = ask("nvmlDeviceGetCurrentClocksEventReasons")
    temperature = ask("nvmlDeviceGetTemperatureV", DIE)
    return Figures(
        index=index,
        uuid=_text(ask("nvmlDeviceGetUUID")),
        name=_text(ask("nvmlDeviceGetName")),
        utilization=None if load is None else load.gpu / 100,
        memory_used_bytes=None if memory is None else memory.used,
        memory_total_bytes=None if memory is None else memory.total,
        temperature_c=temperature if temperature is not None else ask("nvmlDeviceGetTemperature", DIE),
        power_watts=None if power is None else power / NVML_MILLI,
        ecc_uncorrected=ask("nvmlDeviceGetTotalEccErrors", UNCORRECTED, VOLATILE),
        throttling=bits if bits is not None else ask("nvmlDeviceGetCurrentClocksThrottleReasons"),
    )


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")


def _by_smi() -> tuple[Figures, ...]:
    program = host.program("nvidia-smi")
    fields = list(figures.SMI_FIELDS)
    while program:
        query = [program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
        output = host.run(query, SMI_SECONDS)
        unknown = smi.unknown_smi_field(output.text)
        if unknown not in fields:
            return figures.of_smi(output.stdout, fields) if output.rc == 0 else ()
        fields.remove(unknown)
    return ()
