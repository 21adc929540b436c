# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps a company's authorities among those that the system trusts."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Iterable, Mapping

from ..core import host, network, network_runner
from ..system import files_runner

NAME = "authorities"
ANCHORS = {
    "apt": ("/usr/local/share/ca-certificates", ("update-ca-certificates",)),
    "dnf": ("/etc/pki/ca-trust/source/anchors", ("update-ca-trust", "extract")),
}
"""Where a system takes more authorities from, and what it takes them up by."""

LINKS = "/etc/ssl/certs"
PACKAGE = "ca-certificates"


def ensure(
    params: Mapping[str, object], kind: str, check: bool, install: Callable[[str], None]
) -> dict[str, object] | None:
    """Put the authorities that a module's options hold into the system's; None where there is nothing to do.

    Args:
        install: installs a package, for a bare host lacks the one that this is done with.

    Raises:
        CommandFailed: the system does not take them up.
    """
    given: Mapping[str, object] = params.get("way_out") or {}  # type: ignore[assignment]
    authorities = str(given.get("authorities") or "")
    if kind not in ANCHORS or (not authorities and not os.path.exists(files_runner.manifest_path(NAME))):
        return None
    folder, _command = ANCHORS[kind]
    entries = [
        {"dest": f"{folder}/gpuchat-{network.name_of(block)}.crt", "content": block, "mode": "0644"}
        for block in network.blocks(authorities)
    ]
    wanted: dict[str, object] = {"name": NAME, "validate": None, "validate_requires": [], "partial": False}
    wanted.update(state="present" if entries else "absent", files=[{**files_runner.USUAL, **one} for one in entries])
    result = files_runner.ensure(wanted, check)
    # Asked of the store itself, for a run may have died in between.
    is_behind = not network.holds(network_runner.trusted(), authorities)
    changed = bool(result["changed"] or is_behind)
    if changed and not check:
        if host.program(ANCHORS[kind][1][0]) is None:
            install(PACKAGE)
        refresh(kind)
    what = "the authorities of gpuchat_ca_files" if authorities else "no authority of the company any more"
    return {"changed": changed, "diff": result["diff"], "msg": f"the system trusts {what}" if changed else ""}


def refresh(kind: str) -> None:
    """Have the system take up what has come to its folder or gone from there.

    Raises:
        CommandFailed: it does not, or there is no program for it.
    """
    for link in pathlib.Path(LINKS).glob("*"):  # Debian's program leaves those of files that have gone
        if link.is_symlink() and not link.exists() and os.path.basename(os.readlink(link)).startswith("gpuchat-"):
            link.unlink()
    program, *words = ANCHORS[kind][1]
    host.must([host.program(program) or program, *words], 120)


def refresh_for(paths: Iterable[str]) -> None:
    """Have the system take up that some files have gone, where they were authorities.

    Raises:
        CommandFailed: it does not.
    """
    for kind, (folder, command) in ANCHORS.items():
        if any(path.startswith(f"{folder}/") for path in paths) and host.program(command[0]):
            refresh(kind)
