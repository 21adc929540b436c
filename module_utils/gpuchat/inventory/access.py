# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From where the chat and the model API may be used."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Union

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

ALLOWED, DENIED = "gpuchat_allowed_networks", "gpuchat_denied_networks"
CHAT, API, PROXIES = "edge_chat_networks", "edge_api_networks", "edge_trusted_proxies"
VARIABLES = (ALLOWED, DENIED, CHAT, API, PROXIES)

NOBODYS = tuple(
    map(
        ipaddress.ip_network, ("0.0.0.0/32", "224.0.0.0/4", "255.255.255.255/32", "::/128", "::ffff:0:0/96", "ff00::/8")
    )
)
"""From which no packet comes; one of an IPv4 address is met as such, not as the IPv6 address that stands for it."""


@dataclass(frozen=True)
class Access:
    """Networks as nginx and the packet filter want them: who is in one of them may, and nobody else.

    Attributes:
        chat: whose people may use the chat.
        api: whose programs may use the model API.
        proxies: from where others come whose addresses a header names.
    """

    chat: tuple[str, ...] = ()
    api: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()

    @property
    def connecting(self) -> tuple[str, ...]:
        """Everybody who may connect."""
        return tuple(dict.fromkeys([*self.chat, *self.api, *self.proxies]))

    def as_dict(self) -> dict[str, object]:
        return {"chat": list(self.chat), "api": list(self.api), "proxies": list(self.proxies)}


def derive(settings: Mapping[str, object]) -> Access:
    """Return who gets in, from settings without a fault: what is denied is taken out of what is allowed."""
    allowed, denied = _networks(settings.get(ALLOWED)), _networks(settings.get(DENIED))
    chat, api = (_networks(settings.get(name)) for name in (CHAT, API))
    return Access(
        _texts(_without(_common(allowed, chat) if chat else allowed, denied)),
        _texts(_without(_common(allowed, api) if api else allowed, denied)),
        _texts(_networks(settings.get(PROXIES))),
    )


def faults(settings: Mapping[str, object]) -> Iterator[str]:
    """Say what is wrong with the variables together; each by itself is sound."""
    for name in VARIABLES:
        lost = [str(one) for one in _networks(settings.get(name)) if one in _common([one], NOBODYS)]
        if lost:
            yield (
                f"{name} holds {', '.join(lost)}, from which nobody comes; wanted networks of people's own addresses; "
                f"set {name} to such"
            )
    everybody = _everybody(_networks(settings.get(PROXIES)))
    if everybody:
        yield (
            f"{PROXIES} holds {', '.join(everybody)}, so anybody could say to be anybody; wanted the proxies' own "
            f"addresses; set {PROXIES} to them"
        )
    if not settings.get(ALLOWED):
        return
    access = derive(settings)
    lost_by: dict[str, list[str]] = {}
    for name, left, what in ((CHAT, access.chat, "the chat"), (API, access.api, "the model API")):
        if not left:
            lost_by.setdefault(name if settings.get(name) else DENIED, []).append(what)
    outside_of = {
        name: [str(one) for one in _networks(settings.get(name)) if not _common([one], _networks(settings[ALLOWED]))]
        for name in (CHAT, API)
    }
    for variable, parts in lost_by.items():
        if len(outside_of.get(variable, ())) < len(_networks(settings.get(variable))):  # else it is said of these
            yield (
                f"{variable} leaves nobody of {ALLOWED} who could use {' or '.join(parts)}; wanted some of them; set "
                f"{variable} to other networks"
            )
    for name, outside in outside_of.items():
        if outside:
            yield (
                f"{name} holds {', '.join(outside)}, which is in none of {ALLOWED}; wanted networks that may connect "
                f"at all; set {ALLOWED} to hold them too"
            )


def warnings(settings: Mapping[str, object]) -> Iterator[str]:
    """Say what of the networks has no effect, or lets everybody in; each by itself is sound."""
    allowed = _networks(settings.get(ALLOWED))
    for everybody in _everybody(allowed):
        yield (
            f"{ALLOWED} holds all of {everybody}, so everybody who reaches this host may try keys and passwords; "
            "name the networks of its users where you can"
        )
    wide = [
        str(proxy)
        for proxy in _networks(settings.get(PROXIES))
        if proxy.num_addresses > 1 and any(one in _common([one], [proxy]) for one in allowed)
    ]
    if wide and not any(one.endswith("/0") for one in wide):  # which is a fault
        yield (
            f"{PROXIES} holds {', '.join(wide)}, in which are people of {ALLOWED} too, so each of them could say to be "
            f"anybody; set {PROXIES} to the proxies' own addresses"
        )
    idle = [str(one) for one in _networks(settings.get(DENIED)) if not _common([one], allowed)]
    if allowed and idle:
        yield (
            f"{DENIED} holds {', '.join(idle)}, which is in none of {ALLOWED}, so it refuses nobody; set {DENIED} to "
            "networks within those, or take it away"
        )


def _networks(given: object) -> list[Network]:
    return [ipaddress.ip_network(str(one)) for one in given] if isinstance(given, (list, tuple)) else []


def _common(some: Iterable[Network], others: Sequence[Network]) -> list[Network]:
    """Return what both hold: of two networks, one is in the other or they have nothing in common."""
    return [
        max(one, other, key=lambda network: network.prefixlen)
        for one in some
        for other in others
        if one.version == other.version and one.overlaps(other)
    ]


def _without(some: Sequence[Network], denied: Sequence[Network]) -> list[Network]:
    left = list(some)
    for gone in denied:
        kept: list[Network] = []
        for one in left:
            if one.version != gone.version or not one.overlaps(gone):
                kept.append(one)
            elif one.prefixlen < gone.prefixlen:
                kept += one.address_exclude(gone)  # type: ignore[arg-type]
        left = kept
    return left


def _everybody(networks: Iterable[Network]) -> tuple[str, ...]:
    """Return the protocols of which some networks together hold every address, each as one network."""
    return tuple(one for one in _texts(networks) if one.endswith("/0"))


def _texts(networks: Iterable[Network]) -> tuple[str, ...]:
    """Return networks as texts, each once and none within another."""
    found: list[str] = []
    everything = list(networks)
    for version in (4, 6):
        of_version = [one for one in everything if one.version == version]
        found += map(str, ipaddress.collapse_addresses(of_version))  # type: ignore[type-var]
    return tuple(found)
