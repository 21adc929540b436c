# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What LobeChat 1 has exported, in the form in which LobeHub's server takes it.

LobeHub reads two forms. That of the browser edition (version 7) keeps which message answers which, and never takes the
same twice; that of the editions with a database loses both. So the second is brought into the first, and whatever names
rows that no export holds is left out, for a single one would undo all.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ..core.change import Difference, Plan
from ..core.errors import Refusal, Unhealthy

VERSION = 7
TABLES = ("sessionGroups", "sessions", "topics", "messages")
PROCEDURE = "trpc/lambda/importer.importByPost"
BATCH_MESSAGES = 500
BATCH_BYTES = 4 * 1024**2
"""LobeHub's server cuts a body off at 10 MiB."""
LONGEST_ROW = 9 * 1024**2
INBOX = "inbox"
SESSION_COOKIE = "better-auth.session_token"
FORGET_COOKIE = "better-auth.dont_remember"
"""Without it LobeHub makes a short session one of a week."""

AGENT = (
    *("chatConfig", "fewShots", "model", "openingMessage", "openingQuestions", "params", "plugins", "provider"),
    *("systemRole", "tts"),
)
FACE = ("avatar", "backgroundColor", "description", "tags", "title")
MESSAGE = (
    *("content", "error", "favorite", "metadata", "observationId", "reasoning", "role", "search", "tools", "traceId"),
    *("extra", "plugin", "pluginState", "tool_call_id"),
)
TOPIC = ("favorite", "historySummary", "metadata", "title")
ROLES = ("user", "system", "assistant", "tool")

Row = dict[str, Any]


@dataclass(frozen=True)
class History:
    """An export, by table; each row has an ``id``, ``createdAt`` and ``updatedAt``."""

    rows: Mapping[str, Sequence[Row]]
    left_out: Sequence[str] = ()

    def ids(self, table: str) -> set[str]:
        return {str(row["id"]) for row in self.rows[table]}

    def parents(self) -> dict[str, str]:
        """Return which message answers which."""
        return {row["id"]: row["parentId"] for row in self.rows["messages"] if row.get("parentId")}


def read(text: str) -> History:
    """Return the history in an export of either form.

    Raises:
        Refusal: it is no export, one of a later version, or one without any conversation.
    """
    try:
        data = json.loads(text)
    except ValueError:
        raise Refusal(
            "found no JSON in history_file; wanted what LobeChat 1 exports (Settings, Data): LobeChat-config-v7.json "
            "or DATE_LobeChat-data.json; set history_file to that"
        ) from None
    data = _clean(data)
    if isinstance(data, dict) and isinstance(data.get("state"), dict):
        version = data.get("version")
        if version != VERSION:
            raise Refusal(
                f"found an export of version {version} in history_file; wanted {VERSION}, which LobeChat 1.143.3 "
                "writes; export it anew from there"
            )
        history = _of_tables({table: data["state"].get(table) or [] for table in TABLES})
    elif isinstance(data, dict) and isinstance(data.get("data"), dict) and "schemaHash" in data:
        history = _of_tables(_of_database(data["data"]))
    else:
        raise Refusal("found other data than an export of LobeChat 1 in history_file; set history_file to such a file")
    if not any(history.rows.values()):
        raise Refusal(
            "found no conversation in history_file; wanted an export of everything (Settings, Data, Export), not of "
            "the settings alone"
        )
    return history


def _clean(value: Any) -> Any:
    """Return data without what PostgreSQL has no place for."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_clean(name): _clean(one) for name, one in value.items()}
    return [_clean(one) for one in value] if isinstance(value, list) else value


def _of_tables(tables: Mapping[str, Sequence[Row]]) -> History:
    known: dict[str, set[str]] = {}
    rows: dict[str, list[Row]] = {}
    makers = {"sessionGroups": _group, "sessions": _session, "topics": _topic, "messages": _message}
    left_out: list[str] = []
    for table in TABLES:
        found = [row for row in tables[table] if isinstance(row, dict) and row.get("id")]
        rows[table] = list({row["id"]: {**makers[table](row, known), **_times(row)} for row in found}.values())
        known[table] = {row["id"] for row in rows[table]}
        if len(rows[table]) != len(tables[table]):
            left_out.append(f"{len(tables[table]) - len(rows[table])} {table} without an id of their own")
    files = sum(1 for row in tables["messages"] if isinstance(row, dict) and (row.get("files") or row.get("imageList")))
    if files:
        left_out.append(f"the files of {files} messages, which no export holds")
    threads = sum(1 for row in tables["messages"] if isinstance(row, dict) and row.get("threadId"))
    if threads:
        left_out.append(f"that {threads} messages are of side threads: they stand in their topic")
    return History(rows, tuple(left_out))


def _group(row: Row, _known: Mapping[str, set[str]]) -> Row:
    sort = row.get("sort")
    return {
        "id": str(row["id"]),
        "name": str(row.get("name") or "-"),
        **({"sort": int(sort)} if isinstance(sort, (int, float)) else {}),
    }


def _session(row: Row, known: Mapping[str, set[str]]) -> Row:
    face = _some(row.get("meta"), FACE)
    group = row.get("group")
    return {
        "id": str(row["id"]),
        "type": "group" if row.get("type") == "group" else "agent",
        "pinned": bool(row.get("pinned")) or group == "pinned",
        "group": group if group in known["sessionGroups"] else None,
        **{name: value for name, value in face.items() if name != "tags"},
        "config": _some(row.get("config"), AGENT),
        "meta": face,
    }


def _topic(row: Row, known: Mapping[str, set[str]]) -> Row:
    return {
        **_some(row, TOPIC),
        "id": str(row["id"]),
        "title": str(row.get("title") or ""),
        "favorite": bool(row.get("favorite")),
        "sessionId": _if_known(row.get("sessionId"), known["sessions"]),
    }


def _message(row: Row, known: Mapping[str, set[str]]) -> Row:
    role = str(row.get("role") or "assistant")
    return {
        **_some(row, MESSAGE),
        "id": str(row["id"]),
        "role": "tool" if role == "function" else role,
        "content": row["content"] if isinstance(row.get("content"), str) else "",
        "favorite": bool(row.get("favorite")),
        "parentId": row.get("parentId") or None,
        "sessionId": _if_known(row.get("sessionId"), known["sessions"]),
        "topicId": _if_known(row.get("topicId"), known["topics"]),
    }


def _some(row: Any, names: Sequence[str]) -> Row:
    return {name: row[name] for name in names if row.get(name) is not None} if isinstance(row, dict) else {}


def _if_known(name: Any, known: set[str]) -> str | None:
    return str(name) if name in known else None  # the first conversation of all, the inbox, has none


def _times(row: Row) -> Row:
    made, changed = row.get("createdAt"), row.get("updatedAt")
    return {"createdAt": made or changed or 0, "updatedAt": changed or made or 0}


def _of_database(data: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Return the tables of an edition with a database in the form of the browser's."""
    table = {
        name: [row for row in rows if isinstance(row, dict)] for name, rows in data.items() if isinstance(rows, list)
    }
    names = {one: {row.get("id"): _name(row) for row in table.get(one, ())} for one in TABLES}
    agents = {row.get("id"): row for row in table.get("agents", ())}
    agent_of = {row.get("sessionId"): agents.get(row.get("agentId"), {}) for row in table.get("agentsToSessions", ())}
    plugins = {row.get("id"): row for row in table.get("messagePlugins", ())}
    translated = {row.get("id"): row for row in table.get("messageTranslates", ())}
    return {
        "sessionGroups": [{**row, "id": _name(row)} for row in table.get("sessionGroups", ())],
        "sessions": [
            {
                **row,
                "id": _name(row),
                "group": names["sessionGroups"].get(row.get("groupId")),
                "config": agent_of.get(row.get("id"), {}),
                "meta": {**_some(row, FACE), **_some(agent_of.get(row.get("id")), FACE)},
            }
            for row in table.get("sessions", ())
            if row.get("slug") != INBOX
        ],
        "topics": [
            {**row, "id": _name(row), "sessionId": names["sessions"].get(row.get("sessionId"))}
            for row in table.get("topics", ())
        ],
        "messages": [
            {
                **row,
                "id": _name(row),
                "parentId": names["messages"].get(row.get("parentId")),
                "sessionId": names["sessions"].get(row.get("sessionId")),
                "topicId": names["topics"].get(row.get("topicId")),
                **_of_parts(row, plugins.get(row.get("id")), translated.get(row.get("id"))),
            }
            for row in table.get("messages", ())
        ],
    }


def _of_parts(row: Row, plugin: Row | None, translation: Row | None) -> Row:
    """Return what the browser's form has in the message itself."""
    extra = {"fromModel": row.get("model"), "fromProvider": row.get("provider")}
    parts: Row = {
        "extra": {**extra, **({"translate": _some(translation, ("content", "from", "to"))} if translation else {})}
    }
    if plugin:
        parts["plugin"] = _some(plugin, ("apiName", "arguments", "identifier", "type"))
        parts["pluginState"] = plugin.get("state")
        parts["tool_call_id"] = plugin.get("toolCallId")
    return parts


def _name(row: Row) -> Any:
    return row.get("clientId") or row.get("id")


@dataclass(frozen=True)
class There:
    """What LobeHub's database says.

    Attributes:
        user: the person's id, empty where nobody has that address.
        ids: what the person has by import, by table.
        foreign: how many of the messages somebody else has.
    """

    user: str
    ids: Mapping[str, set[str]] = field(default_factory=dict)
    foreign: int = 0

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> There:
        return cls(
            str(told.get("user") or ""),
            {table: set((told.get("ids") or {}).get(table) or ()) for table in TABLES},
            int(told.get("foreign") or 0),
        )


def decide(history: History, there: There, email: str) -> Plan:
    """Return which batches are to be sent so that a person has the whole history.

    Raises:
        Refusal: nobody has that address, or somebody else has imported this history.
    """
    if not there.user:
        raise Refusal(
            f"found no account of {email} in LobeHub; wanted one, for a history is somebody's; make it with "
            "playbooks/account.yml, or set history_email to another"
        )
    if there.foreign:
        raise Refusal(
            f"found that somebody else has {there.foreign} of these messages by an import; wanted one owner, for "
            "LobeHub would take the order of their conversations away; set history_email to whose history it is, not "
            f"{email}"
        )
    missing = {table: history.ids(table) - there.ids[table] for table in TABLES}
    if not any(missing.values()):
        return Plan(reason=f"{email} has the whole history")
    lines = {table: (len(history.ids(table) & there.ids[table]), len(history.ids(table))) for table in TABLES}
    return Plan(
        (
            Difference(
                f"history of {email}",
                "".join(f"{table}: {before}\n" for table, (before, _after) in lines.items()),
                "".join(f"{table}: {after}\n" for table, (_before, after) in lines.items()),
            ),
        ),
        tuple(batches(history, missing)),
        ", ".join(f"{len(ids)} {table}" for table, ids in missing.items() if ids) + f" for {email}",
    )


def batches(history: History, missing: Mapping[str, set[str]]) -> Iterator[dict[str, list[Row]]]:
    """Yield what is missing in parts that LobeHub's server takes, each with the rows that it names.

    Raises:
        Refusal: one row alone is more than it takes.
    """
    by_id = {table: {row["id"]: row for row in history.rows[table]} for table in TABLES}
    batch: dict[str, dict[str, Row]] = {table: {} for table in TABLES}
    size = 0
    for table in TABLES:
        for row in history.rows[table]:
            if row["id"] not in missing[table]:
                continue
            needed = list(_with_named(table, row, by_id))
            added = sum(len(json.dumps(one)) for name, one in needed if one["id"] not in batch[name])
            if added > LONGEST_ROW:
                raise Refusal(
                    f"found {added} bytes in one of the {table} of history_file ({row['id']}); LobeHub takes "
                    f"{LONGEST_ROW} at most; shorten it in the file"
                )
            if size and (size + added > BATCH_BYTES or sum(map(len, batch.values())) >= BATCH_MESSAGES):
                yield {name: list(rows.values()) for name, rows in batch.items()}
                batch, size = {name: {} for name in TABLES}, 0
            for name, one in needed:
                batch[name][one["id"]] = one
            size += added
    if size:
        yield {name: list(rows.values()) for name, rows in batch.items()}


def _with_named(table: str, row: Row, by_id: Mapping[str, Mapping[str, Row]]) -> Iterator[tuple[str, Row]]:
    for key, other in (("group", "sessionGroups"), ("sessionId", "sessions"), ("topicId", "topics")):
        named = by_id[other].get(row.get(key) or "")
        if named is not None:
            yield from _with_named(other, named, by_id)
    yield table, row


def body(batch: Mapping[str, Sequence[Row]]) -> bytes:
    """Return what is posted to the importer."""
    return json.dumps({"json": {"data": {**batch, "version": VERSION}}}).encode()


def verdict(status: int, answer: object) -> str:
    """Return what is wrong with the importer's answer, or nothing."""
    said = answer if isinstance(answer, dict) else {}
    result = ((said.get("result") or {}).get("data") or {}).get("json") or {}
    if status == 200 and result.get("success") is True:
        return ""
    error = (said.get("error") or {}).get("json") or result.get("error") or {}
    words = " ".join(str(error.get(key)) for key in ("message", "details") if error.get(key))
    return f"the status {status}" + (f" ({words[:500]})" if words else "")


def way_out(status: int) -> str:
    """Return what to do about an answer with which LobeHub has not taken a part."""
    if status == 401:
        return "set auth_secret to the one with which LobeHub runs"
    return "look at `docker logs gpuchat-lobehub`, and run it again, which sends what is missing"


def cookies(token: str, secret: str) -> str:
    """Return the cookies of a session, as LobeHub signs them; their names depend on how the site is served."""
    values = {SESSION_COOKIE: _signed(token, secret), FORGET_COOKIE: _signed("true", secret)}
    return "; ".join(f"{prefix}{name}={value}" for prefix in ("__Secure-", "") for name, value in values.items())


def _signed(value: str, secret: str) -> str:
    signature = hmac.new(secret.encode(), value.encode(), hashlib.sha256).digest()
    return quote(f"{value}.{base64.b64encode(signature).decode()}", safe="")


def counted(history: History, before: There, after: There) -> dict[str, dict[str, int]]:
    """Return for each table how many rows the file has, how many of them were there, and how many have come.

    Raises:
        Unhealthy: some are missing still.
    """
    counts = {
        table: {
            "file": len(history.ids(table)),
            "skipped": len(history.ids(table) & before.ids[table]),
            "added": len((history.ids(table) & after.ids[table]) - before.ids[table]),
            "missing": len(history.ids(table) - after.ids[table]),
        }
        for table in TABLES
    }
    missing = [f"{count['missing']} of {count['file']} {table}" for table, count in counts.items() if count["missing"]]
    if missing:
        raise Unhealthy(
            f"found that {', '.join(missing)} did not come; wanted all; look at `docker logs gpuchat-lobehub`, and run "
            "it again, which sends what is missing",
            counts=counts,
        )
    return counts


def question(email: str, messages: Sequence[str]) -> str:
    """Return the SQL that tells in one JSON text who has that address and what is there of a history."""
    ids = ",".join(
        f"'{table}', (SELECT json_agg(client_id) FROM {_sql_name(table)} WHERE user_id = u.id AND client_id <> '')"
        for table in TABLES
    )
    return (
        "SET standard_conforming_strings = on;\n"
        f"SELECT coalesce((SELECT json_build_object('user', u.id, 'ids', json_build_object({ids}), 'foreign', "
        "(SELECT count(*) FROM messages m WHERE m.user_id <> u.id AND m.client_id IN (SELECT "
        f"jsonb_array_elements_text({_json(list(messages))})))) FROM users u WHERE lower(u.email) = "
        f"lower({literal(email)}) LIMIT 1), '{{}}'::json);\n"
    )


def session(user: str, token: str, seconds: int) -> str:
    """Return the SQL that lets whoever knows a token be a person for a while."""
    return (
        "SET standard_conforming_strings = on;\n"
        "INSERT INTO auth_sessions (id, token, user_id, expires_at, created_at, updated_at, user_agent) VALUES "
        f"({literal(token[:12])}, {literal(token)}, {literal(user)}, now() AT TIME ZONE 'UTC' + interval '{seconds} "
        "seconds', now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC', 'gpuchat import_history');\n"
    )


def end(token: str) -> str:
    """Return the SQL that ends such a session."""
    return f"SET standard_conforming_strings = on;\nDELETE FROM auth_sessions WHERE token = {literal(token)};\n"


def order(history: History, there: There) -> str:
    """Return the SQL that gives back what LobeHub's import loses where it comes in parts.

    Which message answers one of another part, and when what is new was last changed.
    """
    parents = [{"c": child, "p": parent} for child, parent in history.parents().items()]
    user = literal(there.user)
    answers = (
        f"UPDATE messages m SET parent_id = p.id FROM jsonb_to_recordset({_json(parents)}) AS x(c text, p text) "
        f"JOIN messages p ON p.client_id = x.p AND p.user_id = {user} "
        f"WHERE m.client_id = x.c AND m.user_id = {user} AND m.parent_id IS NULL;"
    )
    statements = ["SET standard_conforming_strings = on;", "BEGIN;", answers]
    for table in TABLES:
        new = [
            {"c": row["id"], "t": row["updatedAt"]}
            for row in history.rows[table]
            if row["id"] not in there.ids[table] and row["updatedAt"]
        ]
        statements.append(
            f"UPDATE {_sql_name(table)} m SET updated_at = CASE WHEN x.t ~ '^[0-9.]+$' THEN to_timestamp(x.t::float8 / "
            f"1000) ELSE x.t::timestamptz END FROM jsonb_to_recordset({_json(new)}) AS x(c text, t text) "
            f"WHERE m.client_id = x.c AND m.user_id = {user};"
        )
    return "\n".join([*statements, "COMMIT;", ""])


def literal(text: str) -> str:
    """Return a text as SQL has it."""
    return "'" + text.replace("\0", "").replace("'", "''") + "'"


def _json(value: object) -> str:
    return literal(json.dumps(value)) + "::jsonb"


def _sql_name(table: str) -> str:
    return {"sessionGroups": "session_groups"}.get(table, table)
