# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives a module the way out of its host; each module that needs no more has a link to it."""

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
    """Run on the control node for each task of such a module."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        args = {**self._task.args, **control_runner.network(self, task_vars)}
        return self._execute_module(module_name=self._task.action, module_args=args, task_vars=task_vars)
