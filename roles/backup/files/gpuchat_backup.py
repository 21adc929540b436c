# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backs the chat up, tries backups, and brings them back: gpuchat_backup.py CONFIG run|drill|restore|stack|--check.

`run` makes a backup, `drill` restores the newest into a scratch place and compares, `restore SNAPSHOT` puts one in the
place of what is there, `stack SNAPSHOT FOLDER` brings the control node's own folder alone. The last line on the
standard output is a JSON object; what happens meanwhile goes to the standard error, so to the journal.

This is one file, for it runs on hosts that have Python 3.9 and nothing else. Its first half decides and touches
nothing; its second half reads, asks and acts.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

# ---- What is decided -------------------------------------------------------------------------------------------------

TAG = "gpuchat"
FORMAT = 1
"""Of the manifest; a later one is none of ours."""
CHECK_SECONDS = 7 * 86400.0
"""How often a part of the repository's data is read again."""
CHECKED_SHARE = "5%"
DRILLED_SHARE = "10%"
"""Of a repository that lies elsewhere; one on a disk here is read whole."""
OPEN_SECONDS = 60.0
"""Within which a repository opens; restic itself tries for a quarter of an hour, for a missing bucket too."""
HEALTH_SECONDS = 900.0
"""As long as an interface may take to bring a database of an earlier version up to date."""
SPARE_BYTES = 512 * 1024**2
"""What stays free on the database's disk at least: PostgreSQL ends where it cannot write."""
SLACK_NS = 1_000_000_000
SHOWN = 5
"""How many differences a message names."""
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
NOT_LOADED = re.compile(r"\d+; \d+ \d+ (?:EXTENSION - |COMMENT - EXTENSION )")
"""Entries of a dump that need a superuser; extensions are made before the rest is loaded as the database's owner."""

NO_REPOSITORY = (
    "unable to open config file",
    "is there a repository at the following location",
    "repository does not exist",
)
GONE = (
    "no repository is there any more; mount its disk, or set backup_target to where it is; to begin a new one, remove "
    "/var/lib/gpuchat/backup/status.json first"
)
WRONG_PASSWORD = ("wrong password or no key found",)
LOCKED = ("repository is already locked", "unable to create lock")
DAMAGED = (
    "ciphertext verification failed",
    "fatal: repository contains errors",
    "does not match id",
    "hash does not match",
    "unexpected eof",
    "invalid data returned",
    "unexpected pack",
    "pack size",
    "not contained in index",
    "not found in repository",
    "no such file or directory",
    "truncated",
    "size does not match",
    "unexpected file size",
)
NO_ANSWER = "no answer within"
UNREACHABLE = (
    "connection refused",
    "no such host",
    "i/o timeout",
    "host key verification",
    "network is unreachable",
    NO_ANSWER,
)
DENIED = ("access denied", "permission denied", "invalidaccesskeyid", "signaturedoesnotmatch", "no credentials found")


class Trouble(Exception):
    """What ends an action; the text is for people."""


class Ended(Trouble):
    """What a signal ends; that says nothing of a backup."""


@dataclass(frozen=True)
class Settings:
    """What the role wrote for this host."""

    target: str
    domain: str
    kind: str
    version: str
    database: str
    files: str
    containers: tuple[str, ...]
    supervisor: str
    url: str
    keep: Mapping[str, int]
    connection: str = ""
    """The file that says how a database elsewhere is reached; empty for the one on this host."""
    socket: str = "/var/lib/gpuchat/postgresql/socket"
    state: str = "/var/lib/gpuchat/backup"
    folder: str = "/etc/gpuchat/backup"
    user: str = "postgres"

    @property
    def runs_as(self) -> str:
        """Who runs PostgreSQL's programs: the server's own user, or root, whose environment holds a password; empty."""
        return "" if self.connection else self.user

    @property
    def stage(self) -> str:
        return f"{self.state}/stage"

    @property
    def tags(self) -> str:
        """What marks this chat's backups: those of an interface that ran before neither count nor go with them."""
        return f"--tag={TAG},{self.kind}"


def settings_of(given: Mapping[str, Any]) -> Settings:
    """Return the settings of a file.

    Raises:
        Trouble: a value is none that this can work with.
    """
    try:
        known = Settings(**{**given, "containers": tuple(given["containers"])})
    except (KeyError, TypeError) as error:
        raise Trouble(f"found {error} in backup.json; wanted it as the role backup writes it; run site.yml") from None
    if not NAME.fullmatch(known.database):
        raise Trouble(f"found the database {known.database!r}; wanted a plain name; run site.yml")
    keep_words(known.keep)
    return known


def keep_words(keep: Mapping[str, int]) -> list[str]:
    """Return restic's words for what is kept.

    Raises:
        Trouble: nothing would be kept.
    """
    words = [f"--keep-{period}={int(count)}" for period, count in sorted(keep.items()) if int(count) > 0]
    if not words:
        raise Trouble("found a backup_keep that keeps nothing; wanted one period at least; set backup_keep")
    return words


def explained(said: str, target: str) -> str:
    """Return restic's words with what they mean in front, where that is known."""
    low = said.lower()
    last = "\n".join(said.strip().splitlines()[-6:])
    meanings = (
        (WRONG_PASSWORD, "the password does not open it; set backup_password to the one that it was made with"),
        (LOCKED, "another run holds it; wait for its end, or run `restic unlock` where there is none"),
        (UNREACHABLE, "its server is not reached; check the address, and for sftp the keys and known_hosts of root"),
        (DENIED, "its server lets nobody in; check backup_secret_environment, or the rights of its folder"),
        (
            NO_REPOSITORY,
            GONE,
        ),
        (
            DAMAGED,
            "it is damaged: parts are missing or changed; set backup_target to a new place and keep this one apart",
        ),
    )
    for words, meaning in meanings:
        if any(word in low for word in words):
            return f"found the backup at {target}: {meaning}. restic says:\n{last}"
    return f"found that restic cannot work with the backup at {target}. It says:\n{last}"


def is_absent(said: str) -> bool:
    """Whether restic's words say that there is no repository yet."""
    low = said.lower()
    return any(word in low for word in NO_REPOSITORY) and not any(word in low for word in (*UNREACHABLE, *DENIED))


def messages_of(said: str) -> list[dict[str, Any]]:
    """Return the JSON objects among the lines of an output."""
    found = []
    for line in said.splitlines():
        if line.startswith("{"):
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
    return found


def summary_of(said: str) -> dict[str, Any]:
    """Return what `restic backup --json` says at its end.

    Raises:
        Trouble: it has made no snapshot.
    """
    found = [one for one in messages_of(said) if one.get("message_type") == "summary" and one.get("snapshot_id")]
    if not found:
        raise Trouble("found no snapshot in what restic said; wanted one; run it again and read the journal")
    return found[-1]


def unread(said: str) -> list[str]:
    """Return what `restic backup --json` could not read."""
    return [str(one.get("item") or "?") for one in messages_of(said) if one.get("message_type") == "error"]


def snapshot_of(listed: str, wanted: str) -> dict[str, Any]:
    """Return the newest snapshot, or the one that somebody names, of `restic snapshots --json`.

    Raises:
        Trouble: there is none.
    """
    try:
        found = sorted(json.loads(listed) or [], key=lambda one: str(one["time"]))
    except (ValueError, TypeError, KeyError):
        raise Trouble("found no list in what restic said of its snapshots; wanted one; run it again") from None
    if wanted != "latest":
        found = [one for one in found if len(wanted) >= 4 and str(one["id"]).startswith(wanted)]
    if not found:
        raise Trouble(
            f"found no backup {wanted!r} of this chat; wanted one; run playbooks/backup.yml, or set restore_snapshot "
            "to one that `restic snapshots` lists"
        )
    return dict(found[-1])


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


TABLES = """
SELECT coalesce(json_agg(format('%I.%I', n.nspname, c.relname) ORDER BY n.nspname, c.relname), '[]')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e');
"""
DATABASE = """
SELECT json_build_object('owner', pg_get_userbyid(datdba), 'provider', to_json(d)->>'datlocprovider',
'collate', datcollate, 'ctype', datctype, 'bytes', pg_database_size(oid),
'server', current_setting('server_version_num')::int,
'extensions', (SELECT coalesce(json_agg(extname ORDER BY oid), '[]') FROM pg_extension WHERE extname <> 'plpgsql'))
FROM pg_database d WHERE datname = current_database();
"""
ROW = "gpuchat_row"


def sum_statement(table: str) -> str:
    """Return the SQL that counts a table's rows and sums the hashes of all of them, whatever their order.

    Args:
        table: its name, quoted as SQL has it.
    """
    digest = f"('x' || left(md5({ROW}::text), 15))::bit(60)::bigint"
    return f"SELECT json_build_array(count(*), coalesce(sum({digest}), 0)::text) FROM ONLY {table} {ROW};"


SAME_TEXT = {
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "off",
}
"""Under which rows have the same text on every server."""


def table_differences(wanted: Mapping[str, Sequence[Any]], found: Mapping[str, Sequence[Any]]) -> list[str]:
    """Say in which tables what is there is not what was backed up."""
    words = []
    for table in sorted({*wanted, *found}):
        if table not in found:
            words.append(f"table {table} is missing")
        elif table not in wanted:
            words.append(f"table {table} was not in the backup")
        elif int(wanted[table][0]) != int(found[table][0]):
            words.append(f"table {table} has {found[table][0]} rows instead of {wanted[table][0]}")
        elif str(wanted[table][1]) != str(found[table][1]):
            words.append(f"rows of table {table} differ")
    return words


@dataclass(frozen=True)
class Entry:
    """A file as the manifest has it."""

    path: str
    size: int
    changed: int
    sha256: str


def shortened(words: Sequence[str]) -> str:
    more = len(words) - SHOWN
    return "; ".join(words[:SHOWN]) + (f"; and {more} more" if more > 0 else "")


def loadable(listing: str) -> str:
    """Return a dump's table of contents without what only a superuser may make."""
    return "".join(line for line in listing.splitlines(keepends=True) if not NOT_LOADED.match(line))


def programs_of(folders: Iterable[str], major: int = 0) -> str:
    """Return the folder of PostgreSQL's programs: that of the server's version, else the newest."""

    def version(folder: str) -> int:
        numbers = re.findall(r"\d+", folder)
        return int(numbers[-1]) if numbers else 0

    found = sorted(folders, key=version)
    same = [one for one in found if version(one) == major]
    return (same or found or [""])[-1]


def version_numbers(text: str) -> tuple[int, ...]:
    return tuple(int(one) for one in re.findall(r"\d+", text.partition("-")[0]))


def check_manifest(manifest: Mapping[str, Any], known: Settings) -> None:
    """Refuse a backup that this host's interface cannot take.

    Raises:
        Trouble: why it cannot.
    """
    if manifest.get("format") != FORMAT:
        raise Trouble(
            f"found a manifest of format {manifest.get('format')!r}; wanted {FORMAT}; take the gpuchat that made it"
        )
    if manifest.get("kind") != known.kind:
        raise Trouble(
            f"found a backup of {manifest['kind']}; wanted one of {known.kind}; set gpuchat_interface to "
            f"{manifest['kind']} and run site.yml first"
        )
    if known.version and version_numbers(manifest["version"]) > version_numbers(known.version):
        raise Trouble(
            f"found a backup of {known.kind} {manifest['version']}, which is newer than {known.version} here; wanted "
            f"the same or a later one; set {known.kind}_version and run site.yml first"
        )


# ---- What is read, asked and done ------------------------------------------------------------------------------------


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Done:
    rc: int
    out: str
    err: str


def run(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    user: str = "",
    text: str | None = None,
    seconds: float | None = None,
) -> Done:
    """Run a command, as another user where one is named, and return what it left."""
    own = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
    own["DOCKER_CONFIG"] = "/nonexistent"  # root's own may name another server
    options: dict[str, Any] = {}
    if user and os.geteuid() == 0:
        entry = pwd.getpwnam(user)
        options = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        own["HOME"] = entry.pw_dir
    try:
        done = subprocess.run(
            list(command),
            env={**own, **(environment or {})},
            capture_output=True,
            input=(text or "").encode(),
            cwd="/",
            check=False,
            timeout=seconds,
            **options,
        )
    except FileNotFoundError:
        return Done(127, "", f"{command[0]}: not found")
    except subprocess.TimeoutExpired as expired:
        said = (expired.stdout or b"") + (expired.stderr or b"")
        return Done(124, "", f"{said.decode(errors='replace')}\n{NO_ANSWER} {seconds:.0f} s")
    return Done(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


class Session:
    """One connection to the database, which keeps its transaction open while others work."""

    def __init__(self, host: PostgreSQL, database: str) -> None:
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        options: dict[str, Any] = {}
        if host.user and os.geteuid() == 0:
            entry = pwd.getpwnam(host.user)
            options = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        self.process = subprocess.Popen(
            host.psql(database),
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **host.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            cwd="/",
            text=True,
            encoding="utf-8",
            **options,
        )

    def ask(self, statement: str) -> str:
        """Return what a statement prints."""
        assert self.process.stdin
        assert self.process.stdout
        mark = f"end-{time.monotonic_ns()}"
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{statement}\n\\echo {mark}\n")
            self.process.stdin.flush()
        lines: list[str] = []
        for line in self.process.stdout:
            if line.rstrip("\n") == mark:
                return "".join(lines).strip()
            lines.append(line)
        self.errors.seek(0)
        said = self.errors.read().decode(errors="replace").strip()
        raise Trouble(f"found that PostgreSQL does not answer; wanted its rows; it says: {said[-1000:]}")

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.errors.close()


def environment_of(known: Settings, connection: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment by which PostgreSQL's programs find the server.

    Args:
        connection: how one elsewhere is reached; empty for the one on this host, which takes its administrator's word.
    """
    settings = {"PGOPTIONS": " ".join(f"-c {name}={value}" for name, value in SAME_TEXT.items())}
    if not connection:
        return {"PGHOST": known.socket, "PGUSER": known.user, **settings}
    try:
        address = {"PGHOSTADDR": str(connection["address"])} if connection.get("address") else {}
        return {
            "PGHOST": str(connection["host"]),
            "PGPORT": str(connection["port"]),
            "PGUSER": str(connection["user"]),
            "PGPASSWORD": str(connection["password"]),
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": str(connection["authority_file"]),
            "PGCONNECT_TIMEOUT": "30",
            **address,
            **settings,
        }
    except KeyError as error:
        raise Trouble(f"found no {error} in {known.connection}; wanted it as a run writes it; run site.yml") from None


def refusal_explained(said: str) -> str:
    """Return PostgreSQL's words on what it refuses, with what they mean behind, where that is known."""
    for words, meaning in (
        (
            "permission denied to create database",
            "a drill and a restore load a backup beside what is there: have gpuchat_database.user be given CREATEDB",
        ),
        (
            "permission denied to create extension",
            "a drill and a restore load a backup beside what is there: have its owner make the extension in template1",
        ),
        (
            "server version mismatch",
            "this host's pg_dump is older than the server: add the package of the client in its version to the host",
        ),
    ):
        if words in said:
            return f"{said}; {meaning}"
    return said


class PostgreSQL:
    """The server: the host's as its own administrator, or one elsewhere as the database's owner."""

    def __init__(self, known: Settings) -> None:
        self.user = known.runs_as
        connection = read_json(known.connection) if known.connection else {}
        if known.connection and not connection:
            raise Trouble(f"found no {known.connection}; wanted it as a run writes it; run site.yml")
        self.environment = environment_of(known, connection)
        folders = [path for path in glob.glob("/usr/lib/postgresql/*/bin") if os.path.exists(f"{path}/pg_dump")]
        folders += [path for path in glob.glob("/usr/pgsql-*/bin") if os.path.exists(f"{path}/pg_dump")]
        self.programs = programs_of(folders)
        self.programs = programs_of(folders, int(self.ask("postgres", "SHOW server_version_num;")) // 10000)

    def program(self, name: str) -> str:
        return f"{self.programs}/{name}" if self.programs else name

    def psql(self, database: str) -> list[str]:
        return [self.program("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database]

    def must(self, command: Sequence[str], text: str | None = None) -> str:
        done = run(command, self.environment, self.user, text)
        if done.rc != 0:
            name = os.path.basename(command[0])
            said = refusal_explained(done.err.strip()[-2000:])
            raise Trouble(f"found that {name} failed; wanted it to end well; it says: {said}")
        return done.out

    def ask(self, database: str, statement: str) -> str:
        return self.must(self.psql(database), statement).strip()

    def has(self, database: str) -> bool:
        return self.ask("postgres", f"SELECT count(*) FROM pg_database WHERE datname = '{database}';") == "1"

    @contextlib.contextmanager
    def session(self, database: str) -> Iterator[Session]:
        opened = Session(self, database)
        try:
            yield opened
        finally:
            opened.close()

    def drop(self, database: str) -> None:
        self.ask("postgres", f"DROP DATABASE IF EXISTS {quoted(database)} WITH (FORCE);")


def sums(session: Session) -> dict[str, list[Any]]:
    """Count and sum each table of a session's database."""
    return {str(table): json.loads(session.ask(sum_statement(table))) for table in json.loads(session.ask(TABLES))}


class Restic:
    """The repository."""

    def __init__(self, known: Settings) -> None:
        self.known = known
        path = pathlib.Path(known.folder) / "environment.json"
        given = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.environment = {
            "RESTIC_REPOSITORY": known.target,
            "RESTIC_PASSWORD_FILE": f"{known.folder}/password",
            "RESTIC_CACHE_DIR": f"{known.state}/cache",
            "RESTIC_PROGRESS_FPS": "0.01",
            **{str(name): str(value) for name, value in given.items()},
        }

    def run(self, *words: str, seconds: float | None = None) -> Done:
        return run(["restic", *words], self.environment, seconds=seconds)

    def must(self, *words: str) -> str:
        done = self.run(*words)
        if done.rc != 0:
            raise Trouble(explained(f"{done.out}\n{done.err}", self.known.target))
        return done.out

    def open(self, make: bool) -> None:
        """See that the repository is there and opens; make it where it may be new."""
        done = self.run("cat", "config", seconds=OPEN_SECONDS)
        said = f"{done.out}\n{done.err}"
        if done.rc == 0:
            self.run("unlock")  # only the locks of runs that are gone
        elif done.rc == 127:
            raise Trouble("found no restic on this host; wanted it; run site.yml")
        elif make and (is_absent(said) or (done.rc == 124 and self.known.target.startswith("s3:"))):
            say(f"makes a new repository at {self.known.target}")
            made = self.run("init", seconds=OPEN_SECONDS)  # with its bucket; it leaves one that is there as it is
            if made.rc != 0:
                raise Trouble(explained(f"{made.out}\n{made.err}", self.known.target))
        else:
            raise Trouble(explained(said, self.known.target))

    def snapshot(self, wanted: str) -> dict[str, Any]:
        tags = self.known.tags if wanted == "latest" else f"--tag={TAG}"
        listed = self.must("snapshots", "--json", "--no-lock", f"--host={self.known.domain}", tags)
        return snapshot_of(listed, wanted)


def entries(folder: str, cache: Mapping[str, Sequence[Any]]) -> Iterator[tuple[Entry, list[Any]]]:
    """Yield a folder's files with their hashes; of those that look as at the last time the hash is known."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(parent, name)
            with contextlib.suppress(FileNotFoundError):
                status = os.lstat(path)
                if not stat.S_ISREG(status.st_mode):
                    continue
                mark = [status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns]
                relative = os.path.relpath(path, folder)
                before = cache.get(relative)
                digest = str(before[4]) if before and list(before[:4]) == mark else hash_of(path)
                yield Entry(relative, status.st_size, status.st_mtime_ns, digest), [*mark, digest]


def hash_of(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for part in iter(lambda: file.read(1024 * 1024), b""):
            digest.update(part)
    return digest.hexdigest()


def file_differences(folder: str, listed: Iterable[Entry], began: int) -> tuple[list[str], int]:
    """Say which restored files are not those of the manifest, and how many changed while the backup was made.

    Those carry a later time than the manifest, or their folder does where they are gone.
    """
    words, moved = [], 0
    for entry in listed:
        path = os.path.join(folder, entry.path)
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            above = os.path.dirname(path)
            while not os.path.isdir(above) and len(above) > len(folder):
                above = os.path.dirname(above)
            if os.path.isdir(above) and os.lstat(above).st_mtime_ns >= began - SLACK_NS:
                moved += 1
            else:
                words.append(f"file {entry.path} is missing")
            continue
        if status.st_mtime_ns != entry.changed and status.st_mtime_ns >= began - SLACK_NS:
            moved += 1
        elif status.st_size != entry.size or hash_of(path) != entry.sha256:
            words.append(f"file {entry.path} differs")
    return words, moved


def read_json(path: str) -> dict[str, Any]:
    try:
        value = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: str, value: object) -> None:
    temporary = f"{path}.new"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def emptied(path: str, mode: int) -> str:
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    os.chmod(path, mode)
    return path


def give(path: str, user: str) -> None:
    """Give a folder and all in it to a user, where one is named."""
    if user and os.geteuid() == 0:
        entry = pwd.getpwnam(user)
        for parent, folders, names in os.walk(path):
            for one in [parent, *(os.path.join(parent, name) for name in [*folders, *names])]:
                os.chown(one, entry.pw_uid, entry.pw_gid, follow_symlinks=False)


def want_space(path: str, wanted: float, what: str) -> None:
    free = shutil.disk_usage(path).free
    if free < wanted:
        raise Trouble(
            f"found {free // 1000**2} MB free at {path}; wanted {int(wanted) // 1000**2} MB for {what}; free space"
        )


class Unmoved(urllib.request.HTTPRedirectHandler):
    """Takes a redirect as an answer: it may lead to the site's own name."""

    def redirect_request(self, *_given: Any) -> None:
        return None


class Work:
    """One action, by one process at a time."""

    def __init__(self, known: Settings) -> None:
        self.known = known
        os.makedirs(known.state, exist_ok=True)
        os.chmod(known.state, 0o711)  # PostgreSQL's own user passes to the folder that it writes to
        self.status_path = f"{known.state}/status.json"

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        with open(f"{self.known.state}/lock", "w", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Trouble("found a backup, drill or restore under way; wanted none; wait for its end") from None
            yield

    @property
    def template(self) -> str:
        """Of a new database: on a server elsewhere its owner puts extensions there that nobody else may make."""
        return "template1" if self.known.connection else "template0"

    def note(self, **news: object) -> None:
        write_json(self.status_path, {**read_json(self.status_path), **news})

    # -- a backup

    def back_up(self) -> dict[str, Any]:
        began = time.time()
        try:
            result = self._backed_up(began)
        except (Trouble, OSError) as error:
            self.note(failure={"time": time.time(), "message": str(error)})
            raise
        self.note(failure=None)
        return result

    def _backed_up(self, began: float) -> dict[str, Any]:
        known, status = self.known, read_json(self.status_path)
        before = (status.get("success") or {}).get("target") == known.target
        restic, server = Restic(known), PostgreSQL(known)
        restic.open(make=not before)  # one that was there and is gone is told, not made anew
        stage = emptied(known.stage, 0o711)
        try:
            manifest = self._staged(server, stage)
            summary = self._snapshot(restic, stage)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
        success = {
            "time": began,
            "target": known.target,
            "snapshot": summary["snapshot_id"],
            "seconds": round(time.time() - began, 1),
            "bytes_added": summary.get("data_added_packed", summary.get("data_added", 0)),
            "bytes": summary.get("total_bytes_processed", 0),
            "rows": sum(int(one[0]) for one in manifest["database"]["tables"].values()),
            "files": manifest["files"]["count"],
        }
        self.note(success=success)
        say(f"snapshot {success['snapshot'][:8]}: {success['bytes_added']} bytes added of {success['bytes']}")
        restic.must(
            "forget", "--prune", "--json", f"--host={known.domain}", known.tags, "--group-by=host,tags",
            *keep_words(known.keep),
        )  # fmt: skip
        if began - float(status.get("checked") or 0) >= CHECK_SECONDS:
            restic.must("check", f"--read-data-subset={CHECKED_SHARE}")
            self.note(checked=began)
        return success

    def _staged(self, server: PostgreSQL, stage: str) -> dict[str, Any]:
        """Write the database, the control node's folder and the manifest of all below the stage."""
        known = self.known
        dump = emptied(f"{stage}/database", 0o700)
        give(dump, known.runs_as)
        if not server.has(known.database):
            raise Trouble(f"found no database {known.database}; wanted the interface's; run site.yml")
        with server.session(known.database) as session:
            session.ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;")
            database = json.loads(session.ask(DATABASE))
            want_space(stage, 1.5 * database["bytes"] + SPARE_BYTES, "the dump of the database")
            exported = session.ask("SELECT pg_export_snapshot();")
            words = ["--format=directory", "--compress=0", "--no-sync", f"--snapshot={exported}", f"--file={dump}/dump"]
            server.must([server.program("pg_dump"), *words, f"--dbname={known.database}"])
            database["tables"] = sums(session)
        began = time.time_ns()
        count, size, cache_path = 0, 0, f"{known.state}/hashes.json"
        cache, fresh = read_json(cache_path), {}
        with open(f"{stage}/files.jsonl", "w", encoding="utf-8", errors="surrogateescape") as listing:
            for entry, mark in entries(known.files, cache):
                listing.write(json.dumps([entry.path, entry.size, entry.changed, entry.sha256]) + "\n")
                fresh[entry.path] = mark
                count, size = count + 1, size + entry.size
        write_json(cache_path, fresh)
        if os.path.isdir(f"{known.state}/stack"):
            shutil.copytree(f"{known.state}/stack", f"{stage}/stack")
        manifest = {
            "format": FORMAT,
            "taken": began,
            "kind": known.kind,
            "version": known.version,
            "domain": known.domain,
            "database": {"name": known.database, **database},
            "files": {"folder": known.files, "count": count, "bytes": size},
        }
        write_json(f"{stage}/manifest.json", manifest)
        return manifest

    def _snapshot(self, restic: Restic, stage: str) -> dict[str, Any]:
        paths = [stage, *([self.known.files] if os.path.isdir(self.known.files) else [])]
        done = restic.run("backup", "--json", f"--host={self.known.domain}", self.known.tags, *paths)
        said = f"{done.out}\n{done.err}"
        missed = [path for path in unread(said) if os.path.lexists(path)]
        if done.rc not in (0, 3) or (done.rc == 3 and (missed or not unread(said))):
            raise Trouble(explained(said, self.known.target))
        return summary_of(done.out)

    # -- a backup, brought to a place where nobody uses it

    def fetched(self, restic: Restic, snapshot: Mapping[str, Any], place: str) -> dict[str, Any]:
        """Restore a snapshot below a folder, and compare its files; return its manifest."""
        size = float((snapshot.get("summary") or {}).get("total_bytes_processed") or 0)
        # Of the database there is the dump, and then the tables that it is loaded into.
        want_space(place, 2 * size + SPARE_BYTES, "what the backup holds")
        restic.must("restore", str(snapshot["id"]), f"--target={place}", "--verify", "--no-cache", "--no-lock")
        stage = f"{place}{self.known.stage}"
        os.chmod(place, 0o711)
        manifest = read_json(f"{stage}/manifest.json")
        if not manifest:
            raise Trouble("found no manifest in the backup; wanted one that gpuchat made; choose another snapshot")
        with open(f"{stage}/files.jsonl", encoding="utf-8") as listing:
            listed = (Entry(*json.loads(line)) for line in listing)
            words, moved = file_differences(f"{place}{manifest['files']['folder']}", listed, int(manifest["taken"]))
        if words:
            raise Trouble(f"found that the backup differs from what was backed up: {shortened(words)}; wanted the same")
        return {**manifest, "moved": moved}

    def loaded(self, server: PostgreSQL, manifest: Mapping[str, Any], place: str, name: str) -> None:
        """Load a restored dump into a new database, and compare its rows with the manifest."""
        known, database = self.known, manifest["database"]
        dump = f"{place}{known.stage}/database"
        give(dump, known.runs_as)
        for path in pathlib.Path(dump).parents:  # down to here, restic made the folders for root alone
            if str(path).startswith(place):
                os.chmod(path, 0o711)
        locale = ""
        if database["provider"] == "c" and not known.connection:
            locale = f" LC_COLLATE '{database['collate']}' LC_CTYPE '{database['ctype']}'"
        server.drop(name)
        owner = quoted(database["owner"])
        server.ask(
            "postgres",
            f"CREATE DATABASE {quoted(name)} OWNER {owner} TEMPLATE {self.template} ENCODING 'UTF8'{locale};"
            f"REVOKE ALL ON DATABASE {quoted(name)} FROM PUBLIC;",
        )
        server.ask(name, "REVOKE CREATE ON SCHEMA public FROM PUBLIC;")
        for extension in database["extensions"]:
            server.ask(name, f"CREATE EXTENSION IF NOT EXISTS {quoted(extension)} CASCADE;")
        restore = server.program("pg_restore")
        contents = f"{dump}/contents"
        pathlib.Path(contents).write_text(loadable(server.must([restore, "-l", f"{dump}/dump"])), encoding="utf-8")
        os.chmod(contents, 0o644)
        words = ["--exit-on-error", "--no-owner", "--no-privileges", f"--role={database['owner']}", "--jobs=2"]
        server.must([restore, *words, f"--use-list={contents}", f"--dbname={name}", f"{dump}/dump"])
        server.ask(name, "ANALYZE;")
        with server.session(name) as session:
            words = table_differences(database["tables"], sums(session))
        if words:
            raise Trouble(f"found that the backup differs from what was backed up: {shortened(words)}; wanted the same")

    def drill(self) -> dict[str, Any]:
        """Restore the newest backup into a scratch place, compare, and clean up."""
        began = time.time()
        try:
            result = self._drilled(began)
        except Ended:
            raise
        except (Trouble, OSError) as error:
            self.note(drill={"time": began, "good": False, "message": str(error)})
            raise
        self.note(drill={"time": began, "good": True, "message": "", "snapshot": result["snapshot"]})
        return result

    def _drilled(self, began: float) -> dict[str, Any]:
        known = self.known
        restic, server = Restic(known), PostgreSQL(known)
        restic.open(make=False)
        snapshot = restic.snapshot("latest")
        share = "--read-data" if known.target.startswith("/") else f"--read-data-subset={DRILLED_SHARE}"
        restic.must("check", share)
        name, place = f"{known.database}_drill", emptied(f"{known.state}/drill", 0o700)
        try:
            manifest = self.fetched(restic, snapshot, place)
            self.loaded(server, manifest, place, name)
        finally:
            shutil.rmtree(place, ignore_errors=True)
            server.drop(name)
        return {**self._told(snapshot, manifest), "seconds": round(time.time() - began, 1)}

    @staticmethod
    def _told(snapshot: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
        tables = manifest["database"]["tables"]
        return {
            "snapshot": str(snapshot["id"]),
            "taken": str(snapshot["time"]),
            "tables": len(tables),
            "rows": sum(int(one[0]) for one in tables.values()),
            "files": manifest["files"]["count"],
            "moved": manifest["moved"],
        }

    # -- a backup, in the place of what is there

    def restore(self, wanted: str) -> dict[str, Any]:
        """Bring a backup back: all of it is there and compared before anything that runs is stopped."""
        began, known = time.time(), self.known
        restic, server = Restic(known), PostgreSQL(known)
        restic.open(make=False)
        snapshot = restic.snapshot(wanted)
        name, place = f"{known.database}_restored", emptied(f"{known.state}/restore", 0o700)
        try:
            manifest = self.fetched(restic, snapshot, place)
            check_manifest(manifest, known)
            self.loaded(server, manifest, place, name)
            kept = self._swapped(server, manifest, place, name)
        finally:
            shutil.rmtree(place, ignore_errors=True)
            server.drop(name)
        return {**self._told(snapshot, manifest), "kept": kept, "seconds": round(time.time() - began, 1)}

    def _swapped(self, server: PostgreSQL, manifest: Mapping[str, Any], place: str, name: str) -> dict[str, str]:
        """Put what was restored in its place, and back where the interface does not start with it."""
        known, stamp = self.known, time.strftime("%Y%m%d_%H%M%S", time.gmtime())
        restored = f"{place}{manifest['files']['folder']}"
        old_database = f"{known.database}_before_{stamp}" if server.has(known.database) else ""
        # An object store elsewhere is its owner's to back up and to restore: then no folder is named.
        old_files = f"{known.files}-before-{stamp}" if known.files and os.path.isdir(known.files) else ""
        self._supervise("stop")
        undo: list[Any] = []
        try:
            self._rename_databases(server, [(known.database, old_database), (name, known.database)])
            undo.append(
                lambda: self._rename_databases(server, [(known.database, name), (old_database, known.database)])
            )
            if known.files and manifest["files"]["folder"] and os.path.isdir(restored):
                if old_files:
                    owner = os.stat(known.files)
                    os.chown(restored, owner.st_uid, owner.st_gid)
                    os.chmod(restored, stat.S_IMODE(owner.st_mode))
                    os.rename(known.files, old_files)
                    undo.append(lambda: os.rename(old_files, known.files))
                os.rename(restored, known.files)
                undo.append(lambda: os.rename(known.files, restored))
            else:
                old_files = ""
            self._supervise("start")
            self._wait_until_well()
        except (Trouble, OSError) as error:
            self._supervise("stop", must=False)
            for step in reversed(undo):
                step()
            self._supervise("start", must=False)
            raise Trouble(f"{error}\nWhat was there before runs again; nothing of it was lost.") from None
        return {key: value for key, value in (("database", old_database), ("files", old_files)) if value}

    def _rename_databases(self, server: PostgreSQL, pairs: Sequence[tuple[str, str]]) -> None:
        chosen = [(old, new) for old, new in pairs if old and new]
        names = ", ".join(f"'{old}'" for old, _new in chosen)
        renames = "".join(f"ALTER DATABASE {quoted(old)} RENAME TO {quoted(new)};" for old, new in chosen)
        server.ask("postgres", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ({names});")
        server.ask("postgres", f"BEGIN;{renames}COMMIT;")

    def _supervise(self, verb: str, must: bool = True) -> None:
        names = list(self.known.containers)  # what others need comes last
        for name in names if verb == "stop" else reversed(names):
            if self.known.supervisor == "systemd":
                if run(["systemctl", "cat", f"{name}.service"]).rc != 0:
                    continue
                command = ["systemctl", verb, f"{name}.service"]
            else:
                if run(["docker", "container", "inspect", name]).rc != 0:
                    continue
                command = ["docker", verb, name]
            done = run(command)
            if done.rc != 0 and must:
                raise Trouble(
                    f"found that `{' '.join(command)}` failed; wanted it to end well; it says: {done.err.strip()}"
                )

    def _wait_until_well(self) -> None:
        if not self.known.url:
            return
        end, word = time.monotonic() + HEALTH_SECONDS, ""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), Unmoved())
        while time.monotonic() < end:
            try:
                with opener.open(self.known.url, timeout=10):
                    return
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    return
                word = f"status {error.code}"
            except (OSError, ValueError) as error:
                word = str(getattr(error, "reason", error))
            time.sleep(1)
        raise Trouble(
            f"found that the interface does not answer at {self.known.url} with the restored data ({word}); wanted an "
            f"answer within {HEALTH_SECONDS:.0f} s; look at `docker logs {self.known.containers[0]}`"
        )

    def stack(self, wanted: str, target: str) -> dict[str, Any]:
        """Bring the control node's own folder of a backup, and nothing else."""
        restic = Restic(self.known)
        restic.open(make=False)
        snapshot = restic.snapshot(wanted)
        inside = f"{self.known.stage}/stack"
        with tempfile.TemporaryDirectory(dir=self.known.state) as place:
            restic.must(
                "restore", str(snapshot["id"]), f"--target={place}", f"--include={inside}", "--verify", "--no-lock"
            )
            if not os.path.isdir(f"{place}{inside}"):
                raise Trouble("found no folder of the control node in this backup; wanted one; choose another snapshot")
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(f"{place}{inside}", target)
        os.chmod(target, 0o700)
        return {"snapshot": str(snapshot["id"]), "brought": sorted(os.listdir(target))}


def act(words: Sequence[str]) -> dict[str, Any]:
    """Do what the command line says, and return the result."""
    usage = "usage: gpuchat_backup.py CONFIG run | drill | restore SNAPSHOT | stack SNAPSHOT FOLDER | --check"
    if len(words) < 2:
        raise Trouble(usage)
    known = settings_of(json.loads(pathlib.Path(words[0]).read_text(encoding="utf-8")))
    if list(words[1:]) == ["--check"]:
        return {}
    os.umask(0o077)
    work = Work(known)
    with work.alone():
        if list(words[1:]) == ["run"]:
            return work.back_up()
        if list(words[1:]) == ["drill"]:
            return work.drill()
        if words[1] == "restore" and len(words) == 3:
            return work.restore(words[2])
        if words[1] == "stack" and len(words) == 4:
            return work.stack(words[2], words[3])
    raise Trouble(usage)


def ended(_signal: int, _frame: object) -> None:
    """Let a signal end things in order: a scratch goes, and what was there before runs again."""
    raise Ended("found a signal that ended it; wanted it to end by itself; run it again")


def main() -> int:
    for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(one, ended)
    try:
        result = act(sys.argv[1:])
    except (Trouble, OSError, ValueError) as error:
        say(f"failed: {error}")
        print(json.dumps({"failed": True, "msg": str(error)}))
        return 1
    print(json.dumps({"failed": False, **result}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
