# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives the module the digest recorded beside the inventory, and records the one that it resolved."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pathlib
import shlex

import yaml
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

# By its path, for a checkout has no name by which its plugins could import it.
_PATH = pathlib.Path(__file__).resolve().parents[1] / "module_utils" / "gpuchat" / "core" / "control_runner.py"
_SPEC = importlib.util.spec_from_file_location(_PATH.stem, _PATH)
control_runner = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(control_runner)
control_files = control_runner.shared("module_utils.gpuchat.core.control_files_runner")

HEAD = "# Image digests, resolved once and then kept. Made by gpuchat; keep it under version control.\n"


class ActionModule(ActionBase):
    """Run on the control node for each ``gpuchat_image`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        args = self.prepare(dict(self._task.args), self._task.args.get("name"), task_vars)
        if args.get("state") == "resolved" and args.get("locked_digest") and not args.get("archives"):
            return {"changed": False, "digest": args["locked_digest"], "msg": "its digest is recorded"}
        result = self.execute(args, task_vars)
        self.record(args, self._task.args.get("name"), result)
        return result

    def prepare(self, args, image, task_vars):
        """Return a task's arguments with the image's recorded digest, and with what no callback is to record."""
        if "gpuchat_registry_logins" in task_vars:
            args.setdefault("registry_logins", self._templar.template(task_vars["gpuchat_registry_logins"]))
        args.update(control_runner.network(self, task_vars))
        if args.get("lock_file"):
            args["locked_digest"] = self.recorded(args["lock_file"]).get(image)
            folder = str(self._templar.template(task_vars.get("gpuchat_image_archives") or ""))
            if folder:
                args["archives"] = control_runner.archives(folder, args["lock_file"])
        return args

    def execute(self, args, task_vars):
        """Run the task's module, and carry to its host the archives that it lacks."""
        args, folder = dict(args), None
        # A host in other hands may ask for any file of the control node, and gets none but these, each once.
        left = [one["file"] for one in args.get("archives") or ()]
        try:
            while True:
                result = self._execute_module(module_name=self._task.action, module_args=args, task_vars=task_vars)
                file, paths = result.get("wanted_archive"), args.get("archive_paths") or {}
                if file not in left:
                    return result
                left = [one for one in left if one != file]
                for loaded in paths.values():
                    self._low_level_execute_command(f"rm -f {shlex.quote(loaded)}")
                folder = folder or self._make_tmp_path()
                args["archive_paths"] = {file: self._connection._shell.join_path(folder, "image.tar")}
                self._transfer_file(file, args["archive_paths"][file])
        finally:
            if folder:
                self._remove_tmp_path(folder, force=True)

    def recorded(self, lock_file):
        """Return all recorded digests, by image."""
        found, problem = control_files.recorded_digests(lock_file)
        if problem:
            raise AnsibleError(problem)
        return found

    def record(self, args, image, result):
        """Record the digest that the module resolved."""
        resolved = not args.get("locked_digest") and "digest" in result
        if args.get("lock_file") and resolved and not result.get("failed") and not self._task.check_mode:
            self._record(args["lock_file"], image, result["digest"])

    def _record(self, lock_file, name, digest):
        os.makedirs(os.path.dirname(lock_file), exist_ok=True)
        folder = os.open(os.path.dirname(lock_file), os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)  # hosts run in parallel, each in its own process
            images = {**self.recorded(lock_file), str(name): str(digest)}
            with open(f"{lock_file}.new", "w", encoding="utf-8") as file:
                file.write(HEAD + yaml.safe_dump({"images": images}, sort_keys=True))
            os.replace(f"{lock_file}.new", lock_file)
        finally:
            os.close(folder)
