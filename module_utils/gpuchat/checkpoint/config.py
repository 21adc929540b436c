# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model's config.json says about memory: layers by kind of cache, weights by how they shard.

Sources: the config classes of transformers, and the model files of vLLM (which key decides what, and what is
replicated on each tensor-parallel rank).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..core.errors import Refusal

Config = Mapping[str, object]

# Bytes of one element.
DTYPE_BYTES = {"float32": 4, "float": 4, "float16": 2, "half": 2, "bfloat16": 2, "float8_e4m3fn": 1}

# Keys that a config.json may leave out because they equal the defaults of its class in transformers.
CLASS_DEFAULTS: dict[str, dict[str, int]] = {
    "llama": {
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "vocab_size": 32000,
        "max_position_embeddings": 2048,
    },
    "mistral": {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 32000,
        "max_position_embeddings": 131072,
    },
    "qwen2": {
        "hidden_size": 4096,
        "intermediate_size": 22016,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "vocab_size": 151936,
        "max_position_embeddings": 32768,
    },
    "qwen3": {
        "hidden_size": 4096,
        "intermediate_size": 22016,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "head_dim": 128,
        "vocab_size": 151936,
        "max_position_embeddings": 32768,
    },
    "mixtral": {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "vocab_size": 32000,
        "max_position_embeddings": 131072,
    },
    "phi3": {
        "hidden_size": 3072,
        "intermediate_size": 8192,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "vocab_size": 32064,
        "max_position_embeddings": 4096,
    },
    "deepseek_v2": {
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "kv_lora_rank": 512,
        "q_lora_rank": 1536,
        "qk_rope_head_dim": 64,
        "qk_nope_head_dim": 128,
        "v_head_dim": 128,
        "vocab_size": 102400,
        "max_position_embeddings": 2048,
    },
    "minicpm3": {"kv_lora_rank": 256, "q_lora_rank": 768, "qk_nope_head_dim": 64, "qk_rope_head_dim": 32},
    "gemma": {
        "hidden_size": 3072,
        "intermediate_size": 24576,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "head_dim": 256,
        "vocab_size": 256000,
        "max_position_embeddings": 8192,
    },
    "gemma2": {
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "vocab_size": 256000,
        "max_position_embeddings": 8192,
        "sliding_window": 4096,
    },
    "clip_text_model": {
        "hidden_size": 512,
        "intermediate_size": 2048,
        "num_hidden_layers": 12,
        "num_attention_heads": 8,
        "vocab_size": 49408,
        "max_position_embeddings": 77,
    },
    "siglip_text_model": {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "vocab_size": 32000,
        "max_position_embeddings": 64,
    },
    "gemma3_text": {
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "vocab_size": 262208,
        "max_position_embeddings": 131072,
        "sliding_window": 4096,
    },
}

# model_type -> one layer in so many attends to everything, where the config has no list of layer types.
SLIDING_PATTERNS = {"gemma2": 2, "gemma3": 6, "gemma3_text": 6, "cohere2": 4, "gpt_oss": 2, "gemma3n_text": 5}

# Whose feed-forward part is two matrices rather than three (no gate).
UNGATED = frozenset(
    "apertus arcee bloom falcon gpt2 gpt_bigcode gpt_neox gptj mpt nemotron nemotron_h opt persimmon phi phi2 "
    "RefinedWeb RefinedWebModel starcoder2 whisper".split()
)

# Whose classes tie the output embedding to the input's unless they say otherwise.
TIED = tuple("bloom cohere falcon gemma gpt2 gpt_bigcode lfm2 minicpm3 mpt opt RefinedWeb zamba2".split())

# Whose intermediate_size counts the gate and what it is multiplied with together.
GATE_COUNTED = frozenset({"molmo", "qwen"})

# Whose layers of experts each have one more, which every token wakes, and whose config.json says nothing of it.
SHARES_ONE = frozenset({"llama4_text"})

# Whose every layer has a Mamba part, also one with attention.
PARALLEL = frozenset({"falcon_h1", "zamba2"})

# Whose few blocks of attention and a dense part run in turn, each time with adapters, a projection and a cache of its
# own; they attend to a word and to what became of it side by side, twice the hidden size (zamba2.py of vLLM).
IN_TURN = frozenset({"zamba2"})

# Whose latent attention vLLM computes in full: each head keeps its keys and values.
EXPANDED = frozenset({"minicpm3"})

# Whose layers are all Mamba's, without attention (model_executor/models/mamba.py and mamba2.py of vLLM).
ATTENTION_FREE = frozenset({"mamba", "mamba2", "falcon_mamba"})

# Whose layers each hold attention and a dense part twice, beside one part of experts (longcat_flash.py of vLLM).
TWICE = frozenset({"longcat_flash", "longcat_flash_ngram"})

# Whose two stacks of layers run again and again, each run with caches of its own (hrm_text.py of vLLM).
IN_CYCLES = frozenset({"hrm_text"})

# Whose layers run several times, each time with caches of their own (ouro.py of vLLM).
IN_STEPS = frozenset({"ouro"})

# Bits that one weight takes with its scales, where the size of the files is not known.
QUANTIZED_BITS = {
    "awq": 4.16,
    "gptq": 4.16,
    "auto-round": 4.16,
    "bitsandbytes": 4.127,
    "mxfp4": 4.25,
    "nvfp4": 4.5,
    "fp8": 8.0,
    "int8": 8.0,
    "int4": 4.16,
    "gguf": 8.5,
}


@dataclass(frozen=True)
class KvLayers:
    """Layers whose cache is alike.

    Attributes:
        kind: ``full``, ``sliding``, ``chunked``, ``mla``, ``indexer`` (of sparse MLA), ``compressed`` (DeepSeek V4: one
            vector for several tokens, beside a short window), ``state`` (Mamba, linear attention, short
            convolutions) or ``cross``.
        count: how many such layers the model has.
        kv_heads, key_dim, value_dim: of one layer; for ``mla`` one head of the latent's width, without value; for
            ``indexer`` and ``compressed`` the bytes of one vector.
        window: tokens that a ``sliding`` or ``chunked`` layer sees, or that one ``compressed`` vector stands for.
        conv_width, conv_tokens: of the convolution before the state, over all tensor-parallel ranks together.
        state_elements: of one request's recurrent state, over all ranks together.
        state_bytes: bytes of one element of the recurrent state (the convolution's are the model's dtype).
        chunk: tokens that Mamba's kernel handles at once, where its states can be cached at such steps.
        heads: numbers of a state's heads, which tensor parallelism must divide.
        groups: of Mamba 2's heads, which it must divide too unless there is one.
    """

    kind: str
    count: int
    kv_heads: int = 0
    key_dim: int = 0
    value_dim: int = 0
    window: int = 0
    conv_width: int = 0
    conv_tokens: int = 0
    state_elements: int = 0
    state_bytes: int = 2
    chunk: int = 0
    heads: tuple[int, ...] = ()
    groups: int = 0


@dataclass(frozen=True)
class Parameters:
    """Numbers of weights, by how they shard under tensor parallelism.

    Attributes:
        embedding: input embedding; also the output's where they are tied.
        head: output embedding of its own (0 where tied).
        attention: sharded over heads.
        key_value: sharded over key heads, so replicated once there are more ranks than key heads.
        dense: feed-forward parts, shared experts among them.
        experts: routed experts.
        replicated: routers, norms, the down-projections of MLA: on each rank.
        vision: encoders of images, video and sound.
        draft: layers for speculative decoding that the files hold and vLLM leaves out unless asked (MTP).
        kept: how many of ``attention`` and ``key_value`` stay at 16 bits in a quantized model.
        absorbed: MLA's up-projection, of which vLLM keeps a copy in the model's dtype.
    """

    embedding: int = 0
    head: int = 0
    attention: int = 0
    key_value: int = 0
    dense: int = 0
    experts: int = 0
    replicated: int = 0
    vision: int = 0
    draft: int = 0
    kept: int = 0
    absorbed: int = 0

    @property
    def total(self) -> int:
        """All but the draft layers."""
        return (
            self.embedding
            + self.head
            + self.attention
            + self.key_value
            + self.dense
            + self.experts
            + self.replicated
            + self.vision
        )


@dataclass(frozen=True)
class Vision:
    """An image encoder, as far as memory goes (no layers: there is none).

    Attributes:
        max_image_tokens: what the largest image takes in the prompt.
        patches_per_token: patches that the encoder sees for one such token.
        long_video: its largest video is as many of its largest images as the context holds (Qwen2-VL's rule).
    """

    hidden_size: int = 0
    intermediate_size: int = 0
    layers: int = 0
    max_image_tokens: int = 0
    patches_per_token: int = 1
    long_video: bool = False
    is_gated: bool = False

    @property
    def parameters(self) -> int:
        matrices = 3 if self.is_gated else 2
        return self.layers * (4 * self.hidden_size**2 + matrices * self.hidden_size * self.intermediate_size)


@dataclass(frozen=True)
class ModelFacts:
    """A model as its config.json describes it; sizes in elements unless a name says bytes.

    Attributes:
        max_position: for how many positions there are angles or embeddings.
        longest: context (tokens) that vLLM derives from it, 0 where it says none.
        dense_width, shared_width: of feed-forward layers without experts, and of the experts that every token wakes
            together; 0 without such.
    """

    architecture: str
    model_type: str
    hidden_size: int
    intermediate_size: int
    layers: int
    kv_layers: tuple[KvLayers, ...]
    heads: int
    kv_heads: int
    head_dim: int
    vocab_size: int
    max_position: int
    dtype: str
    tie_word_embeddings: bool
    experts: int
    experts_per_token: int
    moe_intermediate_size: int
    quantization: str
    quantized_bits: float
    kv_cache_quantization: str
    unquantized: tuple[str, ...]
    vision: Vision
    parameters: Parameters
    weights_bytes: int
    weights_estimated: bool
    is_gated: bool = True
    kv_lora_rank: int = 0
    draft_layers: int = 0
    longest: int = 0
    dense_width: int = 0
    shared_width: int = 0

    @property
    def dtype_bytes(self) -> int:
        return DTYPE_BYTES.get(self.dtype, 2)

    @property
    def is_hybrid(self) -> bool:
        """Whether its layers keep caches of more than one kind."""
        return len({(item.kind, item.window) for item in self.kv_layers if item.kind != "cross"}) > 1

    @property
    def has_state(self) -> bool:
        return any(item.kind == "state" for item in self.kv_layers)

    @property
    def is_attention_free(self) -> bool:
        return bool(self.kv_layers) and all(item.kind == "state" for item in self.kv_layers)

    @property
    def is_mla(self) -> bool:
        return any(item.kind == "mla" for item in self.kv_layers)

    @property
    def reads_whole(self) -> bool:
        """Whether a prompt is read in one step: nothing is cached, or its words see those after them.

        For the latter vLLM switches chunked prefill off when it starts (_initialize_kv_caches of v1/engine/core.py).
        """
        return not self.kv_layers or self.model_type in IN_CYCLES

    @property
    def is_multimodal(self) -> bool:
        return self.vision.layers > 0


def _mapping(value: object) -> Config:
    return value if isinstance(value, Mapping) else {}


NESTED = (
    "vlm_config",
    "thinker_config",
    "text_config",
    "llm_config",
    "language_config",
    "language_model",
    "text_model",
)


def text_config(config: Config) -> dict[str, object]:
    """Return the part that describes the language model, with what only the outer level says.

    Multimodal models nest it: ``text_config``, ``llm_config``, ``language_config``, ``thinker_config.text_config``.
    """
    outer = dict(config)
    for name in NESTED:
        inner = _mapping(outer.get(name))
        if inner:
            nested = text_config(inner)
            for key, value in outer.items():
                if key not in nested and not isinstance(value, Mapping) and key not in ("architectures", "model_type"):
                    nested[key] = value
            for key in ("quantization_config", "compression_config", "linear_attn_config", "ffn_config"):
                if key in outer and key not in nested:
                    nested[key] = outer[key]
            return nested
    model_type = str(outer.get("model_type", ""))
    parts = {**_mapping(outer.get("attn_config")), **_mapping(outer.get("ffn_config"))}
    return _in_common_names({**CLASS_DEFAULTS.get(model_type, {}), **parts, **outer}, model_type)


def _in_common_names(text: dict[str, object], model_type: str) -> dict[str, object]:
    """Return the text's part with what some families say otherwise, or not at all, said as the others say it."""
    if model_type in TWICE and text.get("num_layers"):
        text["num_hidden_layers"] = text["num_layers"]
    if model_type in IN_CYCLES and any(map(text.get, LAYERS)):  # num_hidden_layers is of a stack, or counts the runs
        stack = _integer(text, ["num_layers_per_stack", *LAYERS])
        text.update(num_layers_per_stack=stack, num_hidden_layers=2 * stack, attn_output_gate=True)
    for name in ("layers_block_type", "layer_types", "hybrid_override_pattern"):
        listed = text.get(name)
        if isinstance(listed, (list, tuple, str)) and listed and not any(map(text.get, LAYERS)):
            text["num_hidden_layers"] = sum(item != "|" for item in listed)
    if model_type in ATTENTION_FREE and any(map(text.get, LAYERS)):
        text["layer_types"] = ["mamba"] * _integer(text, LAYERS)
        heads, width = text.get("num_heads"), text.get("head_dim")
        inner = _integer(text, ["intermediate_size"], 0) or _mamba_width(
            text, _integer(text, ["hidden_size", "d_model"])
        )
        if model_type == "mamba2" and heads and width:
            text.update(mamba_num_heads=heads, mamba_head_dim=width, num_attention_heads=heads)
        else:
            text.update(mamba_inner_size=inner, num_attention_heads=inner)
        text.update(intermediate_size=0, head_dim=1)
    return text


LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")


LARGEST = 2**40
"""No width, count or length of a model is as large."""


def _number(value: object) -> int | float | None:
    """Return a value that is a number: Python reads NaN and Infinity in JSON too, which are none."""
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return None


def _wholes(config: Config, name: str) -> list[int]:
    """Return a list of whole numbers.

    Raises:
        Refusal: one of them is none.
    """
    for item in _sequence(config.get(name)):
        if not isinstance(item, int):
            raise Refusal(
                f"model_config: {name} holds {item!r}; wanted whole numbers; give the model's own config.json"
            )
    return [item for item in _sequence(config.get(name)) if isinstance(item, int)]


def _integer(config: Config, names: Iterable[str], default: int | None = None) -> int:
    """Return the first of the names that the config has, as a whole number.

    Raises:
        Refusal: none is there and there is no default, or the value is no positive whole number.
    """
    for name in names:
        value = config.get(name)
        if value is None or isinstance(value, bool):
            continue
        if isinstance(value, (list, tuple)) and value:
            numbers = [item for item in value if isinstance(item, (int, float))]
            if not numbers:
                continue
            value = max(numbers)
        number = _number(value)
        if number is None or not 0 <= number < LARGEST or number != int(number):
            raise Refusal(f"model_config: {name} is {value!r}; wanted a whole number of 0 or more")
        return int(number)
    if default is None:
        raise Refusal(f"model_config has none of {', '.join(names)}; give the model's whole config.json")
    return default


def _dtype(config: Config, text: Config) -> str:
    for part in (text, config):
        for name in ("dtype", "torch_dtype"):
            value = part.get(name)
            if isinstance(value, str) and value:
                return value.replace("torch.", "")
    return "bfloat16"


def _layer_types(text: Config, layers: int) -> list[str]:
    """Return one word per layer: full, sliding, chunked, state, none."""
    words = {
        "full_attention": "full",
        "attention": "full",
        "global": "full",
        "indexed_attention": "full",
        "sparse_attention": "full",
        "minimax_m2": "full",
        "sliding_attention": "sliding",
        "local": "sliding",
        "chunked_attention": "chunked",
        "linear_attention": "state",
        "mamba": "state",
        "mamba2": "state",
        "conv": "state",
        "short_conv": "state",
        "hybrid": "full",
        "recurrent": "state",
        "mlp": "none",
        "moe": "none",
    }
    for name in ("layer_types", "layers_block_type"):
        listed = text.get(name)
        if isinstance(listed, (list, tuple)) and listed:
            found = [words.get(str(item), "full") for item in listed][:layers]
            return found + ["full"] * (layers - len(found))
    blocks = [_mapping(block) for block in _blocks(text)]
    if blocks:
        return ["none" if _mapping(block.get("attention")).get("no_op") else "full" for block in blocks]
    marks = _sequence(text.get("hybrid_layer_pattern"))
    if marks:
        return ["sliding" if mark == 1 else "full" for mark in marks][:layers]
    pattern = text.get("hybrid_override_pattern")
    if isinstance(pattern, str) and pattern:
        letters = {"M": "state", "*": "full", "-": "none", "E": "none"}
        return [letters.get(letter, "none") for letter in pattern if letter != "|"]
    return _patterned(text, layers)


def _patterned(text: Config, layers: int) -> list[str]:
    linear = _mapping(text.get("linear_attn_config"))
    model_type = str(text.get("model_type", ""))
    if model_type in TWICE:
        return ["full"] * (2 * layers)
    if _has_linear_groups(text):
        every = _integer(text, ["layer_group_size"])
        whole = layers // every * every if _has_delta_groups(text) else layers
        return ["full" if (number + 1) % every == 0 or number >= whole else "state" for number in range(layers)]
    if model_type == "plamo2" and text.get("mamba_enabled") is not False:  # its is_mamba: the last of each step attends
        step = _integer(text, ["mamba_step"], 2)
        last = step // 2
        return ["full" if number % step == last else "state" for number in range(layers)]
    if linear.get("kda_layers"):
        states = set(_wholes(linear, "kda_layers"))
        return ["state" if number + 1 in states else "full" for number in range(layers)]
    if text.get("full_attention_interval") and (text.get("linear_num_value_heads") or "next" in model_type):
        every = _integer(text, ["full_attention_interval"])
        return ["full" if (number + 1) % every == 0 else "state" for number in range(layers)]
    if text.get("attn_layer_period"):
        period, offset = _integer(text, ["attn_layer_period"]), _integer(text, ["attn_layer_offset"], 0)
        return ["full" if number % period == offset else "state" for number in range(layers)]
    for name in ("attn_layer_indices", "full_attn_idxs"):
        if isinstance(text.get(name), (list, tuple)):
            full = set(_wholes(text, name))
            return ["full" if number in full else "state" for number in range(layers)]
    if isinstance(text.get("attn_type_list"), (list, tuple)):
        return ["full" if item else "state" for item in _sequence(text.get("attn_type_list"))][:layers]
    if text.get("attention_chunk_size") and ("llama4" in model_type):
        every = _integer(text, ["no_rope_layer_interval"], 4) or 4
        return ["full" if (number + 1) % every == 0 else "chunked" for number in range(layers)]
    return _windowed(text, layers, model_type)


def _has_linear_groups(text: Config) -> bool:
    """Whether but the last layer of each group attends linearly (Ling and Ring 2.5 and 3)."""
    size = text.get("layer_group_size")
    return isinstance(size, int) and size > 1


def _has_delta_groups(text: Config) -> bool:
    """Whether that is by delta rule with a convolution before it (bailing_moe_v3.py of vLLM)."""
    return any("kda" in str(name) for name in text)


def _windowed(text: Config, layers: int, model_type: str) -> list[str]:
    if not text.get("sliding_window") or text.get("use_sliding_window") is False:
        return ["full"] * layers
    pattern: object = text.get("sliding_window_pattern", text.get("_sliding_window_pattern"))
    if isinstance(pattern, str) and pattern:
        return ["full" if pattern[number % len(pattern)] == "G" else "sliding" for number in range(layers)]
    every = pattern if isinstance(pattern, int) and pattern > 0 else SLIDING_PATTERNS.get(model_type, 0)
    if every:
        return ["full" if (number + 1) % every == 0 else "sliding" for number in range(layers)]
    if model_type.startswith("qwen") and text.get("use_sliding_window"):
        first = _integer(text, ["max_window_layers"], layers)
        return ["full" if number < first else "sliding" for number in range(layers)]
    # Without a pattern vLLM gives every layer the window.
    return ["sliding"] * layers


def _sequence(value: object) -> list[object]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _state(text: Config, dtype: str) -> KvLayers:
    """Return the state of one linear-attention, Mamba or short-convolution layer (count 0).

    Shapes: vllm/model_executor/layers/mamba/mamba_utils.py (MambaStateShapeCalculator).
    """
    usual = "float32" if str(text.get("model_type", "")).lower().startswith("nemotron") else dtype
    size = DTYPE_BYTES.get(str(text.get("mamba_ssm_dtype") or text.get("mamba_ssm_cache_dtype") or usual), 2)
    linear = _mapping(text.get("linear_attn_config"))
    if text.get("linear_num_value_heads"):
        key_width = _integer(text, ["linear_num_key_heads"]) * _integer(text, ["linear_key_head_dim"])
        value_heads, value_dim = _integer(text, ["linear_num_value_heads"]), _integer(text, ["linear_value_head_dim"])
        kernel = _integer(text, ["linear_conv_kernel_dim"], 4)
        return KvLayers(
            "state",
            0,
            conv_width=2 * key_width + value_heads * value_dim,
            conv_tokens=kernel - 1,
            state_elements=value_heads * value_dim * _integer(text, ["linear_key_head_dim"]),
            state_bytes=size,
            heads=(value_heads, _integer(text, ["linear_num_key_heads"])),
        )
    if linear or text.get("linear_num_heads"):
        source = linear or text
        heads = _integer(source, ["num_heads", "linear_num_heads"])
        width = _integer(source, ["head_dim", "linear_head_dim"])
        kernel = _integer(source, ["short_conv_kernel_size", "linear_conv_kernel_dim"], 4)
        return KvLayers(
            "state",
            0,
            conv_width=3 * heads * width,
            conv_tokens=kernel - 1,
            state_elements=heads * width * width,
            state_bytes=4,
            heads=(heads,),
        )
    hidden = _integer(text, ["hidden_size", "d_model"])
    if _has_linear_groups(text):
        heads = _integer(text, ["num_attention_heads"])
        width = _integer(text, ["head_dim"], hidden // heads)
        if _has_delta_groups(text):
            kernel = _integer(text, ["short_conv_kernel_size", "conv_kernel_size", "linear_conv_kernel_dim"], 4)
            size = heads * width
            return KvLayers("state", 0, 0, 0, 0, 0, 3 * size, kernel - 1, size * width, 4, heads=(heads,))
        return KvLayers("state", 0, state_elements=heads * width * width, state_bytes=DTYPE_BYTES.get(dtype, 2))
    if text.get("conv_L_cache"):
        return KvLayers("state", 0, conv_width=hidden, conv_tokens=_integer(text, ["conv_L_cache"]) - 1)
    if text.get("attn_type_list") or text.get("model_type") == "minimax":
        heads, width = _integer(text, ["num_attention_heads"]), _integer(text, ["head_dim"], 128)
        return KvLayers("state", 0, state_elements=heads * width * width, state_bytes=4)
    kernel = _integer(text, ["conv_kernel", "mamba_d_conv"], 4)
    states = _integer(text, ["ssm_state_size", "mamba_d_state", "state_size"], 16)
    heads = _integer(text, ["mamba_num_heads", "mamba_n_heads", "n_mamba_heads"], 0)
    if heads:
        inner = _mamba_width(text, hidden)
        groups = _integer(text, ["n_groups", "mamba_n_groups", "mamba_ngroups"], 1)
        return KvLayers(
            "state",
            0,
            conv_width=inner + 2 * groups * states,
            conv_tokens=kernel - 1,
            state_elements=inner * states,
            state_bytes=size,
            chunk=_integer(text, ["chunk_size", "mamba_chunk_size"], 256),
            heads=(heads,),
            groups=groups,
        )
    inner = _mamba_width(text, hidden)
    return KvLayers(
        "state", 0, conv_width=inner, conv_tokens=kernel - 1, state_elements=inner * states, state_bytes=size, chunk=256
    )


def _mamba_width(text: Config, hidden: int) -> int:
    """Return the width of a Mamba layer: its heads together, or the hidden size by a factor."""
    heads = _integer(text, ["mamba_num_heads", "mamba_n_heads", "n_mamba_heads"], 0)
    if heads and not isinstance(text.get("mamba_d_head"), str):
        return heads * _integer(text, ["mamba_head_dim", "mamba_d_head", "mamba_headdim"], 64)
    return _integer(text, ["mamba_inner_size"], 0) or hidden * _integer(text, ["mamba_expand", "expand"], 2)


@dataclass(frozen=True)
class _Widths:
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int


MOST_LAYERS = 10_000


def _widths(text: Config) -> _Widths:
    heads = _integer(text, ["num_attention_heads", "n_head", "n_heads", "num_heads"])
    hidden = _integer(text, ["hidden_size", "n_embd", "n_embed", "d_model", "dim"])
    if heads < 1 or hidden < 1:
        raise Refusal(f"model_config: {heads} attention heads and a hidden size of {hidden}; wanted both above 0")
    kv_heads = _kv_heads(text, heads)
    head_dim = _integer(text, ["head_dim", "kv_channels", "attention_head_dim", "hidden_size_per_head"], 0)
    if str(text.get("model_type", "")) in EXPANDED:
        head_dim = _integer(text, ["qk_nope_head_dim"], 0) + _integer(text, ["qk_rope_head_dim"], 0)
    if str(text.get("model_type", "")) in IN_TURN:
        head_dim = _integer(text, ["attention_head_dim"], 2 * hidden // heads)
    head_dim = head_dim or hidden // heads
    layers = _integer(text, LAYERS)
    if not 1 <= layers <= MOST_LAYERS:
        raise Refusal(f"model_config: {layers} layers; wanted 1 to {MOST_LAYERS:,}")
    return _Widths(hidden, layers, heads, kv_heads, head_dim)


KV_HEADS = (
    "num_key_value_heads",
    "num_kv_heads",
    "n_head_kv",
    "n_kv_heads",
    "kv_n_heads",
    "num_attention_groups",
)


def _blocks(text: Config) -> list[object]:
    return _sequence(text.get("block_configs"))


def _kv_heads(text: Config, heads: int) -> int:
    """Return the key heads, as many as there are heads where nothing else is said."""
    if text.get("multi_query_attention"):
        return _integer(text, ["multi_query_group_num"], 1)
    if text.get("multi_query") and not text.get("new_decoder_architecture"):
        return 1
    if str(text.get("model_type", "")) in EXPANDED:
        return heads
    for block in _blocks(text):
        group = _mapping(_mapping(block).get("attention")).get("n_heads_in_group")
        if isinstance(group, int) and group > 0:
            return heads // group
    return _integer(text, KV_HEADS, heads) or heads


def _latent_rank(text: Config) -> int:
    """Return the width of the latent that stands for all heads' keys and values, 0 where there is none."""
    return 0 if str(text.get("model_type", "")) in EXPANDED else _integer(text, ["kv_lora_rank"], 0)


def _compressed_layers(text: Config, wide: _Widths) -> tuple[KvLayers, ...]:
    """Return the layers of DeepSeek V4: each with a window, most with vectors for 4 or 128 tokens beside it.

    Source: vllm/models/deepseek_v4: 448 fp8 elements, 64 bf16 ones and 8 bytes of scales per vector; an indexer where
    one stands for 4 tokens.
    """
    ratios = _wholes(text, "compress_ratios")[: wide.layers]
    found = []
    for ratio in sorted(set(ratios) - {0, 1}):
        found.append(KvLayers("compressed", ratios.count(ratio), 1, 584, window=ratio))
        if ratio == 4:
            width = _integer(text, ["index_head_dim"], 128)
            scales = 4 * ((width + 127) // 128)
            found.append(KvLayers("compressed", ratios.count(ratio), 1, width + scales, window=ratio))
    return (*found, KvLayers("sliding", wide.layers, 1, 584, 0, _integer(text, ["sliding_window"], 128)))


def sharing(text: Config) -> int:
    """Return of how many neighbouring layers one alone has keys and values (Hunyuan-Large's cross-layer attention)."""
    return max(1, _integer(text, ["cla_share_factor"], 1)) if text.get("use_cla") else 1


def _own_keys(text: Config, layers: int) -> int:
    """Return how many of so many layers have keys and values of their own."""
    return -(-layers // sharing(text))


def _caches(text: Config, layers: int) -> int:
    """Return how many caches so many layers with full attention keep."""
    if str(text.get("model_type", "")) in IN_CYCLES:  # the one stack runs L_cycles times, the other once, and all again
        return layers // 2 * _integer(text, ["H_cycles"], 2) * (_integer(text, ["L_cycles"], 3) + 1)
    if str(text.get("model_type", "")) in IN_STEPS:
        return layers * (_integer(text, ["total_ut_steps"], 4) or 1)
    return _own_keys(text, layers)


def _kv_layers(text: Config, dtype: str) -> tuple[KvLayers, ...]:
    wide = _widths(text)
    kinds = _layer_types(text, wide.layers)
    shared = _integer(text, ["num_kv_shared_layers"], 0)
    if shared:
        kinds = kinds[: len(kinds) - shared]
    window = _integer(text, ["sliding_window", "sliding_window_size"], 0)
    found: list[KvLayers] = []
    if _sequence(text.get("compress_ratios")):
        return _compressed_layers(text, wide)
    full = _caches(text, kinds.count("full"))
    rank = _latent_rank(text)
    if full and rank:
        found.append(KvLayers("mla", full, 1, rank + _integer(text, ["qk_rope_head_dim"], 0)))
        if text.get("index_topk") and text.get("index_head_dim"):
            # One fp8 vector and its fp32 scale per 128 elements.
            width = _integer(text, ["index_head_dim"])
            found.append(KvLayers("indexer", full, 1, width + 4 * ((width + 127) // 128)))
    elif full:
        heads = _integer(text, ["num_global_key_value_heads"], 0) or wide.kv_heads
        width = _integer(text, ["global_head_dim"], 0) or wide.head_dim
        value = 0 if str(text.get("model_type", "")) in EXPANDED else _integer(text, ["v_head_dim"], 0)
        found.append(KvLayers("full", full, heads, width, value or width))
    if kinds.count("sliding"):
        heads = _integer(text, ["swa_num_key_value_heads"], 0) or wide.kv_heads
        width = _integer(text, ["swa_head_dim"], 0) or wide.head_dim
        value = _integer(text, ["swa_v_head_dim", "v_head_dim"], 0) or width
        found.append(KvLayers("sliding", kinds.count("sliding"), heads, width, value, window))
    if kinds.count("chunked"):
        chunk = _integer(text, ["attention_chunk_size"])
        found.append(KvLayers("chunked", kinds.count("chunked"), wide.kv_heads, wide.head_dim, wide.head_dim, chunk))
    states = wide.layers if str(text.get("model_type", "")) in PARALLEL else kinds.count("state")
    if states:
        found.append(replace(_state(text, dtype), count=states))
    loops = _integer(text, ["loop_num"], 1)
    if loops > 1:  # the same weights once more, each time with a cache of its own (iquest_loopcoder.py of vLLM)
        again = _integer(text, ["loop_window_size"], 64)
        found.append(KvLayers("sliding", wide.layers * (loops - 1), wide.kv_heads, wide.head_dim, wide.head_dim, again))
    if "whisper" in str(text.get("model_type", "")) or text.get("is_encoder_decoder"):
        found.append(KvLayers("cross", wide.layers, wide.kv_heads, wide.head_dim, wide.head_dim))
    return tuple(found)


@dataclass(frozen=True)
class _Quantization:
    method: str = ""
    bits: float = 0.0
    cache: str = ""
    kept: tuple[str, ...] = ()
    attention_bits: float = 0.0
    attention: tuple[str, ...] = ()


def _quantization(config: Config, text: Config) -> _Quantization:
    """Return the method, bits per weight, the cache's own quantization, and what stays as it is."""
    found: Config = {}
    for part in (config, text):
        for name in ("quantization_config", "compression_config"):
            found = found or _mapping(part.get(name))
    if not found:
        return _Quantization()
    method = str(found.get("quant_method") or found.get("quant_algo") or "").lower().replace("_", "-")
    cache = str(found.get("kv_cache_quant_algo") or "")
    if not cache and _mapping(found.get("kv_cache_scheme")).get("num_bits") == 8:
        cache = "FP8"
    kept: list[str] = []
    for name in ("modules_to_not_convert", "ignore", "ignored_layers", "llm_int8_skip_modules", "exclude_modules"):
        kept += [str(item) for item in _sequence(found.get(name))]
    groups = [_mapping(group) for group in _mapping(found.get("config_groups")).values()]
    wide = [group for group in groups if any("attn" in str(item) for item in _sequence(group.get("targets")))]
    attention = tuple(str(item) for group in wide for item in _sequence(group.get("targets")))
    bits = _bits(found, method)
    of_attention = max((_group_bits(group) for group in wide), default=0.0)
    if len(groups) > 1:
        others = [_group_bits(group) for group in groups if group not in wide]
        bits = min(others, default=bits)
    return _Quantization(method or "unknown", bits, cache.lower(), tuple(kept), of_attention, attention)


def _group_bits(group: Config) -> float:
    """Return the bits of one weight in a group of compressed-tensors' ``config_groups``."""
    weights = _mapping(group.get("weights"))
    width = weights.get("num_bits")
    if not isinstance(width, (int, float)):
        return 16.0
    return _grouped_bits(float(width), weights.get("group_size"), weights.get("type") == "float")


def _bits(found: Config, method: str) -> float:
    """Return the bits that one converted weight takes with its scales."""
    algorithm = str(found.get("quant_algo") or "").lower()
    for word, name in (("nvfp4", "nvfp4"), ("fp8", "fp8"), ("awq", "awq"), ("w4", "awq"), ("int8", "int8")):
        if word in algorithm:
            return QUANTIZED_BITS[name]
    if method == "gguf":
        return gguf_bits(str(found.get("type", "")))
    for group in _mapping(found.get("config_groups")).values():
        return _group_bits(_mapping(group))
    number = found.get("bits", found.get("w_bit"))
    if isinstance(number, (int, float)) and method != "fp8":
        return _grouped_bits(float(number), found.get("group_size", found.get("q_group_size", 128)), False)
    if found.get("load_in_8bit") or found.get("_load_in_8bit"):
        return QUANTIZED_BITS["int8"]
    return QUANTIZED_BITS.get(method, 16.0)


def _grouped_bits(width: float, size: object, is_float: bool) -> float:
    """Return the bits of one weight with its share of a scale: fp8 per 16 for fp4, 16 bits per group otherwise."""
    if width == 4 and is_float:
        return QUANTIZED_BITS["nvfp4"]
    if isinstance(size, int) and size > 0 and width < 8:
        return width + (16 + width) / size
    return width if width >= 8 else width + 0.16


# The large projections of attention, as checkpoints name them; not the small ones beside them (gates, norms).
_PROJECTION = r"(\.\*|\*|$|\.(q|k|v|o|qkv|in|out)_proj$|\.in_proj_(qkvz?|z)$)"


def _kept_share(kept: Iterable[str], word: str, layers: int) -> float:
    """Return the share of the layers whose projections of that name stand in a list of modules."""
    numbered: set[str] = set()
    for name in kept:
        if not re.search(word + _PROJECTION, name):
            continue
        number = re.search(r"layers\.(\d+)\.", name)
        if number is None:
            return 1.0
        numbered.add(number.group(1))
    return min(1.0, len(numbered) / max(1, layers))


def _mixed_share(found: _Quantization, word: str, layers: int) -> float:
    """Return the share of such projections that, at 16 bits, would take what they take at their own precision."""
    kept = _kept_share(found.kept, word, layers)
    if found.attention_bits > found.bits and _kept_share(found.attention, word, layers):
        kept = max(kept, (found.attention_bits - found.bits) / (16 - found.bits))
    return kept


def gguf_bits(name: str) -> float:
    """Return the bits per weight of a GGUF type such as ``Q4_K_M`` (llama.cpp's table of block layouts)."""
    found = re.search(r"Q(\d)_(K|\d)", name.upper())
    if not found:
        return 16.0
    return {2: 2.63, 3: 3.91, 4: 4.85 if found.group(2) == "K" else 4.5, 5: 5.69, 6: 6.56, 8: 8.5}.get(
        int(found.group(1)), 8.5
    )


def encoder_heads(config: Config) -> tuple[int, ...]:
    """Return the heads of a model's encoders of images and sound, as far as its config.json says them."""
    parts = [_mapping(config.get(name)) for name in ("vision_config", "vit_config", "audio_config")]
    names = ("num_attention_heads", "num_heads", "encoder_attention_heads")
    return tuple(filter(None, (_integer(part, names, 0) for part in parts)))


def _vision(config: Config) -> Vision:
    """Return the image encoder, from ``vision_config`` (or its older names) at any level."""
    parts = (config, _mapping(config.get("thinker_config")), _mapping(config.get("vlm_config")))
    vision = next((found for part in parts if (found := _mapping(part.get("vision_config")))), {})
    vision = vision or _mapping(config.get("vit_config"))
    vision = vision or _mapping(_mapping(config.get("visual_tokenizer_config")).get("backbone_config"))
    towers = [_mapping(one) for one in _mapping(vision.get("width")).values()]
    if towers:  # DeepSeek-OCR has two; the larger one decides
        largest = max(_integer(one, ["width"], 0) for one in towers)
        vision = {**vision, **next(one for one in towers if _integer(one, ["width"], 0) == largest)}
    if not vision and _mapping(config.get("img_processor")):
        # Phi-3-vision: CLIP ViT-L/14 at 336 pixels; 16 crops and the whole, 144 tokens each, and separators.
        return Vision(1024, 4096, 24, 2509, 4)
    if not vision:
        return Vision()
    hidden = _integer(vision, ["hidden_size", "embed_dim", "width"], 1024)
    layers = _integer(vision, ["num_hidden_layers", "depth", "layers"], 24)
    inner = _integer(vision, ["intermediate_size"], 4 * hidden)
    merge = _integer(vision, ["spatial_merge_size"], 0) or _integer(config, ["spatial_merge_size"], 0)
    outer = str(config.get("model_type", ""))
    patches = max(1, merge * merge)
    side = _integer(vision, ["image_size"], 336) // max(1, _integer(vision, ["patch_size"], 14))
    if "qwen" in outer:
        tokens = 16384
    elif outer.startswith("gemma"):
        tokens, patches = _integer(vision, ["default_output_length"], 256), 16
    elif outer == "llava_next":
        tokens = 2928
    elif outer.startswith("internvl"):  # tiles of 256 tokens, as many as the config allows, and the whole
        tokens, patches = 256 * (_integer(config, ["max_dynamic_patch"], 12) + 1), 4
    elif outer.startswith("glm4v"):
        tokens = 6144
    else:
        tokens = max(1, (side // max(1, merge)) ** 2)
    return Vision(
        hidden,
        inner,
        layers,
        tokens,
        patches,
        long_video=outer in ("qwen2_vl", "qwen2_5_vl", "qwen2_5_omni"),
        is_gated=outer in ("qwen2_5_vl", "qwen2_5_omni", "mistral3", "pixtral", "llama4"),
    )


def _attention_parameters(text: Config, wide: _Widths, kinds: list[str]) -> tuple[int, int, int]:
    """Return the sharded weights of attention, those of the keys and values, and the replicated ones."""
    hidden, heads = wide.hidden, wide.heads
    rank = _integer(text, ["kv_lora_rank"], 0)
    full, sliding = kinds.count("full"), kinds.count("sliding") + kinds.count("chunked")
    if str(text.get("model_type", "")) in IN_TURN:
        blocks, width = _integer(text, ["num_mem_blocks"], 1), heads * wide.head_dim
        adapters = 6 * width * _adapter_rank(text) if text.get("use_shared_attention_adapter") else 0
        return blocks * width * (width + hidden) + full * adapters, blocks * 2 * width * width, full * hidden * hidden
    if rank:
        nope, rope = _integer(text, ["qk_nope_head_dim"], 128), _integer(text, ["qk_rope_head_dim"], 64)
        value = _integer(text, ["v_head_dim"], 128 if _latent_rank(text) else hidden // heads)
        query = _integer(text, ["q_lora_rank"], 0)
        sharded = (query or hidden) * heads * (nope + rope) + rank * heads * (nope + value) + heads * value * hidden
        same = hidden * (rank + rope) + (hidden * query if query else 0)
        if text.get("index_topk"):
            width, lanes = _integer(text, ["index_head_dim"], 128), _integer(text, ["index_n_heads"], 64)
            same += (query or hidden) * width * lanes + hidden * (width + lanes)
        return full * sharded, 0, full * same
    gate = 2 if text.get("attn_output_gate") or str(text.get("model_type", "")) == "qwen3_next" else 1
    sharded = key_value = 0
    for count, width, kv_heads in (
        (sliding, wide.head_dim, wide.kv_heads),
        (
            full,
            _integer(text, ["global_head_dim"], 0) or wide.head_dim,
            _integer(text, ["num_global_key_value_heads"], 0) or wide.kv_heads,
        ),
    ):
        sharded += count * hidden * heads * width * (1 + gate)
        key_value += _own_keys(text, count) * 2 * hidden * kv_heads * width
    return sharded, key_value, 0


def _adapter_rank(text: Config) -> int:
    return _integer(text, ["adapter_rank"], 128)


def _state_parameters(text: Config, wide: _Widths, states: int) -> int:
    if not states:
        return 0
    hidden = wide.hidden
    linear = _mapping(text.get("linear_attn_config"))
    if text.get("linear_num_value_heads"):
        key_width = _integer(text, ["linear_num_key_heads"]) * _integer(text, ["linear_key_head_dim"])
        values = _integer(text, ["linear_num_value_heads"])
        value_width = values * _integer(text, ["linear_value_head_dim"])
        return states * hidden * (2 * key_width + 3 * value_width + 2 * values)
    if linear or text.get("linear_num_heads"):
        source = linear or text
        heads = _integer(source, ["num_heads", "linear_num_heads"])
        width = heads * _integer(source, ["head_dim", "linear_head_dim"])
        return states * hidden * 4 * width
    if text.get("conv_L_cache"):
        return states * 4 * hidden * hidden
    if _has_linear_groups(text):
        heads = wide.heads
        return states * hidden * 5 * heads * _integer(text, ["head_dim"], hidden // heads)
    heads = _integer(text, ["mamba_num_heads", "mamba_n_heads", "n_mamba_heads"], 0)
    inner = _mamba_width(text, hidden)
    groups = _integer(text, ["n_groups", "mamba_n_groups", "mamba_ngroups"], 1)
    wide_state = _integer(text, ["ssm_state_size", "mamba_d_state", "state_size"], 16)
    return states * hidden * (3 * inner + 2 * groups * wide_state + heads)


@dataclass(frozen=True)
class _Feedforward:
    inner: int
    experts: int
    top: int
    moe_inner: int
    is_gated: bool
    dense: int
    routed: int
    routers: int
    dense_width: int
    shared_width: int


WIDTH_KEYS = ("block_ff_dim", "intermediate_size", "ffn_hidden_size", "n_inner", "ffn_dim", "d_ff")
"""LFM2's own name counts before the other (its config class in transformers)."""

TOP_KEYS = ("top_k_experts", "moe_topk", "moe_top_k", "moe_k")
STEP_KEYS = ("decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_freq", "expert_layer_period")
SHARED_KEYS = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "num_shared_expert")


def _feedforward(text: Config, wide: _Widths) -> _Feedforward:
    model_type = str(text.get("model_type", ""))
    is_gated = model_type not in UNGATED
    per = 3 if is_gated else 2
    inner = _integer(text, WIDTH_KEYS, 4 * wide.hidden)
    inner = inner // 2 if model_type in GATE_COUNTED else inner
    if text.get("block_auto_adjust_ff_dim"):  # LFM2
        step = _integer(text, ["block_multiple_of"], 0) or 256
        factor = _number(text.get("block_ffn_dim_multiplier")) or 1
        inner = -(-int(2 * inner / 3 * factor) // step) * step
    experts = _integer(text, ["num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"], 0)
    experts = experts if experts > 1 else 0  # Jamba without experts has one
    top = _integer(text, ["num_experts_per_tok", "num_experts_per_token", *TOP_KEYS], 1)
    moe_inner = _integer(text, ["moe_intermediate_size", "expert_ffn_hidden_size"], inner)
    layers = wide.layers
    blocks = [str(item) for item in _sequence(text.get("layers_block_type"))]
    if model_type in TWICE:
        sparse, plain = layers, 2 * layers
    elif model_type in IN_TURN:
        sparse, plain = 0, _integer(text, ["num_mem_blocks"], 1)
    elif text.get("hybrid_override_pattern"):
        pattern = str(text["hybrid_override_pattern"])
        sparse, plain = (pattern.count("E"), pattern.count("-")) if experts else (0, pattern.count("-"))
    elif {"moe", "mlp"}.intersection(blocks):
        sparse, plain = blocks.count("moe"), blocks.count("mlp")
    elif not experts:
        sparse, plain = 0, layers
    else:
        listed = _sequence(text.get("mlp_layer_types"))
        step = _integer(text, STEP_KEYS, 1) or 1
        plain = _integer(text, ["first_k_dense_replace", "moe_layer_start_index", "num_dense_layers"], 0)
        plain = plain or len(_sequence(text.get("mlp_only_layers")))
        enumerated = text.get("moe_layers_enum")
        if isinstance(enumerated, str) and enumerated:
            plain = layers - len(enumerated.split(","))
        if listed:
            plain = sum(str(item) == "dense" for item in listed)
        elif step > 1:
            plain = layers - layers // step
        if text.get("enable_moe_block"):  # Gemma 4: a dense part beside the experts in each layer
            plain, sparse = layers, layers
        else:
            sparse = layers - plain
    shared = _integer(text, ["moe_shared_expert_intermediate_size", "shared_expert_intermediate_size"], 0)
    shared = shared or _integer(text, ["share_expert_dim", "share_expert_dims", "shared_intermediate_size"], 0)
    shared = shared or moe_inner * _integer(text, SHARED_KEYS, 0) or (inner if model_type in SHARES_ONE else 0)
    shared = inner if text.get("residual_moe") else shared  # Grok 2
    dense_inner = _integer(text, ["intermediate_size_mlp"], 0) or inner
    dense = per * wide.hidden * (plain * dense_inner + sparse * shared)
    widths = _block_widths(text, wide.hidden)
    if widths:
        dense_inner, dense = max(widths), per * wide.hidden * sum(widths)
    # Experts in a narrower space of their own, with a projection into it and one back (Nemotron 3 Super, Kimi-K3).
    narrow = _integer(text, ["moe_latent_size", "routed_expert_hidden_size"], 0)
    routed = sparse * per * (narrow or wide.hidden) * _routed_width(text, experts, moe_inner)
    dense += sparse * 2 * wide.hidden * narrow
    dense += blocks.count("hybrid") * _adapter_rank(text) * (wide.hidden + 2 * inner) if model_type in IN_TURN else 0
    routers = sparse * experts * wide.hidden
    narrowest = (dense_inner if plain else 0), (shared if sparse else 0)
    return _Feedforward(dense_inner, experts, top, moe_inner, is_gated, dense, routed, routers, *narrowest)


def _block_widths(text: Config, hidden: int) -> list[int]:
    """Return the feed-forward width of each layer where they differ (nemotron_nas.py of vLLM)."""
    factors = [_number(_mapping(_mapping(block).get("ffn")).get("ffn_mult")) for block in _blocks(text)]
    return [-(-int(2 * factor * hidden / 3) // 256) * 256 for factor in factors if factor]


def _routed_width(text: Config, experts: int, inner: int) -> int:
    """Return how wide all experts of a layer are together; some have experts of their own for images (ERNIE 4.5 VL)."""
    counts, widths = _sequence(text.get("moe_num_experts")), _sequence(text.get("moe_intermediate_size"))
    numbers = [(n, width) for n, width in zip(counts, widths) if isinstance(n, int) and isinstance(width, int)]
    if len({width for _count, width in numbers}) > 1 and len(numbers) == len(widths):
        return sum(count * width for count, width in numbers)
    return experts * inner


def _by_layer(text: Config, layers: int) -> int:
    """Return the embeddings that each layer has of its own (Gemma 3n and 4, the small ones)."""
    width = _integer(text, ["hidden_size_per_layer_input"], 0)
    return layers * width * _integer(text, ["vocab_size_per_layer_input", "vocab_size"], 0)


LENGTH_KEYS = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "model_max_length",
    "max_target_positions",
    "max_sequence_length",
    "max_seq_length",
    "seq_len",
)


def longest(config: Mapping[str, object], *, is_yarn_scaled: bool = False) -> int:
    """Return the longest context (tokens) that vLLM derives from a config, 0 where it says none.

    As in ``_get_and_verify_max_len`` of vLLM's ``config/model.py``.

    Args:
        config: config.json as data.
        is_yarn_scaled: whether a config with YaRN is taken to say its length with it; else the longer of the two
            readings that versions make of it.
    """
    text = text_config(config)
    lengths = [int(value) for value in map(_number, map(text.get, LENGTH_KEYS)) if value is not None]
    longest = text.get("model_max_length")
    if isinstance(longest, int) and longest > 0:  # as Command-R has it, beside what it was trained with
        lengths = [longest]
    if not lengths:
        return 0
    scaling = text.get("rope_scaling") or text.get("rope_parameters") or {}
    if not isinstance(scaling, Mapping) or "gemma3" in str(config.get("model_type")):
        return min(lengths)
    kind, factor = scaling.get("rope_type", scaling.get("type")), _number(scaling.get("factor") or 1)
    first = _number(scaling.get("original_max_position_embeddings"))
    if kind == "yarn" and first is not None and factor is not None and not is_yarn_scaled:
        return max(min(lengths), int(first * factor))
    if kind in ("linear", "dynamic") and factor is not None:
        return int(min(lengths) * factor)
    return min(lengths)


def read_model(config: Mapping[str, object], weights_bytes: int | None = None) -> ModelFacts:
    """Return what a config.json says about memory.

    Args:
        config: config.json as data.
        weights_bytes: size of the files; None: it is estimated from the widths and the quantization.

    Raises:
        Refusal: the config lacks what decides memory, or says nonsense.
    """
    if not isinstance(config, Mapping) or not config:
        raise Refusal("model_config is empty; wanted the model's config.json as a mapping")
    if weights_bytes is not None and weights_bytes < 1:
        raise Refusal(f"weights_bytes is {weights_bytes}; wanted the size of the weight files in bytes, or nothing")
    text = text_config(config)
    wide = _widths(text)
    dtype = _dtype(config, text)
    kinds = _layer_types(text, wide.layers)
    quantization = _quantization(config, text)
    vision = _vision(config)
    tied = bool(config.get("tie_word_embeddings", text.get("tie_word_embeddings", _tied_by_class(text))))
    vocab = _integer(text, ["vocab_size", "padded_vocab_size"])
    forward = _feedforward(text, wide)
    attention, key_value, same = _attention_parameters(text, wide, kinds)
    mtp = _integer(text, ["num_nextn_predict_layers", "mtp_num_hidden_layers"], 0)
    states = wide.layers if str(text.get("model_type", "")) in PARALLEL else kinds.count("state")
    state = _state_parameters(text, wide, states)
    full_kept = _mixed_share(quantization, "(self_attn|attention|mixer)", max(1, kinds.count("full")))
    state_kept = _mixed_share(quantization, "(linear_attn|mixer|mamba)", states)
    rank = _latent_rank(text)
    up = rank * wide.heads * (_integer(text, ["qk_nope_head_dim"], 128) + _integer(text, ["v_head_dim"], 128))
    per_layer = (attention + key_value + same + forward.routed + forward.dense) // wide.layers
    if mtp and forward.routed:
        per_layer = 3 * wide.hidden * forward.moe_inner * (forward.experts + 1) + (attention + same) // wide.layers
    parameters = Parameters(
        embedding=vocab * wide.hidden,
        head=0 if tied else vocab * wide.hidden,
        attention=attention + state,
        key_value=key_value,
        dense=forward.dense,
        experts=forward.routed,
        replicated=same + forward.routers + 2 * wide.layers * wide.hidden + _by_layer(text, wide.layers),
        vision=vision.parameters + (wide.hidden * (wide.hidden + 4 * vision.hidden_size) if vision.layers else 0),
        draft=mtp * per_layer,
        kept=int(full_kept * (attention + key_value) + state_kept * state),
        absorbed=kinds.count("full") * up if rank else 0,
    )
    architectures = _sequence(config.get("architectures"))
    return ModelFacts(
        architecture=str(architectures[0]) if architectures else "",
        model_type=str(config.get("model_type", text.get("model_type", ""))),
        hidden_size=wide.hidden,
        intermediate_size=forward.inner,
        layers=wide.layers,
        kv_layers=_kv_layers(text, dtype),
        heads=wide.heads,
        kv_heads=wide.kv_heads,
        head_dim=wide.head_dim,
        vocab_size=vocab,
        max_position=_integer(
            text, ["max_position_embeddings", "model_max_length", "seq_length", "max_sequence_length", "n_positions"], 0
        ),
        dtype=dtype,
        tie_word_embeddings=tied,
        experts=forward.experts,
        experts_per_token=forward.top,
        moe_intermediate_size=forward.moe_inner,
        quantization=quantization.method,
        quantized_bits=quantization.bits,
        kv_cache_quantization=quantization.cache,
        unquantized=quantization.kept,
        vision=vision,
        parameters=parameters,
        weights_bytes=weights_bytes or 0,
        weights_estimated=weights_bytes is None,
        is_gated=forward.is_gated,
        kv_lora_rank=rank,
        draft_layers=mtp,
        longest=longest(config),
        dense_width=forward.dense_width,
        shared_width=forward.shared_width,
    )


def _tied_by_class(text: Config) -> bool:
    return str(text.get("model_type", "")).startswith(TIED)
