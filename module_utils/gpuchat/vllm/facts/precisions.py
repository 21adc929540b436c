# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hardware runs which precision of weights, which driver serves which CUDA, and which GPUs are what.

Kept by hand. The lowest compute capability by version of vLLM is generated (CAPABILITIES in ``versions.py``);
here stands how a GPU runs what it may run. Paths are those of vLLM's source distributions.
"""

from __future__ import annotations

from typing import NamedTuple


class Precision(NamedTuple):
    """How weights of one precision run.

    Attributes:
        name: for people.
        native: compute capability (times ten) from which the GPU multiplies in that precision; 0 where none has to.
        otherwise: what vLLM does below it.
        source: where it is said.
    """

    name: str
    native: int
    otherwise: str
    source: str


UNPACKED = "by Marlin: the weights stay packed in memory, the arithmetic is 16-bit"

PRECISIONS: dict[str, Precision] = {
    "fp8": Precision(
        "FP8",
        89,
        UNPACKED,
        "vllm/model_executor/layers/quantization/fp8.py (0.8.0 on): Marlin where has_device_capability(89) is not",
    ),
    "mxfp8": Precision("MXFP8", 100, UNPACKED, "vllm/model_executor/layers/quantization/modelopt.py of 0.33.0"),
    "nvfp4": Precision(
        "NVFP4",
        100,
        UNPACKED,
        "compressed_tensors_w4a4_nvfp4.py of 0.33.0; docs/features/quantization/README.md",
    ),
    "mxfp4": Precision(
        "MXFP4",
        100,
        UNPACKED + " (Triton's kernels on Hopper)",
        "vllm/model_executor/layers/quantization/mxfp4.py; recipes/models/openai/gpt-oss-120b.yaml",
    ),
    "int8": Precision("INT8", 75, "not at all", "compressed_tensors_w8a8_int8.py (0.8.0 on)"),
    "packed": Precision(
        "packed integer", 0, "", "compressed_tensors_wNa16.py of 0.33.0: 16-bit arithmetic on every GPU"
    ),
    "packed8": Precision("packed integer", 0, "", "compressed_tensors_wNa8.py of 0.32.0: INT8 arithmetic, by Humming"),
}

# Methods and schemes of quantization, as CAPABILITIES names them, to the precision of the weights. Those that are
# not here have a lowest capability only.
WEIGHTS: dict[str, str] = {
    "fp8": "fp8",
    "fbgemm_fp8": "fp8",
    "ptpc_fp8": "fp8",
    "modelopt": "fp8",
    "CompressedTensorsW8A8Fp8": "fp8",
    "CompressedTensorsW8A16Fp8": "fp8",
    "modelopt_mxfp8": "mxfp8",
    "mxfp8": "mxfp8",
    "CompressedTensorsW8A8Mxfp8": "mxfp8",
    "modelopt_fp4": "nvfp4",
    "CompressedTensorsW4A4Fp4": "nvfp4",
    "CompressedTensorsW4A16Fp4": "nvfp4",
    "mxfp4": "mxfp4",
    "gpt_oss_mxfp4": "mxfp4",
    "CompressedTensorsW4A4Mxfp4": "mxfp4",
    "CompressedTensorsW4A16Mxfp4": "mxfp4",
    "CompressedTensorsW8A8Int8": "int8",
    "CompressedTensorsWNA16": "packed",
    "CompressedTensorsWNA8Int": "packed8",
    "CompressedTensorsWNA4Int": "packed8",
}

GPTQ_BY_MARLIN_ALONE_SINCE = (0, 22)
"""From here on GPTQ is served by Marlin's kernels alone: 4 or 8 bits, symmetric (TYPE_MAP of auto_gptq.py); before also
2 and 3 bits (gptq.py)."""

PACKED_BITS_SINCE = (0, 26)
"""From here on packed integers of compressed-tensors have 2 to 8 bits, before 4 or 8 (compressed_tensors_wNa16.py, 0.24
and 0.28)."""

MARLIN_24_UNTIL = (0, 16)
"""From here on no kernel takes weights in that packing of 2:4 sparse ones (pull request 32688 of January 2026)."""

SPARSE_UNTIL, SPARSE_REFUSED_SINCE = (0, 19), (0, 22)
"""From the first on no kernel takes weights that are packed as 2:4 sparse, from the second on vLLM ends with "Sparsity
support has been removed from compressed-tensors" (compressed_tensors.py of 0.18 to 0.33)."""

MODELOPT_ALGORITHMS = frozenset(
    {"FP8", "FP8_PER_CHANNEL_PER_TOKEN", "FP8_PB_WO", "FP8_BLOCK_SCALES", "NVFP4", "W4A16_NVFP4", "MXFP8"}
) | {"MIXED_PRECISION"}
"""Values of NVIDIA ModelOpt's ``quant_algo`` that a vLLM takes (QUANT_ALGOS of modelopt.py, 0.18 to 0.33)."""

SWITCHED_OFF: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    **dict.fromkeys(("fbgemm_fp8", "fp_quant"), ((0, 14), (99,))),
    "experts_int8": ((0, 14), (0, 19)),
    "ptpc_fp8": ((0, 14), (0, 19)),
    "petit_nvfp4": ((0, 14), (0, 20)),
    **dict.fromkeys(("bitblas", "gptq_bitblas", "gptq_marlin_24"), ((0, 14), (0, 16))),
}
"""Methods that a version still has and takes with ``--allow-deprecated-quantization`` alone, by the first such version
and the first that is none (DEPRECATED_QUANTIZATION_METHODS of vllm/model_executor/layers/quantization in 0.15, 0.18,
0.20, 0.22, 0.24, 0.28 and 0.33)."""

BLOCKS_BY_MARLIN_SINCE = (0, 9, 0)
"""From here on Marlin takes FP8 weights with a scale per block (``weight_block_size``); before they want 8.9 (fp8.py of
0.8.5: "Marlin doesn't support block-wise fp8")."""

BFLOAT16 = 80
"""Compute capability (times ten) of bfloat16: vllm/platforms/cuda.py, ``check_if_supports_dtype``."""

FLOAT16_UNFIT = ("gemma2", "gemma3", "gemma3_text", "glm4", "plamo2")
"""Model types that vLLM refuses to serve in float16: ``_FLOAT16_NOT_SUPPORTED_MODELS`` in its model configuration."""

INT8_UNFIT = 100
"""Compute capability (times ten) from which INT8 weights with INT8 activations end in "Int8 not supported on SM":
csrc/quantization/w8a8/cutlass/c3x/scaled_mm_helper.hpp of 0.33.0; the kernel is chosen on every CUDA GPU."""


class Cuda(NamedTuple):
    """What one CUDA release needs.

    Attributes:
        driver: the driver branch that is made for it.
        floor: the lowest driver branch of the same major CUDA release (minor version compatibility).
        accepted: older branches that NVIDIA's base image accepts on GPUs that are no GeForce (NVIDIA_REQUIRE_CUDA).
        geforce: whether it accepts them on a GeForce too.
        highest: highest compute capability (times ten) that it compiles for.
    """

    driver: int
    floor: int
    accepted: tuple[int, ...]
    geforce: bool
    highest: int


# Drivers: table 3 of docs.nvidia.com/cuda/cuda-toolkit-release-notes, and
# docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html (12.x: 525 and newer, 13.x: 580 and newer).
# Accepted branches: NVIDIA_REQUIRE_CUDA of the images nvidia/cuda:12.4.1, 12.8.1 and 13.0.x; that of 12.9.1 was not
# seen and is taken to be 12.8's with R570. vLLM's docs/getting_started/installation/gpu.cuda.inc.md names R535 and R570
# for CUDA 13.
CUDA: dict[tuple[int, int], Cuda] = {
    (12, 4): Cuda(550, 525, (470, 525, 535), True, 90),
    (12, 8): Cuda(570, 525, (470, 535, 550, 560, 565), False, 120),
    (12, 9): Cuda(575, 525, (535, 550, 560, 565, 570), False, 121),
    (13, 0): Cuda(580, 580, (535, 550, 565, 570), False, 121),
}

DOCUMENTED_FORWARD = (535, 570)
"""Branches that vLLM's documentation names for CUDA 13 on data-centre GPUs."""

COMPATIBILITY_SWITCH = "VLLM_ENABLE_CUDA_COMPATIBILITY"
"""The variable that makes the image load its compatibility libraries (0.17.0 on; docs as above)."""

# Classes of GPUs by name, in small letters with spaces for dashes; the first that fits counts. Sources: the product
# lines of nvidia.com/en-us/data-center/products and nvidia.com/en-us/products/workstations; NVML's brands.
CLASSES: tuple[tuple[str, str], ...] = (
    (r"geforce|titan|\brtx (20|30|40|50)[5-9]0( |$)|\bgtx\b", "consumer"),
    (r"\btesla\b|server edition|\b(gb?|g?h)(100|200|300|800|20)\b|\b(b|h)(100|200|300|800|20)\b", "data-centre"),
    (r"\b(a100|a800|a30x?|a40|a10g?|a10m|a16|a2|l40s?|l4|l20|l2|t4g?|v100s?|p100|p40|p4)\b", "data-centre"),
    (r"quadro|\brtx\b|\bt[1-9]\d{2,3}\b|nvs", "workstation"),
    (r"\bgb10\b|thor|orin|jetson", "embedded"),
)
