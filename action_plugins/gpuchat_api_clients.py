# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands the clients' keys to the module of the same name, and shows its table on the control node's terminal."""

from __future__ import annotations

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Run on the control node for each ``gpuchat_api_clients`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        # Not by the task's own arguments, which callbacks may record.
        secrets = task_vars.get("__gpuchat_secrets") or {}
        args.setdefault("clients", secrets.get("clients") or [])
        result = self._execute_module(module_name=self._task.action, module_args=args, task_vars=task_vars)
        table = result.pop("table", None)
        if table:
            self._display.display(f"\n{table}\n")
        return result
