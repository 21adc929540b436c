# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast an engine can be: a roofline of memory bandwidth, arithmetic and links.

A step that makes one token for each of ``batch`` conversations reads the weights once and every conversation's KV
cache, and computes two floating-point operations per active weight and token; the slower of the two decides (the
roofline of Williams, Waterman and Patterson, doi 10.1145/1498765.1498785, applied to decoding as in Pope et al.,
arXiv 2211.05102, sections 2 and 3; two operations per weight as in Kaplan et al., arXiv 2001.08361, section 2.1).
Tensor parallelism adds two all-reduces per layer (Shoeybi et al., arXiv 1909.08053, section 3), each of which sends
``2 x (tp - 1) / tp`` times the data (the ring algorithm). Reading a prompt is the same with all of its tokens at once.

The peaks are data sheets' figures; what of them engines reach is assumed, not measured: REACHED_BANDWIDTH,
REACHED_ARITHMETIC.
"""

from __future__ import annotations

import functools
import math
from dataclasses import asdict, dataclass

REACHED_BANDWIDTH = 0.65
"""Assumed share of a GPU's memory bandwidth that decoding reaches."""

REACHED_ARITHMETIC = 0.5
"""Assumed share of a GPU's dense arithmetic rate that reading a prompt reaches."""

NVLINK = (150e9, 10e-6)
PCIE = (12e9, 30e-6)
"""Bytes per second in each direction and seconds per all-reduce, over NVLink and over PCIe 4.0 through the host."""

EXPERT_RATE = 0.95e12
"""Bytes per second at which one GPU reads a layer's experts where each has one token, whatever its memory could; with
more tokens for each it grows with their square root, up to what the memory gives."""

EXPERT_LAYER_SECONDS, LATENT_LAYER_SECONDS = 50e-6, 100e-6
"""Seconds of a layer of experts, and of one of latent attention, that are neither: routing, sorting, small kernels.

Fitted, as the rate is, on Qwen3.5-35B-A3B-FP8 on one H100 (172 tokens/s alone) and DeepSeek-R1 on 8 x H200, where they
stand between two measurements: ten at once made some 195 tokens/s together with the kernels of February 2025
(github.com/deepseek-ai/DeepSeek-R1/issues/507), sixteen 684 with those of November (vllm-project/vllm/pull/28992).
Held against MiniMax-M2.5 on four and eight H100 (SemiAnalysisAI/InferenceX/pull/832: 289 and 427 tokens/s for four),
Qwen3-30B-A3B on one A100 (tenstorrent/tt-inference-server/issues/340: 103 alone) and GLM-4.7-FP8 on 8 x H100
(NVIDIA/TensorRT-LLM/pull/11559, another engine: 199, 595 and 1,752 for 4, 16 and 64)."""

FAST_DISK = 2e9
SLOW_DISK = 200e6
"""Bytes per second that an NVMe drive and a slow disk give: between these two lies the time to read the weights."""

STEP_SECONDS = 1e-3
"""Assumed seconds of a step that are neither reading nor computing: scheduling, sampling, launching."""


@dataclass(frozen=True)
class Work:
    """What one engine reads and computes.

    Attributes:
        layers: number of layers.
        width: hidden size.
        dense_bytes: weights that each step reads, whatever the batch (bytes, all GPUs together).
        expert_bytes: weights of all routed experts (bytes); 0 for a model without.
        expert_share: share of the routed experts that one token takes.
        active_weights: weights that one token is multiplied with.
        kv_bytes_per_token: what a step reads of each token before (bytes, all GPUs together, copies among them).
        file_bytes: what is read from disk at the start.
        expert_layers: layers with routed experts.
        latent_layers: layers with latent attention (MLA).
    """

    layers: int
    width: int
    dense_bytes: float
    expert_bytes: float
    expert_share: float
    active_weights: float
    kv_bytes_per_token: float
    file_bytes: float
    expert_layers: int = 0
    latent_layers: int = 0


@dataclass(frozen=True)
class Machine:
    """The GPUs of one engine: `bandwidth` (bytes/s) and `arithmetic` (operations/s) are one GPU's peaks."""

    bandwidth: float
    arithmetic: float
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    replicas: int = 1
    is_linked: bool = True


@dataclass(frozen=True)
class Estimate:
    """Rates in tokens per second, times in seconds, each rounded to two figures.

    Attributes:
        decode_alone: one conversation, nobody else asking.
        decode_full: all of `batch` conversations together, in all replicas.
        decode_full_each: one of these.
        prefill: reading prompts, in all replicas.
        first_token_seconds: reading one such context alone, up to the first token of the answer.
        load_seconds: reading the weights, from a fast and from a slow disk.
    """

    decode_alone: float
    decode_full: float
    decode_full_each: float
    batch: int
    context: int
    prefill: float
    first_token_seconds: float
    load_seconds: tuple[float, float]

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), "load_seconds": list(self.load_seconds)}


def touched(share: float, batch: float) -> float:
    """Return the share of a layer's experts that a batch reads, each token choosing at random."""
    return float(1 - (1 - share) ** batch)


def all_reduce_seconds(size: float, machine: Machine) -> float:
    """Return the time of one all-reduce of ``size`` bytes."""
    parts = machine.tensor_parallel_size
    if parts == 1:
        return 0.0
    bandwidth, latency = NVLINK if machine.is_linked else PCIE
    return latency + size * 2 * (parts - 1) / parts / bandwidth


def expert_seconds(work: Work, machine: Machine, part: float) -> float:
    """Return the time in which one engine reads the experts that a part of a batch wakes."""
    if not work.expert_bytes:
        return 0.0
    together = part * machine.replicas  # replicas share out the experts, and the tokens with them
    each = work.expert_bytes / machine.tensor_parallel_size
    return (
        each / EXPERT_RATE * _slowest(work.expert_share, together, machine.bandwidth * REACHED_BANDWIDTH / EXPERT_RATE)
    )


@functools.lru_cache(maxsize=1024)
def _slowest(share: float, batch: float, most: float) -> float:
    """Return the woken share of the experts by the rate of reading them, of which EXPERT_RATE is 1.

    It is the most of all smaller batches, as one more token never makes a step faster.
    """
    return max(
        touched(share, size) / min(most, math.sqrt(max(1.0, size * share / touched(share, size))))
        for size in (*range(1, int(batch) + 1), batch)
    )


def launch_seconds(work: Work) -> float:
    """Return the time of a step's small kernels."""
    return work.expert_layers * EXPERT_LAYER_SECONDS + work.latent_layers * LATENT_LAYER_SECONDS


def step_seconds(work: Work, machine: Machine, batch: int, context: int) -> float:
    """Return the time in which one engine makes one token for each conversation of a batch.

    A pipeline's stages follow each other for one token, and work at once where there is a part of the batch for each of
    them: each part reads all weights, stage by stage, but only its own cache.
    """
    stages_at_once = min(machine.pipeline_parallel_size, batch)
    part = batch / stages_at_once
    read = work.dense_bytes + part * context * work.kv_bytes_per_token
    reading = read / machine.tensor_parallel_size / (machine.bandwidth * REACHED_BANDWIDTH)
    reading += expert_seconds(work, machine, part)
    arithmetic = machine.tensor_parallel_size * machine.arithmetic * REACHED_ARITHMETIC
    computing = 2 * work.active_weights * part / arithmetic
    sending = 2 * work.layers * all_reduce_seconds(part * work.width * 2, machine)
    if work.expert_bytes and machine.replicas > 1:  # tokens go to the replica that holds their expert, and back
        sending += 2 * work.expert_layers * (NVLINK if machine.is_linked else PCIE)[1]
    return max(reading, computing) + sending + STEP_SECONDS + launch_seconds(work)


def prefill_rate(work: Work, machine: Machine, chunk: int = 2048) -> float:
    """Return the tokens per second at which one engine reads prompts, ``chunk`` tokens a step."""
    parts = machine.tensor_parallel_size * machine.pipeline_parallel_size
    computing = 2 * work.active_weights * chunk / parts / (machine.arithmetic * REACHED_ARITHMETIC)
    reading = (work.dense_bytes + work.expert_bytes) / parts / (machine.bandwidth * REACHED_BANDWIDTH)
    sending = 2 * work.layers / machine.pipeline_parallel_size * all_reduce_seconds(chunk * work.width * 2, machine)
    return chunk / (max(computing, reading) + sending + STEP_SECONDS)


def rounded(number: float) -> float:
    """Return a number with two significant figures: it is an estimate."""
    return float(f"{number:.1e}")


def estimate(work: Work, machine: Machine, batch: int, context: int) -> Estimate:
    """Estimate how fast a layout is.

    Args:
        work: what one engine does.
        machine: its GPUs.
        batch: conversations at once in one engine.
        context: tokens that each of them holds.
    """
    batch = max(1, batch)
    each = 1 / step_seconds(work, machine, batch, context)
    return Estimate(
        decode_alone=rounded(1 / step_seconds(work, machine, 1, context)),
        decode_full=rounded(each * batch * machine.replicas),
        decode_full_each=rounded(each),
        batch=batch * machine.replicas,
        context=context,
        prefill=rounded(prefill_rate(work, machine) * machine.replicas),
        first_token_seconds=rounded(context / prefill_rate(work, machine) + step_seconds(work, machine, 1, context)),
        load_seconds=(rounded(work.file_bytes / FAST_DISK), rounded(work.file_bytes / SLOW_DISK)),
    )
