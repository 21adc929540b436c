# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of who may reach what, and what asks everything in it, each source once."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml
from running import Stack

ASK = """
import concurrent.futures, http.client, json, ssl, sys
def ask(row):
    scheme, address, port, method, path, headers, certificate = row
    try:
        if scheme == "https":
            context = ssl._create_unverified_context()
            if certificate:
                context.load_cert_chain(certificate + ".crt", certificate + ".key")
            one = http.client.HTTPSConnection(address, port, timeout=4, context=context)
        else:
            one = http.client.HTTPConnection(address, port, timeout=4)
        one.putrequest(method, path, skip_host=True)
        for name, value in headers.items():
            one.putheader(name, value)
        one.endheaders(b"{}" if method == "POST" else None)
        return one.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return "closed"
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(json.dumps(list(pool.map(ask, json.loads(sys.stdin.read())))))
"""


@dataclass(frozen=True)
class Row:
    """One request, and what is to come of it."""

    source: str
    target: str
    path: str
    answer: int | str
    method: str
    credential: str

    def __str__(self) -> str:
        by = f" with {self.credential}" if self.credential else ""
        return f"{self.source}: {self.method} {self.target} {self.path}{by}"


def rows(table: pathlib.Path) -> Iterator[Row]:
    for entry in yaml.safe_load(table.read_text(encoding="utf-8")):
        for path in entry["paths"]:
            more = entry.get("method", "GET"), entry.get("with", "")
            yield Row(entry["from"], entry["to"], path, entry["answer"], *more)


def inside(stack: Stack, part: str, container: str) -> list[str]:
    """Return what runs a program in the network of a container, with the host's own Python."""
    pid = stack.on(part, f"docker inspect {container} --format '{{{{.State.Pid}}}}'").strip()
    return ["nsenter", "--target", pid, "--net"]


def ask(
    stack: Stack,
    all_rows: Sequence[Row],
    where: Mapping[str, tuple[str, Sequence[str]]],
    request: Callable[[Row], list[object]],
) -> dict[Row, object]:
    """Ask everything.

    Args:
        where: the host of each source, and what runs a program there as the source; the control node is any other.
        request: what is sent: scheme, address, port, method, path, headers, and files of a certificate without ending.

    Returns:
        The status of each answer, or ``closed``.
    """
    found: dict[Row, object] = {}
    for source in dict.fromkeys(row.source for row in all_rows):
        own = [row for row in all_rows if row.source == source]
        command = [sys.executable, "-c", ASK]
        if source in where:
            part, before = where[source]
            container = f"gpuchat-{stack.world['name']}-{stack.host_of(part)}"
            command = ["docker", "exec", "--interactive", container, *before, "python3", "-c", ASK]
        asked = json.dumps([request(row) for row in own])
        done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)
        found |= dict(zip(own, json.loads(done.stdout), strict=True))
    return found
