# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an ACME directory is to be asked for a certificate, and what its refusal says."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..core.change import Difference, Plan

SHORT = datetime.timedelta(days=10)
"""A life below which half of it must be left, else a third: as certbot 4 has it."""

USUAL_BEFORE = datetime.timedelta(days=30)
"""How long before the end certbot renews by itself where it is older than 4.0 and nothing else is said."""

MOST_LINES = 6
PROBLEM = re.compile(r"Domain:\s*(\S+)\s+Type:\s*(\S+)\s+Detail:\s*(.+)")
WAYS = {"webroot": "http", "manual": "dns"}
"""Our word for a challenge, by certbot's for who answers it."""

HINTS = {
    "http": (
        "that http://NAME/.well-known/acme-challenge/ of each name reaches this host from there, through DNS, routers "
        "and firewalls; set challenge to dns where it cannot"
    ),
    "dns": "that the hook ends well and the record can be read from there; set dns_hook to one that does it",
}


@dataclass(frozen=True)
class Held:
    """A certificate of a directory's that is on the host.

    Attributes:
        challenge: by which its names were shown to be ours.
    """

    names: frozenset[str]
    not_before: datetime.datetime
    not_after: datetime.datetime
    directory: str = ""
    challenge: str = ""


@dataclass(frozen=True)
class Ask:
    """Ask the directory, though there may be one that is valid."""


@dataclass(frozen=True)
class Install:
    """Let nginx serve what is there."""


def plan(
    held: Held | None,
    *,
    names: Sequence[str],
    directory: str,
    challenge: str,
    is_served: bool,
    now: datetime.datetime,
) -> Plan:
    """Decide whether to ask, and whether to serve what is there.

    Args:
        held: what is there.
        names: those wanted.
        is_served: whether nginx has it already.
        now: the present time, in UTC.
    """
    wanted = frozenset(name.lower() for name in names)
    why = _why(held, wanted, directory, challenge, now)
    if why:
        after = _shown(wanted, directory, challenge, "a new one")
        return Plan((Difference("certificate", _of(held), after),), (Ask(), Install()), why)
    if not is_served:
        served = Difference("certificate at the edge", "another\n", _of(held))
        return Plan((served,), (Install(),), "the certificate is not served yet")
    return Plan((), (), f"the certificate serves until {held.not_after:%Y-%m-%d}" if held else "")


def _why(held: Held | None, names: frozenset[str], directory: str, challenge: str, now: datetime.datetime) -> str:
    if held is None:
        return "there is no certificate yet"
    if held.names != names:
        return f"the certificate is for {', '.join(sorted(held.names))}"
    if held.directory != directory:
        return f"the certificate comes from {held.directory or 'another directory'}"
    if held.challenge != challenge:
        return f"the names were shown to be ours by {held.challenge or 'another challenge'}"
    if held.not_after - now < renew_before(held.not_after - held.not_before):
        return f"the certificate ends on {held.not_after:%Y-%m-%d}"
    return ""


def renew_before(life: datetime.timedelta) -> datetime.timedelta:
    """Return how long before its end a certificate is renewed."""
    return life / 2 if life < SHORT else life / 3


def renew_before_expiry(held: Held) -> str:
    """Return certbot's own setting for that, where its older versions would do otherwise; empty else.

    Before 4.0 it renews 30 days before the end, which is at each try where a certificate lives for less.
    """
    before = renew_before(held.not_after - held.not_before)
    return f"{int(before.total_seconds() // 60)} minutes" if before < USUAL_BEFORE * 2 / 3 else ""


def _of(held: Held | None) -> str:
    return _shown(held.names, held.directory, held.challenge, f"{held.not_after:%Y-%m-%d %H:%M}") if held else ""


def _shown(names: frozenset[str], directory: str, challenge: str, end: str) -> str:
    return f"names: {', '.join(sorted(names))}\ndirectory: {directory}\nchallenge: {challenge}\nend: {end}\n"


def read(described: str, renewal: str) -> Held | None:
    """Return what openssl's description of a certificate and certbot's record of it say; None where there is none.

    Args:
        described: output of ``openssl x509 -noout -dates -ext subjectAltName``.
        renewal: certbot's file for the next renewal.
    """
    begin, end = _date(described, "notBefore"), _date(described, "notAfter")
    if begin is None or end is None:
        return None
    names = re.findall(r"(?:DNS|IP Address):([^,\s]+)", described)
    settings = _settings(renewal)
    way = WAYS.get(settings.get("authenticator", ""), "")
    return Held(frozenset(names), begin, end, settings.get("server", ""), way)


def _date(text: str, name: str) -> datetime.datetime | None:
    line = re.search(rf"^{name}=(.*) GMT$", text, re.MULTILINE)
    try:
        return datetime.datetime.strptime(f"{line[1] if line else ''} +0000", "%b %d %H:%M:%S %Y %z")
    except ValueError:
        return None


def _settings(text: str) -> Mapping[str, str]:
    pairs = [line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#")]
    return {name.strip(): value.strip() for name, _equals, value in pairs}


def with_setting(renewal: str, name: str, value: str) -> str:
    """Return certbot's file with one of the settings at its head changed, or taken away by an empty value."""
    lines = [line for line in renewal.splitlines() if not re.match(rf"{name}\s*=", line)]
    return "\n".join([*([f"{name} = {value}"] if value else []), *lines]) + "\n"


ANY_HINT = (
    "a directory that answers, and takes this account, these names and this challenge; set directory, or "
    "authority_file where it is a private one"
)


def refusal(said: str) -> str:
    """Return the reason in what certbot said: the directory's own words for each name, or its last lines.

    What a hook printed stays out, for nobody knows what that is.
    """
    problems = PROBLEM.findall(said)
    if problems:
        ended = re.findall(r"Hook '--(manual-auth-hook)' .*reported error code (\d+)", said)
        told = [f"{hook} ended with status {status}" for hook, status in ended]
        told += [f"{name}: {kind}: {detail.strip()}" for name, kind, detail in problems]
        return "; ".join(dict.fromkeys(told))
    lines = [line.strip() for line in _without_hooks(said) if line.strip()]
    idle = ("Saving debug log", "Ask for help", "Some challenges", "See the logfile")
    lines = [line for line in lines if not line.startswith(idle) and set(line) != {"-"}]
    return " ".join(dict.fromkeys(lines[-MOST_LINES:])) or "certbot said nothing"


def _without_hooks(said: str) -> list[str]:
    kept, inside = [], False
    for line in said.splitlines():
        starts = bool(re.match(r"(Hook|Running|Encountered).*(ran with|hook)", line)) or "-hook" in line
        inside = starts or (inside and line.startswith(" "))
        if not inside:
            kept.append(line)
    return kept


def message(said: str, names: Sequence[str], directory: str, challenge: str, log: str) -> str:
    """Return what a person reads when the directory gives no certificate."""
    hint = HINTS[challenge] if PROBLEM.search(said) else ANY_HINT
    return (
        f"found that {directory} gives no certificate for {', '.join(names)} ({refusal(said)}); what was served before "
        f"still is; wanted {hint}; certbot's whole story is in {log}"
    )
