# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is served under which name, from the plans of this run or, for hosts that it left out, of the last one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..core.errors import Refusal

CHAT = "chat"


@dataclass(frozen=True)
class Model:
    """One model of the topology: where it is, and what the inventory says that it does.

    Attributes:
        task: ``auto`` where its checkpoint tells.
        hosts: which serve it; none where it is somebody else's.
        engine: the model whose engine serves it, where that is not its own, as for an adapter.
        live: whether nobody but somebody else's server has named it.
        tool_calls, context, vision: what the inventory says that somebody else's can do.
    """

    name: str
    task: str
    hosts: tuple[str, ...]
    live: bool = False
    tool_calls: bool = False
    context: int | None = None
    vision: bool = False
    engine: str = ""


@dataclass(frozen=True)
class Served:
    """A model as people meet it.

    Attributes:
        tool_calls: whether every engine calls tools.
        context: tokens of the longest conversation that every engine holds; None where no plan says.
        vision: whether every engine takes images.
        dimensions: numbers in each of its vectors; None where no plan says.
        askable_dimensions: numbers in a vector that a request may ask for: None where it may ask for none, and empty
            where for any up to all of them.
        live: as in ``Model``: it may come and go.
    """

    name: str
    task: str = CHAT
    tool_calls: bool = False
    context: int | None = None
    dimensions: int | None = None
    askable_dimensions: tuple[int, ...] | None = None
    live: bool = False
    vision: bool = False

    def as_dict(self) -> dict[str, object]:
        return {
            "name": self.name,
            "task": self.task,
            "tool_calls": self.tool_calls,
            "context": self.context,
            "vision": self.vision,
            "dimensions": self.dimensions,
            "live": self.live,
        }

    def may_give(self, dimensions: int) -> bool:
        """Whether a request may ask for vectors of so many numbers; where no plan says, it may."""
        if self.dimensions is None:
            return True
        askable = self.askable_dimensions
        return dimensions <= self.dimensions and askable is not None and (not askable or dimensions in askable)


@dataclass(frozen=True)
class Engine:
    """What a plan says of one engine that others have to know; kept on the control node from run to run.

    Attributes:
        args: its options of vLLM.
        vision: whether it takes images.
        dimensions, askable_dimensions: as in ``Served``.
    """

    task: str
    args: Mapping[str, object]
    dimensions: int | None = None
    askable_dimensions: tuple[int, ...] | None = None
    vision: bool = False

    def as_dict(self) -> dict[str, object]:
        askable = self.askable_dimensions
        found: dict[str, object] = {"task": self.task, "args": dict(self.args), "vision": self.vision}
        if self.dimensions is not None:
            more = {"dimensions": self.dimensions, "askable_dimensions": None if askable is None else list(askable)}
            found.update(more)
        return found


HostPlan = Mapping[str, Engine]
"""The engines of a host, by model."""


def serve(
    models: Sequence[Model], planned: Mapping[str, HostPlan], kept: Mapping[str, HostPlan], folder: str
) -> tuple[Served, ...]:
    """Return what is served.

    Args:
        planned: this run's plans by host.
        kept: the last run's.
        folder: where those are kept.

    Raises:
        Refusal: a host that neither this run nor the last one planned for one of its models.
    """
    unknown: dict[str, list[str]] = {}
    served = []
    for model in models:
        engine = model.engine or model.name
        engines = {host: _engine(engine, planned.get(host), kept.get(host)) for host in model.hosts}
        for host in (host for host, engine in engines.items() if engine is None):
            unknown.setdefault(host, []).append(model.name)
        served.append(_join(model, [engine for engine in engines.values() if engine is not None]))
    if unknown:
        found = ", ".join(f"{', '.join(names)} on {host}" for host, names in unknown.items())
        raise Refusal(
            f"found no plan of {found}, which this run leaves out or does not reach, neither made in this run nor kept "
            f"in {folder}; wanted one, for the chat shows what a model can do; run once without --limit, with every "
            "GPU host reachable"
        )
    return tuple(served)


def _engine(name: str, planned: HostPlan | None, kept: HostPlan | None) -> Engine | None:
    return (planned if planned is not None else kept or {}).get(name)


def _join(model: Model, engines: Sequence[Engine]) -> Served:
    if not model.hosts:
        task = CHAT if model.task == "auto" else model.task
        return Served(model.name, task, model.tool_calls, model.context, vision=model.vision, live=model.live)
    lengths = [int(str(one.args["max-model-len"])) for one in engines if one.args.get("max-model-len")]
    told = engines[0].task if engines else CHAT
    return Served(
        model.name,
        told if model.task == "auto" else model.task,
        tool_calls=bool(engines) and all("tool-call-parser" in one.args for one in engines),
        context=min(lengths) if lengths and len(lengths) == len(engines) else None,
        dimensions=_shortest(engines),
        askable_dimensions=_askable(engines),
        live=model.live,
        vision=bool(engines) and all(one.vision for one in engines),
    )


def _shortest(engines: Sequence[Engine]) -> int | None:
    found = [one.dimensions for one in engines if one.dimensions is not None]
    return min(found) if found and len(found) == len(engines) else None


def _askable(engines: Sequence[Engine]) -> tuple[int, ...] | None:
    """Return what every engine may be asked for."""
    found = [one.askable_dimensions for one in engines]
    named = [one for one in found if one]
    if not found or None in found:
        return None
    common = tuple(size for size in named[0] if all(size in one for one in named)) if named else ()
    return common or (None if named else ())
