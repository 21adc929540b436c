# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host belongs to the stack of this run: it remembers by which secrets it was made part of one."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

from ..core.change import Difference, Plan
from ..core.errors import Refusal

IDENTIFYING = ("api_key", "ca_certificate", "hosts_ca_certificate", "lobehub_key_vaults_secret", "vllm_api_key")
"""Secrets that stay as they are from run to run, unless somebody changes them on purpose."""


def fingerprints(known: Mapping[str, str], given: Collection[str] = ()) -> dict[str, str]:
    """Return a digest of each secret that the stack made itself, not of those that a variable gives."""
    return {
        name: hashlib.sha256(f"gpuchat {name} {known[name]}".encode()).hexdigest()[:32]
        for name in IDENTIFYING
        if known.get(name) and name not in given
    }


def former_fingerprints(before: Mapping[str, str], after: Mapping[str, str], suffix: str) -> dict[str, list[str]]:
    """Return digests of what a rotation has replaced, by which hosts that it has not reached yet know the stack.

    Args:
        before: the secrets as this run found them.
        after: the same, with new ones, and with those that are still valid beside them under names with a suffix.
    """
    older = {name: after[f"{name}{suffix}"] for name in IDENTIFYING if after.get(f"{name}{suffix}")}
    found: dict[str, list[str]] = {}
    for known in (before, older):
        for name, digest in fingerprints(known).items():
            if digest not in (*found.get(name, ()), fingerprints(after).get(name)):
                found.setdefault(name, []).append(digest)
    return found


def join(
    path: str,
    remembered: Mapping[str, str],
    present: Mapping[str, str],
    adopt: bool,
    folder: str,
    former: Mapping[str, Collection[str]] | None = None,
) -> Plan:
    """Decide what a host is to remember.

    Args:
        path: the file in which it does.
        remembered: digests that it holds.
        present: those of this run.
        adopt: whether it is to follow this run whatever it remembers.
        folder: where this run's secrets are kept, for the message.
        former: digests of what a rotation has replaced.

    Raises:
        Refusal: it belongs to a stack with other secrets.
    """
    replaced = former or {}
    other = [
        name
        for name, digest in present.items()
        if remembered.get(name, digest) not in (digest, *replaced.get(name, ()))
    ]
    if other and not adopt:
        raise Refusal(
            f"this host belongs to a stack with other secrets than those in {folder}: {', '.join(other)} (see {path} "
            "there); wanted the stack's own, made in its first run; bring that folder back, set gpuchat_folder to "
            "where it is, or set gpuchat_adopt_secrets to true for one run that gives every host the new ones"
        )
    wanted = {**remembered, **present}
    if wanted == remembered:
        return Plan((), (), "the host belongs to this stack")
    return Plan(
        (Difference(path, _lines(remembered), _lines(wanted)),), ("write",), "the host becomes part of the stack"
    )


def _lines(digests: Mapping[str, str]) -> str:
    return "".join(f"{name} {digest}\n" for name, digest in sorted(digests.items()))


def text_of(digests: Mapping[str, str]) -> str:
    """Return the file's content."""
    return "# By which secrets this host belongs to a stack of gpuchat.\n" + _lines(digests)


def read(text: str) -> dict[str, str]:
    """Return the digests in a file's content."""
    pairs = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
