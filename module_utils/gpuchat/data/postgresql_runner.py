# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the chat's PostgreSQL cluster and its databases, and brings its data from one major version to the next."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..core import host
from ..core.errors import CommandFailed, Refusal, Unhealthy
from ..system import service_runner
from ..system.release import Release
from ..system.service import WantedService
from . import postgresql
from .postgresql import Database, Places, Server, Statement, Step
from .wire_runner import Elsewhere

DEBIANS = "/usr/lib/postgresql"
PROGRAM_FOLDERS = (DEBIANS, "/usr")
"""Debian has a folder for each version's programs in the first; PostgreSQL's own RPMs in the second."""

ONE_VERSION = "/usr/bin"
SALT_BYTES = 16
SQL_SECONDS = 600
UPGRADE_SECONDS = 24 * 3600
REPORT_CHARACTERS = 2000
SERVICE = WantedService(postgresql.UNIT, "systemd", "started")
DATABASE_OPTIONS: dict[str, dict[str, object]] = {
    "name": {"type": "str", "required": True},
    "owner": {"type": "str", "required": True},
    "password": {"type": "str", "required": True, "no_log": True},
    "extensions": {"type": "list", "elements": "str", "default": []},
}
"""A module's option ``databases``, as an argument specification."""


def ensure(params: Mapping[str, Any], check: bool) -> dict[str, object]:
    """Ensure what a module's parameters describe, and return the module's result."""
    states = {"cluster": _cluster, "databases": _databases, "upgraded": _upgraded, "reverted": _reverted}
    return states[str(params["state"])](params, check)


# --- the cluster


def _cluster(params: Mapping[str, Any], check: bool) -> dict[str, object]:
    root = str(params["root"])
    programs = installed()
    kept = versions_in(root)
    after_upgrade = check and params["upgraded"] and bool(kept)
    if after_upgrade:
        kept = [postgresql.newest(str(params["major"]), release(), list(programs))]
    major = postgresql.major_for(str(params["major"]), release(), kept, list(programs))
    if not check:
        postgresql.refuse_without_programs(major, list(programs))
    places = _places(params, major, programs)
    version = host.run([f"{places.programs}/postgres", "--version"]).stdout.strip()
    made = postgresql.configuration(_memory(), places, version, str(params["hba_file"]), params["settings"])
    with_data = bool(major) and major in kept
    other = bool(major) and not with_data and _holds_something(places.data)
    folders = _folders([root, places.sockets, places.data])
    if after_upgrade:
        folders[places.data] = (postgresql.CLOSED_FOLDER, True)
    plan = postgresql.plan_cluster(root, places, folders, with_data, other, _closed(os.path.dirname(root)))
    for step in () if check else plan.actions:
        if isinstance(step, Step) and step.act == "search":
            os.chmod(step.name, stat.S_IMODE(os.stat(step.name).st_mode) | 0o011)
        elif isinstance(step, Step) and step.act == "folder":
            _make_folder(step.name, step.mode)
        elif isinstance(step, Step):
            _initdb(places)
    result = plan.result()
    if not major:
        result["not_predicted"] = ["the version of PostgreSQL: the packages that are yet to be installed decide it"]
    return {
        **result,
        "major": major,
        "programs": places.programs,
        "data": places.data,
        "configuration": made.text,
        "start_digest": made.start_digest,
    }


def installed() -> dict[str, str]:
    """Return where the server programs of each major version are that this host has."""
    found: dict[str, str] = {}
    for parent in PROGRAM_FOLDERS:
        for name in host.names_in(parent):
            folder = f"{parent}/{name}/bin"
            version = re.fullmatch(r"(?:pgsql-)?([0-9]+)", name)
            if version and os.access(f"{folder}/postgres", os.X_OK):
                found.setdefault(version[1], folder)
    said = re.search(r"\(PostgreSQL\) ([0-9]+)", host.run([f"{ONE_VERSION}/postgres", "--version"]).stdout)
    if said:
        found.setdefault(said[1], ONE_VERSION)
    return found


def versions_in(root: str, suffix: str = "") -> list[str]:
    """Return the major versions of the clusters that are there, oldest first."""
    there = [
        name
        for name in host.names_in(root, suffix)
        if name.isdigit() and os.path.isfile(f"{root}/{name}{suffix}/PG_VERSION")
    ]
    return sorted(there, key=int)


def _places(params: Mapping[str, Any], major: str, programs: Mapping[str, str], data: str = "") -> Places:
    root = str(params["root"])
    usual = f"{DEBIANS}/{major}/bin"
    return Places(major, programs.get(major, usual), data or f"{root}/{major}", str(params["sockets"]))


def release() -> Release:
    return Release.parse(host.os_release())


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _holds_something(folder: str) -> bool:
    return bool([name for name in host.names_in(folder) if name != "lost+found"])


def _folders(paths: Sequence[str]) -> dict[str, tuple[int, bool]]:
    """Return mode and whether they are the server's user's of those folders that are there."""
    with contextlib.suppress(KeyError):
        user = pwd.getpwnam(postgresql.OS_USER).pw_uid
        states = {path: host.file_state(path, read=False) for path in paths}
        return {path: (state.mode, state.uid == user) for path, state in states.items() if state}
    return {}


def _closed(parent: str) -> str:
    """Return a folder again where only root gets through it, as where root's umask is a strict one."""
    state = host.file_state(parent, read=False)
    return parent if state and not state.mode & 0o001 else ""


def _account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(postgresql.OS_USER)
    except KeyError:
        raise Refusal(
            f"found no account {postgresql.OS_USER} on this host; wanted that of PostgreSQL's package; "
            "set postgresql_packages to what brings it"
        ) from None


def _make_folder(path: str, mode: int) -> None:
    """Make a folder of the server's user; a link that is not root's stands for nothing, for its owner could move it."""
    account = _account()
    place = host.behind(path)
    if place is None:
        raise Refusal(f"found somebody's link at {path}; wanted a folder, or a link of root; remove it")
    os.makedirs(place, exist_ok=True)
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchown(handle, account.pw_uid, account.pw_gid)
        os.fchmod(handle, mode)
    finally:
        os.close(handle)


def _initdb(places: Places) -> None:
    try:
        _must_as_server(postgresql.initdb_command(places))
    except CommandFailed:
        _empty(places.data)  # a half is no cluster, and stands in the way of the next run
        raise


def _empty(folder: str) -> None:
    for name in host.names_in(folder):
        host.remove_tree(f"{folder}/{name}")


# --- commands, as the server's own user


def as_server(command: Sequence[str], given: str = "", timeout: float = SQL_SECONDS, folder: str = "/") -> host.Output:
    """Run a command as the server's user; what it is given on its standard input shows nowhere."""
    account = _account()
    try:
        done = subprocess.run(
            list(command),
            input=given.encode(),
            capture_output=True,
            timeout=timeout,
            cwd=folder,
            env={"LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": account.pw_dir},
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
            check=False,
        )
    except FileNotFoundError:
        return host.Output(127, "", f"{command[0]}: not found")
    except subprocess.TimeoutExpired:
        return host.Output(124, "", f"no end after {timeout} s")
    return host.Output(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def _must_as_server(command: Sequence[str], given: str = "", timeout: float = SQL_SECONDS) -> host.Output:
    output = as_server(command, given, timeout)
    if output.rc != 0:
        raise CommandFailed(f"`{' '.join(command)}` ended with status {output.rc}:\n{output.text}")
    return output


QUIET = "".join(
    f"SET {setting};\n"
    for setting in (
        "client_min_messages = error",
        "log_min_error_statement = panic",
        "log_min_duration_statement = -1",
        "log_statement = none",
    )
)
"""Neither the server's log nor an error of its shows a statement, which may hold a password's hash."""


def psql_at(sockets: str) -> Psql:
    """Return who speaks with the server at a socket, whichever version it is; programs speak with older servers too.

    Raises:
        Refusal: this host has no PostgreSQL.
    """
    programs = installed()
    if not programs:
        raise Refusal("found no PostgreSQL on this host; wanted the host of the chat, after a run of site.yml")
    return Psql(f"{programs[max(programs, key=int)]}/psql", sockets)


def speaker(sockets: str, connection: str = "") -> Psql | Elsewhere:
    """Return who speaks with the chat's database: at a socket of this host, or where a file says that it is.

    Raises:
        Refusal: it is to be on this host, which has no PostgreSQL.
    """
    return Elsewhere(connection) if connection else psql_at(sockets)


class Psql:
    """Speaks SQL with a server over its socket."""

    def __init__(self, program: str, sockets: str) -> None:
        self._command = [program, "-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=terse"]
        self._command += ["-U", "postgres", "-h", sockets]

    def ask(self, database: str, sql: str) -> Any:
        """Return the answer to a question whose answer is one JSON text."""
        return json.loads(self.say(database, sql).stdout)

    def say(self, database: str, sql: str) -> host.Output:
        """Have SQL done, which stands in no argument: those are everybody's to read."""
        return _must_as_server([*self._command, "-d", database], QUIET + sql)

    def missing(self) -> str | None:
        """Return what is missing for an answer, or None."""
        output = as_server([*self._command, "-d", "postgres"], "SELECT 1;", timeout=10)
        return None if output.rc == 0 else (output.text.splitlines() or ["no words"])[0]

    def server(self, databases: Sequence[str]) -> Server:
        """Return what the server holds, in detail for some databases."""
        told = self.ask("postgres", postgresql.server_query())
        there = [name for name in databases if name in (told["databases"] or {})]
        return postgresql.server_of(told, {name: self.ask(name, postgresql.DATABASE_QUERY) for name in there})


# --- databases


def _databases(params: Mapping[str, Any], check: bool) -> dict[str, object]:
    wanted = [
        Database(str(one["name"]), str(one["owner"]), str(one["password"]), tuple(one["extensions"]))
        for one in params["databases"]
    ]
    postgresql.check_databases(wanted)
    programs = installed()
    major = max(versions_in(str(params["root"])), key=int, default="")
    psql = Psql(f"{programs.get(major, ONE_VERSION)}/psql", str(params["sockets"]))
    server = _server_in_check_mode(psql, wanted) if check else _server(psql, wanted, float(params["timeout"]))
    salts = [os.urandom(SALT_BYTES) for _one in wanted]
    plan = postgresql.plan_databases(wanted, server, salts, bool(params["watched"]))
    for statement in () if check else plan.actions:
        if isinstance(statement, Statement):
            psql.say(statement.database, statement.sql)
    return plan.result()


def _server(psql: Psql, wanted: Sequence[Database], timeout: float) -> Server:
    missing = host.wait_for(psql.missing, timeout)
    if missing:
        raise Unhealthy(
            f"PostgreSQL does not answer after {timeout:.0f} s: {missing}. The last log lines of {postgresql.UNIT}:\n"
            f"{service_runner.logs(SERVICE)}"
        )
    return psql.server([one.name for one in wanted])


def _server_in_check_mode(psql: Psql, wanted: Sequence[Database]) -> Server:
    """Return what the server holds; one that does not run yet will hold nothing."""
    try:
        return Server() if psql.missing() else psql.server([one.name for one in wanted])
    except Refusal:  # no account: no package
        return Server()


# --- upgrades


def _upgraded(params: Mapping[str, Any], check: bool) -> dict[str, object]:
    root = str(params["root"])
    programs = installed()
    kept = versions_in(root)
    new = postgresql.newest(str(params["major"]), release(), list(programs))
    plan = postgresql.plan_upgrade(kept, new, root)
    old = max(kept, key=int)
    if plan.changed and not check:
        for version in (old, new):
            postgresql.refuse_without_programs(version, list(programs))
        _upgrade(params, old, new, programs)
    return {**plan.result(), "from": old, "to": new if plan.changed else old}


def _upgrade(params: Mapping[str, Any], old: str, new: str, programs: Mapping[str, str]) -> None:
    """Copy the data into the form of a newer version beside the old ones; these run again where that fails.

    Raises:
        CommandFailed: a step has failed; the text holds what it said.
        Refusal: the disk has no room for both.
    """
    root = str(params["root"])
    before = _places(params, old, programs)
    work = f"{root}/upgrade"
    after = _places(params, new, programs, f"{work}/data")
    former, final = f"{before.data}{postgresql.FORMER_SUFFIX}", f"{root}/{new}"
    postgresql.refuse_places_in_use([path for path in (former, final) if _holds_something(path)])
    _refuse_small(root, before.data)
    running = _is_running()
    if running:
        host.must(["systemctl", "stop", postgresql.UNIT])
    try:
        with _scratch(work):
            _make_folder(after.data, postgresql.CLOSED_FOLDER)
            _must_as_server(postgresql.initdb_command(after))
            upgrade = postgresql.upgrade_command(before, after, work)
            done = as_server(upgrade, timeout=UPGRADE_SECONDS, folder=work)
            if done.rc != 0:
                raise CommandFailed(
                    f"`{' '.join(upgrade)}` ended with status {done.rc}, and PostgreSQL {old} runs on with its data:\n"
                    f"{done.text[-6000:]}{_reports(after.data)}"
                )
            _settle(after, work)
            os.rename(before.data, former)
            try:
                os.rename(after.data, final)
            except OSError:
                os.rename(former, before.data)
                raise
    except BaseException:
        if running:
            host.run(["systemctl", "start", postgresql.UNIT])
        raise


def _reports(data: str) -> str:
    """Return what pg_upgrade has written of what stands in its way, by name; that goes with the new data."""
    texts: list[str] = []
    for folder, _folders_there, names in os.walk(f"{data}/pg_upgrade_output.d"):
        for name in sorted(name for name in names if name.endswith(".txt")):
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                texts.append(f"\n{name}:\n{file.read(REPORT_CHARACTERS)}")
    return "".join(texts)


def _settle(places: Places, sockets: str) -> None:
    """Have a new cluster take up newer extensions, and count what its tables hold, before anybody asks it."""
    control = [f"{places.programs}/pg_ctl", "-D", places.data, "-w", "-s"]
    options = f"-c listen_addresses= -c unix_socket_directories={sockets} -c log_min_error_statement=panic"
    _must_as_server([*control, "-l", f"{sockets}/start.log", "-t", "600", "-o", options, "start"])
    try:
        psql = Psql(f"{places.programs}/psql", sockets)
        told = psql.ask("postgres", postgresql.server_query())
        for name in told["databases"]:
            for statement in postgresql.updates(name, psql.ask(name, postgresql.DATABASE_QUERY), told["available"]):
                psql.say(statement.database, statement.sql)
        vacuum = [f"{places.programs}/vacuumdb", "--all", "--analyze-only", "--quiet", "-w", "-U", "postgres"]
        _must_as_server([*vacuum, "-h", sockets], timeout=UPGRADE_SECONDS)
    finally:
        _must_as_server([*control, "-m", "fast", "-t", "600", "stop"])


@contextlib.contextmanager
def _scratch(folder: str) -> Iterator[None]:
    """Have an empty folder of the server's user for a while; what an interrupted run has left there goes."""
    shutil.rmtree(folder, ignore_errors=True)
    _make_folder(folder, postgresql.CLOSED_FOLDER)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_running() -> bool:
    return service_runner.unit_properties(postgresql.UNIT).get("ActiveState") in ("active", "activating", "reloading")


def _refuse_small(root: str, data: str) -> None:
    used = sum(
        os.lstat(os.path.join(folder, name)).st_blocks * 512
        for folder, _names, names in os.walk(data)
        for name in names
    )
    status = os.statvfs(root)
    postgresql.refuse_small_disk(root, used, status.f_bavail * status.f_frsize)


def _reverted(params: Mapping[str, Any], check: bool) -> dict[str, object]:
    root, old = str(params["root"]), str(params["major"])
    kept = versions_in(root)
    plan = postgresql.plan_revert(old, kept, versions_in(root, postgresql.FORMER_SUFFIX), root)
    if not plan.changed:
        return {**plan.result(), "major": old}
    _old, *newer = [word for step in plan.actions if isinstance(step, Step) for word in step.name.split()]
    if not check:
        if _is_running():
            host.must(["systemctl", "stop", postgresql.UNIT])
        for version in newer:
            failed = f"{root}/{version}{postgresql.FAILED_SUFFIX}"
            shutil.rmtree(failed, ignore_errors=True)
            os.rename(f"{root}/{version}", failed)
        os.rename(f"{root}/{old}{postgresql.FORMER_SUFFIX}", f"{root}/{old}")
    return {**plan.result(), "major": old}
