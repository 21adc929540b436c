# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a certificate that the owner brings will serve."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

WARN_BEFORE = datetime.timedelta(days=14)
FILE, KEY_FILE = "edge_certificate_file", "edge_certificate_key_file"


def canonical(name: str) -> str:
    """Return an IP address in its one canonical form, and any other name as it is."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name


@dataclass(frozen=True)
class Seen:
    """One certificate of a chain.

    Attributes:
        names: host names and addresses that it is for.
        key: its public key, as a digest.
        signed_by_next: whether the next one in the file signed it; None for the last.
        responder: whether it names one that says whether it was revoked (OCSP).
    """

    subject: str
    names: tuple[str, ...]
    not_before: datetime.datetime
    not_after: datetime.datetime
    key: str
    signed_by_next: bool | None = None
    responder: bool = False


@dataclass(frozen=True)
class Pair:
    """A certificate and its key as they were found; ``problems`` say what could not even be read."""

    certificate_file: str
    key_file: str
    chain: tuple[Seen, ...] = ()
    key: str = ""
    problems: tuple[str, ...] = ()


def faults(pair: Pair, names: Sequence[str], at: datetime.datetime) -> Iterator[str]:
    """Say what is wrong with a pair.

    Args:
        names: host names and addresses at which people open the chat.
        at: the present time, in UTC.
    """
    if pair.certificate_file and not pair.key_file:
        yield f"{FILE} is {pair.certificate_file} and {KEY_FILE} is not set; wanted both; set {KEY_FILE}"
    if pair.key_file and not pair.certificate_file:
        yield f"{KEY_FILE} is {pair.key_file} and {FILE} is not set; wanted both; set {FILE}, or neither"
    yield from pair.problems
    if not pair.chain:
        return
    first = pair.chain[0]
    if pair.key and pair.key in [one.key for one in pair.chain[1:]]:
        yield (
            f"{pair.certificate_file} does not begin with the certificate of {pair.key_file}; wanted the server's "
            f"certificate first and after each the one that signed it; put the chain into {FILE} in that order"
        )
        return
    if pair.key and pair.key != first.key:
        yield (
            f"{pair.key_file} is not the key of {pair.certificate_file}; wanted the pair; set {KEY_FILE} to the key "
            "with which that certificate was asked for"
        )
    unsigned = [one for one in pair.chain if one.signed_by_next is False]
    if unsigned and (not pair.key or pair.key == first.key):
        yield (
            f"{pair.certificate_file} holds {unsigned[0].subject} before one that did not sign it; wanted the server's "
            f"certificate first and after each the one that signed it; put the chain into {FILE} in that order"
        )
    missing = [name for name in names if not serves(first.names, name)]
    if missing:
        yield (
            f"{pair.certificate_file} is for {', '.join(first.names) or 'no name'}; wanted {', '.join(missing)} too; "
            f"set {FILE} to a certificate for every name, or take the name out of gpuchat_domain and edge_extra_names"
        )
    for one in pair.chain:
        if at > one.not_after:
            yield f"{pair.certificate_file} ended on {_day(one.not_after)}; wanted a valid one; set {FILE} to a new one"
        elif at < one.not_before:
            yield (
                f"{pair.certificate_file} begins on {_day(one.not_before)}; wanted one that is valid now; set {FILE} "
                "to one, or put this machine's clock right"
            )


def warnings(pair: Pair, at: datetime.datetime) -> Iterator[str]:
    for one in pair.chain[:1]:
        if at <= one.not_after < at + WARN_BEFORE:
            yield f"{pair.certificate_file} ends on {_day(one.not_after)}; set {FILE} to a new one soon"
        if one.responder and len(pair.chain) == 1:
            yield (
                f"{pair.certificate_file} names who says whether it was revoked, and not who signed it, so no such "
                f"answer is stapled; set {FILE} to the whole chain"
            )


def authority_warnings(
    variable: str, path: str, ends: Sequence[datetime.datetime], at: datetime.datetime
) -> Iterator[str]:
    """Say that authorities have ended, each of them, for one that has may stand beside its successor.

    It is no fault: yesterday the same inventory had none.

    Args:
        path: of their file where the variable names several; else empty.
        ends: when each of them ends.
    """
    if ends and max(ends) < at:
        yield (
            f"the authorities of {variable}{f', {path},' if path else ''} have ended, the last on {_day(max(ends))}, "
            f"so whom they certified is refused; set {variable} to those of today"
        )


def serves(certified: Sequence[str], name: str) -> bool:
    """Whether a certificate for some names, wildcards among them, is for a name."""
    wanted = name.lower().rstrip(".")
    _first, _dot, rest = wanted.partition(".")
    return wanted in [one.lower() for one in certified] or (
        bool(rest) and f"*.{rest}" in [one.lower() for one in certified] and not rest.replace(".", "").isdigit()
    )


def _day(time: datetime.datetime) -> str:
    return time.strftime("%Y-%m-%d")
