# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a host, from its reading and from what the inventory and the last run say that it should be."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core.units import GIB, gib, human
from ..secret.certificates import WARN_BEFORE
from ..system.space import scarce

OK, WARNING, FAULT, UNREACHABLE = "ok", "warning", "fault", "unreachable"
SEVERITIES = (OK, WARNING, FAULT, UNREACHABLE)
"""From the best to the worst; their places are the exit statuses of the survey."""

ENGINE, INTERFACE, EDGE, DOOR, FILTER = (f"gpuchat-{one}" for one in ("vllm", "lobechat", "edge", "door", "firewall"))
SERVICES = {"gpu": (ENGINE, DOOR), "chat": (INTERFACE, DOOR), "edge": (EDGE,)}
"""What runs on the hosts of a group of the inventory; Docker and the packet filter are shared."""

CLOCK_SECONDS = {WARNING: 5.0, FAULT: 300.0}
"""How far a clock may be from the control node's: certificates and logs go by it."""

FEW_RESTARTS = 3
FOREIGN_MEMORY = GIB
CONTAINER_ID = re.compile("[0-9a-f]{64}")
NO_SHORT_LIFE = 5
"""A certificate is soon at its end in the last fifth of its life too, where that is shorter."""


@dataclass(frozen=True)
class Finding:
    """One thing that an operator has to know.

    Attributes:
        kind: a word for programs, such as ``file.content``.
        found: what is so; where nothing was wanted in particular, the whole of it.
        fix: what to do.
    """

    kind: str
    severity: str
    found: str
    wanted: str
    fix: str

    @property
    def text(self) -> str:
        return f"found {self.found}; wanted {self.wanted}; {self.fix}" if self.wanted else self.found


@dataclass(frozen=True)
class Expected:
    """What a host of the inventory should be.

    Attributes:
        images: names of the images of which one is planned, by service.
        lock: digests by an image's name; empty where there is no lock to compare with.
        model: name, repo, revision and path of the model, as far as the inventory says.
        fingerprints: digests by which a host of this stack knows it, by secret.
        versions: beginnings of packages' versions that the inventory pins.
    """

    name: str
    groups: tuple[str, ...] = ()
    images: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lock: Mapping[str, str] = field(default_factory=dict)
    model: Mapping[str, str] = field(default_factory=dict)
    fingerprints: Mapping[str, Collection[str]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    accelerator: str = "auto"
    firewall: bool = True

    @property
    def services(self) -> tuple[str, ...]:
        found = [service for group, some in SERVICES.items() if group in self.groups for service in some]
        if {"gpu", "chat"} & set(self.groups):
            found.append("docker")
        return tuple(dict.fromkeys([*found, *([FILTER] if found and self.firewall else [])]))

    @property
    def again(self) -> str:
        return f"run site.yml with --limit {self.name}"


@dataclass(frozen=True)
class Answer:
    """What came of asking a host.

    Attributes:
        stage: connect, python, run or done.
        clock_ahead: seconds by which its clock is surely before the control node's; negative where it is behind.
    """

    stage: str
    reading: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    seconds: float = 0.0
    clock_ahead: float = 0.0


@dataclass(frozen=True)
class Surveyed:
    """A host with all that was found; the worst first."""

    name: str
    groups: tuple[str, ...]
    answer: Answer
    findings: tuple[Finding, ...]

    @property
    def state(self) -> str:
        return worst([one.severity for one in self.findings])


def worst(severities: Iterable[str]) -> str:
    return max(severities, key=SEVERITIES.index, default=OK)


def status(hosts: Iterable[Surveyed]) -> int:
    """Return the survey's exit status."""
    return SEVERITIES.index(worst(one.state for one in hosts))


def in_order(hosts: Iterable[Surveyed]) -> tuple[Surveyed, ...]:
    """Return hosts with the worst first, otherwise as the inventory has them."""
    return tuple(sorted(hosts, key=lambda one: -SEVERITIES.index(one.state)))


def examine(expected: Expected, answer: Answer, now: datetime.datetime) -> Surveyed:
    """Return a host with all that is wrong with it.

    Args:
        now: the present time on the control node.
    """
    found = _unheard(answer) if answer.stage != "done" else list(_of_reading(expected, answer, now))
    found.sort(key=lambda one: -SEVERITIES.index(one.severity))
    return Surveyed(expected.name, expected.groups, answer, tuple(found))


def _unheard(answer: Answer) -> list[Finding]:
    kinds = {"connect": ("host.unreachable", UNREACHABLE), "python": ("host.python", FAULT)}
    kind, severity = kinds.get(answer.stage, ("host.silent", FAULT))
    return [Finding(kind, severity, answer.problem, "", "")]


def _of_reading(expected: Expected, answer: Answer, now: datetime.datetime) -> Iterator[Finding]:
    reading = answer.reading
    yield from _silent_parts(reading)
    yield from _clock(reading, answer.clock_ahead)
    yield from _gpus(expected, reading)
    yield from _disks(reading)
    if is_bare(reading):
        if expected.services:
            groups = ", ".join(group for group in SERVICES if group in expected.groups)
            yield Finding(
                "host.bare", WARNING, "nothing of the stack here yet", f"its part as one of {groups}", expected.again
            )
        return
    yield from _membership(expected, reading)
    yield from _docker(expected, reading)
    yield from _files(expected, reading)
    yield from _services(expected, reading)
    yield from _engines(expected, reading)
    yield from _images(expected, reading)
    yield from _packet_filter(expected, reading)
    yield from _models(expected, reading)
    yield from _versions(expected, reading)
    yield from _certificates(reading, now)


def is_bare(reading: Mapping[str, Any]) -> bool:
    """Whether no run has ever left something on a host."""
    return not (reading.get("services") or reading.get("files") or reading.get("stack"))


def _silent_parts(reading: Mapping[str, Any]) -> Iterator[Finding]:
    for part, problem in reading.get("unanswered", {}).items():
        fix = "look for processes in state D and at `dmesg`" if part.startswith(("disk", "model")) else "try it by hand"
        yield Finding("part.silent", FAULT, f"{part}: {problem}", "an answer", fix)


def _clock(reading: Mapping[str, Any], ahead: float) -> Iterator[Finding]:
    for severity in (FAULT, WARNING):
        if abs(ahead) > CLOCK_SECONDS[severity]:
            way = "ahead of" if ahead > 0 else "behind"
            yield Finding(
                "clock.off",
                severity,
                f"a clock {abs(ahead):.0f} s {way} the control node's",
                f"at most {CLOCK_SECONDS[WARNING]:.0f} s",
                "install and start chrony, or systemd-timesyncd",
            )
            return
    if reading.get("host", {}).get("synchronised") is False:
        yield Finding(
            "clock.unsynchronised",
            WARNING,
            "a clock that nothing keeps right",
            "one that follows time servers",
            "install and start chrony, or systemd-timesyncd",
        )


# GPUs.


def _gpus(expected: Expected, reading: Mapping[str, Any]) -> Iterator[Finding]:
    gpu = reading.get("gpu")
    if gpu is None:
        return
    state, reason = gpu["state"], gpu["reason"]
    if state == "no_gpu":
        engine = reading.get("containers", {}).get(ENGINE)
        by_cpu = expected.accelerator == "cpu" or (engine is not None and not engine["gpus"])
        if "gpu" in expected.groups and not by_cpu:
            yield Finding(
                "gpu.none",
                FAULT,
                "no NVIDIA GPU",
                "one, for the host is in the group gpu",
                "look at `lspci -d 10de:`, or set gpuchat_accelerator to cpu",
            )
    elif state != "ok":
        severity = FAULT if "gpu" in expected.groups else WARNING
        yield Finding(f"gpu.{state}", severity, reason, "GPUs that answer", "look at `nvidia-smi` and `dmesg`")
    by_uuid = {one["uuid"]: one for one in gpu["gpus"] if one["uuid"]}
    for uuid, reasons in gpu.get("held_back", {}).items():
        yield Finding(
            "gpu.held_back",
            WARNING,
            f"{_gpu_name(by_uuid.get(uuid))} runs slower than it could ({', '.join(reasons)})",
            "full speed",
            "look at its cooling and power (`nvidia-smi -q -d PERFORMANCE,TEMPERATURE,POWER`)",
        )
    for one in gpu["gpus"]:
        errors = (one["ecc_errors"] or {}).get("uncorrected") or 0
        if errors:
            yield Finding(
                "gpu.ecc",
                FAULT,
                f"{_gpu_name(one)} with {errors} memory errors that could not be corrected",
                "none",
                "restart the host; if they come back, have the GPU replaced",
            )
    yield from _xids(reading)
    yield from _foreign(expected, reading)


def _gpu_name(gpu: Mapping[str, Any] | None) -> str:
    return f"GPU {gpu['index']} ({gpu['name'] or 'unknown'})" if gpu else "a GPU"


def _xids(reading: Mapping[str, Any]) -> Iterator[Finding]:
    for xid in reading.get("kernel log") or ():
        by = " by a program's mistake" if xid["of_program"] else ""
        times = f" {xid['count']} times" if xid["count"] > 1 else ""
        yield Finding(
            "gpu.xid",
            FAULT if xid["grave"] else WARNING,
            f"Xid {xid['number']}{times} since the start{by}, GPU {xid['address']}: {xid['words']}",
            "no errors of NVIDIA's driver",
            "look the number up in NVIDIA's list of Xid errors; restart the host if GPUs misbehave",
        )


def _foreign(expected: Expected, reading: Mapping[str, Any]) -> Iterator[Finding]:
    if "gpu" not in expected.groups:
        return
    used: Counter[str] = Counter()
    for who, size in users(reading):
        if not who.startswith("gpuchat-"):
            used[who] += size
    for who, size in used.items():
        if size >= FOREIGN_MEMORY:
            yield Finding(
                "gpu.foreign",
                WARNING,
                f"{gib(size)} of the GPUs' memory held by {who}",
                "all of it for the stack",
                "stop it, or plan without that memory (vllm_gpus)",
            )


def users(reading: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield who holds how much of the GPUs' memory: a container, a unit, or a program.

    Without Docker's word, a container's process is left out: nobody knows whose it is.
    """
    docker = reading.get("docker") or {}
    containers = {one["id"]: one["name"] for one in docker.get("containers", ())}
    for gpu in (reading.get("gpu") or {}).get("gpus", ()):
        for process in gpu["processes"] or ():
            by = process.get("by") or ""
            if CONTAINER_ID.fullmatch(by) and not docker.get("answers"):
                continue
            name = containers.get(by) or (by.rpartition(".")[0] if by.endswith(".service") else "")
            yield name or f"{process['name'] or 'a program'} (pid {process['pid']})", process["memory_bytes"] or 0


# The stack's parts.


def _membership(expected: Expected, reading: Mapping[str, Any]) -> Iterator[Finding]:
    remembered = reading.get("stack") or {}
    other = [name for name, known in expected.fingerprints.items() if remembered.get(name, "") not in ("", *known)]
    if other:
        yield Finding(
            "stack.other",
            FAULT,
            f"a host of another stack, by its {', '.join(other)}",
            "one that was made by this inventory's secrets",
            "survey it with its own inventory, or run site.yml once with gpuchat_adopt_secrets: true",
        )


def _docker(expected: Expected, reading: Mapping[str, Any]) -> Iterator[Finding]:
    docker = reading.get("docker")
    if docker is None or "docker" not in expected.services:
        return
    if not docker["installed"]:
        yield Finding("docker.missing", FAULT, "no Docker", "it, for the host runs containers", expected.again)
    elif not docker["answers"]:
        said = docker["said"] or "it said nothing"
        yield Finding(
            "docker.silent", FAULT, f"a Docker that does not answer: {said}", "an answer", "see `journalctl -u docker`"
        )
    for path, keys in (reading.get("daemon.json") or {}).items():
        if keys:
            yield Finding(
                "docker.settings",
                WARNING,
                f"{path} changed by hand: {', '.join(keys)}",
                "the recorded settings",
                f"{expected.again}, or put the change into docker_settings",
            )
    for name in reading.get("services", {}):
        if container(reading, name).get("health") == "unhealthy":
            fix = f"see `docker logs {name}`"
            yield Finding("container.unhealthy", FAULT, f"{name} unhealthy by its own check", "it healthy", fix)


def container(reading: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a container of a host, empty where there is none of that name."""
    found = (reading.get("docker") or {}).get("containers", ())
    return next((one for one in found if one["name"] == name), {})


FILE_WORDS = {
    "missing": "removed",
    "content": "changed by hand",
    "mode": "given another mode",
    "owner": "given another owner",
}


def _files(expected: Expected, reading: Mapping[str, Any]) -> Iterator[Finding]:
    seen: set[tuple[str, str]] = set()
    for name, one in (reading.get("files") or {}).items():
        if not one["digest"]:
            yield Finding("record.damaged", WARNING, f"a damaged record of {name}", "its manifest", expected.again)
        for path, changes in one["drifted"].items():
            for change in changes:
                if (path, change) not in seen:
                    seen.add((path, change))
                    yield Finding(
                        f"file.{change}",
                        FAULT if change == "missing" else WARNING,
                        f"{path} {FILE_WORDS[change]} since the last run ({name})",
                        "it as that run left it",
                        f"{expected.again}, and put what shall stay into the inventory",
                    )


def _services(expected: Expected, reading: Mapping[str, Any]) -> Iterator[Finding]:
    services = reading.get("services") or {}
    unheard = {part.partition(" ")[2] for part in reading.get("unanswered", {}) if part.startswith("service ")}
    for name in expected.services:
        if name not in services and name not in unheard:
            yield Finding("service.absent", FAULT, f"no {name}", "it, by the host's groups", expected.again)
    every = {one for some in SERVICES.values() for one in some}
    for name, one in services.items():
        if name in every and name not in expected.services and expected.services:
            yield Finding(
                "service.extra",
                WARNING,
                f"{name}, which no group of this host asks for",
                f"none but {', '.join(expected.services)}",
                "put the host back into its group, or stop and disable it",
            )
        yield from _service(expected, name, {**one, "restarts": _restarts(reading, name, one)})


def _restarts(reading: Mapping[str, Any], name: str, one: Mapping[str, Any]) -> int:
    """Return how often its supervisor has started a service again by itself: systemd, or Docker."""
    return max(int(one["restarts"]), int(container(reading, name).get("restarts") or 0))


def _service(expected: Expected, name: str, one: Mapping[str, Any]) -> Iterator[Finding]:
    steps = set(one["steps"])
    log = f"journalctl -u {name}" if one["supervisor"] == "systemd" else f"docker logs {name}"
    if not one["running"]:
        failed = one["state"] == "failed"
        yield Finding(
            "service.failed" if failed else "service.stopped",
            FAULT,
            f"{name} failed ({one['result']})" if failed else f"{name} stopped",
            "it running",
            f"see `{log}`, then {expected.again}",
        )
    elif steps & {"restart", "reload"}:
        yield Finding(
            "service.stale",
            WARNING,
            f"{name} not {'reloaded' if 'reload' in steps else 'restarted'} since its files changed",
            "it with its present files",
            expected.again,
        )
    if not one["enabled"]:
        yield Finding("service.disabled", WARNING, f"{name} disabled", "it to start at boot", expected.again)
    if one["restarts"] >= FEW_RESTARTS:
        yield Finding(
            "service.restarts",
            WARNING,
            f"{name} ended and started again {one['restarts']} times by itself",
            "it to stay up",
            f"see `{log}`",
        )


def _engines(expected: Expected, reading: Mapping[str, Any]) -> Iterator[Finding]:
    for name, engine in (reading.get("engines") or {}).items():
        if not (reading.get("services") or {}).get(name, {}).get("running"):
            continue  # said already
        wanted = expected.model.get("name", "")
        if not engine["healthy"]:
            starts = container(reading, name).get("health") == "starting"
            said = engine["said"] or "an error"
            yield Finding(
                "engine.starting" if starts else "engine.silent",
                WARNING if starts else FAULT,
                f"{name} running, not answering yet" if starts else f"{name} running and not answering ({said})",
                "it healthy",
                "survey it again in a minute" if starts else f"see `docker logs {name}` and `journalctl -u {name}`",
            )
        elif wanted and engine["models"] and wanted not in engine["models"]:
            yield Finding(
                "engine.model", WARNING, f"{name} serving {', '.join(engine['models'])}", wanted, expected.again
            )


def _images(expected: Expected, reading: Mapping[str, Any]) -> Iterator[Finding]:
    for name, written in (reading.get("containers") or {}).items():
        there = container(reading, name)
        if there and there["image"] != written["image"]:
            yield Finding(
                "image.running",
                FAULT,
                f"{name} running {there['image']}",
                written["image"],
                f"remove that container, then {expected.again}",
            )
        planned = expected.images.get(name, ())
        digests = {expected.lock[one] for one in planned if one in expected.lock}
        if not planned or not expected.lock or any(written["image"].endswith(f"@{one}") for one in digests):
            continue
        wanted = (
            f"{' or '.join(planned)}, {'as its digest is recorded' if digests else 'which no run has resolved yet'}"
        )
        yield Finding("image.planned", WARNING, f"{name} of {written['image']}", wanted, expected.again)


def _packet_filter(expected: Expected, reading: Mapping[str, Any]) -> Iterator[Finding]:
    found = reading.get("packet filter")
    if found is None or not expected.firewall:
        return
    if not found["loaded"]:
        yield Finding(
            "filter.missing", FAULT, "no packet filter loaded", "the stack's table", f"`systemctl restart {FILTER}`"
        )
    elif not found["same"]:
        yield Finding(
            "filter.changed",
            FAULT,
            "a packet filter that was changed by hand",
            "the table of its file",
            f"`systemctl restart {FILTER}`",
        )


def _models(expected: Expected, reading: Mapping[str, Any]) -> Iterator[Finding]:
    if "gpu" not in expected.groups:
        return
    started = (reading.get("services") or {}).get(ENGINE, {}).get("commit", "")
    for path, model in (reading.get("models") or {}).items():
        if not model["there"]:
            yield Finding("model.missing", FAULT, f"no model at {path}", "it", expected.again)
            continue
        for kind, words in (("missing", "lacks"), ("changed", "has, not as downloaded,")):
            names = model.get(kind) or ()
            if names:
                yield Finding(
                    f"model.{'incomplete' if kind == 'missing' else 'changed'}",
                    FAULT,
                    f"{path} {words} {_some(names)}",
                    "the model as its manifest has it",
                    f"{expected.again}, which fetches these again",
                )
        if path != expected.model.get("path", path):
            continue
        commit = model["commit"]
        if started and commit and started != commit:
            yield Finding(
                "model.stale",
                WARNING,
                f"an engine that started with revision {started[:12]} of the model",
                f"{commit[:12]}, which lies on the disk",
                expected.again,
            )
        for key in ("repo", "revision"):
            wanted, there = expected.model.get(key, ""), model.get(key, "")
            if commit and wanted and wanted != there:
                yield Finding(
                    "model.planned",
                    WARNING,
                    f"{key} {there or 'of the default branch'} at {path}",
                    wanted,
                    expected.again,
                )


def _some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _versions(expected: Expected, reading: Mapping[str, Any]) -> Iterator[Finding]:
    installed = {**(reading.get("packages") or {})}
    driver = (reading.get("gpu") or {}).get("driver_version")
    installed.update({"NVIDIA's driver": driver} if driver else {})
    for package, wanted in expected.versions.items():
        there = installed.get(package, "")
        if there and not there.rpartition(":")[2].startswith(wanted):
            yield Finding("version.planned", WARNING, f"{package} {there}", wanted, expected.again)


# What runs out.


def _disks(reading: Mapping[str, Any]) -> Iterator[Finding]:
    disks: dict[int, list[str]] = {}
    found = reading.get("disks") or {}
    for path, disk in found.items():
        disks.setdefault(disk["device"], []).append(path)
    for paths in disks.values():
        disk, where = found[paths[0]], ", ".join(paths)
        few = scarce(disk["free_bytes"], disk["bytes"])
        if few:
            yield Finding(
                "disk.full",
                FAULT if few == "none" else WARNING,
                f"{human(disk['free_bytes'])} of {human(disk['bytes'])} free under {where}",
                "room for images, models and logs",
                "remove what is not needed (`docker image prune`, old models), or mount a larger file system",
            )
        if disk["inodes"] and disk["free_inodes"] * 50 < disk["inodes"]:
            yield Finding(
                "disk.inodes",
                FAULT if disk["free_inodes"] * 500 < disk["inodes"] else WARNING,
                f"{disk['free_inodes']:,} of {disk['inodes']:,} inodes free under {where}",
                "one for each new file",
                "remove what is not needed; look for folders with many small files",
            )


def _certificates(reading: Mapping[str, Any], now: datetime.datetime) -> Iterator[Finding]:
    for one in reading.get("certificates") or ():
        life = datetime.timedelta(seconds=one["until"] - one["from"])
        left = days_left(one, now)
        soon = min(WARN_BEFORE, life / NO_SHORT_LIFE)
        if left * 86400 < soon.total_seconds():
            over = left < 0
            day = datetime.datetime.fromtimestamp(one["until"], datetime.timezone.utc).strftime("%Y-%m-%d")
            yield Finding(
                "certificate.over" if over else "certificate.soon",
                FAULT if over else WARNING,
                f"{one['path']}, which {'ended' if over else 'ends'} on {day}",
                "one that is valid for longer",
                "run playbooks/renew.yml; of a certificate of yours, set edge_certificate_file to a new one",
            )


def days_left(certificate: Mapping[str, Any], now: datetime.datetime) -> float:
    return float(certificate["until"] - now.timestamp()) / 86400


# The fleet.


def usual_fingerprints(readings: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Return the digests that most hosts remember, for a control node that cannot read the stack's secrets."""
    counted: dict[str, Counter[str]] = {}
    for reading in readings:
        for name, digest in (reading.get("stack") or {}).items():
            counted.setdefault(name, Counter())[digest] += 1
    return {name: (counts.most_common(1)[0][0],) for name, counts in counted.items()}
