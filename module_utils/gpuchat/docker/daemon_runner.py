# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads, validates and replaces Docker's daemon.json."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence

from ..core import front, host
from ..core.change import Plan, merged
from ..core.errors import Failure, Refusal, Unhealthy
from ..system import service_runner
from . import client, daemon_command, daemon_former_runner, daemon_network_runner
from .daemon import (
    STOCK_DATA_ROOT,
    Found,
    Record,
    Rewrite,
    Wish,
    cause,
    parse,
    plan_daemon,
    refuse_to_leave,
    remap_warning,
)
from .daemon_command import Flag, TextFile
from .daemon_former_runner import Former, backup_of, record_file

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
RELOADED = "Reloaded configuration"  # moby: daemon/reload.go
RELOAD_SECONDS = 5.0


def ensure(params: Mapping[str, object], check: bool) -> dict[str, object]:
    """Ensure an owner's keys of daemon.json and the dockerd that reads them, and return the module's result.

    Raises:
        Refusal: the file cannot be read as JSON or written, a key is wanted differently elsewhere, or dockerd does not
            accept the result; the file is left alone.
        Unhealthy: Docker does not run with the new file; it runs with the former one again, where it ran before.
    """
    path, name = str(params["path"]), str(params["service"])
    warnings = [*_client(), *_remapped(path)] if name and params["state"] == "present" else []
    try:
        keys, rewrite = _read(params, check)
        former = None if check or not name else daemon_former_runner.former(path, name, bool(rewrite))
        if rewrite and not check:
            _write(path, rewrite, former)
    except OSError as error:
        raise Refusal(
            f"{path} cannot be read or written: {error}; {front.way_out(error, path)}; or set path to the daemon.json "
            "of this user's rootless Docker"
        ) from None
    # Where nothing is said of a network, as in a removal, its files are somebody else's part.
    network = None
    if path == DAEMON_JSON and params.get("way_out") is not None:
        network, to_take_up = daemon_network_runner.ensure(params, check)
        if to_take_up:
            keys["digest"] = hashlib.sha256(f"{keys['digest']} {to_take_up}".encode()).hexdigest()
            keys["untouched"] = False
    if network:
        keys = merged(keys, {key: network[key] for key in ("changed", "diff", "msg")})
    if warnings:
        keys["warnings"] = warnings
    if not name:
        return keys
    service = {
        "name": name,
        "supervisor": "systemd",
        "compose_file": None,
        "state": "started",
        "digest": keys["digest"],
        "reload_digest": keys["reload_digest"],
        "adopt": keys["untouched"],
        "health": None,
    }
    if former is None:
        return merged(keys, service_runner.ensure(service, check))
    return merged(keys, _taken_up(service, former, bool(rewrite and rewrite.reload and former.start)))


def _client() -> list[str]:
    """Return what is to be told of the program by which containers are started.

    Raises:
        Refusal: it speaks to another Docker.
    """
    said = host.run(["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"], 60)
    client.refuse_elsewhere(said.stdout.strip() if said.rc == 0 else "")
    path = os.path.join(os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker"), "config.json")
    warning = client.proxy_warning(host.read_json(path), path)
    return [warning] if warning else []


def _remapped(path: str) -> list[str]:
    """Return what is to be told of users that are others on the host than in containers."""
    flags = {flag.name: flag.value for flag in flags_for(path)}
    warning = remap_warning({**parse(host.file_bytes(path), path), **flags}, path)
    return [warning] if warning else []


def _taken_up(service: Mapping[str, object], former: Former, by_reload: bool) -> dict[str, object]:
    """Let Docker take up its new file, or give it the former one again where it does not."""
    journal = _journal(former.service)
    try:
        done = service_runner.ensure(service, False)
        refused = _reload_refused(former.service, journal) if by_reload else ""
        if refused:
            raise Unhealthy(refused)
    except Failure as error:
        raise Unhealthy(
            f"found that Docker does not take its new settings: {cause(str(error)) or error}; wanted it to run with "
            f"them; {former.put_back()}; set settings (and what else this role sets) to what this dockerd takes"
        ) from None
    left = former.start_containers()
    former.forget()
    return {
        **done,
        **({"warnings": [f"containers that ran before and do not start now: {', '.join(left)}"]} if left else {}),
    }


def _journal(name: str) -> str:
    """Return where the journal of a unit ends, to be read on from there."""
    shown = host.run(["journalctl", "--unit", name, "--lines", "0", "--show-cursor"])
    return shown.stdout.rpartition("-- cursor: ")[2].strip()


def _reload_refused(name: str, cursor: str) -> str:
    """Return why Docker did not take up its file at a reload, of which systemd knows nothing; empty where it did."""
    said = ""

    def missing() -> str | None:
        nonlocal said
        after = [f"--after-cursor={cursor}"] if cursor else ["--lines", "5"]
        said = host.run(["journalctl", "--unit", name, "--output", "cat", *after]).stdout
        return None if RELOADED in said or cause(said) else "an answer"

    host.wait_for(missing, RELOAD_SECONDS, 0.1)  # a Docker told to log errors alone says nothing of a good one
    return cause(said)


def _read(params: Mapping[str, object], check: bool) -> tuple[dict[str, object], Rewrite | None]:
    """Return the module's result as far as the file goes, and what is to be written, if anything."""
    path, owner = str(params["path"]), str(params["owner"])
    there = host.file_state(path)
    if there and there.content is None:
        raise Refusal(f"{path} is a folder; set path to a file")
    if there and not os.path.isfile(path):  # such as a link to /dev/null, which a file would take the place of
        raise Refusal(f"{path} is no regular file, nor a link to one; set path to a file, or remove it and run again")
    if there and host.behind(path) is None:  # it counts as empty, and what it holds would be lost
        raise Refusal(
            f"found that {path} leads over a link of another user; wanted a file, or links of root; set path to the "
            "file itself, or give the links to root (`chown -h root`) and run again"
        )
    record = _read_record(path)
    backup = host.file_state(backup_of(path))
    wish = _wish(params) if params["state"] == "present" else Wish()
    text = there.content if there else None
    flags = flags_for(path)
    found = Found(text, backup.content if backup else None, record, flags, _is_in_swarm(text, path, flags))
    plan = plan_daemon(found, wish, owner, path)
    rewrite = next((action for action in plan.actions if isinstance(action, Rewrite)), None)
    notes: tuple[str, ...] = ()
    if rewrite and rewrite.validate and rewrite.text is not None:
        notes = _validate(rewrite.text, check, params["state"] == "present")
    if rewrite and rewrite.leaves and params["service"]:
        _refuse_to_leave(rewrite.leaves)
    after = rewrite.record if rewrite else record or Record()
    result = Plan(plan.differences, plan.actions, plan.reason, notes).result()
    result.update(digest=after.digest, reload_digest=after.reload_digest)
    result.update(restart_required=bool(rewrite and rewrite.restart), reload_required=bool(rewrite and rewrite.reload))
    result["untouched"] = not plan.changed and not after.owners
    return result, rewrite


def _is_in_swarm(text: bytes | None, path: str, flags: Sequence[Flag]) -> bool:
    """Tell by what dockerd itself looks at when it starts, whether it runs or not (moby: daemon/cluster)."""
    file = parse(text or b"", path)
    told = [flag.value for flag in flags if "data-root" in flag.keys]
    root = str(next((one for one in (*told, file.get("data-root"), file.get("graph")) if one), STOCK_DATA_ROOT))
    return os.path.exists(os.path.join(root, "swarm", "docker-state.json"))


def _refuse_to_leave(leaves: Mapping[str, object]) -> None:
    info = host.run(["docker", "info", "--format", "{{json .}}"])
    listed = host.run(["docker", "ps", "--all", "--format", "{{.Names}}"])
    if info.rc == listed.rc == 0:
        theirs = [name for name in listed.stdout.split() if not os.path.exists(service_runner.record_path(name))]
        said = json.loads(info.stdout)
        if leaves.get("data-root") and said.get("DockerRootDir"):  # by which Docker means where links lead to
            leaves = {**leaves, "data-root": os.path.realpath(str(leaves["data-root"]))}
            said = {**said, "DockerRootDir": os.path.realpath(said["DockerRootDir"])}
        refuse_to_leave(leaves, said, theirs)


def _wish(params: Mapping[str, object]) -> Wish:
    runtime = params["nvidia_runtime"]
    cdi = params["cdi"]
    return Wish(
        settings=params["settings"],  # type: ignore[arg-type]
        defaults=params["defaults"],  # type: ignore[arg-type]
        nvidia_runtime=None if runtime is None else str(runtime),
        runtime_name=str(params["runtime_name"]),
        runtime_path=str(params["runtime_path"]),
        default_runtime=bool(params["default_runtime"]),
        cdi=None if cdi is None else bool(cdi),
    )


def _read_record(path: str) -> Record | None:
    kept = host.read_json(record_file()).get(path)
    with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError):  # a damaged one counts as none
        return Record.from_json(kept) if isinstance(kept, dict) else None
    return None


def _write_record(path: str, record: Record | None) -> None:
    others = {key: one for key, one in host.read_json(record_file()).items() if key != path}
    host.write_json(record_file(), {**others, **({path: record.as_json()} if record else {})})


def _write(path: str, action: Rewrite, former: Former | None) -> None:
    """Write a daemon.json and what is remembered of it, or nothing at all.

    Raises:
        OSError: it cannot be written.
    """
    there, record, had_backup = host.file_state(path), _read_record(path), os.path.exists(backup_of(path))
    was_kept = daemon_former_runner.is_kept(path)
    if former:
        former.keep()
    mode, uid, gid = (there.mode, there.uid, there.gid) if there else (0o644, -1, -1)
    real = os.path.realpath(path)  # a link stays one
    if action.keep is not None:
        host.write_atomically(backup_of(path), action.keep, mode, uid, gid)
    # Old and new claims stand in the record until the file is written: a run may die in between.
    _write_record(path, action.begun)
    try:
        if action.text is None:
            host.remove_file(real)
        elif there is None or action.text != there.content:
            host.write_atomically(real, action.text, mode, uid, gid)
    except OSError:
        _write_record(path, record)
        if not had_backup:
            host.remove_file(backup_of(path))
        if former and not was_kept:
            former.forget()
        raise
    _write_record(path, action.record)
    if action.given_back:
        host.remove_file(backup_of(path))


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
