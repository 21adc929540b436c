# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notes what each task of a run has changed, for the report in which the run ends."""

from __future__ import annotations

DOCUMENTATION = r"""
name: gpuchat_changes
type: notification
short_description: Note what a run changes, for its report
version_added: 0.1.0
description:
  - Notes each task that changed something, with its host and the names of what it changed, never their content.
  - The notes lie in Ansible's own temporary folder of the run, are read by the verification at the run's end, and go
    with that folder. In a checkout this is enabled; of an installed collection, name it in C(callbacks_enabled).
author: gpuchat contributors (@gpuchat)
"""

import contextlib
import json
import os

from ansible import constants
from ansible.plugins.callback import CallbackBase

NOTES = "gpuchat-changes.jsonl"
MOST_NAMES = 100


class CallbackModule(CallbackBase):
    """Writes a line at the start, and one for each result of a task."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "gpuchat.stack.gpuchat_changes"

    def v2_playbook_on_start(self, playbook):
        self._note({"playbook": os.path.basename(playbook._file_name)}, "w")

    def v2_runner_on_ok(self, result):
        # Their names since ansible-core 2.19, and those before.
        task, host = (getattr(result, name, None) or getattr(result, f"_{name}") for name in ("task", "host"))
        found = getattr(result, "result", None) or result._result
        if not found.get("changed"):
            self._note({})
            return
        self._note({"task": task.get_name().strip(), "host": host.get_name(), "names": _names(found)})

    def _note(self, line, mode="a"):
        # What cannot be noted spoils no run.
        with contextlib.suppress(OSError, TypeError, ValueError):
            path = os.path.join(constants.DEFAULT_LOCAL_TMP, NOTES)
            with open(path, mode, encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def _names(found):
    """Return what a result says that it has changed, by the heads of its differences."""
    differences = found.get("diff") or []
    listed = differences if isinstance(differences, list) else [differences]
    heads = [one.get("after_header") or one.get("before_header") for one in listed if isinstance(one, dict)]
    return [str(head) for head in heads if head][:MOST_NAMES]
