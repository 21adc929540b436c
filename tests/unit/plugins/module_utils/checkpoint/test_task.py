# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.checkpoint.task import other_than_chat


@pytest.mark.parametrize(
    ("architecture", "files", "repo"),
    [
        ("Qwen3ForCausalLM", [], "Qwen/Qwen3-8B"),
        ("Qwen3ForCausalLM", ["config.json"], "someone/embedded-systems-chat"),
        ("Qwen2_5_VLForConditionalGeneration", [], "Qwen/Qwen2.5-VL-7B-Instruct"),
        ("", [], "some/model"),
    ],
)
def test_what_answers_people_can_chat(architecture, files, repo):
    assert other_than_chat({"architectures": [architecture]}, files, repo) == ""


@pytest.mark.parametrize(
    ("architecture", "files", "repo", "does"),
    [
        ("Qwen3ForCausalLM", ["modules.json"], "any/name", "makes vectors of texts"),
        ("Qwen3ForCausalLM", ["1_Pooling/config.json"], "any/name", "makes vectors of texts"),
        ("Qwen3ForCausalLM", [], "Qwen/Qwen3-Embedding-0.6B", "makes vectors of texts"),
        ("Qwen3ForCausalLM", [], "Qwen/Qwen3-Reranker-4B", "ranks texts"),
        ("BertForSequenceClassification", [], "any/name", "classifies texts"),
        ("Qwen2ForRewardModel", [], "any/name", "rates answers"),
    ],
)
def test_what_cannot_chat_is_known_by_its_files_its_architecture_or_its_name(architecture, files, repo, does):
    assert other_than_chat({"architectures": [architecture]}, files, repo) == does
