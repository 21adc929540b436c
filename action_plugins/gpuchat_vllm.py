# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the digests of the engines' images, as the plugin of gpuchat_image does, and hands over the engines' key."""

from __future__ import annotations

from ansible.plugins.action import ActionBase


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
        args.setdefault("used_paths", [str(one.get("path") or f"/srv/models/{one['name']}") for one in models])
        answer = str(self._templar.template(task_vars.get("verify_answer") or ""))
        chatting = [one for one in models if one.get("task", "auto") in ("auto", "chat")]
        if answer and chatting:  # as the verification at the end asks the first that chats
            question = str(self._templar.template(task_vars.get("verify_question") or "hello"))
            args.setdefault("known_answer", {"model": str(chatting[0]["name"]), "question": question, "answer": answer})
        args["run_hosts"], args["forks"] = task_vars["ansible_play_batch"], task_vars["ansible_forks"]
        args.pop("locked_digest", None)  # which engine has which image is for the module to say
        locked = image.recorded(args["lock_file"]) if args.get("lock_file") else {}
        args["locked_digests"] = locked
        # Whole configurations stay out of the host's journal.
        quiet = {**task_vars, "ansible_no_target_syslog": True}
        result = image.execute(args, quiet)
        for name, digest in (result.get("digests") or {}).items():
            image.record({**args, "locked_digest": locked.get(name)}, name, {**result, "digest": digest})
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
