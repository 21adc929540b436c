# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads, validates and replaces Docker's daemon.json."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence

from ..core import host
from ..core.change import Plan, merged
from ..core.errors import Refusal
from ..system import service_runner
from . import daemon_command
from .daemon import Found, Record, Rewrite, Wish, plan_daemon
from .daemon_command import Flag, TextFile

DAEMON_JSON = "/etc/docker/daemon.json"
UNIT = "docker.service"
# Where systemd looks for units, the first before the next (systemd.unit(5)).
SYSTEM_UNITS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
USER_UNITS = ("/etc/systemd/user", "/run/systemd/user", "/usr/local/lib/systemd/user", "/usr/lib/systemd/user")
RECORD = "docker-daemon.json"


def ensure(params: Mapping[str, object], check: bool) -> dict[str, object]:
    """Ensure an owner's keys of daemon.json and the dockerd that reads them, and return the module's result.

    Raises:
        Refusal: the file cannot be read as JSON or written, a key is wanted differently elsewhere, or dockerd does not
            accept the result; the file is left alone.
    """
    try:
        keys = _ensure_keys(params, check)
    except OSError as error:
        raise Refusal(
            f"{params['path']} cannot be read or written: {error}; run as its owner (become), or set path to the"
            " daemon.json of this user's rootless Docker"
        ) from None
    if not params["service"]:
        return keys
    service = {
        "name": params["service"],
        "supervisor": "systemd",
        "compose_file": None,
        "state": "started",
        "digest": keys["digest"],
        "reload_digest": keys["reload_digest"],
        "adopt": keys["untouched"],
        "health": None,
    }
    return merged(keys, service_runner.ensure(service, check))


def _ensure_keys(params: Mapping[str, object], check: bool) -> dict[str, object]:
    path, owner = str(params["path"]), str(params["owner"])
    there = host.file_state(path)
    if there and there.content is None:
        raise Refusal(f"{path} is a folder; set path to a file")
    record = _read_record(path)
    backup = host.file_state(_backup(path))
    wish = _wish(params) if params["state"] == "present" else Wish()
    found = Found(there.content if there else None, backup.content if backup else None, record, flags_for(path))
    plan = plan_daemon(found, wish, owner, path)
    notes: tuple[str, ...] = ()
    restart = reload = False
    after = record or Record()
    for action in plan.actions:
        if isinstance(action, Rewrite):
            if action.validate and action.text is not None:
                notes = _validate(action.text, check, params["state"] == "present")
            if not check:
                _write(path, there, action)
            restart, reload, after = action.restart, action.reload, action.record
    result = Plan(plan.differences, plan.actions, plan.reason, notes).result()
    result.update(digest=after.digest, reload_digest=after.reload_digest)
    result.update(restart_required=restart, reload_required=reload)
    result["untouched"] = not plan.changed and not after.owners
    return result


def _wish(params: Mapping[str, object]) -> Wish:
    runtime = params["nvidia_runtime"]
    cdi = params["cdi"]
    return Wish(
        settings=params["settings"],  # type: ignore[arg-type]
        nvidia_runtime=None if runtime is None else str(runtime),
        runtime_name=str(params["runtime_name"]),
        runtime_path=str(params["runtime_path"]),
        default_runtime=bool(params["default_runtime"]),
        cdi=None if cdi is None else bool(cdi),
    )


def _backup(path: str) -> str:
    return f"{path}.before-gpuchat"


def _record_file() -> str:
    """Return where records are kept: root's with all others, another user's in that user's own state folder."""
    if os.geteuid() == 0:
        return os.path.join(host.STATE_DIRECTORY, RECORD)
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(state, "gpuchat", RECORD)


def _read_record(path: str) -> Record | None:
    kept = host.read_json(_record_file()).get(path)
    return Record.from_json(kept) if isinstance(kept, dict) else None


def _write_record(path: str, record: Record) -> None:
    host.write_json(_record_file(), {**host.read_json(_record_file()), path: record.as_json()})


def _write(path: str, there: host.FileState | None, action: Rewrite) -> None:
    mode, uid, gid = (there.mode, there.uid, there.gid) if there else (0o644, -1, -1)
    real = os.path.realpath(path)  # a link stays one
    if action.keep is not None:
        host.write_atomically(_backup(path), action.keep, mode, uid, gid)
    # Old and new claims stand in the record until the file is written: a run may die in between.
    _write_record(path, action.begun)
    if action.text is None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(real)
    elif there is None or action.text != there.content:
        host.write_atomically(real, action.text, mode, uid, gid)
    _write_record(path, action.record)
    if action.given_back:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_backup(path))


def _validate(text: bytes, check: bool, wanted: bool) -> tuple[str, ...]:
    dockerd = host.program("dockerd")
    if dockerd is None:
        if check:
            return ("dockerd is not installed yet, so the new daemon.json was not validated with it",)
        if wanted:
            raise Refusal("dockerd is not installed; install Docker before its settings")
        return ()
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(text)
        file.flush()
        output = host.run([dockerd, "--validate", "--config-file", file.name])
    if "unknown flag: --validate" in output.text:
        return ("this dockerd is older than 23 and cannot validate its settings",)
    if output.rc != 0:
        raise Refusal(f"dockerd does not accept the new daemon.json, so the old one was left in place:\n{output.text}")
    return ()


def flags_for(path: str) -> tuple[Flag, ...]:
    """Return the command line of the dockerd that reads a daemon.json, as the unit files on the disk have it.

    The file of the system's Docker belongs to the system's unit; any other one to the unit that names it, or to the
    user's unit beside it, as rootless Docker has them: ~/.config/docker/daemon.json and ~/.config/systemd/user/.
    """
    system = _flags(SYSTEM_UNITS)
    if path == DAEMON_JSON or path in _config_files(system):
        return system
    configuration = os.path.dirname(os.path.dirname(path))
    user = _flags((os.path.join(configuration, "systemd/user"), *USER_UNITS))
    default = os.path.join(configuration, "docker", "daemon.json")
    return user if path in (_config_files(user) or [default]) else ()


def _config_files(flags: Sequence[Flag]) -> list[str]:
    return [flag.value for flag in flags if flag.name == "config-file"]


def _flags(folders: Sequence[str]) -> tuple[Flag, ...]:
    units = [_text(os.path.join(folder, UNIT)) for folder in folders]
    drop_ins: dict[str, str] = {}
    for folder in reversed(folders):
        with contextlib.suppress(OSError):
            below = os.path.join(folder, f"{UNIT}.d")
            drop_ins.update({name: os.path.join(below, name) for name in os.listdir(below) if name.endswith(".conf")})
    files = [*[unit for unit in units if unit][:1], *[_text(drop_ins[name]) for name in sorted(drop_ins)]]
    read = [file for file in files if file]
    environments = [_text(path) for path in daemon_command.environment_files(read)]
    return daemon_command.flags(read, [file for file in environments if file])


def _text(path: str) -> TextFile | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return TextFile(path, file.read())
    except OSError:
        return None
