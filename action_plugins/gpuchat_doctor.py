# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notes when a host was asked and when it had answered, by the control node's clock."""

from __future__ import annotations

import time

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Run on the control node for each ``gpuchat_doctor`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        asked = time.time()
        result = self._execute_module(module_name=self._task.action, task_vars=task_vars)
        return {**result, "asked": asked, "heard": time.time()}
