# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records what each task of each run did, so that tests can compare a check run with the run itself."""

from __future__ import annotations

import json
import os

from ansible import context
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: task_record
type: notification
short_description: Records task results
description: Appends one JSON line per finished task to the file that C(GPUCHAT_TASK_RECORD) names.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "task_record"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self.path = os.environ.get("GPUCHAT_TASK_RECORD")
        self.run = None

    def v2_playbook_on_start(self, playbook):
        self.run = {
            "run": os.getpid(),
            "playbook": os.path.basename(playbook._file_name),
            "check": context.CLIARGS.get("check", False),
        }

    def v2_runner_on_ok(self, result):
        self._record(result, "ok")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._record(result, "failed")

    def v2_runner_on_skipped(self, result):
        self._record(result, "skipped")

    def _record(self, result, state):
        if not self.path:
            return
        task = result._task
        entry = {
            **self.run,
            "task": task.get_name().strip(),
            "action": task.action,
            "host": result._host.get_name(),
            "state": state,
            "changed": bool(result._result.get("changed")),
            "not_predicted": result._result.get("not_predicted", []),
            "args": str((result._task_fields or {}).get("args")),
        }
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
