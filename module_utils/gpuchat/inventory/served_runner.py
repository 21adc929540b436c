# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps each host's plans on the control node, and reads those that an earlier run kept."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from ..core import host as system
from .served import CHAT, Engine, HostPlan, Model, Served, serve


def ensure(params: Mapping[str, Any], check_mode: bool) -> tuple[tuple[Served, ...], dict[str, object]]:
    """Return what is served, and the module's result."""
    folder = os.path.join(str(params["folder"]), "plans")
    models = [_model(one) for one in params["models"]]
    hosts = dict.fromkeys(host for model in models for host in model.hosts)
    planned = {host: _plan(given) for host, given in params["plans"].items() if host in hosts}
    kept = {host: plan for host in hosts for plan in [_read(_path(folder, host))] if plan}
    result: dict[str, object] = {"changed": False}
    if check_mode and any(host not in planned and host not in kept for host in hosts):
        result["not_predicted"] = ["what the models can do, for some GPUs are not known yet"]
        return tuple(
            Served(one.name, CHAT if one.task == "auto" else one.task, live=one.live) for one in models
        ), result
    served = serve(models, planned, kept, folder)
    for host, plan in planned.items() if not check_mode else ():
        if kept.get(host) != plan:
            os.makedirs(folder, exist_ok=True)
            engines = {name: engine.as_dict() for name, engine in plan.items()}
            system.write_json(_path(folder, host), {"engines": engines}, mode=0o644)
    return served, result


def _model(given: Mapping[str, Any]) -> Model:
    context = given.get("context")
    return Model(
        str(given["name"]),
        str(given["task"]),
        tuple(given["hosts"]),
        live=bool(given.get("live")),
        tool_calls=bool(given.get("tools")),
        context=int(context) if context else None,
        vision=bool(given.get("vision")),
        engine=str(given.get("engine") or ""),
    )


def _plan(given: Mapping[str, Mapping[str, Any]]) -> HostPlan:
    return {str(name): _engine(one) for name, one in given.items()}


def _engine(given: Mapping[str, Any]) -> Engine:
    dimensions, askable = given.get("dimensions"), given.get("askable_dimensions")
    return Engine(
        str(given.get("task") or CHAT),
        dict(given["args"]),
        None if dimensions is None else int(dimensions),
        None if askable is None else tuple(map(int, askable)),
        bool(given.get("vision")),
    )


def _path(folder: str, host: str) -> str:
    return os.path.join(folder, host.replace("/", "_") + ".json")


def _read(path: str) -> HostPlan | None:
    try:
        with open(path, encoding="utf-8") as file:
            return _plan(json.load(file)["engines"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
