# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps each host's plan on the control node, and reads those that an earlier run kept."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from ..core import host as system
from .served import HostPlan, Served, serve


def ensure(params: Mapping[str, object], check_mode: bool) -> tuple[Served, dict[str, object]]:
    """Return what is served, and the module's result."""
    name, folder = str(params["model"]), os.path.join(str(params["folder"]), "plans")
    hosts = [str(one) for one in params["hosts"]]  # type: ignore[attr-defined]
    given: Mapping[str, Mapping[str, object]] = params["plans"]  # type: ignore[assignment]
    planned = {one: HostPlan(name, given[one]) for one in hosts if one in given}
    kept = {one: plan for one in hosts for plan in [_read(_path(folder, one))] if plan}
    changed = [one for one, plan in planned.items() if kept.get(one) != plan]
    result: dict[str, object] = {"changed": False}
    if check_mode and any(one not in planned and one not in kept for one in hosts):
        result["not_predicted"] = ["what the model can do, for some GPUs are not known yet"]
        return Served(name), result
    served = serve(name, hosts, planned, kept, folder)
    for one in changed if not check_mode else ():
        os.makedirs(folder, exist_ok=True)
        system.write_json(_path(folder, one), planned[one].as_dict(), mode=0o644)
    return served, result


def _path(folder: str, host: str) -> str:
    return os.path.join(folder, host.replace("/", "_") + ".json")


def _read(path: str) -> HostPlan | None:
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        return HostPlan(str(content["model"]), dict(content["args"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
