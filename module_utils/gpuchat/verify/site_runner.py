# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the checks of the finished site from where it runs, with curl."""

from __future__ import annotations

import errno
import json
import os
import selectors
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import cast

from ..core import host
from ..core.errors import Unhealthy
from .site import (
    ACCOUNT_FILE,
    AUTHORITY_FILE,
    FAILED,
    KEY_FILE,
    NOT_CHECKED,
    PASSED,
    REFUSED,
    SESSION_FILE,
    WRONG_KEY_FILE,
    Check,
    Row,
    Seen,
    Site,
    by_method,
    certificate_end,
    checks,
    choose,
    commands,
    not_checked,
    row,
    rows_of,
    shown,
    table,
)

LISTS = ("open_ports", "closed_paths", "closed_chat_paths")
"""Options of the site that are lists."""

CONNECTIONS_AT_ONCE = 500
CHECKS_AT_ONCE = 4
CONNECT_SECONDS = 1.0


def ensure(
    params: Mapping[str, object],
    check: bool,
    publish: Callable[[Mapping[str, object], Mapping[str, object], str], Sequence[str]] = lambda *_given: (),
) -> dict[str, object]:
    """Make the checks of one vantage point and join them with rows made elsewhere; return the module's result.

    Args:
        publish: writes the report in further forms, from the options, the report, and what all commands begin with;
            returns their paths.

    Raises:
        Unhealthy: with all rows, where one of them failed.
    """
    if check:
        return {"changed": False, "rows": [], "not_predicted": ["the verification: check mode asks nothing"]}
    elsewhere = rows_of(params["rows"])  # type: ignore[arg-type]
    given = params["site"]
    if not isinstance(given, dict):
        raise TypeError("site")
    tuples = {name: tuple(given[name]) for name in LISTS}
    guarded = by_method(given["guarded_chat_paths"])
    more = {name: value for name, value in given.items() if name != "models"}
    more.update(tuples, guarded_chat_paths=guarded, authority=bool(params["authority"]))
    site = Site(**{**more, **choose(given["models"])})
    wanted = [check for check in checks(site) if check.vantage == params["vantage"]]
    with tempfile.TemporaryDirectory(prefix="gpuchat-") as folder:
        account = json.dumps({"email": site.admin_email, "password": str(params["admin_password"] or "")})
        places = _files(folder, str(params["authority"] or ""), str(params["api_key"] or ""), account)
        with ThreadPoolExecutor(CHECKS_AT_ONCE) as pool:
            beside = [check for check in wanted if not check.alone]
            made = dict(zip([check.name for check in beside], pool.map(lambda check: _made(check, places), beside)))
        for one in (each for each in wanted if each.alone):
            hinders = one.needs and made[one.needs].status != PASSED
            made[one.name] = not_checked(one, f"it needs that {one.needs}") if hinders else _made(one, places)
    made.update({one.name: one for one in elsewhere})
    if not params["final"]:
        return {"changed": False, "rows": [asdict(one) for one in made.values()]}
    rows = [made.get(check.name) or not_checked(check, "gpuchat_probe_host is not set") for check in checks(site)]
    failed = [one for one in rows if one.status == FAILED]
    warnings = [one.warning for one in rows if one.warning]
    result: dict[str, object] = {
        "changed": False,
        "rows": [asdict(one) for one in rows],
        "table": table(rows),
        "commands": commands(site, rows),
        "advice": warnings,
    }
    if params["report_file"]:
        open_rows = [one.name for one in rows if one.status == NOT_CHECKED]
        report: dict[str, object] = {
            "url": site.url,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "passed": not failed,
            "not_checked": open_rows,
            "warnings": warnings,
            "certificate_end": certificate_end(rows),
            "rows": result["rows"],
        }
        host.write_json(str(params["report_file"]), report, mode=0o644)
        result["reports"] = [str(params["report_file"]), *publish(params, report, shown(site.curl()))]
    if failed:
        raise Unhealthy("the site does not do what was wanted; see the table", **result)
    return {**result, "msg": f"all {len(rows)} rows did not fail"}


def _made(check: Check, places: Mapping[str, str]) -> Row:
    made = row(check, _see(check, places))
    for _attempt in range(check.attempts - 1):
        if made.status != FAILED:
            break
        made = row(check, _see(check, places))
    return made


def _files(folder: str, authority: str, api_key: str, account: str) -> dict[str, str]:
    """Write what curl reads from files, so that no secret stands in a command; return their paths by place."""
    texts = {
        AUTHORITY_FILE: authority,
        KEY_FILE: f"Authorization: Bearer {api_key}\n",
        WRONG_KEY_FILE: "Authorization: Bearer wrong\n",
        ACCOUNT_FILE: account,
        SESSION_FILE: "",
    }
    places = {}
    for number, (place, text) in enumerate(texts.items()):
        places[place] = os.path.join(folder, str(number))
        with open(os.open(places[place], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    return places


def _see(check: Check, places: Mapping[str, str]) -> Seen:
    if check.command[0] == "nmap":  # shown for the operator; here it is done without the program
        started = time.monotonic()
        try:
            words = scan(check.command[-1], range(1, 65536))
        except OSError as error:
            return Seen(1, started, [], str(error))
        return Seen(0, started, [(time.monotonic(), word) for word in words])
    command = [_placed(word, places) for word in check.command]
    started = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL)
        except FileNotFoundError:
            return Seen(127, started, [], f"{command[0]} is not installed here")
        lines = [(time.monotonic(), line.decode(errors="replace").rstrip("\r\n")) for line in process.stdout or ()]
        rc = process.wait()
        errors.seek(0)
        return Seen(rc, started, lines, errors.read().decode(errors="replace"))


def _placed(word: str, places: Mapping[str, str]) -> str:
    for place, path in places.items():
        word = word.replace(place, path)
    return word


@dataclass
class _Scan:
    """What one process has found."""

    open: list[int] = field(default_factory=list)
    refused: bool = False

    def add(self, port: int, error: int) -> None:
        if error == 0:
            self.open.append(port)
        elif error == errno.ECONNREFUSED:
            self.refused = True


def scan(address: str, ports: Sequence[int]) -> list[str]:
    """Return the TCP ports that accept a connection, and ``REFUSED`` where another was refused.

    Each processor asks for its share, for it is the kernel's work.
    """
    target = socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)[0]
    family, host_address = target[0], str(target[4][0])
    count = os.cpu_count() or 1
    shares = [_in_a_process(partial(_scan, family, host_address, ports[first::count])) for first in range(count)]
    found = [share() for share in shares]
    ports_found = sorted(port for one in found for port in one.open)
    return [*map(str, ports_found), *([REFUSED] if any(one.refused for one in found) else [])]


def _in_a_process(look: Callable[[], _Scan]) -> Callable[[], _Scan]:
    """Start to look in a process of its own, while this one has no threads; return how to wait for what it found."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with os.fdopen(writing, "w") as answer:
                json.dump(asdict(look()), answer)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)

    def found() -> _Scan:
        with os.fdopen(reading) as answer:
            text = answer.read()
        os.waitpid(child, 0)
        if not text:
            raise OSError("a process of the scan ended without an answer")
        return _Scan(**json.loads(text))

    return found


def _scan(family: int, address: str, ports: Sequence[int]) -> _Scan:
    """Return what some ports said, at most ``CONNECTIONS_AT_ONCE`` asked at a time."""
    found = _Scan()
    waiting = iter(ports)
    with selectors.DefaultSelector() as selector:
        asked = _ask(selector, waiting, family, address, CONNECTIONS_AT_ONCE, found)
        while asked:
            ready = selector.select(timeout=0.1)
            for key, _events in ready:
                asked -= _close(selector, key, found)
            now = time.monotonic()
            for key in [key for key in selector.get_map().values() if now - key.data[1] > CONNECT_SECONDS]:
                asked -= _close(selector, key, found, gave_up=True)
            asked += _ask(selector, waiting, family, address, CONNECTIONS_AT_ONCE - asked, found)
    return found


def _ask(
    selector: selectors.BaseSelector, ports: Iterator[int], family: int, address: str, room: int, found: _Scan
) -> int:
    asked = 0
    for port in ports:
        one = socket.socket(family, socket.SOCK_STREAM)
        one.setblocking(False)
        error = one.connect_ex((address, port))
        is_pending = error == errno.EINPROGRESS
        if is_pending:
            # Asked for at once, for a host nearby has refused by now.
            error = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            is_pending = error == 0
        if is_pending:
            selector.register(one, selectors.EVENT_WRITE, (port, time.monotonic()))
            asked += 1
        else:
            found.add(port, error)
            one.close()
        if asked >= room:
            break
    return asked


def _close(selector: selectors.BaseSelector, key: selectors.SelectorKey, found: _Scan, gave_up: bool = False) -> int:
    one = cast("socket.socket", key.fileobj)
    if not gave_up:
        found.add(key.data[0], one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    selector.unregister(one)
    one.close()
    return 1
