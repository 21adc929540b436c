# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits until engines have answered all who asked them."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..core import host
from ..system import service_runner
from . import engines
from .drain import Quiet, connections

PROC = pathlib.Path("/proc")
LOOK_SECONDS = 0.5


def wait(given: Sequence[Mapping[str, Any]], names: Sequence[str], seconds: float, check: bool) -> dict[str, object]:
    """Wait until nobody is connected to some engines, or the time is over; return the module's result.

    Args:
        given: the host's engines, each with its name, its container and its socket.
        names: those to wait for.
        seconds: the limit.
        check: whether to look once and wait for nothing.
    """
    chosen = [one for one in given if one["name"] in names]
    start = time.monotonic()
    quiet = Quiet().after(_looked(chosen), start)
    while not check and not quiet.is_over(time.monotonic()) and time.monotonic() - start < seconds:
        time.sleep(LOOK_SECONDS)
        found = _looked(chosen)
        quiet = quiet.after(found, time.monotonic())
    waited = time.monotonic() - start
    result: dict[str, object] = {"changed": False, "diff": [], "open": dict(quiet.open), "seconds": round(waited, 1)}
    if not quiet.words():
        return {**result, "msg": "no request is open"}
    if check:
        return {**result, "msg": f"requests are open: {quiet.words()}"}
    warning = (
        f"requests are open after {waited:.0f} s: {quiet.words()}; they are cut when the engine stops, and a longer "
        "upgrade_drain_seconds would let them end"
    )
    return {**result, "msg": warning, "warnings": [warning]}


def _looked(chosen: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {str(one["name"]): _connections(str(one["container"]), str(one.get("socket") or "")) for one in chosen}


def _connections(container: str, path: str) -> int:
    """Return how many are connected to an engine; none where it does not run.

    Its network is its own, so that the host's list of sockets has none of its.
    """
    program = service_runner.program_for(container)
    of_unit = ["systemctl", "show", "--property=MainPID", "--value", service_runner.unit_of(container)]
    shown = host.run([program, "inspect", "--format", "{{.State.Pid}}", container] if program else of_unit)
    process = shown.stdout.strip()
    if shown.rc != 0 or not process.isdigit() or process == "0":
        return 0
    try:
        text = (PROC / process / "net" / "unix").read_text(encoding="utf-8", errors="replace")
    except OSError:  # it has ended since
        return 0
    return connections(text, {engines.SOCKET, path})
