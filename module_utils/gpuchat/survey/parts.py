# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the stack's parts on a host, by what runs left there and by the inventory."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..data import backup
from ..docker.archives import BY_ID
from ..engines.leave import moment
from ..secret.certificates import WARN_BEFORE
from ..system.service import COMPOSE, VENV
from .types import (
    ACME,
    ENGINES,
    EVERY_SERVICE,
    FAULT,
    FILTER,
    OF_A_CHAT,
    OF_ACME,
    OF_THE_WATCHED,
    WARNING,
    Expected,
    Finding,
    container,
)

FEW_RESTARTS = 3
JUST_NOW_SECONDS = 3600
NO_SHORT_LIFE = 5
"""A certificate is soon at its end in the last fifth of its life too, where that is shorter."""


def findings(expected: Expected, reading: Mapping[str, Any], now: datetime.datetime) -> Iterator[Finding]:
    yield from _membership(expected, reading)
    yield from _docker(expected, reading)
    yield from _files(expected, reading)
    yield from _services(expected, reading)
    yield from _rotation(expected, reading)
    yield from _engines(expected, reading)
    yield from _images(expected, reading)
    yield from _packet_filter(expected, reading)
    yield from _models(expected, reading)
    yield from _versions(expected, reading)
    yield from _certificates(reading, now)
    yield from _backup(expected, reading, now)


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
        there = container(reading, name)
        if there.get("status") == "paused":
            found, fix = f"{name} paused by hand", f"`docker unpause {name}`"
            yield Finding("container.paused", FAULT, found, "it running", fix)
        elif there.get("lacks_network"):
            fix = f"`docker rm --force {name}`, then {expected.again}, which makes it anew"
            yield Finding("container.network", FAULT, f"{name} taken off its network", there["lacks_network"], fix)
        if there.get("health") == "unhealthy":
            fix = f"see `docker logs {name}`"
            yield Finding("container.unhealthy", FAULT, f"{name} unhealthy by its own check", "it healthy", fix)


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
    for name, one in services.items():
        is_ours = name in EVERY_SERVICE or name.startswith(ENGINES)
        is_ours = is_ours and bool(expected.interface or name not in OF_A_CHAT)
        is_ours = is_ours and not (expected.monitored is None and name in OF_THE_WATCHED)
        if is_ours and name not in expected.services and expected.services:
            yield Finding(
                "service.extra",
                WARNING,
                f"{name}, which no group or model of this host asks for",
                f"none but {', '.join(expected.services)}",
                f"{expected.again}, put the host back into its group, or stop and disable it",
            )
        yield from _service(expected, name, one, _is_gone(name, reading))
        yield from _restarts(name, one, container(reading, name))


def _restarts(name: str, service: Mapping[str, Any], its_container: Mapping[str, Any]) -> Iterator[Finding]:
    """Tell of a service that its supervisor, systemd or Docker, has started again and again, until just now."""
    for one, log in ((service, f"journalctl -u {name}"), (its_container, f"docker logs {name}")):
        if one.get("restarts", 0) >= FEW_RESTARTS and one["seconds_up"] < JUST_NOW_SECONDS:
            found = f"{name} ended and started again {one['restarts']} times by itself, the last time just now"
            yield Finding("service.restarts", WARNING, found, "it to stay up", f"see `{log}`")


def _is_gone(name: str, reading: Mapping[str, Any]) -> bool:
    """Whether a container of ours is not there, as far as its program says."""
    is_ours = name in (reading.get("containers") or {}) and not container(reading, name)
    by = reading["services"][name]["supervisor"]
    return is_ours and by == COMPOSE and bool((reading.get("docker") or {}).get("answers"))


def _service(expected: Expected, name: str, one: Mapping[str, Any], is_gone: bool = False) -> Iterator[Finding]:
    steps = set(one["steps"])
    log = f"docker logs {name}" if one["supervisor"] == COMPOSE else f"journalctl -u {name}"
    if not one["running"] and one.get("masked"):
        fix = f"`systemctl unmask {name}`, then {expected.again}"
        yield Finding("service.masked", FAULT, f"{name} masked by hand, so that nothing starts it", "it running", fix)
    elif not one["running"] and is_gone:
        fix = f"{expected.again}, which makes it anew"
        yield Finding(
            "container.missing", FAULT, f"no container {name}, as after its removal by hand", "it running", fix
        )
    elif not one["running"]:
        beside = f", with {', '.join(one['drop_ins'])} beside its unit" if one.get("drop_ins") else ""
        look = f"look at {', '.join(one['drop_ins'])}, which no run has made; " if one.get("drop_ins") else ""
        failed = one["state"] == "failed"
        yield Finding(
            "service.failed" if failed else "service.stopped",
            FAULT,
            (f"{name} failed ({one['result']})" if failed else f"{name} stopped") + beside,
            "it running",
            f"{look}see `{log}`, then {expected.again}",
        )
    elif steps & {"restart", "reload"}:
        yield Finding(
            "service.stale",
            WARNING,
            f"{name} not {'reloaded' if 'reload' in steps else 'restarted'} since its files changed",
            "it with its present files",
            expected.again,
        )
    if not one["enabled"] and not one.get("masked"):
        yield Finding("service.disabled", WARNING, f"{name} disabled", "it to start at boot", expected.again)


def _rotation(expected: Expected, reading: Mapping[str, Any]) -> Iterator[Finding]:
    since = reading.get("out of rotation since")
    if since is not None:
        found, wanted = f"it out of rotation since {moment(since)}", "it to serve, when the work on it is done"
        yield Finding("host.drained", WARNING, found, wanted, f"run deploys/drain.py {expected.name} --back")


def _engines(expected: Expected, reading: Mapping[str, Any]) -> Iterator[Finding]:
    for name, engine in (reading.get("engines") or {}).items():
        if not (reading.get("services") or {}).get(name, {}).get("running"):
            continue  # said already
        wanted = expected.engines.get(name, {}).get("name", "")
        if not engine["healthy"]:
            starts = container(reading, name).get("health") == "starting"
            said, logs = engine["said"] or "an error", f"`docker logs {name}` and `journalctl -u {name}`"
            yield Finding(
                "engine.starting" if starts else "engine.silent",
                WARNING if starts else FAULT,
                f"{name} running, not answering yet" if starts else f"{name} running and not answering ({said})",
                "it healthy",
                "survey it again in a minute" if starts else f"see {logs}, then restart it (deploys/restart.py {name})",
            )
        elif wanted and engine["models"] and wanted not in engine["models"]:
            yield Finding(
                "engine.model", WARNING, f"{name} serving {', '.join(engine['models'])}", wanted, expected.again
            )


def _images(expected: Expected, reading: Mapping[str, Any]) -> Iterator[Finding]:
    services = reading.get("services") or {}
    for name, written in (reading.get("containers") or {}).items():
        if (services.get(name) or {}).get("supervisor") == VENV:  # of packages, by a lock of their own
            continue
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
        if not planned or not expected.lock or any(_is(written["image"], one) for one in digests):
            continue
        wanted = (
            f"{' or '.join(planned)}, {'as its digest is recorded' if digests else 'which no run has resolved yet'}"
        )
        yield Finding("image.planned", WARNING, f"{name} of {written['image']}", wanted, expected.again)


def _is(image: str, recorded: str) -> bool:
    """Return whether an image is the recorded one; of one from an archive, Docker's two stores know different ids."""
    return image.startswith("sha256:") if recorded.startswith(BY_ID) else image.endswith(f"@{recorded}")


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
    services = reading.get("services") or {}
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
        for name, wanted in ((name, one) for name, one in expected.engines.items() if one["path"] == path):
            started = str(services.get(name, {}).get("commit", "")).partition("+")[0]  # its adapters' follow
            yield from _engines_model(expected, name, wanted, model, started)


def _engines_model(
    expected: Expected, name: str, wanted: Mapping[str, str], model: Mapping[str, Any], started: str
) -> Iterator[Finding]:
    """Compare a model on the disk with the one that an engine is planned for, and started with."""
    commit = model["commit"]
    if started and commit and started != commit:
        yield Finding(
            "model.stale",
            WARNING,
            f"{name} started with revision {started[:12]} of the model",
            f"{commit[:12]}, which lies on the disk",
            expected.again,
        )
    for key in ("repo", "revision"):
        planned, there = wanted.get(key, ""), model.get(key, "")
        if commit and planned and planned != there:
            found = f"{key} {there or 'of the default branch'} at {wanted['path']}"
            yield Finding("model.planned", WARNING, found, planned, expected.again)


def _backup(expected: Expected, reading: Mapping[str, Any], now: datetime.datetime) -> Iterator[Finding]:
    """Tell of backups that are made no more, or that a drill has found bad."""
    if reading.get("backup") is None:
        return
    one = backup.age_finding(reading["backup"], now.timestamp(), expected.backup_hours)
    if one.level != backup.GOOD:
        fix = "see `journalctl -u gpuchat-backup`, then run playbooks/backup.yml"
        yield Finding(f"backup.{one.kind}", one.level, one.message.replace("found ", "", 1), "", fix)


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


def _certificates(reading: Mapping[str, Any], now: datetime.datetime) -> Iterator[Finding]:
    for one in reading.get("certificates") or ():
        if ends_soon(one, now):
            over = days_left(one, now) < 0
            day = datetime.datetime.fromtimestamp(one["until"], datetime.timezone.utc).strftime("%Y-%m-%d")
            yield Finding(
                "certificate.over" if over else "certificate.soon",
                FAULT if over else WARNING,
                f"{one['path']}, which {'ended' if over else 'ends'} on {day}",
                "one that is valid for longer",
                f"see `journalctl -u {ACME}` for why it was not renewed, then run site.yml with --tags edge"
                if one["path"].endswith(OF_ACME)
                else "run playbooks/renew.yml; of a certificate of yours, set edge_certificate_file to a new one",
            )


def ends_soon(certificate: Mapping[str, Any], now: datetime.datetime) -> bool:
    life = datetime.timedelta(seconds=certificate["until"] - certificate["from"])
    return days_left(certificate, now) * 86400 < min(WARN_BEFORE, life / NO_SHORT_LIFE).total_seconds()


def days_left(certificate: Mapping[str, Any], now: datetime.datetime) -> float:
    return float(certificate["until"] - now.timestamp()) / 86400
