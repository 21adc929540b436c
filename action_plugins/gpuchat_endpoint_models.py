# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives the module of the same name the servers' keys, and keeps what it has read on the control node."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import tempfile

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

# By its path, for a checkout has no name by which its plugins could import it.
_PATH = pathlib.Path(__file__).resolve().parents[1] / "module_utils" / "gpuchat" / "core" / "control_runner.py"
_SPEC = importlib.util.spec_from_file_location(_PATH.stem, _PATH)
control_runner = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(control_runner)
control_files = control_runner.shared("module_utils.gpuchat.core.control_files_runner")

ENDPOINTS = "gpuchat_endpoints"


class ActionModule(ActionBase):
    """Run on the control node for each ``gpuchat_endpoint_models`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        path = os.path.join(args["folder"], control_files.LISTED)
        args["before"] = control_files.listed_models(args["folder"])
        given = self._templar.template(task_vars.get(ENDPOINTS) or [])
        # Not by the task's own arguments, which callbacks may record.
        args["server_keys"] = {str(one["name"]): str(one["key"]) for one in given if one.get("key")}
        # The journal of its host would show whom the stack asks.
        quiet = {**task_vars, "ansible_no_target_syslog": True}
        try:
            result = self._execute_module(module_name=self._task.action, module_args=args, task_vars=quiet)
        except AnsibleConnectionFailure as error:
            result = {"failed": True, "msg": f"its host is not reachable: {error}"}
        if result.get("failed"):
            # Whether its host is as it has to be is for the tasks to say that need it.
            listed = {one["name"]: args["before"].get(one["name"], []) for one in args["servers"]}
            why = (
                f"the models of {', '.join(listed)} cannot be read: {result.get('msg')}; they are those of the last run"
            )
            result = {"changed": False, "listed": listed, "unread": [why]}
        for word in result["unread"]:
            self._display.warning(word)
        read = {name: names for name, names in result["listed"].items() if names}
        if read != args["before"] and not self._task.check_mode:
            _write(path, read)
        return {key: value for key, value in result.items() if key != "invocation"}


def _write(path, read):
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(path), delete=False, encoding="utf-8") as file:
        json.dump(read, file, indent=1)
        file.write("\n")
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)
