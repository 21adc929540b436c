# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm import families, flags
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.facts import versions

QWEN2, QWEN3, LLAMA = "Qwen2ForCausalLM", "Qwen3ForCausalLM", "LlamaForCausalLM"
DEEPSEEK, GLM, MISTRAL = "DeepseekV3ForCausalLM", "Glm4MoeForCausalLM", "Mistral3ForConditionalGeneration"


def family(architecture, repo, version="0.32.0", files=(), **config):
    return families.family_for({"architectures": [architecture], **config}, repo, version, files)


@pytest.mark.parametrize(
    ("architecture", "repo", "tools", "reasoning", "template"),
    [
        (QWEN2, "Qwen/Qwen2.5-7B-Instruct", "hermes", "", ""),
        (QWEN2, "Qwen/QwQ-32B", "hermes", "deepseek_r1", ""),
        (LLAMA, "NousResearch/Hermes-3-Llama-3.1-8B", "hermes", "", ""),
        (QWEN3, "Qwen/Qwen3-8B", "hermes", "qwen3", ""),
        ("Qwen3MoeForCausalLM", "Qwen/Qwen3-30B-A3B-Instruct-2507", "hermes", "", ""),
        ("Qwen3MoeForCausalLM", "Qwen/Qwen3-30B-A3B-Thinking-2507", "hermes", "deepseek_r1", ""),
        ("Qwen3MoeForCausalLM", "Qwen/Qwen3-Coder-30B-A3B-Instruct", "qwen3_coder", "", ""),
        ("Qwen3NextForCausalLM", "Qwen/Qwen3-Coder-Next", "qwen3_coder", "", ""),
        ("Qwen3_5ForConditionalGeneration", "Qwen/Qwen3.8-27B", "qwen3_coder", "qwen3", ""),
        ("GptOssForCausalLM", "openai/gpt-oss-120b", "openai", "openai_gptoss", ""),
        (LLAMA, "meta-llama/Llama-3.1-8B-Instruct", "llama3_json", "", "tool_chat_template_llama3.1_json.jinja"),
        (LLAMA, "meta-llama/Llama-3.3-70B-Instruct", "llama3_json", "", "tool_chat_template_llama3.1_json.jinja"),
        (LLAMA, "meta-llama/Llama-3.2-3B-Instruct", "llama3_json", "", "tool_chat_template_llama3.2_json.jinja"),
        (LLAMA, "Salesforce/Llama-xLAM-2-8b-fc-r", "xlam", "", "tool_chat_template_xlam_llama.jinja"),
        (
            "Llama4ForConditionalGeneration",
            "meta-llama/Llama-4-Scout-17B-16E-Instruct",
            "llama4_pythonic",
            "",
            "tool_chat_template_llama4_pythonic.jinja",
        ),
        (MISTRAL, "mistralai/Mistral-Small-3.2-24B-Instruct-2506", "mistral", "", ""),
        (MISTRAL, "mistralai/Magistral-Small-2509", "mistral", "mistral", ""),
        ("MixtralForCausalLM", "mistralai/Mixtral-8x7B-Instruct-v0.1", "", "", ""),
        (DEEPSEEK, "deepseek-ai/DeepSeek-V3-0324", "deepseek_v3", "", "tool_chat_template_deepseekv3.jinja"),
        (DEEPSEEK, "deepseek-ai/DeepSeek-R1-0528", "deepseek_v3", "deepseek_r1", "tool_chat_template_deepseekr1.jinja"),
        (DEEPSEEK, "deepseek-ai/DeepSeek-V3.1", "deepseek_v31", "deepseek_v3", "tool_chat_template_deepseekv31.jinja"),
        ("DeepseekV32ForCausalLM", "deepseek-ai/DeepSeek-V3.2", "deepseek_v32", "deepseek_v3", ""),
        ("DeepseekV4ForCausalLM", "deepseek-ai/DeepSeek-V4-Flash", "deepseek_v4", "deepseek_v4", ""),
        (QWEN2, "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "", "deepseek_r1", ""),
        (DEEPSEEK, "moonshotai/Kimi-K2-Instruct", "kimi_k2", "", ""),
        (DEEPSEEK, "moonshotai/Kimi-K2-Thinking", "kimi_k2", "kimi_k2", ""),
        ("KimiK3ForConditionalGeneration", "moonshotai/Kimi-K3", "kimi_k3", "kimi_k3", ""),
        (GLM, "zai-org/GLM-4.5-Air", "glm45", "glm45", ""),
        (GLM, "zai-org/GLM-4.7", "glm47", "glm47", ""),
        ("MiniMaxM2ForCausalLM", "MiniMaxAI/MiniMax-M2.5", "minimax_m2", "minimax_m2", ""),
        ("GraniteForCausalLM", "ibm-granite/granite-3.3-8b-instruct", "granite", "granite", ""),
        ("GraniteMoeHybridForCausalLM", "ibm-granite/granite-4.0-h-small", "granite4", "", ""),
        (
            "InternLM2ForCausalLM",
            "internlm/internlm2_5-7b-chat",
            "internlm",
            "",
            "tool_chat_template_internlm2_tool.jinja",
        ),
        (
            "Phi3ForCausalLM",
            "microsoft/Phi-4-mini-instruct",
            "phi4_mini_json",
            "",
            "tool_chat_template_phi4_mini.jinja",
        ),
        (
            "Gemma4ForConditionalGeneration",
            "google/gemma-4-31B-it",
            "gemma4",
            "gemma4",
            "tool_chat_template_gemma4.jinja",
        ),
        ("NemotronHForCausalLM", "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-NVFP4", "qwen3_coder", "nemotron_v3", ""),
        ("SeedOssForCausalLM", "ByteDance-Seed/Seed-OSS-36B-Instruct", "seed_oss", "seed_oss", ""),
    ],
)
def test_a_model_gets_the_parsers_and_the_template_of_its_family(architecture, repo, tools, reasoning, template):
    found = family(architecture, repo)
    assert (found.tool_call_parser, found.reasoning_parser) == (tools, reasoning)
    assert found.chat_template == (f"/vllm-workspace/examples/{template}" if template else "")


@pytest.mark.parametrize(
    ("architecture", "repo", "version", "tools", "reasoning"),
    [
        ("GptOssForCausalLM", "openai/gpt-oss-20b", "0.10.1.1", "", "GptOss"),
        (GLM, "zai-org/GLM-4.5", "0.10.0", "glm4_moe", "glm4_moe"),
        (GLM, "zai-org/GLM-4.7", "0.13.0", "glm45", "glm45"),
        ("GraniteMoeHybridForCausalLM", "ibm-granite/granite-4.0-h-small", "0.12.0", "hermes", ""),
        (QWEN3, "Qwen/Qwen3-8B", "0.8.5", "hermes", ""),
    ],
)
def test_an_older_version_gets_the_parser_that_it_has(architecture, repo, version, tools, reasoning):
    found = family(architecture, repo, version)
    assert (found.tool_call_parser, found.reasoning_parser) == (tools, reasoning)


def test_a_missing_parser_is_said_with_the_version_that_brings_it():
    found = family("GptOssForCausalLM", "openai/gpt-oss-20b", "0.10.1.1")
    assert found.notes == ("vLLM 0.10.1.1 has no tool parser for gpt-oss; openai came with 0.10.2",)


def test_the_arguments_come_together():
    assert family("GptOssForCausalLM", "openai/gpt-oss-20b").serve_args() == {
        "enable-auto-tool-choice": True,
        "tool-call-parser": "openai",
        "reasoning-parser": "openai_gptoss",
    }
    assert family("DeepseekV4ForCausalLM", "x").args == {
        "tokenizer-mode": "deepseek_v4",
        "kv-cache-dtype": "fp8",
        "block-size": 256,
    }


def test_reasoning_took_a_switch_of_its_own_before_0_9():
    assert family(QWEN2, "Qwen/QwQ-32B", "0.8.5").serve_args()["enable-reasoning"] is True
    assert "enable-reasoning" not in family(QWEN2, "Qwen/QwQ-32B", "0.9.0").serve_args()


OWN = ["params.json", "tekken.json", "consolidated.safetensors"]
HUGGING_FACE = ["config.json", "model.safetensors", "tokenizer.json"]


@pytest.mark.parametrize(
    ("files", "args", "template"),
    [
        ((), {}, ""),
        (OWN, {"tokenizer-mode": "mistral", "config-format": "mistral", "load-format": "mistral"}, ""),
        ([*OWN[:2], *HUGGING_FACE], {"tokenizer-mode": "mistral", "config-format": "mistral"}, ""),
        (HUGGING_FACE, {}, "/vllm-workspace/examples/tool_chat_template_mistral_parallel.jinja"),
    ],
)
def test_mistrals_own_format_is_known_by_its_files(files, args, template):
    found = family(MISTRAL, "mistralai/Mistral-Small-3.2-24B-Instruct-2506", files=files)
    assert (found.args, found.chat_template) == (args, template)


def test_a_model_that_came_later_is_refused_with_the_version_that_brought_it():
    with pytest.raises(Refusal) as refused:
        family("Qwen3_5ForConditionalGeneration", "Qwen/Qwen3.5-27B", "0.12.0")
    assert str(refused.value) == (
        "found the architecture Qwen3_5ForConditionalGeneration in config.json; vLLM 0.12.0 does not know it (it came "
        "with 0.17.0); set vllm_version to 0.17.0 or newer, or choose another model"
    )


@pytest.mark.parametrize(
    ("architecture", "note"),
    [
        ("QWenLMHeadModel", "0.23.0 serves it for sure"),
        ("SomethingForCausalLM", "it runs only where Transformers' own can be served"),
        ("BertModel", "it cannot chat"),
    ],
)
def test_what_may_or_may_not_run_is_said(architecture, note):
    found = family(architecture, "some/model")
    assert any(text.endswith(note) for text in found.notes)


def test_a_model_of_no_family_has_no_parser():
    found = family(LLAMA, "some/model")
    assert (found.serve_args(), found.is_known) == ({}, False)


@pytest.mark.parametrize(
    ("architecture", "repo", "tools", "reasoning"),
    [
        ("Lfm2MoeForCausalLM", "LiquidAI/LFM2-8B-A1B", "lfm2", ""),
        ("Lfm2MoeForCausalLM", "LiquidAI/LFM2.5-8B-A1B", "lfm2", "qwen3"),
        (QWEN3, "Qwen/Qwen3-Embedding-8B", "", ""),
        (QWEN3, "Qwen/Qwen3-Reranker-4B", "", ""),
        (QWEN3, "Qwen/Qwen3Guard-Gen-8B", "", ""),
        (QWEN3, "Qwen/Qwen3-8B-Base", "", ""),
        (QWEN3, "someone/my-assistant", "hermes", ""),
        (QWEN3, "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", "", "deepseek_r1"),
        ("Llama4ForConditionalGeneration", "meta-llama/Llama-Guard-4-12B", "", ""),
        ("AfmoeForCausalLM", "arcee-ai/Trinity-Large-Preview", "hermes", ""),
        (LLAMA, "allenai/Llama-3.1-Tulu-3-8B", "", ""),
        (GLM, "zai-org/GLM-4.5-Base", "", ""),
        ("Glm4vForConditionalGeneration", "zai-org/GLM-4.1V-9B-Thinking", "", "glm45"),
        ("Glm4ForCausalLM", "zai-org/GLM-4-32B-0414", "", ""),
        ("Glm4ForCausalLM", "zai-org/GLM-Z1-32B-0414", "", "deepseek_r1"),
        ("Qwen3OmniMoeForConditionalGeneration", "Qwen/Qwen3-Omni-30B-A3B-Instruct", "hermes", ""),
        ("Qwen3OmniMoeForConditionalGeneration", "Qwen/Qwen3-Omni-30B-A3B-Thinking", "hermes", "deepseek_r1"),
        ("Gemma3nForConditionalGeneration", "google/gemma-3n-E4B-it", "", ""),
        ("Phi3ForCausalLM", "microsoft/Phi-4-reasoning-plus", "", "deepseek_r1"),
        ("Phi3ForCausalLM", "microsoft/Phi-4-mini-reasoning", "", "deepseek_r1"),
        ("Phi3ForCausalLM", "microsoft/phi-4", "", ""),
        ("SmolLM3ForCausalLM", "HuggingFaceTB/SmolLM3-3B", "hermes", "qwen3"),
        ("Exaone4ForCausalLM", "LGAI-EXAONE/EXAONE-4.0-32B", "hermes", "deepseek_v3"),
        ("ExaoneMoeForCausalLM", "LGAI-EXAONE/K-EXAONE-236B-A23B", "hermes", "deepseek_v3"),
        ("KimiLinearForCausalLM", "moonshotai/Kimi-Linear-48B-A3B-Instruct", "kimi_k2", ""),
        ("KimiVLForConditionalGeneration", "moonshotai/Kimi-VL-A3B-Thinking-2506", "", ""),
        (DEEPSEEK, "moonshotai/Moonlight-16B-A3B-Instruct", "", ""),
        ("BailingMoeV2ForCausalLM", "inclusionAI/Ling-flash-2.0", "", ""),
        ("BailingMoeV2ForCausalLM", "inclusionAI/Ring-flash-2.0", "", "deepseek_r1"),
        ("Ernie4_5_MoeForCausalLM", "baidu/ERNIE-4.5-21B-A3B-PT", "", ""),
        ("Ernie4_5_MoeForCausalLM", "baidu/ERNIE-4.5-21B-A3B-Thinking", "ernie45", "ernie45"),
        ("HunYuanDenseV1ForCausalLM", "tencent/Hunyuan-7B-Instruct", "hunyuan_a13b", "hunyuan_a13b"),
        ("InternVLChatModel", "OpenGVLab/InternVL3_5-8B", "", ""),
        ("Cohere2ForCausalLM", "CohereLabs/c4ai-command-a-03-2025", "", ""),
        ("CohereForCausalLM", "CohereLabs/c4ai-command-r-v01", "", ""),
        ("MiniCPMForCausalLM", "openbmb/MiniCPM4-8B", "", ""),
        ("MiMoForCausalLM", "XiaomiMiMo/MiMo-7B-RL", "hermes", "qwen3"),
        ("FalconH1ForCausalLM", "tiiuae/Falcon-H1-7B-Instruct", "", ""),
        ("Olmo2ForCausalLM", "allenai/OLMo-2-1124-13B-Instruct", "", ""),
        ("ArceeForCausalLM", "arcee-ai/AFM-4.5B", "", ""),
        (QWEN2, "open-thoughts/OpenThinker3-7B", "", "deepseek_r1"),
        (QWEN2, "Skywork/Skywork-OR1-32B", "", "deepseek_r1"),
        (QWEN2, "nvidia/OpenReasoning-Nemotron-32B", "", "deepseek_r1"),
        ("FlintForCausalLM", "RecursiveSI/flint", "glm47", "glm47"),
        ("Glm4vForConditionalGeneration", "zai-org/GLM-4.6V-Flash", "glm45", "glm45"),
        ("Glm4vForConditionalGeneration", "zai-org/Glyph", "", "glm45"),
        (
            "Cohere2VisionForConditionalGeneration",
            "CohereLabs/command-a-plus-05-2026",
            "cohere_command4",
            "cohere_command4",
        ),
        ("Cohere2VisionForConditionalGeneration", "CohereLabs/command-a-vision-07-2025", "", ""),
        ("HunYuanMoEV1ForCausalLM", "tencent/Hunyuan-A13B-Pretrain", "", ""),
        ("HunYuanDenseV1ForCausalLM", "tencent/Hunyuan-7B-Pretrain", "", ""),
        ("GlmMoeDsaForCausalLM", "mindlab-research/Macaron-V1-Coding-Venti", "glm47", "glm45"),
    ],
)
def test_who_shares_an_architecture_may_speak_otherwise(architecture, repo, tools, reasoning):
    found = family(architecture, repo, "0.33.0")
    assert (found.tool_call_parser, found.reasoning_parser) == (tools, reasoning)


@pytest.mark.parametrize(
    ("architecture", "repo", "args"),
    [
        ("GlmMoeDsaForCausalLM", "zai-org/GLM-5", {"chat-template-content-format": "string"}),
        ("GlmMoeDsaForCausalLM", "zai-org/GLM-5.2", {"kv-cache-dtype": "fp8"}),
        (
            "DeepseekV32ForCausalLM",
            "deepseek-ai/DeepSeek-V3.2",
            {"tokenizer-mode": "deepseek_v32", "enable-flashinfer-autotune": False},
        ),
        ("MiniMaxM3SparseForConditionalGeneration", "MiniMaxAI/MiniMax-M3", {"block-size": 128}),
        (
            "MiniMaxM3SparseForConditionalGeneration",
            "MiniMaxAI/MiniMax-M3.1-Flash",
            {"block-size": 128, "disable-hybrid-kv-cache-manager": True},
        ),
        ("K2HorizonForCausalLM", "IFM/Jais-3-32B", {"chat-template-content-format": "string"}),
        ("MiMoV2FlashForCausalLM", "XiaomiMiMo/MiMo-V2-Flash", {"generation-config": "vllm"}),
        ("MiMoV2ForCausalLM", "XiaomiMiMo/MiMo-V2.6-Pro-RL", {"generation-config": "vllm"}),
        ("Dots3NoteForConditionalGeneration", "dots-studio/dots3-note-prev", {"block-size": 64}),
        ("BeamForCausalLM", "reflection/Beam-1.0-501B-A23B-NVFP4", {"kv-cache-dtype": "fp8"}),
        ("BeamForCausalLM", "reflection/Beam-1.0-501B-A23B-BF16", {}),
        ("Step5ForCausalLM", "stepfun-ai/Step-5-Preview", {"disable-custom-all-reduce": True}),
        ("Step3p7ForConditionalGeneration", "stepfun-ai/Step-3.7-Flash", {"disable-cascade-attn": True}),
        ("DiffusionGemmaForBlockDiffusion", "google/diffusiongemma-26B-A4B-it", {"max-num-seqs": 4}),
        (
            "PaddleOCRVLForConditionalGeneration",
            "PaddlePaddle/PaddleOCR-VL-1.6",
            {"enable-prefix-caching": False, "mm-processor-cache-gb": 0},
        ),
        (
            "HunYuanVLForConditionalGeneration",
            "tencent/HunyuanOCR",
            {"enable-prefix-caching": False, "mm-processor-cache-gb": 0},
        ),
        (
            "Glm4vForConditionalGeneration",
            "zai-org/Glyph",
            {"enable-prefix-caching": False, "mm-processor-cache-gb": 0},
        ),
        (
            "DeepseekOCR2ForCausalLM",
            "deepseek-ai/DeepSeek-OCR-2",
            {
                "enable-prefix-caching": False,
                "mm-processor-cache-gb": 0,
                "logits-processors": ["vllm.model_executor.models.deepseek_ocr:NGramPerReqLogitsProcessor"],
            },
        ),
        (
            "UnlimitedOCRForCausalLM",
            "baidu/Unlimited-OCR",
            {
                "enable-prefix-caching": False,
                "mm-processor-cache-gb": 0,
                "logits-processors": ["vllm.model_executor.models.unlimited_ocr:NGramPerReqLogitsProcessor"],
            },
        ),
    ],
)
def test_a_recipes_further_arguments_come_with_the_family(architecture, repo, args):
    assert family(architecture, repo, "0.33.0").args == args


PLAIN = "{% for message in messages %}<|im_start|>{{ message.role }}{{ message.content }}{% endfor %}"
TOOLS = PLAIN + "{% if tools %}<tools>{{ tools }}</tools>{% endif %}"
THINKS = TOOLS + "{% if enable_thinking is false %}<think></think>{% endif %}"


@pytest.mark.parametrize(
    ("architecture", "repo", "template", "tools", "reasoning"),
    [
        (QWEN3, "Qwen/Qwen3-8B", THINKS, "hermes", "qwen3"),
        (QWEN3, "someone/qwen3-tuned", TOOLS, "hermes", ""),
        (QWEN3, "someone/qwen3-tuned", PLAIN, "", ""),
        (QWEN3, "someone/assistant", THINKS, "hermes", "qwen3"),
        (QWEN3, "someone/assistant", TOOLS, "hermes", ""),
        ("Lfm2MoeForCausalLM", "LiquidAI/LFM2.5-8B-A1B", TOOLS, "lfm2", ""),
        (LLAMA, "someone/Llama-3.1-8B-other-format", PLAIN, "", ""),
    ],
)
def test_no_parser_is_set_for_what_the_models_own_chat_template_lacks(architecture, repo, template, tools, reasoning):
    found = families.family_for({"architectures": [architecture]}, repo, "0.33.0", (), template)
    assert (found.tool_call_parser, found.reasoning_parser) == (tools, reasoning)


@pytest.mark.parametrize(
    ("tokenizer", "expected"),
    [
        ({}, ""),
        (None, ""),
        ({"chat_template": PLAIN}, PLAIN),
        ({"chat_template": [{"name": "default", "template": "a"}, {"name": "tool_use", "template": "b"}]}, "a\nb"),
    ],
)
def test_the_chat_template_is_read_from_the_tokenizers_configuration(tokenizer, expected):
    assert families.chat_template(tokenizer) == expected


JINJA, READ = "chat_template.jinja", {"tokenizer_class": "PreTrainedTokenizerFast"}


@pytest.mark.parametrize(
    ("tokenizer", "data", "files", "expected"),
    [
        pytest.param(READ, {JINJA: TOOLS}, [JINJA], TOOLS, id="a file of its own"),
        pytest.param({"chat_template": PLAIN}, {JINJA: TOOLS}, [JINJA], TOOLS, id="the file counts"),
        pytest.param(READ, {"chat_template.json": {"chat_template": TOOLS}}, [], TOOLS, id="a processor's"),
        pytest.param(
            READ, {JINJA: PLAIN, "additional_chat_templates/tool_use.jinja": "x"}, [], f"x\n{PLAIN}", id="two files"
        ),
        pytest.param(READ, {}, [JINJA], "", id="one that nobody has read"),
        pytest.param(READ, {}, [], "", id="files that nobody knows"),
        pytest.param({}, {}, ["config.json"], "", id="a tokenizer that nobody has read"),
        pytest.param(READ, {}, ["config.json", "tokenizer_config.json"], None, id="none at all"),
    ],
)
def test_a_chat_template_may_lie_in_a_file_of_its_own(tokenizer, data, files, expected):
    assert families.chat_template(tokenizer, data, files) == expected


@pytest.mark.parametrize(
    ("architecture", "repo", "more", "tools", "reasoning"),
    [
        (LLAMA, "meta-llama/Llama-3.1-8B", {}, "", ""),
        (LLAMA, "meta-llama/Llama-3.2-1B", {}, "", ""),
        ("Llama4ForConditionalGeneration", "meta-llama/Llama-4-Scout-17B-16E", {}, "", ""),
        ("MistralForCausalLM", "mistralai/Mistral-7B-v0.3", {}, "", ""),
        ("Gemma4ForConditionalGeneration", "google/gemma-4-31B", {}, "", ""),
        ("HunYuanMoEV1ForCausalLM", "tencent/Hunyuan-A13B-Pretrain", {}, "", ""),
        ("DeepseekV32ForCausalLM", "deepseek-ai/DeepSeek-V3.2-Exp", {}, "deepseek_v32", "deepseek_v3"),
        ("KimiK3ForConditionalGeneration", "moonshotai/Kimi-K3", {}, "kimi_k3", "kimi_k3"),
        ("InklingForConditionalGeneration", "thinkingmachines/Inkling-NVFP4", {}, "inkling", "inkling"),
        (
            "MiniCPMV4_6ForConditionalGeneration",
            "openbmb/MiniCPM-V-4.6",
            {"model_type": "minicpmv4_6"},
            "qwen3_coder",
            "",
        ),
    ],
)
def test_without_a_chat_template_there_is_no_parser_but_where_vllm_writes_conversations_itself(
    architecture, repo, more, tools, reasoning
):
    found = families.family_for({"architectures": [architecture], **more}, repo, "0.33.0", ["config.json"], None)
    assert (found.tool_call_parser, found.reasoning_parser) == (tools, reasoning)
    assert not (not tools and found.chat_template)


ROWS = families.FAMILIES


@pytest.mark.parametrize("version", list(versions.RELEASES))
def test_what_a_family_wants_is_taken_by_every_version(version, monkeypatch):
    for row in ROWS:
        monkeypatch.setattr(families, "FAMILIES", (row._replace(kind="", repo=""),))
        found = families.family_for({}, "any", version, ["params.json", "tekken.json", "consolidated.safetensors"])
        flags.check_args(found.serve_args(), version, "vllm_args")
        flags.config_file(found.serve_args(), version)


CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{% endfor %}"
HERMES_CALLS = 'tools <tool_call>\n{"name": <function-name>, "arguments": <args>}\n</tool_call>'
LLAMA_CALLS = '<|start_header_id|>system<|end_header_id|>Environment: ipython {"name": function, "parameters": {}}'


@pytest.mark.parametrize(
    ("architecture", "kind", "repo"),
    [
        ("MistralForCausalLM", "mistral", "teknium/OpenHermes-2.5-Mistral-7B"),
        ("Gemma3ForConditionalGeneration", "gemma3", "someone/gemma-3-12b-chatml"),
        ("Gemma4ForConditionalGeneration", "gemma4", "someone/gemma-4-31b-chatml"),
        ("Llama4ForConditionalGeneration", "llama4", "someone/Llama-4-Scout-chatml"),
        ("DeepseekV3ForCausalLM", "deepseek_v3", "someone/DeepSeek-V3-chatml"),
        ("ApertusForCausalLM", "apertus", "someone/Apertus-8B-chatml"),
        ("GraniteForCausalLM", "granite", "someone/granite-3.0-8b-chatml"),
        ("Phi3ForCausalLM", "phi3", "someone/phi-4-mini-chatml"),
    ],
)
def test_a_fine_tune_that_speaks_chatml_keeps_its_own_template(architecture, kind, repo):
    config, files = {"architectures": [architecture], "model_type": kind}, ["config.json", "model.safetensors"]
    found = families.family_for(config, repo, "0.32.0", files, CHATML)
    assert (found.chat_template, found.tool_call_parser) == ("", "")


@pytest.mark.parametrize(
    ("architecture", "kind", "repo", "template", "tools"),
    [
        ("MistralForCausalLM", "mistral", "cognitivecomputations/Dolphin-24B", CHATML + HERMES_CALLS, "hermes"),
        ("LlamaForCausalLM", "llama", "Menlo/Something-8B", CHATML + HERMES_CALLS, "hermes"),
        ("LlamaForCausalLM", "llama", "watt-ai/watt-8B", LLAMA_CALLS, "llama3_json"),
        ("LlamaForCausalLM", "llama", "nvidia/Llama-3.1-Nemotron-70B-Instruct-HF", LLAMA_CALLS, "llama3_json"),
        ("LlamaForCausalLM", "llama", "nvidia/Llama-3.1-Nemotron-Nano-8B-v1", "detailed thinking <TOOLCALL>", ""),
        ("LlamaForCausalLM", "llama", "someone/x", CHATML + "<tool_call><function=x><parameter=y>", ""),
        ("LlamaForCausalLM", "llama", "someone/x", CHATML, ""),
        ("LlamaForCausalLM", "llama", "someone/x", "", ""),
    ],
)
def test_a_model_of_no_family_gets_the_parser_that_its_own_template_writes_for(
    architecture, kind, repo, template, tools
):
    found = families.family_for(
        {"architectures": [architecture], "model_type": kind}, repo, "0.32.0", template=template
    )
    assert found.tool_call_parser == tools


@pytest.mark.parametrize(("version", "count"), [("0.9.1", 1), ("0.9.2", 0), ("0.32.0", 0)])
def test_a_classifier_is_served_by_the_code_of_the_model_that_chats(version, count):
    found = families.support_of({"architectures": ["LlamaForSequenceClassification"]}, version)
    assert len(found.notes) == count
