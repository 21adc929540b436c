# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the module's table and the commands behind it on the control node's terminal."""

from __future__ import annotations

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Run on the control node for each ``gpuchat_verify`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        result = self._execute_module(module_name=self._task.action, module_args=self._task.args, task_vars=task_vars)
        table = result.pop("table", None)
        commands = result.pop("commands", None)
        for word in result.get("advice") or ():
            self._display.warning(word)
        if table:
            result.pop("rows")  # they stand in the table and in the report
            legend = "key.header holds one line, 'Authorization: Bearer ' and the api_key from the file of secrets"
            self._display.display(f"\nEach row by hand ({legend}):\n\n{commands}\n\nVerification:\n\n{table}\n")
        return result
