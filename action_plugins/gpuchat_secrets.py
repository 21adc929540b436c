# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and writes the file of secrets beside the inventory, decrypted and encrypted by the run's own vault."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import json
import os
import pathlib
import tempfile

import yaml
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.parsing.vault import is_encrypted
from ansible.plugins.action import ActionBase

# By its path, for a checkout has no name by which its plugins could import it.
_PATH = pathlib.Path(__file__).resolve().parents[1] / "module_utils" / "gpuchat" / "core" / "control_runner.py"
_SPEC = importlib.util.spec_from_file_location(_PATH.stem, _PATH)
control_runner = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(control_runner)
control_files = control_runner.shared("module_utils.gpuchat.core.control_files_runner")

AUTHORITY, CA = "authority", "ca_certificate"
HEAD = "# The stack's secrets, made once by gpuchat. Keep it safe; encrypt it with `ansible-vault encrypt`.\n"


class ActionModule(ActionBase):
    """Run on the control node for each ``gpuchat_secrets`` task."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        if not self._task.check_mode:
            for name in ("file", "authority_file"):
                os.makedirs(os.path.dirname(args[name]), exist_ok=True)
        args["given_api_key"] = self._given_api_key(task_vars)
        adopts = boolean(self._templar.template(task_vars.get("gpuchat_adopt_secrets", False)), strict=False)
        with _alone(os.path.dirname(args["file"])):
            raw = _raw(args["file"])
            if not adopts:
                self._refuse_strangers(args, raw)
            args["known"], encrypt = self._known(args["file"], raw)
            if not adopts:
                self._refuse_another_authority(args)
            return self._made(args, encrypt)

    def _given_api_key(self, task_vars):
        """Return the owner's key where a variable gives it; not by the task's arguments, which callbacks may record."""
        preflight = task_vars.get("__gpuchat_preflight") or {}
        given = preflight.get("given_secrets") or {}
        for host in (preflight.get("topology") or {}).get("edges") or []:
            if "api_key" in given.get(host, ()):
                found = task_vars["hostvars"][host].get("gpuchat_api_key", task_vars.get("gpuchat_api_key"))
                return self._templar.template(found)
        return ""

    def _refuse_strangers(self, args, raw):
        """Refuse to make secrets beside an authority whose own are gone: whoever imported it would be locked out."""
        path, authority = args["file"], args["authority_file"]
        if b"BEGIN CERTIFICATE" in _raw(authority) and not raw.strip():
            self._tell(
                f"{authority} is there and {path} is not, or is empty; wanted the secrets that belong to that "
                f"authority, for who has imported it trusts no other; nothing was made; bring {path} back from where "
                "the stack was set up or from a backup, or set gpuchat_adopt_secrets to true for one run, which makes "
                "all of them anew"
            )

    def _refuse_another_authority(self, args):
        """Refuse the same where a file has lost some of its lines, unless a new authority is what is asked for."""
        is_wanted = args.get("tls_names") and AUTHORITY not in (args.get("rotate") or ())
        if is_wanted and b"BEGIN CERTIFICATE" in _raw(args["authority_file"]) and not args["known"].get(CA):
            self._tell(
                f"{args['authority_file']} is there and {args['file']} holds no {CA}; wanted the authority's own, for "
                f"who has imported it trusts no other; nothing was made; bring {args['file']} back as it was, or make "
                "a new authority by playbooks/rotate.yml with rotate=authority"
            )

    def _made(self, args, encrypt):
        path = args["file"]
        result = control_runner.run(self, args)
        if result.get("failed"):
            self._tell(result.get("msg"))
        for ending in result.get("endings", ()):
            self._display.warning(ending)
        if self._task.check_mode:
            return result
        if result["changed"]:
            _replace(path, encrypt(_text(result["known"])), 0o600)
        certificate = str(result["known"].get(CA) or "").encode()
        if certificate and _raw(args["authority_file"]) != certificate:
            _replace(args["authority_file"], certificate, 0o644)
            result["changed"] = True
        return result

    def _known(self, path, raw):
        """Return the secrets that a file holds, and what encrypts them as that file was."""
        text, encrypt = raw, bytes
        if is_encrypted(raw):
            text, encrypt = self._decrypted(path, raw)
        elif raw.strip() and (mode := os.stat(path).st_mode & 0o777) & 0o077:
            self._display.warning(
                f"{path} is in plain text and has the mode {mode:04o}; wanted 0600, for others may read it; set it by "
                "chmod 600, or encrypt it by ansible-vault"
            )
        try:
            known = yaml.safe_load(text) or {}
            twice = control_files.named_twice(yaml.compose(text, Loader=yaml.SafeLoader))
        except yaml.YAMLError as error:
            # The error's own text quotes the line, and with it the secret.
            mark = getattr(error, "problem_mark", None)
            where = f" (line {mark.line + 1})" if mark else ""
            self._tell(f"{path} is no YAML{where}; wanted names with their secrets; it was left alone; fix it")
        if not isinstance(known, dict):
            self._tell(f"{path} holds no mapping; wanted names with their secrets; it was left alone; fix it")
        if twice:
            self._tell(
                f"{path} names one secret twice, in lines {twice[1]} and {twice[2]}; wanted it once, for nobody says "
                "which of both the stack has; it was left alone; take one of the lines away"
            )
        return {name: value for name, value in known.items() if value is not None}, encrypt

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
    plain = json.loads(json.dumps(known))  # up to ansible-core 2.18, texts of a result are of a kind foreign to YAML
    return (HEAD + yaml.safe_dump({key: str(value) for key, value in plain.items()}, sort_keys=True)).encode()


def _raw(path):
    if not os.path.exists(path):
        return b""
    with open(path, "rb") as file:
        return file.read()


@contextlib.contextmanager
def _alone(folder):
    """Keep other runs out, which would make secrets of their own at the same time."""
    if not os.path.isdir(folder):  # in check mode, which makes none
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path, content, mode):
    """Write a file anew by way of one that nobody else can have planted."""
    handle, new = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)
            file.write(content)
            file.flush()
            os.fsync(handle)
        os.replace(new, path)
    except BaseException:
        os.unlink(new)
        raise
