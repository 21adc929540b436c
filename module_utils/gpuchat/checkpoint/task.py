# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a checkpoint is for, as its files and its name show it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

SENTENCES = ("modules.json", "config_sentence_transformers.json", "1_Pooling/config.json")
"""Files of a model that makes vectors of sentences, whatever architecture it was made of."""

ARCHITECTURES: Mapping[str, str] = {
    r"ForSequenceClassification$": "classifies texts",
    r"ForTokenClassification$": "classifies words",
    r"(ForRewardModel|RewardModel|ForProcessRewardModel)$": "rates answers",
    r"(ForMaskedLM|EmbeddingModel)$": "makes vectors of texts",
    r"^(.*(Bert|Roberta)Model|JinaEmbeddings\w*|Gte\w*Model|NomicBert\w*|BgeM3\w*)$": "makes vectors of texts",
    r"ForQuestionAnswering$": "finds answers in a text",
}
NAMES: Mapping[str, str] = {
    r"(^|[-_/])embed(ding|dings)?([-_]|$)": "makes vectors of texts",
    r"(^|[-_/])rerank(er)?([-_]|$)": "ranks texts",
    r"(^|[-_/])(llama-guard|qwen3guard|shieldgemma|granite-guardian|wildguard)": "judges whether texts are harmful",
}


def other_than_chat(config: Mapping[str, object], files: Sequence[str], repo: str) -> str:
    """Return what a model does that cannot chat, or an empty text."""
    if any(name in files for name in SENTENCES):
        return "makes vectors of texts"
    named = config.get("architectures")
    for architecture in named if isinstance(named, (list, tuple)) else ():
        for pattern, does in ARCHITECTURES.items():
            if re.search(pattern, str(architecture)):
                return does
    return next((does for pattern, does in NAMES.items() if re.search(pattern, repo, re.IGNORECASE)), "")
