# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a host for the doctor: the survey's reading, and beside it what only a fault makes worth asking.

Nothing is changed, and no secret is part of an answer.
"""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import ssl
import struct
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ..core import host
from ..survey import reading_runner
from ..survey.types import container
from ..system import service_runner
from ..system.collection_runner import secrets_here
from ..system.masking import mask
from . import asking_runner, filters, questions
from .listening import Listener, listeners
from .questions import Target

SECONDS = 20
CONNECT_SECONDS = 5
LINES = 600
"""Of a log: an engine on eight GPUs ends with a traceback of each, and the first of them says why."""

WIDEST = 2000
"""Characters of one line of a log."""

IP_MTU_DISCOVER, IP_PMTUDISC_PROBE, IP_MTU = 10, 3, 14
"""From linux/in.h; Python names them from 3.14 on."""

SIZES = (8952, 4000, 1500, 1492, 1480, 1450, 1420, 1400, 1360, 1280, 576)
SMALL = 128
LARGEST = 65000
"""The loopback names a size that no packet has."""

KINDS = ("name", "door", "path", "endpoint", "gpus", "database", "engine", "image")
"""Of which there are several answers, by what they are about."""

ECHO_SECONDS = 0.5
PROXIES = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY")


def read(params: Mapping[str, Any]) -> dict[str, object]:
    """Return a module's result: the reading, and the answers to further questions by their kinds."""
    seconds = float(params.get("seconds") or SECONDS)
    hosts, own = params["hosts"], params["name"]
    here = hosts.get(own) or {}
    paths = [str(one["path"]) for one in here.get("engines") or ()]
    reading = reading_runner.read({"seconds": seconds, "models": paths})
    parts: dict[str, Any] = {}
    for name, why in questions.names(here, reading).items():
        if why.startswith(("site", "endpoint")) or not any(os.environ.get(one) for one in PROXIES):
            parts[f"name {name}"] = partial(_resolve, name, why)
    for number, target in enumerate(questions.targets(own, hosts)):
        parts[f"door {number}"] = partial(ask_door, target)
        if target.host != own:
            parts[f"path {target.address}"] = partial(path_to, target.address)
    for name, place in questions.endpoints(here).items():
        parts[f"endpoint {name}"] = partial(_connect, place)
    if here.get("edge"):
        parts["site"] = partial(_site, here["edge"])
    parts.update(_inside(here, reading))
    answers, problems = reading_runner.together(parts, seconds)
    checks: dict[str, Any] = {kind: {} for kind in KINDS}
    for name, answer in answers.items():
        kind, _space, subject = name.partition(" ")
        checks.setdefault(kind, {})
        if subject:
            checks[kind][subject] = answer
        else:
            checks[kind] = answer
    unwell = questions.unwell(here, reading, checks)
    if unwell:
        logs, silent = reading_runner.together({"logs": partial(_logs, unwell, reading)}, seconds)
        checks.update(logs)
        problems.update(silent)
    return {"changed": False, "reading": reading, "checks": {**checks, "unanswered": problems}}


def _inside(here: Mapping[str, Any], reading: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is asked of the host's own services and ports, by the names of the answers."""
    parts: dict[str, Any] = {}
    ports = questions.ports(here)
    if ports:
        parts["listeners"] = partial(_listeners, {port for _address, port, _service in ports})
        parts["filters"] = partial(_filters, {port for _address, port, _service in ports})
    if questions.asks_kernel(reading):
        parts["kernel"] = _kernel
    for name in questions.with_gpus(reading):
        parts[f"gpus {name}"] = partial(_in_container, name)
    for name in questions.databases(reading):
        parts[f"database {name}"] = partial(asking_runner.database, name)
    files = questions.bucket(here, reading)
    if files:
        parts["bucket"] = partial(asking_runner.bucket, files)
    for name, (task, model) in questions.probes(here, reading).items():
        if task in asking_runner.PROBES:
            parts[f"engine {name}"] = partial(asking_runner.engine, name, task, model)
    for name, image in questions.missing_images(reading).items():
        parts[f"image {name}"] = partial(_has_image, image)
    return parts


# Names and ways.


def _resolve(name: str, why: str) -> dict[str, str]:
    try:
        found = socket.getaddrinfo(name, None, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        return {"for": why, "address": "", "problem": getattr(error, "strerror", None) or str(error)}
    return {"for": why, "address": str(found[0][4][0]), "problem": ""}


def _connect(place: str) -> dict[str, str]:
    address, _colon, port = place.rpartition(":")
    try:
        socket.create_connection((address.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        return {"place": place, "stage": stage_of(error), "said": str(error)}
    return {"place": place, "stage": "done", "said": ""}


def stage_of(error: OSError) -> str:
    """Return where a connection ended: at a name, on the way, at a filter, or at a port where nobody listens."""
    if isinstance(error, socket.gaierror):
        return "name"
    if isinstance(error, socket.timeout) or error.errno == errno.ETIMEDOUT:
        return "timeout"
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return "route"
    return "refused" if error.errno == errno.ECONNREFUSED else "connect"


def ask_door(target: Target, folder: str = "/etc/gpuchat") -> dict[str, object]:
    """Ask a door as nginx on this host would, by TLS with the certificates of its own folder."""
    found: dict[str, object] = {**vars(target), "status": 0, "said": "", "stage": "own"}
    ours = f"{folder}/{target.folder}"
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(f"{ours}/hosts.crt")
        context.load_cert_chain(f"{ours}/host.crt", f"{ours}/host.key")
    except (OSError, ssl.SSLError) as error:
        return {**found, "said": f"{ours}/host.crt: {getattr(error, 'strerror', None) or error}"}
    try:
        plain = socket.create_connection((target.address, target.port), CONNECT_SECONDS)
    except OSError as error:
        return {**found, "stage": stage_of(error), "said": str(error)}
    with plain:
        try:
            with context.wrap_socket(plain, server_hostname=target.name) as wrapped:
                path = "/v1/models" if target.kind == "engine" else "/"
                request = f"GET {path} HTTP/1.1\r\nHost: {target.name}\r\nConnection: close\r\n\r\n"
                wrapped.sendall(request.encode())
                head = wrapped.recv(64).decode("ascii", "replace").split()
        except ssl.SSLCertVerificationError as error:
            return {**found, "stage": "certificate", "said": error.verify_message}
        except socket.timeout:
            return {**found, "stage": "handshake", "said": "no answer to the TLS handshake"}
        except (OSError, ssl.SSLError) as error:
            return {**found, "stage": "tls", "said": str(getattr(error, "reason", None) or error)}
    status = int(head[1]) if len(head) > 1 and head[1].isdigit() else 0
    return {**found, "stage": "done", "status": status}


def path_to(address: str) -> dict[str, object]:
    """Return the MTU of the way to a host as this one knows it, and the largest packet that comes through undivided.

    A host that answers no echo says nothing of its way.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.connect((address, 9))
        known = min(plain.getsockopt(socket.IPPROTO_IP, IP_MTU), LARGEST)
        if not _echo(address, SMALL):
            return {"mtu": known, "answers": False, "largest": 0}
        sizes = (known, *(size for size in SIZES if size < known))
        largest = next((size for size in sizes if _echo(address, size)), SMALL)
        # A way that says what it cannot carry has told the kernel by now, and TCP keeps to that.
        return {"mtu": min(plain.getsockopt(socket.IPPROTO_IP, IP_MTU), LARGEST), "answers": True, "largest": largest}


def _echo(address: str, size: int) -> bool:
    """Whether a packet of that many bytes comes back, which nobody on the way may divide."""
    body = struct.pack("!BBHHH", 8, 0, 0, os.getpid() & 0xFFFF, size & 0xFFFF) + bytes(size - 28)
    packet = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
        raw.settimeout(ECHO_SECONDS)
        for _try in range(2):
            try:
                raw.sendto(packet, (address, 0))
                while True:
                    answer, sender = raw.recvfrom(65535)
                    head = (answer[0] & 15) * 4
                    if sender[0] == address and answer[head] == 0 and answer[head + 4 : head + 8] == packet[4:8]:
                        return True
            except OSError:  # larger than the interface takes, or no answer
                continue
    return False


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _site(edge: Mapping[str, Any]) -> dict[str, object]:
    """Ask the edge on its own host for the chat's first page; its certificate is looked at elsewhere."""
    is_plain = edge["scheme"] == "http"
    port, name = int(edge["http_port"] if is_plain else edge["https_port"]), str(edge["names"][0])
    try:
        with socket.create_connection(("127.0.0.1", port), CONNECT_SECONDS) as plain:
            wrapped = plain if is_plain else _unverified().wrap_socket(plain, server_hostname=name)
            with wrapped:
                wrapped.settimeout(2 * CONNECT_SECONDS)
                wrapped.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
                head = wrapped.recv(64).decode("ascii", "replace").split()
    except (OSError, ssl.SSLError) as error:
        return {"status": 0, "stage": stage_of(error), "said": str(error)}
    return {"status": int(head[1]) if len(head) > 1 and head[1].isdigit() else 0, "stage": "done", "said": ""}


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


# Who listens.


def _listeners(ports: set[int]) -> list[dict[str, object]]:
    found: list[Listener] = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        found += listeners(host.file_text(table), ports)
    owners = _owners({one.inode for one in found})
    return [
        {"address": one.address, "port": one.port, **owners.get(one.inode, {"pid": 0, "program": "", "by": ""})}
        for one in found
    ]


def _filters(ports: set[int]) -> list[dict[str, object]]:
    """Return which of the ports somebody else's packet filter closes."""
    listed = host.run(["nft", "--json", "list", "ruleset"], CONNECT_SECONDS)
    try:
        ruleset = json.loads(listed.stdout)
    except ValueError:
        return []
    return [vars(one) for one in filters.closed(ruleset, ports)] if isinstance(ruleset, dict) else []


def _owners(inodes: set[str]) -> dict[str, dict[str, object]]:
    """Return the first process that holds each socket, and its unit or container."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[str, dict[str, object]] = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            links = [os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")]
            for inode in {wanted[link] for link in links if link in wanted} - set(found):
                program = host.file_text(f"/proc/{pid}/comm").strip()
                found[inode] = {"pid": int(pid), "program": program, "by": reading_runner.owner(int(pid))}
        except OSError:  # it has ended meanwhile
            continue
    return found


# Containers and logs.


def _in_container(name: str) -> dict[str, object]:
    output = host.run(
        [service_runner.program_for(name), "exec", name, "nvidia-smi", "--list-gpus"], CONNECT_SECONDS * 3
    )
    return {"ok": output.rc == 0, "said": output.text[:WIDEST]}


def _kernel() -> list[str]:
    """Return what the kernel said of NVIDIA's driver, and of modules that it refused, since it started."""
    said = "--grep=NVRM|nvidia|trusted key|module .*is rejected"
    read = ["journalctl", "--dmesg", "--boot", "--no-pager", "--output=cat", f"--lines={LINES}", said]
    return host.run(read, CONNECT_SECONDS * 2).stdout.splitlines()


def _has_image(image: str) -> bool:
    return host.run(["docker", "image", "inspect", image], CONNECT_SECONDS * 2).rc == 0


def _said(name: str) -> host.Output:
    """Return what a unit's last run has said; what an earlier one said is no reason for how it is now.

    What systemd itself says of that run, such as that its program is missing, bears the run's id by another name.
    """
    unit = service_runner.unit_of(name)
    read = ["journalctl", "--no-pager", "--output=cat", f"--lines={LINES}"]
    command = ["systemctl", "show", "--property=InvocationID", "--value", unit]
    run = host.run(command, CONNECT_SECONDS).stdout.strip()
    of_it = f"_SYSTEMD_INVOCATION_ID={run}"
    if not re.fullmatch("[0-9a-f]{32}", run):
        return host.run([*read, f"--unit={unit}"], CONNECT_SECONDS * 2)
    if not host.run([*read, of_it], CONNECT_SECONDS * 2).stdout.strip() and _starts(name):
        # It has just been started anew, and has said nothing yet; the one before says why that one ended.
        return host.run([*read, f"--unit={unit}"], CONNECT_SECONDS * 2)
    return host.run([*read, of_it, "+", f"INVOCATION_ID={run}"], CONNECT_SECONDS * 2)


def _starts(name: str) -> bool:
    """Whether a unit is on its way up; a last run that failed without a word has no reason in the one before."""
    return service_runner.unit_properties(name).get("ActiveState") not in ("failed", "inactive")


def _logs(unwell: Mapping[str, str], reading: Mapping[str, Any]) -> dict[str, list[str]]:
    secrets, found = secrets_here(), {}
    for name, supervisor in unwell.items():
        if supervisor == "compose":
            words = ["docker", "logs", f"--tail={LINES}", *_since(container(reading, name)), name]
            output = host.run(words, CONNECT_SECONDS * 2)
        else:
            output = _said(name)
        said = f"{output.stdout}\n{output.stderr}" if output.rc == 0 else ""
        said += "\n" + str(container(reading, name).get("error", ""))
        found[name] = _shown(said, secrets)
    return found


def _since(its: Mapping[str, Any]) -> list[str]:
    """Return the option for what a container that starts has said since; of one that ended by itself, all counts."""
    is_first = its.get("health") == "starting" and not its.get("restarts")
    return [f"--since={int(its.get('seconds_up', 0))}s"] if is_first else []


def _shown(said: str, secrets: Sequence[str]) -> list[str]:
    """Return the last lines of a log as they may be shown; what is cut off is not looked through for secrets."""
    widest = WIDEST + max(map(len, secrets), default=0)  # so that none is cut in two, and its half shown
    lines = [line[:widest] for line in said.splitlines() if line.strip()][-LINES:]
    return [line[:WIDEST] for line in mask("\n".join(lines), secrets).splitlines()]
