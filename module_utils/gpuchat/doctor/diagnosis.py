# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of all findings are causes, which follow from those, and what an operator reads first."""

from __future__ import annotations

import datetime
import json
import re
import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from ..core.names import plain
from ..survey.findings import examine
from ..survey.types import (
    DOOR,
    EDGE,
    ENGINES,
    FAULT,
    INTERFACES,
    KEEPERS,
    OBJECT_STORE,
    SEVERITIES,
    UNREACHABLE,
    WATCHDOG,
    Answer,
    Finding,
    worst,
)
from . import checks
from .questions import BACKUP
from .types import Cause, Examined, Located

OF_OTHERS = tuple(
    f"log.nginx.{one}"
    for one in ("upstream_refuses", "no_socket", "upstream_ended", "no_upstream", "upstream_silent", "upstream_plain")
)
"""What nginx's log says of what is behind it, which is no reason for nginx itself to be down."""

ORDER = (
    *("inventory", "host.unreachable", "host.python", "host.become", "host.variable", "host.silent", "host"),
    *("stack", "clock", "disk", "gpu.xid", "gpu.ecc", "gpu.foreign"),
    *("log.driver", "gpu", "version.driver"),
    *("memory", "name", "mtu"),
    *("docker.missing", "file.missing", "port", "model.missing", "model.incomplete", "model.changed"),
    *("log.acme", "certificate", "filter", "image.missing", "database", "bucket", "log.docker", "log"),
    *("database.silent", "bucket.silent"),
    *("record", "file", "docker.settings", "image.running"),
    *("log.vllm.core_ended", "log.vllm.waiting", "log.chat.no_database", "log.lobehub.migration"),
    *("log.open_webui.migration", "log.postgresql.database_starts", "log.chat.unreachable", "log.docker.silent"),
    *("log.systemd.killed", "log.systemd.crashed", "log.systemd.dependency", "log.systemd.start_limit"),
    *("service.absent", "service.masked", "container.missing", "container.paused", "container.network"),
    *("service.failed", "service.stopped", "service.restarts"),
    *OF_OTHERS,
    *("docker.silent", "container", "engine", "gpu.container", "service.stale", "part"),
    *("endpoint", "route", "door.own", "door", "site"),
    *("version", "image", "service", "gpu.held_back"),
)
"""Beginnings of kinds, what explains others first; the longest that fits counts."""

SYMPTOMS = (
    *("service.failed", "service.stopped", "service.masked", "service.restarts", "service.absent", "service.stale"),
    *("container.", "engine.", "gpu.container"),
)
"""What is seen of a service that does not run, whatever the cause."""

ASIDE = (WATCHDOG,)
"""Services on which nobody waits for an answer."""

ASKED = ("database.", "bucket.")
"""What a keeper says to the interface, whatever its own state."""

SILENT = ("database.silent", "bucket.silent")
"""That it says nothing, of which its own log may know why."""

NO_DATABASE = ("log.chat.no_database", "log.lobehub.migration", "log.open_webui.migration")
"""What an interface says of a database that it does not reach or cannot use."""

NO_DRIVER = "log.driver."
GPU_FAULTS = ("gpu.", "version.driver", NO_DRIVER)
UNLIKE_GPU_FAULTS = ("gpu.container", "gpu.held_back")
NO_TRUST = ("door.certificate", "door.stranger", "door.tls", "log.nginx.upstream_certificate")
NAME_SIGNS = r"(?<![\w/.-]){}(?![\w/-])"

STRANGE = "an answer that is no reading"
WIDTH = 100
SHOWN = 3
"""Findings that follow, in the table; all of them stand in doctor.json."""


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong, the first cause first.

    Attributes:
        hosts: that were examined, or should have been.
        notes: what could not be looked at, and why that is no fault.
    """

    causes: tuple[Cause, ...]
    hosts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def severity(self) -> str:
        return worst(one.finding.severity for cause in self.causes for one in (cause.found, *cause.explains))

    @property
    def summary(self) -> str:
        count = len(self.causes)
        of = f"{len(self.hosts)} host{'s' * (len(self.hosts) != 1)}"
        return f"{of}: {f'{count} cause' + 's' * (count != 1) if count else 'nothing is wrong'}"


def diagnose(
    hosts: Sequence[Examined],
    inventory: Sequence[str],
    now: datetime.datetime,
    notes: Sequence[str] = (),
) -> Diagnosis:
    """Return what is wrong with a stack.

    Args:
        inventory: what is wrong with the inventory, a sentence each.
        now: the present time on the control node.
    """
    found = [Located("", Finding("inventory.fault", FAULT, sentence, "", "")) for sentence in inventory]
    said = list(notes)
    for host in hosts:
        try:
            found += of_host(host, now)
            said += checks.notes(host)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:  # spoils no other host's
            found.append(checks.unheard(host.name, Answer("run", {}, f"{STRANGE} ({type(error).__name__}: {error})")))
    order = {host.name: number for number, host in enumerate(hosts)}
    found.sort(key=lambda one: (rank(one), order.get(one.host, -1)))
    return Diagnosis(tuple(in_order(found)), tuple(order), tuple(said))


def of_host(host: Examined, now: datetime.datetime) -> list[Located]:
    """Return all that is wrong with one host."""
    own = list(checks.findings(host))
    if host.answer.stage != "done":
        return own
    told = {(one.kind, one.subject) for one in own}
    names = _services(host)
    for finding in examine(host.expected, host.answer, now).findings:
        subject = _subject(finding, names, host)
        if (finding.kind, subject) not in told:
            is_symptom = finding.kind.startswith(SYMPTOMS)
            known = any(one.subject == subject and one.kind.startswith("log.") for one in own)
            line = checks.last_words(host, subject) if is_symptom and subject and not known else ""
            # A host without anything is how a stack begins, for the survey; here it is why none works.
            graver = replace(finding, severity=FAULT) if finding.kind == "host.bare" else finding
            own.append(Located(host.name, graver, subject, line=line))
    return own


def _services(host: Examined) -> list[str]:
    """Return the names of a host's services and containers, longer ones before those that are part of them."""
    reading = host.answer.reading
    containers = [str(one["name"]) for one in (reading.get("docker") or {}).get("containers", ())]
    found = {*host.expected.services, *(reading.get("services") or {}), *containers}
    return sorted(found, key=lambda name: (-len(name), name))


def _subject(finding: Finding, names: Sequence[str], host: Examined) -> str:
    """Return the service that a finding of the survey's is about."""
    if finding.kind.startswith("docker."):
        return "docker"
    if finding.kind.startswith("model."):
        paths = {model.get("path", ""): name for name, model in host.expected.engines.items()}
        return next((name for path, name in paths.items() if path and _names(path, finding.found)), "")
    if finding.kind.startswith("file.") or finding.kind.startswith("record."):
        of = re.search(r"(?:\(|record of )([\w.-]+)\)?$", finding.found)
        return {"door": DOOR, "edge": EDGE}.get(of[1], of[1]) if of else ""
    return next((name for name in names if _names(name, finding.found)), "")


def _names(word: str, text: str) -> bool:
    return bool(re.search(NAME_SIGNS.format(re.escape(word)), text))


# What explains what.


def rank(one: Located) -> int:
    """Return where a finding's kind stands among all; that of Docker or a database explains what is built on it."""
    if one.kind.startswith(("service.", "container.missing")) and one.subject in ("docker", *KEEPERS):
        return ORDER.index("log")
    if one.kind == "image.running" and one.subject in KEEPERS:  # another program in a keeper's place
        return ORDER.index("image.missing")
    if one.kind.startswith("service.") and one.subject in ASIDE:
        return ORDER.index("part")
    fitting = [kind for kind in ORDER if one.kind == kind or one.kind.startswith(f"{kind}.")]
    return ORDER.index(max(fitting, key=len)) if fitting else len(ORDER)


def in_order(found: Sequence[Located]) -> Iterator[Cause]:
    """Yield the causes among findings that stand by rank: faults, and what explains some, before warnings."""
    roots: dict[int, int] = {}
    for number, effect in enumerate(found):
        by = next((other for other in range(number) if explains(found[other], effect)), number)
        roots[number] = roots.get(by, by)
    causes = [
        Cause(found[root], tuple(found[one] for one, by in roots.items() if by == root != one))
        for root in dict.fromkeys(roots.values())
    ]
    return iter(sorted(causes, key=lambda cause: not _has_fault(cause)))


def _has_fault(cause: Cause) -> bool:
    return any(one.finding.severity in (FAULT, UNREACHABLE) for one in (cause.found, *cause.explains))


def explains(cause: Located, effect: Located) -> bool:
    """Whether a finding is the reason of another that stands after it."""
    if cause.kind == effect.kind and cause.subject == effect.subject and cause.peer == effect.peer:
        return False
    here = cause.host == effect.host
    if here:
        return _explains_here(cause, effect) or _explains_service(cause, effect)
    return _explains_elsewhere(cause, effect)


def _explains_here(cause: Located, effect: Located) -> bool:
    """Whether what is wrong with a host as a whole explains what is wrong with a part of it."""
    kind, by_engine = cause.kind, effect.subject.startswith(ENGINES)
    is_container = by_engine or effect.subject in (*INTERFACES, OBJECT_STORE)
    if kind == "stack.other":
        return effect.kind.startswith(("file.", "door.", "service.", "image.", "model."))
    if kind == "clock.off":
        return effect.kind.startswith(("certificate.", *NO_TRUST))
    if kind.startswith("disk.") and cause.finding.severity == FAULT:
        is_of_disk = effect.kind in ("log.docker.disk_full", "log.postgresql.database_disk", "model.incomplete")
        is_of_disk = is_of_disk or effect.kind.startswith(NO_DATABASE)
        return is_of_disk or effect.kind.startswith((*SYMPTOMS, "docker.silent", "record."))
    if kind.startswith(NO_DRIVER) and effect.kind.startswith("gpu."):
        return True
    if kind.startswith(GPU_FAULTS) and not kind.startswith(UNLIKE_GPU_FAULTS):
        is_of_gpu = effect.kind.startswith((*GPU_FAULTS, "log.vllm.", "log.docker.", "log.kernel.gpu", *SYMPTOMS))
        return is_of_gpu and by_engine and cause.subject in ("", effect.subject)
    if kind.startswith("log.acme."):
        return effect.kind.startswith("certificate.")
    if effect.kind.startswith("backup."):
        return kind.startswith("log.") and cause.subject == BACKUP
    if kind in ("route.none", "mtu.small"):
        return effect.kind.startswith("door.") and cause.peer == effect.peer
    if cause.subject == "docker" and kind.startswith(("docker.missing", "docker.silent", "log.docker", "service.")):
        if effect.subject == "docker" or effect.finding.found.startswith("docker:"):
            return not effect.kind.startswith("docker.settings")
        return is_container and effect.kind.startswith(SYMPTOMS)
    if kind.startswith("certificate."):
        return effect.kind.startswith(("site.", *NO_TRUST))
    return kind.startswith(("door.", "route.")) and effect.kind == "site.behind"


def _explains_service(cause: Located, effect: Located) -> bool:
    """Whether what is wrong with a service, or with what it needs, explains what else is seen of it."""
    same = bool(cause.subject) and cause.subject == effect.subject
    if effect.kind.startswith("site."):
        behind = (*INTERFACES, *KEEPERS, DOOR) if effect.kind == "site.behind" else ()
        is_down = cause.subject in (EDGE, *behind) and cause.finding.severity == FAULT
        return is_down and cause.kind.startswith(
            (*SYMPTOMS, *ASKED, "log.", "port.", "file.missing", "memory.", "filter.other")
        )
    if cause.subject in KEEPERS and effect.subject in INTERFACES:
        is_down = cause.finding.severity == FAULT and cause.kind.startswith((*SYMPTOMS, *ASKED, "log.", "file.missing"))
        return is_down and effect.kind.startswith((*SYMPTOMS, *NO_DATABASE, "log.postgresql."))
    if not same:
        return False
    if effect.kind in OF_OTHERS and cause.kind.startswith(SYMPTOMS):
        return True
    if effect.kind.startswith(ASKED):
        return cause.kind == "image.running" or (effect.kind in SILENT and cause.kind.startswith(("log.", "file.")))
    if effect.kind.startswith("log."):
        return cause.kind.startswith(("file.missing", "port.", "memory.", "name.", "model.")) or (
            cause.kind.startswith("log.") and rank(cause) < rank(effect)
        )
    if cause.kind.startswith("name.hub"):
        return effect.kind.startswith(("model.", *SYMPTOMS))
    if effect.kind.startswith("part."):
        return cause.kind.startswith((*SYMPTOMS, "log."))
    causing = ("file.", "record.", "port.", "log.", "model.", "memory.", "name.", "image.", *ASKED, *SYMPTOMS)
    return effect.kind.startswith(SYMPTOMS) and cause.kind.startswith(causing) and cause.kind not in OF_OTHERS


def _explains_elsewhere(cause: Located, effect: Located) -> bool:
    """Whether what is wrong with one host explains what another one sees of it."""
    is_grave = cause.finding.severity in (FAULT, UNREACHABLE)
    if effect.kind == "site.behind":
        is_behind = cause.subject in (*INTERFACES, *KEEPERS, DOOR) and cause.kind.startswith(SYMPTOMS)
        return is_grave and (cause.kind.startswith("host.") or is_behind)
    if not effect.kind.startswith(("door.", "mtu.", "route.")) or effect.peer != cause.host:
        return False
    if cause.kind in ("stack.other", "clock.off") or cause.kind.startswith("certificate."):
        return effect.kind.startswith(NO_TRUST)
    if cause.kind.startswith("filter."):
        return effect.kind == "door.filtered"
    behind = (*INTERFACES, *KEEPERS, "docker")
    if effect.kind == "door.behind" and (cause.subject in behind or cause.subject.startswith(ENGINES)):
        return is_grave
    at_door = cause.subject == DOOR and cause.kind.startswith(("log.", "port.", "file.missing", *SYMPTOMS))
    return is_grave and (cause.kind.startswith("host.") or at_door)


# As people and programs read it.


def table(diagnosis: Diagnosis) -> str:
    """Return a diagnosis as a text of at most WIDTH columns."""
    lines = []
    for number, cause in enumerate(diagnosis.causes, 1):
        one = cause.found
        where = plain(one.host) or "inventory"
        lines += _wrapped(f"{number:>3}  {one.finding.severity:<11}  {where}: ", plain(_found(one)))
        if one.finding.fix:
            lines += _wrapped("      do:          ", plain(one.finding.fix))
        if one.line:
            lines += _wrapped("      it says:     ", plain(one.line))
        if cause.explains:
            lines += _wrapped("      explains:    ", _following(cause.explains, one.host))
        lines.append("")
    lines += [line for note in diagnosis.notes for line in _wrapped("     note: ", plain(note))]
    return "\n".join([*lines, diagnosis.summary])


def _found(one: Located) -> str:
    finding = one.finding
    return f"found {finding.found}; wanted {finding.wanted}" if finding.wanted else finding.found


def _following(some: Collection[Located], host: str) -> str:
    shown = [(f"{one.host}: " if one.host != host else "") + one.finding.found for one in list(some)[:SHOWN]]
    more = [f"and {len(some) - SHOWN} more"] if len(some) > SHOWN else []
    return plain("; ".join([*shown, *more]))


def _wrapped(head: str, text: str) -> list[str]:
    indent = " " * 19
    return textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=indent, break_on_hyphens=False)


def message(diagnosis: Diagnosis) -> str:
    """Return what the failed task says: the worst causes, in order."""
    said = [
        f"{one.found.host + ': ' if one.found.host else ''}{_found(one.found)}"
        + (f"; {one.found.finding.fix}" if one.found.finding.fix else "")
        for one in diagnosis.causes[:SHOWN]
    ]
    return f"{diagnosis.summary}; " + " | ".join(said)


def as_dict(diagnosis: Diagnosis, now: datetime.datetime) -> dict[str, object]:
    """Return a diagnosis as plain data."""
    return {
        "at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "status": SEVERITIES.index(diagnosis.severity),
        "hosts": list(diagnosis.hosts),
        "causes": [
            {**_as_dict(one.found), "explains": [_as_dict(other) for other in one.explains]} for one in diagnosis.causes
        ],
        "notes": list(diagnosis.notes),
    }


def _as_dict(one: Located) -> dict[str, str]:
    return {"host": one.host, **asdict(one.finding), "subject": one.subject, "peer": one.peer, "line": one.line}


def as_json(diagnosis: Diagnosis, now: datetime.datetime) -> str:
    """Return a diagnosis for programs: the same keys in the same order each time."""
    return json.dumps(as_dict(diagnosis, now), indent=2, sort_keys=True) + "\n"
