# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifies from the control node, and at the same time from the task's host; shows the table on the terminal."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pathlib

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.release import __version__ as ansible_version

# By its path, for a checkout has no name by which its plugins could import it.
_PATH = pathlib.Path(__file__).resolve().parents[1] / "module_utils" / "gpuchat" / "core" / "control_runner.py"
_SPEC = importlib.util.spec_from_file_location(_PATH.stem, _PATH)
control_runner = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(control_runner)
control_files = control_runner.shared("module_utils.gpuchat.core.control_files_runner")


class ActionModule(ActionBase):
    """Run on the control node for each ``gpuchat_verify`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        if "gpuchat_api_key" in task_vars:  # not by the task's own arguments, which callbacks may record
            args.setdefault("api_key", self._templar.template(task_vars["gpuchat_api_key"]))
        if "gpuchat_admin_password" in task_vars and args["site"].get("admin_email"):
            args.setdefault("admin_password", self._templar.template(task_vars["gpuchat_admin_password"]))
        outside = args.pop("outside", None)
        if self._task.check_mode:
            return control_runner.run(self, args)
        rows = _in_a_process(lambda: self._outside(args, outside, task_vars)) if outside else list
        found = control_runner.run(self, {**args, "vantage": "inside", "final": False})
        seen = rows()  # in any case, so that no process is left
        if found.get("failed"):
            return found
        told = {"vantage": "none", "final": True, "rows": found["rows"] + seen, **_gathered(args, task_vars)}
        result = control_runner.run(self, {**args, **told})
        table = result.pop("table", None)
        commands = result.pop("commands", None)
        for word in result.get("advice") or ():
            self._display.warning(word)
        if table:
            result.pop("rows")  # they stand in the table and in the report
            legend = (
                "key.header holds one line, 'Authorization: Bearer ' and the api_key from the file of secrets; "
                "account.json the administrator's email and password"
            )
            self._display.display(f"\nEach row by hand ({legend}):\n\n{commands}\n\nVerification:\n\n{table}\n")
        page = next((path for path in result.get("reports") or () if path.endswith(".html")), None)
        if page:
            self._display.display(f"The report of this run: {page}\n")
        return result

    def _outside(self, args, outside, task_vars):
        """Return the rows made on the task's host, which needs no key."""
        there = {"site": {**args["site"], **outside}, "authority": args.get("authority", ""), "vantage": "outside"}
        result = self._execute_module(module_name=self._task.action, module_args=there, task_vars=task_vars)
        if result.get("failed"):
            raise AnsibleActionFail(str(result.get("msg")))
        return result["rows"]


def _gathered(args, task_vars):
    """Return what the report's page shows beside the rows."""
    hostvars, hosts = task_vars["hostvars"], (args.get("topology") or {}).get("hosts") or {}
    known = {host: hostvars[host] for host in hosts if host in hostvars}
    plans = {host: own.get("__vllm_plan") for host, own in known.items()}
    return {
        "addresses": {host: str(own.get("ansible_host") or "") for host, own in known.items()},
        "plans": [
            {"host": host, "models": plan["models"], "gpus": plan.get("gpus") or []}
            for host, plan in plans.items()
            if isinstance(plan, dict) and plan.get("models")
        ],
        "images": control_files.recorded_digests(args.get("lock_file"))[0],
        "versions": {"ansible-core": ansible_version},
        "changes": _noted(),
    }


def _noted():
    """Return what the callback gpuchat_changes has noted of this run; nothing where it is not enabled."""
    try:
        with open(os.path.join(constants.DEFAULT_LOCAL_TMP, "gpuchat-changes.jsonl"), encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    except (OSError, TypeError, ValueError):
        return []


def _in_a_process(work):
    """Start to work in a process of its own; return how to wait for what it returns or raises."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException), os.fdopen(writing, "w") as answer:
            try:
                json.dump({"value": work()}, answer)
            except AnsibleConnectionFailure as error:
                json.dump({"unreachable": str(error)}, answer)
            except Exception as error:  # noqa: BLE001 (the other process raises it)
                json.dump({"failed": str(error)}, answer)
        os._exit(0)
    os.close(writing)

    def wait():
        with os.fdopen(reading) as answer:
            text = answer.read()
        os.waitpid(child, 0)
        said = json.loads(text or '{"failed": "found that the process for the outer verification left no answer"}')
        if "unreachable" in said:
            raise AnsibleConnectionFailure(said["unreachable"])
        if "failed" in said:
            raise AnsibleActionFail(said["failed"])
        return said["value"]

    return wait
