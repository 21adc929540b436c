# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the answers to the doctor's own questions say is wrong with a host, beside what the survey finds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..core.errors import Refusal
from ..docker.images import Image
from ..survey.types import (
    DOOR,
    EDGE,
    FAULT,
    LOBEHUB,
    OBJECT_STORE,
    POSTGRESQL,
    UNREACHABLE,
    WARNING,
    Answer,
    Finding,
    is_bare,
)
from ..vllm import compatibility
from ..vllm.devices import Device
from . import messages, questions
from .types import Examined, Located

VLLM_IMAGE = "vllm-openai"
RESOLVER = "correct this host's resolver (`resolvectl status`, /etc/resolv.conf)"
NAME_FIXES = {
    "registry": f"{RESOLVER}, or set gpuchat_registry_map to a registry that it reaches",
    "hub": f"{RESOLVER}, or name a mirror by endpoints of the model in gpuchat_models",
    "endpoint": f"{RESOLVER}, or correct url in gpuchat_endpoints",
    "silence": RESOLVER,
    "site": "have the name point to this host in the DNS, for the directory that certifies it asks there",
}
SSHD = "look at sshd on the host (its log, its load, MaxStartups), and at what keeps addresses away there (fail2ban)"
CONNECTING = (
    ("UNPROTECTED PRIVATE KEY", "let nobody but you read the key (`chmod 600`)"),
    ("Bad owner or permissions", "give the file in the line to you alone (`chmod 600`)"),
    ("sshpass", "install sshpass on this machine, or give the host a key of yours"),
    ("Too many authentication failures", "let ssh show one key alone (IdentitiesOnly, ansible_ssh_private_key_file)"),
    ("password has expired", "change that user's password by hand, or use a key"),
    ("no matching ", "upgrade the older of both, or allow in ~/.ssh/config what the line names"),
    ("too long for Unix domain socket", "give control_path_dir in ansible.cfg a shorter path"),
    ("booting up", "wait until the host has started"),
    ("banner exchange", SSHD),
    ("kex_exchange_identification", SSHD),
    ("Connection reset", SSHD),
    ("Connection closed", SSHD),
    (
        "Permission denied",
        "give ssh a key or password that the host takes (ansible_user, ansible_password)",
    ),
    ("Host key verification failed", "connect once by ssh and compare the host's key, or correct known_hosts"),
    ("REMOTE HOST IDENTIFICATION", "find out why the host has another key; then `ssh-keygen -R` with its name"),
    ("Could not resolve hostname", "correct ansible_host of the host in the inventory"),
    ("Name or service not known", "correct ansible_host of the host in the inventory"),
    ("Connection refused", "start sshd on the host, or correct ansible_host or ansible_port"),
    ("No route to host", "correct ansible_host, or the network between this machine and the host"),
    ("Network is unreachable", "correct this machine's own network"),
    ("imed out", "start the host; look at firewalls and at ansible_host"),
)
"""What ssh says, and what to do."""

FRAME = re.compile(r"^(?:Task failed: )?(?:.*?(?:reached over|to the host via) ssh: )?")
"""What Ansible puts before the words of ssh."""

RUNNING = (
    ("o space left on device", "disk.full", "free the file system of the remote temporary folder"),
    ("udo password", "host.become", "give the password: run with -K, or set it in a vault as ansible_become_password"),
    ("password is required", "host.become", "give the password: run with -K, or let the user use sudo without one"),
    ("not in the sudoers file", "host.become", "let the user use sudo, or name another by ansible_user"),
    (
        (
            r"privilege escalation prompt|must have a tty|is not allowed to execute|\bsudo(?:: command)?:? not found|"
            r"sudo\S* is owned by|PAM (?:config|account)"
        ),
        "host.become",
        (
            "see why `sudo --non-interactive true` fails for that user on the host; let the user use sudo without a "
            "terminal, or come as root (ansible_user)"
        ),
    ),
    (
        r"create temporary directory|[Rr]ead-only file system|failed to (?:transfer|upload) file",
        "host.temporary",
        "see with `findmnt` and `df` there whether the user's home takes files, or name another by ansible_remote_tmp",
    ),
    (r"MemoryError|annot allocate memory", "host.memory", "stop what fills the host's memory, or give it more"),
    ("is undefined", "host.variable", "give that variable a value in the inventory"),
    (
        (
            r"python[\d.]*'?:? (?:was )?not found|python[\d.]*'?: No such file|interpreter .* was not found|"
            r"SyntaxError|requires Python 3|No module named 'ansible"
        ),
        "host.python",
        "install Python 3.9 or newer there, or name it by ansible_python_interpreter",
    ),
)
"""What a module that could not run says, as a pattern, its kind, and what to do."""


def findings(host: Examined) -> Iterator[Located]:
    """Yield what is wrong with a host, beside the survey's findings."""
    reading, checks = host.answer.reading, host.checks
    if host.answer.stage != "done":
        yield unheard(host.name, host.answer)
        return
    if is_bare(reading):  # what runs there will be looked at when something does
        yield from _ports(host)
        return
    yield from _names(host.name, checks)
    yield from _doors(host.name, checks)
    yield from _ways(host.name, checks)
    yield from _endpoints(host.name, checks)
    yield from _ports(host)
    yield from _filters(host)
    yield from _driver(host)
    yield from _kernel(host.name, checks)
    yield from _gpus(host.name, checks)
    yield from _memory(host.name, reading)
    yield from _images(host.name, checks)
    yield from _databases(host.name, checks)
    yield from _bucket(host.name, checks)
    yield from _hung(host.name, checks)
    yield from _logs(host.name, checks)
    yield from _site(host.name, checks)


def unheard(name: str, answer: Answer) -> Located:
    """Return why a host could not be examined."""
    said = FRAME.sub("", " ".join(answer.problem.split())) or "nothing"
    if answer.stage == "connect":
        fix = next((fix for word, fix in CONNECTING if word in said), "see `ssh -v` to the host")
        return Located(name, Finding("host.unreachable", UNREACHABLE, f"no way into it: {said}", "an answer", fix))
    kind, fix = next(
        ((kind, fix) for pattern, kind, fix in RUNNING if re.search(pattern, said)),
        ("host.silent", f"try `ansible {name} -m ping -b`, and look at the host's Python"),
    )
    return Located(name, Finding(kind, FAULT, f"a host that could not be examined: {said}", "its answers", fix))


def _names(name: str, checks: Mapping[str, Any]) -> Iterator[Located]:
    asked = {**(checks.get("name") or {})}
    for part, problem in (checks.get("unanswered") or {}).items():
        kind, _space, subject = part.partition(" ")
        if kind == "name":
            asked[subject] = {"for": "silence", "problem": problem}
    for subject, answer in asked.items():
        if answer["problem"]:
            kind, _space, what = str(answer["for"]).partition(" ")
            what = what.removeprefix("of ")
            yield Located(
                name,
                Finding(
                    f"name.{kind}",
                    WARNING if kind == "site" else FAULT,
                    f"the name {subject}, which it cannot resolve ({answer['problem']})",
                    f"its address{f', for the {kind} of {what}' if what else ''}",
                    NAME_FIXES[kind],
                ),
                subject=what if kind in ("registry", "hub") else "",
            )


# Doors of other hosts.


def _doors(name: str, checks: Mapping[str, Any]) -> Iterator[Located]:
    for door in (checks.get("door") or {}).values():
        told = _of_door(door, name)
        if told:
            kind, found, wanted, fix = told
            subject = f"gpuchat-{door['folder']}" if kind == "door.own" else ""
            yield Located(name, Finding(kind, FAULT, found, wanted, fix), subject, peer=door["host"])


def _of_door(door: Mapping[str, Any], own: str) -> tuple[str, str, str, str] | None:
    """Return the kind of what is wrong with a door, what was found and wanted, and what to do."""
    host, said = door["host"] or "another host", door["said"]
    place = f"{door['address']}:{door['port']} ({host})"
    wanted = f"the door of {host} to the {door['kind']}"
    by_stage = {
        "own": (
            "door.own",
            f"certificates of its own that cannot be used ({said})",
            "those by which other hosts know it",
            "run playbooks/renew.yml",
        ),
        "name": ("route.none", f"{place}, which does not resolve", wanted, "set gpuchat_private_address to an address"),
        "route": (
            "route.none",
            f"no way to {place}: {said}",
            wanted,
            f"compare gpuchat_private_address of both with `ip route get {door['address']}`",
        ),
        "timeout": (
            "door.filtered",
            f"no answer from {place}: something on the way drops it",
            wanted,
            f"look at firewalls between the hosts, and at `nft list table inet gpuchat` on {host}",
        ),
        "refused": (
            "door.refused",
            f"nobody listening at {place}",
            wanted,
            f"see `journalctl -u {DOOR}` on {host}, then run site.yml with --limit {host}",
        ),
        "connect": ("door.refused", f"no connection to {place}: {said}", wanted, f"see `journalctl -u {DOOR}` there"),
        "handshake": (
            "door.handshake",
            f"{place}, which connects and then says nothing",
            wanted,
            f"look at the way's MTU (`ping -M do -s 1472 {door['address']}`) and at {host}'s load",
        ),
        "certificate": (
            "door.certificate",
            f"{place} with a certificate that does not hold: {said}",
            f"one of the stack's hosts for {door['name']}",
            "compare the hosts' clocks, then run playbooks/renew.yml",
        ),
        "tls": (
            "door.tls",
            f"{place}, which does not speak TLS as the stack's doors do: {said}",
            wanted,
            f"see with `ss --listening --tcp --processes` on {host} who listens there; run playbooks/renew.yml",
        ),
    }
    if door["stage"] != "done":
        return by_stage[door["stage"]]
    status = int(door["status"])
    if status in (400, 495, 496):
        return (
            "door.stranger",
            f"{place}, which does not take this host's certificate ({status})",
            "both certified by one authority",
            "compare the hosts' clocks, then run playbooks/renew.yml",
        )
    if status == 403:
        return (
            "door.closed",
            f"{place}, which does not let {own} in",
            f"{own} among those for whom it opens",
            f"run site.yml with --tags door --limit {host}",
        )
    if not status or status >= 500:
        return (
            "door.behind",
            f"{place} answering {status or 'nothing'}",
            wanted,
            f"look at what is behind it on {host}",
        )
    return None


def _ways(name: str, checks: Mapping[str, Any]) -> Iterator[Located]:
    peers = {door["address"]: door["host"] for door in (checks.get("door") or {}).values()}
    for address, way in (checks.get("path") or {}).items():
        if way["answers"] and way["largest"] < way["mtu"]:
            peer = peers.get(address, "")
            yield Located(
                name,
                Finding(
                    "mtu.small",
                    FAULT,
                    f"packets of more than {way['largest']} bytes lost on the way to {address} ({peer or 'a host'}), "
                    f"with an MTU of {way['mtu']} here",
                    "a way that carries them, or says that it does not (ICMP)",
                    f"set the MTU of both interfaces to {way['largest']}, or let ICMP through the firewalls between",
                ),
                peer=peer,
            )


def _endpoints(name: str, checks: Mapping[str, Any]) -> Iterator[Located]:
    fixes = {
        "refused": "start that server, or correct url in gpuchat_endpoints",
        "timeout": "start that machine; look at firewalls on the way to it",
        "route": "correct this host's routes, or url in gpuchat_endpoints",
    }
    for endpoint, one in (checks.get("endpoint") or {}).items():
        if one["stage"] not in ("done", "name"):  # a name is told already
            yield Located(
                name,
                Finding(
                    "endpoint.silent",
                    FAULT,
                    f"no connection to {endpoint} at {one['place']}: {one['said']}",
                    "the server that gpuchat_endpoints names",
                    fixes.get(one["stage"], fixes["refused"]),
                ),
            )


# What else uses this host.


def _ports(host: Examined) -> Iterator[Located]:
    seen = set()
    for listener in host.checks.get("listeners") or ():
        for address, port, service in questions.ports(host.here):
            is_ours = listener["by"] == f"{service}.service" or (not listener["by"] and listener["program"] == "nginx")
            who = _who(listener, host.answer.reading)
            if port != listener["port"] or is_ours or not questions.meet(address, str(listener["address"])):
                continue
            if (service, port, who) not in seen:
                seen.add((service, port, who))
                move = "set edge_http_port and edge_https_port to others" if service == EDGE else "move it elsewhere"
                yield Located(
                    host.name,
                    Finding("port.taken", FAULT, f"{who} on port {port}", f"{service} there", f"stop it, or {move}"),
                    subject=service,
                )


def _filters(host: Examined) -> Iterator[Located]:
    services = {port: service for _address, port, service in questions.ports(host.here)}
    for one in host.checks.get("filters") or ():
        service = services.get(int(one["port"]), EDGE)
        yield Located(
            host.name,
            Finding(
                "filter.other",
                FAULT,
                f"port {one['port']} of {service} closed by the table {one['table']}, which is none of this stack's: "
                f"{one['words']}",
                "it open; who may come in is for the stack's own table to say",
                f"see `nft list table {one['table']}`; let whoever made it (ufw, firewalld, a script) open the port",
            ),
            subject=service,
        )


def _who(listener: Mapping[str, Any], reading: Mapping[str, Any]) -> str:
    by = str(listener["by"])
    names = {one["id"]: one["name"] for one in (reading.get("docker") or {}).get("containers", ())}
    of = f" of {names.get(by, by)}" if by else ""
    return f"{listener['program'] or 'another program'} (pid {listener['pid']}){of}"


def _memory(name: str, reading: Mapping[str, Any]) -> Iterator[Located]:
    for one in (reading.get("docker") or {}).get("containers", ()):
        if one.get("out_of_memory") and one["name"].startswith(questions.OURS):
            yield Located(
                name,
                Finding(
                    "memory.out",
                    FAULT,
                    f"{one['name']} ended by the kernel, for the host's memory was full",
                    "memory for all that runs here",
                    "see with `dmesg` what used it; stop what else runs here, or give the host more memory",
                ),
                subject=one["name"],
            )


# What does not answer those who depend on it.


def _images(name: str, checks: Mapping[str, Any]) -> Iterator[Located]:
    for service, is_there in (checks.get("image") or {}).items():
        if not is_there:
            yield Located(
                name,
                Finding(
                    "image.missing",
                    FAULT,
                    f"no image for {service}: somebody has removed it, and its container",
                    "it, as the last run has pulled it",
                    f"run site.yml with --limit {name}, which pulls it and starts {service} anew",
                ),
                subject=service,
            )


def _databases(name: str, checks: Mapping[str, Any]) -> Iterator[Located]:
    for interface, one in (checks.get("database") or {}).items():
        stage, said = one["stage"], str(one["said"])
        wanted = f"one that answers {interface}"
        again = "run site.yml with --tags postgresql"
        told: tuple[str, str, str] | None = None
        if stage == "refused":
            known = next((word for word in messages.in_line(said) if word.of == messages.POSTGRESQL), None)
            told = (
                (f"database.{known.name}", known.cause, known.fix)
                if known
                else ("database.refuses", f"a database that refuses {interface}", again)
            )
        elif stage == "silent":
            told = (
                "database.silent",
                f"a {POSTGRESQL} that runs and does not answer",
                f"`systemctl restart {POSTGRESQL}`",
            )
        elif stage == "done" and interface == LOBEHUB and "vector" not in one["extensions"]:
            cause = f"a database of {interface} without the extension vector (pgvector)"
            told = (
                "database.extension",
                cause,
                f"{again}, which makes it; what was in its columns is in the last backup",
            )
        if told:
            kind, found, fix = told
            yield Located(name, Finding(kind, FAULT, found, wanted, fix), subject=POSTGRESQL, line=said)


def _bucket(name: str, checks: Mapping[str, Any]) -> Iterator[Located]:
    one = checks.get("bucket")
    if not one or one["status"] == 200:
        return
    again, log = "run site.yml with --tags object_store", f"see `docker logs {OBJECT_STORE}`"
    found, fix = {
        0: (f"an object store that runs and does not answer ({one['said']})", f"{log}; restart it"),
        403: (
            f"an object store that does not take LobeHub's key ({one['said']})",
            f"{again},lobehub: both get the same",
        ),
        404: (
            f"an object store without LobeHub's bucket ({one['said']})",
            f"{again}, which makes an empty one; what was in it comes back by playbooks/restore.yml",
        ),
    }.get(int(one["status"]), (f"an object store that answers {one['status']} ({one['said']})", log))
    kinds = {0: "bucket.silent", 403: "bucket.key", 404: "bucket.missing"}
    kind = kinds.get(int(one["status"]), "bucket.fails")
    yield Located(name, Finding(kind, FAULT, found, "people's files kept there", fix), subject=OBJECT_STORE)


def _hung(name: str, checks: Mapping[str, Any]) -> Iterator[Located]:
    for service, one in (checks.get("engine") or {}).items():
        if not one["works"]:
            yield Located(
                name,
                Finding(
                    "engine.hung",
                    FAULT,
                    f"{service} healthy by its own word, and not working ({one['said']})",
                    "a token",
                    f"restart it (deploys/restart.py {service}); where it comes back, look at `dmesg` for Xid",
                ),
                subject=service,
            )


# GPUs and drivers.


def _driver(host: Examined) -> Iterator[Located]:
    gpu = host.answer.reading.get("gpu") or {}
    gpus = [
        Device(str(one["name"] or ""), int(one["memory_bytes"] or 0), str(one.get("compute_capability") or ""))
        for one in gpu.get("gpus") or ()
    ]
    if not gpus or gpu.get("state") != "ok" or host.expected.accelerator == "cpu":
        return
    for name in host.expected.engines:
        version = _version(host.expected.images.get(name, ()))
        try:
            if version:
                compatibility.check(version, gpus, str(gpu.get("driver_version") or ""))
        except Refusal as refusal:
            finding = Finding("version.driver", FAULT, str(refusal), "", "")
            yield Located(host.name, finding, subject=name)


def _kernel(name: str, checks: Mapping[str, Any]) -> Iterator[Located]:
    """Yield why the driver serves no GPU, by the kernel's own words."""
    known = messages.recognise(messages.DRIVER, checks.get("kernel") or ())
    if known and known.message.of == messages.DRIVER:
        one = known.message
        finding = Finding(one.kind, one.severity, one.cause, "GPUs that the driver serves", one.fix)
        yield Located(name, finding, line=known.line)


def _version(images: tuple[str, ...]) -> str:
    """Return the version of an image of vLLM's own; of another, nobody knows what it needs."""
    try:
        image = Image.parse(images[0]) if images else None
    except Refusal:
        return ""
    return image.tag[1:] if image and image.repository.endswith(VLLM_IMAGE) and image.tag.startswith("v") else ""


def _gpus(name: str, checks: Mapping[str, Any]) -> Iterator[Located]:
    asked = {**(checks.get("gpus") or {})}
    for part, problem in (checks.get("unanswered") or {}).items():
        if part.startswith("gpus "):
            asked[part.partition(" ")[2]] = {"ok": False, "said": f"nvidia-smi: {problem}"}
    for service, one in asked.items():
        if one["ok"]:
            continue
        said = one["said"].splitlines()
        known = messages.recognise(questions.DOCKER, said)
        yield Located(
            name,
            Finding(
                "gpu.container",
                FAULT,
                known.message.cause
                if known
                else f"no GPU in {service}: {messages.last_words(one['said'].splitlines())}",
                f"GPUs in {service}",
                known.message.fix if known else f"restart it (deploys/restart.py {service}), for it lost them",
            ),
            subject=service,
            line=known.line if known else "",
        )


# Logs and the site.


def _logs(name: str, checks: Mapping[str, Any]) -> Iterator[Located]:
    for service, lines in (checks.get("logs") or {}).items():
        known = messages.recognise(service, lines)
        if known:
            one = known.message
            finding = Finding(
                one.kind, one.severity, f"by the log of {service} {one.cause}", f"{service} well", one.fix
            )
            yield Located(name, finding, subject=service, line=known.line)


def notes(host: Examined) -> Iterator[str]:
    """Yield what could not be looked at, where that is no finding."""
    for part, problem in (host.checks.get("unanswered") or {}).items():
        if not part.startswith(("name ", "gpus ", "engine ")):
            yield f"{host.name}: {part.partition(' ')[0]} not looked at, for it gave {problem}"


def last_words(host: Examined, service: str) -> str:
    """Return what the log of a service says last, for a finding that no known message explains."""
    return messages.last_words((host.checks.get("logs") or {}).get(service) or ())


def _site(name: str, checks: Mapping[str, Any]) -> Iterator[Located]:
    site = checks.get("site")
    if not site or not questions.is_bad(site):
        return
    kind = "site.behind" if site["status"] else "site.silent"
    fix = f"see `journalctl -u {EDGE}`, and what is behind it"
    if site["stage"] == "timeout":  # nginx itself says its word at once
        fix = f"look at the host's load, then `systemctl restart {EDGE}`"
    found = (
        f"the edge answering {site['status']}" if site["status"] else f"an edge that does not answer: {site['said']}"
    )
    yield Located(
        name,
        Finding(kind, FAULT, found, "the chat's first page", fix),
        subject=EDGE,
    )
