# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the program ``docker`` is told of its own, by which containers would run elsewhere or be told of a proxy.

Sources: docker's CLI reference (environment variables, contexts, configuration files).
"""

from __future__ import annotations

from collections.abc import Mapping

from ..core.errors import Refusal

HERE = ("unix:///var/run/docker.sock", "unix:///run/docker.sock")


def refuse_elsewhere(endpoint: str) -> None:
    """Refuse a program that speaks to another Docker than the one that this host's unit runs.

    Args:
        endpoint: where it speaks to; empty where it does not say.

    Raises:
        Refusal: it is elsewhere.
    """
    if endpoint and endpoint not in HERE:
        raise Refusal(
            f"found that docker speaks to {endpoint} for this user, by DOCKER_HOST or a context; wanted this host's "
            "own Docker, for containers would run elsewhere; take DOCKER_HOST and DOCKER_CONTEXT out of the user's "
            "environment (/etc/environment, profiles), run `docker context use default` as that user, and run again"
        )


def proxy_warning(configuration: Mapping[str, object], path: str) -> str:
    """Return a warning of a proxy that each new container is told of, '' for none."""
    given = configuration.get("proxies")
    named = given.values() if isinstance(given, Mapping) else ()
    proxies = [one for some in named if isinstance(some, Mapping) for key, one in some.items() if key != "noProxy"]
    if not any(proxies):
        return ""
    return (
        f"found proxies in {path}, which docker tells each new container of; wanted none in those of gpuchat, which "
        f"ask one another and nobody outside; take proxies out of {path}, for gpuchat_proxy serves Docker's own pulls"
    )
