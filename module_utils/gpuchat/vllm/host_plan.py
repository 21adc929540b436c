# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All models of one host, planned together: each by ``plan``, who gets which GPU by ``sharing``."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ..checkpoint import mistral
from ..core.errors import Refusal
from ..core.units import GIB, MIB, gib
from . import adapters, chosen, embeddings, flags, releases, tasks
from .choice import AUTO_FLOOR, AUTO_TOGETHER, choose
from .devices import Device, Nodes, read_gpus
from .facts import memory
from .memory import context_bytes
from .options import AUTO
from .plan import VllmPlan, plan_vllm
from .sharing import BARELY, NOT_AT_ALL, WELL, Devices, Need, Places, Request, Shortage, assign, divide, shared
from .situation import media_limit, what_for
from .wishes import DISTRIBUTED, STANDS_FOR, Wishes

FOR_CHAT = ("enable-auto-tool-choice", "tool-call-parser", "reasoning-parser")
"""Arguments that mean nothing to a model that does not chat."""

FIXED_CACHE = "kv-cache-memory-bytes"
"""The cache's size in bytes, which vLLM 0.10.2 and later take without measuring what the GPU has: a neighbour that
loads meanwhile would be counted as one's own (vLLM issue 55827)."""


FEW = {"embed": 1, "rerank": 1, "transcribe": 16}
"""Requests of full length at once for which a model gets room on a GPU that it shares, where nobody wishes how many."""


CONTEXT_LEAST = GIB // 2
"""What CUDA itself and its libraries take beside each engine's share, at least: a neighbour pays for a low guess."""


@dataclass(frozen=True)
class HostPlan:
    """The plans of a host's models, in the inventory's order.

    Attributes:
        refusals: what keeps a model from being planned at all, by its name.
        devices: all GPUs of the host.
    """

    names: tuple[str, ...]
    plans: Mapping[str, VllmPlan]
    refusals: Mapping[str, str]
    devices: Devices = ()

    @property
    def fits(self) -> bool:
        return not self.refusals and all(plan.fits for plan in self.plans.values())

    @property
    def reason(self) -> str:
        """Return what is wrong with each model, or what fits."""
        said = {name: self.refusals.get(name) or self.plans[name].reason for name in self.names}
        if not self.fits:
            said = {name: why for name, why in said.items() if name in self.refusals or not self.plans[name].fits}
        return "\n".join(f"{name} in gpuchat_models: {_in_args(why)}" for name, why in said.items()) or NONE

    def warnings(self) -> Iterator[str]:
        for name, plan in self.plans.items():
            yield from (f"{name} in gpuchat_models: {_in_args(warning)}" for warning in plan.warnings)
        given = {device.handle for plan in self.plans.values() for device in plan.situation.devices}
        idle = [device.handle for device in self.devices if device.handle not in given]
        if idle and len(self.plans) > 1:
            yield (
                f"no model uses the GPU{'s' * (len(idle) > 1)} {', '.join(idle)}; where one is to have more than it "
                "needs, set gpus of that model in gpuchat_models to a count or a list"
            )

    def as_dict(self) -> dict[str, object]:
        """Return the result's keys as plain data."""
        plans = {name: _told(plan) for name, plan in self.plans.items()}
        return {
            "fits": self.fits,
            "reason": self.reason,
            "plans": plans,
            "models": [
                {"name": name, "plan": plans.get(name), "refusal": self.refusals.get(name, "")} for name in self.names
            ],
            "gpus": [
                {
                    "gpu": device.handle,
                    "name": device.name,
                    "memory_bytes": device.memory_bytes,
                    "used_bytes": device.used_bytes,
                }
                for device in self.devices
            ],
            "notes": list(self.warnings()),
        }


NONE = "no model on this host"

FLAG = re.compile(r"\bset (" + "|".join(sorted(STANDS_FOR.values())) + r")\b")


def _in_args(words: str) -> str:
    """Return a message with the place where the inventory has what is to be set."""
    return FLAG.sub(lambda match: f"set {FLAGS[match[1]]} in args", words)


FLAGS = {name: flag for flag, name in STANDS_FOR.items()}


def _told(plan: VllmPlan) -> dict[str, object]:
    task = "chat" if plan.situation.is_for_chat else plan.situation.task
    told = {**plan.as_dict(), "task": task, "tool_call": task == "chat" and bool(plan.args.get("tool-call-parser"))}
    wished = plan.evaluation.wishes.extra_args
    told["vision"] = task == "chat" and plan.situation.model.is_multimodal and _takes_images(wished)
    if task == "embed":
        vectors = embeddings.read(plan.situation.config, plan.situation.data, plan.args)
        askable = None if vectors.askable is None else list(vectors.askable)
        told = {**told, "dimensions": vectors.dimensions, "askable_dimensions": askable}
    if plan.situation.is_pooling:  # it writes nothing, of which a speed could be told
        told["estimate"] = None
    if not plan.situation.model.kv_layers:  # what is left of its share stays free
        told["budget"] = {**_mapping(told["budget"]), "kv_cache": 0}
    return told


def _takes_images(args: Mapping[str, object]) -> bool:
    return not args.get("language-model-only") and media_limit(args, "image") != 0


# --- What is asked ---------------------------------------------------------------------------------------------------


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _spelled(args: object) -> dict[str, object]:
    """Return arguments by one spelling of each name, so that a model's own comes over the common one."""
    return {flags.spelled(str(name)): value for name, value in _mapping(args).items()}


def _named(given: object) -> list[Mapping[str, object]]:
    """Return the engines that are asked for.

    Raises:
        Refusal: one has no name, or that of another.
    """
    engines = [_mapping(one) for one in _listed(given)]
    seen: set[str] = set()
    for number, engine in enumerate(engines):
        name = str(engine.get("name") or "")
        if not name:
            raise Refusal(f"engines[{number}] has no name; wanted a mapping with one; set engines[{number}].name")
        if name in seen:
            raise Refusal(f"engines names {name} twice; wanted each model once; set another name, or take one away")
        seen.add(name)
    return engines


def _check(engine: Mapping[str, object], seen: Mapping[str, object]) -> None:
    """Refuse what is of another kind than a plan can read.

    Raises:
        Refusal: with what it is, and what it may be.
    """
    task, args, span, weights = engine.get("task"), engine.get("args"), engine.get("span"), seen.get("weights_bytes")
    if task and task not in ("auto", *tasks.DOES):
        raise Refusal(f"task is {task!r}; wanted auto, {tasks.any_of(tasks.DOES)}; set task to one of them")
    if args and not isinstance(args, Mapping):
        raise Refusal(
            f"args is {args!r}; wanted a mapping of options of vLLM; set args to such as {{max-num-seqs: 32}}"
        )
    hosts, rank = _listed(_mapping(span).get("hosts")), str(_mapping(span).get("rank"))
    if span and not (re.fullmatch("[0-9]{1,6}", rank) and int(rank) < len(hosts)):
        raise Refusal(
            f"span is {span!r}; wanted hosts, a list, and rank, the place of this one in it; set engines to such"
        )
    if weights is not None and not re.fullmatch("-?[0-9]{1,18}", str(weights)):
        raise Refusal(
            f"weights_bytes is {weights!r}; wanted a whole number of bytes, or nothing; set weights_bytes in metadata"
        )


@dataclass
class _Model:
    """One model of the host, and what is found out about it.

    Attributes:
        warnings: what is not as it should be, and starts.
        alone: its plan as if no other were on its GPUs.
    """

    name: str
    engine: Mapping[str, object]
    params: Mapping[str, object]
    warnings: tuple[str, ...] = ()
    alone: VllmPlan | None = None
    refusal: str = ""
    known: dict[Devices, VllmPlan] = field(default_factory=dict)

    def plan(self, devices: Devices | None, **more: object) -> VllmPlan:
        """Plan on some GPUs that are for this model alone; None takes those of the options."""
        if devices is None:
            return plan_vllm({**self.params, **more})
        return plan_vllm({**self.params, **more}, (devices,) if devices else ())

    def try_alone(self, devices: Devices) -> VllmPlan:
        if devices not in self.known:
            # A report says what does not fit; whether that is a failure is told for all models together.
            self.known[devices] = self.plan(devices, on_unfit="report")
        return self.known[devices]

    def serves(self, devices: Devices) -> int:
        plan = self.try_alone(devices)
        if not plan.fits:
            return NOT_AT_ALL
        wished = plan.evaluation.wishes.users
        return WELL if plan.evaluation.serves_surely(wished or AUTO_TOGETHER) else BARELY

    @cached_property
    def weights(self) -> int:
        return int(str(self.params["weights_bytes"] or 0))


def _read(engine: Mapping[str, object], params: Mapping[str, object]) -> _Model:
    """Join what the inventory and the checkpoint say of a model.

    Raises:
        Refusal: nothing is known of its checkpoint.
    """
    name = str(engine["name"])
    seen = _mapping(_mapping(params.get("metadata")).get(name))
    data, task = _mapping(seen.get("data")), str(engine.get("task") or "auto")
    if not isinstance(seen.get("config"), Mapping):
        raise Refusal(_why_unseen(name, str(params.get("unseen") or "")))
    _check(engine, seen)
    files = [str(_mapping(one).get("path", one)) for one in _listed(seen.get("files"))]
    repo = str(engine.get("repo") or posixpath.basename(str(engine.get("path") or "").rstrip("/")) or name)
    tokenizer = data.get("tokenizer_config.json") or {}
    own = _mapping(data.get(mistral.PARAMS))
    config = _mapping(seen["config"]) or (mistral.as_config(own) if own else {})
    version = engine.get("version") or params.get("vllm_version")
    found = what_for(config, files, repo, str(version))
    is_for_chat = (found[0] if task == "auto" else task) not in tasks.OLD_WORDS
    args = {**_common_args(params), **_spelled(engine.get("args"))}
    if not is_for_chat:
        own = _spelled(engine.get("args"))
        args = {flag: value for flag, value in args.items() if flag not in FOR_CHAT or flag in own}
    lent = [adapters.read(its, config) for its, config in _lent(engine, params)]
    args = adapters.options(lent, args)
    length = params.get("max_model_len")
    has_length = "max-model-len" in args or not is_for_chat
    asked = {
        "model_config": config,
        "weights_bytes": seen.get("weights_bytes"),
        "generation_config": data.get("generation_config.json") or {},
        "tokenizer_config": tokenizer,
        "repo": repo,
        "files": files,
        "gpus": params.get("gpus") or [],
        "task": task,
        "driver_version": params.get("driver_version") or "",
        "cpu_kv_cache_bytes": params.get("cpu_kv_cache_bytes"),
        "vllm_version": version,
        "found": found,
        "users": engine.get("users") or "auto",
        "context": engine.get("context") or "auto",
        "max_model_len": "auto" if has_length or str(length) == "0" else length,
        "extra_args": args,
        "on_unfit": params.get("on_unfit") or "fail",
        "data": data,
        "asked_dimensions": params.get("asked_dimensions") or 0,
        "gpus_of": params.get("gpus_of") or {},
    }
    if not is_for_chat:
        # They speak of conversations, and hold for all models that say nothing else: a text for vectors is neither cut
        # to their length nor kept as long.
        asked.update(users="auto", context="auto")
    return _Model(name, engine, asked, tuple(adapters.warnings(lent, repo)))


def _lent(engine: Mapping[str, object], params: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield an engine's adapters by name, with the configuration of each.

    Raises:
        Refusal: nothing is known of one.
    """
    metadata = _mapping(params.get("metadata"))
    for one in map(_mapping, _listed(engine.get("adapters"))):
        name = str(one.get("name"))
        if not _mapping(metadata.get(name)):
            raise Refusal(_why_unseen(name, str(params.get("unseen") or "")))
        yield name, _mapping(_mapping(metadata[name]).get("data")).get(adapters.CONFIG)


def _why_unseen(name: str, said: str) -> str:
    """Return what was said of a model whose files nobody could look at."""
    own = [line[len(name) + 2 :] for line in said.split("\n") if line.startswith(f"{name}: ")]
    return " ".join(own) or said or "found nothing of its files; wanted its config.json; set its source, repo or path"


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _common_args(params: Mapping[str, object]) -> dict[str, object]:
    """Return what the owner wants of every model that chats."""
    found: dict[str, object] = {}
    if params.get("tool_call_parser"):
        found.update({"enable-auto-tool-choice": True, "tool-call-parser": params["tool_call_parser"]})
    if params.get("reasoning_parser"):
        found["reasoning-parser"] = params["reasoning_parser"]
    return {**found, **_spelled(params.get("args"))}


# --- The plan --------------------------------------------------------------------------------------------------------


def plan_host(params: Mapping[str, object]) -> HostPlan:
    """Plan all models of a host.

    Args:
        params: the module's options.

    Returns:
        Plans and refusals; with ``on_unfit: report`` most of what cannot run stands in the plans.
    """
    engines = _named(params.get("engines"))
    names = tuple(str(engine["name"]) for engine in engines)
    models: dict[str, _Model] = {}
    refusals: dict[str, str] = {}
    plans: dict[str, VllmPlan] = {}
    for engine in engines:
        with _Hearing(refusals, str(engine["name"])):
            models[str(engine["name"])] = _read(engine, params)
    if len(engines) == 1:
        for name, model in models.items():
            with _Hearing(refusals, name):
                plans[name] = _single(model)
    elif not params.get("gpus"):
        plans = _on_cpu(models, refusals, int(str(params.get("host_memory_bytes") or 0)))
    else:
        plans = _on_gpus(models, refusals, params.get("gpus"))
    seen = read_gpus(params.get("gpus") or []) if plans else ()
    devices = tuple(device for node in seen for device in node)
    in_order = {name: _with_notes(plans[name], models[name]) for name in names if name in plans}
    return HostPlan(names, in_order, refusals, devices)


def _with_notes(plan: VllmPlan, model: _Model) -> VllmPlan:
    """Return a plan that says also what of the model's entry counts for nothing, or is taken on trust."""
    notes = [*model.warnings]
    image, version = model.engine.get("image"), plan.situation.version
    if image and not model.engine.get("version"):
        notes.append(
            f"it has an image of its own, {image}, and is planned for vLLM {version}, as all are; where it holds "
            "another, set version of the model in gpuchat_models to that"
        )
    own = [name for name in ("users", "context") if name in _listed(model.engine.get("own"))]
    if own and not plan.situation.is_for_chat:
        notes.append(
            f"{' and '.join(own)} of it speak{'s' * (len(own) == 1)} of conversations and count{'s' * (len(own) == 1)} "
            "for nothing, as it holds none; where something is to be fixed, give args of the model in gpuchat_models "
            "max-num-seqs or max-model-len"
        )
    return replace(plan, warnings=(*plan.warnings, *notes)) if notes else plan


@dataclass
class _Hearing:
    """Gathers the refusal of one model, so that those of the others are told in the same run."""

    refusals: dict[str, str]
    name: str

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, Refusal):
            self.refusals[self.name] = str(error)
            return True
        return False


def _single(model: _Model) -> VllmPlan:
    """Plan the only model of a host, which may have all GPUs."""
    wish = model.engine.get("gpus")
    if model.engine.get("span"):
        return _spanning(model, _mapping(model.engine["span"]))
    if wish in AUTO or chosen.is_all(wish):
        return model.plan(None)
    there = read_gpus(model.params["gpus"])
    request = _request(model, there, 0)
    if request.fixed is not None:
        return model.plan(request.fixed)
    places = assign([request], there[0] if there else (), lambda _name, devices: model.serves(devices))
    return model.plan(places[model.name])


def _spanning(model: _Model, span: Mapping[str, object]) -> VllmPlan:
    """Plan a model whose engine stands on several hosts, each of which comes to the same plan.

    A host at which nobody has looked is taken to have what this one has; the engine is not started anew without it.

    Raises:
        Refusal: the hosts have unlike GPUs, or some of them none.
    """
    names, seen = [str(one) for one in _listed(span["hosts"])], _mapping(model.params["gpus_of"])
    own = names[int(str(span["rank"]))]
    nodes = []
    for name in names:
        gpus = model.params["gpus"] if name == own or seen.get(name) is None else seen[name]
        wish = model.engine.get("gpus")
        is_count = not isinstance(wish, (bool, list, tuple)) and str(wish).isdigit()
        read = read_gpus(gpus if is_count or wish in AUTO else chosen.choose(gpus, wish))
        node = read[0] if read else ()
        if is_count and not 0 < int(str(wish)) <= len(node):
            raise Refusal(
                f"gpus is {wish} and {name} has {len(node) or 'none'}; wanted so many of each host that it spans; set "
                f"gpus to {len(node) or 'auto'}"
            )
        nodes.append(node[: int(str(wish))] if is_count else node)
    kinds = {name: _kind(node) for name, node in zip(names, nodes)}
    if len(set(kinds.values())) > 1:
        found = ", ".join(f"{kind} on {name}" for name, kind in kinds.items())
        raise Refusal(
            f"found {found}; wanted the same on all hosts that a model spans, for the weakest holds up the others; set "
            "hosts of the model to like ones, or its gpus to as many of each"
        )
    return plan_vllm({**model.params, "spanned": len(names)}, tuple(nodes) if nodes[0] else ())


def _kind(node: Devices) -> str:
    """Return the GPUs of a host in words, without what others hold of them."""
    counts = Counter((device.name, device.memory_bytes) for device in node)
    return " and ".join(f"{count} x {name} ({gib(size)})" for (name, size), count in counts.items()) or "no GPU"


def _request(model: _Model, there: Nodes, weights: int) -> Request:
    """Read which GPUs a model is to get.

    Raises:
        Refusal: a wish that cannot be read, or a GPU that the host does not have.
    """
    wish = model.engine.get("gpus")
    if wish in AUTO:
        return Request(model.name, weights)
    is_count = not isinstance(wish, (bool, list, tuple)) and str(wish).isdigit()
    has = sum(map(len, there))
    if is_count and int(str(wish)) > has:
        raise Refusal(f"gpus is {wish} and the host has {has or 'none'}; wanted no more; set gpus to {has or 'auto'}")
    if is_count and int(str(wish)) > 0:
        return Request(model.name, weights, count=int(str(wish)))
    if is_count:
        raise Refusal(
            "gpus is 0; wanted auto, all, a count from 1, or a list of indices or UUIDs; for the first GPU set gpus to "
            "[0]"
        )
    if chosen.is_all(wish):
        return Request(model.name, weights, there[0] if there else ())
    named = read_gpus(chosen.choose(model.params["gpus"], wish))
    return Request(model.name, weights, named[0] if named else ())


def _on_cpu(models: Mapping[str, _Model], refusals: dict[str, str], host_memory: int) -> dict[str, VllmPlan]:
    """Give each model a cache of its own, as large as it needs."""
    plans: dict[str, VllmPlan] = {}
    for name, model in models.items():
        with _Hearing(refusals, name):
            _request(model, (), 0)  # a GPU that is named is not there
            plans[name] = model.plan((), cpu_kv_cache_bytes=_cache_on_cpu(model.plan((), on_unfit="report")))
    taken = {
        name: plan.situation.model.weights_bytes + plan.situation.cpu_kv_cache_bytes for name, plan in plans.items()
    }
    if host_memory and sum(taken.values()) > host_memory:
        each = " and ".join(f"{name} {gib(size)}" for name, size in taken.items())
        why = (
            f"the models of this host take {each} of memory for weights and caches, and it has {gib(host_memory)}; "
            "wanted room for all; set users or context of the models in gpuchat_models or vllm_cpu_kv_cache_gib lower"
        )
        plans = {name: _unfit(plan, why) for name, plan in plans.items()}
    return plans


def _cache_on_cpu(plan: VllmPlan) -> int:
    """Return the smallest cache, in whole GiB, that serves what is wished, and all that is given where nobody says."""
    wishes, most = plan.evaluation.wishes, plan.situation.cpu_kv_cache_bytes
    if not plan.situation.model.kv_layers:
        return GIB
    if wishes.users is None:
        return most
    for size in range(GIB, most, GIB):
        found = choose(replace(plan.situation, cpu_kv_cache_bytes=size, known={}), wishes)
        if found is not None and found.serves(wishes.users):
            return size
    return most


def _unfit(plan: VllmPlan, why: str) -> VllmPlan:
    return replace(plan, fits=False, reason=why if plan.fits else f"{plan.reason}; {why}")


# --- Several on GPUs -------------------------------------------------------------------------------------------------


def _on_gpus(models: Mapping[str, _Model], refusals: dict[str, str], gpus: object) -> dict[str, VllmPlan]:
    there = read_gpus(gpus)
    if len(there) > 1:
        raise Refusal("gpus holds several hosts; wanted those of one, which its models share; plan each host by itself")
    devices = there[0]
    requests = []
    for name, model in models.items():
        with _Hearing(refusals, name):
            some = devices[:1]
            weights = model.weights or model.try_alone(some).situation.model.weights_bytes
            requests.append(_request(model, there, weights))
            model.try_alone(requests[-1].fixed or some)  # nonsense is refused before anything is given out
    asking = {one.name: one for one in requests if one.name not in refusals}
    places = assign(list(asking.values()), devices, lambda name, some: models[name].serves(some))
    alone: dict[str, VllmPlan] = {}
    for name, some in places.items():
        with _Hearing(refusals, name):
            alone[name] = models[name].try_alone(some)
    used = {name: _used(plan) for name, plan in alone.items()}
    together = {name for names in shared(used).values() for name in names}
    plans: dict[str, VllmPlan] = {}
    for name in alone:
        if name not in together:
            with _Hearing(refusals, name):
                plans[name] = models[name].plan(places[name])
    plans.update(_sharing(models, refusals, {name: one for name, one in alone.items() if name in together}))
    return plans


def _used(plan: VllmPlan) -> Devices:
    return plan.evaluation.candidate.all_devices


def _sharing(
    models: Mapping[str, _Model], refusals: dict[str, str], alone: Mapping[str, VllmPlan]
) -> dict[str, VllmPlan]:
    """Plan models whose GPUs are not theirs alone."""
    old = {name: plan for name, plan in alone.items() if plan.situation.number < memory.CONTEXT_COUNTED_BEFORE}
    plans = {name: _unfit(plan, _too_old(name, plan)) for name, plan in old.items()}
    alone = {name: plan for name, plan in alone.items() if name not in old}
    places = {name: _used(plan) for name, plan in alone.items()}
    needs = {name: need for name, plan in alone.items() if (need := _need(plan)) is not None}
    usual = {name: int(100 * min(1.0, _usual_share(plan)) + 0.5) for name, plan in alone.items()}
    shares, shortages = divide(places, needs, usual)
    for name, plan in alone.items():
        if name not in shares:  # not even alone, or with all of a GPU only just
            plans[name] = _unfit(plan, _needs_all(name, places)) if plan.fits else plan
            continue
        others = {other: share for other, share in shares.items() if other != name}
        beside = tuple(
            _with_others(one, [(share, needs[other].beside) for other, share in others.items() if one in places[other]])
            for one in places[name]
        )
        with _Hearing(refusals, name):
            short = [one for one in shortages if name in one.least]
            plans[name] = _shared_plan(models[name], plan, beside, shares, places, short)
    return plans


def _too_old(name: str, plan: VllmPlan) -> str:
    since = ".".join(map(str, memory.CONTEXT_COUNTED_BEFORE))
    return (
        f"vLLM {plan.situation.version} takes what other models hold on a GPU for its own; wanted {since} or newer for "
        f"models that share a GPU; set version of the model {name} in gpuchat_models to that, or its gpus to others"
    )


def _needs_all(name: str, places: Places) -> str:
    beside = {handle: names for handle, names in shared(places).items() if name in names}
    each = " and ".join(
        f"the GPU {one.handle} ({one.name}) with {' and '.join(other for other in beside[one.handle] if other != name)}"
        for one in places[name]
        if one.handle in beside
    )
    return (
        f"it shares {each}, and serves what is wished for certain with no share of it; wanted a share that leaves room "
        f"for others; set users or context of the model {name} in gpuchat_models lower, or its gpus to others"
    )


def _with_others(device: Device, others: list[tuple[int, int]]) -> Device:
    taken = sum(share * device.memory_bytes // 100 + beside for share, beside in others)
    return replace(device, used_bytes=device.used_bytes + taken)


def _usual_share(plan: VllmPlan) -> float:
    """Return what vLLM would take of a GPU of its own."""
    version, device = plan.situation.number, plan.evaluation.candidate.weakest
    known = flags.defaults_for(".".join(map(str, version)), device.memory_bytes, device.name)
    return known.gpu_memory_utilization


def _need(plan: VllmPlan) -> Need | None:
    """Return what an engine needs of GPUs that it shares, None where not even all of them serve it."""
    budget, device = plan.evaluation.budget, plan.evaluation.candidate.weakest
    beside = max(CONTEXT_LEAST, context_bytes(device)) + (0 if budget.graphs_counted else budget.cuda_graphs)
    wishes, is_for_chat = plan.evaluation.wishes, plan.situation.is_for_chat
    told, flag = int(100 * (wishes.gpu_memory_utilization or 0) + 0.5), "gpu-memory-utilization"
    if plan.fits and wishes.extra_args.get(FIXED_CACHE) and _taken(plan) > told:
        # vLLM takes a cache whose size it is told whatever its share (determine_available_memory of gpu_worker.py).
        told, flag = _taken(plan), FIXED_CACHE
    if told:
        return Need(told, told, beside, told=flag)
    least = None if wishes.users else _smallest_share(plan, _at_least(plan, wishes, 1))
    if least is None:  # as on a GPU alone, those who say nothing of a length get what there is
        least = _smallest_share(plan, wishes)
    if least is None:
        return None
    few = wishes.users or FEW.get(plan.situation.task, AUTO_TOGETHER)
    wanted = _smallest_share(plan, _at_least(plan, wishes, few)) or least
    return Need(least, max(least, wanted), beside, takes_rest=is_for_chat)


def _taken(plan: VllmPlan) -> int:
    """Return the hundredths of a GPU that an engine fills whose cache has its size from the owner."""
    budget = plan.evaluation.budget
    graphs = budget.cuda_graphs * budget.graphs_counted
    taken = budget.weights + budget.activations + budget.overhead + graphs + budget.kv_cache
    return -(-100 * taken // budget.total)


def _at_least(plan: VllmPlan, wishes: Wishes, users: int) -> Wishes:
    """Return wishes that say how many conversations of which length, as far as they were left open."""
    longest = plan.situation.model.longest or AUTO_FLOOR
    length = min(longest, AUTO_FLOOR) if plan.situation.model.kv_layers else longest
    return replace(
        wishes,
        users=wishes.users or users,
        context=wishes.context or min(length, wishes.max_model_len or length),
    )


def _smallest_share(plan: VllmPlan, wishes: Wishes) -> int | None:
    """Return the fewest hundredths of its GPUs at which an engine surely serves, None where none do."""
    found, low, high = None, 1, 100
    empty = tuple(replace(one, used_bytes=0) for one in _used(plan))
    situation = replace(plan.situation, nodes=(empty,))
    wishes = replace(wishes, **_layout(plan))
    while low <= high:
        middle = (low + high) // 2
        evaluation = choose(situation, replace(wishes, gpu_memory_utilization=middle / 100))
        # A share of nearly everything leaves nothing for CUDA itself; it is not the weights that are too large then.
        is_refused = evaluation is not None and evaluation.budget.outcome == "refused"
        if is_refused or (evaluation is not None and evaluation.serves_surely(wishes.users or 1)):
            found, high = (found if is_refused else middle), middle - 1
        else:
            low = middle + 1
    return found


def _layout(plan: VllmPlan) -> dict[str, Any]:
    """Return the sizes of a layout over several GPUs, which stay where they are shared."""
    candidate = plan.evaluation.candidate
    return {name: getattr(candidate, name) for name in DISTRIBUTED} if candidate.gpu_count > 1 else {}


def _shared_plan(
    model: _Model,
    alone: VllmPlan,
    devices: Devices,
    shares: Mapping[str, int],
    places: Places,
    shortages: list[Shortage],
) -> VllmPlan:
    """Plan one model on GPUs on which others have their shares."""
    more: dict[str, object] = dict(_layout(alone))
    if alone.evaluation.wishes.gpu_memory_utilization is None:
        more["gpu_memory_utilization"] = min(1.0, shares[model.name] / 100)
    if shortages:
        # Each by itself with its least share, so that the budgets can be seen that are too much together.
        plan = model.plan(places[model.name], **more, on_unfit="report")
        return _unfit(plan, "; ".join(map(str, shortages)))
    plan = model.plan(devices, **more)
    if _takes_fixed_cache(plan):
        more.update(_fixed(plan, model))
        plan = model.plan(devices, **more)
    return replace(plan, reasons=(*plan.reasons, *_why_shared(model.name, shares, places)))


def _takes_fixed_cache(plan: VllmPlan) -> bool:
    known = flags.known_flags(plan.situation.version) if plan.situation.number >= releases.OLDEST else {}
    has_cache = bool(plan.situation.model.kv_layers) and FIXED_CACHE not in plan.evaluation.wishes.extra_args
    return FIXED_CACHE in known and has_cache and plan.evaluation.budget.fits


def _fixed(plan: VllmPlan, model: _Model) -> dict[str, object]:
    """Return what fixes the cache at what is surely left for it, and the steps for which it was estimated."""
    budget, settings = plan.evaluation.budget, plan.evaluation.settings
    size = max(budget.needed_kv, budget.kv_cache - budget.uncertainty) // MIB * MIB
    args = {**_mapping(model.params["extra_args"]), FIXED_CACHE: max(size, budget.needed_kv)}
    if not plan.evaluation.is_lean:
        return {"extra_args": args}
    steps = {name: getattr(settings, name) for name in ("max_num_seqs", "max_num_batched_tokens")}
    return {"extra_args": args, **steps}


def _why_shared(name: str, shares: Mapping[str, int], places: Places) -> Iterator[str]:
    for device in places[name]:
        others = [
            f"{other} ({share / 100:g})" for other, share in shares.items() if other != name and device in places[other]
        ]
        if others:
            yield (
                f"it shares the GPU {device.handle} with {' and '.join(others)}, and takes {shares[name] / 100:g} of it"
            )
