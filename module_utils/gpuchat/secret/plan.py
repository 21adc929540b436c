# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which secrets there should be, and which of them must be made."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..core.change import Difference, Plan

RENEW_BEFORE = datetime.timedelta(days=60)
CERTIFICATE_LIFE = datetime.timedelta(days=824)
"""Browsers of Apple's refuse more than 825 days, and a certificate begins an hour before it is made."""

AUTHORITY_LIFE = datetime.timedelta(days=3650)


@dataclass(frozen=True)
class Make:
    """Make one secret: a token, a short access code, a private authority, or the server's certificate."""

    name: str


TOKENS = {"api_key": 32, "vllm_api_key": 32, "lobechat_access_code": 12}
"""Random secrets by name, with their length in bytes before encoding."""

AUTHORITY = "authority"
CERTIFICATE = "certificate"


@dataclass(frozen=True)
class Certificate:
    """What is known of a certificate that is there."""

    names: frozenset[str]
    not_after: datetime.datetime


def plan_secrets(
    known: Mapping[str, str],
    *,
    tls_names: Sequence[str],
    certificate: Certificate | None,
    now: datetime.datetime,
) -> Plan:
    """Decide which secrets to make; what is there is never changed, but for a certificate that no longer serves.

    Args:
        known: secrets by name.
        tls_names: names for a certificate from the private authority; none where the owner brings one.
        certificate: the certificate that is there.
        now: the present time, in UTC.
    """
    names = [name for name in TOKENS if not known.get(name)]
    if tls_names:
        if not known.get("ca_certificate"):
            names += [AUTHORITY, CERTIFICATE]
        elif (
            certificate is None
            or certificate.names != frozenset(tls_names)
            or certificate.not_after - now < RENEW_BEFORE
        ):
            names.append(CERTIFICATE)
    differences = tuple(Difference(f"secret {name}", "", "(made)\n") for name in names)
    reason = f"to make: {', '.join(names)}" if names else "all secrets are there"
    return Plan(differences, tuple(map(Make, names)), reason)
