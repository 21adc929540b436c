# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes the packages that are on a host because of us, but for those that somebody else's need."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Mapping, Sequence

from ..core import host
from ..core.change import Difference, Plan
from ..packages import runner as packages_runner
from ..packages.plan import leaving, refuse_collateral
from . import data_runner
from .plan import purge_and_remove

COPIES = {"/var/www/html/index.nginx-debian.html": "/usr/share/nginx/html/index.html"}
"""Files that packages make as copies of theirs."""


def remove(
    by_role: Mapping[str, Sequence[str]], purged: bool, check: bool, keeps: Collection[str] = ()
) -> tuple[dict[str, object], dict[str, tuple[str, ...]], dict[str, str]]:
    """Remove packages; return the step's result, for each package that stays those that need it, and what else stays.

    Args:
        by_role: the packages that are there because of us, by role.
        purged: also those whose purge deletes data.
        keeps: accounts whose files stay.
    """
    system = packages_runner.system_here()
    names = sorted({name for found in by_role.values() for name in found})
    if system is None or not names:
        return Plan().result(), {}, {}
    going, needed = leaving(names, _taken_along(system, names))
    versions = system.installed()
    differences = tuple(Difference(f"package {name}", f"{versions[name].version}\n", "") for name in going)
    accounts: dict[str, str] = {}
    if going and not check:
        refuse_collateral(system.removed_with(going), names)
        for role in by_role:
            _leave_altered(role)
        _remove(system, going, purged)
        for role in by_role:
            accounts.update(forget(role, going, keeps))
    return Plan(differences, going, "").result(), needed, accounts


def _taken_along(system: packages_runner.System, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return for each package what would go with it."""
    if set(system.removed_with(names)) <= set(names):
        return {}  # one question is enough where nobody else needs any of them
    return {name: _closure(system, name) for name in names}


def _closure(system: packages_runner.System, name: str) -> tuple[str, ...]:
    """Return what goes with a package; rpm tells of those that need it, and not of those that need these."""
    found = {name}
    while True:
        further = found | set(system.removed_with(sorted(found)))
        if further == found:
            return tuple(sorted(found))
        found = further


def _remove(system: packages_runner.System, going: Sequence[str], purged: bool) -> None:
    held = [name for name, one in system.installed().items() if one.held and name in going]
    if held:
        system.unhold(held)
    purge, only_removed = purge_and_remove(going, purged)
    if only_removed:
        kept = host.read_json(data_runner.record_path())
        before = kept.get("purge")
        pending = sorted({*only_removed, *map(str, before if isinstance(before, list) else ())})
        host.write_json(data_runner.record_path(), {**kept, "purge": pending})
        system.remove(only_removed)
    there = set(system.installed())
    left = [name for name in purge if name in there]
    if left:
        system.purge(left)


def _leave_altered(role: str) -> None:
    """Take out of the record what somebody has altered since; it can be told as long as the package is there."""
    ours = packages_runner.read_record(role)
    pairs = [(path, host.file_state(path), host.file_state(COPIES[path])) for path in ours.made if path in COPIES]
    altered = [path for path, copy, first in pairs if copy and first and copy.content != first.content]
    packages_runner.write_record(role, ours.less(made=altered))


def forget(role: str, going: Sequence[str], keeps: Collection[str]) -> dict[str, str]:
    """Remove what came with packages beside their files once all of them are gone, and note what is left.

    An account whose files stay keeps its name, for the next one to be made would be given its number, and them with it.
    Returns the accounts that stay, each with the reason.
    """
    stays: dict[str, str] = {}
    ours = packages_runner.read_record(role)
    left = ours.less(installed=going, asked=going, held=going)
    if not left.installed:
        users = _lines(packages_runner.USERS)
        kept = [name for name in left.users if name in keeps and name in users]
        stays.update({f"the account {name}": "files of its own stay (remove_data is false)" for name in kept})
        for name in left.users:
            if name in users and name not in kept:
                done = host.run([host.program("userdel") or "userdel", name])
                why = f"it could not be removed: {done.text}"
                stays.update({f"the account {name}": why} if done.rc != 0 else {})
        groups, joined = _lines(packages_runner.GROUPS), []  # once accounts of ours have left them
        for name in (one for one in left.groups if one not in kept and one in groups):
            members = {one for one in groups[name].rpartition(":")[2].strip().split(",") if one}
            if not members:
                host.run([host.program("groupdel") or "groupdel", name])
            elif members <= set(kept):
                joined.append(name)  # it goes with them; one that somebody has joined since is somebody's
        for path in sorted(left.made, key=len, reverse=True):
            with contextlib.suppress(OSError):  # a folder in which somebody has put something since
                os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
        gone = [name for name in left.users if name not in kept]
        groups_gone = [name for name in left.groups if name not in (*kept, *joined)]
        left = left.less(users=gone, groups=groups_gone, made=left.made)
    packages_runner.write_record(role, left)
    return stays


def _lines(path: str) -> dict[str, str]:
    return {line.partition(":")[0]: line for line in host.file_text(path).splitlines()}
