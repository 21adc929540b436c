# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ensures an account in the interface's database: over its socket, or as its owner where it lies elsewhere."""

from __future__ import annotations

import ctypes
import datetime
import secrets
import string
from collections.abc import Mapping
from typing import Any

from ..core import host
from ..core.errors import CommandFailed, Refusal, Unhealthy
from ..data import postgresql_runner
from . import accounts

LETTERS = string.ascii_letters + string.digits
LIBRARIES = ("libcrypt.so.1", "libcrypt.so.2")


def ensure(params: Mapping[str, Any], check: bool) -> dict[str, object]:
    """Ensure the account that a module's parameters describe, and return the module's result.

    Raises:
        Refusal: the address or the password is none.
        CommandFailed: the database refuses.
        Unhealthy: the interface has not made its tables in time.
    """
    interface, email = str(params["interface"]), str(params["email"])
    password, token = str(params["password"] or ""), str(params["token"] or "")
    accounts.check(interface, email, password)
    missing = host.wait_for(lambda: _missing(params, interface), 0 if check else float(params["timeout"]))
    if missing:
        if check:
            reason = f"whether {email} has an account, for {missing}"
            return {"changed": True, "created": True, "diff": [], "not_predicted": [reason]}
        raise Unhealthy(
            f"found that {missing} after {params['timeout']} s; wanted the interface's tables; {_look(interface)}"
        )
    account = accounts.Account(
        interface=interface,
        email=email,
        name=str(params["name"] or ""),
        administrator=bool(params["administrator"]),
        password_hash=_hash(interface, password) if password else "",
        token=token,
        hours=int(params["hours"]),
        reset=bool(params["reset"]),
    )
    found = accounts.found_of(_ask(params, interface, accounts.account_query(account)))
    plan = accounts.plan(account, found, _ids(interface), _now())
    if plan.statements and not check:
        _ask(params, interface, accounts.script(plan.statements))
    after = "".join(f"{word}\n" for word in plan.words)
    diff = [{"before_header": interface, "after_header": interface, "before": "", "after": after}] if after else []
    return {"changed": bool(plan.statements), "created": plan.created, "diff": diff}


def _look(interface: str) -> str:
    return (
        f"look at `docker logs gpuchat-{interface.replace('_', '-')}`, and set timeout higher where it still migrates"
    )


def _missing(params: Mapping[str, Any], interface: str) -> str | None:
    try:
        told = _ask(params, interface, accounts.tables_query(interface))
    except (CommandFailed, Refusal) as failure:
        return f"the database does not answer ({str(failure).splitlines()[-1]})"
    return None if told == "t" else "the interface has not made its tables"


def _ask(params: Mapping[str, Any], interface: str, sql: str) -> str:
    """Return the database's answer to what holds secrets, and so stands in no argument, message or log."""
    speaker = postgresql_runner.speaker(str(params["socket"]), str(params["connection"] or ""))
    return speaker.say(accounts.DATABASES[interface], sql).stdout.strip()


def _hash(interface: str, password: str) -> str:
    if interface == accounts.LOBEHUB:
        return accounts.scrypt_hash(password, secrets.token_bytes(16))
    return _bcrypt(password, accounts.bcrypt_setting(secrets.token_bytes(16)))


def _bcrypt(password: str, setting: str) -> str:
    """Return crypt(3)'s bcrypt hash; every distribution that we know has a libcrypt with it.

    Raises:
        Refusal: this one has none.
    """
    for name in LIBRARIES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.crypt.restype = ctypes.c_char_p
        made: bytes = library.crypt(password.encode(), setting.encode()) or b""
        if made.startswith(b"$2b$"):
            return made.decode()
    raise Refusal("found no libcrypt that knows bcrypt on this host; wanted libxcrypt; install libcrypt1 or libxcrypt")


def _ids(interface: str) -> accounts.Ids:
    if interface == accounts.LOBEHUB:
        return accounts.Ids("user_" + _random(27), _random(12), _random(12))
    word = secrets.token_hex(16)
    identifier = "-".join((word[:8], word[8:12], "4" + word[13:16], "a" + word[17:20], word[20:]))
    return accounts.Ids(identifier, "", "")


def _random(length: int) -> str:
    return "".join(secrets.choice(LETTERS) for _number in range(length))


def _now() -> str:
    now = datetime.datetime.now(datetime.timezone.utc)
    return now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03}Z"
