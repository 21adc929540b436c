# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module within Ansible's own process, for what is done on the control node: no other Python is started for it.

Action plugins read this file by its path, for a checkout has no name by which they could import it.
"""

from __future__ import annotations

import functools
import importlib
import pathlib
import sys
import types
from collections.abc import Mapping
from typing import Any, cast

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import UnsupportedError

ENCRYPTED = b"$ANSIBLE_VAULT;"
PLUGINS = pathlib.Path(__file__).resolve().parents[3]
PACKAGE = "control_node_of_gpuchat"


def run(action: Any, args: Mapping[str, object]) -> dict[str, Any]:
    """Run the module of a task, and return its result as another process would have.

    Args:
        action: the action plugin.
        args: the module's arguments.
    """
    name = str(action._task.action).rpartition(".")[2]
    module = _read(name)
    module.AnsibleModule = functools.partial(_Module, action, name, args)
    try:
        module.main()
    except _Ended as ended:
        return ended.result
    raise RuntimeError(f"{name} ended without a result")


def network(action: Any, task_vars: Mapping[str, Any]) -> dict[str, object]:
    """Return a module's options for the way out of its host; empty where the inventory names none.

    Not by the task's own arguments, which callbacks may record: a proxy's address may hold a login.

    Raises:
        AnsibleError: a file of authorities cannot be read.
    """
    proxy, paths = (
        _plain(action._templar.template(task_vars[name])) if task_vars.get(name) else None
        for name in ("gpuchat_proxy", "gpuchat_ca_files")
    )
    if not proxy and not paths:
        return {}
    texts, failure = [], _failure()
    for path in paths or ():
        try:
            raw = pathlib.Path(path).expanduser().read_bytes()
            texts.append((action._loader._vault.decrypt(raw) if raw.startswith(ENCRYPTED) else raw).decode())
        except (OSError, ValueError, failure) as error:
            raise failure(
                f"gpuchat_ca_files names {path}, which cannot be read on the control node ({why(error)}); wanted "
                "certificates in PEM form; set gpuchat_ca_files to such files"
            ) from None
    decided = shared("module_utils.gpuchat.core.network")
    return dict(decided.options(proxy or {}, _own(action, task_vars) if proxy else (), texts))


def why(error: Exception) -> str:
    """Return in plain words why a file of the control node cannot be read."""
    if isinstance(error, UnicodeDecodeError):
        return str(shared("module_utils.gpuchat.core.errors").no_text(error))
    return getattr(error, "strerror", None) or str(error)


def shared(name: str) -> Any:
    """Return a file of the collection by its place in it, such as module_utils.gpuchat.core.errors."""
    if PACKAGE not in sys.modules:
        package = types.ModuleType(PACKAGE)
        package.__path__ = [str(PLUGINS)]
        sys.modules[PACKAGE] = package
    return importlib.import_module(f"{PACKAGE}.{name}")


def _own(action: Any, task_vars: Mapping[str, Any]) -> list[str]:
    """Return names and addresses of the stack's hosts, and the site's; what others are called is nobody's business."""
    names = [task_vars.get("gpuchat_domain") or ""]
    groups = shared("module_utils.gpuchat.inventory.topology").GROUPS.values()
    for host in dict.fromkeys(host for group in groups for host in task_vars["groups"].get(group, ())):
        known = task_vars["hostvars"][host]
        names += [host, *(known.get(name) or "" for name in ("ansible_host", "gpuchat_private_address"))]
    return [_plain(str(action._templar.template(name))) for name in names]


def archives(folder: str, lock_file: str) -> list[dict[str, Any]]:
    """Return the images of a folder's archives; what was read of them is kept beside the lock file.

    Raises:
        AnsibleError: there is no such folder, or an archive is none, or not whole.
    """
    record = str(pathlib.Path(lock_file).with_name("archives.json"))
    refusal = shared("module_utils.gpuchat.core.errors").Refusal
    try:
        found = shared("module_utils.gpuchat.docker.archives_runner").images_of(_plain(folder), record)
    except refusal as error:
        raise _failure()(str(error)) from None
    return cast("list[dict[str, Any]]", found)


def _failure() -> Any:
    """Return Ansible's own error, by its name: this file lies beside modules, which must not import it."""
    return importlib.import_module("ansible.errors").AnsibleError


def _read(name: str) -> Any:
    """Import a module's file, whose imports of shared code are relative to its place."""
    return shared(f"{'library' if (PLUGINS / 'library').is_dir() else 'modules'}.{name}")


class _Ended(BaseException):  # as SystemExit, which ends a module otherwise
    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__()
        self.result = result


class _Module:
    """What modules use of ``AnsibleModule``, here."""

    def __init__(
        self,
        action: Any,
        name: str,
        args: Mapping[str, object],
        argument_spec: Mapping[str, Any],
        supports_check_mode: bool,
    ) -> None:
        self._name = name
        self._display = action._display
        self.check_mode = supports_check_mode and bool(action._task.check_mode)
        read = ArgumentSpecValidator(argument_spec).validate(_plain(args))
        self.no_log_values = set(read._no_log_values)
        self.params: dict[str, Any] = read.validated_parameters
        if read.error_messages:
            unsupported = isinstance(read.errors[0], UnsupportedError)
            start = f"Unsupported parameters for ({name}) module: " if unsupported else ""
            self.fail_json(start + read.errors.msg)

    def warn(self, text: str) -> None:
        self._display.warning(text)

    def exit_json(self, **result: object) -> None:
        raise _Ended(remove_values(result, self.no_log_values))

    def fail_json(self, msg: str, **result: object) -> None:
        traceback = result.pop("exception", None)
        if traceback:
            self._display.vvv(str(remove_values(traceback, self.no_log_values)))
        self.exit_json(msg=msg, failed=True, **result)


def _plain(value: Any) -> Any:
    """Return a value as JSON would carry it to another process, for Ansible's own kinds of text know their origin."""
    if isinstance(value, Mapping):
        return {_plain(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, str):
        return str.__str__(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
