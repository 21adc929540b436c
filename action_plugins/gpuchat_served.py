# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gathers this run's plans for the module of the same name."""

from __future__ import annotations

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Run on the control node for each ``gpuchat_served`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        hostvars, plans = task_vars["hostvars"], {}
        for host in self._task.args.get("hosts") or []:
            planned = hostvars[host].get("__vllm_plan") if host in hostvars else None
            if isinstance(planned, dict) and planned.get("plan"):
                plans[host] = planned["plan"]["args"]
        args = {**self._task.args, "plans": plans}
        return self._execute_module(module_name=self._task.action, module_args=args, task_vars=task_vars)
