# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the files that an inventory names, as the preflight's action plugin has read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import elsewhere, network, people, receivers, types
from .given import MONITORING, Findings


def check(params: Mapping[str, Any], parts: Sequence[str], findings: Findings) -> None:
    """Find what cannot be read, and what does not hold what it is for; of certificates ``secret/`` knows more.

    Args:
        params: the task's options.
        parts: the roles that are to run.
    """
    if "edge" in parts:
        for host, problems in params["files"].items():
            findings.add(problems, (), host)
        for host, names in params["people"].items():
            unhashed = params.get("unhashed", {}).get(host, ())
            findings.add([*people.name_faults(names), *people.hash_faults(unhashed)], (), host)
    findings.add(params["endpoint_problems"], (), "")
    findings.add(params.get("authority_problems", ()), (), "")
    for path, text in params.get("authorities", {}).items():
        findings.add(network.authority_faults(path, text), (), "")
    for variable, texts in params.get("elsewhere_authorities", {}).items():
        for path, text in texts.items():
            findings.add(elsewhere.authority_faults(variable, path, text), (), "")
    for variable, text in params.get("pem_files", {}).items():
        findings.add(network.pem_faults(variable, text), (), "")


def authorities(params: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield all authorities that a task's options hold: variable, path where it is one of several, and text."""
    for path, text in params.get("authorities", {}).items():
        yield network.FILES, path, text
    for variable, texts in params.get("elsewhere_authorities", {}).items():
        for path, text in texts.items():
            yield f"{variable}.authority_file", path, text
    for variable, text in params.get("pem_files", {}).items():
        yield variable, "", text
    for host in params["groups"].get(MONITORING, ()):
        given = params["variables"].get(host, {}).get(receivers.RECEIVERS)
        for number, one in enumerate(types.sequence(given)):
            if isinstance(one, Mapping) and one.get("authority"):
                yield f"{receivers.RECEIVERS}[{number}].authority", "", str(one["authority"])
