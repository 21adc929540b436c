# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that is known before the wishes: the model, the GPUs, the version."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..checkpoint import formats
from ..checkpoint.config import DTYPE_BYTES, ModelFacts, encoder_heads, longest, read_model, text_config
from ..checkpoint.task import unserved
from ..core.errors import Refusal
from ..core.units import GIB
from . import chosen, tasks
from .devices import Device, Nodes, read_gpus
from .facts.abilities import CUT_ENCODERS, TOWERS_LEFT_OUT_SINCE, VISION_TOWERS, WHOLE_ENCODERS, WITHOUT_PIPELINE
from .facts.precisions import FLOAT16_UNFIT
from .layout import Shape
from .memory import Budget
from .releases import OLDEST, behaves_like
from .wishes import Wishes, number

YARN_SCALED_SINCE = (0, 30)
"""From here on a config.json with YaRN is taken to say its length with it (_get_and_verify_max_len)."""


@dataclass(frozen=True)
class Situation:
    """All that is known before the wishes.

    Attributes:
        config: the model's config.json.
        nodes: GPUs by node; none for a plan on the CPU.
        repo: the model's name on its hub, by which its family is known.
        cpu_kv_cache_bytes: memory for the KV cache on a host without GPU.
        number: the version, to compare.
        usual_dtype: what vLLM takes for the dtype on a GPU that has all of them.
        does: what the model does that cannot chat, an empty text for one that can.
        task: what it is served for; ``any`` where nobody asks.
        found: what its checkpoint is for, empty where that is no task that is served.
        data: the small JSON files beside its config.json, by path.
        asked_dimensions: how long the vectors are that the chat asks for; 0 where none does.
        spanned: hosts on which the one engine is to stand; 1 where the plan is to find its layout.
        cut_heads: of encoders of images or sound that the GPUs of an engine share out by heads.
        known: budgets that were estimated already, of this model.
    """

    config: Mapping[str, object]
    model: ModelFacts
    nodes: Nodes
    version: str
    number: tuple[int, ...]
    usual_dtype: str
    repo: str = ""
    driver_version: str = ""
    cpu_kv_cache_bytes: int = 4 * GIB
    does: str = ""
    task: str = "any"
    found: str = "chat"
    data: Mapping[str, object] = field(default_factory=dict)
    asked_dimensions: int = 0
    spanned: int = 1
    cut_heads: tuple[int, ...] = ()
    known: dict[tuple[object, ...], Budget] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_pooling(self) -> bool:
        """Whether it makes vectors or scores, and no text."""
        return self.task in tasks.CONVERTED

    @property
    def is_for_chat(self) -> bool:
        """Whether it is served to people who talk with it."""
        return self.task in ("any", "chat")

    @property
    def gpu_count(self) -> int:
        return len(self.devices)

    @functools.cached_property
    def devices(self) -> tuple[Device, ...]:
        return tuple(device for node in self.nodes for device in node)

    @functools.cached_property
    def shape(self) -> Shape:
        """The widths of the model that must divide."""
        config, model = self.config, self.model
        quantization = config.get("quantization_config") or text_config(config).get("quantization_config") or {}
        is_mixed = bool(model.experts)
        both = ((model.dense_width, DENSE), (model.shared_width, SHARED))
        widths = [(width, name) for width, name in both if width]
        plain = [width for width, name in widths if is_mixed and any(map(name.search, model.unquantized))]
        return Shape(
            heads=model.heads,
            key_heads=0 if model.is_mla else model.kv_heads,
            layers=model.layers,
            vocabulary=model.vocab_size,
            head_size=1 if model.is_mla else model.head_dim,
            inner_widths=tuple(width for width, _name in widths if width not in plain),
            plain_widths=tuple(plain),
            expert_width=model.moe_intermediate_size if is_mixed else 0,
            experts=model.experts,
            block=_block(_mapping(quantization)),
            state_heads=tuple(heads for item in model.kv_layers for heads in item.heads),
            has_stages=model.architecture not in WITHOUT_PIPELINE,
            state_groups=max((item.groups for item in model.kv_layers), default=1),
            cut_heads=self.cut_heads,
            may_stay_whole=model.architecture in WHOLE_ENCODERS,
        )


def _block(said: Mapping[str, object]) -> int:
    """Return how many neighbouring weights share a scale, 1 where none do; the least of several groups of layers."""
    parts = [_mapping(one).get("weights") for one in _mapping(said.get("config_groups")).values()] or [said]
    return min(_shared_by(_mapping(part)) for part in parts)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _shared_by(said: Mapping[str, object]) -> int:
    blocks = said.get("weight_block_size") or said.get("block_structure") or (said.get("group_size"),)
    sizes = blocks if isinstance(blocks, (list, tuple)) else ()
    return max([1, *(one for one in sizes if isinstance(one, int))])


DENSE = re.compile(r"layers\.0(\.(mlp|feed_forward)?|$)(?!\S*(attn|attention|gate$))")
SHARED = re.compile(r"share\w*_expert(?!\w*_gate)")
"""How a quantized mixture of experts names its first layers, and the experts that every token wakes, where it leaves
them at 16 bits."""

TOWERS = {name: kinds for kinds, names in VISION_TOWERS.items() for name in names}


def media_limit(args: Mapping[str, object], kind: str) -> int | None:
    """Return how many images or videos a request may bring, None where nobody says so."""
    limits = args.get("limit-mm-per-prompt")
    told = limits.get(kind) if isinstance(limits, Mapping) else None
    return number(told.get("count") if isinstance(told, Mapping) else told)


def media_of(architecture: str, args: Mapping[str, object]) -> list[str]:
    """Return what a request may bring to an encoder of images."""
    return [kind for kind in TOWERS.get(architecture, ("image",)) if media_limit(args, kind) != 0]


def is_text_only(version: tuple[int, ...], architecture: str, args: Mapping[str, object]) -> bool:
    """Whether encoders of images and sound are not loaded, for nothing comes to them."""
    is_shut = version >= TOWERS_LEFT_OUT_SINCE and architecture in TOWERS and not media_of(architecture, args)
    return bool(args.get("language-model-only")) or is_shut


def _cut_heads(
    version: tuple[int, ...], architecture: str, config: Mapping[str, object], args: Mapping[str, object]
) -> tuple[int, ...]:
    """Return the heads of encoders, which the GPUs of an engine must share out evenly."""
    is_whole = args.get("mm-encoder-tp-mode") == "data" and architecture in WHOLE_ENCODERS
    if architecture not in CUT_ENCODERS or is_whole or is_text_only(version, architecture, args):
        return ()
    return encoder_heads(config)


def read_situation(params: Mapping[str, object], wishes: Wishes, nodes: Nodes | None = None) -> Situation:
    """Read what is known from a task's options.

    Args:
        nodes: the GPUs, where they were read already; their options count no more.

    Raises:
        Refusal: a GPU that is none, no version, and neither GPUs nor memory for a cache on the CPU.
    """
    config, beside = _with_format(_mapping(params.get("model_config")), params), _mapping(params.get("data"))
    _check_kind(config, str(params.get("repo") or ""))
    weights, space = params.get("weights_bytes"), params.get("cpu_kv_cache_bytes")
    if nodes is None:
        nodes = read_gpus(chosen.choose(params.get("gpus") or [], params.get("wanted_gpus")))
    repo, tokenizer = str(params.get("repo") or ""), params.get("tokenizer_config")
    version = str(params["vllm_version"])
    number = behaves_like(version)
    given = params.get("found")  # of one who had to know it before
    found, does = given if isinstance(given, tuple) else what_for(config, _files(params), repo, version)
    task = str(params.get("task") or "any")
    task = (found or "any") if task == "auto" else task
    model = read_model(tasks.as_read(config), None if weights is None else int(str(weights)))
    if number >= YARN_SCALED_SINCE:
        model = replace(model, longest=longest(tasks.as_read(config), is_yarn_scaled=True))
    model = tasks.as_served(model, task, config, _mapping(tokenizer), beside)
    if not nodes and int(str(space or 0)) < GIB:
        raise Refusal(
            f"gpus is empty and cpu_kv_cache_bytes is {space or 0}; wanted GPUs, or at least 1 GiB of memory for "
            f"the KV cache on the CPU; set cpu_kv_cache_bytes to {GIB} or more"
        )
    weakest = min((device.compute_capability for node in nodes for device in node), key=_parts, default="")
    return Situation(
        config=config,
        model=as_loaded(model, wishes.dtype, weakest),
        nodes=nodes,
        version=version,
        number=number,
        usual_dtype=as_loaded(model, None, "").dtype,
        repo=repo,
        driver_version=str(params.get("driver_version") or ""),
        cpu_kv_cache_bytes=int(str(space or 0)) // GIB * GIB,
        does="" if found == "chat" else does,
        task=task,
        found=found,
        data=beside,
        asked_dimensions=int(str(params.get("asked_dimensions") or 0)),
        spanned=int(str(params.get("spanned") or 1)),
        cut_heads=_cut_heads(number, model.architecture, config, wishes.extra_args),
    )


def _check_kind(config: Mapping[str, object], repo: str) -> None:
    """Refuse a model that vLLM serves in no way, or that is not whole, before its config.json is read for widths.

    Raises:
        Refusal: with what it is.
    """
    does, other = unserved(config), config.get("text_model_id")
    if does:
        raise Refusal(
            f"the model {repo} {does}, which vLLM does not serve; wanted one that chats, makes vectors, ranks texts or "
            "writes down speech; set the model's repo or path in gpuchat_models to such a one"
        )
    if other and not config.get("text_config"):
        raise Refusal(
            f"the model {repo} holds no language model of its own: its config.json names {other}, which vLLM would "
            "fetch from its hub at each start; wanted a model that is whole; set the model's repo or path in "
            "gpuchat_models to one"
        )


def what_for(config: Mapping[str, object], files: Sequence[str], repo: str, version: str) -> tuple[str, str]:
    """Return the task of a checkpoint by what a version serves, and what it does in words (``tasks.found_in``).

    Raises:
        Refusal: no version.
    """
    known = version if behaves_like(version) >= OLDEST else ".".join(map(str, OLDEST))
    return tasks.found_in(config, files, repo, known)


def _with_format(config: Mapping[str, object], params: Mapping[str, object]) -> Mapping[str, object]:
    """Return the config, with the quantization that files beside it say.

    Raises:
        Refusal: an adapter, which is no model.
    """
    files = _files(params)
    base = formats.adapted(config, files)
    if base is not None:
        raise Refusal(
            f"the model {params.get('repo') or ''} is an adapter (LoRA) of {base or 'another model'}; wanted the whole "
            f"model; set the model's repo or path in gpuchat_models to {base or 'that one'}, and name the adapter "
            "among its adapters"
        )
    beside = _mapping(_mapping(params.get("data")).get(formats.BY_MODELOPT))
    if beside and not config.get("quantization_config"):
        return {**config, "quantization_config": formats.by_modelopt(beside)}
    if formats.format_of(config, files) == "GGUF" and "quantization_config" not in config:
        return {**config, "quantization_config": {"quant_method": "gguf", "type": formats.gguf_type(files)}}
    return config


def _files(params: Mapping[str, object]) -> list[str]:
    listed = params.get("files")
    return [str(name) for name in listed] if isinstance(listed, (list, tuple)) else []


def _parts(capability: str) -> tuple[int, ...]:
    return tuple(map(int, capability.split("."))) if capability else (99,)


def as_loaded(model: ModelFacts, dtype: str | None, capability: str) -> ModelFacts:
    """Return a model with the dtype in which vLLM loads what is not quantized.

    As in ``_resolve_auto_dtype`` of vLLM's ``config/model.py``: float32 becomes 16 bits wide, and bfloat16 becomes
    float16 where the GPU is older than Ampere, or float32 for models that float16 is too narrow for.

    Args:
        model: as published.
        dtype: wished, or None.
        capability: compute capability of the oldest GPU, empty on a CPU.
    """
    is_old = bool(capability) and int(capability.split(".", maxsplit=1)[0]) < 8
    loaded = {"half": "float16", "float": "float32"}.get(dtype or "", dtype or model.dtype)
    if not dtype and loaded in ("float32", "float"):
        loaded = "bfloat16"
    if not dtype and is_old and loaded == "bfloat16":
        loaded = "float32" if model.model_type in FLOAT16_UNFIT else "float16"
    ratio = DTYPE_BYTES.get(loaded, 2) / model.dtype_bytes
    size = model.weights_bytes if model.quantization else int(model.weights_bytes * ratio)
    return replace(model, dtype=loaded, weights_bytes=size)
