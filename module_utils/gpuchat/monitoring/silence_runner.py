# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Silences alerts for planned work, at the Alertmanager on the loopback of the monitoring host."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from ..core import host
from ..core.change import Plan
from ..inventory.topology import LOOPBACK
from . import silence
from .silence import Post, Take

ANSWER_SECONDS = 10
JSON = {"Content-Type": "application/json"}


def run(given: Mapping[str, Any]) -> dict[str, object]:
    """Do as ``ensure``, for a command that is run over a fleet."""
    return ensure(given, False)


def ensure(params: Mapping[str, Any], check: bool) -> dict[str, object]:
    """Make, shorten or take away the silences of some work, and return a module's result.

    An Alertmanager that does not answer is no reason to leave the work undone: it is a warning.

    Args:
        params: ``state``, ``work``, ``hosts``, ``seconds``, ``alone``, ``fewer`` as ``silence`` has them, and ``port``.
    """
    address = f"http://{LOOPBACK}:{int(params['port'])}/api/v2"
    answer = host.http(f"{address}/silences", timeout=ANSWER_SECONDS, direct=True)
    found = answer.json()
    if answer.status != 200 or not isinstance(found, list):
        return _unheard(answer.error or f"it answered {answer.status}")
    wanted = silence.matchers(params["hosts"], bool(params.get("alone")), bool(params.get("fewer")))
    plan = silence.plan(params["state"], params["work"], wanted, found, time.time(), float(params["seconds"]))
    if not check:
        problem = _act(address, plan)
        if problem:
            return _unheard(problem)
    return plan.result()


def _act(address: str, plan: Plan) -> str:
    """Do a plan's actions; return what went wrong, in words."""
    for action in plan.actions:
        if isinstance(action, Take):
            answer = host.http(f"{address}/silence/{action.id}", "DELETE", timeout=ANSWER_SECONDS, direct=True)
        elif isinstance(action, Post):
            body = json.dumps(action.body).encode()
            answer = host.http(f"{address}/silences", "POST", JSON, body, ANSWER_SECONDS, direct=True)
        if answer.status != 200:
            return answer.error or f"it answered {answer.status} {answer.body[:200].decode(errors='replace')}"
    return ""


def _unheard(problem: str) -> dict[str, object]:
    words = f"found an Alertmanager that was not reached ({problem}); alerts of this work are told as any other"
    return {"changed": False, "diff": [], "msg": words, "warnings": [words]}
