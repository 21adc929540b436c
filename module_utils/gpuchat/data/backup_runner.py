# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has the program of the role backup do what a playbook asks for."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from ..core import host
from ..core.errors import Refusal
from . import backup
from .backup import Finding

LONGEST_SECONDS = 86400.0


def ensure(params: Mapping[str, Any], check: bool) -> dict[str, object]:
    """Do one action, and return the module's result.

    Raises:
        Refusal: a restore was not confirmed, or this host has no backup set up; nothing was changed.
        CommandFailed: the action failed; its text says what that means.
    """
    action = str(params["action"])
    if not check:
        backup.refuse_unwanted(action, str(params["confirm"]), str(params["domain"]))
    if not os.path.exists(backup.CONFIGURATION):
        if check:
            return {"changed": action != "drill", "diff": [], "msg": f"would {action}, once the role backup has run"}
        raise Refusal("found no backup set up on this host; wanted one; set backup_target and run site.yml")
    changed = action != "drill"
    if check:
        return {"changed": changed, "diff": [], "msg": f"would {action}"}
    command = backup.command(action, str(params["snapshot"]), str(params["folder"]))
    done = host.run(command, timeout=LONGEST_SECONDS)
    told = backup.outcome(done.rc, done.stdout, done.stderr)
    return {**told, "changed": changed, "diff": [], "msg": backup.words(action, told)}


def age(max_age_hours: float) -> Finding:
    """Say how this host's newest backup is."""
    return backup.age_finding(host.read_json(backup.STATUS), time.time(), max_age_hours)
