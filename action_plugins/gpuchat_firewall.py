# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps new rules only when a new connection comes through them: one that is open already proves nothing."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Run on the control node for each ``gpuchat_firewall`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        result = self._module(task_vars)
        if not result.get("pending"):
            return result
        try:
            self._connection.reset()
            return {**self._module(task_vars, confirm=True), "changed": True}
        except AnsibleConnectionFailure as error:
            raise AnsibleActionFail(
                f"found that no new connection to this host comes through the new packet filter ({error}), so the "
                "former rules come back by themselves after firewall_undo_seconds; wanted the control node to reach it "
                "still; set gpuchat_allowed_networks, gpuchat_vllm_port, edge_http_port and edge_https_port so that "
                "none of them closes ssh, or firewall_state to absent"
            ) from error

    def _module(self, task_vars, **more):
        return self._execute_module(
            module_name=self._task.action, module_args={**self._task.args, **more}, task_vars=task_vars
        )
