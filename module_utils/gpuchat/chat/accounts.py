# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People's accounts, as the rows of the interface's own tables.

Neither interface makes an account without a mail server or an open sign-up, so the rows are written as it would write
them. Who is there already keeps what they have: a password is the person's own.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..core.errors import Refusal

LOBEHUB = "lobehub"
OPEN_WEBUI = "open_webui"
DATABASES = {LOBEHUB: "lobehub", OPEN_WEBUI: "open_webui"}
FINISHED = 1
"""The version of LobeHub's first steps that a new account has behind it."""

EMAIL = re.compile(r"[^\s@,<>\"\\]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\.[A-Za-z]{2,}")
LONGEST_BYTES = 72
"""bcrypt takes no more of a password, which Open WebUI refuses then."""

PASSWORD_LENGTH = range(8, 65)
"""What LobeHub takes as a password, in characters."""


@dataclass(frozen=True)
class Account:
    """An account as it is wanted.

    Attributes:
        password_hash: as the interface stores it; empty where the person is to choose a password by a link.
        token: the one-time link's, or empty.
        hours: how long the link is good.
        reset: an account that is there gets this password or link, and is signed out.
    """

    interface: str
    email: str
    name: str = ""
    administrator: bool = False
    password_hash: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    hours: int = 72
    reset: bool = False


@dataclass(frozen=True)
class Found:
    """What a database says.

    Attributes:
        ready: the interface has made its tables.
        id: the account's, or empty.
        administrator: its role is that of one.
        guarded: the tables themselves refuse what one person could do to others, or to the server (LobeHub).
        started: who signs up has the first steps behind them (LobeHub).
        has_nobody: there is the person in whose name models are asked (LobeHub).
    """

    ready: bool
    id: str = ""
    administrator: bool = False
    guarded: bool = False
    started: bool = False
    has_nobody: bool = False


@dataclass(frozen=True)
class Ids:
    """Random names for new rows."""

    user: str
    account: str
    verification: str


@dataclass(frozen=True)
class Plan:
    """What to do, in words without a secret and as SQL that holds some."""

    words: tuple[str, ...] = ()
    statements: tuple[str, ...] = field(default=(), repr=False)
    created: bool = False


# --- hashes


def scrypt_hash(password: str, salt: bytes) -> str:
    """Return a password as Better Auth keeps it (``hashPassword`` in its crypto): the salt is used as its hex text."""
    text = salt.hex()
    plain = unicodedata.normalize("NFKC", password).encode()
    key = hashlib.scrypt(plain, salt=text.encode(), n=16384, r=16, p=1, dklen=64, maxmem=64 * 1024 * 1024)
    return f"{text}:{key.hex()}"


BCRYPT64 = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def bcrypt_setting(salt: bytes, cost: int = 12) -> str:
    """Return what crypt(3) makes a bcrypt hash with: the cost and 16 bytes of salt, in bcrypt's own base64."""
    bits = "".join(f"{byte:08b}" for byte in salt[:16]) + "0000"
    letters = "".join(BCRYPT64[int(bits[at : at + 6], 2)] for at in range(0, 132, 6))
    return f"$2b${cost:02}${letters}"


def is_email(email: str) -> bool:
    """Return whether LobeHub takes an address at its sign-in page: one at a bare host or a number is none there."""
    return EMAIL.fullmatch(email) is not None


def check(interface: str, email: str, password: str) -> None:
    """Refuse what the interface would refuse at the sign-in page, or never match.

    Raises:
        Refusal: the address or the password is none that somebody can sign in with.
    """
    if not is_email(email):
        raise Refusal(f"found the address {email!r}; wanted one such as admin@example.com; set email")
    if password and interface == LOBEHUB and len(password) not in PASSWORD_LENGTH:
        raise Refusal(
            f"found a password of {len(password)} characters; wanted 8 to 64, which LobeHub takes; set password"
        )
    if len(password.encode()) > LONGEST_BYTES and interface == OPEN_WEBUI:
        raise Refusal(f"found a password of more than {LONGEST_BYTES} bytes, which bcrypt does not take; set password")


# --- SQL


def literal(text: str) -> str:
    """Return a text as SQL, with ``standard_conforming_strings`` on.

    Raises:
        Refusal: it holds a zero byte.
    """
    if "\0" in text:
        raise Refusal("found a zero byte in a text for the database; wanted a text without; set email and name anew")
    return "'" + text.replace("'", "''") + "'"


TABLES = {
    LOBEHUB: ("users", "accounts", "verifications", "auth_sessions", "ai_providers"),
    OPEN_WEBUI: ("user", "auth"),
}
"""What an interface has made once its migrations are through."""


def tables_query(interface: str) -> str:
    """Return the question whether the interface's tables are there: ``t`` or ``f``."""
    names = ", ".join(literal(name) for name in TABLES[interface])
    return (
        f"SELECT count(*) = {len(TABLES[interface])} FROM information_schema.tables "
        f"WHERE table_schema = 'public' AND table_name IN ({names});"
    )


def account_query(account: Account) -> str:
    """Return the question whose answer `found_of` reads."""
    users = "public.users" if account.interface == LOBEHUB else 'public."user"'
    guarded = _guarded_query() if account.interface == LOBEHUB else "true"
    started = (
        "EXISTS (SELECT FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'users' "
        "AND column_name = 'onboarding' AND column_default IS NOT NULL)"
        if account.interface == LOBEHUB
        else "true"
    )
    has_nobody = (
        f"EXISTS (SELECT FROM public.ai_providers WHERE user_id = {literal(NOBODY)} AND id = {literal(PROVIDER)})"
        if account.interface == LOBEHUB
        else "true"
    )
    return (
        f"SELECT json_build_object('guarded', {guarded}, 'started', {started}, 'nobody', {has_nobody}, 'user', "
        f"(SELECT json_build_object('id', id, 'role', role) FROM {users} "
        f"WHERE lower(email) = {literal(account.email.lower())} LIMIT 1));"
    )


def found_of(answer: str) -> Found:
    """Return what the answer to `account_query` says."""
    told: Mapping[str, object] = json.loads(answer)
    user = told.get("user")
    row: Mapping[str, object] = user if isinstance(user, Mapping) else {}
    return Found(
        ready=True,
        id=str(row.get("id") or ""),
        administrator=row.get("role") == "admin",
        guarded=bool(told.get("guarded")),
        started=bool(told.get("started")),
        has_nobody=bool(told.get("nobody")),
    )


def plan(account: Account, found: Found, ids: Ids, now: str) -> Plan:
    """Return what makes the database hold the account.

    Args:
        now: the time, as JavaScript's ``toISOString`` writes it.
    """
    parts = (_lobehub if account.interface == LOBEHUB else _open_webui)(account, found, ids, now)
    words = tuple(word for word, _statements in parts)
    return Plan(words, tuple(one for _word, several in parts for one in several), created=not found.id)


Parts = Sequence["tuple[str, Sequence[str]]"]


def _lobehub(account: Account, found: Found, ids: Ids, now: str) -> Parts:
    parts: list[tuple[str, Sequence[str]]] = []
    if not found.guarded:
        parts.append(("tables refuse providers' addresses, plugins, and what is somebody else's", GUARD_STATEMENTS))
    if not found.started:
        parts.append(("who signs up starts with a chat and not with questions", [START_STATEMENT]))
    if not found.has_nobody:
        parts.append(("models are asked in nobody's name", NOBODY_STATEMENTS))
    user = found.id or ids.user
    if not found.id:
        parts.append((f"account {account.email}", [_lobehub_user(account, user, now)]))
    if account.administrator and not found.administrator:
        parts.append(
            (
                f"{account.email} is an administrator",
                [f"UPDATE public.users SET role = 'admin' WHERE id = {literal(user)};"],
            )
        )
    if not found.id or account.reset:
        if account.password_hash:
            parts.append((f"password of {account.email}", _lobehub_password(account, user, ids)))
        if account.token:
            parts.append((f"one-time link for {account.email}", _lobehub_link(account, user, ids)))
    return parts


def _lobehub_user(account: Account, user: str, now: str) -> str:
    onboarding = json.dumps({"version": FINISHED, "finishedAt": now})
    values = [literal(user), literal(account.email.lower()), literal(account.email.lower()), literal(_name(account))]
    return (
        "INSERT INTO public.users (id, email, normalized_email, full_name, email_verified, onboarding) "
        f"VALUES ({', '.join(values)}, true, {literal(onboarding)}::jsonb);"
    )


def _lobehub_password(account: Account, user: str, ids: Ids) -> Sequence[str]:
    """Return the statements for a password; whoever is signed in with another is signed out."""
    person, secret = literal(user), literal(account.password_hash)
    mine = f"user_id = {person} AND provider_id = 'credential'"
    return [
        f"UPDATE public.accounts SET password = {secret}, updated_at = {UTC} WHERE {mine};",
        (
            "INSERT INTO public.accounts (id, account_id, provider_id, user_id, password, created_at, updated_at) "
            f"SELECT {literal(ids.account)}, {person}, 'credential', {person}, {secret}, {UTC}, {UTC} "
            f"WHERE NOT EXISTS (SELECT FROM public.accounts WHERE {mine});"
        ),
        f"DELETE FROM public.auth_sessions WHERE user_id = {person};",
    ]


def _lobehub_link(account: Account, user: str, ids: Ids) -> Sequence[str]:
    """Return the statements for a link at which the person chooses a password; one that was made before is void."""
    person = literal(user)
    return [
        f"DELETE FROM public.verifications WHERE value = {person} AND identifier LIKE 'reset-password:%';",
        (
            "INSERT INTO public.verifications (id, identifier, value, expires_at, created_at, updated_at) "
            f"VALUES ({literal(ids.verification)}, {literal('reset-password:' + account.token)}, {person}, "
            f"{UTC} + interval '{int(account.hours)} hours', {UTC}, {UTC});"
        ),
        f"DELETE FROM public.auth_sessions WHERE user_id = {person};",
    ]


def _open_webui(account: Account, found: Found, ids: Ids, _now: str) -> Parts:
    parts: list[tuple[str, Sequence[str]]] = []
    user = found.id or ids.user
    role = "admin" if account.administrator else "user"
    if not found.id:
        picture = f"/api/v1/users/{user}/profile/image"
        values = [
            literal(user),
            literal(account.email.lower()),
            literal(_name(account)),
            literal(role),
            literal(picture),
        ]
        insert = (
            'INSERT INTO public."user" '
            "(id, email, name, role, profile_image_url, last_active_at, created_at, updated_at) "
            f"VALUES ({', '.join(values)}, {EPOCH}, {EPOCH}, {EPOCH});"
        )
        parts.append((f"account {account.email}", [insert]))
    elif account.administrator and not found.administrator:
        update = f"UPDATE public.\"user\" SET role = 'admin', updated_at = {EPOCH} WHERE id = {literal(user)};"
        parts.append((f"{account.email} is an administrator", [update]))
    if not found.id or (account.reset and account.password_hash):
        parts.append((f"password of {account.email}", _open_webui_password(account, user)))
    return parts


def _open_webui_password(account: Account, user: str) -> Sequence[str]:
    person, secret = literal(user), literal(account.password_hash)
    return [
        # Another stamp ends the sessions that are open.
        (
            f"UPDATE public.auth SET password = {secret}, active = true, session_stamp = gen_random_uuid()::text "
            f"WHERE id = {person};"
        ),
        (
            "INSERT INTO public.auth (id, email, password, active) "
            f"SELECT {person}, {literal(account.email.lower())}, {secret}, true "
            f"WHERE NOT EXISTS (SELECT FROM public.auth WHERE id = {person});"
        ),
    ]


def _name(account: Account) -> str:
    return account.name or account.email.partition("@")[0]


UTC = "(now() AT TIME ZONE 'UTC')"
EPOCH = "extract(epoch FROM now())::bigint"

PROVIDER, NOBODY = "vllm", ""
NOBODY_STATEMENTS = (
    # Up to 2.1.47 a header says in whose name a model is asked, and the edge sets it to nobody, whose settings are then
    # looked up. Nobody has no address and no password, so nobody signs in as nobody.
    f"INSERT INTO public.users (id) VALUES ({literal(NOBODY)}) ON CONFLICT DO NOTHING;",
    (
        "INSERT INTO public.ai_providers (id, user_id, source, settings, config) "
        f"VALUES ({literal(PROVIDER)}, {literal(NOBODY)}, 'builtin', '{{}}', '{{}}') ON CONFLICT DO NOTHING;"
    ),
)

GUARD, NO_TOOLS, FILES_APART, OWN_THINGS = (
    "keep_no_provider_address",
    "keep_no_tools",
    "keep_files_apart",
    "keep_to_own_things",
)
OWNERS = {
    "agents_files": {"agent_id": "agents", "file_id": "files"},
    "agents_knowledge_bases": {"agent_id": "agents", "knowledge_base_id": "knowledge_bases"},
    "files_to_sessions": {"file_id": "files", "session_id": "sessions"},
    "knowledge_base_files": {"file_id": "files", "knowledge_base_id": "knowledge_bases"},
    "message_plugins": {"id": "messages"},
    "message_translates": {"id": "messages"},
    "message_tts": {"file_id": "files", "id": "messages"},
    "messages_files": {"file_id": "files", "message_id": "messages"},
}
"""By table, the columns that name something of a person's, and in which table that is."""

TRIGGERS = {
    "ai_providers": GUARD,
    "user_installed_plugins": NO_TOOLS,
    "global_files": FILES_APART,
    "files": FILES_APART,
    **dict.fromkeys(OWNERS, OWN_THINGS),
}
"""By table; a version of LobeHub that has no such table needs none."""


def _function(name: str, body: str, variables: str = "") -> str:
    return (
        f"CREATE OR REPLACE FUNCTION public.{name}() RETURNS trigger LANGUAGE plpgsql AS $guard$\n"
        f"{variables}BEGIN\n{body}\nEND $guard$;"
    )


def _trigger(table: str) -> str:
    """Return the statement that has a trigger ask its function, wherever the table is there."""
    name = TRIGGERS[table]
    events = "INSERT" if name == FILES_APART else "INSERT OR UPDATE"
    given = ", ".join(literal(word) for pair in OWNERS.get(table, {}).items() for word in pair)
    return f"""DO $guard$ BEGIN
IF to_regclass('public.{table}') IS NOT NULL THEN
    DROP TRIGGER IF EXISTS {name} ON public.{table};
    CREATE TRIGGER {name} BEFORE {events} ON public.{table} FOR EACH ROW EXECUTE FUNCTION public.{name}({given});
END IF;
END $guard$;"""


def _hash_apart(hashed: str, url: str) -> str:
    return f"encode(sha256(convert_to({url} || ':' || {hashed}, 'UTF8')), 'hex')"


_GUARDS = (
    # The address of a provider and its key are in this one column, and the server's own key goes wherever the address
    # says. A trigger and not a constraint: what else a row holds may change, and an import does not fail as a whole.
    _function(GUARD, """    RETURN jsonb_populate_record(NEW, '{"key_vaults": null}');"""),
    # A plugin's row may name a program, which the server would start as itself, or a server to ask. No plugin can be
    # installed through the edge, but one comes with an import.
    _function(NO_TOOLS, "    RETURN NULL;"),
    # LobeHub knows a file by what it holds, across people, and tells whoever names the hash where it lies, by which it
    # is overwritten or deleted. So its hash is kept together with its address, which is new at each upload and told to
    # nobody else, and nobody names an address that is somebody else's. Folders have one that is none.
    _function(
        FILES_APART,
        f"""    IF TG_TABLE_NAME = 'global_files' THEN
        hashed := {_hash_apart("(fields ->> 'hash_id')", "(fields ->> 'url')")};
        IF EXISTS (SELECT FROM public.global_files WHERE hash_id = hashed) THEN
            RETURN NULL;
        END IF;
        RETURN jsonb_populate_record(NEW, jsonb_build_object('hash_id', hashed));
    END IF;
    IF fields ->> 'url' NOT LIKE 'internal:%' AND EXISTS (
        SELECT FROM public.files WHERE url = fields ->> 'url' AND user_id <> fields ->> 'user_id'
    ) THEN
        RAISE EXCEPTION 'this address is of somebody else''s file' USING ERRCODE = 'insufficient_privilege';
    END IF;
    hashed := {_hash_apart("(fields ->> 'file_hash')", "(fields ->> 'url')")};
    RETURN jsonb_populate_record(NEW, jsonb_build_object('file_hash', hashed));""",
        "DECLARE\n    fields jsonb := to_jsonb(NEW);\n    hashed text;\n",
    ),
    # LobeHub looks at nobody's name when a row names something by its id.
    _function(
        OWN_THINGS,
        """    WHILE number < TG_NARGS LOOP
        EXECUTE format('SELECT user_id FROM public.%I WHERE id = $1', TG_ARGV[number + 1])
            INTO owner USING fields ->> TG_ARGV[number];
        IF owner <> fields ->> 'user_id' THEN
            RAISE EXCEPTION 'this % is somebody else''s', TG_ARGV[number] USING ERRCODE = 'insufficient_privilege';
        END IF;
        number := number + 2;
    END LOOP;
    RETURN NEW;""",
        "DECLARE\n    fields jsonb := to_jsonb(NEW);\n    owner text;\n    number integer := 0;\n",
    ),
    # Files of before are rewritten once, all at the same moment: the hash that many share stays one that they share.
    f"""DO $guard$ BEGIN
IF to_regclass('public.global_files') IS NOT NULL AND NOT EXISTS (
    SELECT FROM pg_trigger WHERE tgname = {literal(FILES_APART)} AND tgrelid = to_regclass('public.files')
) THEN
    LOCK TABLE public.global_files, public.files IN SHARE ROW EXCLUSIVE MODE;
    CREATE TEMPORARY TABLE hashes_apart ON COMMIT DROP AS
        SELECT hash_id AS former, {_hash_apart("hash_id", "url")} AS hashed FROM public.global_files;
    INSERT INTO public.global_files
        SELECT (jsonb_populate_record(one, jsonb_build_object('hash_id', hashed))).*
        FROM public.global_files one JOIN hashes_apart ON hash_id = former;
    UPDATE public.files SET file_hash = hashed FROM hashes_apart WHERE file_hash = former;
    DELETE FROM public.global_files USING hashes_apart WHERE hash_id = former;
END IF;
END $guard$;""",
    *(_trigger(table) for table in TRIGGERS),
)
GUARDED = hashlib.sha256("\n".join(_GUARDS).encode()).hexdigest()[:16]
"""The word by which a database is known to have the guards of this release."""

GUARD_STATEMENTS = (*_GUARDS, f"COMMENT ON FUNCTION public.{GUARD}() IS {literal(GUARDED)};")


def _guarded_query() -> str:
    """Return the condition that all guards are there and as they are here."""
    triggers = ", ".join(f"({literal('public.' + table)}, {literal(name)})" for table, name in TRIGGERS.items())
    return (
        f"obj_description(to_regprocedure('public.{GUARD}()'), 'pg_proc') IS NOT DISTINCT FROM {literal(GUARDED)} "
        f"AND NOT EXISTS (SELECT FROM (VALUES {triggers}) AS wanted (place, name) "
        "WHERE to_regclass(place) IS NOT NULL AND NOT EXISTS "
        "(SELECT FROM pg_trigger WHERE tgname = name AND tgrelid = to_regclass(place)))"
    )


START_STATEMENT = (
    "ALTER TABLE public.users ALTER COLUMN onboarding SET DEFAULT jsonb_build_object("
    f"'version', {FINISHED}, 'finishedAt', to_char({UTC}, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'));"
)


def script(statements: Sequence[str]) -> str:
    """Return statements that all happen, or none."""
    return "\n".join(["BEGIN;", *statements, "COMMIT;"]) + "\n"
