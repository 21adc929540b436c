# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chat's PostgreSQL: which major version, with which settings, and which databases for whom."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core.change import Difference, Plan
from ..core.errors import Refusal
from ..core.units import GIB, gib
from ..system.release import Release

MAJORS: Mapping[str, str] = {"debian-13": "17", "ubuntu-24.04": "16"}
"""The major version of each release whose own packages have pgvector; the role's table of packages agrees."""

OLDEST_MAJOR = 15
"""The first in which a database's owner, and nobody else, may make tables in its schema public."""

FORMER_SUFFIX = ".before-upgrade"
UPGRADE_PLAYBOOK = "playbooks/upgrade_postgresql.yml"
MIB = 1024**2
OS_USER = "postgres"
UNIT = "gpuchat-postgresql"
FAILED_SUFFIX = ".failed-upgrade"
ITERATIONS = 4096  # PostgreSQL's own number; such passwords are long and random
NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
SETTING = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
VERIFIER = re.compile(r"SCRAM-SHA-256\$([0-9]{1,7}):([A-Za-z0-9+/=]+)\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+")
PASSWORD = re.compile(r"[!-~]{12,256}")
WATCHER, WATCHERS = "prometheus", "pg_monitor"
"""Who reads the server's figures, named as the account of its program, and PostgreSQL's role of those who may."""

RESERVED = {"postgres", "template0", "template1", "public", "none", WATCHER}
POWERS = {
    "SUPERUSER": "super",
    "CREATEDB": "createdb",
    "CREATEROLE": "createrole",
    "REPLICATION": "replication",
    "BYPASSRLS": "bypassrls",
}
"""What a chat's role must not be, each with its column in pg_authid."""

FOLDERS = {"data_directory", "hba_file", "ident_file", "config_file", "external_pid_file"}
OWNED = {
    *FOLDERS,
    *("listen_addresses", "port", "unix_socket_directories", "unix_socket_group", "unix_socket_permissions"),
    *("include", "include_dir", "include_if_exists", "password_encryption", "ssl", "jit", "logging_collector"),
    *("log_destination", "db_user_namespace", "allow_system_table_mods"),
}
"""What the role decides: how it is reached, where it keeps what, and what its unit allows."""

AT_START = frozenset(
    """
    archive_mode autovacuum_freeze_max_age autovacuum_max_workers autovacuum_multixact_freeze_max_age
    autovacuum_worker_slots bonjour bonjour_name cluster_name commit_timestamp_buffers data_sync_retry
    dynamic_shared_memory_type event_source hot_standby huge_page_size huge_pages io_max_combine_limit
    io_max_concurrency io_method jit_provider max_active_replication_origins max_connections max_files_per_process
    max_locks_per_transaction max_logical_replication_workers max_notify_queue_pages max_pred_locks_per_transaction
    max_prepared_transactions max_replication_slots max_wal_senders max_worker_processes min_dynamic_shared_memory
    multixact_member_buffers multixact_offset_buffers notify_buffers old_snapshot_threshold recovery_target
    recovery_target_action recovery_target_inclusive recovery_target_lsn recovery_target_name recovery_target_time
    recovery_target_timeline recovery_target_xid reserved_connections serializable_buffers shared_buffers
    shared_memory_type shared_preload_libraries subtransaction_buffers superuser_reserved_connections
    track_activity_query_size track_commit_timestamp transaction_buffers wal_buffers wal_decode_buffer_size
    wal_level wal_log_hints
    """.split()
)
"""Settings that PostgreSQL reads at its start alone: context postmaster in pg_settings of 15 to 18, but for OWNED."""


@dataclass(frozen=True)
class Places:
    """Where a cluster lies and where the programs of its version are."""

    major: str
    programs: str
    data: str
    sockets: str


@dataclass(frozen=True)
class Configuration:
    """What PostgreSQL reads at its start; ``start_digest`` changes where a reload would not do."""

    text: str
    start_digest: str


@dataclass(frozen=True)
class Database:
    """A database, and the role that owns it and signs in to it."""

    name: str
    owner: str
    password: str
    extensions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Role:
    """A role as the server has it; ``powers`` are what goes beyond its own databases."""

    login: bool
    powers: tuple[str, ...] = ()
    password: str = ""


@dataclass(frozen=True)
class Found:
    """A database as the server has it.

    Attributes:
        public: whether all roles may connect, or make temporary tables.
        public_schema: whether all roles may make tables in the schema public.
        extensions: the version of each.
    """

    owner: str
    encoding: str = "UTF8"
    public: bool = True
    public_schema: bool = False
    extensions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Server:
    """What a server holds; ``available`` are the extensions that its programs have, by version.

    None in place of ``available`` is for a server that is not there yet. ``watchers`` may read its figures.
    """

    roles: Mapping[str, Role] = field(default_factory=dict)
    databases: Mapping[str, Found] = field(default_factory=dict)
    available: Mapping[str, str] | None = None
    watchers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Statement:
    """What psql is given, and in which database."""

    database: str
    sql: str


@dataclass(frozen=True)
class Step:
    """One act of the runner on a cluster: search or folder (path), initdb (path), upgrade or revert (versions)."""

    act: str
    name: str
    mode: int = 0o700


# --- versions


def major_for(wished: str, release: Release, kept: Sequence[str], installed: Sequence[str]) -> str:
    """Return the major version to run; empty where nobody knows it before the packages are there.

    Args:
        wished: the version that somebody has set, or ``auto``.
        release: the host's.
        kept: the versions of the data that are there.
        installed: the versions whose programs are there.

    Raises:
        Refusal: the data are of another version, which only an upgrade changes, or the version is too old.
    """
    wanted = newest(wished, release, installed)
    if kept and wanted and wanted not in kept:
        here = " and ".join(kept)
        raise Refusal(
            f"found the chat's data in the form of PostgreSQL {here}, and PostgreSQL {wanted} to run; wanted the same "
            f"version of both; run {UPGRADE_PLAYBOOK}, which upgrades the data, or set major to {kept[-1]} while its "
            "programs are still installed"
        )
    return wanted


def newest(wished: str, release: Release, installed: Sequence[str]) -> str:
    """Return the version that a host's release has, whatever its data are of; empty where that is not known yet.

    Raises:
        Refusal: it is no version, or too old.
    """
    own = release.row(MAJORS) or max(installed, key=int, default="")
    wanted = own if wished == "auto" else wished
    if wanted and (not wanted.isdigit() or int(wanted) < OLDEST_MAJOR):
        raise Refusal(
            f"found PostgreSQL {wanted}; wanted {OLDEST_MAJOR} or a newer one, whose databases are their owners' "
            "alone; set major to auto, or to such a number, and postgresql_packages to what brings it"
        )
    return wanted


def refuse_without_programs(major: str, installed: Sequence[str]) -> None:
    """Refuse a host on which a version cannot run.

    Raises:
        Refusal: its programs are not there.
    """
    if major not in installed:
        found = f"those of {', '.join(installed)}" if installed else "none"
        wanted = f"those of PostgreSQL {major}" if major else "some"
        raise Refusal(
            f"found {found} of PostgreSQL's server programs; wanted {wanted}; set postgresql_packages to what brings "
            "them, or major to one that is there"
        )


def plan_cluster(
    root: str,
    places: Places,
    folders: Mapping[str, tuple[int, bool]],
    has_data: bool,
    holds_other: bool = False,
    closed_parent: str = "",
) -> Plan:
    """Decide what makes an empty cluster's folders, and the cluster.

    Args:
        root: the folder above all versions.
        places: where the cluster is to be.
        folders: mode, and whether it is the server's own user's, of each folder that is there.
        has_data: a cluster of this version is there; it is never made anew.
        holds_other: the data folder holds something that is no cluster.
        closed_parent: the folder above all, where others than root do not get through it.

    Raises:
        Refusal: something else is where the data are to be.
    """
    if holds_other and not has_data:
        raise Refusal(
            f"found files in {places.data} that are no PostgreSQL cluster, as an interrupted copy leaves them; wanted "
            "an empty folder, or a whole cluster; move them elsewhere"
        )
    wanted = {root: OPEN_FOLDER, places.sockets: OPEN_FOLDER, places.data: CLOSED_FOLDER}
    steps = [Step("folder", path, mode) for path, mode in wanted.items() if folders.get(path) != (mode, True)]
    shown = [
        Difference(f"folder {step.name}", _folder_words(folders.get(step.name)), _folder_words((step.mode, True)))
        for step in steps
    ]
    if closed_parent:
        steps.insert(0, Step("search", closed_parent))
        shown.insert(0, Difference(f"folder {closed_parent}", "root's alone\n", "the server gets through it\n"))
    if not has_data:
        steps.append(Step("initdb", places.data))
        shown.append(Difference(f"cluster {places.data}", "", f"PostgreSQL {places.major or '(its version)'}, empty\n"))
    reason = f"PostgreSQL {places.major} has its cluster in {places.data} already"
    if steps:
        acts = {step.act for step in steps}
        reason = (
            f"make {'an empty cluster' if 'initdb' in acts else 'the folders'} of PostgreSQL {places.major}".rstrip()
        )
    return Plan(tuple(shown), tuple(steps), reason)


OPEN_FOLDER = 0o711
"""Programs in containers reach the socket, whose place they know, and list nothing."""

CLOSED_FOLDER = 0o700


def _folder_words(found: tuple[int, bool] | None) -> str:
    if found is None:
        return ""
    mode, own = found
    return f"{mode:04o}, {OS_USER if own else 'somebody else'}\n"


def initdb_command(places: Places) -> list[str]:
    """Return what makes an empty cluster: the same for all versions, so that each can be upgraded to the next."""
    return [
        f"{places.programs}/initdb",
        f"--pgdata={places.data}",
        "--encoding=UTF8",
        "--locale-provider=libc",
        "--locale=C.UTF-8",
        "--data-checksums",
        "--auth-local=peer",
        "--auth-host=reject",
        "--no-instructions",
    ]


def upgrade_command(old: Places, new: Places, sockets: str) -> list[str]:
    """Return what copies a cluster into the form of another version; the old one stays as it is."""
    return [
        f"{new.programs}/pg_upgrade",
        f"--old-bindir={old.programs}",
        f"--new-bindir={new.programs}",
        f"--old-datadir={old.data}",
        f"--new-datadir={new.data}",
        f"--socketdir={sockets}",
        "--username=postgres",
    ]


# --- settings


def settings_for(memory_bytes: int) -> dict[str, str]:
    """Return what suits a host that runs models and a chat beside its database.

    Sizes are coarse: the memory that a kernel says it has differs a little from one to the next.
    """
    memory = memory_bytes // MIB
    shared = min(2048, max(128, memory // 16 // 128 * 128))
    return {
        "max_connections": "100",
        "shared_buffers": f"{shared}MB",
        "huge_pages": "try",
        "effective_cache_size": f"{max(256, memory // 4 // 256 * 256)}MB",
        "work_mem": "8MB",
        "maintenance_work_mem": f"{min(512, max(64, shared // 2))}MB",
        "min_wal_size": "256MB",
        "max_wal_size": "2GB",
        "wal_compression": "on",
        "random_page_cost": "1.1",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "lc_messages": "C",
        "log_line_prefix": "%q%u@%d ",
        # What people write is in statements, their parameters, and errors that quote a value. A log keeps none of it:
        # who has asked is told of the error, and what is the server's own trouble is still written down.
        "log_min_messages": "log",
        "log_statement": "none",
        "log_min_duration_statement": "-1",
        "log_min_error_statement": "panic",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        "log_error_verbosity": "terse",
    }


def configuration(
    memory_bytes: int, places: Places, version: str, hba_file: str, given: Mapping[str, object]
) -> Configuration:
    """Return postgresql.conf.

    Args:
        memory_bytes: the host's.
        places: where the cluster lies.
        version: what its programs say of themselves; after an update it has to start anew.
        hba_file: who signs in by what.
        given: settings of the inventory, which win.

    Raises:
        Refusal: one is the role's own, or no setting of PostgreSQL's form.
    """
    for name in given:
        if name.lower() in OWNED:
            raise Refusal(
                f"found the setting {name}, which the role decides itself; wanted those that it leaves to you; remove "
                "it, and set settings to the rest"
            )
        if not SETTING.fullmatch(name):
            raise Refusal(
                f"found {name!r} among the settings; wanted a name such as work_mem; set settings to such ones"
            )
    own = {
        "data_directory": places.data,
        "hba_file": hba_file,
        "ident_file": f"{places.data}/pg_ident.conf",
        "listen_addresses": "",
        "unix_socket_directories": places.sockets,
        "password_encryption": "scram-sha-256",
        "logging_collector": "off",
        "log_destination": "stderr",
        "jit": "off",  # its unit lets nothing be both written and executed
    }
    wanted = {**settings_for(memory_bytes), **{name: _value(name, value) for name, value in given.items()}, **own}
    lines = [f"{name} = {_quoted(value)}\n" for name, value in wanted.items()]
    at_start = {name: value for name, value in wanted.items() if name in AT_START or name in OWNED or "." in name}
    digest = hashlib.sha256(json.dumps([version, at_start], sort_keys=True).encode()).hexdigest()
    return Configuration("# Made by gpuchat; changes are lost in the next run.\n" + "".join(lines), digest[:16])


def _value(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (str, int, float)) and not re.search(r"[\x00-\x1f]", str(value)):
        return str(value)
    raise Refusal(
        f"found the value {value!r} of {name}; wanted a word or a number on one line; set settings to such ones"
    )


def _quoted(value: str) -> str:
    """Return a value as PostgreSQL's files take it."""
    doubled = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{doubled}'"


# --- passwords


def verifier(password: str, salt: bytes, iterations: int = ITERATIONS) -> str:
    """Return what PostgreSQL keeps of a password (SCRAM-SHA-256, RFC 5803), so that it never sees the password."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored = base64.b64encode(hashlib.sha256(client_key).digest()).decode()
    server = base64.b64encode(hmac.digest(salted, b"Server Key", "sha256")).decode()
    return f"SCRAM-SHA-256${iterations}:{base64.b64encode(salt).decode()}${stored}:{server}"


def is_password_of(password: str, kept: str) -> bool:
    """Return whether a password is the one that PostgreSQL keeps."""
    found = VERIFIER.fullmatch(kept)
    if not found:
        return False
    try:
        salt = base64.b64decode(found[2], validate=True)
    except binascii.Error:
        return False
    return hmac.compare_digest(verifier(password, salt, int(found[1])), kept)


# --- databases


def check_databases(wanted: Sequence[Database]) -> None:
    """Refuse databases that cannot be.

    Raises:
        Refusal: a name or a password does not suit.
    """
    for one in wanted:
        for name in (one.name, one.owner, *one.extensions):
            if not NAME.fullmatch(name) or name in RESERVED:
                raise Refusal(
                    f"found the name {name!r}; wanted small letters, digits and _, and none of PostgreSQL's own; set "
                    "databases to such ones"
                )
        if not PASSWORD.fullmatch(one.password):
            raise Refusal(
                f"found a password of {one.owner} of fewer than 12 characters or not of ASCII's printable ones "
                "alone; wanted one that all clients read alike; set databases[].password to such a one"
            )
    for what, names in (("name", [one.name for one in wanted]), ("owner", [one.owner for one in wanted])):
        if len(names) != len(set(names)):
            raise Refusal(f"found the same {what} twice; wanted each once; set databases to such ones")


def plan_databases(wanted: Sequence[Database], server: Server, salts: Sequence[bytes], watched: bool = False) -> Plan:
    """Decide what gives each role its database, and nobody else a way in.

    Args:
        wanted: the databases.
        server: what is there.
        salts: for each of them, random bytes for a new password.
        watched: whether there is a role that reads the server's figures.

    Raises:
        Refusal: a database has another encoding, or the server's programs lack an extension.
    """
    check_databases(wanted)
    shown: list[Difference] = []
    steps: list[Statement] = []
    for one, salt in zip(wanted, salts):
        for differences, statements in (
            _role(one, server.roles.get(one.owner), salt),
            _database(one, server.databases.get(one.name)),
            _extensions(one, server),
        ):
            shown += differences
            steps += statements
    differences, statements = _watcher(watched, server)
    shown += differences
    steps += statements
    names = ", ".join(dict.fromkeys(difference.name for difference in shown))
    return Plan(tuple(shown), tuple(steps), f"change {names}" if steps else "all databases are as wanted")


Part = tuple[list[Difference], list[Statement]]


def _role(one: Database, found: Role | None, salt: bytes) -> Part:
    powers = " ".join(f"NO{power}" for power in POWERS)
    password = f"PASSWORD '{verifier(one.password, salt)}'"
    difference = f"role {one.owner}"
    if found is None:
        sql = f'CREATE ROLE "{one.owner}" LOGIN {powers} {password};'
        return [Difference(difference, "", "signs in, has no powers\n")], [Statement("postgres", sql)]
    words: list[str] = []
    before: list[str] = []
    if not found.login or found.powers:
        words += ["LOGIN", powers]
        before.append("signs in" if found.login else "does not sign in")
        before += [f"is {power}" for power in found.powers]
    if not is_password_of(one.password, found.password):
        words.append(password)
        before.append("another password" if found.password else "no password")
    if not words:
        return [], []
    after = "signs in, has no powers, the wanted password\n"
    sql = f'ALTER ROLE "{one.owner}" {" ".join(words)};'
    return [Difference(difference, f"{', '.join(before)}\n", after)], [Statement("postgres", sql)]


def _watcher(watched: bool, server: Server) -> Part:
    """Return what makes the role that reads the server's figures, or takes it away: no password lets anybody be it."""
    found, name = server.roles.get(WATCHER), f"role {WATCHER}"
    if not watched:
        gone = [Difference(name, "reads the figures\n", "")], [Statement("postgres", f'DROP ROLE "{WATCHER}";')]
        return gone if found else ([], [])
    sql = []
    if found is None or not found.login or found.powers or found.password:
        powers = " ".join(f"NO{power}" for power in POWERS)
        sql.append(f'{"ALTER" if found else "CREATE"} ROLE "{WATCHER}" LOGIN {powers} PASSWORD NULL;')
    if WATCHER not in server.watchers:
        sql.append(f'GRANT {WATCHERS} TO "{WATCHER}";')
    if not sql:
        return [], []
    shown = Difference(name, "not as wanted\n" if found else "", "reads the figures, has no password\n")
    return [shown], [Statement("postgres", one) for one in sql]


def _database(one: Database, found: Found | None) -> Part:
    name = f"database {one.name}"
    own = f"owned by {one.owner}, closed to others\n"
    close = Statement("postgres", f'REVOKE ALL ON DATABASE "{one.name}" FROM PUBLIC;')
    close_schema = Statement(one.name, "REVOKE CREATE ON SCHEMA public FROM PUBLIC;")
    if found is None:
        sql = f'CREATE DATABASE "{one.name}" OWNER "{one.owner}" TEMPLATE template0 ENCODING \'UTF8\';'
        return [Difference(name, "", own)], [Statement("postgres", sql), close, close_schema]
    if found.encoding != "UTF8":
        raise Refusal(
            f"found the database {one.name} with the encoding {found.encoding}; wanted UTF8; save what it holds, and "
            f'rename it (ALTER DATABASE "{one.name}" RENAME TO ...)'
        )
    steps: list[Statement] = []
    if found.owner != one.owner:
        steps.append(Statement("postgres", f'ALTER DATABASE "{one.name}" OWNER TO "{one.owner}";'))
    if found.public:
        steps.append(close)
    if found.public_schema:
        steps.append(close_schema)
    if not steps:
        return [], []
    opened = "open to all roles" if found.public or found.public_schema else "closed to others"
    return [Difference(name, f"owned by {found.owner}, {opened}\n", own)], steps


def _extensions(one: Database, server: Server) -> Part:
    found = server.databases.get(one.name)
    there = found.extensions if found else {}
    shown: list[Difference] = []
    steps: list[Statement] = []
    for name in one.extensions:
        offered = "the newest there is" if server.available is None else server.available.get(name)
        if offered is None:
            raise Refusal(
                f"found no extension {name} among those of this PostgreSQL; wanted it for the database {one.name}; "
                "set postgresql_packages to what also brings it"
            )
        if there.get(name) == offered:
            continue
        before = f"{there[name]}\n" if name in there else ""
        shown.append(Difference(f"extension {name} of {one.name}", before, f"{offered}\n"))
        sql = f'ALTER EXTENSION "{name}" UPDATE;' if before else f'CREATE EXTENSION "{name}";'
        steps.append(Statement(one.name, sql))
    return shown, steps


def server_query() -> str:
    """Return what reads a server's roles, databases and extensions, as one JSON text."""
    powers = ", ".join(f"CASE WHEN rol{column} THEN '{power}' END" for power, column in POWERS.items())
    return f"""
SELECT json_build_object(
  'roles', (SELECT json_object_agg(rolname, json_build_object(
      'login', rolcanlogin, 'powers', array_to_json(array_remove(ARRAY[{powers}], NULL)),
      'password', coalesce(rolpassword, ''))) FROM pg_authid WHERE rolname !~ '^pg_'),
  'databases', (SELECT json_object_agg(datname, json_build_object(
      'owner', pg_get_userbyid(datdba), 'encoding', pg_encoding_to_char(encoding),
      'public', EXISTS (SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE grantee = 0)))
      FROM pg_database WHERE datallowconn),
  'watchers', (SELECT json_agg(pg_get_userbyid(member)) FROM pg_auth_members WHERE roleid = '{WATCHERS}'::regrole),
  'available', (SELECT json_object_agg(name, default_version) FROM pg_available_extensions));
"""


DATABASE_QUERY = """
SELECT json_build_object(
  'public_schema', EXISTS (SELECT FROM pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner)))
      WHERE nspname = 'public' AND grantee = 0 AND privilege_type = 'CREATE'),
  'extensions', (SELECT json_object_agg(extname, extversion) FROM pg_extension));
"""
"""What reads the rest of one database, in it."""


def server_of(told: Mapping[str, Any], databases: Mapping[str, Mapping[str, Any]]) -> Server:
    """Return a server as its answers describe it.

    Args:
        told: the answer to ``server_query``.
        databases: by name, the answer to ``DATABASE_QUERY``.
    """
    roles = {
        name: Role(bool(one["login"]), tuple(one["powers"] or ()), str(one["password"]))
        for name, one in (told["roles"] or {}).items()
    }
    found = {
        name: Found(
            owner=str(one["owner"]),
            encoding=str(one["encoding"]),
            public=bool(one["public"]),
            public_schema=bool(databases.get(name, {}).get("public_schema")),
            extensions=dict(databases.get(name, {}).get("extensions") or {}),
        )
        for name, one in (told["databases"] or {}).items()
    }
    return Server(roles, found, dict(told["available"] or {}), tuple(told.get("watchers") or ()))


# --- upgrades


def plan_upgrade(kept: Sequence[str], new: str, root: str) -> Plan:
    """Decide how the data come into the form of a newer version.

    Args:
        kept: the versions of the data that are there.
        new: the version to run; empty where the host's programs are not known yet.
        root: the folder above all versions.

    Raises:
        Refusal: there are none, or newer ones.
    """
    if not kept:
        raise Refusal(f"found no data of the chat's PostgreSQL in {root}; wanted some to upgrade; run site.yml instead")
    old = max(kept, key=int)
    if not new or old == new:
        return Plan(reason=f"the data are in the form of PostgreSQL {old}, which this host runs")
    if int(old) > int(new):
        raise Refusal(
            f"found the data in the form of PostgreSQL {old}, which is newer than {new}; wanted to upgrade; set major "
            f"to {old}, and postgresql_packages to what brings it"
        )
    difference = Difference(f"cluster {root}", f"PostgreSQL {old}\n", f"PostgreSQL {new}\n")
    return Plan((difference,), (Step("upgrade", f"{old} {new}"),), f"upgrade the data from PostgreSQL {old} to {new}")


def plan_revert(old: str, kept: Sequence[str], former: Sequence[str], root: str) -> Plan:
    """Decide how the data of before an upgrade come back; what was written since then is kept beside them.

    Args:
        old: the version of before.
        kept: the versions of the data that are there.
        former: the versions of the data that upgrades have put aside.
        root: the folder above all versions.

    Raises:
        Refusal: nothing is left of before.
    """
    if old in kept:
        return Plan(reason=f"the data are in the form of PostgreSQL {old}")
    if old not in former:
        raise Refusal(
            f"found no folder {root}/{old}{FORMER_SUFFIX}; wanted the data of before an upgrade; set major to the "
            "version of before, or restore a backup"
        )
    newer = [one for one in kept if int(one) > int(old)]
    difference = Difference(f"cluster {root}", f"PostgreSQL {', '.join(newer) or '(none)'}\n", f"PostgreSQL {old}\n")
    return Plan((difference,), (Step("revert", " ".join([old, *newer])),), f"go back to the data of PostgreSQL {old}")


def refuse_places_in_use(paths: Sequence[str]) -> None:
    """Refuse an upgrade whose folders hold something already.

    Raises:
        Refusal: there are some.
    """
    if paths:
        raise Refusal(
            f"found files in {' and '.join(paths)}; wanted to put the data of this upgrade there; move them elsewhere"
        )


def updates(database: str, told: Mapping[str, Any], available: Mapping[str, str]) -> list[Statement]:
    """Return what brings a database's extensions to the versions that the server's programs have."""
    there: Mapping[str, str] = told["extensions"] or {}
    old = [name for name, version in sorted(there.items()) if available.get(name, version) != version]
    return [Statement(database, f'ALTER EXTENSION "{name}" UPDATE;') for name in old]


def refuse_small_disk(root: str, used_bytes: int, free_bytes: int) -> None:
    """Refuse an upgrade whose copy of the data does not fit.

    Raises:
        Refusal: it does not.
    """
    wanted = used_bytes + used_bytes // 10 + GIB
    if free_bytes < wanted:
        raise Refusal(
            f"found {gib(free_bytes)} free on the file system of {root}; wanted {gib(wanted)}, for the data are "
            "copied; mount a larger file system there, or remove what is not needed"
        )
