# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds the memory budget against real start-ups of vLLM, and against the usual estimators.

    plan_accuracy.py [--fit] [--cases] [--splits 10]

Each start-up is also put to gpuchat_vllm_plan's own entry, with what is stated as wishes and all else left to it; its
figures must be those of the budget, unless it chose other settings, and no start-up may end without them.

Starts that vLLM 0.18 and later refused (benchmarks/data/vllm_refusals.json) are put to the same entry: how many it
tells beforehand, and whether it calls those with a cure fit.

The start-ups are those of benchmarks/data/vllm_startups.json (public logs), the models those of model_configs.json.
For each split, in a seeded order, the constants of vllm/facts/memory.py are fitted on one half and judged on the
other. --fit prints the constants that fit all of them; --cases prints case by case what was predicted and logged.

A case is *fully stated* if

- the model's config.json and the size of its files are known (not derived by guess from the name, not rounded);
- the GPU is: its total memory was logged, or its name has one memory size (an "A100" has two), one kind of GPU;
- tensor_parallel_size is stated, and the utilization, or the version whose default then counts;
- a figure of the KV cache was logged, or a refusal;
- the version, where there is one, is a number, not a special image's name;
- its notes do not say that something else took part: a drafter, a patched or forked vLLM, an approximate model, or a
  GPU that was guessed.

What is not stated is put in as vLLM's default of that version. A version that is not stated follows from the words of
the log, the line numbers that the notes speak of, or a date.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import pathlib
import random
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "module_utils"))

from gpuchat.checkpoint.config import ModelFacts, read_model  # noqa: E402
from gpuchat.core.errors import Refusal  # noqa: E402
from gpuchat.core.units import GIB  # noqa: E402
from gpuchat.gpu import cards  # noqa: E402
from gpuchat.vllm import memory as vllm_memory  # noqa: E402
from gpuchat.vllm import plan as vllm_plan  # noqa: E402
from gpuchat.vllm.devices import Device  # noqa: E402
from gpuchat.vllm.facts import memory as facts  # noqa: E402
from gpuchat.vllm.memory import Budget  # noqa: E402
from gpuchat.vllm.releases import behaves_like  # noqa: E402
from gpuchat.vllm.settings import Layout, Settings, resolve  # noqa: E402

Case = Mapping[str, Any]
START_UPS, MODELS = HERE / "data" / "vllm_startups.json", HERE / "data" / "model_configs.json"
REFUSALS = HERE / "data" / "vllm_refusals.json"

# The first release of each minor version on PyPI.
RELEASES = (
    ("2023-06-20", (0, 1, 0)),
    ("2023-09-28", (0, 2, 0)),
    ("2024-01-31", (0, 3, 0)),
    ("2024-03-30", (0, 4, 0)),
    ("2024-06-11", (0, 5, 0)),
    ("2024-07-23", (0, 5, 3)),
    ("2024-09-04", (0, 6, 0)),
    ("2025-01-27", (0, 7, 0)),
    ("2025-03-18", (0, 8, 0)),
    ("2025-05-28", (0, 9, 0)),
    ("2025-07-08", (0, 9, 2)),
    ("2025-07-25", (0, 10, 0)),
    ("2025-10-04", (0, 11, 0)),
    ("2025-12-03", (0, 12, 0)),
    ("2025-12-19", (0, 13, 0)),
    ("2026-01-20", (0, 14, 0)),
    ("2026-01-29", (0, 15, 0)),
    ("2026-02-26", (0, 16, 0)),
    ("2026-03-07", (0, 17, 0)),
    ("2026-03-20", (0, 18, 0)),
    ("2026-04-03", (0, 19, 0)),
    ("2026-04-27", (0, 20, 0)),
    ("2026-05-14", (0, 21, 0)),
    ("2026-05-29", (0, 22, 0)),
    ("2026-06-13", (0, 23, 0)),
    ("2026-06-30", (0, 24, 0)),
    ("2026-07-11", (0, 25, 0)),
    ("2026-07-25", (0, 26, 0)),
    ("2026-08-10", (0, 27, 0)),
    ("2026-08-26", (0, 28, 0)),
    ("2026-09-09", (0, 29, 0)),
    ("2026-09-22", (0, 30, 0)),
    ("2026-10-05", (0, 31, 0)),
)
# The first number of an issue or pull request of vllm-project/vllm opened in a month.
ISSUES = (
    (2000, "2023-12-15"),
    (4000, "2024-04-12"),
    (6000, "2024-07-01"),
    (8000, "2024-09-01"),
    (10000, "2024-11-05"),
    (12000, "2025-01-14"),
    (14000, "2025-02-28"),
    (16000, "2025-04-04"),
    (18000, "2025-05-12"),
    (20000, "2025-06-24"),
    (22000, "2025-07-31"),
    (24000, "2025-09-01"),
    (26000, "2025-10-01"),
    (28000, "2025-11-04"),
    (30000, "2025-12-04"),
    (32000, "2026-01-10"),
    (34000, "2026-02-07"),
    (36000, "2026-03-05"),
    (38000, "2026-03-25"),
    (40000, "2026-04-15"),
)
# The first version that knows a kind of model; an older one cannot have logged it.
MODELS_SINCE = {
    "gpt_oss": (0, 10, 1),
    "qwen3_next": (0, 10, 2),
    "qwen3_vl_moe": (0, 11, 0),
    "qwen3_5": (0, 17, 0),
    "qwen3_5_moe": (0, 17, 0),
    "gemma4": (0, 19, 0),
    "kimi_linear": (0, 11, 1),
    "nemotron_h": (0, 11, 0),
    "deepseek_v4": (0, 20, 0),
    "glm5_next": (0, 29, 0),
}
TAKES_PART = re.compile(
    r"drafter|DFlash|\bMTP\b|patched|branch\)|fork|decode-context|approximate|exact (id|checkpoint)|"
    r"so not 0\.9|two models",
    re.IGNORECASE,
)
GUESSED = re.compile(r"inferred|my reading", re.IGNORECASE)
OLD_ENGINE = re.compile(
    r"# (GPU|CUDA|cuda) blocks|non_torch_memory takes|non_torch \d|\bV0\b|initialize_cache|"
    r"larger than the maximum number of tokens that can be stored|the rest of the memory reserved for KV Cache"
)


@dataclass(frozen=True)
class Inputs:
    """What a plan would be given for a case.

    Attributes:
        wishes: the options of gpuchat_vllm_plan.
    """

    model: ModelFacts
    gpu: Device
    layout: Layout
    settings: Settings
    is_fully_stated: bool
    wishes: Mapping[str, Any]


def words(case: Case) -> str:
    return f"{case['log_excerpt'] or ''} {case['notes'] or ''}"


def version_of(case: Case, model: ModelFacts) -> tuple[int, ...]:
    """Return the stated version, or the one that the words of the log, its date or its thread's number speak for."""
    text = words(case)
    for pattern, where in (
        (r"^v?(\d+)\.(\d+)(?:\.(\d+))?", case["vllm_version"] or ""),
        (r"\b(\d+)\.(\d+)(?:\.(\d+))?(?:/[\d.]+)?(?:-ish)?[ (]*(?:line|style|era|line numbers)", text),
        (r"[vV]LLM (\d+)\.(\d+)(?:\.(\d+))?", text),
    ):
        found = re.search(pattern, where)
        if found:
            if where is case["vllm_version"]:
                return behaves_like(where.split()[0])[:3]
            return tuple(int(part or 0) for part in found.groups())
    date = _date_of(case, text)
    dated = max((version for day, version in RELEASES if day <= date), default=(0, 6, 3)) if date else None
    if dated is None:
        dated = (0, 7, 3) if OLD_ENGINE.search(text) else (0, 11, 2)
        if "equal" in text and "CUDA graph" in text:
            dated = (0, 21, 0)
    logged, length = case["kv_cache_tokens"], case["max_model_len"]
    is_product = logged and length and case["max_concurrency"] == round(logged / length, 2) and model.is_hybrid
    if logged and case["outcome"] == "ok" and (logged % 16 or is_product):
        dated = max(dated, (0, 21, 0))  # tokens that are concurrency x max_model_len
    return max(dated, MODELS_SINCE.get(model.model_type, (0,)))


def _date_of(case: Case, text: str) -> str:
    found = re.search(r"\b(20\d\d)-(\d\d)(?:-(\d\d))?", f"{case['vllm_version'] or ''} {text} {case['source']}")
    if found:
        return f"{found.group(1)}-{found.group(2)}-{found.group(3) or '15'}"
    thread = re.search(r"vllm-project/vllm/(?:issues|pull)/(\d+)", case["source"])
    if thread:
        return max((day for first, day in ISSUES if first <= int(thread.group(1))), default="2023-10-01")
    return ""


def gpu_of(case: Case) -> tuple[Device, bool] | None:
    """Return the case's GPU, and whether its memory is beyond doubt; None where nothing names it."""
    name = case["gpu"] or ""
    first = name.split(" + ")[0]
    row = cards.lookup(first)
    total = case["gpu_total_gib_logged"]
    sizes = re.search(r"\((\d+) MiB\)", name)
    if total is None and sizes:
        total = int(sizes.group(1)) / 1024
    if total is None and row is None:
        return None
    is_known = total is not None or (" + " not in name and not re.fullmatch(r"A100|V100|AMD.*", first))
    if total is None and first == "A100":  # 40 or 80 GB; whichever holds what was logged
        held = (case["model_weights_gib"] or 0) + (case["available_kv_gib"] or 0)
        total = 79.25 if held > 0.95 * 39.4 * (case["gpu_memory_utilization"] or 0.9) else 39.4
    memory = int(total * GIB) if total is not None else row.memory_bytes if row else 0
    return Device(name or "?", memory, row.compute_capability if row else "8.0"), is_known


def inputs_of(case: Case, models: Mapping[str, Any]) -> Inputs | None:
    """Return what a plan would be given, or None where the case names no GPU."""
    entry = models[case["model"]]
    size = entry["weights_bytes"] or entry.get("weights_bytes_approx")
    model = read_model(entry["config"], int(size) if size else None)
    found = gpu_of(case)
    if found is None:
        return None
    gpu, is_known = found
    version = version_of(case, model)
    at_load = "bitsandbytes" if "at load" in case["model"] else None
    settings = resolve(
        version,
        model,
        gpu,
        gpu_memory_utilization=case["gpu_memory_utilization"],
        max_model_len=case["max_model_len"] or _length_in(case),
        max_num_seqs=case["max_num_seqs"],
        max_num_batched_tokens=case["max_num_batched_tokens"],
        kv_cache_dtype=case["kv_cache_dtype"],
        enforce_eager=case["enforce_eager"],
        quantization=at_load,
        speculative_tokens=_speculative_in(case),
        speculative_method="mtp",
        enable_prefix_caching=True if re.search(r"[Pp]refix caching on", words(case)) else None,
        has_flashinfer=bool(re.search(r"manifest|docker|container|image", words(case))),
        stages=case["pipeline_parallel_size"] or 1,
        engine=0 if version < (0, 11) and OLD_ENGINE.search(words(case)) else None,
    )
    layout = Layout(case["tensor_parallel_size"] or 1, case["pipeline_parallel_size"] or 1)
    is_fully_stated = (
        is_known
        and entry["confidence"] in ("exact", "high")
        and bool(entry["weights_bytes"])
        and case["tensor_parallel_size"] is not None
        and (case["gpu_memory_utilization"] is not None or case["vllm_version"] is not None)
        and (case["vllm_version"] is None or re.match(r"v?\d+\.\d+", case["vllm_version"]) is not None)
        and not TAKES_PART.search(f"{case['notes'] or ''} {case['model']} {case['vllm_version'] or ''}")
        and (case["gpu_total_gib_logged"] is not None or not GUESSED.search(case["notes"] or ""))
    )
    return Inputs(model, gpu, layout, settings, is_fully_stated, _wishes(case, entry["config"], size, gpu, settings))


FIXED = (
    "gpu_memory_utilization",
    "max_model_len",
    "max_num_seqs",
    "max_num_batched_tokens",
    "kv_cache_dtype",
    "enforce_eager",
)


def _wishes(case: Case, config: Mapping[str, Any], size: object, gpu: Device, settings: Settings) -> dict[str, Any]:
    """Return the options of gpuchat_vllm_plan: what is stated, and the length that vLLM takes where none is."""
    split = {name: case[name] or 1 for name in ("tensor_parallel_size", "pipeline_parallel_size")}
    version = case["vllm_version"] or ""
    return {
        "model_config": config,
        "weights_bytes": int(str(size)) if size else None,
        "repo": case["model"],
        "gpus": [{"name": gpu.name, "memory_bytes": gpu.memory_bytes, "count": math.prod(split.values())}],
        "vllm_version": version if re.match(r"v?\d+\.\d", version) else ".".join(map(str, settings.version)),
        **split,
        **{name: case[name] for name in FIXED if case[name] is not None},
        "max_model_len": settings.max_model_len,
        "quantization": settings.quantization or "auto",
        "on_unfit": "report",
    }


def _length_in(case: Case) -> int | None:
    found = re.search(r"\b(\d+)K (?:only|window)", words(case))
    return int(found.group(1)) * 1024 if found else None


def _speculative_in(case: Case) -> int:
    found = re.search(r"\bmtp with (\d+) speculative tokens", words(case))
    return int(found.group(1)) if found else 0


def logged_tokens(case: Case, budget: Budget, inputs: Inputs) -> int:
    """Return the predicted tokens as the case's line counts them: V0's refusal divides by the pipeline's stages."""
    stages = inputs.layout.pipeline_parallel_size
    if inputs.settings.engine == 0 and stages > 1 and case["outcome"] == "kv_too_small":
        return budget.kv_cache_tokens // stages
    return budget.kv_cache_tokens


@dataclass(frozen=True)
class Estimate:
    """What one estimator says of a case."""

    kv_bytes: float
    tokens: float
    fits: bool


Estimator = Callable[[Inputs], Estimate]


def ours(inputs: Inputs) -> Estimate:
    found = vllm_memory.budget(inputs.model, inputs.gpu, inputs.layout, inputs.settings)
    return Estimate(found.kv_cache, found.kv_cache_tokens, found.fits)


def _plain_kv(inputs: Inputs) -> float:
    """Return 2 x layers x key heads x head size x bytes per GPU: what the usual estimators count per token."""
    model, layout = inputs.model, inputs.layout
    gpus = layout.tensor_parallel_size * layout.pipeline_parallel_size
    element = 1 if inputs.settings.kv_cache_dtype.startswith("fp8") else 2
    return 2 * model.layers * model.kv_heads * model.head_dim * element / gpus


def _size(inputs: Inputs) -> float:
    parts = inputs.model.parameters
    width = (inputs.model.quantized_bits or 16) / 8
    return float(inputs.model.weights_bytes or parts.total * width)


def _from_share(share: float, extra: float, of_whole: bool) -> Estimator:
    def estimate(inputs: Inputs) -> Estimate:
        gpus = inputs.layout.tensor_parallel_size * inputs.layout.pipeline_parallel_size
        room = inputs.gpu.memory_bytes * (1.0 if of_whole else inputs.settings.gpu_memory_utilization)
        rest = room - _size(inputs) * share / gpus - extra
        tokens = max(0.0, rest) / _plain_kv(inputs)
        return Estimate(rest, tokens, rest > 0)

    return estimate


def calculator(inputs: Inputs) -> Estimate:
    gpus = inputs.layout.tensor_parallel_size * inputs.layout.pipeline_parallel_size
    graphs = 0.0 if inputs.settings.enforce_eager else 2.5e9
    rest = inputs.gpu.memory_bytes * inputs.settings.gpu_memory_utilization - _size(inputs) / gpus - graphs - 1e9
    tokens = max(0.0, rest) / _plain_kv(inputs)
    return Estimate(rest, tokens, tokens >= inputs.settings.max_model_len)


ESTIMATORS: tuple[tuple[str, Estimator], ...] = (
    ("gpuchat", ours),
    # blog.eleuther.ai/transformer-math, which accelerate's estimate-memory quotes; over the whole card
    ("weights x 1.2", _from_share(1.2, 0.0, True)),
    ("weights x 1.2, within the utilization", _from_share(1.2, 0.0, False)),
    # gpustack/policies/utils.py, estimate_model_vram: weights x 1.2 + 2 GiB for the framework
    ("GPUStack: weights x 1.2 + 2 GiB", _from_share(1.2, 2.0 * GIB, False)),
    # github.com/taylorelley/vllm-vram-calc.github.io, app/lib/calculations.ts: 2.5 GB for graphs, 1 GB of padding
    ("vllm-vram-calc: weights + 2.5 GB + 1 GB", calculator),
    # docs.vllm.ai, "Conserving memory": utilization x memory is for weights and cache
    ("weights alone, within the utilization", _from_share(1.0, 0.0, False)),
)

# What is fitted, from where: what the source lets expect before any log is read. Sorting takes fp32 logits, sorted
# logits, their int64 indices, the sort's second buffers of both, probabilities and their sums; a layer holds its input,
# the residual, the normed input and its output; one GPU's libraries some 0.1 GiB, CUDA's context some 0.4 GiB.
PRIORS = {
    "SAMPLER_BYTES_SORTED": 36.0,
    "HIDDEN_COPIES": 4.0,
    "WORKSPACE_BYTES": 0.1 * GIB,
    "CONTEXT_BYTES_A100": 0.4 * GIB,
}
STEPS = (0.8, 0.9, 0.95, 0.98, 0.99, 1.01, 1.02, 1.05, 1.1, 1.25)
# Percentage points of error that leaving an expectation by its own size has to gain.
RELUCTANCE = 1.0


def constant(name: str) -> float:
    """Return a constant of vllm/facts/memory.py."""
    return float(facts.CONTEXT_BYTES["8.0"] if name == "CONTEXT_BYTES_A100" else getattr(facts, name))


def set_constant(name: str, value: float) -> None:
    """Change a constant for what is estimated from now on."""
    if name == "CONTEXT_BYTES_A100":
        facts.CONTEXT_BYTES["8.0"] = int(value)
    else:
        setattr(facts, name, value)


def errors(cases: Sequence[tuple[Case, Inputs]], estimator: Estimator) -> tuple[list[float], list[float]]:
    """Return the absolute relative errors of the tokens and of the available KV cache (%)."""
    tokens: list[float] = []
    available: list[float] = []
    for case, inputs in cases:
        planned = estimator(inputs)
        stated, room = case["kv_cache_tokens"], case["available_kv_gib"]
        if stated and not is_partial(case, inputs):
            stages = inputs.layout.pipeline_parallel_size
            divided = inputs.settings.engine == 0 and case["outcome"] == "kv_too_small"
            tokens.append(100 * abs(planned.tokens / (stages if divided else 1) / stated - 1))
        if room is not None and room > 0 and not is_partial(case, inputs):
            available.append(100 * abs(planned.kv_bytes / GIB / room - 1))
    return tokens, available


def peak_errors(cases: Sequence[tuple[Case, Inputs]]) -> list[float]:
    """Return the absolute relative errors of the activation peak, where one GPU logged it alone (%)."""
    found = []
    for case, inputs in cases:
        peak, layout = case["activation_peak_gib"], inputs.layout
        if peak and layout.tensor_parallel_size * layout.pipeline_parallel_size == 1:
            planned = vllm_memory.budget(inputs.model, inputs.gpu, layout, inputs.settings).activations
            found.append(100 * abs(planned / GIB / peak - 1))
    return found


def is_partial(case: Case, inputs: Inputs) -> bool:
    """Whether the figure is of one pipeline stage that is not the fullest (each worker logged its own up to 0.10)."""
    stages = inputs.layout.pipeline_parallel_size
    return stages > 1 and inputs.settings.engine == 1 and inputs.settings.version < (0, 11) and case["outcome"] == "ok"


def loss(cases: Sequence[tuple[Case, Inputs]]) -> float:
    """Return the mean of the errors (%), each counted up to 25, so that no odd case decides, and the reluctance."""
    tokens, available = errors(cases, ours)
    each = [min(25.0, error) for error in (*tokens, *available, *peak_errors(cases))]
    moved = sum(abs(math.log(constant(name) / prior)) for name, prior in PRIORS.items())
    return (statistics.fmean(each) if each else 0.0) + RELUCTANCE * moved


def fit(cases: Sequence[tuple[Case, Inputs]], rounds: int = 6) -> dict[str, float]:
    """Set the constants that give the least loss, one after the other from what is expected, and return them."""
    for name, prior in PRIORS.items():
        set_constant(name, prior)
    best = loss(cases)
    for _round in range(rounds):
        before = best
        for name in PRIORS:
            start = chosen = constant(name)
            for step in STEPS:
                set_constant(name, start * step)
                now = loss(cases)
                if now < best - 1e-9:
                    best, chosen = now, start * step
            set_constant(name, chosen)
        if before - best < 1e-6:
            break
    return {name: constant(name) for name in PRIORS}


def quantile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank quantile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def refusals(cases: Sequence[tuple[Case, Inputs]], estimator: Estimator) -> tuple[int, int, int, int]:
    """Return refusals predicted, refusals, successes called unfit, successes."""
    refused = [(case, inputs) for case, inputs in cases if case["outcome"] != "ok"]
    started = [(case, inputs) for case, inputs in cases if case["outcome"] == "ok"]
    return (
        sum(not estimator(inputs).fits for _case, inputs in refused),
        len(refused),
        sum(not estimator(inputs).fits for _case, inputs in started),
        len(started),
    )


def line(name: str, tokens: Sequence[float], room: Sequence[float], planned: tuple[int, int, int, int]) -> str:
    def two(values: Sequence[float]) -> str:
        if not values:
            return f"{'-':>8} {'-':>8} {0:3d}"
        return f"{statistics.median(values):7.1f}% {quantile(values, 0.9):7.1f}% {len(values):3d}"

    right = f"{planned[0]:2d} of {planned[1]:2d}   {planned[2]:2d} of {planned[3]:2d}"
    return f"{name:42} {two(tokens)}   {two(room)}   {right}"


HEADING = (
    f"{'':42} {'tokens: median, p90, n':>21}   {'available KV':>21}   refusals   starts\n"
    f"{'':42} {'':21}   {'':21}   predicted   called unfit"
)


def cross_validated(cases: list[tuple[Case, Inputs]], splits: int) -> tuple[list[float], list[float]]:
    """Return the errors on the halves that the constants were not fitted on."""
    kept = {name: constant(name) for name in PRIORS}
    tokens: list[float] = []
    room: list[float] = []
    for seed in range(splits):
        shuffled = list(cases)
        random.Random(seed).shuffle(shuffled)
        half = len(shuffled) // 2
        for train, judge in ((shuffled[:half], shuffled[half:]), (shuffled[half:], shuffled[:half])):
            fit(train)
            more = errors(judge, ours)
            tokens += more[0]
            room += more[1]
    for name, value in kept.items():
        set_constant(name, value)
    return tokens, room


def show(cases: Sequence[tuple[Case, Inputs]]) -> None:
    for case, inputs in cases:
        found = vllm_memory.budget(inputs.model, inputs.gpu, inputs.layout, inputs.settings)
        stated, room = case["kv_cache_tokens"], case["available_kv_gib"]
        planned = logged_tokens(case, found, inputs)
        print(
            f"{case['id']} {'*' if inputs.is_fully_stated else ' '} {'.'.join(map(str, inputs.settings.version)):8}"
            f" V{inputs.settings.engine} {case['model'][:34]:34} {(case['gpu'] or '-')[:14]:14}"
            f" tp{inputs.layout.tensor_parallel_size} pp{inputs.layout.pipeline_parallel_size}"
            f" u{inputs.settings.gpu_memory_utilization:.3g} len{inputs.settings.max_model_len}"
            f" s{inputs.settings.max_num_seqs} b{inputs.settings.max_num_batched_tokens}"
            f" | W {found.weights / GIB:.2f}/{case['model_weights_gib'] or '-'}"
            f" A {found.activations / GIB:.2f}/{case['activation_peak_gib'] or '-'}"
            f" O {found.overhead / GIB:.2f} G {found.cuda_graphs / GIB:.2f}"
            f" | KV {found.kv_cache / GIB:.2f}/{room if room is not None else '-'}"
            f"{_percent(found.kv_cache / GIB, room)}"
            f" tokens {planned}/{stated if stated is not None else '-'}{_percent(planned, stated)}"
            f" conc {found.max_concurrency:.2f}/{case['max_concurrency'] or '-'}"
            f" need {found.needed_kv / GIB:.2f}/{case['needed_kv_gib'] or '-'}"
            f" {'' if found.fits == (case['outcome'] == 'ok') else '!! '}{found.outcome} ({case['outcome']})"
        )


def _percent(planned: float, stated: float | None) -> str:
    return f" {100 * (planned / stated - 1):+.1f}%" if stated and stated > 0 else ""


# What a log's words tell, and no option: the engine that a variable forced, FlashInfer in an image, what was on.
UNKNOWN = ("engine", "has_flashinfer", "enable_prefix_caching", "speculative_tokens", "draft_layers")


def replay(cases: Sequence[tuple[Case, Inputs]]) -> list[str]:
    """Return where the module's own entry says something else of a case than the budget of the same settings."""
    found = []
    for case, inputs in cases:
        try:
            plan = vllm_plan.plan_vllm(inputs.wishes)
        except Refusal as refusal:
            found.append(f"{case['id']}: no plan: {refusal}")
            continue
        planned, chosen = plan.evaluation.budget, plan.evaluation.settings
        known = {name: getattr(chosen, name) for name in UNKNOWN}
        is_capped = planned.has_states and case["max_num_seqs"] is None  # below the blocks for Mamba states
        if is_capped:
            known["max_num_seqs"] = chosen.max_num_seqs
        direct = resolve(
            inputs.settings.version,
            plan.situation.model,
            inputs.gpu,
            **{name: inputs.wishes.get(name) for name in FIXED},
            quantization=inputs.settings.quantization,
            stages=inputs.layout.pipeline_parallel_size,
        )
        same = vllm_memory.budget(plan.situation.model, inputs.gpu, inputs.layout, dataclasses.replace(direct, **known))
        pairs = {
            "GiB for the KV cache": (planned.kv_cache / GIB, same.kv_cache / GIB),
            "tokens": (planned.kv_cache_tokens, same.kv_cache_tokens),
            "fits": (planned.fits, same.fits),
        }
        if not (is_capped and plan.fits):
            told = "fits, though vLLM was refused" if plan.fits else "does not fit, though vLLM started"
            pairs[told] = (plan.fits, case["outcome"] == "ok")
        found += [
            f"{case['id']}{'*' * inputs.is_fully_stated}: {name}: {one:.6g}, not {other:.6g}"
            + (f" ({plan.reason[:110]})" if "though" in name and not plan.fits else "")
            for name, (one, other) in pairs.items()
            if abs(one - other) > 0.002 * abs(other)
        ]
    return found


@dataclass(frozen=True)
class Told:
    """What the plan says of a start that vLLM refused, and of the same start with a cure."""

    case: Case
    is_told: bool
    is_cured: bool
    blocks: int
    reason: str


def read_refusals(data: pathlib.Path = REFUSALS) -> list[Told]:
    """Put each refused start to the module's own entry as it was made, and with its cure."""
    read = json.loads(data.read_text(encoding="utf-8"))
    found = []
    for case in read["cases"]:
        params = {
            "model_config": read["models"][case["model"]],
            "weights_bytes": case["weights_bytes"],
            "gpus": [{"name": case["gpu"], "count": case["gpu_count"]}],
            "vllm_version": case["vllm_version"],
            "on_unfit": "report",
            **case["args"],
        }
        refused, cured = vllm_plan.plan_vllm(params), vllm_plan.plan_vllm({**params, **case["cure"]})
        found.append(Told(case, not refused.fits, cured.fits, refused.evaluation.budget.blocks, refused.reason))
    return found


def timed(cases: Sequence[tuple[Case, Inputs]]) -> float:
    """Return the time of 1,000 budgets on one core (seconds)."""
    started = time.perf_counter()
    for number in range(1000):
        inputs = cases[number % len(cases)][1]
        vllm_memory.budget(inputs.model, inputs.gpu, inputs.layout, inputs.settings)
    return time.perf_counter() - started


def read_cases(
    data: pathlib.Path = START_UPS, configs: pathlib.Path = MODELS
) -> tuple[list[tuple[Case, Inputs]], list[str]]:
    """Return the start-ups with what a plan would be given, and the names of those without a GPU."""
    models = json.loads(configs.read_text(encoding="utf-8"))
    cases = [(case, inputs_of(case, models)) for case in json.loads(data.read_text(encoding="utf-8"))]
    named = [(case, inputs) for case, inputs in cases if inputs is not None]
    return named, [case["id"] for case, inputs in cases if inputs is None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fit", action="store_true", help="print the constants that fit all fully stated cases")
    parser.add_argument("--cases", action="store_true", help="print case by case what was predicted and logged")
    parser.add_argument("--splits", type=int, default=10, help="seeded halvings to cross-validate over")
    parser.add_argument("--data", type=pathlib.Path, default=START_UPS)
    parser.add_argument("--models", type=pathlib.Path, default=MODELS)
    options = parser.parse_args()
    everything, unnamed = read_cases(options.data, options.models)
    stated = [(case, inputs) for case, inputs in everything if inputs.is_fully_stated]
    if options.cases:
        show(everything)
        print(f"no GPU named: {' '.join(unnamed)}\n")
    print(f"{len(everything) + len(unnamed)} start-ups, {len(stated)} fully stated, {len(unnamed)} without a GPU\n")
    print(HEADING)
    print(line("gpuchat, cross-validated", *cross_validated(stated, options.splits), refusals(stated, ours)))
    for name, estimator in ESTIMATORS:
        print(line(name, *errors(stated, estimator), refusals(stated, estimator)))
    print("\nall that name a GPU, stated in full or not")
    for name, estimator in ESTIMATORS:
        print(line(name, *errors(everything, estimator), refusals(everything, estimator)))
    differing = replay(everything)
    print(f"\nthrough gpuchat_vllm_plan, {len(everything)} start-ups, {len(differing)} differences")
    for one in differing:
        print(f"  {one}")
    told = read_refusals()
    known, cured = sum(one.is_told for one in told), sum(one.is_cured for one in told)
    print(
        f"\nrefusals of vLLM 0.18 and later: {known} of {len(told)} told; {cured} of {len(told)} cured ones called fit"
    )
    for one in told:
        blocks = f", {one.blocks} blocks planned, {one.case['blocks']} logged" if one.case["blocks"] else ""
        print(f"  {one.case['id']} {'told' if one.is_told else 'NOT told'}: {one.case['said']}{blocks}")
    print(f"\n1,000 budgets on one core: {timed(everything):.2f} s (goal: below 2 s)")
    if options.fit:
        print("\nfitted on all fully stated cases:")
        for name, value in fit(stated).items():
            print(f"{name} = {value:.4g}" + (f"  ({value / GIB:.3f} GiB)" if value > 1e6 else ""))


if __name__ == "__main__":
    main()
