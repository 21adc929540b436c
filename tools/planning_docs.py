# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes into docs/planning.md what each of its wrong wishes ends with."""

from __future__ import annotations

import importlib
import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "planning.md"
PACKAGE = "ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat"
ROW = re.compile(r"^\| `(\{.*?\})` \| (.*) \|$", re.MULTILINE)
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
ASKED = {
    "model_config": LLAMA,
    "weights_bytes": 16_060_522_496,
    "repo": "meta-llama/Llama-3.1-8B-Instruct",
    "gpus": [{"name": "NVIDIA L40S", "count": 2}],
    "vllm_version": "0.32.0",
}
"""What the document reports of the machine and the model."""


def message(wish: dict[str, object]) -> str:
    """Return what a wish ends with; an empty text for one that is served."""
    vllm_plan = importlib.import_module(f"{PACKAGE}.vllm.plan")
    try:
        found = vllm_plan.plan_vllm({**ASKED, **wish})
    except vllm_plan.Refusal as refusal:
        return str(refusal)
    return "" if found.fits else str(found.reason)


def document() -> str:
    """Return the document with the messages of today."""
    return ROW.sub(
        lambda row: f"| `{row[1]}` | {message(yaml.safe_load(row[1]))} |", DOCUMENT.read_text(encoding="utf-8")
    )


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    importlib.import_module("conftest")  # lets the collection be imported from a checkout
    DOCUMENT.write_text(document(), encoding="utf-8")
