# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands the clients' keys to the module of the same name, and shows its table on the control node's terminal."""

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
    """Run on the control node for each ``gpuchat_api_clients`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        # Not by the task's own arguments, which callbacks may record.
        secrets = task_vars.get("__gpuchat_secrets") or {}
        args.setdefault("clients", secrets.get("clients") or [])
        result = control_runner.run(self, args)
        table = result.pop("table", None)
        if table:
            self._display.display(f"\n{table}\n")
        return result
