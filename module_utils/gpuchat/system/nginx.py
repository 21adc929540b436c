# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release's nginx package calls things, and what its SELinux has to be told before nginx can serve the stack."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from .release import Release


@dataclass(frozen=True)
class Nginx:
    """nginx as a family of releases packages it.

    Attributes:
        user: of the workers, who also connect to the engine's socket.
        group: who may read what the workers read.
        authorities: the file with the authorities that the system trusts.
    """

    user: str
    group: str
    authorities: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


FAMILIES = {
    "apt": Nginx("www-data", "www-data", "/etc/ssl/certs/ca-certificates.crt"),
    "dnf": Nginx("nginx", "nginx", "/etc/pki/tls/certs/ca-bundle.crt"),
}
"""By what manages a release's packages."""


def of(os_release: str) -> Nginx:
    """Return what nginx is called on a host, by its /etc/os-release; on one that is not known, as Debian has it."""
    return FAMILIES.get(Release.parse(os_release).system, FAMILIES["apt"])


BOOLEAN = "httpd_can_network_connect"
"""Lets nginx connect to other ports than those of web servers: the doors, the interface in its room."""

PORT_TYPE = "http_port_t"


def ports_of(listed: str) -> frozenset[int]:
    """Return the ports that nginx may listen on, from ``semanage port -l``."""
    found: set[int] = set()
    for line in listed.splitlines():
        words = line.split(None, 2)
        if words[:2] != [PORT_TYPE, "tcp"]:
            continue
        for one in re.split(r",\s*", words[2].strip()):
            first, _dash, last = one.partition("-")
            found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def selinux_steps(
    mode: str, listed: str, booleans: Mapping[str, bool], ports: Collection[int]
) -> Iterator[Sequence[str]]:
    """Return the commands by which nginx gets what the stack needs of SELinux; none where it does not run.

    Args:
        mode: what ``getenforce`` says.
        listed: what ``semanage port -l`` says.
        booleans: those of ``getsebool``, by name.
        ports: on which nginx is to listen.
    """
    if mode.strip() == "Disabled":
        return
    if not booleans.get(BOOLEAN, False):
        yield ("setsebool", "-P", BOOLEAN, "on")
    for port in sorted(set(ports) - ports_of(listed)):
        yield ("semanage", "port", "--add", "--type", PORT_TYPE, "--proto", "tcp", str(port))
