# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place where a module ends, well or not: no exception reaches a user in Python's words."""

from __future__ import annotations

import errno
import re
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from . import network_runner
from .errors import Failure
from .facts.variables import VARIABLES

OPTION = re.compile(r"\bset ([a-z]\w*)((?:\[\]|\.\w+)*)")


class Module(Protocol):
    """What is used of Ansible's ``AnsibleModule``."""

    _name: str
    params: dict[str, Any]

    def exit_json(self, **result: object) -> None: ...

    def fail_json(self, msg: str, **result: object) -> None: ...


def run(module: Module, work: Callable[[], Mapping[str, object]], subject: str = "", **always: object) -> None:
    """Do a module's work and hand its result to Ansible, or end with one message.

    Args:
        module: the module, as Ansible made it.
        work: returns the module's result.
        subject: what the module is about, before the message.
        always: keys of the result whether it ends well or not.
    """
    try:
        network_runner.adopt(module.params)
        result = work()
    except Exception as error:  # noqa: BLE001
        message, details = describe(error)
        message = with_variables(message, module._name, str(module.params.get("name") or ""))
        module.fail_json(f"{subject}: {message}" if subject else message, **{**always, **details})
    else:
        module.exit_json(**{**always, **result})


def describe(error: Exception) -> tuple[str, Mapping[str, object]]:
    """Return an exception's message for people, and further keys of the result."""
    if isinstance(error, Failure):
        return str(error), error.result
    if isinstance(error, OSError) and error.filename is not None:
        path = _text(error.filename2 or error.filename)  # of two, what was to be replaced
        return f"found {error.strerror or error} at {path}; wanted to read or write it; {way_out(error, path)}", {}
    text = f"{type(error).__name__}: {error}"
    return (
        f"found {text} inside gpuchat; wanted a value that it can work with; compare the task's options with the "
        "module's documentation, and report this error"
    ), {"exception": "".join(traceback.format_exception(type(error), error, error.__traceback__))}


SPACE = "free space on its file system"
DISK = "look at its disk (`dmesg`, `smartctl -a`), and mend or replace it"
SERVER = "see with `findmnt` which file system of the network it lies on, look at its server, and mount it anew"
WAYS_OUT = {
    errno.ENOENT: "make it, or name another path",
    errno.EROFS: "mount its file system for writing",
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), SPACE),
    **dict.fromkeys((errno.EIO, errno.EUCLEAN), DISK),
    **dict.fromkeys((errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.ETIMEDOUT), SERVER),
    errno.ENOMEM: "give the host more memory, or stop what else runs there",
    errno.ELOOP: "look where its links lead to",
}


def way_out(error: OSError, path: str) -> str:
    """Return what to do about a path that cannot be read or written."""
    if error.errno == errno.EPERM:  # where it is not EACCES, root is told so too
        folder = path.rpartition("/")[0] or "/"
        return (
            f"run as its owner (become: true), or remove a flag: where `lsattr -d {path} {folder}` shows i or a, run "
            f"`chattr -i -a {path}`, or the same on the folder"
        )
    if error.errno == errno.EBUSY:
        return f"unmount what is mounted at it: `findmnt {path}` shows it; a file that is mounted cannot be replaced"
    if error.errno == errno.EACCES:
        return (
            "run as a user who may (become: true), for root look at what else forbids it (NFS's no_root_squash, "
            "`ausearch -m avc`), or free the path"
        )
    return WAYS_OUT.get(error.errno or 0, "free the path")


def _text(path: object) -> str:
    return path.decode(errors="replace") if isinstance(path, bytes) else str(path)


def with_variables(message: str, module: str, name: str) -> str:
    """Put the inventory's variable beside each option that a message asks to set.

    Args:
        message: says ``set OPTION``.
        module: the module's name.
        name: the unit that it works for, such as ``docker``: roles name theirs after themselves.
    """
    known = VARIABLES.get(module.rpartition(".")[2], {})
    unit = name.replace("-", "_")

    def named(match: re.Match[str]) -> str:
        whole = (match[1] + match[2]).replace("[]", "")
        option = whole if whole in known else match[1]
        found = [names for key, names in known.items() if key == option or key.endswith(f".{option}")]
        variables = dict.fromkeys(one for names in found for one in names)
        chosen = " or ".join(one for one in variables if not name or one.startswith((f"{unit}_", "gpuchat_")))
        return f"{match[0]} ({chosen} in the inventory)" if chosen and chosen != option else match[0]

    return OPTION.sub(named, message)
