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
        args["known"], encrypt = self._known(path, raw)
        result = self._execute_module(module_name=self._task.action, module_args=args, task_vars=task_vars)
        if result.get("failed"):
            self._tell(result.get("msg"))
        if self._task.check_mode:
            return result
        if result["changed"]:
            _replace(path, encrypt(_text(result["known"])), 0o600)
        certificate = str(result["known"].get("ca_certificate") or "").encode()
        if certificate and _raw(args["authority_file"]) != certificate:
            _replace(args["authority_file"], certificate, 0o644)
            result["changed"] = True
        return result

    def _known(self, path, raw):
        """Return the secrets that a file holds, and what encrypts them as that file was."""
        text, encrypt = raw, bytes
        if is_encrypted(raw):
            text, encrypt = self._decrypted(path, raw)
        try:
            known = yaml.safe_load(text) or {}
        except yaml.YAMLError as error:
            self._tell(f"{path} is no YAML ({error}); wanted names with their secrets; it was left alone; fix it")
        if not isinstance(known, dict):
            self._tell(f"{path} holds no mapping; wanted names with their secrets; it was left alone; fix it")
        return known, encrypt

    def _decrypted(self, path, raw):
        """Return a file's text, and a function that encrypts as it was: by the same secret, under the header's id."""
        vault, name = self._loader._vault, _vault_id(raw)
        try:
            text, _used, secret = vault.decrypt_and_get_vault_id(raw)
        except AnsibleError as error:
            self._tell(
                f"{path} is encrypted under the vault id {name} and cannot be decrypted ({error}); wanted its "
                f"password; it was left alone; run with --vault-id {name}@prompt or the file that holds it"
            )
        return text, lambda plain: vault.encrypt(plain, secret=secret, vault_id=name)

    def _tell(self, message):
        self._display.error(message)  # the task's no_log hides the failure's own text
        raise AnsibleActionFail(message)


def _vault_id(raw):
    """Return the vault id in a file's header; a header of the older form has none, and means the default one."""
    words = raw.split(b"\n", 1)[0].decode().strip().split(";")
    return words[3] if len(words) > 3 else "default"


def _text(known):
    return (HEAD + yaml.safe_dump({str(k): str(v) for k, v in known.items()}, sort_keys=True)).encode()


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
