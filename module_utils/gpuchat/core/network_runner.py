# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives a module and what it starts the inventory's way out, by the environment: no list of processes shows a login.

And the usual umask: a stricter one would keep services and apt's own user from folders and files that are for all.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import tempfile
from collections.abc import Mapping

from . import host, network

OPTIONS: dict[str, dict[str, object]] = {
    "way_out": {"type": "dict", "default": {}},
    "way_out_logins": {"type": "dict", "default": {}, "no_log": True},
}
"""Options of a module that reaches out, as an argument specification; its action plugin sets them."""

BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
"""Where Debian and RHEL keep all authorities that the system trusts, in one file."""

TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
"""Variables that name such a file: OpenSSL's and Go's, and that of requests, which pip has inside."""


_made: list[str] = []


def adopt(params: Mapping[str, object]) -> None:
    """Take the way out that a module's options say; without them, the host's own settings hold."""
    os.umask(0o022)
    given: Mapping[str, object] = params.get("way_out") or {}  # type: ignore[assignment]
    logins: Mapping[str, object] = params.get("way_out_logins") or {}  # type: ignore[assignment]
    os.environ.update(network.environment(given, logins))
    authorities = str(given.get("authorities") or "")
    if authorities:
        os.environ.update(dict.fromkeys(TRUST, _bundle(authorities)))


def trusted() -> str:
    """Return the text of all authorities that the system trusts."""
    states = (host.file_state(path) for path in BUNDLES)
    return next((state.content.decode(errors="replace") for state in states if state and state.content), "")


def _bundle(authorities: str) -> str:
    """Return a file with the system's authorities and some more: the system's own once it has them."""
    there = trusted()
    path = next((path for path in BUNDLES if os.path.exists(path)), "")
    if path and network.holds(there, authorities):
        return path
    with tempfile.NamedTemporaryFile("w", prefix="gpuchat-", suffix=".crt", delete=False) as file:
        file.write(f"{there}\n{authorities}")
    os.chmod(file.name, 0o644)  # apt reads it as a user of its own
    _made.append(file.name)
    atexit.register(_at_exit, os.getpid())
    return file.name


def _at_exit(owner: int) -> None:
    if os.getpid() == owner:
        forget()


def forget() -> None:
    """Remove the file of authorities that was made here, if one was."""
    while _made:
        with contextlib.suppress(OSError):
            os.unlink(_made.pop())


def leave_to_child() -> None:
    """Leave that file to a child that works on after this process has ended; the child is to forget it."""
    _made.clear()
