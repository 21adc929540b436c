# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rerankers that vLLM has to be told how to read.

Source: docs/models/pooling_models/scoring.md of vLLM, its notes on single models, and the templates that it names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reranker:
    """A reranker by its name.

    Attributes:
        names: found in the name of its repository.
        published: architecture of its config.json, for which the overrides are; another one, such as that of a
            checkpoint converted to a classifier, needs none.
        overrides: ``--hf-overrides``.
        template: file of ``TEMPLATES``; empty where a question and a text are scored as they are.
    """

    names: re.Pattern[str]
    published: str = ""
    overrides: Mapping[str, object] = field(default_factory=dict)
    template: str = ""


TEMPLATES = "examples/pooling/score/template"
"""Folder of vLLM's repository."""


def _by_two_tokens(architecture: str) -> dict[str, object]:
    return {
        "architectures": [architecture],
        "classifier_from_token": ["no", "yes"],
        "is_original_qwen3_reranker": True,
    }


def _named(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


RERANKERS = (
    Reranker(
        _named(r"qwen3-?vl-?reranker"),
        "Qwen3VLForConditionalGeneration",
        _by_two_tokens("Qwen3VLForSequenceClassification"),
        "qwen3_vl_reranker.jinja",
    ),
    Reranker(
        _named(r"qwen3-?reranker"),
        "Qwen3ForCausalLM",
        _by_two_tokens("Qwen3ForSequenceClassification"),
        "qwen3_reranker.jinja",
    ),
    Reranker(
        _named(r"bge-reranker-v2-gemma"),
        "GemmaForCausalLM",
        {
            "architectures": ["GemmaForSequenceClassification"],
            "classifier_from_token": ["Yes"],
            "method": "no_post_processing",
        },
        "bge-reranker-v2-gemma.jinja",
    ),
    Reranker(
        _named(r"mxbai-rerank-\w+-v2"),
        "Qwen2ForCausalLM",
        {
            "architectures": ["Qwen2ForSequenceClassification"],
            "classifier_from_token": ["0", "1"],
            "method": "from_2_way_softmax",
        },
        "mxbai_rerank_v2.jinja",
    ),
    Reranker(_named(r"nemotron-rerank-vl"), template="nemotron-vl-rerank.jinja"),
    Reranker(_named(r"nemotron-rerank"), template="nemotron-rerank.jinja"),
)

RENAMED: Mapping[str, str] = {
    "NewForSequenceClassification": "GteNewForSequenceClassification",
    "NewModel": "GteNewModel",
}
"""What vLLM calls an architecture whose own name is too general."""
