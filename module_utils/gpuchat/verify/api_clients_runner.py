# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what clients of the model API need, and asks with it, on the control node."""

from __future__ import annotations

import contextlib
import datetime
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from ..core import host
from ..core.change import Difference, Plan
from ..core.errors import Refusal, Unhealthy
from .api_clients import AUTHORITY_NAME, CURL_NAME, NAMES, Api, Client, files, judge, table, warnings
from .api_usage import TRIAL_AGENT, Log, together

STATUS = "%{http_code}"
SECONDS = 150


def ensure(params: Mapping[str, Any], check: bool) -> dict[str, object]:
    """Bring the files of some clients to their folders, take away those of revoked ones, and try every key.

    Raises:
        Refusal: files are wanted for a client that there is none of.
        Unhealthy: a key does not do what it should.
    """
    tasks = {str(one["name"]): str(one["task"]) for one in params["models"]}
    api = Api(params["url"], tasks, params["authority"] or "")
    clients = [
        Client(
            one["name"], one["key"], one["rate"], one["streams"], one["answers"], one["expires"], tuple(one["models"])
        )
        for one in params["clients"]
    ]
    known = [one.name for one in clients]
    unknown = [name for name in params["write"] if name not in known]
    if unknown:
        raise Refusal(
            f"found no client {', '.join(unknown)} in gpuchat_api_keys; wanted {', '.join(known) or 'one of its names'}"
            "; give -e keys_client= one of them"
        )
    wanted = {
        os.path.join(params["folder"], one.name, name): text
        for one in clients
        if one.name in params["write"]
        for name, text in files(api, one).items()
    }
    revoked = [
        path for name in host.names_in(params["folder"]) if name not in known for path in _files_in(params, name)
    ]
    plan = _plan(wanted, revoked)
    if not check:
        for path, text in wanted.items():
            _write(path, text)
        for path in revoked:
            os.unlink(path)
        for folder in dict.fromkeys(map(os.path.dirname, revoked)):
            with contextlib.suppress(OSError):  # something of the owner's is in it
                os.rmdir(folder)
    if check:
        return {**plan.result(), "not_predicted": ["whether each key gets an answer: check mode asks nothing"]}
    today = datetime.datetime.now(datetime.timezone.utc).date()
    tried = [judge(one, *_ask(api, one, params["resolve"]), today) for one in clients]
    log = together([Log.read(one) for one in params["usage"]])
    result = {**plan.result(), "table": table(tried, log) if tried else "", "warnings": warnings(tried, log)}
    failed = [f"{one.client.name}: {one.detail}" for one in tried if not one.is_right]
    if failed:
        raise Unhealthy(f"{api.url} does not answer clients as wanted: {'; '.join(failed)}", **result)
    return result


def _files_in(params: Mapping[str, Any], client: str) -> list[str]:
    paths = [os.path.join(params["folder"], client, name) for name in NAMES]
    return [path for path in paths if os.path.isfile(path)]


def _plan(wanted: Mapping[str, str], revoked: Sequence[str]) -> Plan:
    """Return which files differ; what they hold is secret."""
    changed = []
    for path, text in wanted.items():
        there = host.file_state(path)
        if there is None or there.content != text.encode():
            changed.append(Difference(path, "" if there is None else "(other)\n", "(written)\n"))
    changed += [Difference(path, "(there)\n", "") for path in revoked]
    names = tuple(one.name for one in changed)
    return Plan(tuple(changed), names, f"files written or removed: {len(names)}")


def _write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    host.write_atomically(path, text.encode(), 0o644 if path.endswith(AUTHORITY_NAME) else 0o600)


def _ask(api: Api, client: Client, resolve: Sequence[str]) -> tuple[int, str]:
    """Ask the model as a client does; return the status of HTTP, and what curl said where there is none."""
    with tempfile.TemporaryDirectory(prefix="gpuchat-") as folder:
        for name, text in files(api, client).items():
            _write(os.path.join(folder, name), text)
        words = ["--disable", "--config", CURL_NAME, "--noproxy", "*", "--output", "/dev/null", "--write-out", STATUS]
        words += ["--user-agent", TRIAL_AGENT]
        for one in resolve:
            words += ["--resolve", one]
        done = host.run(["sh", "-c", 'cd "$1" && shift && exec curl "$@"', "sh", folder, *words], timeout=SECONDS)
    status = done.stdout.strip()
    return int(status) if status.isdigit() else 0, done.stderr.strip() or f"curl ended with {done.rc}"
