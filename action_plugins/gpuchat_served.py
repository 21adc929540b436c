# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gathers this run's plans for the module of the same name."""

from __future__ import annotations

import importlib.util
import pathlib

from ansible.plugins.action import ActionBase

# By its path, for a checkout has no name by which its plugins could import it.
_PATH = pathlib.Path(__file__).resolve().parents[1] / "module_utils" / "gpuchat" / "core" / "control_runner.py"
_SPEC = importlib.util.spec_from_file_location(_PATH.stem, _PATH)
control_runner = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(control_runner)


class ActionModule(ActionBase):
    """Run on the control node for each ``gpuchat_served`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        hostvars, plans = task_vars["hostvars"], {}
        for host in {host for model in self._task.args.get("models") or [] for host in model["hosts"]}:
            planned = hostvars[host].get("__vllm_plan") if host in hostvars else None
            if isinstance(planned, dict) and planned.get("plans"):
                kept = ("task", "args", "vision", "dimensions", "askable_dimensions")
                plans[host] = {
                    name: {part: one[part] for part in kept if part in one} for name, one in planned["plans"].items()
                }
        return control_runner.run(self, {**self._task.args, "plans": plans})
