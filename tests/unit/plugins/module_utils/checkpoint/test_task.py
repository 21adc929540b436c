# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.checkpoint.task import other_than_chat, unserved


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


@pytest.mark.parametrize(
    ("architecture", "word"),
    [
        ("T5ForConditionalGeneration", "rewrites texts"),
        ("MT5ForConditionalGeneration", "rewrites texts"),
        ("M2M100ForConditionalGeneration", "rewrites texts"),
        ("MarianMTModel", "rewrites texts"),
        ("VisionEncoderDecoderModel", "rewrites texts"),
        ("PegasusForConditionalGeneration", "rewrites texts"),
        ("SD3Transformer2DModel", "makes pictures"),
        ("FluxTransformer2DModel", "makes pictures"),
        ("ViTForImageClassification", "pictures"),
        ("DetrForObjectDetection", "pictures"),
        ("SegformerForSemanticSegmentation", "pictures"),
        ("Wav2Vec2ForCTC", "sound"),
        ("VitsModel", "sound"),
        ("ParlerTTSForConditionalGeneration", "sound"),
        ("Qwen3TTSForConditionalGeneration", "sound"),
        ("LlamaForCausalLM", ""),
        ("T5GemmaForConditionalGeneration", ""),
        ("WhisperForConditionalGeneration", ""),
        ("Qwen3OmniMoeForConditionalGeneration", ""),
        ("XLMRobertaForSequenceClassification", ""),
        ("BertModel", ""),
        ("CLIPModel", ""),
    ],
)
def test_what_no_vllm_serves_is_known_by_its_architecture(architecture, word):
    found = unserved({"architectures": [architecture]})
    assert word in found if word else not found


def test_a_part_of_a_pipeline_for_pictures_is_known_by_its_class():
    assert unserved({"_class_name": "UNet2DConditionModel"}) == "makes pictures"
