# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole answer to a wish: vLLM's flags, where the memory goes, why so, and what else would do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from ..checkpoint.config import read_model
from ..core.errors import Refusal
from ..core.units import GIB, gib
from . import compatibility, families, flags
from .alternatives import Alternative, alternatives, conversations, describe
from .choice import Evaluation, Situation, as_loaded, as_wished, choose, shape_of
from .layout import Candidate, gpu_of, obstacle
from .memory import context_bytes
from .wishes import Nodes, Wishes, read_gpus, read_wishes

SPAN_WITHOUT_RAY = (0, 12)
"""First version whose own processes span nodes (``--nnodes``); before it Ray is needed."""

FREE_DRAFTS = ("ngram", "suffix")
"""Ways of speculative decoding that need no weights of their own."""

OWN_BUILD = re.compile(r"dev\d|\+g[0-9a-f]{6,}")
"""Is in the version of a build from source, which holds other kernels and models than the release's image."""

BORDERLINE = 0.1
"""Share of the needed KV cache that may be missing where it is within the uncertainty too."""

Answer = TypeVar("Answer")
NOTES: tuple[str, ...] = ()
ENVIRONMENT: Mapping[str, str] = {}

BUDGET = ("total", "usable", "weights", "activations", "cuda_graphs", "overhead", "kv_cache")


@dataclass(frozen=True)
class VllmPlan:
    """The answer; sizes in bytes of one GPU, where a name says nothing else.

    Attributes:
        users: conversations that fit at once, each with a whole ``context``.
        obstacles: what keeps it from running whatever the memory; only in a report.
    """

    fits: bool
    reason: str
    args: Mapping[str, object]
    env: Mapping[str, str]
    evaluation: Evaluation
    situation: Situation
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    obstacles: tuple[str, ...] = ()

    @property
    def users(self) -> int:
        return int(self.evaluation.held)

    def as_dict(self) -> dict[str, object]:
        """Return the plan as plain data."""
        budget, candidate, estimate = self.evaluation.budget, self.evaluation.candidate, self.evaluation.estimate
        return {
            "fits": self.fits,
            "reason": self.reason,
            "obstacles": list(self.obstacles),
            "args": dict(self.args),
            "env": dict(self.env),
            "budget": {name: getattr(budget, name) for name in BUDGET},
            "kv_bytes_per_token": budget.kv_bytes_per_token,
            "kv_cache_tokens": budget.kv_cache_tokens,
            "max_concurrency": round(budget.max_concurrency, 2),
            "uncertainty": budget.uncertainty,
            "users": self.users,
            "context": self.evaluation.context,
            "layout": {
                "tensor_parallel_size": candidate.tensor_parallel_size,
                "pipeline_parallel_size": candidate.pipeline_parallel_size,
                "data_parallel_size": candidate.data_parallel_size,
                "expert_parallel": candidate.expert_parallel,
                "nodes_per_engine": candidate.nodes_per_engine,
            },
            "gpus": gpus_told(self.situation.nodes, candidate),
            "devices": [sorted(device.handle for device in used) for used in candidate.devices if self.situation.nodes],
            "reasons": list(self.reasons),
            "warnings": list(self.warnings),
            "alternatives": [{"change": dict(one.change), "gives": one.gives} for one in self.alternatives],
            "estimate": estimate.as_dict() if estimate else None,
            "vllm_version": self.situation.version,
        }


def gpus_told(nodes: Nodes, candidate: Candidate) -> list[dict[str, object]]:
    """Return each GPU with the number of the engine that it works for, None for an idle one."""
    engines: dict[tuple[int, str], int] = {}
    for number, used in zip(_node_numbers(nodes, candidate), candidate.devices):
        for device in used:
            engines[number, device.handle] = len(engines) // candidate.engine_size
    return [
        {
            "node": number,
            "gpu": device.handle,
            "name": device.name,
            "memory_bytes": device.memory_bytes,
            "used_bytes": device.used_bytes,
            "engine": engines.get((number, device.handle)),
        }
        for number, node in enumerate(nodes)
        for device in node
    ]


def _node_numbers(nodes: Nodes, candidate: Candidate) -> list[int]:
    """Return the number of the node of each of a candidate's lists of GPUs."""
    free, found = list(range(len(nodes))), []
    for used in candidate.devices:
        number = next((n for n in free if set(used) <= set(nodes[n])), -1)
        found.append(number)
        free = [n for n in free if n != number]
    return found


# --- The plan --------------------------------------------------------------------------------------------------------


def plan_vllm(params: Mapping[str, object]) -> VllmPlan:
    """Plan from a task's options.

    With ``on_unfit: report`` the plan names what cannot run, and estimates the budget all the same.

    Raises:
        Refusal: an option that makes no sense; without ``on_unfit: report`` also a flag that the version does not know,
            and GPUs or a driver that cannot run the model at all. A model that merely does not fit is no refusal here:
            the plan says so.
    """
    wishes = read_wishes(params)
    situation = _situation(params, wishes)
    against = _Objections(params.get("on_unfit") == "report", bool(OWN_BUILD.search(situation.version)))
    judged = _judged_version(situation, against)
    files = params.get("files") or []
    names = [str(name) for name in files] if isinstance(files, (list, tuple)) else []
    family = against.ask_of_image(
        lambda: families.family_for(situation.config, situation.repo, judged, names), families.Family()
    )
    gpus = _gpus_as_dicts(situation)
    notes = against.ask_of_image(
        lambda: compatibility.check(
            judged,
            gpus,
            situation.driver_version,
            situation.config,
            wishes.dtype or "auto",
            wishes.quantization or "auto",
        ),
        NOTES,
    )
    against.ask(lambda: _check_length(situation, wishes), None)
    are_enough = against.ask(lambda: _check_count(situation, wishes), False)
    evaluation = choose(situation, wishes)
    if evaluation is None:
        if are_enough:
            against.hear(_no_layout(situation, wishes))
        evaluation = as_wished(situation, wishes)
    args = _args(situation, wishes, evaluation, family)
    env = against.ask(lambda: _env(situation, judged, evaluation.candidate, gpus), ENVIRONMENT)
    notes += against.ask(lambda: flags.check_args(args, judged, "extra_args"), NOTES)
    found = tuple(alternatives(situation, wishes, evaluation))
    shortfall = _shortfall(wishes, evaluation)
    if shortfall:
        offers = "; ".join(f"{describe(one.change)} ({one.gives})" for one in found)
        shortfall += f"; what would fit: {offers}" if offers else "; no change that was tried makes it fit"
    file = against.ask(lambda: flags.config_file(args, judged), args)
    why_not = [*against.found, shortfall] if shortfall else against.found
    warned = (*against.doubts, *notes, *family.notes, *_warnings(situation, wishes, evaluation))
    return VllmPlan(
        not why_not,
        "; ".join(why_not) or _summary(evaluation),
        file,
        env,
        evaluation,
        situation,
        tuple(_reasons(situation, wishes, evaluation, family)),
        (*warned, *_capped(params.get("generation_config"))),
        found,
        tuple(against.found),
    )


@dataclass
class _Objections:
    """What speaks against a plan: raised at once, or gathered for a task that wants a report.

    Attributes:
        is_own_build: what is known of the release's image is then but a doubt.
    """

    is_gathered: bool
    is_own_build: bool
    found: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def hear(self, objection: str) -> None:
        if not self.is_gathered:
            raise Refusal(objection)
        self.found.append(objection)

    def ask(self, question: Callable[[], Answer], otherwise: Answer) -> Answer:
        """Return the answer, or something else where it is a refusal."""
        try:
            return question()
        except Refusal as refusal:
            self.hear(str(refusal))
            return otherwise

    def ask_of_image(self, question: Callable[[], Answer], otherwise: Answer) -> Answer:
        """Ask what holds for the release's image, and may not for a build from source."""
        if not self.is_own_build:
            return self.ask(question, otherwise)
        try:
            return question()
        except Refusal as refusal:
            self.doubts.append(f"a build from source may differ, but of the release: {refusal}")
            return otherwise


def _judged_version(situation: Situation, against: _Objections) -> str:
    """Return the version by whose flags, models and image a plan is judged."""
    if situation.number >= flags.OLDEST:
        return situation.version
    oldest = ".".join(map(str, flags.OLDEST))
    if not against.is_gathered:
        flags.release(situation.version)
    against.doubts.append(
        f"vLLM {situation.version} is older than {oldest}, the oldest that is served; the budget is its own, all else "
        f"was judged as if it were {oldest}"
    )
    return oldest


def _situation(params: Mapping[str, object], wishes: Wishes) -> Situation:
    config = params.get("model_config")
    weights, space = params.get("weights_bytes"), params.get("cpu_kv_cache_bytes")
    nodes = read_gpus(params.get("gpus") or [])
    model = read_model(config if isinstance(config, Mapping) else {}, None if weights is None else int(str(weights)))
    if not nodes and int(str(space or 0)) < GIB:
        raise Refusal(
            f"gpus is empty and cpu_kv_cache_bytes is {space or 0}; wanted GPUs, or at least 1 GiB of memory for "
            f"the KV cache on the CPU; set cpu_kv_cache_bytes to {GIB} or more"
        )
    weakest = min((device.compute_capability for node in nodes for device in node), key=_parts, default="")
    return Situation(
        config=config if isinstance(config, Mapping) else {},
        model=as_loaded(model, wishes.dtype, weakest),
        nodes=nodes,
        version=str(params["vllm_version"]),
        number=behaves_like(str(params["vllm_version"])),
        usual_dtype=as_loaded(model, None, "").dtype,
        repo=str(params.get("repo") or ""),
        driver_version=str(params.get("driver_version") or ""),
        cpu_kv_cache_bytes=int(str(space or 0)) // GIB * GIB,
    )


def behaves_like(version: str) -> tuple[int, ...]:
    """Return the release whose rules a version follows: a build from source on the way to X is what came before X.

    Raises:
        Refusal: it names no version.
    """
    number = flags.parse_version(version)
    if "dev" in version and number[2] > 0:
        return (*number[:2], number[2] - 1)
    return number


def _parts(capability: str) -> tuple[int, ...]:
    return tuple(map(int, capability.split("."))) if capability else (99,)


def _gpus_as_dicts(situation: Situation) -> list[dict[str, object]]:
    return [
        {"name": device.name, "compute_capability": device.compute_capability}
        for node in situation.nodes
        for device in node
    ]


def _check_length(situation: Situation, wishes: Wishes) -> None:
    """Refuse conversations that the model does not take."""
    limit = situation.model.longest
    is_overridden = any(flag.startswith(("hf-overrides", "rope-scaling")) for flag in wishes.extra_args)
    for name in ("max_model_len", "context"):
        wished = getattr(wishes, name)
        if limit and wished and wished > limit and not is_overridden:
            raise Refusal(
                f"{name} is {wished} and the model's own longest is {limit}; wanted no more; set {name} to {limit}, or "
                "give its scaling as hf-overrides in extra_args"
            )


def _check_count(situation: Situation, wishes: Wishes) -> bool:
    """Refuse more GPUs than there are; True for others."""
    there = situation.gpu_count
    sizes = [
        (name, getattr(wishes, name))
        for name in ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
        if getattr(wishes, name)
    ]
    needed = 1
    for _name, size in sizes:
        needed *= size
    if there and needed > there:
        product = " x ".join(f"{name} {size}" for name, size in sizes)
        raise Refusal(f"{product} takes {needed} GPUs and gpus holds {there}; wanted no more; set {sizes[0][0]} lower")
    return True


def _no_layout(situation: Situation, wishes: Wishes) -> str:
    """Say why the model cannot be spread as wished."""
    shape, tp = shape_of(situation.config, situation.model), wishes.tensor_parallel_size
    most = max(len(node) for node in situation.nodes)
    possible = [size for size in range(1, most + 1) if not obstacle(shape, size)]
    if any(device.is_slice for node in situation.nodes for device in node):
        return (
            "MIG slices cannot work together: one process sees one slice, and slices have no peer access; wanted an "
            "engine on one slice; set tensor_parallel_size and pipeline_parallel_size to 1"
        )
    if tp and obstacle(shape, tp):
        sizes = ", ".join(map(str, possible))
        return (
            f"tensor_parallel_size is {tp}, and {obstacle(shape, tp)}; wanted one of {sizes}; set tensor_parallel_size "
            f"to {possible[-1]}"
        )
    if tp and tp > most:
        return (
            f"tensor_parallel_size is {tp} and a node has {most} GPUs; wanted tensor parallelism within a node; set "
            f"tensor_parallel_size to {possible[-1]} and pipeline_parallel_size to the number of nodes"
        )
    pp = wishes.pipeline_parallel_size
    if pp and pp > shape.layers:
        return (
            f"pipeline_parallel_size is {pp} and the model has {shape.layers} layers; wanted no more; set "
            f"pipeline_parallel_size to {shape.layers} or fewer"
        )
    return (
        f"no layout of {situation.gpu_count} GPUs has tensor_parallel_size {tp or 'auto'}, "
        f"pipeline_parallel_size {pp or 'auto'} and data_parallel_size {wishes.data_parallel_size or 'auto'}; wanted "
        "one that the nodes can hold; set data_parallel_size to auto"
    )


# --- vLLM's flags ----------------------------------------------------------------------------------------------------


def _args(situation: Situation, wishes: Wishes, evaluation: Evaluation, family: families.Family) -> dict[str, object]:
    """Return the mapping for ``vllm serve --config``: what is decided here, and what differs from the defaults."""
    candidate, settings = evaluation.candidate, evaluation.settings
    args: dict[str, object] = {}
    if candidate.tensor_parallel_size > 1:
        args["tensor-parallel-size"] = candidate.tensor_parallel_size
    if candidate.pipeline_parallel_size > 1:
        args["pipeline-parallel-size"] = candidate.pipeline_parallel_size
    per_node = max(1, candidate.data_parallel_size // max(1, len(candidate.devices)))
    if per_node > 1:
        args["data-parallel-size"] = per_node
    if candidate.expert_parallel:
        args["enable-expert-parallel"] = True
    if candidate.nodes_per_engine > 1:
        if situation.number >= SPAN_WITHOUT_RAY:
            args["nnodes"] = candidate.nodes_per_engine
        else:
            args["distributed-executor-backend"] = "ray"
    if situation.nodes:
        args["gpu-memory-utilization"] = settings.gpu_memory_utilization
    args["max-model-len"] = settings.max_model_len
    if situation.nodes or wishes.max_num_seqs or wishes.users:
        args["max-num-seqs"] = settings.max_num_seqs
    if wishes.max_num_batched_tokens or evaluation.is_lean or evaluation.is_raised:
        args["max-num-batched-tokens"] = settings.max_num_batched_tokens
    args.update(_as_wished(wishes, situation))
    args.update(family.serve_args())
    args.update(wishes.extra_args)
    return {name: value for name, value in args.items() if value is not None}


def _as_wished(wishes: Wishes, situation: Situation) -> Iterator[tuple[str, object]]:
    if wishes.dtype or situation.model.dtype != situation.usual_dtype:
        yield "dtype", wishes.dtype or situation.model.dtype
    if wishes.kv_cache_dtype:
        yield "kv-cache-dtype", wishes.kv_cache_dtype
    if wishes.quantization:
        yield "quantization", wishes.quantization
    if wishes.enforce_eager:
        yield "enforce-eager", True
    if wishes.speculative:
        yield "speculative-config", dict(wishes.speculative)


def _env(situation: Situation, version: str, candidate: Candidate, gpus: list[dict[str, object]]) -> Mapping[str, str]:
    if not situation.nodes:
        return {"VLLM_CPU_KVCACHE_SPACE": str(situation.cpu_kv_cache_bytes // GIB)}
    found = compatibility.environment(version, gpus, situation.driver_version)
    places = [[sorted(one.index for one in used).index(device.index) for device in used] for used in candidate.devices]
    is_mixed = len({device.name for device in candidate.all_devices}) > 1
    if is_mixed or any(order != sorted(order) for order in places):
        # CUDA counts the fastest GPU first unless it is reported to count as the driver does.
        found["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    if len(places) == 1 and places[0] != sorted(places[0]):
        found["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, places[0]))
    return found


# --- Words -----------------------------------------------------------------------------------------------------------


def _is_borderline(wishes: Wishes, evaluation: Evaluation) -> bool:
    """Whether a wished length falls little short, by less than the estimate may be off: vLLM decides, not the plan."""
    budget = evaluation.budget
    missing = min(budget.uncertainty, BORDERLINE * budget.needed_kv)
    is_close = budget.outcome == "kv_too_small" and 0 < budget.needed_kv - budget.kv_cache < missing
    return is_close and wishes.max_model_len is not None and (wishes.users or 1) == 1


def _summary(evaluation: Evaluation) -> str:
    if not evaluation.budget.fits:
        return f"may fit, within the uncertainty of {gib(evaluation.budget.uncertainty)}: {evaluation.budget.reason}"
    return f"fits: {conversations(evaluation.held, evaluation.context)} at once"


def _shortfall(wishes: Wishes, evaluation: Evaluation) -> str:
    """Return what does not fit, an empty text where all does."""
    if not evaluation.budget.fits and not _is_borderline(wishes, evaluation):
        return f"the model does not fit: {evaluation.budget.reason}"
    if wishes.users and not evaluation.serves(wishes.users) and not _is_borderline(wishes, evaluation):
        return (
            f"users is {wishes.users} and the KV cache holds {conversations(evaluation.held, evaluation.context)} at "
            "once; wanted room for all"
        )
    return ""


def _reasons(situation: Situation, wishes: Wishes, evaluation: Evaluation, family: families.Family) -> Iterator[str]:
    candidate, budget = evaluation.candidate, evaluation.budget
    yield from _layout_reasons(situation, evaluation)
    if situation.nodes:
        left = f"{gib(budget.kv_cache)} are left" if budget.kv_cache >= 0 else f"{gib(-budget.kv_cache)} are missing"
        yield (
            f"on each GPU the weights take {gib(budget.weights)}, activations {gib(budget.activations)}, CUDA graphs "
            f"{gib(budget.cuda_graphs)}, libraries {gib(budget.overhead)}; {left} for the KV cache"
        )
    else:
        yield f"the KV cache gets the {gib(situation.cpu_kv_cache_bytes)} that it was given"
    yield (
        f"the KV cache holds {budget.kv_cache_tokens:,} tokens in each engine: {budget.max_concurrency:.2f} x "
        f"{evaluation.settings.max_model_len:,}"
    )
    if budget.fits and not wishes.max_model_len and not wishes.context:
        yield _context_reason(situation, evaluation)
    if evaluation.is_lean:
        yield (
            f"steps of {evaluation.settings.max_num_batched_tokens} tokens and {evaluation.settings.max_num_seqs} "
            "sequences, smaller than vLLM's own, leave more to the KV cache"
        )
    if evaluation.is_raised:
        yield (
            f"steps of {evaluation.settings.max_num_batched_tokens} tokens, as this version wants no less than a block "
            "of the model's cache"
        )
    if situation.model.quantization and not wishes.quantization:
        yield f"the weights stay as published: {situation.model.quantization}"
    if family.tool_call_parser or family.reasoning_parser:
        parsers = (("tool calls", family.tool_call_parser), ("reasoning", family.reasoning_parser))
        yield "the model's family: " + ", ".join(f"{what} by the parser {name}" for what, name in parsers if name)
    if candidate.expert_parallel:
        yield "expert parallelism: an expert's width cannot be split so often, so whole experts are dealt out"


def _context_reason(situation: Situation, evaluation: Evaluation) -> str:
    length, limit = evaluation.settings.max_model_len, situation.model.longest
    sized = f"conversations are estimated with {evaluation.context:,} tokens each"
    if length == limit:
        return f"{sized}; max-model-len {length} is the model's own longest"
    return f"{sized}; max-model-len {length} (the model's: {limit}) is the longest at which a few whole ones surely fit"


def _layout_reasons(situation: Situation, evaluation: Evaluation) -> Iterator[str]:
    candidate, model = evaluation.candidate, situation.model
    tp, pp, dp = candidate.tensor_parallel_size, candidate.pipeline_parallel_size, candidate.data_parallel_size
    if not situation.nodes:
        yield "no GPU: the plan is for the CPU"
        return
    if tp == pp == 1:
        yield "one GPU holds the model, so that none waits for another"
    if tp > 1 and pp == 1 and candidate.nodes_per_engine > 1:
        yield f"tensor parallelism over {tp} GPUs of {candidate.nodes_per_engine} nodes, as wished"
    elif tp > 1:
        by = "joined by NVLink" if candidate.is_linked else "without NVLink between them, so it costs speed"
        yield f"tensor parallelism over {tp} GPUs of one node, {by}"
    if pp > 1 and candidate.nodes_per_engine > 1:
        yield f"{pp} pipeline stages over {candidate.nodes_per_engine} nodes, as no node holds the model alone"
    elif pp > 1:
        yield f"{pp} pipeline stages: they need little between GPUs without NVLink, or whose number does not divide"
    if not model.is_mla and tp > model.kv_heads:
        yield f"the model's {model.kv_heads} key heads are copied, {tp // model.kv_heads} times each, over {tp} GPUs"
    if dp > 1:
        yield f"{dp} replicas rather than a wider split: they share nothing and need not wait for each other"
    used = candidate.all_devices
    if len({device.memory_bytes for device in used}) > 1:
        weakest = candidate.weakest
        yield f"the GPUs differ, and the smallest decides: {weakest.name} with {gib(weakest.memory_bytes)}"
    share = evaluation.settings.gpu_memory_utilization
    if any(device.used_bytes for device in used) and share < evaluation.usual_share:
        most = max(device.used_bytes for device in used)
        yield f"gpu-memory-utilization {share:g} leaves what other processes hold on a GPU, {gib(most)}"
    if any(device.is_unified for device in used) and share < evaluation.usual_share:
        yield f"gpu-memory-utilization {share:g} leaves memory to the system, which shares it with the GPU"


def _warnings(situation: Situation, wishes: Wishes, evaluation: Evaluation) -> Iterator[str]:
    candidate, users = evaluation.candidate, wishes.users or 1
    if situation.nodes:
        yield from _memory_warnings(wishes, evaluation)
    if wishes.users and wishes.context and wishes.max_model_len and wishes.max_model_len > wishes.context:
        yield (
            f"users are estimated with {wishes.context:,} tokens each; longer conversations take the place of several, "
            "and others then wait"
        )
    running = evaluation.settings.max_num_seqs * candidate.data_parallel_size
    if wishes.max_num_seqs and users > running:
        yield f"max_num_seqs lets {running} requests run at once; the others of {users} users wait"
    is_counted = evaluation.settings.draft_layers > 0
    if wishes.speculative and wishes.speculative.get("method") not in FREE_DRAFTS and not is_counted:
        yield "the draft model's weights and cache are not in the budget"
    if situation.nodes:
        yield from _layout_warnings(situation, candidate)


def _memory_warnings(wishes: Wishes, evaluation: Evaluation) -> Iterator[str]:
    """Say where there is little to spare."""
    candidate, budget, users = evaluation.candidate, evaluation.budget, wishes.users or 1
    if evaluation.serves(users) and not evaluation.serves_surely(users):
        yield (
            f"it fits with less to spare than the estimate's uncertainty of {gib(budget.uncertainty)} on each GPU; if "
            "vLLM refuses to start, wish a smaller context"
        )
    if _is_borderline(wishes, evaluation):
        yield (
            f"by the estimate it falls short by {gib(budget.needed_kv - budget.kv_cache)}, which is within the "
            f"uncertainty of {gib(budget.uncertainty)} on each GPU; if vLLM refuses to start, set max_model_len lower"
        )
    if not wishes.gpu_memory_utilization:
        return
    others = max(device.used_bytes / device.memory_bytes for device in candidate.all_devices)
    beside = budget.total - budget.usable
    wanted = context_bytes(gpu_of(candidate.weakest)) + (0 if budget.graphs_counted else budget.cuda_graphs)
    if others + wishes.gpu_memory_utilization > 1:
        yield (
            f"gpu_memory_utilization is {wishes.gpu_memory_utilization:g} and other processes hold {others:.0%} of a "
            "GPU's memory; vLLM will refuse to start until they end"
        )
    elif beside < wanted:
        yield (
            f"gpu_memory_utilization {wishes.gpu_memory_utilization:g} leaves {gib(beside)} beside vLLM's share, and "
            f"CUDA itself and the graphs take about {gib(wanted)} there; if it runs out of memory, set it lower"
        )


def _layout_warnings(situation: Situation, candidate: Candidate) -> Iterator[str]:
    """Say what stays idle, and what an engine over nodes needs."""
    idle = situation.gpu_count - candidate.gpu_count
    if idle > 0:
        yield f"{idle} GPU{'s stay' if idle > 1 else ' stays'} idle"
    if candidate.nodes_per_engine > 1 and candidate.pipeline_parallel_size == 1:
        yield "tensor parallelism over nodes waits for their network in each layer; pipeline stages wait far less"
    if candidate.nodes_per_engine > 1:
        yield "an engine over several nodes needs --node-rank and --master-addr of its own on each node"
    elif len(candidate.devices) > 1:
        yield "each node runs a server of its own; something in front has to share requests out"


def _capped(generation: object) -> Iterator[str]:
    """Say where the model's own settings cut every answer short (``ModelConfig.get_diff_sampling_param``)."""
    longest_answer = generation.get("max_new_tokens") if isinstance(generation, Mapping) else None
    if isinstance(longest_answer, int):
        yield (
            f"the model's generation_config caps each answer at max_new_tokens {longest_answer}; for longer ones give "
            "override-generation-config in extra_args"
        )
