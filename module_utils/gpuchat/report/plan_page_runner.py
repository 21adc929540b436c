# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes plans where people find them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..core import host
from ..core.change import Difference, Plan
from ..core.errors import Refusal
from .plan_page import Planned, as_json, page, table

FAILS = {"never": (), "refused": ("refused",), "unfit": ("refused", "does not fit")}
"""Verdicts that end with a failure, by the option ``fail``."""


def ensure(params: Mapping[str, Any], check: bool) -> dict[str, object]:
    """Write plan.html and plan.json where they differ, and return the module's result with the table."""
    planned = [one for entry in params["plans"] for one in Planned.read(entry)]
    wanted = {"plan.html": page(planned), "plan.json": as_json(planned)}
    differences = []
    for name, text in wanted.items():
        path = os.path.join(params["folder"], name)
        there = host.file_state(path)
        before = there.content.decode(errors="replace") if there and there.content is not None else ""
        if before != text:
            differences.append(Difference(path, before, text))
            if not check:
                host.write_atomically(path, text.encode(), 0o644)
    reason = f"{len(planned)} plans, {sum(one.verdict == 'fits' for one in planned)} of them fit"
    plan = Plan(tuple(differences), tuple(difference.name for difference in differences), reason)
    result = {**plan.result(), "table": table(planned)}
    failed = [one for one in planned if one.verdict in FAILS[params.get("fail") or "never"]]
    if failed:
        found = ", ".join(f"{one.model} on {one.host} ({one.verdict})" for one in failed)
        raise Refusal(
            f"found plans that do not serve: {found}; wanted plans that fit; change what the table and plan.html say "
            "would fit, or set plan_fail to never where a table is enough",
            **{key: value for key, value in result.items() if key != "msg"},
        )
    return result
