# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives the module the digest recorded beside the inventory, and records the one that it resolved."""

from __future__ import annotations

import fcntl
import os

import yaml
from ansible.plugins.action import ActionBase

HEAD = "# Image digests, resolved once and then kept. Made by gpuchat; keep it under version control.\n"


class ActionModule(ActionBase):
    """Run on the control node for each ``gpuchat_image`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        lock_file = args.get("lock_file")
        if lock_file:
            args["locked_digest"] = _recorded(lock_file).get(args.get("name"))
        result = self._execute_module(module_name=self._task.action, module_args=args, task_vars=task_vars)
        if not result.get("failed") and not args.get("locked_digest") and lock_file and not self._task.check_mode:
            _record(lock_file, args["name"], result["digest"])
        return result


def _recorded(lock_file):
    if not os.path.exists(lock_file):
        return {}
    with open(lock_file, encoding="utf-8") as file:
        return (yaml.safe_load(file) or {}).get("images") or {}


def _record(lock_file, name, digest):
    os.makedirs(os.path.dirname(lock_file), exist_ok=True)
    folder = os.open(os.path.dirname(lock_file), os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # hosts run in parallel, each in its own process
        images = {**_recorded(lock_file), str(name): str(digest)}
        with open(f"{lock_file}.new", "w", encoding="utf-8") as file:
            file.write(HEAD + yaml.safe_dump({"images": images}, sort_keys=True))
        os.replace(f"{lock_file}.new", lock_file)
    finally:
        os.close(folder)
