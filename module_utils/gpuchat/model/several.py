# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The models of one host: which of them lie in the same folder, and what their runs come to together."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from ..core.change import merged
from ..core.errors import Refusal
from .plan import check_space

OF_EACH = ("source", "repo", "revision", "endpoints", "include", "exclude", "adapter")
"""What says where a model comes from, and which of its files."""

SHARED = ("changed", "diff", "msg", "warnings", "not_predicted")
"""Keys that the whole result has, and no model's own."""


def folders(models: Sequence[Mapping[str, Any]], export: bool = False) -> dict[str, list[Mapping[str, Any]]]:
    """Return the models by the folder that they lie in, in their order: a folder is fetched once.

    Raises:
        Refusal: a name stands twice, one folder is to hold two different models, or nothing says where to export to.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    names: set[str] = set()
    for model in models:
        if model["name"] in names:
            raise Refusal(f"found the model {model['name']} twice; wanted each once; set name of one to another")
        names.add(model["name"])
        if export and not model["export"]:
            raise Refusal(f"found no folder to export {model['name']} to; wanted one on this host; set export")
        others = found.setdefault(posixpath.normpath(str(model["path"])), [])
        if others and any(others[0][key] != model[key] for key in OF_EACH):
            raise Refusal(
                f"found the models {others[0]['name']} and {model['name']} in one folder, {model['path']}, from "
                "different sources; wanted a folder for each; set path of one to another folder"
            )
        others.append(model)
    return found


def together(results: Mapping[str, Mapping[str, Any]], same: Mapping[str, Sequence[str]]) -> dict[str, object]:
    """Return the results of several models as one.

    Args:
        results: each folder's, by the name of the first model in it.
        same: the names of all models of a folder, by the first one's.
    """
    nothing: dict[str, object] = {"changed": False, "diff": [], "msg": "there are no models on this host"}
    whole = {key: value for key, value in merged(*_named(results)).items() if key in SHARED} if results else nothing
    own = {name: {key: value for key, value in one.items() if key not in SHARED} for name, one in results.items()}
    return {
        **whole,
        "models": {name: own[first] for first in own for name in same.get(first, (first,))},
        "bytes_to_fetch": sum(one.get("bytes_to_fetch", 0) for one in own.values()),
        "bytes_fetched": sum(one.get("bytes_fetched", 0) for one in own.values()),
    }


def _named(results: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return results whose words say which model they speak of."""
    return [
        {
            **one,
            "msg": f"{name}: {one['msg']}" if one.get("msg") else "",
            **{key: [f"{name}: {word}" for word in one[key]] for key in ("warnings", "not_predicted") if key in one},
        }
        for name, one in results.items()
    ]


def check_disks(missing: Mapping[str, int], disks: Mapping[str, tuple[object, int]]) -> None:
    """Refuse a disk that is too small for all models that are still to come to it.

    Args:
        missing: bytes that are still to be fetched, by the model's folder.
        disks: the disk that a folder is on, and the bytes that it has left for us.

    Raises:
        Refusal: too little.
    """
    for disk in dict.fromkeys(disk for disk, _free in disks.values()):
        there = [folder for folder, (its, _free) in disks.items() if its == disk and missing.get(folder)]
        if there:
            check_space(sum(missing[folder] for folder in there), disks[there[0]][1], " and ".join(there))
