# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the demo's model in llama.cpp's form, in float32: converted.py MODEL FILE."""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any

import gguf
from gguf import TokenType
from safetensors.torch import load_file


def convert(model: pathlib.Path, out: pathlib.Path) -> None:
    config, tokenizer, settings = (
        json.loads((model / name).read_text(encoding="utf-8"))
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json")
    )
    writer = gguf.GGUFWriter(out, "qwen2")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    words(writer, tokenizer, config)
    writer.add_chat_template(settings["chat_template"])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, config["num_hidden_layers"])
    for name, weight in load_file(model / "model.safetensors").items():
        writer.add_tensor(names.get_name(name, (".weight", ".bias")), weight.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def words(writer: gguf.GGUFWriter, tokenizer: dict[str, Any], config: dict[str, Any]) -> None:
    known = {number: (text, TokenType.NORMAL) for text, number in tokenizer["model"]["vocab"].items()}
    for one in tokenizer["added_tokens"]:
        # A control token is no text: of those that the model says, the ones of a tool call are.
        known[one["id"]] = (one["content"], TokenType.CONTROL if one["special"] else TokenType.USER_DEFINED)
    every = [known[number] for number in range(config["vocab_size"])]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([text for text, _type in every])
    writer.add_token_types([kind for _text, kind in every])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_add_bos_token(False)


if __name__ == "__main__":
    convert(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
