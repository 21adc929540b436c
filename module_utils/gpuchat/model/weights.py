# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a repository's weights the engine reads, and what people take for a model that is none for it.

Sources: vLLM 0.18 to 0.26 (model_executor/model_loader/default_loader, weight_utils; config/load;
transformers_utils/config), huggingface_hub 2.4 (what repositories hold).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from ..core.errors import Refusal
from .files import INDEX_ENDING, OTHER_ENGINES, PICKLES, Listing, matches

WEIGHT_ENDINGS = (".safetensors", ".bin", ".pt", ".gguf")
OWN_LAYOUT = "consolidated"
"""How the names of weights in Mistral's own layout begin; params.json is its config."""

CONFIGS = ("config.json", "params.json")
"""What says what the weights are of: Transformers' and Mistral's own."""

INDEXES = (f"model{INDEX_ENDING}", f"{OWN_LAYOUT}{INDEX_ENDING}")
"""What the engine reads to know its shards."""

COPY = re.compile(
    r"(original|metal|onnx|openvino|coreml|flax|tf"
    r"|(checkpoint|ckpt|global_?step|step|epoch|iter)s?([-_]?\d[^/]*)?"
    r"|([^/]*[-_.])?(fp8|fp16|fp32|bf16|int[48]|w[48]a(8|16)|[48][-_]?bit|awq|gptq|bnb|exl[23]|nvfp4|mxfp4)([-_.][^/]*)?"
    r")/",
    re.IGNORECASE,
)
"""Folders that hold the same weights once more, in another layout or precision or from an earlier step."""

VARIANT = re.compile(r"model\.(fp8|fp16|fp32|bf16|int[48]|(non_)?ema)(-\d{5}-of-\d{5})?\.safetensors")
"""The same weights once more, by the name that Transformers gives them (``variant``)."""

MODULE = re.compile(r"\d+_\w+/")
"""Folders of a sentence transformer's further layers, which the engine reads."""

COMPUTED = ("rotary_emb.inv_freq", "rotary_pos_emb.inv_freq", "cos_cached", "sin_cached", "attn.masked_bias")
"""Endings of tensors that the engine computes itself."""

NO_WEIGHTS = (
    *("training_args.bin", "optimizer.*", "scheduler.*", "scaler.*", "rng_state*", "*/training_args.bin"),
    *("*mp_rank_*.pt", "*_optim_states.pt", "*/optimizer.*", "*/scheduler.*", "*/scaler.*", "*/rng_state*"),
)
"""What a training leaves beside a model; DeepSpeed and Megatron write their own parts of it."""

FOREIGN = re.compile(r"ggml[-_].*\.bin|openvino_\w*\.bin|params_shard_\d+\.bin")
VOCABULARY = re.compile(r"(shared_|source_|target_)?vocabulary\.(json|txt)")
"""What CTranslate2 keeps beside its model.bin."""

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin", "adapter_model.pt")
OF_ADAPTERS = (ADAPTER_CONFIG, ADAPTER_WEIGHTS[0])
"""What the engine reads of an adapter; a training leaves its steps beside that."""

PART = re.compile(r"-\d{5}-of-\d{5}(?=\.gguf$)")
PARTS = re.compile(r"(.*)-(\d{5,6})-of-(\d{5,6})(\.safetensors|\.gguf)")
AT_A_HUB = re.compile(r"\w[\w.-]*/[\w.-]+")
"""A base model's name that is one of a hub's; a folder of whoever trained an adapter is none."""

QUANTIZATION = re.compile(r"(?:UD-)?(?:[IT]?Q\d[\w]*|BF16|F16|F32|MXFP4\w*)(?=[^/]*$)", re.IGNORECASE)
BESIDE = re.compile(r"mmproj|(?:^|[._/-])(?:mtp|draft|imatrix)(?=[._-])", re.IGNORECASE)
"""GGUF files that stand beside a quantization and are none."""

USUAL = "Q4_K_M"
NAMED = 3
"""Most files that a message names."""


def shards_of(data: Mapping[str, object]) -> dict[str, frozenset[str]]:
    """Return the shards that each index names, by the index's path."""
    found = {}
    for path, index in data.items():
        placed = index.get("weight_map") if path.endswith(INDEX_ENDING) and isinstance(index, dict) else None
        if isinstance(placed, dict):
            folder = path.rpartition("/")[0]
            found[path] = frozenset(f"{folder}/{shard}" if folder else str(shard) for shard in placed.values())
    return found


def spare_files(paths: Collection[str], shards: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return weights, and their indexes, that the engine leaves alone, for the repository holds others that it reads.

    It reads the safetensors of the top folder that their index names; Mistral's own layout, where that is whole,
    before the usual one; safetensors before all other formats. Where it would read none of them, nothing is spare.
    """
    top = {path for path in paths if path.endswith(".safetensors") and "/" not in path}
    own = {path for path in top if path.startswith(OWN_LAYOUT)}
    usual = {path for path in top - own if not path.startswith("adapter_model")}
    usual = {path for path in usual if not VARIANT.fullmatch(path)} or usual
    is_own = bool(own) and ("params.json" in paths or not usual)
    index = f"{OWN_LAYOUT if is_own else 'model'}{INDEX_ENDING}"
    named = shards.get(index, frozenset())
    read = own if is_own else usual
    if named and named <= set(paths):
        read = set(named)
    if not read:
        return frozenset()
    weights = {path for path in paths if path.endswith(WEIGHT_ENDINGS)}
    spare = {
        path for path in weights - read if "/" not in path or COPY.match(path) or not path.endswith(".safetensors")
    }
    for path in paths:
        if not path.endswith(INDEX_ENDING) or path == index:
            continue
        if COPY.match(path) or ("/" not in path and (index in paths or path.startswith(OWN_LAYOUT) != is_own)):
            spare.add(path)
    return frozenset(spare)


def engine_files(listing: Listing, data: Mapping[str, object], include: Sequence[str]) -> Listing:
    """Return a listing without what the engine would leave alone, unless somebody said what to include."""
    spare = frozenset() if include else spare_files({file.path for file in listing.files}, shards_of(data))
    if not spare:
        return listing
    files = tuple(file for file in listing.files if file.path not in spare)
    return replace(listing, files=files, left_out=(*listing.left_out, *sorted(spare)))


def weights_in(sizes: Mapping[str, int], shards: Mapping[str, frozenset[str]] | None = None) -> int:
    """Return the bytes of weights among files that the engine reads: those in folders do not count beside others."""
    spare = spare_files(sizes, shards or {})
    named = {path for one in (shards or {}).values() for path in one}
    weights = [path for path in sizes if path.endswith(WEIGHT_ENDINGS) and path not in spare]
    read = [path for path in weights if "/" not in path or path in named]
    modules = [path for path in weights if MODULE.match(path)] if read else []
    return sum(sizes[path] for path in ({*read, *modules} or weights))


def check_tensors(
    index: str, misplaced: Mapping[str, str], there: Collection[str], config: object, strict: bool
) -> str:
    """Return a warning about an index that names tensors where they are not, '' where it is right.

    The engine reads each file to its end and asks no index for a tensor: one in another file, or one that it would not
    read anyway, does no harm.

    Args:
        index: its path.
        misplaced: the file that it names for each such tensor.
        there: the tensors of all files.
        config: config.json as data.
        strict: refuse what the engine cannot start with; else it is a warning too.

    Raises:
        Refusal: the engine needs a tensor that no file holds.
    """
    lacking = [name for name in misplaced if name not in there and is_needed(name, config)]
    found = lacking or list(misplaced)
    if not found:
        return ""
    word = f"{misplaced[found[0]]} lacks {len(found)} tensors that {index} places there, {found[0]} among them"
    if not lacking:
        return f"{word}; vLLM finds them in another file or does not read them, so the model is taken as it is"
    word += (
        ", and no other file holds them; wanted all that the engine reads; set revision or repo to one that is whole"
    )
    if strict:
        raise Refusal(f"{word}, or verify to never to fetch it all the same")
    return word


def is_needed(tensor: str, config: object) -> bool:
    """Whether the engine cannot start without a tensor, as far as its name says.

    It leaves out the layers that predict further tokens (their own prefix, or numbers above those of the model), what
    it computes itself, and a head that is the embedding.
    """
    values = config if isinstance(config, dict) else {}
    inner = values.get("text_config")
    text = inner if isinstance(inner, dict) else values
    if re.match(r"(?:model\.)?mtp\.", tensor) or tensor.endswith(COMPUTED):
        return False
    if tensor.endswith("lm_head.weight"):
        return not (values.get("tie_word_embeddings") or text.get("tie_word_embeddings"))
    layers, number = text.get("num_hidden_layers"), re.search(r"\blayers\.(\d+)\.", tensor)
    return not (isinstance(layers, int) and number is not None and int(number[1]) >= layers)


def check_model(
    place: str, paths: Collection[str], left_out: Collection[str], data: Mapping[str, object], exclude: Sequence[str]
) -> None:
    """Refuse what is no model for the engine, before anything of it is fetched; nobody said what to include.

    Args:
        place: the repository, for messages.
        paths: the files that are to be fetched.
        left_out: what else it holds.
        data: its small JSON files.
        exclude: what was asked not to be fetched: weights that are left out on purpose are not missed.

    Raises:
        Refusal: it holds an adapter, weights of other engines, several quantizations, or no weights.
    """
    weights = [path for path in paths if path.endswith(WEIGHT_ENDINGS)]
    if "adapter_config.json" in paths and all("adapter_model" in path or COPY.match(path) for path in weights):
        _refuse_adapter(place, data.get("adapter_config.json"))
    if weights:
        _refuse_gaps(place, {*paths, *left_out}, weights, shards_of(data))
        if all(path.endswith(".gguf") for path in weights):
            _check_gguf(place, weights)
        else:
            _check_config(place, paths, left_out, data)
            _check_folders(place, weights, shards_of(data), [path for path in left_out if matches(path, exclude)])
        return
    if any(
        path.endswith(WEIGHT_ENDINGS) and matches(path, exclude) and not matches(path, PICKLES) for path in left_out
    ):
        return
    missed = [path for path in left_out if not matches(path, NO_WEIGHTS)]
    foreign = {path for path in missed if _is_foreign(path, {*paths, *left_out})}
    pickles = sorted(path for path in missed if path.endswith(WEIGHT_ENDINGS) and path not in foreign)
    others = sorted(path for path in missed if matches(path, (*PICKLES, *OTHER_ENGINES)) and path not in pickles)
    if pickles:
        endings = sorted({f"*.{path.rpartition('.')[2]}" for path in pickles})
        raise Refusal(
            f"{place} holds its weights in pickle form alone ({_some(pickles)}), which can run code when they are "
            f"loaded; wanted safetensors; set repo to a copy in that form or, where you trust this one, include to "
            f"{[*endings, '*.json', '*.model', '*.txt']}"
        )
    if others:
        raise Refusal(
            f"{place} holds weights for other engines alone ({_some(others)}); wanted safetensors; set repo to the "
            "model that they were made from, or to one as Transformers lay it out"
        )
    if not any(path.endswith(".tensors") for path in paths):  # tensorizer's own form
        raise Refusal(
            f"{place} holds {len(paths)} files and no weights ({', '.join(WEIGHT_ENDINGS)}); wanted a model; set repo "
            "to one, or include to the files that are wanted all the same"
        )


def _check_config(place: str, paths: Collection[str], left_out: Collection[str], data: Mapping[str, object]) -> None:
    """Refuse weights beside which nothing says what they are of, for the engine that reads them."""
    config = data.get("config.json")
    is_empty = "config.json" in data and not (config and isinstance(config, Mapping))
    if is_empty and "params.json" not in paths:
        raise Refusal(
            f"{place} holds a config.json that is no JSON, or says nothing; wanted one by which vLLM knows the model; "
            "set revision or repo to one that is whole"
        )
    if any(name in paths or name in left_out for name in CONFIGS):
        return
    cure = "set repo to a model as Transformers lay it out, or include to the files that are wanted all the same"
    if "model_index.json" in paths:
        raise Refusal(f"{place} holds a pipeline of Diffusers (model_index.json), for pictures; wanted a model; {cure}")
    below = sorted(path for path in paths if path.endswith("/config.json"))
    where = f", but for {_some(below)}" if below else ""
    raise Refusal(f"{place} holds weights and no config.json{where}, by which vLLM knows a model; wanted one; {cure}")


def _check_folders(
    place: str, weights: Sequence[str], shards: Mapping[str, frozenset[str]], unwanted: Sequence[str]
) -> None:
    """Refuse weights that lie in folders alone: the engine reads those beside config.json (its DefaultModelLoader)."""
    named = {path for one in shards.values() for path in one}
    if any("/" not in path or path in named for path in weights):
        return
    if any("/" not in path and path.endswith(WEIGHT_ENDINGS) for path in unwanted):
        return
    folders = sorted({path.rpartition("/")[0] for path in weights})
    raise Refusal(
        f"{place} holds its weights in folders ({_some(folders)}), and vLLM reads those beside config.json alone; "
        "wanted a model whose weights lie there; set repo to one, or include to the files that are wanted all the same"
    )


def _refuse_gaps(
    place: str, there: Collection[str], weights: Sequence[str], shards: Mapping[str, frozenset[str]]
) -> None:
    """Refuse weights in numbered parts of which some are nowhere, where no index says which there are."""
    named = {path for one in shards.values() for path in one}
    series: dict[tuple[str, ...], set[int]] = {}
    for name, number, count, ending in (found.groups() for found in map(PARTS.fullmatch, there) if found):
        series.setdefault((name, count, ending), set()).add(int(number))
    for name, count, ending in dict.fromkeys(found.group(1, 3, 4) for found in map(PARTS.fullmatch, weights) if found):
        numbers, first = series[name, count, ending], int(0 not in series[name, count, ending])
        lacking = (number for number in range(first, first + int(count)) if number not in numbers)
        missing = [f"{name}-{number:05}-of-{count}{ending}" for number in itertools.islice(lacking, NAMED)]
        if missing and not any(path.startswith(f"{name}-") for path in named):
            raise Refusal(
                f"{place} holds {len(numbers)} of the {int(count)} parts of {name}-*{ending}, and not "
                f"{', '.join(missing)}; wanted all of them; set revision or repo to one that is whole"
            )


def _is_foreign(path: str, all_paths: Collection[str]) -> bool:
    """Whether a file that ends as a pickle does is one of another engine's: whisper.cpp, OpenVINO, MLC, CTranslate2."""
    folder, _slash, name = path.rpartition("/")
    beside = {one.rpartition("/")[2] for one in all_paths if one.rpartition("/")[0] == folder}
    return FOREIGN.fullmatch(name) is not None or (name == "model.bin" and any(map(VOCABULARY.fullmatch, beside)))


def _refuse_adapter(place: str, config: object) -> None:
    base = str(config.get("base_model_name_or_path") or "") if isinstance(config, dict) else ""
    repo = base if AT_A_HUB.fullmatch(base) else "that one"
    raise Refusal(
        f"{place} holds an adapter (adapter_config.json), which goes on top of {base or 'another model'}; wanted a "
        f"whole model; set repo to {repo}, and name the adapter among the adapters of that entry in gpuchat_models"
    )


def check_adapter(place: str, paths: Collection[str], left_out: Collection[str] = ()) -> None:
    """Refuse what is no LoRA adapter in the form that the engine reads (``from_local_checkpoint`` of vllm/lora).

    Args:
        place: the repository or folder, for messages.
        paths: the files that are to be fetched, or are there.
        left_out: what else it holds.

    Raises:
        Refusal: it lacks its configuration or its weights, or has these in pickle form alone.
    """
    if ADAPTER_CONFIG not in paths:
        is_model = any(name in paths or name in left_out for name in CONFIGS)
        found = f"{place} holds {'a model, and ' if is_model else ''}no {ADAPTER_CONFIG}"
        cure = "make it an entry of gpuchat_models of its own, or set repo or path of the adapter to another"
        raise Refusal(
            f"{found}; wanted a LoRA adapter as PEFT saves it; "
            + (cure if is_model else "set repo or path of the adapter to one")
        )
    if any(path in paths for path in ADAPTER_WEIGHTS):
        return
    pickled = next((path for path in ADAPTER_WEIGHTS[1:] if path in left_out), "")
    if pickled:
        raise Refusal(
            f"{place} holds its weights in pickle form alone ({pickled}), which can run code when they are loaded; "
            f"wanted {ADAPTER_WEIGHTS[0]}; set repo of the adapter to a copy in that form or, where you trust this "
            f"one, its include to {[ADAPTER_CONFIG, pickled]}"
        )
    raise Refusal(
        f"{place} holds {ADAPTER_CONFIG} and no {ADAPTER_WEIGHTS[0]}; wanted both beside each other; set repo, "
        "revision or path of the adapter to one that is whole"
    )


def _check_gguf(place: str, weights: Sequence[str]) -> None:
    """Refuse several quantizations of one model: whoever takes one needs the others as little as the engine does."""
    kinds = sorted({PART.sub("", path) for path in weights if not BESIDE.search(path)})
    if len(kinds) < 2:
        return
    names = [match[0] for match in map(QUANTIZATION.search, kinds) if match]
    name = USUAL if USUAL in names else names[0] if names else kinds[0].rpartition(".")[0]
    raise Refusal(
        f"{place} holds {len(kinds)} GGUF quantizations of one model ({', '.join(names) or _some(kinds)}); wanted one "
        f"of them, or the model as safetensors; set include to one by name, such as ['*{name}*.gguf', '*.json'], or "
        "repo to the model that they were made from"
    )


def _some(paths: Sequence[str]) -> str:
    more = len(paths) - NAMED
    return ", ".join(paths[:NAMED]) + (f" and {more} more" if more > 0 else "")
