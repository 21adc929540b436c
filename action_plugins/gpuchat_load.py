# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a load from the control node, and shows its figures on the terminal, also where Ctrl-C ended it."""

from __future__ import annotations

import contextlib
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
    """Run on the control node for each ``gpuchat_load`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        if "gpuchat_api_key" in task_vars:  # not by the task's own arguments, which callbacks may record
            args.setdefault("api_key", self._templar.template(task_vars["gpuchat_api_key"]))
        result = control_runner.run(self, args)
        table = result.pop("table", None)
        for word in result.get("advice") or ():
            self._display.warning(word)
        if table and result.get("interrupted"):
            _say(f"\n{table}\n\nAll figures stand in {result['file']}.\n")
        elif table:
            self._display.display(f"\n{table}\n")
        return result


def _say(text):
    """Write to where Ansible's own process writes, which shows nothing more of this one's after Ctrl-C."""
    with contextlib.suppress(OSError), open(f"/proc/{os.getppid()}/fd/1", "a", encoding="utf-8") as out:
        out.write(text + "\n")
