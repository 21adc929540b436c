# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which format a model's weights are, as its files and its config.json show it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

TRANSFORMERS = (".safetensors", ".bin", ".pt", ".pth")
"""Endings of weights as Transformers has them; vLLM reads these."""

OTHERS: Mapping[str, str] = {
    ".gguf": "GGUF",
    ".onnx": "ONNX",
    ".npz": "MLX",
    ".nemo": "NeMo",
    ".engine": "TensorRT",
    ".plan": "TensorRT",
    ".mlpackage": "Core ML",
    ".mlmodel": "Core ML",
    ".tflite": "LiteRT",
    ".task": "LiteRT",
    ".litertlm": "LiteRT",
    ".llamafile": "llamafile",
    ".msgpack": "Flax",
    ".h5": "TensorFlow",
}
ADAPTER = "adapter_config.json"
GGUF_TYPE = re.compile(r"(I?Q\d\w*|BF16|F16|F32)(?=[-.])", re.IGNORECASE)


def format_of(config: Mapping[str, object], files: Sequence[str]) -> str:
    """Return the name of a format other than Transformers', an empty text for that and where nothing is known."""
    said = config.get("quantization")
    quantized = config.get("quantization_config")
    method = quantized.get("quant_method") if isinstance(quantized, Mapping) else None
    if isinstance(said, Mapping) and "group_size" in said and not method:
        return "MLX"  # mlx_lm writes both keys, without a method
    if any(name.lower().endswith(TRANSFORMERS) and not name.startswith("adapter_model.") for name in files):
        return ""
    return next((kind for end, kind in OTHERS.items() if any(name.lower().endswith(end) for name in files)), "")


def gguf_type(files: Sequence[str]) -> str:
    """Return the type of the first GGUF file by its name, such as Q4_K_M; an empty text where it says none."""
    for name in sorted(files):
        found = GGUF_TYPE.search(name) if name.lower().endswith(".gguf") else None
        if found:
            return found.group(1).upper()
    return ""


def adapted(config: Mapping[str, object], files: Sequence[str]) -> str | None:
    """Return the model that an adapter (LoRA) was made of, an empty text where it does not say; None for a model."""
    names = {name.rpartition("/")[2] for name in files}
    weights = [name for name in names if name.lower().endswith(TRANSFORMERS)]
    alone = ADAPTER in names and all(name.startswith("adapter_model.") for name in weights)
    if "peft_type" not in config and not (alone and "architectures" not in config):
        return None
    return str(config.get("base_model_name_or_path") or "")
