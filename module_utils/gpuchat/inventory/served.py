# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engines serve together, from the plans of this run or, for hosts that it left out, of the last one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..core.errors import Refusal


@dataclass(frozen=True)
class Served:
    """The model as people meet it.

    Attributes:
        tool_calls: whether every engine calls tools.
        context: tokens of the longest conversation that every engine holds; None where no plan says.
    """

    name: str
    tool_calls: bool = False
    context: int | None = None

    def as_dict(self) -> dict[str, object]:
        return {"name": self.name, "tool_calls": self.tool_calls, "context": self.context}


@dataclass(frozen=True)
class HostPlan:
    """What a plan says of one host that others have to know; kept on the control node from run to run."""

    model: str
    args: Mapping[str, object]

    def as_dict(self) -> dict[str, object]:
        return {"model": self.model, "args": dict(self.args)}


def serve(
    name: str, hosts: Sequence[str], planned: Mapping[str, HostPlan], kept: Mapping[str, HostPlan], folder: str
) -> Served:
    """Return what all hosts serve.

    Args:
        hosts: every host with an engine.
        planned: this run's plans by host.
        kept: the last run's.
        folder: where those are kept.

    Raises:
        Refusal: a host that neither this run nor the last one planned for this model.
    """
    plans = {host: planned.get(host) or kept.get(host) for host in hosts}
    unknown = [host for host, plan in plans.items() if plan is None]
    if unknown:
        raise Refusal(
            f"found no plan of {', '.join(unknown)}, which this run leaves out or does not reach, neither made in "
            f"this run nor kept in {folder}; wanted one, for the chat shows what the model can do; run once "
            "without --limit, with every GPU host reachable"
        )
    others = [f"{host} ({plan.model})" for host, plan in plans.items() if plan is not None and plan.model != name]
    if others:
        raise Refusal(
            f"found plans for another model than {name} on {', '.join(others)}, as kept in {folder}; wanted one model "
            "on every GPU host; run once without --limit, and with every GPU host reachable"
        )
    args = [plan.args for plan in plans.values() if plan is not None]
    lengths = [int(str(one["max-model-len"])) for one in args if one.get("max-model-len")]
    return Served(
        name,
        tool_calls=bool(args) and all("tool-call-parser" in one for one in args),
        context=min(lengths) if lengths and len(lengths) == len(args) else None,
    )
