# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody wishes of vLLM, read from a task's options."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import Refusal
from .flags import spelled
from .kv_cache import CACHE_BYTES, PACKED_CACHES
from .options import AUTO, mapping, share, text, truth, whole

DTYPES = ("bfloat16", "float16", "half", "float32", "float")
DISTRIBUTED = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")


@dataclass(frozen=True)
class Wishes:
    """What is fixed; None leaves it to the plan.

    Attributes:
        users: conversations held at once, each with all of its ``context``.
        context: tokens that each of these conversations holds.
        max_model_len: longest single conversation (tokens), `context` where None.
        extra_args: options of ``vllm serve`` that no other wish stands for, merged last; None takes one away.
    """

    users: int | None = None
    context: int | None = None
    tensor_parallel_size: int | None = None
    pipeline_parallel_size: int | None = None
    data_parallel_size: int | None = None
    gpu_memory_utilization: float | None = None
    max_model_len: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    dtype: str | None = None
    kv_cache_dtype: str | None = None
    quantization: str | None = None
    enforce_eager: bool | None = None
    speculative: Mapping[str, object] | None = None
    extra_args: Mapping[str, object] = field(default_factory=dict)

    @property
    def fix_steps(self) -> bool:
        """Whether the sizes of a step are set, or left to vLLM: by one who sets layout and length, and no users."""
        is_told = self.max_num_seqs is not None or self.max_num_batched_tokens is not None
        is_engine = self.tensor_parallel_size is not None and self.max_model_len is not None
        return is_told or (is_engine and self.users is None and self.context is None)


READABLE = re.compile(r"([0-9]+)(?:\.([0-9]+))?([kmgtKMGT]?)")


def number(value: object) -> int | None:
    """Return a number as vLLM reads it, also from a text: ``k`` stands for a thousand, ``K`` for 1,024.

    Source: human_readable_int of vllm/utils/argparse_utils.py.
    """
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    found = READABLE.fullmatch(str(value).strip())
    if not found or (found.group(2) and not found.group(3).islower()):
        return None
    factor = (1000 if found.group(3).islower() else 1024) ** (" kmgt".index(found.group(3).lower() or " "))
    return int(float(f"{found.group(1)}.{found.group(2) or 0}") * factor) if found.group(3) else int(found.group(1))


def _length(name: str, value: object) -> object:
    return whole(name, number(value) if isinstance(value, str) and number(value) is not None else value)


def _dtype(name: str, value: object) -> str:
    if value not in DTYPES:
        raise Refusal(f"{name} is {value!r}; wanted auto, {', '.join(DTYPES)}; set {name} to one of them")
    return str(value)


def _cache_dtype(name: str, value: object) -> str:
    known = ("bfloat16", "float16", *CACHE_BYTES, *PACKED_CACHES)
    if value not in known:
        raise Refusal(f"{name} is {value!r}; wanted auto, {', '.join(known)}; set {name} to one of them")
    return str(value)


def _quantization(name: str, value: object) -> str:
    """Return a method in small letters, as vLLM takes it (validate_quantization_before of vllm/config/model.py)."""
    return text(name, value).lower()


READERS: Mapping[str, Callable[[str, object], object]] = {
    "users": whole,
    "context": whole,
    "tensor_parallel_size": whole,
    "pipeline_parallel_size": whole,
    "data_parallel_size": whole,
    "gpu_memory_utilization": share,
    "max_model_len": _length,
    "max_num_seqs": whole,
    "max_num_batched_tokens": _length,
    "dtype": _dtype,
    "kv_cache_dtype": _cache_dtype,
    "quantization": _quantization,
    "enforce_eager": truth,
    "speculative": mapping,
}
STANDS_FOR = {
    **{name.replace("_", "-"): name for name in READERS if name not in ("users", "context", "speculative")},
    "speculative-config": "speculative",
}
"""Options of ``vllm serve`` that a wish stands for."""


def read_wishes(params: Mapping[str, object]) -> Wishes:
    """Read the wishes of a task; one in ``extra_args`` counts as if it stood in its own option.

    Raises:
        Refusal: a value of the wrong kind, or one wish given twice with different values.
    """
    read: dict[str, Any] = {
        name: reader(name, params[name]) for name, reader in READERS.items() if params.get(name) not in AUTO
    }
    extra: dict[str, object] = {}
    for key, value in mapping("extra_args", params.get("extra_args") or {}).items():
        flag = spelled(str(key))
        name = STANDS_FOR.get(flag)
        if name is None or value is None:
            extra[flag] = value
        elif value not in AUTO and not (name == "max_model_len" and str(value) == "-1"):  # so it finds out by itself
            wished = READERS[name](name, value)
            if read.setdefault(name, wished) != wished:
                raise Refusal(
                    f"args holds {flag}: {value} and {name} is {read[name]}; wanted one of them; set {name} alone"
                )
    if read.get("max_model_len") and read.get("context", 0) > read["max_model_len"]:
        raise Refusal(
            f"context is {read['context']} and max_model_len is {read['max_model_len']}; wanted conversations no "
            f"longer than the longest allowed; set max_model_len to {read['context']} or leave it auto"
        )
    return Wishes(**read, extra_args=extra)
