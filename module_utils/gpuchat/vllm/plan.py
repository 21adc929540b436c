# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole answer to a wish: vLLM's flags, where the memory goes, why so, and what else would do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ..checkpoint import formats
from ..core.errors import Refusal
from ..core.units import GIB
from . import attention, chosen, compatibility, conflicts, embeddings, families, flags, releases, tasks
from .alternatives import Alternative, alternatives, describe, rival
from .choice import Evaluation, as_wished, choose
from .devices import Device, Nodes, read_gpus
from .explanation import capped, reasons, shortfall, summary, warnings
from .facts import versions
from .facts.abilities import WITHOUT_LORA
from .facts.families import OWN_CLASSES
from .facts.precisions import SWITCHED_OFF
from .layout import Candidate, context_obstacle, context_ranks, needs_expert_parallel, obstacle
from .situation import YARN_SCALED_SINCE, Situation, read_situation
from .wishes import Wishes, read_wishes

SPAN_WITHOUT_RAY = (0, 11, 1)
"""First version whose own processes span nodes (``--nnodes``); before it Ray is needed."""


OWN_BUILD = re.compile(r"dev\d|\+g[0-9a-f]{6,}")
"""Is in the version of a build from source, which holds other kernels and models than the release's image."""


Answer = TypeVar("Answer")
NOTES: tuple[str, ...] = ()
ENVIRONMENT: Mapping[str, str] = {}

BUDGET = ("total", "usable", "weights", "activations", "cuda_graphs", "overhead", "kv_cache")


@dataclass(frozen=True)
class VllmPlan:
    """The answer; sizes in bytes of one GPU, where a name says nothing else.

    Attributes:
        users: conversations that fit at once, each with a whole ``context``.
        node_args: ``args`` for each node that is used, in the order of ``devices``; they differ where one runs more
            engines than another, and ``args`` then holds what they have in common.
        obstacles: what keeps it from running whatever the memory; only in a report.
    """

    fits: bool
    reason: str
    args: Mapping[str, object]
    env: Mapping[str, str]
    evaluation: Evaluation
    situation: Situation
    node_args: tuple[Mapping[str, object], ...] = ()
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
            "node_args": [dict(one) for one in self.node_args],
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


def plan_vllm(params: Mapping[str, object], nodes: Nodes | None = None) -> VllmPlan:
    """Plan one model from its options.

    With ``on_unfit: report`` the plan names what cannot run, and estimates the budget all the same. Of GPUs of several
    kinds those of one are taken, where they serve as many by themselves or the others cannot run the model.

    Args:
        params: what is known, and what is wished.
        nodes: the GPUs, where they were read already; ``gpus`` and ``wanted_gpus`` count no more.

    Raises:
        Refusal: an option that makes no sense; without ``on_unfit: report`` also a flag that the version does not know,
            and GPUs or a driver that cannot run the model at all. A model that merely does not fit is no refusal here:
            the plan says so.
    """
    there = read_gpus(chosen.choose(params.get("gpus") or [], params.get("wanted_gpus"))) if nodes is None else nodes
    kinds = dict.fromkeys(_kind(device) for node in there for device in node)
    if len(kinds) < 2 or int(str(params.get("spanned") or 1)) > 1:
        return _plan(params, there)
    whole, refusal = _unless_refused(params, there)
    parts = [tuple(tuple(one for one in node if _kind(one) == kind) for node in there) for kind in kinds]
    alone = [_unless_refused(params, tuple(filter(None, part)))[0] for part in parts]
    best = max((plan for plan in alone if plan and plan.fits), key=_tokens_held, default=None)
    if best is not None and (whole is None or _is_held_up(whole, best)):
        situation = replace(best.situation, nodes=there)
        return replace(best, situation=situation, warnings=(*best.warnings, _left_out(best, there)))
    if whole is None:
        raise refusal or Refusal("no GPU can run the model")
    return whole


def _kind(device: Device) -> tuple[str, int]:
    return device.name, device.memory_bytes


def _unless_refused(params: Mapping[str, object], nodes: Nodes) -> tuple[VllmPlan | None, Refusal | None]:
    try:
        return _plan(params, nodes), None
    except Refusal as refusal:
        return None, refusal


def _tokens_held(plan: VllmPlan) -> float:
    """Return the tokens of all conversations that fit, by which plans of other lengths compare."""
    return plan.evaluation.held * plan.evaluation.context


def _is_held_up(whole: VllmPlan, part: VllmPlan) -> bool:
    """Whether GPUs of other kinds only hold up those of one: they stay idle, or are the weakest of an engine."""
    if not whole.fits:
        return True
    candidate = whole.evaluation.candidate
    size = len(candidate.all_devices) if candidate.nodes_per_engine > 1 else candidate.engine_size
    used = [_kind(device) for node in candidate.devices for device in node]
    is_mixed = any(len(set(used[start : start + size])) > 1 for start in range(0, len(used), size))
    are_idle = set(used) == {_kind(device) for device in part.situation.devices}
    return (is_mixed and _tokens_held(part) >= _tokens_held(whole)) or (are_idle and part.args != whole.args)


def _left_out(plan: VllmPlan, there: Nodes) -> str:
    kind = plan.evaluation.candidate.weakest.name
    others = dict.fromkeys(one.name for node in there for one in node if one.name != kind)
    return (
        f"the model runs on {kind} alone: with {', '.join(others) or 'others'} it would hold fewer conversations, or "
        "not run as it should; to use others set gpus of the model in gpuchat_models to these, and to use all its args "
        "to a tensor-parallel-size"
    )


def _plan(params: Mapping[str, object], nodes: Nodes) -> VllmPlan:
    params = _as_vllm_reads(params)
    wishes = read_wishes(params)
    situation = read_situation(params, wishes, nodes)
    against = _Objections(params.get("on_unfit") == "report", bool(OWN_BUILD.search(situation.version)))
    judged = _judged_version(situation, against)
    given = params.get("files")
    files = [str(name) for name in given] if isinstance(given, (list, tuple)) else []
    template = families.chat_template(params.get("tokenizer_config"), params.get("data"), files)
    wishes, family = _family(situation, wishes, judged, files, template, against)
    notes = _check_model(params, situation, wishes, judged, files, against)
    is_hopeless = bool(against.found)  # whatever memory and layout
    are_enough = _check_wishes(situation, wishes, files, against)
    evaluation = _evaluate(situation, wishes, are_enough, against)
    args = _args(situation, wishes, evaluation, family, judged)
    for wrong in conflicts.of_arguments(args):
        against.hear(wrong)
    env = against.ask(lambda: _env(situation, judged, evaluation.candidate), ENVIRONMENT)
    notes += against.ask(lambda: flags.check_args(args, judged, "args"), NOTES)
    found = () if is_hopeless else tuple(alternatives(situation, wishes, evaluation))
    missing = shortfall(wishes, evaluation)
    if missing and not is_hopeless:
        missing += _what_would_fit(found)
    file = against.ask(lambda: flags.config_file(args, judged), args)
    shared, by_node = _by_node(file, evaluation.candidate, wishes)
    why_not = [*against.found, missing] if missing else against.found
    best_rival = None if missing else rival(situation, wishes, evaluation)
    return VllmPlan(
        not why_not,
        "; ".join(why_not) or summary(evaluation),
        shared,
        env,
        evaluation,
        situation,
        by_node,
        tuple(reasons(situation, wishes, evaluation, family, best_rival)),
        (
            *against.doubts,
            *notes,
            *family.notes,
            *_of_code(situation, args, params.get("tokenizer_config")),
            *(_of_parsers(args, family) if situation.is_for_chat else ()),
            *conflicts.warnings(args),
            *((MUTE,) if situation.is_for_chat and families.is_mute(situation.config, template, args) else ()),
            *((TOKENLESS,) if formats.lacks_tokenizer(files) and not WITHOUT_TOKENIZER.intersection(args) else ()),
            *tasks.warnings(situation.task, situation.config, situation.repo, judged, wishes.extra_args),
            *warnings(situation, wishes, evaluation),
            *capped(params.get("generation_config")),
        ),
        found,
        tuple(against.found),
    )


def _family(
    situation: Situation,
    wishes: Wishes,
    version: str,
    files: Sequence[str],
    template: str | None,
    against: _Objections,
) -> tuple[Wishes, families.Family]:
    """Return the model's family, as far as it is wanted, and the wishes with what that wants."""
    config, repo = situation.config, situation.repo
    family = against.ask_of_image(
        lambda: (
            families.family_for(config, repo, version, files, template)
            if situation.is_for_chat
            else families.support_of(config, version)
        ),
        families.Family(),
    )
    wishes = _with_family(wishes, family)
    return wishes, replace(family, tool_call_parser="", chat_template="") if _are_tools_off(wishes) else family


def _check_model(
    params: Mapping[str, object],
    situation: Situation,
    wishes: Wishes,
    version: str,
    files: Sequence[str],
    against: _Objections,
) -> tuple[str, ...]:
    """Hear what keeps the model from running on these GPUs, whatever memory and layout; return what is to be said."""
    dtype, quantization = wishes.dtype or "auto", wishes.quantization or "auto"
    devices, driver, config = situation.devices, situation.driver_version, situation.config
    notes = against.ask_of_image(
        lambda: compatibility.check(version, devices, driver, config, dtype, quantization), NOTES
    )
    against.ask_of_image(lambda: attention.check_shared(config), None)
    against.ask_of_image(
        lambda: attention.check_sparse(situation.number, devices, situation.model, wishes.extra_args), None
    )
    if params.get("task") not in (None, "any"):
        against.ask(lambda: _check_task(situation, str(params["task"])), None)
    against.ask(lambda: _check_weights(situation, version, files), None)
    against.ask(lambda: _check_span(situation, wishes), None)
    return notes


def _check_wishes(situation: Situation, wishes: Wishes, files: Sequence[str], against: _Objections) -> bool:
    """Hear what speaks against the wishes; return whether there are as many GPUs as are wished for."""
    against.ask(lambda: conflicts.check(situation, wishes), None)
    against.ask(lambda: _check_one_kind(situation, wishes), None)
    against.ask(lambda: _check_adapters(situation, wishes), None)
    against.ask(lambda: _check_quantization(situation, wishes, files), None)
    against.ask_of_image(
        lambda: attention.check_cache(
            situation.number,
            situation.devices,
            situation.model,
            situation.config,
            wishes.kv_cache_dtype,
            wishes.extra_args,
        ),
        None,
    )
    against.ask(lambda: _check_length(situation, wishes), None)
    return against.ask(lambda: _check_count(situation, wishes), False)


def _evaluate(situation: Situation, wishes: Wishes, are_enough: bool, against: _Objections) -> Evaluation:
    """Return the best layout; where none can be, what the wishes come to as they are."""
    evaluation = choose(situation, wishes)
    if evaluation is not None:
        return evaluation
    if are_enough:
        against.hear(_no_layout(situation, wishes))
    return as_wished(situation, wishes)


def _what_would_fit(found: Sequence[Alternative]) -> str:
    offers = "; ".join(f"{describe(one.change)} ({one.gives})" for one in found)
    return f"; what would fit: {offers}" if offers else "; no change that was tried makes it fit"


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


def _as_vllm_reads(params: Mapping[str, object]) -> Mapping[str, object]:
    """Return the options with vLLM's arguments by one name each, and the model's config.json with what they override.

    Source: __post_init__ and _apply_dict_overrides of vllm/config/model.py.
    """
    args, config, version = params.get("extra_args"), params.get("model_config"), str(params["vllm_version"])
    if not isinstance(args, Mapping):
        return params
    number = releases.behaves_like(version)
    named = flags.named(args, version if number >= releases.OLDEST else OLDEST)
    over, scaling = named.get("hf-overrides"), named.get("rope-scaling")
    overrides: dict[str, object] = {"rope_scaling": scaling} if scaling else {}
    overrides.update(over if isinstance(over, Mapping) else {})
    if number < ROPE_PARAMETERS_SINCE:
        overrides.pop("rope_parameters", None)
    if not overrides or not isinstance(config, Mapping):
        return {**params, "extra_args": named}
    kept = {name: value for name, value in config.items() if name not in ROPE or not ROPE.intersection(overrides)}
    for name, value in overrides.items():
        inner = kept.get(name)
        is_part = name.endswith("_config") and isinstance(inner, Mapping) and isinstance(value, Mapping)
        kept[name] = {**inner, **value} if is_part else value  # type: ignore[dict-item]
    return {**params, "extra_args": named, "model_config": kept}


ROPE = frozenset({"rope_scaling", "rope_parameters"})
"""Two names of one thing in config.json..."""

ROPE_PARAMETERS_SINCE = (0, 12)
"""...and since when the second counts; Transformers hands the first on to it."""

OLDEST = ".".join(map(str, releases.OLDEST))


def _judged_version(situation: Situation, against: _Objections) -> str:
    """Return the version by whose flags, models and image a plan is judged."""
    if situation.number >= releases.OLDEST:
        return situation.version
    if not against.is_gathered:
        releases.release(situation.version)
    against.doubts.append(
        f"vLLM {situation.version} is older than {OLDEST}, the oldest that is served; the budget is its own, all else "
        f"was judged as if it were {OLDEST}"
    )
    return OLDEST


def _check_task(situation: Situation, wished: str) -> None:
    """Refuse a model that is for something else."""
    names = situation.config.get("architectures")
    named = ", ".join(map(str, names)) if isinstance(names, (list, tuple)) else ""
    does = situation.does or tasks.DOES["chat"]
    tasks.check(wished, situation.found, does, situation.repo or named, situation.config)


BILLIONS = re.compile(r"(?<![\w.])(?:(\d+)x)?(\d+(?:\.\d+)?)([bt])(?![a-z])")
"""How a repository's name says the number of its weights: 8B, 8x7B, 30B-A3B, 1T."""

NAMED_WIDELY = (0.55, 1.8)
"""Share of the named number of weights that an estimate may be: names round, and 8x7B shares its attention."""


def _check_weights(situation: Situation, version: str, files: Sequence[str]) -> None:
    """Refuse weights that vLLM does not read, and a size that can only be guessed."""
    kind = formats.format_of(situation.config, files)
    if kind and not (kind == "GGUF" and "gguf" in releases.quantizations(version)):
        last = releases.span(versions.QUANTIZATIONS, "gguf")[1]
        until = f" ({last} was the last version that does)" if kind == "GGUF" and last else ""
        raise Refusal(
            f"the weights are {kind} files; vLLM {version} does not read these{until}; wanted safetensors; set "
            "the model's repo or path in gpuchat_models to what they were made of, or to an FP8, AWQ or GPTQ variant"
        )
    named = BILLIONS.search(situation.repo.rpartition("/")[2].lower())
    if not situation.model.weights_estimated or named is None:
        return
    counted = situation.model.parameters.total / 1e9
    said = float(named.group(2)) * int(named.group(1) or 1) * (1000 if named.group(3) == "t" else 1)
    if not NAMED_WIDELY[0] <= counted / said <= NAMED_WIDELY[1]:
        raise Refusal(
            f"the size of the weights is not known and cannot be estimated: config.json speaks of {counted:,.1f} "
            f"billion weights and the name {situation.repo} of {said:g}; wanted it in bytes; set weights_bytes to it"
        )


CODE = re.compile(r"(?:--)?([A-Za-z_]\w*)\.[A-Za-z_]\w*")
"""A file and a class in it, as ``auto_map`` names them, perhaps after a repository."""


def _of_code(situation: Situation, args: Mapping[str, object], tokenizer: object) -> tuple[str, ...]:
    """Say that a model brings code of its own, which vLLM runs only where it is told to (``trust-remote-code``).

    Source: HFConfigParser.parse of vllm/transformers_utils/config.py: what vLLM or Transformers have a class for is
    read without.
    """
    maps = (situation.config.get("auto_map"), tokenizer.get("auto_map") if isinstance(tokenizer, Mapping) else None)
    named = [str(value) for each in maps if isinstance(each, Mapping) for value in each.values()]
    if not named or args.get("trust-remote-code"):
        return ()
    files = ", ".join(sorted({f"{found}.py" for name in named for found in CODE.findall(name)}))
    known = situation.config.get("model_type") in OWN_CLASSES
    refuses = (
        "vLLM reads its config.json by a class of its own, and refuses to start where the tokenizer needs that code"
        if known
        else "where neither vLLM nor Transformers has a class for it, vLLM refuses to start"
    )
    said = (
        f"the model brings code of its own ({files}), which is not run without trust-remote-code; {refuses}; read that "
        "code, and if you trust it, give the model in gpuchat_models trust-remote-code: true in args and a commit as "
        "revision"
    )
    return (said,)


def _check_one_kind(situation: Situation, wishes: Wishes) -> None:
    """Refuse one kind of cache for a model of Mamba states and attention, which share none.

    Source: unify_hybrid_kv_cache_specs of vllm/v1/core/kv_cache_utils.py.
    """
    flag = "disable-hybrid-kv-cache-manager"
    if situation.model.has_state and situation.model.is_hybrid and wishes.extra_args.get(flag):
        raise Refusal(
            f"args holds {flag}, and the model keeps Mamba states beside its attention, for which vLLM has no "
            f"one kind of cache; wanted the hybrid manager; remove {flag}, and with it the connector that asks for it"
        )


READ_AS: Mapping[str, str] = {
    **dict.fromkeys(("awq", "awq_marlin", "auto_awq"), "awq"),
    **dict.fromkeys(("gptq", "gptq_marlin", "auto_gptq"), "gptq"),
    **{name: name for name in ("fp8", "compressed-tensors", "bitsandbytes")},
}
"""Values of --quantization, by the method of a checkpoint that each reads; others are not judged."""

QUANTIZED_BESIDE = {"quantize_config.json", "quant_config.json"}
"""Where older GPTQ and AWQ checkpoints say how they are quantized, and not in config.json."""


def _check_quantization(situation: Situation, wishes: Wishes, files: Sequence[str]) -> None:
    """Refuse a wish that the checkpoint was not quantized for.

    Source: _verify_quantization of vllm/config/model.py ("does not match the quantization method"), and
    get_quant_config of vllm/model_executor/model_loader/weight_utils.py ("Cannot find the config file").
    """
    asked, said = wishes.quantization or "", compatibility.quantized(situation.config)
    method = str(said.get("quant_method") or "").lower()
    _check_switch(situation, asked or method, wishes)
    wanted = READ_AS.get(asked)
    if wanted is None:
        return
    cure = "take quantization out of args, for vLLM reads the checkpoint's own"
    if method in READ_AS.values() and method != wanted:
        raise Refusal(f"quantization is {asked} and the checkpoint's is {method}; wanted the same; {cure}")
    beside = QUANTIZED_BESIDE.intersection(name.rpartition("/")[2] for name in files)
    if files and not said and not beside and wanted in ("awq", "gptq"):
        raise Refusal(
            f"quantization is {asked} and the checkpoint is not quantized; wanted a checkpoint that is; set the "
            f"model's repo or path in gpuchat_models to its {wanted.upper()} variant, or {cure}"
        )


def _check_switch(situation: Situation, method: str, wishes: Wishes) -> None:
    """Refuse a method that the version takes with a switch alone (``_verify_quantization`` of vllm/config/model.py)."""
    first, last = SWITCHED_OFF.get(method, ((99,), (99,)))
    switch = "allow-deprecated-quantization"
    if first <= situation.number < last and not wishes.extra_args.get(switch):
        raise Refusal(
            f"found {method} as the quantization, which vLLM {situation.version} takes with {switch} alone, for it is "
            f"to go; wanted that, or another variant of the model; give its args {switch}: true, or set its repo or "
            "path in gpuchat_models to an FP8 variant"
        )


def _check_span(situation: Situation, wishes: Wishes) -> None:
    """Refuse to span hosts by a version that cannot, or with wishes that say something else."""
    if situation.spanned == 1:
        return
    if situation.number < SPAN_WITHOUT_RAY:
        oldest = ".".join(map(str, SPAN_WITHOUT_RAY))
        raise Refusal(
            f"span is true and vLLM {situation.version} makes one engine over several hosts by Ray alone; wanted "
            f"{oldest} or newer; set the model's version or vllm_version"
        )
    if (wishes.data_parallel_size or 1) > 1:
        raise Refusal(
            f"span is true and data_parallel_size is {wishes.data_parallel_size}; wanted one engine over the hosts; "
            "set data_parallel_size to auto, or take span away"
        )
    backend = wishes.extra_args.get("distributed-executor-backend")
    if backend not in (None, "mp"):
        raise Refusal(
            f"span is true and args holds distributed-executor-backend {backend}; wanted mp, vLLM's own processes; "
            "take it out of args"
        )


def _check_adapters(situation: Situation, wishes: Wishes) -> None:
    """Refuse adapters where nothing makes room for them, or the model's class takes none.

    Source: LoRAModelRunnerMixin.add_lora and load_lora_model of vllm/v1/worker/lora_model_runner_mixin.py.
    """
    if wishes.extra_args.get("enable-lora") and situation.model.architecture in WITHOUT_LORA:
        raise Refusal(
            "adapters are to be served (enable-lora), and vLLM ends with "
            f"'{situation.model.architecture} does not support LoRA yet'; wanted a model that takes adapters; take "
            "them, or enable-lora in args, away, and set the model's repo or path to one into which they are merged"
        )
    if wishes.extra_args.get("lora-modules") and not wishes.extra_args.get("enable-lora"):
        raise Refusal(
            "args holds lora-modules and not enable-lora, without which vLLM ends with 'LoRA is not enabled'; "
            "wanted both; add enable-lora: true to args"
        )


def _check_length(situation: Situation, wishes: Wishes) -> None:
    """Refuse conversations that the model does not take."""
    limit, cure = situation.model.longest, "give its scaling as hf-overrides in args"
    if situation.number >= YARN_SCALED_SINCE:
        cure += ", with max_position_embeddings"
    for name in ("max_model_len", "context"):
        wished = getattr(wishes, name)
        if limit and wished and wished > limit:
            raise Refusal(
                f"{name} is {wished} and the model's own longest is {limit}; wanted no more; set {name} to {limit}, or "
                f"{cure}"
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
    shape, tp = situation.shape, wishes.tensor_parallel_size
    most = max(len(node) for node in situation.nodes)
    possible = [size for size in range(1, most + 1) if not obstacle(shape, size)]
    if any(device.is_slice for device in situation.devices):
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
    ranks = context_ranks(wishes)
    sharing = [size for size in possible if not context_obstacle(shape, size, wishes)]
    if ranks > 1 and (not sharing or (tp and tp not in sharing)):
        return (
            f"args holds decode-context-parallel-size {ranks}, and {context_obstacle(shape, tp or most, wishes)}; "
            + (f"wanted tensor_parallel_size {' or '.join(map(str, sharing))}; set it so, or " if sharing else "")
            + "remove decode-context-parallel-size"
        )
    if wishes.extra_args.get("enable-expert-parallel") is False and tp and needs_expert_parallel(shape, tp):
        return (
            f"args says no to enable-expert-parallel and tensor_parallel_size is {tp}, in which the experts' width of "
            f"{shape.expert_width} cannot be split; wanted whole experts; set tensor_parallel_size lower, or remove "
            "enable-expert-parallel"
        )
    pp = wishes.pipeline_parallel_size
    if ((pp or 1) > 1 or situation.spanned > 1) and not shape.has_stages:
        return (
            f"vLLM does not cut {situation.model.architecture} into pipeline stages; wanted one stage; set "
            f"pipeline_parallel_size to 1 and tensor_parallel_size to one of {', '.join(map(str, possible))}"
        )
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


def _args(
    situation: Situation, wishes: Wishes, evaluation: Evaluation, family: families.Family, judged: str
) -> dict[str, object]:
    """Return the mapping for ``vllm serve --config``: what is decided here, and what differs from the defaults."""
    candidate, settings = evaluation.candidate, evaluation.settings
    args: dict[str, object] = {}
    if candidate.tensor_parallel_size > 1:
        args["tensor-parallel-size"] = candidate.tensor_parallel_size
    if candidate.pipeline_parallel_size > 1:
        args["pipeline-parallel-size"] = candidate.pipeline_parallel_size
    per_node = max(candidate.replicas_by_node)
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
    is_told = wishes.max_num_batched_tokens or not conflicts.cuts_prompts(wishes.extra_args)
    is_narrow = settings.max_num_batched_tokens <= settings.max_num_seqs
    if is_told or is_narrow or evaluation.is_lean or evaluation.is_raised or situation.model.reads_whole:
        args["max-num-batched-tokens"] = settings.max_num_batched_tokens
    args.update(tasks.arguments(situation.task, situation.config, situation.repo, judged))
    args.update(_as_wished(wishes, situation))
    args.update(family.serve_args())
    args.update(wishes.extra_args)
    if situation.task == "embed" and situation.asked_dimensions:
        wanted = situation.asked_dimensions
        args.update(embeddings.arguments(wanted, situation.config, situation.data, situation.repo, args))
    return {name: value for name, value in args.items() if value is not None}


FOR_THE_BUDGET = ("block-size", "enable-prefix-caching", "disable-hybrid-kv-cache-manager")
"""Arguments that decide how much the cache holds, and have no wish of their own."""


def _with_family(wishes: Wishes, family: families.Family) -> Wishes:
    """Return the wishes with what the family wants of the cache, where nobody wishes otherwise."""
    cache, most = family.args.get("kv-cache-dtype"), family.args.get("max-num-seqs")
    if cache and wishes.kv_cache_dtype is None:
        wishes = replace(wishes, kv_cache_dtype=str(cache))
    if most and wishes.max_num_seqs is None:
        wishes = replace(wishes, max_num_seqs=int(str(most)))
    wanted = {name: family.args[name] for name in FOR_THE_BUDGET if name in family.args}
    if wanted.keys() - wishes.extra_args.keys():
        wishes = replace(wishes, extra_args={**wanted, **wishes.extra_args})
    return wishes


def _are_tools_off(wishes: Wishes) -> bool:
    """Whether the owner wants no tool calls, and says so by one of the two arguments that belong together."""
    args = wishes.extra_args
    is_off = args.get("enable-auto-tool-choice", True) in (False, None)
    has_none = "tool-call-parser" in args and not args["tool-call-parser"]
    return has_none or (is_off and not args.get("tool-call-parser"))


WITHOUT_TOKENIZER = frozenset({"tokenizer", "skip-tokenizer-init"})
"""Arguments with which vLLM asks a model for no tokenizer of its own."""

MUTE = (
    "the model has no chat template, as base models have none, and vLLM refuses to chat without one; set the model's "
    "repo or path in gpuchat_models to the variant that was trained to answer (often named -Instruct, -it or -chat), "
    "or give its args there a chat-template"
)


TOKENLESS = (
    "the model brings no tokenizer among its files, without which vLLM does not start; set its repo or path in "
    "gpuchat_models to one that has it, see that its include and exclude leave it in, or give its args a tokenizer"
)


def _of_parsers(args: Mapping[str, object], family: families.Family) -> tuple[str, ...]:
    """Say which parsers are set though the table does not have the model, and which are not."""
    if family.is_known:
        return ()
    set_ones = [f"{name} {args[name]}" for name in ("tool-call-parser", "reasoning-parser") if args.get(name)]
    missing = [what for what in ("tool", "reasoning") if not any(one.startswith(what) for one in set_ones)]
    told = f"no {' or '.join(missing)} parser is set" if missing else ""
    kept = f"{' and '.join(set_ones)} as given" if set_ones else ""
    return ("the table of families does not have this model; " + ", ".join(filter(None, (kept, told))),)


def _by_node(
    args: Mapping[str, object], candidate: Candidate, wishes: Wishes
) -> tuple[Mapping[str, object], tuple[Mapping[str, object], ...]]:
    """Return what all nodes have in common, and the arguments of each: the more GPUs it has, the more engines."""
    counts, flag = candidate.replicas_by_node, "data-parallel-size"
    if len(set(counts)) == 1 or flag in wishes.extra_args:
        return args, tuple(args for _count in counts)
    shared = {name: value for name, value in args.items() if name != flag}
    return shared, tuple({**shared, flag: count} if count > 1 else shared for count in counts)


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


def _env(situation: Situation, version: str, candidate: Candidate) -> Mapping[str, str]:
    if not situation.nodes:
        return {"VLLM_CPU_KVCACHE_SPACE": str(situation.cpu_kv_cache_bytes // GIB)}
    found = compatibility.environment(version, situation.devices, situation.driver_version)
    places = [[sorted(one.index for one in used).index(device.index) for device in used] for used in candidate.devices]
    is_mixed = len({device.name for device in candidate.all_devices}) > 1
    if is_mixed or any(order != sorted(order) for order in places):
        # CUDA counts the fastest GPU first unless it is reported to count as the driver does.
        found["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    if len(places) == 1 and places[0] != sorted(places[0]):
        found["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, places[0]))
    return found
