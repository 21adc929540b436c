# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches the models of a host one after the other, after a look at all: they share its line and its disks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..core.errors import Failure, Refusal
from ..system import toolbox_runner
from . import runner
from .job_runner import Job, Result
from .several import check_disks, folders, together
from .store_runner import Store

Params = Mapping[str, Any]


def ensure(params: Params, check: bool) -> Result:
    """Ensure the models that a module's parameters name, and return the module's result.

    Raises:
        Refusal: one of them is none, or cannot be fetched; those before it are there, and ``models`` names them.
    """
    of_folder = {
        models[0]["name"]: models for models in folders(params["models"], params["state"] == "export").values()
    }
    same = {first: [model["name"] for model in models] for first, models in of_folder.items()}
    wanted = {first: _one(params, models[0]) for first, models in of_folder.items()}
    looking = check or params["state"] == "metadata"
    if not looking and any(one["source"] not in ("path", "git") for one in wanted.values()):
        # Before the first is fetched: what follows would start anew, and forget what has changed.
        toolbox_runner.respawn_for("requests", str(params["toolbox"]))
    done: dict[str, Result] = {str(one["name"]): one["result"] for one in params["finished"] or ()}
    if params["state"] == "present" and not check and not done and len(wanted) > 1:
        _check_room(wanted)
    faults: list[str] = []
    for name, one in wanted.items():
        if name in done:
            continue
        try:
            result = runner.ensure(one, check)
        except Failure as error:
            faults.append(f"{name}: {error}")
            if looking:  # each is told what is wrong with it in one run
                continue
            break
        if result.get("running"):
            progress = {"model": name, **(result["progress"] or {})}  # type: ignore[dict-item]
            finished = [{"name": before, "result": its} for before, its in done.items()]
            return {"changed": False, "running": True, "progress": progress, "finished": finished}
        done[name] = result
    if faults:
        raise Refusal("\n".join(faults), models=together(done, same)["models"])
    if check and params["state"] == "present":
        _check_disks({str(wanted[name]["dest"]): _missing(result) for name, result in done.items()})
    return together(done, same)


def _one(params: Params, model: Mapping[str, Any]) -> dict[str, Any]:
    """Return one model's parameters, as its own runner takes them."""
    common = {key: value for key, value in params.items() if key not in ("models", "finished")}
    own = {**model, "dest": model["path"], "endpoint": model["endpoints"]}
    return {**common, **own}


def _check_room(wanted: Mapping[str, Params]) -> None:
    """Refuse disks that are too small for all together, before the first byte; what waits is not asked again.

    Raises:
        Refusal: too little room, or a model that cannot be fetched.
    """
    if any(one["job"] and Job(Store(str(one["dest"])).side, str(one["job"])).exists() for one in wanted.values()):
        return  # a later call of the same task
    missing: dict[str, int] = {}
    for name, one in wanted.items():
        try:
            if not runner.is_settled(one):
                result = runner.ensure({**one, "verify": "download", "job": ""}, check=True)
                missing[str(one["dest"])] = _missing(result)
        except Failure as error:
            raise Refusal(f"{name}: {error}") from error
    _check_disks(missing)


def _missing(result: Mapping[str, Any]) -> int:
    return int(result["bytes_to_fetch"])


def _check_disks(missing: Mapping[str, int]) -> None:
    check_disks(missing, {folder: (_disk(folder), Store(folder).free()) for folder in missing})


def _disk(folder: str) -> int:
    place = Store(folder).side
    while not os.path.exists(place):
        place = os.path.dirname(place)
    return os.stat(place).st_dev
