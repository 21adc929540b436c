# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name, which takes facts and asks no host, within this process."""

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
    """Run on the control node for each ``gpuchat_vllm_plan`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        return control_runner.run(self, {**self._task.args, "gpus_of": self._gpus_of(task_vars)})

    def _gpus_of(self, task_vars):
        """Return the GPUs of the hosts that a model spans, but of those at which nobody has looked in this run."""
        engines = self._task.args.get("engines")
        spans = [one.get("span") or {} for one in engines if isinstance(one, dict)] if isinstance(engines, list) else []
        found = {}
        for name in dict.fromkeys(host for span in spans for host in span.get("hosts", ())):
            known = task_vars["hostvars"].get(name) or {}
            seen = known.get("__accelerator") or known.get("__vllm_accelerator") or {}
            if "plan_gpus" in known:
                found[name] = known["plan_gpus"]
            elif "accelerator" in seen:
                found[name] = seen["gpus"] if seen["accelerator"] == "nvidia" else []
        return found
