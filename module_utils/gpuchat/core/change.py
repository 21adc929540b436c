# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change looks like before it is made: the one shape that every module's plan has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Difference:
    """One thing that differs, as ``--diff`` shows it."""

    name: str
    before: str
    after: str

    def as_ansible(self) -> dict[str, str]:
        """Return the entry for a module's ``diff`` list."""
        return {
            "before_header": self.name,
            "after_header": self.name,
            "before": self.before,
            "after": self.after,
        }


@dataclass(frozen=True)
class Plan:
    """What to do, decided before anything is done.

    The same differences decide ``changed``, ``--diff`` and what follows (a restart, for instance).

    Attributes:
        differences: what differs between the current and the desired state.
        actions: the steps that a runner performs, in order; their type is the planning module's own.
        reason: one sentence for the operator: why something, or nothing, is to be done.
    """

    differences: tuple[Difference, ...] = ()
    actions: tuple[object, ...] = ()
    reason: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def changed(self) -> bool:
        return bool(self.actions)

    def result(self) -> dict[str, object]:
        """Return the keys that every module hands to Ansible."""
        answer: dict[str, object] = {
            "changed": self.changed,
            "diff": [difference.as_ansible() for difference in self.differences],
            "msg": self.reason,
        }
        if self.notes:
            answer["not_predicted"] = list(self.notes)
        return answer


def merged(*results: Mapping[str, Any]) -> dict[str, object]:
    """Return the results of several parts of one module as one; further keys are those of the first that has them."""
    whole: dict[str, object] = {key: value for result in reversed(results) for key, value in result.items()}
    whole["changed"] = any(result["changed"] for result in results)
    whole["diff"] = [one for result in results for one in result.get("diff", ())]
    whole["msg"] = "; ".join(result["msg"] for result in results if result.get("msg"))
    for key in ("not_predicted", "warnings"):
        words = [one for result in results for one in result.get(key, ())]
        if words:
            whole[key] = words
    return whole
