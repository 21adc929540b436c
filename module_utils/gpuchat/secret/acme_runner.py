# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks an ACME directory by certbot, and lets nginx serve what it gave."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from typing import Any

from ..core import host
from ..core.errors import CommandFailed, Refusal
from . import acme

LONGEST = 300
"""Seconds that a directory may take for all names together."""


def ensure(params: Mapping[str, Any], check: bool) -> dict[str, object]:
    """Ensure that there is a certificate of a directory's and that it is served; return the module's result.

    Raises:
        Refusal: certbot or openssl is not installed.
        CommandFailed: the directory gives none, or nginx does not take it.
    """
    held = _held(params)
    plan = acme.plan(
        held,
        names=params["names"],
        directory=params["directory"],
        challenge=params["challenge"],
        is_served=_is_served(params),
        now=datetime.datetime.now(datetime.timezone.utc),
    )
    if not check:
        for action in plan.actions:
            _ask(params) if isinstance(action, acme.Ask) else _install(params)
    result = plan.result()
    if check and any(isinstance(action, acme.Ask) for action in plan.actions):
        result["not_predicted"] = [f"what {params['directory']} says: check mode asks nobody"]
    return result


def _lineage(params: Mapping[str, Any]) -> str:
    return os.path.join(params["state_folder"], "certbot", "live", params["certificate_name"])


def _renewal(params: Mapping[str, Any]) -> str:
    return os.path.join(params["state_folder"], "certbot", "renewal", f"{params['certificate_name']}.conf")


def _held(params: Mapping[str, Any]) -> acme.Held | None:
    chain = os.path.join(_lineage(params), "fullchain.pem")
    if host.file_state(chain) is None:
        return None
    described = host.run(["openssl", "x509", "-noout", "-dates", "-ext", "subjectAltName", "-in", chain])
    return acme.read(described.stdout, host.file_text(_renewal(params)))


def _is_served(params: Mapping[str, Any]) -> bool:
    parts = [host.file_text(os.path.join(_lineage(params), name)) for name in ("privkey.pem", "fullchain.pem")]
    return all(parts) and "".join(parts) == host.file_text(params["served"])


def _ask(params: Mapping[str, Any]) -> None:
    for name in ("certbot", "openssl"):
        if host.program(name) is None:
            raise Refusal(f"found no {name} on this host; wanted it; install it before this task")
    # The key that joins the account to its owner stands in that file, for everybody sees a command.
    command = [host.program("certbot") or "certbot", "certonly", "--config", params["configuration"]]
    command += ["--cert-name", params["certificate_name"], "--force-renewal"]
    command += [word for name in params["names"] for word in ("--domains", name.lower())]
    trusted = {"REQUESTS_CA_BUNDLE": params["authority_file"]} if params["authority_file"] else {}
    output = host.run(command, LONGEST, trusted)
    if output.rc != 0:
        log = os.path.join(params["state_folder"], "log", "letsencrypt.log")
        raise CommandFailed(acme.message(output.text, params["names"], params["directory"], params["challenge"], log))
    held = _held(params)
    if held is not None:
        text = host.file_text(_renewal(params))
        wanted = acme.with_setting(text, "renew_before_expiry", acme.renew_before_expiry(held))
        if wanted != text:
            host.write_atomically(_renewal(params), wanted.encode(), 0o644)


def _install(params: Mapping[str, Any]) -> None:
    if _is_served(params):
        return  # certbot has done it, by the hook that every renewal takes
    output = host.run([params["install"]], environment={"RENEWED_LINEAGE": _lineage(params)})
    if output.rc != 0:
        raise CommandFailed(
            f"found a certificate in {_lineage(params)} that is not served ({output.text}); what was served before "
            "still is; wanted that nginx takes it; look for changes in /etc/gpuchat/edge, and run the playbook again"
        )
