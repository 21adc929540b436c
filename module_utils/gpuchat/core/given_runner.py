# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives a module secrets by the names of their variables, for a callback records what stands in a task's arguments.

Action plugins read this file by its path, for a checkout has no name by which they could import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FROM = "_from"


def filled(action: Any, args: Any, task_vars: Mapping[str, Any]) -> Any:
    """Return arguments, however deep, with the value in place of each name that ends in ``_from``.

    Args:
        action: the action plugin.
    """
    if isinstance(args, list):
        return [filled(action, one, task_vars) for one in args]
    if not isinstance(args, dict):
        return args
    given = {name: filled(action, one, task_vars) for name, one in args.items()}
    for name in [one for one in given if str(one).endswith(FROM)]:
        place = str(given.pop(name))
        if place:
            given[name[: -len(FROM)]] = _value(action, place, task_vars)
    return given


def _value(action: Any, place: str, task_vars: Mapping[str, Any]) -> Any:
    """Return a variable's value, or with a dot an entry of it."""
    name, _dot, entry = place.partition(".")
    value = action._templar.template(task_vars[name])
    return value[entry] if entry else value
