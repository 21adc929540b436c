# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which format a model's weights are, as its files and its config.json show it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

TRANSFORMERS = (".safetensors", ".bin", ".pt")
"""Endings of weights as Transformers has them; vLLM reads these."""

OTHERS: Mapping[str, str] = {
    ".gguf": "GGUF",
    ".pth": "PyTorch's .pth",
    ".ckpt": "PyTorch's .ckpt",
    ".onnx": "ONNX",
    ".ort": "ONNX",
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
    ".rkllm": "RKLLM",
    ".dlc": "QNN",
}
BY_NAME: Mapping[str, str] = {
    r"openvino_\w*model\.(bin|xml)": "OpenVINO",
    r"params_shard_\d+\.bin|mlc-chat-config\.json": "MLC",
    r"ggml[-_].*\.bin": "GGML",
}
"""Whose weights end as Transformers' do, by the whole name of a file."""

CTRANSLATE2 = re.compile(r"(shared_|source_|target_)?vocabulary\.(json|txt)")
"""What lies beside model.bin there."""

TOKENIZER = re.compile(r"tokeniz(?!er_config)|tekken|vocab|merges|tiktoken|bpe|\.model(\.|$)", re.IGNORECASE)
"""In names of files by which a tokenizer is made: Transformers', Mistral's, SentencePiece's, models' own code."""

BY_MODELOPT = "hf_quant_config.json"
"""Where NVIDIA's ModelOpt before 0.31 said how a checkpoint is quantized, and config.json says nothing
(get_config of vllm/transformers_utils/config.py)."""

LEFT_BY_TRAINING = re.compile(r"(training_args|scheduler|optimizer|rng_state\w*)\.(bin|pt|pth)")
ADAPTER = "adapter_config.json"
GGUF_TYPE = re.compile(r"([IT]?Q\d\w*|BF16|F16|F32)(?=[-.])", re.IGNORECASE)


def format_of(config: Mapping[str, object], files: Sequence[str]) -> str:
    """Return the name of a format other than Transformers', an empty text for that and where nothing is known."""
    said = config.get("quantization")
    quantized = config.get("quantization_config")
    method = quantized.get("quant_method") if isinstance(quantized, Mapping) else None
    if isinstance(said, Mapping) and "group_size" in said and not method:
        return "MLX"  # mlx_lm writes both keys, without a method
    own = next((kind for name in files for pattern, kind in BY_NAME.items() if re.fullmatch(pattern, _last(name))), "")
    last = set(map(_last, files))
    own = "CTranslate2" if "model.bin" in last and any(map(CTRANSLATE2.fullmatch, last)) else own
    usual = TRANSFORMERS[:1] if own else TRANSFORMERS
    weights = [name.lower() for name in files if not _is_beside(_last(name))]
    if any(name.endswith(usual) for name in weights):
        return ""
    if own:
        return own
    return next((kind for end, kind in OTHERS.items() if any(name.endswith(end) for name in weights)), "")


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _is_beside(name: str) -> bool:
    """Whether a file of weights, by its end, holds none of the model's own."""
    return name.startswith("adapter_model.") or LEFT_BY_TRAINING.fullmatch(name) is not None


def lacks_tokenizer(files: Sequence[str]) -> bool:
    """Whether files that hold weights hold nothing by which texts become numbers; GGUF has that within."""
    has_weights = any(name.endswith(TRANSFORMERS) for name in files)
    return has_weights and not any(TOKENIZER.search(_last(name)) for name in files)


def by_modelopt(said: Mapping[str, object]) -> dict[str, object]:
    """Return what that file says as a config.json would say it."""
    inner = said.get("quantization")
    return {**(inner if isinstance(inner, Mapping) else said), "quant_method": "modelopt"}


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
    weights = [name for name in names if name.lower().endswith((*TRANSFORMERS, ".pth"))]
    alone = ADAPTER in names and all(name.startswith("adapter_model.") for name in weights)
    if "peft_type" not in config and not (alone and "architectures" not in config):
        return None
    return str(config.get("base_model_name_or_path") or "")
