# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls the module until the models are there, and shows in between how far it is."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import secrets
import time

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# By its path, for a checkout has no name by which its plugins could import it.
_PATH = pathlib.Path(__file__).resolve().parents[1] / "module_utils" / "gpuchat" / "core" / "control_runner.py"
_SPEC = importlib.util.spec_from_file_location(_PATH.stem, _PATH)
control_runner = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(control_runner)

# Known at import alone, which a strategy does before it forks: a worker's own output is no terminal.
INTERVAL = 5.0 if os.isatty(1) else 60.0

LONGEST_CALL = 15.0  # after Ctrl-C a call may go on for so long, and the transfer with it

display = Display()


class ActionModule(ActionBase):
    """Run on the control node for each ``gpuchat_model`` task.

    The first call starts the transfer in a process of its own on the host; each waits for its end for as long as a line
    of progress lasts. When nobody calls any more, as after Ctrl-C, the transfer stops, and the next run resumes it.
    """

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        if "model_token" in task_vars:  # not by the task's own arguments, which callbacks may record
            args.setdefault("token", self._templar.template(task_vars["model_token"]))
        args.update(control_runner.network(self, task_vars))
        if not self._task.check_mode and args.get("state", "present") == "present":
            args.update(job=secrets.token_hex(8), job_seconds=min(INTERVAL, LONGEST_CALL))
        shown = time.monotonic()
        while True:
            # What is done already stays out of the host's journal.
            quiet = {**task_vars, "ansible_no_target_syslog": True}
            result = self._execute_module(module_name=self._task.action, module_args=args, task_vars=quiet)
            if not result.get("running"):
                return result
            args["finished"] = result.get("finished") or []
            if time.monotonic() - shown >= INTERVAL - 1:
                shown = time.monotonic()
                display.display(f"{task_vars['inventory_hostname']}: {_line(result.get('progress') or {})}")


def _line(progress):
    """Return where a transfer stands, for people."""
    total, done, model = progress.get("bytes_total"), progress.get("bytes", 0), progress.get("model")
    if not total:
        return f"{model}: asking for the model's files"
    parts = [f"{_size(done)} of {_size(total)} ({100 * done // total} %)", f"{_size(progress['rate'])}/s"]
    if progress.get("seconds_left") is not None:
        parts.append(f"{_time(progress['seconds_left'])} left")
    return f"{model}: " + ", ".join([*parts, f"{progress['files']} of {progress['files_total']} files"])


def _size(count):
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} TB"


def _time(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
