# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives a module its secrets, by the names of their variables; each module that needs no more has a link to it."""

from __future__ import annotations

import importlib.util
import pathlib

from ansible.plugins.action import ActionBase

# By its path, for a checkout has no name by which its plugins could import it.
_PATH = pathlib.Path(__file__).resolve().parents[1] / "module_utils" / "gpuchat" / "core" / "given_runner.py"
_SPEC = importlib.util.spec_from_file_location(_PATH.stem, _PATH)
given_runner = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(given_runner)


class ActionModule(ActionBase):
    """Run on the control node for each task of such a module."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        args = given_runner.filled(self, dict(self._task.args), task_vars)
        return self._execute_module(module_args=args, task_vars=task_vars)
