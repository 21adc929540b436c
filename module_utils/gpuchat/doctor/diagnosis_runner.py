# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Joins what all hosts answered, on the control node, and writes the diagnosis where people find it."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..core import host
from ..core.errors import Unhealthy
from ..survey.expectations import expect
from ..survey.types import SEVERITIES, Expected
from .answers import answer_of
from .diagnosis import as_dict, as_json, diagnose, message, table
from .types import Examined

FILE = "doctor.json"
FAILS = {"never": len(SEVERITIES), "fault": 2, "warning": 1}
"""From which place among the severities on the module ends with a failure."""


def ensure(params: Mapping[str, Any], check: bool) -> dict[str, object]:
    """Write doctor.json, and return the module's result with the table.

    Raises:
        Unhealthy: something is wrong, as grave as the option ``fail`` says.
    """
    now = datetime.datetime.now(datetime.timezone.utc)
    hosts = [_examined(one, params) for one in params["hosts"]]
    diagnosis = diagnose(hosts, params["inventory"], now, params["notes"])
    path = os.path.join(params["folder"], FILE)
    if not check:
        host.write_atomically(path, as_json(diagnosis, now).encode(), 0o600)
    result = {"changed": False, "file": path, **as_dict(diagnosis, now), "table": table(diagnosis)}
    if SEVERITIES.index(diagnosis.severity) >= FAILS.get(str(params["fail"]), FAILS["fault"]):
        raise Unhealthy(message(diagnosis), **result)
    return {**result, "msg": diagnosis.summary}


def _examined(one: Mapping[str, Any], params: Mapping[str, Any]) -> Examined:
    name, result = str(one["name"]), one.get("result") or {}
    here = (params["topology"].get("hosts") or {}).get(name)
    expected = Expected(name)  # by an inventory with faults, nobody knows what it should be
    if here is not None:
        expected = replace(
            expect(name, one["groups"], one["variables"], here.get("engines") or ()),
            lock=params["lock"],
            fingerprints=one.get("fingerprints") or {},
            monitored=bool(params["topology"].get("monitoring")),
        )
    return Examined(expected, answer_of(result), result.get("checks") or {}, here or {})
