# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks what runs on a host as those ask it who depend on it.

The database and the object store are asked as the interface does, an engine as a person does. Nothing is written; an
engine makes one token.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from ..core import host
from ..data import postgresql_runner
from ..data.object_store import Keys
from ..data.object_store_runner import CODE, Bucket
from ..survey import reading_runner
from ..survey.types import LOBEHUB, OPEN_WEBUI

FOLDERS = {LOBEHUB: "/etc/gpuchat/lobehub", OPEN_WEBUI: "/etc/gpuchat/open-webui"}
SOCKETS = "/var/lib/gpuchat/postgresql/socket"
ASK_SECONDS = 5.0
PROBE_SECONDS = 10.0
"""In which an engine makes its first token, or at least a step."""

PROBES: dict[str, tuple[str, dict[str, object]]] = {
    "chat": ("/v1/completions", {"prompt": "a", "max_tokens": 1}),
    "embed": ("/v1/embeddings", {"input": "a"}),
}
FIGURE = re.compile(
    r"^vllm:(?:\w+_tokens_total|\w*request_success_total|\w+_count|num_\w+|\w+_perc)\b(?!.*abort).*$", re.MULTILINE
)
"""Lines of an engine's figures that move while it works."""


def database(interface: str) -> dict[str, object]:
    """Return what the database answers to an interface, which knows its own name and password."""
    given = _secrets(interface)
    url = urlsplit(str(given.get("DATABASE_URL") or ""))
    programs = postgresql_runner.installed()
    if "host=/" not in unquote(url.query) or not programs:
        return {"for": interface, "stage": "elsewhere", "said": ""}
    # A password stands in no argument: those are everybody's to read.
    environment = {"PGPASSWORD": unquote(url.password or ""), "PGCONNECT_TIMEOUT": str(int(ASK_SECONDS))}
    command = [f"{programs[max(programs, key=int)]}/psql", "-XqAtw", "-h", SOCKETS, "-U", unquote(url.username or "")]
    command += ["-d", url.path.lstrip("/"), "-c", "SELECT extname FROM pg_extension"]
    answer = host.run(command, ASK_SECONDS * 2, environment)
    if answer.rc == 0:
        return {"for": interface, "stage": "done", "said": "", "extensions": answer.stdout.split()}
    said = next((line for line in answer.stderr.splitlines() if line.strip()), f"no answer (exit status {answer.rc})")
    return {"for": interface, "stage": "refused" if "FATAL" in said else "silent", "said": said}


def bucket(files: Mapping[str, Any]) -> dict[str, object]:
    """Return what the object store answers to LobeHub, by LobeHub's own keys."""
    given = _secrets(LOBEHUB)
    keys = Keys(str(given.get("S3_ACCESS_KEY_ID") or ""), str(given.get("S3_SECRET_ACCESS_KEY") or ""))
    answer = Bucket(str(files["url"]), str(files["bucket"]), keys).ask("GET", "location")
    code = CODE.search(answer.body.decode(errors="replace"))
    return {"status": answer.status, "said": code[1] if code else answer.error}


def _secrets(interface: str) -> dict[str, Any]:
    return host.read_json(f"{FOLDERS[interface]}/secrets.json")


def engine(name: str, task: str, model: str) -> dict[str, object]:
    """Return whether an engine works on what it is given, by one token, and by its figures where that takes long."""
    container = reading_runner.written()[name]
    path, body = PROBES[task]
    before, began = _figures(container), time.monotonic()
    data = json.dumps({"model": model, **body}).encode()
    answer = reading_runner.ask_engine(container, path, data, PROBE_SECONDS)
    if answer.status:
        return {"works": answer.status < 500, "said": "" if answer.status < 500 else f"it answered {answer.status}"}
    waited = time.monotonic() - began
    if waited < PROBE_SECONDS / 2 or _figures(container) != before:
        return {"works": True, "said": answer.error}
    return {"works": False, "said": f"no token, and no step, within {waited:.0f} s"}


def _figures(container: Any) -> list[str]:
    answer = reading_runner.ask_engine(container, "/metrics")
    return FIGURE.findall(answer.body.decode(errors="replace"))
