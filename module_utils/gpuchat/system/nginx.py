# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release's nginx package calls things."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from .release import Release


@dataclass(frozen=True)
class Nginx:
    """nginx as a family of releases packages it.

    Attributes:
        user: of the workers, who also connect to the engine's socket.
        group: who may read what the workers read.
        authorities: the file with the authorities that the system trusts.
        perl_module: nginx's module for Perl.
    """

    user: str
    group: str
    authorities: str
    perl_module: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


FAMILIES = {
    "apt": Nginx(
        "www-data",
        "www-data",
        "/etc/ssl/certs/ca-certificates.crt",
        "/usr/lib/nginx/modules/ngx_http_perl_module.so",
    ),
    "dnf": Nginx(
        "nginx",
        "nginx",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/usr/lib64/nginx/modules/ngx_http_perl_module.so",
    ),
}
"""By what manages a release's packages."""


def of(os_release: str) -> Nginx:
    """Return what nginx is called on a host, by its /etc/os-release; on one that is not known, as Debian has it."""
    return FAMILIES.get(Release.parse(os_release).system, FAMILIES["apt"])
