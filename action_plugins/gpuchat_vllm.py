# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the digests of the engines' images, as the plugin of gpuchat_image does, and hands over the engines' key.

Where engines have virtual environments in place of images, it keeps the environments' locks, beside those digests.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile

from ansible.plugins.action import ActionBase

FOLDER = "packages"
"""Beside the lock file of images: a file for each set of packages."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*\.txt")


class ActionModule(ActionBase):
    """Run on the control node for each ``gpuchat_vllm`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        image = self._sibling("gpuchat_image")
        args = image.prepare(dict(self._task.args), None, task_vars)
        # Not by the task's own arguments, which callbacks may record; images alone need no key.
        if args.get("state", "present") == "present" and "gpuchat_vllm_engine_key" in task_vars:
            args.setdefault("api_key", self._templar.template(task_vars["gpuchat_vllm_engine_key"]))
        # What the inventory's check returns of an environment has no values, which may be secrets.
        models = self._templar.template(task_vars.get("gpuchat_models") or [])
        environments = {str(one["name"]): one.get("environment") or {} for one in models}
        args["engines"] = [
            {**one, "environment": environments.get(one["name"], one.get("environment") or {})}
            for one in args["engines"]
        ]
        # Another host may serve a model from the same folder, of a network file system.
        lent = [*models, *(adapter for one in models for adapter in one.get("adapters") or ())]
        args.setdefault("used_paths", [str(one.get("path") or f"/srv/models/{one['name']}") for one in lent])
        args["run_hosts"], args["forks"] = task_vars["ansible_play_batch"], task_vars["ansible_forks"]
        answer = str(self._templar.template(task_vars.get("verify_answer") or ""))
        chatting = [one for one in models if one.get("task", "auto") in ("auto", "chat")]
        if answer and chatting:  # as the verification at the end asks the first that chats
            question = str(self._templar.template(task_vars.get("verify_question") or "hello"))
            args.setdefault("known_answer", {"model": str(chatting[0]["name"]), "question": question, "answer": answer})
        args.pop("locked_digest", None)  # which engine has which image is for the module to say
        locked = image.recorded(args["lock_file"]) if args.get("lock_file") else {}
        args["locked_digests"] = locked
        folder = os.path.join(os.path.dirname(args.get("lock_file") or ""), FOLDER)
        if args.get("supervisor") == "venv":
            args["locks"] = _locks(folder)
        # Whole configurations stay out of the host's journal.
        quiet = {**task_vars, "ansible_no_target_syslog": True}
        result = image.execute(args, quiet)
        for name, digest in (result.get("digests") or {}).items():
            image.record({**args, "locked_digest": locked.get(name)}, name, {**result, "digest": digest})
        if not result.get("failed") and not self._task.check_mode:
            _record(folder, result.get("locks") or {})
        return result

    def _sibling(self, name):
        """Return another action of this collection, whether that is installed or a checkout."""
        return self._shared_loader_obj.action_loader.get(
            self._task.action.rpartition("gpuchat_vllm")[0] + name,
            task=self._task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
            collection_list=self._task.collections,
        )


def _locks(folder):
    """Return the recorded locks, by name."""
    locks = {}
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        if NAME.fullmatch(name):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                locks[name] = file.read()
    return locks


def _record(folder, locks):
    """Record new locks; where hosts resolve the same at once, the first one's is kept, for all of them."""
    for name, text in locks.items():
        if not NAME.fullmatch(name):  # a host in other hands may say any
            continue
        os.makedirs(folder, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.chmod(file.name, 0o644)
            with contextlib.suppress(FileExistsError):
                os.link(file.name, os.path.join(folder, name))
