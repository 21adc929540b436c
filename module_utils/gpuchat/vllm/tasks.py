# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model is served for, and what vLLM wants to be told for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ..checkpoint.config import KvLayers, ModelFacts
from ..checkpoint.task import other_than_chat
from ..core.errors import Refusal
from . import flags, releases
from .facts import rerankers
from .facts.architectures import ARCHITECTURES

TASKS = ("chat", "embed", "rerank", "transcribe")

WORDS: Mapping[str, str] = {"makes vectors of texts": "embed", "ranks texts": "rerank"}
"""Tasks by what ``checkpoint.task`` says of a checkpoint."""

DOES: Mapping[str, str] = {
    "chat": "answers people",
    "embed": "makes vectors of texts",
    "rerank": "ranks texts",
    "transcribe": "writes down speech",
}

TRANSCRIBES = re.compile(
    r"^Whisper|A[Ss][Rr]\d*(?=For(?!ced)|Realtime|$)|^Voxtral(Realtime|Streaming)|TranscribeDiarize"
)
"""Architectures that turn speech into text and answer nobody."""

TRANSCRIBES_TOO = frozenset(
    {
        "Gemma3nForConditionalGeneration",
        "GraniteSpeechForConditionalGeneration",
        "GraniteSpeechPlusForConditionalGeneration",
        "MoonshotKimiaForCausalLM",
        "Qwen3OmniMoeForConditionalGeneration",
        "VoxtralForConditionalGeneration",
    }
)
"""Architectures that chat, and of which vLLM takes speech to write down as well (its ``SupportsTranscription``; the
table of transcription in docs/models/supported_models.md, and kimi_audio.py)."""

ENCODERS = re.compile(
    r"Bert|Roberta|Deberta|MPNet|Bidirectional"
    r"|^(HF_ColBERT|Gte\w*Model|New(Model|ForSequenceClassification)|BgeM3\w*|CLIPModel|SiglipModel)"
)
"""Architectures whose attention sees the whole text at once, so that nothing is cached."""

BODY = re.compile(r"(?<!LMHead)(?<!Chat)Model$|ForTextEncoding$")
"""How the names of architectures without a head end."""

CLASSIFIERS_SINCE = (0, 9, 2)
"""From here on a classifier is made of the code of the model that chats (vllm/model_executor/models/registry.py)."""

OFFSET = re.compile(r"roberta|camembert|bgem3", re.IGNORECASE)
"""Whose positions start after the padding token's: of 8,194 positions 8,192 are for tokens."""

SPOKEN_WINDOW = 1500
"""Positions of one window of speech, which every layer of Whisper's decoder attends to (``max_source_positions``)."""

OLD_WORDS = {"embed": "embed", "rerank": "score", "transcribe": "transcription"}
"""Values of ``--task``, before there was ``--runner``."""

CONVERTED = {"embed": "embed", "rerank": "classify"}
"""Values of ``--convert`` for a checkpoint whose architecture would chat."""


def _architectures(config: Mapping[str, object]) -> list[str]:
    named = config.get("architectures")
    return [str(one) for one in named] if isinstance(named, (list, tuple)) else []


def found_in(config: Mapping[str, object], files: Sequence[str], repo: str, version: str = "") -> tuple[str, str]:
    """Return the task of a checkpoint, empty where it has none that is served, and what it does in words.

    Args:
        version: of vLLM, whose table knows more architectures that only make vectors or scores.
    """
    names = _architectures(config)
    if any(map(TRANSCRIBES.search, names)):
        return "transcribe", DOES["transcribe"]
    if any(name.endswith("ForSequenceClassification") for name in names) and _has_one_score(config):
        return "rerank", DOES["rerank"]
    does = other_than_chat(config, files, repo)
    if not does and version and names:
        kinds = releases.architectures(version)
        if all(kinds.get(name) == "pooling" for name in names):
            return "embed", "makes vectors or scores of texts"
        if all(kinds.get(name) == "draft" for name in names):
            return "", "guesses tokens for another model (speculative-config of that one takes it)"
    if not does and has_no_head(config):
        return "embed", "makes vectors, for it has no head that would say a word"
    return (WORDS.get(does, ""), does) if does else ("chat", DOES["chat"])


def has_no_head(config: Mapping[str, object]) -> bool:
    """Whether a checkpoint is the body alone of one that vLLM knows, of which it makes vectors (its registry)."""
    names = _architectures(config)
    return bool(names) and all(map(_is_body, names))


def has_own_code(config: Mapping[str, object], version: str) -> bool:
    """Whether a version serves a checkpoint for vectors or scores by code of its own, perhaps by another name."""
    names = {rerankers.RENAMED.get(name, name) for name in _architectures(config)}
    if releases.parse_version(version) >= CLASSIFIERS_SINCE:
        names |= {name.replace("ForSequenceClassification", "ForCausalLM") for name in names}
    return has_no_head(config) or bool(names & set(releases.architectures(version)))


def _is_body(name: str) -> bool:
    whole = [BODY.sub(head, name) for head in ("ForCausalLM", "ForConditionalGeneration") if BODY.search(name)]
    return name not in ARCHITECTURES and any(one in ARCHITECTURES for one in whole)


def _has_one_score(config: Mapping[str, object]) -> bool:
    """Whether a classifier has one output, a score: vLLM ranks by no other."""
    labels = config.get("id2label")
    count = config.get("num_labels", len(labels) if isinstance(labels, Mapping) else 2)
    return count == 1


def check(wished: str, found: str, does: str, repo: str, config: Mapping[str, object]) -> None:
    """Refuse a checkpoint that is for something else than is wished.

    vLLM makes vectors with any model that chats; whether they are of use is for who wishes that to know. Some that chat
    write down speech as well.

    Raises:
        Refusal: with what it is for.
    """
    if (wished == found and found) or (wished, found) == ("embed", "chat"):
        return
    if (wished, found) == ("transcribe", "chat") and TRANSCRIBES_TOO.intersection(_architectures(config)):
        return
    if not found:
        raise Refusal(
            f"the model {repo} {does}; wanted one that {any_of(DOES.values()) if wished == 'auto' else DOES[wished]}; "
            "set the model's repo or path in gpuchat_models to such a one"
        )
    if wished != "auto":
        raise Refusal(
            f"the model {repo} {does}; wanted one that {DOES[wished]}, by its task {wished}; set its task in "
            f"gpuchat_models to {found} or auto, or its repo or path to a model for {wished}"
        )


def any_of(words: Iterable[str]) -> str:
    *some, last = words
    return f"{', '.join(some)} or {last}"


def is_encoder(task: str, config: Mapping[str, object]) -> bool:
    """Whether a model for vectors or scores caches nothing, as each word sees those after it."""
    sees_all = config.get("is_causal") is False or config.get("use_bidirectional_attention") is True
    return task in CONVERTED and (sees_all or any(map(ENCODERS.search, _architectures(config))))


SENTENCES = re.compile(r"sentence_(bert|roberta|distilbert|camembert|albert|xlm-roberta|xlnet)_config\.json")
"""Files of sentence-transformers whose ``max_seq_length`` vLLM holds a wished length against, whatever config.json says
(get_sentence_transformer_tokenizer_config of vllm/transformers_utils/config.py)."""


def as_served(
    model: ModelFacts,
    task: str,
    config: Mapping[str, object],
    tokenizer: Mapping[str, object],
    data: Mapping[str, object],
) -> ModelFacts:
    """Return a model as vLLM runs it for a task: what it caches, and how long a text may be."""
    if task == "transcribe" and model.architecture.startswith("Whisper"):
        # Beside its own text, each layer of the decoder keeps the keys of the window of speech.
        windows = 1 + -(-SPOKEN_WINDOW // max(1, model.longest))
        return replace(model, kv_layers=tuple(_more(item, windows) for item in model.kv_layers))
    beside = [said for name, said in sorted(data.items()) if SENTENCES.fullmatch(name) and isinstance(said, Mapping)]
    told = [said.get("max_seq_length") for said in beside]
    model = _read_whole(model, tokenizer, config) if is_encoder(task, config) else model
    lengths = [one for one in told if isinstance(one, int) and one > 0] if task in CONVERTED else []
    if not lengths:
        return model
    has_offset = OFFSET.search(f"{model.model_type} {model.architecture}") and model.longest
    return replace(model, longest=min(lengths[0], model.longest) if has_offset else lengths[0])


def _read_whole(model: ModelFacts, tokenizer: Mapping[str, object], config: Mapping[str, object]) -> ModelFacts:
    longest, padding = model.longest, config.get("pad_token_id")
    if OFFSET.search(f"{model.model_type} {model.architecture}") and longest:
        longest -= (padding if isinstance(padding, int) else 1) + 1
    told = tokenizer.get("model_max_length")
    if isinstance(told, int) and 0 < told < longest:
        longest = told
    return replace(model, kv_layers=(), longest=longest)


def _more(item: KvLayers, times: int) -> KvLayers:
    return replace(item, count=item.count * times)


WHISPER = {
    "hidden_size": "d_model",
    "num_attention_heads": "decoder_attention_heads",
    "num_hidden_layers": "decoder_layers",
    "intermediate_size": "decoder_ffn_dim",
    "max_position_embeddings": "max_target_positions",
}
"""How Whisper's config.json spells what others call by the first name; of its decoder, which is what caches."""


def as_read(config: Mapping[str, object]) -> Mapping[str, object]:
    """Return a config.json in the names by which a model's widths are read."""
    if config.get("model_type") != "whisper":
        return config
    return {**config, **{name: config[theirs] for name, theirs in WHISPER.items() if theirs in config}}


def arguments(task: str, config: Mapping[str, object], repo: str, version: str) -> dict[str, object]:
    """Return the arguments of ``vllm serve`` by which a version serves a task."""
    if task not in OLD_WORDS:
        return {}
    overrides = _overrides(task, config, repo)
    found: dict[str, object] = {"hf-overrides": dict(overrides)} if overrides else {}
    if "runner" not in flags.known_flags(version):
        found["task"] = OLD_WORDS[task]
    elif task in CONVERTED:
        found["runner"] = "pooling"
        if not overrides and _is_converted(config, version):
            found["convert"] = CONVERTED[task]
    return found


def _is_converted(config: Mapping[str, object], version: str) -> bool:
    kinds = releases.architectures(version)
    return any(kinds.get(name) in ("text", "multimodal") for name in _architectures(config))


def _overrides(task: str, config: Mapping[str, object], repo: str) -> Mapping[str, object]:
    first = next(iter(_architectures(config)), "")
    if task in CONVERTED and first in rerankers.RENAMED:
        return {"architectures": [rerankers.RENAMED[first]]}
    if task != "rerank":
        return {}
    known = _reranker(repo)
    return known.overrides if known is not None and known.published == first else {}


def _reranker(repo: str) -> rerankers.Reranker | None:
    return next((one for one in rerankers.RERANKERS if one.names.search(repo)), None)


def warnings(
    task: str, config: Mapping[str, object], repo: str, version: str, wished: Mapping[str, object]
) -> Iterator[str]:
    """Yield what keeps a reranker's scores from being of use.

    Args:
        wished: arguments that the owner gives.
    """
    if task != "rerank":
        return
    known = _reranker(repo)
    if known is not None and known.template and "chat-template" not in wished:
        yield (
            "the reranker was made with a template for question and text, without which its scores are of little use; "
            f"give args of the model in gpuchat_models a chat-template, the text of {known.template} (in "
            f"{rerankers.TEMPLATES} of vLLM's repository), or have those who ask write it around both"
        )
    is_overridden = any(name.startswith("hf-overrides") for name in wished) or bool(_overrides(task, config, repo))
    if _is_converted(config, version) and not is_overridden:
        yield (
            f"the checkpoint is of a model that chats ({', '.join(_architectures(config))}), and gpuchat does not know "
            "by which tokens or weights it scores; where it brings none that vLLM finds, its scores mean nothing; see "
            "scoring.md of vLLM, and give args of the model in gpuchat_models the hf-overrides of its page"
        )
