# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the issuer of a company's accounts what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping

from ..core import host
from ..core.errors import Refusal
from ..inventory.sign_in import SignIn
from . import issuer

SECONDS = 20


def verify(params: Mapping[str, object]) -> dict[str, object]:
    """Verify that people can sign in by an issuer, from this host and past any proxy, as the chat will ask it.

    Raises:
        Refusal: it is not reached, or cannot serve.
    """
    name, authority = str(params["issuer"]), str(params["authority"])
    url = SignIn(name, "").discovery
    answer = host.http(url, timeout=SECONDS, direct=True, redirects=False, authority=authority)
    if answer.status != 200:
        raise Refusal(issuer.unreached(url, answer.status, answer.error))
    told = answer.json()
    found = issuer.faults(name, told)
    if found or not isinstance(told, Mapping):
        raise Refusal("; ".join(found))
    return {"changed": False, "authorization_endpoint": told["authorization_endpoint"]}
