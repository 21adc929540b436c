# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Mistral's own layout says of a model: params.json, where there is no config.json beside it.

Source: adapt_config_dict of vllm/transformers_utils/configs/mistral.py, which reads it the same way.
"""

from __future__ import annotations

from collections.abc import Mapping

PARAMS = "params.json"

WIDTHS = {
    "dim": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "hidden_dim": "intermediate_size",
    "tied_embeddings": "tie_word_embeddings",
    "yarn": "rope_parameters",
}
OF_EXPERTS = {
    "num_experts": "n_routed_experts",
    "expert_hidden_dim": "moe_intermediate_size",
    "num_shared_experts": "n_shared_experts",
    "route_every_n": "moe_layer_freq",
}
OF_SOUND = {
    "dim": "d_model",
    "n_layers": "encoder_layers",
    "n_heads": "encoder_attention_heads",
    "hidden_dim": "encoder_ffn_dim",
}
LENGTH = 128_000
"""Longest context where the file says none."""


def as_config(params: Mapping[str, object]) -> dict[str, object]:
    """Return what a params.json says in the words of a config.json."""
    inner, apart = _mapping(params.get("multimodal")), ("moe", "quantization", "multimodal", "vision_encoder")
    text = _renamed({name: value for name, value in params.items() if name not in apart}, WIDTHS)
    experts = _renamed(_mapping(params.get("moe")), OF_EXPERTS)
    text = {"max_position_embeddings": LENGTH, **text, **experts, "tie_word_embeddings": bool(text.get(TIED))}
    window = text.get("sliding_window")
    if isinstance(window, (list, tuple)) and window:
        layers = text.get("num_hidden_layers")
        kinds = ["full_attention" if one is None else "sliding_attention" for one in window]
        text["layer_types"] = kinds * (layers // len(window)) if isinstance(layers, int) else kinds
        text["sliding_window"] = next(filter(None, window), None)
    named, kind = _architecture(experts)
    text.update(architectures=[named], model_type=kind)
    if isinstance(text.get("rope_parameters"), Mapping):
        text["rope_parameters"] = {"rope_type": "yarn", **_mapping(text["rope_parameters"])}
    seen = _mapping(params.get("vision_encoder")) or _mapping(inner.get("vision_encoder_args"))
    heard = _mapping(_mapping(inner.get("whisper_model_args")).get("encoder_args"))
    outer: dict[str, object] = text
    if seen:
        outer = {"architectures": ["PixtralForConditionalGeneration"], "model_type": "pixtral", "vision_config": seen}
    elif heard:
        sound = _renamed(heard, OF_SOUND)
        outer = {"architectures": [_of_sound(heard)], "model_type": "voxtral", "audio_config": sound}
    found = outer if outer is text else {**outer, "text_config": text}
    quantization = _quantized(_mapping(params.get("quantization")))
    return {**found, "quantization_config": quantization} if quantization else found


TIED = "tie_word_embeddings"


def _architecture(experts: Mapping[str, object]) -> tuple[str, str]:
    if experts.get("n_shared_experts"):
        return "MistralLarge3ForCausalLM", "deepseek_v3"
    return ("MixtralForCausalLM", "mixtral") if experts else ("MistralForCausalLM", "mistral")


def _of_sound(encoder: Mapping[str, object]) -> str:
    return "VoxtralRealtimeGeneration" if encoder.get("causal") else "VoxtralForConditionalGeneration"


def _quantized(said: Mapping[str, object]) -> Mapping[str, object]:
    return {"quant_method": "fp8"} if said.get("qformat_weight") == "fp8_e4m3" else said


def _renamed(said: Mapping[str, object], names: Mapping[str, str]) -> dict[str, object]:
    return {names.get(name, name): value for name, value in said.items()}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
