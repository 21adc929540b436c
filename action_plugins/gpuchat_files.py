# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders a file set's templates with Ansible's own templar, and hands the whole set to the module in one call."""

from __future__ import annotations

import importlib.util
import os
import pathlib

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase

try:  # ansible-core 2.19 and later template only what is marked as trusted
    from ansible.template import trust_as_template
except ImportError:
    trust_as_template = None

# By its path, for a checkout has no name by which its plugins could import it.
_PATH = pathlib.Path(__file__).resolve().parents[1] / "module_utils" / "gpuchat" / "core" / "sources_runner.py"
_SPEC = importlib.util.spec_from_file_location(_PATH.stem, _PATH)
sources_runner = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(sources_runner)

OWNERS = ("owner", "group")


class ActionModule(ActionBase):
    """Run on the control node for each ``gpuchat_files`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        if self._was_never_there(task_vars):
            return {"changed": False, "changed_files": [], "diff": [], "msg": "nothing of it is on the host"}
        args = self.prepare(dict(self._task.args), task_vars)
        # Whole files stay out of the host's journal.
        quiet = {**task_vars, "ansible_no_target_syslog": True}
        return self._execute_module(module_name=self._task.action, module_args=args, task_vars=quiet)

    def _was_never_there(self, task_vars):
        """Whether a set is to be absent which this run's first look at the host, gpuchat_membership, has not found."""
        found = (task_vars.get("__gpuchat_membership") or {}).get("file_sets")
        is_known = found is not None and not self._task.delegate_to
        return is_known and self._task.args.get("state") == "absent" and self._task.args.get("name") not in found

    def prepare(self, args, task_vars):
        """Return a task's arguments with its files rendered."""
        wanted = args.get("state", "present") == "present"
        entries = [one for entry in args.get("files") or [] for one in self._expanded(entry)] if wanted else []
        args["files"] = [self._rendered(entry, task_vars) for entry in entries]
        return args

    def _expanded(self, entry):
        """Return the entries for which one stands: a program of the shared code has many files, and so have copies."""
        if entry.get("copies") is not None:
            return _copied(**entry)
        return sources_runner.program(entry["dest"], entry["program"]) if entry.get("program") else [entry]

    def _rendered(self, entry, task_vars):
        entry = dict(entry)
        template = entry.pop("template", None)
        extra = entry.pop("vars", None) or {}
        if template is not None:
            entry["content"] = self._render(template, entry.get("dest"), {**task_vars, **extra})
        if entry.get("secret") and "content" in entry:
            content = entry.pop("content")
            # Ansible masks a secret wherever it stands, and a line break alone stands everywhere.
            entry["secret_content"] = content if content.strip() else ""
        return entry

    def _render(self, template, dest, variables):
        try:
            source = self._find_needle("templates", template)
        except AnsibleError as error:
            raise AnsibleActionFail(str(error)) from error
        folders = [*variables.get("ansible_search_path", []), self._loader.get_basedir(), os.path.dirname(source)]
        templar = self._templar.copy_with_new_env(
            searchpath=[path for folder in folders for path in (os.path.join(folder, "templates"), folder)],
            available_variables=variables,
        )
        try:
            if trust_as_template is not None:
                text = trust_as_template(self._loader.get_text_file_contents(source))
                # A template that comes to nothing is None for ansible-core 2.19.
                return templar.template(text, escape_backslashes=False, overrides={"trim_blocks": True}) or ""
            text = self._loader._get_file_contents(source)[0].decode()
            return templar.do_template(
                text, preserve_trailing_newlines=True, escape_backslashes=False, overrides={"trim_blocks": True}
            )
        except AnsibleError as error:
            raise AnsibleActionFail(f"{template} (for {dest}) cannot be rendered: {error}") from error


def _copied(dest, copies, mode="0755", **entry):
    """Return the entries of a folder and of files of the control node in it, which are not decrypted here."""
    paths = [pathlib.Path(copy).expanduser() for copy in copies]
    folder = {"dest": dest, "folder": True, "mode": mode, **{key: entry[key] for key in OWNERS if key in entry}}
    try:
        texts = {f"{dest}/{path.name}": path.read_bytes().decode() for path in paths}
    except (OSError, ValueError) as error:
        raise AnsibleActionFail(
            f"found that a copy for {dest} cannot be made ({error}); wanted texts that the control node may read; set "
            "copies to such files"
        ) from None
    return [folder, *({**entry, "dest": path, "content": text} for path, text in texts.items())]
