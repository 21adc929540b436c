# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that do not go together, or not with the model: vLLM ends before it loads anything.

Sources, of 0.32: _check_valid_dtype of vllm/config/model.py; get_supported_act_dtypes of vllm/model_executor/layers/
quantization, and what their kernels take; vllm/config/scheduler.py; vllm/config/speculative.py; entrypoints/launchers/
cli_args.py (the parser for tool calls); the backends of vllm/v1/attention (size of a block); vllm/config/parallel.py,
and verify_with_parallel_config of model.py (experts); vllm/config/lora.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from ..core import names
from ..core.errors import Refusal
from . import adapters, releases
from .compatibility import precision_of
from .facts import speculative
from .facts.precisions import FLOAT16_UNFIT
from .situation import Situation
from .wishes import Wishes, number

IN_FLOAT32 = frozenset({"", "bitsandbytes", "gguf", "torchao"})
"""Methods of quantization whose kernels compute in float32 too."""

IN_BFLOAT16_ALONE = frozenset({"mxfp4", "modelopt_mxfp8", "fp_quant"})

CACHE_AS_MODEL_SINCE = (0, 33)
"""From here on a cache in 16 bits has the model's dtype (_reject_mismatched_float_kv_cache of vllm/config/vllm.py)."""

ROWS_OF_ATTENTION = 16
"""A block of the cache holds a multiple of so many tokens."""

WITH_DRAFTER = frozenset({"eagle", "eagle3", "medusa", "mlp_speculator", "draft_model", "dflash", "dspark"})
"""Methods of guessing that take a second model."""

COUNTED = WITH_DRAFTER - {"mlp_speculator", "dflash", "dspark"} | {"ngram", "ngram_gpu"}
"""Methods that do not find out by themselves how many tokens to guess."""

WITHOUT_MTP = frozenset(
    "llama qwen2 qwen2_moe qwen3 qwen3_moe qwen2_vl qwen2_5_vl qwen3_vl qwen3_vl_moe mistral mistral3 mixtral phi3 "
    "gemma2 gemma3 gemma3_text gpt_oss granite cohere cohere2 olmo2 olmo3 smollm3".split()
)
"""Model types that bring no layers to guess with, and for which vLLM has none."""


def check(situation: Situation, wishes: Wishes) -> None:
    """Refuse the first conflict.

    Raises:
        Refusal: with what to set instead.
    """
    for kind in (_dtypes, _steps, _guesses, _served, _engines, _others):
        for conflict in kind(situation, wishes):
            raise Refusal(conflict)


def _dtypes(situation: Situation, wishes: Wishes) -> Iterator[str]:
    model, wished = situation.model, {"half": "float16", "float": "float32"}.get(wishes.dtype or "", wishes.dtype or "")
    if wished == "float16" and model.model_type in FLOAT16_UNFIT:
        yield (
            f"dtype is float16, and vLLM ends with \"The model type '{model.model_type}' does not support float16\"; "
            "wanted bfloat16, or float32 on GPUs below 8.0; set dtype to auto"
        )
    cache = wishes.kv_cache_dtype
    if cache in ("float16", "bfloat16") and cache != model.dtype and situation.number >= CACHE_AS_MODEL_SINCE:
        yield (
            f"kv_cache_dtype is {cache} and the model runs in {model.dtype}, with which vLLM ends since 0.33; wanted "
            "one of both; set kv_cache_dtype to auto"
        )
    method = precision_of(situation.config, "auto", wishes.quantization or "auto").method
    if not situation.nodes or not method:
        return
    cure = "set dtype to auto" if wished else "choose the model in 16-bit weights, or a GPU from 8.0 on"
    if model.dtype == "float32" and method not in IN_FLOAT32:
        old = "" if wished else f", as the GPU has no bfloat16 and vLLM does not serve {model.model_type} in float16"
        yield f"found {method} weights and dtype float32{old}; vLLM has no kernels for that; wanted 16 bits; {cure}"
    if model.dtype == "float16" and method in IN_BFLOAT16_ALONE:
        yield f"found {method} weights and dtype float16; vLLM serves them in bfloat16 alone; wanted that; {cure}"


def _steps(_situation: Situation, wishes: Wishes) -> Iterator[str]:
    tokens, seqs, length = wishes.max_num_batched_tokens, wishes.max_num_seqs, wishes.max_model_len or wishes.context
    if tokens and seqs and tokens < seqs:
        yield (
            f"max_num_batched_tokens is {tokens} and max_num_seqs is {seqs}; wanted a token for each request at least; "
            f"set max_num_batched_tokens to {seqs} or more"
        )
    if tokens and length and tokens < length and not cuts_prompts(wishes.extra_args):
        yield (
            f"max_num_batched_tokens is {tokens}, less than max_model_len {length}, and enable-chunked-prefill is off, "
            f"so that no step holds a long prompt; wanted one that does; set max_num_batched_tokens to {length}, or "
            "take enable-chunked-prefill out of args"
        )


def cuts_prompts(args: Mapping[str, object]) -> bool:
    """Whether a long prompt may be read in several steps, as it is by default."""
    return args.get("enable-chunked-prefill") is not False


def _guesses(situation: Situation, wishes: Wishes) -> Iterator[str]:
    said = wishes.speculative or {}
    method = str(said.get("method") or "")
    version = situation.version
    known = releases.at(speculative.PARTS, version) if situation.number >= releases.OLDEST else dict.fromkeys(said)
    for part in (one for one in said if one not in known):
        when = releases.known_since(speculative.PARTS, part, version)
        cure = names.did_you_mean(str(part), known) or "; take it out of speculative-config"
        yield (
            f"speculative-config has {part!r}, which vLLM {version} does not know and ends"
            f"{f' ({when})' if when else ''}; wanted a name that it knows{cure}"
        )
    if method and method not in speculative.METHODS and not method.endswith("_mtp"):
        cure = names.did_you_mean(method, speculative.METHODS) or "; give it such as ngram, or remove it"
        yield (
            f"speculative-config has the method {method!r}, which no vLLM knows; wanted one of "
            f"{', '.join(sorted(speculative.METHODS))}, or one of the model's family{cure}"
        )
    if method in WITH_DRAFTER and not said.get("model"):
        yield (
            f"speculative-config has the method {method} and no model; wanted the model that guesses; give it "
            "that as model, such as a folder within /model, which is the model's own"
        )
    guessed = said.get("num_speculative_tokens")
    if guessed is not None and not number(guessed):
        yield (
            f"speculative-config has num_speculative_tokens {guessed!r}; wanted a whole number from 1; give it such as "
            "3, or remove speculative-config"
        )
    if method in COUNTED and not number(guessed):
        yield (
            f"speculative-config has the method {method} and no num_speculative_tokens; wanted how many tokens to "
            "guess; give it num_speculative_tokens, such as 3"
        )
    least, most = number(said.get("prompt_lookup_min")), number(said.get("prompt_lookup_max"))
    if least and most and least > most:
        yield (
            f"speculative-config has prompt_lookup_min {least} and prompt_lookup_max {most}; wanted a minimum no "
            f"larger than that; give it prompt_lookup_min: {most}"
        )
    if said and not method and not said.get("model"):
        yield (
            "speculative-config has neither method nor model, with which vLLM ends ('num_speculative_tokens was "
            "provided but without speculative model'); wanted one; give it a method such as ngram, or remove it"
        )
    model = situation.model
    if method.endswith("mtp") and model.model_type in WITHOUT_MTP and not (model.draft_layers or said.get("model")):
        yield (
            f"speculative-config has the method {method}, and {model.model_type} has no layers that guess "
            "(MTP); wanted another method; give it the method ngram, or remove it"
        )


def _others(situation: Situation, wishes: Wishes) -> Iterator[str]:
    args = wishes.extra_args
    limits = args.get("limit-mm-per-prompt")
    for kind, told in limits.items() if isinstance(limits, Mapping) else ():
        count = told.get("count", 0) if isinstance(told, Mapping) else told
        if number(count) is None:
            yield (
                f"args holds limit-mm-per-prompt with {count!r} for {kind}; wanted a whole number from 0; give it such "
                "as 1, or remove it"
            )
    transfer = args.get("kv-transfer-config")
    if isinstance(transfer, Mapping) and transfer.get("kv_connector") and transfer.get("kv_role") not in ROLES:
        yield (
            f"kv-transfer-config has a kv_connector and the kv_role {transfer.get('kv_role')!r}, with which vLLM ends; "
            f"wanted one of {', '.join(ROLES)}; give it kv_role: kv_both, or remove kv-transfer-config from args"
        )
    block = number(args.get("block-size"))
    if block and block % ROWS_OF_ATTENTION and situation.nodes and not args.get("attention-backend"):
        yield (
            f"args holds block-size {block}; wanted a multiple of {ROWS_OF_ATTENTION}, as vLLM's attention on GPUs has "
            "it; give args block-size: 16, or remove it"
        )


ROLES = ("kv_both", "kv_consumer", "kv_producer")
"""Of an engine that shares its cache (__post_init__ of vllm/config/kv_transfer.py)."""

POOLED = frozenset({"embed", "classify", "reward"})
"""Words of ``convert`` with which a model writes nothing."""


def _served(situation: Situation, wishes: Wishes) -> Iterator[str]:
    """Yield what would have vLLM serve a model for something else than it is planned for."""
    runner, convert = wishes.extra_args.get("runner"), wishes.extra_args.get("convert")
    cure = "set the model's task in gpuchat_models to what it is for, which gives vLLM that, or remove it"
    if situation.is_for_chat and (runner == "pooling" or convert in POOLED):
        given = "runner pooling" if runner == "pooling" else f"convert {convert}"
        yield (
            f"args holds {given}, with which vLLM answers nobody who chats, and the model is planned to chat; wanted "
            f"one of both; {cure}"
        )
    if situation.is_pooling and runner in ("generate", "draft"):
        yield (
            f"args holds runner {runner}, with which vLLM makes no vectors and no scores, and the model is planned for "
            f"{situation.task}; wanted one of both; {cure}"
        )


def _engines(situation: Situation, wishes: Wishes) -> Iterator[str]:
    """Yield what is said of the layout beside the sizes that the plan knows."""
    args = wishes.extra_args
    if args.get("enable-expert-parallel") and not situation.model.experts:
        yield (
            "args holds enable-expert-parallel and the model has no experts, with which vLLM ends ('Number of experts "
            "in the model must be greater than 0'); wanted a mixture of experts; remove it"
        )
    if args.get("enable-eplb") and not args.get("enable-expert-parallel"):
        yield (
            "args holds enable-eplb and not enable-expert-parallel, with which vLLM ends ('enable_expert_parallel must "
            "be True to use EPLB'); wanted both; give args enable-expert-parallel: true, or remove enable-eplb"
        )
    if (number(args.get("prefill-context-parallel-size")) or 1) > 1:
        yield (
            "args holds prefill-context-parallel-size, which takes GPUs beside those of the plan and serves models of "
            "latent attention (MLA) alone; wanted an engine without; remove it"
        )
    loras, kept = number(args.get("max-loras")) or 1, number(args.get("max-cpu-loras"))
    if args.get("enable-lora") and kept is not None and kept < loras:
        yield (
            f"args holds max-cpu-loras {kept} and max-loras {loras}; wanted as many in the host's memory as on the "
            f"GPUs at least; give args max-cpu-loras: {loras}, or remove it"
        )


NO_MORE_THAN = {"max-num-active-seqs": "max-num-seqs", "long-prefill-token-threshold": "max-model-len"}
"""Options that vLLM refuses above another (verify_max_model_len of vllm/config/scheduler.py)."""


def of_arguments(args: Mapping[str, object]) -> Iterator[str]:
    """Yield what is wrong among the arguments as they go to vLLM, the plan's own with them."""
    if args.get("enable-auto-tool-choice") and not args.get("tool-call-parser"):
        yield (
            "args holds enable-auto-tool-choice and no tool-call-parser, which vLLM refuses; wanted both; give "
            "args a tool-call-parser, or remove enable-auto-tool-choice"
        )
    for name, other in NO_MORE_THAN.items():
        most, found = number(args.get(other)), number(args.get(name))
        if most and found and found > most:
            yield f"args holds {name} {found} and {other} is {most}; wanted no more than that; give args {name}: {most}"
    guess, ranks = args.get("speculative-config"), number(args.get("tensor-parallel-size")) or 1
    asked = number(guess.get("draft_tensor_parallel_size")) if isinstance(guess, Mapping) else None
    if asked and asked not in (1, ranks):
        yield (
            f"speculative-config has draft_tensor_parallel_size {asked} and the model runs on {ranks} GPUs; wanted 1 "
            "or as many; remove it"
        )


def warnings(args: Mapping[str, object]) -> Iterator[str]:
    """Yield what starts and does not do what is meant."""
    if args.get("tool-call-parser") and not args.get("enable-auto-tool-choice"):
        yield (
            "args holds tool-call-parser and no enable-auto-tool-choice, so that requests with tools are refused "
            "unless they name one; give args enable-auto-tool-choice: true"
        )
    for what, place in _places(args):
        if not place.startswith(SEEN):
            yield (
                f"args holds {what}, and an engine has no network, and sees of its host the model's folder alone, as "
                "/model; give a path within that, or the model in gpuchat_models an image that holds it"
            )


SEEN = ("/model/", f"{adapters.PLACES}/", "/vllm-workspace/")
"""How paths of files begin that an engine sees: of its model, of its adapters, and what upstream's image holds."""

BY_PATH = ("tokenizer", "hf-config-path", "chat-template", "tool-parser-plugin", "reasoning-parser-plugin")
"""Options that name a file, a folder or a repository of a hub; a template may stand there itself."""


def _places(args: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield what an engine has to find beside its model: in words, and the place."""
    for name in BY_PATH:
        given = args.get(name)
        if isinstance(given, str) and given and not any(sign in given for sign in "{\n"):
            yield f"{name} {given}", given.rstrip("/") + "/"
    guess = args.get("speculative-config")
    if isinstance(guess, Mapping) and isinstance(guess.get("model"), str) and guess.get("method") != "ngram":
        yield f"{guess['model']} as the model of speculative-config", f"{guess['model']}/"
    listed = args.get("lora-modules")
    for one in listed if isinstance(listed, (list, tuple)) else [listed]:
        given = _adapter_path(one)
        if given:
            yield f"an adapter at {given}", f"{given}/"


def _adapter_path(given: object) -> str:
    """Return where an adapter is, which is written as NAME=PATH or as JSON; '' where that cannot be read."""
    text = given if isinstance(given, str) else ""
    if not text.lstrip().startswith("{"):
        return text.partition("=")[2]
    try:
        return str(json.loads(text).get("path") or "")
    except ValueError:
        return ""
