# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker's daemon.json: which keys are ours, and what the file becomes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from .plan import Difference, Plan, Refusal

Json = dict[str, object]


@dataclass(frozen=True)
class Replace:
    """Put a new text in place of the file's, with the record of what is ours in it."""

    text: str
    owned: Json


def parse(text: bytes, path: str) -> Json:
    """Read daemon.json; a missing, empty or BOM-marked file counts as well.

    Raises:
        Refusal: no JSON, or no object; with line and column.
    """
    try:
        decoded = text.decode("utf-8-sig")
        value = json.loads(decoded) if decoded.strip() else {}
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise Refusal(f"{path} is no valid JSON ({where}); the file was left alone; mend it and run again") from None
    except UnicodeDecodeError as error:
        raise Refusal(f"{path} is no valid JSON ({error}); the file was left alone; mend it and run again") from None
    if not isinstance(value, dict):
        raise Refusal(f"{path} holds no JSON object; the file was left alone; mend it and run again")
    return value


def merged(current: Json, settings: Json, owned: Json) -> tuple[Json, Json]:
    """Merge our settings into somebody's file.

    Args:
        current: the file as it is.
        settings: what we want in it.
        owned: what the last run put there.

    Returns:
        The file as it should be, and what of it is ours now. Keys that were ours and are no longer wanted go;
        everybody else's keys stay.
    """
    result: Json = {}
    for key, value in current.items():
        mine, want = owned.get(key), settings.get(key)
        if isinstance(value, dict) and (isinstance(want, dict) or (isinstance(mine, dict) and key not in settings)):
            inner, _owned = merged(
                value, want if isinstance(want, dict) else {}, mine if isinstance(mine, dict) else {}
            )
            if inner or isinstance(want, dict):
                result[key] = inner
        elif key in settings:
            result[key] = settings[key]
        elif key not in owned:
            result[key] = value
    for key, value in settings.items():
        result.setdefault(key, value)
    return result, settings


def digest(settings: Mapping[str, object]) -> str:
    """Return the digest by which a service knows with which settings it was started."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def plan_daemon(text: bytes | None, settings: Json, owned: Json, path: str) -> Plan:
    """Decide what becomes of daemon.json.

    Args:
        text: the file's bytes, None where there is none.
        settings: what we want in it.
        owned: what the last run put there.
        path: the file's path, for messages.
    """
    current = parse(text or b"", path)
    result, now_owned = merged(current, settings, owned)
    if result == current and now_owned == owned:
        return Plan(reason=f"{path} holds the wanted settings")
    new = (
        json.dumps(result, indent=2) + "\n" if result != current or text is None else (text or b"").decode("utf-8-sig")
    )
    before = "" if text is None else text.decode("utf-8-sig")
    differences = (Difference(path, before, new),) if new != before else ()
    return Plan(differences, (Replace(new, now_owned),), f"{path} is to change")
