# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries the wheels of a folder on the control node to a host that is to make an environment of them."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pathlib

from ansible.plugins.action import ActionBase

# By its path, for a checkout has no name by which its plugins could import it.
_PATH = pathlib.Path(__file__).resolve().parents[1] / "module_utils" / "gpuchat" / "core" / "control_runner.py"
_SPEC = importlib.util.spec_from_file_location(_PATH.stem, _PATH)
control_runner = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(control_runner)


class ActionModule(ActionBase):
    """Run on the control node for each ``gpuchat_virtualenv`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        args = {**self._task.args, **control_runner.network(self, task_vars)}
        folder = os.path.expanduser(str(args.get("wheels") or ""))
        if not folder:
            return self._execute_module(module_name=self._task.action, module_args=args, task_vars=task_vars)
        if not os.path.isdir(folder):
            msg = (
                f"found no folder {folder} on the control node; wanted one with the toolbox's wheels, made by "
                "`python3 tools/toolbox_wheels.py FOLDER`; set toolbox_wheels to its path"
            )
            return {"failed": True, "msg": msg}
        args["wheel_sums"] = _sums(folder)
        result = self._execute_module(module_name=self._task.action, module_args=args, task_vars=task_vars)
        wanted = result.get("wanted_wheels")
        # A host in other hands may ask for any file of the control node, and gets none but the folder's wheels.
        if not wanted or not all(name in list(args["wheel_sums"]) for name in wanted):
            return result
        args["wheels_at"] = self._make_tmp_path()
        try:
            for name in wanted:
                self._transfer_file(os.path.join(folder, name), f"{args['wheels_at'].rstrip('/')}/{name}")
            return self._execute_module(module_name=self._task.action, module_args=args, task_vars=task_vars)
        finally:
            self._remove_tmp_path(args["wheels_at"], force=True)


def _sums(folder):
    """Return the SHA-256 of each wheel, by its file's name."""
    sums = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".whl"):
            with open(os.path.join(folder, name), "rb") as file:
                sums[name] = hashlib.sha256(file.read()).hexdigest()
    return sums
