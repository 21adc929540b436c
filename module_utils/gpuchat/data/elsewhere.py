# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a database of somebody else's can hold a chat: what is asked of it, and what is wrong with its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import postgresql

OLDEST_MAJOR = postgresql.OLDEST_MAJOR
CLIENTS: Mapping[str, str] = {**postgresql.MAJORS, "debian-12": "15", "ubuntu-22.04": "14"}
"""The major version of pg_dump of each release's own packages."""

QUESTION = """
SELECT json_build_object(
  'number', current_setting('server_version_num')::int,
  'version', current_setting('server_version'),
  'encoding', pg_encoding_to_char(encoding),
  'read_only', pg_is_in_recovery(),
  'makes_databases', (SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user),
  'extensions', (SELECT coalesce(json_object_agg(extname, extversion), '{}') FROM pg_extension),
  'available', (SELECT coalesce(json_object_agg(name, default_version), '{}') FROM pg_available_extensions),
  'others', (SELECT coalesce(json_agg(DISTINCT tableowner), '[]') FROM pg_tables WHERE schemaname = 'public'
    AND NOT pg_has_role(tableowner, 'USAGE')))
FROM pg_database WHERE datname = current_database();
"""
"""What reads all that is looked at, as one JSON text."""

TRIES: Mapping[str, str] = {
    "make tables": "CREATE TABLE public.tried_by_gpuchat (id bigint PRIMARY KEY, words text);",
    "make functions and triggers": (
        "CREATE TABLE public.tried_by_gpuchat (id bigint);"
        "CREATE FUNCTION public.tried_by_gpuchat() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER tried_by_gpuchat BEFORE INSERT ON public.tried_by_gpuchat FOR EACH ROW "
        "EXECUTE FUNCTION public.tried_by_gpuchat();"
    ),
    "make schemas": "CREATE SCHEMA tried_by_gpuchat;",
    "make temporary tables": "CREATE TEMPORARY TABLE tried_by_gpuchat (id bigint);",
}
"""What an interface does in its database, each as statements that are taken back."""


def attempt(statements: str) -> str:
    """Return what tries statements and leaves nothing of them."""
    return f"BEGIN;{statements}ROLLBACK;"


def extension_statement(name: str) -> str:
    """Return what makes an extension."""
    return f'CREATE EXTENSION "{name}";'


@dataclass(frozen=True)
class Database:
    """A database as it describes itself.

    Attributes:
        version: as the server writes it.
        read_only: it follows another one, and takes nothing.
        makes_databases: its user may make further ones.
        extensions: those that it has, by version.
        available: those that its server has.
        others: whose tables lie in its schema public, and are not the user's to change.
    """

    major: int
    version: str
    encoding: str
    read_only: bool
    makes_databases: bool
    extensions: Mapping[str, str] = field(default_factory=dict)
    available: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Database:
        """Return the database that an answer to ``QUESTION`` describes."""
        return cls(
            major=int(told["number"]) // 10000,
            version=str(told["version"]),
            encoding=str(told["encoding"]),
            read_only=bool(told["read_only"]),
            makes_databases=bool(told["makes_databases"]),
            extensions=dict(told["extensions"]),
            available=dict(told["available"]),
            others=tuple(map(str, told["others"])),
        )


def unreached(kind: str, said: str, host: str, port: int, name: str, user: str, code: str = "") -> str:
    """Say why a database is not reached, and what to set.

    Args:
        kind: ``name``, ``connection``, ``certificate``, ``server`` (it refuses) or ``protocol``.
        said: by the system or the server.
        code: of the server's refusal (SQLSTATE).
    """
    place = f"{host}:{port}"
    if kind == "name":
        wanted = (
            "a name that this host knows; set gpuchat_database.host, or let this host's resolver or /etc/hosts know it"
        )
    elif kind == "certificate":
        wanted = (
            f"a certificate for {host} by an authority that is known; set gpuchat_database.authority_file to that one, "
            "and gpuchat_database.host to a name in the certificate"
        )
    elif kind == "protocol":
        wanted = (
            "PostgreSQL with TLS, and a password kept as scram-sha-256; set gpuchat_database.host and its port, or "
            "have ssl and password_encryption turned on there and the password given anew"
        )
    elif kind == "connection":
        wanted = "a server that this host reaches; set gpuchat_database.host and its port, or open the way between them"
    else:
        wanted = {
            "28P01": "its password; set gpuchat_database_password",
            "28000": f"that {user} may sign in from this host; have pg_hba.conf there say so (hostssl, scram-sha-256)",
            "3D000": "a database of that name; set gpuchat_database.name, or have it made there",
            "42501": f"that {user} may connect to {name}; have that granted there",
            "53300": "free connections; have max_connections raised there",
        }.get(code, "that it lets us in; see what its log says")
    return f"found that the database {name} at {place} is not reached ({said}); wanted {wanted}"


def faults(found: Database, extensions: Sequence[str], refused: Mapping[str, str]) -> list[str]:
    """Return what keeps a chat from a database.

    Args:
        extensions: those that the interface needs.
        refused: what was tried in vain, with the server's words.
    """
    words = []
    if found.major < OLDEST_MAJOR:
        words.append(
            f"found PostgreSQL {found.version}; wanted {OLDEST_MAJOR} or newer; have its owner upgrade it, or set "
            "gpuchat_database to another"
        )
    if found.read_only:
        words.append(
            "found a server that follows another one and takes nothing; wanted the one that it follows; set "
            "gpuchat_database.host to that"
        )
        return words
    if found.encoding != "UTF8":
        words.append(
            f"found the encoding {found.encoding}; wanted UTF8, which holds all languages; set gpuchat_database.name "
            "to a database with it"
        )
    if found.others:
        words.append(
            f"found tables of {', '.join(found.others)} in its schema public; wanted it for the interface alone; set "
            "gpuchat_database.name to a database of its own, or have those tables given to gpuchat_database.user"
        )
    for name in extensions:
        if name in found.extensions:
            continue
        if name not in found.available:
            words.append(
                f"found no extension {name} among those of this server; wanted it; have its owner install it (pgvector "
                "for vector)"
            )
        elif name in refused:
            words.append(
                f"found that its user may not make the extension {name} ({refused[name]}); wanted it there; have its "
                f'owner do CREATE EXTENSION "{name}" in this database'
            )
    for what, said in refused.items():
        if what in TRIES:
            words.append(
                f"found that its user may not {what} ({said}); wanted that; have its owner make it the owner of the "
                "database"
            )
    return words


def backup_warnings(found: Database, client: str) -> list[str]:
    """Return what of backups a database does not allow.

    Args:
        client: the major version of pg_dump on this host, or of its packages; empty where that is not known.
    """
    words = []
    if client and found.major > int(client):
        words.append(
            f"found PostgreSQL {found.major} and pg_dump {client}, which refuses a newer server, so no backup is made; "
            f"wanted pg_dump {found.major}; add PostgreSQL's own repository and its package postgresql-client-"
            f"{found.major} to the chat's host, or leave the backup to the database's owner and set backup_target to ''"
        )
    if not found.makes_databases:
        words.append(
            "found that gpuchat_database.user may not make databases; wanted that for restore_drill.yml and "
            "restore.yml, which load a backup beside what is there (backups are made all the same); have its owner do "
            "ALTER ROLE ... CREATEDB, and CREATE EXTENSION vector in template1 where none but a superuser may"
        )
    return words
