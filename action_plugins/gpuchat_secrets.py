# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and writes the file of secrets beside the inventory, decrypted and encrypted by the run's own vault."""

from __future__ import annotations

import os

import yaml
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.parsing.vault import is_encrypted
from ansible.plugins.action import ActionBase

HEAD = "# The stack's secrets, made once by gpuchat. Keep it safe; encrypt it with `ansible-vault encrypt`.\n"


class ActionModule(ActionBase):
    """Run on the control node for each ``gpuchat_secrets`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        path = args["file"]
        raw = _raw(path)
        args["known"] = self._known(path, raw)
        result = self._execute_module(module_name=self._task.action, module_args=args, task_vars=task_vars)
        if result.get("failed"):
            self._tell(result.get("msg"))
        if self._task.check_mode:
            return result
        if result["changed"]:
            self._write(path, result["known"], encrypted=is_encrypted(raw))
        certificate = str(result["known"].get("ca_certificate") or "").encode()
        if certificate and _raw(args["authority_file"]) != certificate:
            _replace(args["authority_file"], certificate, 0o644)
            result["changed"] = True
        return result

    def _known(self, path, raw):
        if not raw:
            return {}
        try:
            text = self._loader._vault.decrypt(raw) if is_encrypted(raw) else raw
            known = yaml.safe_load(text) or {}
        except (AnsibleError, yaml.YAMLError) as error:
            self._tell(f"{path} cannot be read: {error}; it was left alone; give the vault's password or fix the file")
        if not isinstance(known, dict):
            self._tell(f"{path} holds no mapping of names to secrets; it was left alone; fix it")
        return known

    def _write(self, path, known, encrypted):
        text = (HEAD + yaml.safe_dump({str(k): str(v) for k, v in known.items()}, sort_keys=True)).encode()
        _replace(path, self._loader._vault.encrypt(text) if encrypted else text, 0o600)

    def _tell(self, message):
        self._display.error(message)  # the task's no_log hides the failure's own text
        raise AnsibleActionFail(message)


def _raw(path):
    if not os.path.exists(path):
        return b""
    with open(path, "rb") as file:
        return file.read()


def _replace(path, content, mode):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    handle = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.replace(f"{path}.new", path)
