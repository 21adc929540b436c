# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a run's report for browsers and build servers, beside that for programs."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Mapping
from typing import Any

from ..core import host
from . import changes
from .plan_page import Planned
from .run_page import Run, junit, page

JSON = ".json"


def write(params: Mapping[str, Any], report: Mapping[str, Any], common: str) -> tuple[str, str]:
    """Write both, with the name of the JSON report but for its end; return their paths.

    Args:
        params: of the module gpuchat_verify.
        report: what its JSON report holds.
        common: what the commands of all rows begin with.
    """
    run = Run(
        report,
        common,
        served=params["site"]["models"],
        topology=params["topology"],
        addresses=params["addresses"],
        planned=[one for entry in params["plans"] for one in Planned.read(entry)],
        images=params["images"],
        versions=params["versions"],
        changes=changes.read(params["changes"]),
        loads=_loads(str(params["folder"] or "")),
    )
    path = str(params["report_file"])
    stem = path.removesuffix(JSON)
    paths = (f"{stem}.html", f"{stem}.xml")
    for where, text in zip(paths, (page(run), junit(run))):
        host.write_atomically(where, text.encode(), 0o644)
    return paths


def _loads(folder: str) -> list[Mapping[str, Any]]:
    """Return the histories of loads that lie in a folder; one that cannot be read is the load's own matter."""
    found: list[Mapping[str, Any]] = []
    for path in sorted(glob.glob(os.path.join(glob.escape(folder), "load-*.json"))) if folder else ():
        try:
            with open(path, encoding="utf-8") as file:
                one = json.load(file)
        except (OSError, ValueError):
            continue
        if isinstance(one, dict) and isinstance(one.get("runs"), list):
            found.append(one)
    return found
