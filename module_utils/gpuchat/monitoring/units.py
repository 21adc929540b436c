# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each program of the monitoring is given on its host: its files, its arguments, the names of its secrets."""

from __future__ import annotations

from collections.abc import Mapping

from . import alertmanager, files, prometheus
from .stack import Stack

SECRETS = "secrets"
"""The folder of root's below the monitoring's, from which each unit gets its own."""

IDENTITY = ("host.crt", "host.key", "hosts.crt")
"""By which the doors of all hosts know the monitoring host, and it them."""


def build(stack: Stack, secrets: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """Return what each unit is given, the relay only where a robot is named.

    Args:
        secrets: by what each variable of secrets is for (``receiver``, ``remote``), its name; a template reads their
            values on the control node, so they pass no module.

    Returns:
        By the unit's name: ``files`` as gpuchat_files has them, ``secrets`` (their files' names) and ``arguments``.
    """
    texts = files.build(stack)
    robots = [one.name for one in stack.receivers if one.is_robot]
    others = [one.name for one in stack.receivers if one.has_secret and not one.is_robot]
    found = {
        "prometheus": _unit(
            stack,
            {
                path: text
                for path, text in texts.items()
                if path not in (alertmanager.CONFIGURATION, alertmanager.RELAY)
            },
            _secrets(stack, "remote", secrets, stack.remote_secrets),
            prometheus.arguments(stack),
        ),
        "alertmanager": _unit(
            stack,
            {alertmanager.CONFIGURATION: texts[alertmanager.CONFIGURATION], **alertmanager.authorities(stack)},
            _secrets(stack, "receiver", secrets, others),
            alertmanager.arguments(stack),
        ),
    }
    found["prometheus"]["secrets"] = [*IDENTITY, *found["prometheus"]["secrets"]]  # type: ignore[misc]
    # Where nothing is sent elsewhere, Prometheus speaks to the hosts' doors alone.
    addresses = dict.fromkeys(target.place.rpartition(":")[0] for target in stack.targets)
    found["prometheus"]["addresses"] = [] if stack.remotes else ["localhost", *addresses]
    if alertmanager.RELAY in texts:
        found["relay"] = _unit(
            stack,
            {alertmanager.RELAY: texts[alertmanager.RELAY]},
            _secrets(stack, "receiver", secrets, robots),
            [f"{stack.folder}/{alertmanager.RELAY}"],
        )
    return found


def _unit(
    stack: Stack, texts: Mapping[str, str], secrets: list[dict[str, object]], arguments: list[str]
) -> dict[str, object]:
    folders = dict.fromkeys(path.rpartition("/")[0] for path in texts if "/" in path)
    return {
        "files": [
            *({"dest": f"{stack.folder}/{folder}", "folder": True} for folder in folders),
            *({"dest": f"{stack.folder}/{path}", "content": text} for path, text in texts.items()),
            *secrets,
        ],
        "secrets": [str(one["dest"]).rpartition("/")[2] for one in secrets],
        "arguments": arguments,
    }


def _secrets(stack: Stack, kind: str, variables: Mapping[str, str], names: object) -> list[dict[str, object]]:
    return [
        {
            "dest": f"{stack.folder}/{SECRETS}/{kind}-{name}",
            "template": "secret.j2",
            "vars": {"__monitoring_variable": variables[kind], "__monitoring_name": name},
            "secret": True,
        }
        for name in names  # type: ignore[attr-defined]
    ]
