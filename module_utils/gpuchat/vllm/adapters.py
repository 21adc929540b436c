# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LoRA adapters that an engine serves beside its model: what it takes, and the options that it takes them with.

Sources, of 0.32: PEFTHelper of vllm/lora/peft_helper.py, LoRAConfig of vllm/config/lora.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..core.errors import Refusal
from .wishes import number

CONFIG = "adapter_config.json"
PLACES = "/adapters"
"""Where an engine sees its adapters, each in a folder of its name."""

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""The ranks for which it has kernels, and the most of which it keeps room for (``MaxLoRARanks``)."""

MOST_AT_ONCE = 8
"""Adapters whose requests share a step of the engine, where nobody says how many: each takes room on the GPU."""

PLAIN_STARTS = ("gaussian", "eva", "orthogonal", "mica", "lora_ga")
"""What a training may begin with and leave the model itself as it is (``_init_is_supported``)."""

HEADS = ("classifier", "score")
UNKNOWN = {
    "use_dora": "DoRA",
    "lora_bias": "a bias of its own (lora_bias)",
    "alora_invocation_tokens": "aLoRA",
    "layer_replication": "layer_replication",
    "use_bdlora": "BD-LoRA",
    "use_qalora": "QALoRA",
}
"""Kinds of adapters that the engine refuses, by the setting that says so."""


@dataclass(frozen=True)
class Adapter:
    """One adapter, as its own configuration has it.

    Attributes:
        rank: the largest of its matrices'.
        base: the model that it was made of; empty where it does not say.
    """

    name: str
    rank: int
    base: str = ""

    @property
    def module(self) -> str:
        """How ``lora-modules`` names it."""
        return f"{self.name}={PLACES}/{self.name}"


def read(name: str, config: object) -> Adapter:
    """Read an adapter's configuration.

    Raises:
        Refusal: it cannot be read, or is of a kind that the engine does not take.
    """
    said = config if isinstance(config, Mapping) else {}
    patterns = said.get("rank_pattern")
    ranks = [number(one) or 0 for one in (said.get("r"), *(patterns.values() if isinstance(patterns, Mapping) else ()))]
    why = next(_unserved(said), "")
    if why:
        raise Refusal(
            f"the adapter {name} {why}, which vLLM does not serve; wanted a plain LoRA; merge it into its model and "
            "give gpuchat_models that, or take the adapter away"
        )
    if not said or ranks[0] <= 0:
        raise Refusal(
            f"the adapter {name} has no {CONFIG} that says its rank r; wanted one as PEFT saves it; set repo, revision "
            "or path of the adapter to one that is whole"
        )
    if max(ranks) > RANKS[-1]:
        raise Refusal(
            f"the adapter {name} has the rank {max(ranks)}; wanted {RANKS[-1]} at most, which is what vLLM has kernels "
            "for; merge it into its model, or take it away"
        )
    return Adapter(name, max(ranks), str(said.get("base_model_name_or_path") or ""))


def _unserved(said: Mapping[str, object]) -> Iterator[str]:
    kind, saved, start = said.get("peft_type"), said.get("modules_to_save"), said.get("init_lora_weights")
    if kind not in (None, "LORA"):
        yield f"is of the kind {kind}"
    yield from (f"uses {word}" for key, word in UNKNOWN.items() if said.get(key))
    if said.get("bias") not in (None, "none"):
        yield f"has biases (bias {said['bias']})"
    others = [one for one in saved if one not in HEADS] if isinstance(saved, Sequence) else []
    if others and not isinstance(saved, str):
        yield f"replaces whole parts of its model (modules_to_save {', '.join(map(str, others))})"
    if isinstance(start, str) and start.lower() not in PLAIN_STARTS:
        yield f"began with {start}, which changes the model itself"


def options(adapters: Sequence[Adapter], args: Mapping[str, object]) -> dict[str, object]:
    """Return options of vLLM with those that its adapters need; what stands there already stays.

    Args:
        args: by long names without dashes.

    Raises:
        Refusal: the owner's rank is too small for one of them.
    """
    if not adapters:
        return dict(args)
    listed, rank = args.get("lora-modules"), max(one.rank for one in adapters)
    others = list(listed) if isinstance(listed, (list, tuple)) else [listed] if listed else []
    told = number(args.get("max-lora-rank"))
    if told is not None and told < rank:
        name = next(one.name for one in adapters if one.rank == rank)
        raise Refusal(
            f"args holds max-lora-rank {told} and the adapter {name} has the rank {rank}; wanted as much; take "
            "max-lora-rank out of args, which is set by the adapters"
        )
    count = len(adapters) + len(others)
    together = number(args.get("max-loras")) or min(count, MOST_AT_ONCE)
    needed = {
        "enable-lora": True,
        "max-lora-rank": next(one for one in RANKS if one >= rank),
        "max-loras": together,
        # The others wait in the host's memory rather than on its disk.
        **({"max-cpu-loras": count} if count > together else {}),
    }
    return {**needed, **args, "lora-modules": [*others, *(one.module for one in adapters)]}


def warnings(adapters: Sequence[Adapter], repo: str) -> Iterator[str]:
    """Say which adapters were made of another model, as far as both have names of a hub."""
    for one in adapters:
        if "/" in one.base.strip("/") and "/" in repo and not _is_alike(one.base, repo):
            yield (
                f"the adapter {one.name} was made of {one.base}, and its model is {repo}; another model's adapter "
                "answers nonsense or does not load; set repo of either in gpuchat_models to the other's"
            )


def _is_alike(base: str, repo: str) -> bool:
    """Whether two names are those of one model: a copy by somebody else, or one that is quantized, says its name."""
    one, other = (name.rstrip("/").rpartition("/")[2].lower().replace("_", "-") for name in (base, repo))
    return one in other or other in one
