# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Families of models: which tool and reasoning parsers, template and arguments of ``vllm serve`` each wants.

Kept by hand. Unless a row names another source, the paths are those of vLLM's source distribution 0.33.0. Rows that
name a model card or a chat template and no address were written from what is commonly known of that family, and are yet
to be held against the card itself.
"""

from __future__ import annotations

from typing import NamedTuple

CALLING = "docs/features/tool_calling.md"
REASONING = "docs/features/reasoning_outputs.md"
RECIPE = "recipes/models/"
PATTERNS = "rust/src/chat/src/parser/tool/mod.rs (model name patterns)"


class Row(NamedTuple):
    """One family; the first row whose two patterns fit counts.

    Attributes:
        name: as people call it.
        kind: pattern of the whole architecture or model_type of config.json; empty for any.
        repo: pattern within the repository's name in small letters; empty for any.
        tools: tool parsers, the best first; the first that a version knows is taken.
        reasoning: reasoning parsers, the same way.
        template: file in the image's examples that handles tools, where the model's own template does not.
        args: further arguments, where a version knows them.
        source: where it is said.
        note: what people should know.
        own: pattern within the model's own chat template; where that is known and lacks it, the row does not fit.
        is_told_by_template: whether the row fits only where the template is known.
    """

    name: str
    kind: str
    repo: str
    tools: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()
    template: str = ""
    args: dict[str, object] | None = None
    source: str = ""
    note: str = ""
    own: str = ""
    is_told_by_template: bool = False


CARD = "the model card's vllm serve, and its chat template"
OCR: dict[str, object] = {"enable-prefix-caching": False, "mm-processor-cache-gb": 0}
"""Of models that read pages, no two of which are alike, so that nothing is found again."""

NGRAMS = "NGramPerReqLogitsProcessor"
OTHER_TURNS = r"(?s)\A(?!.*<\|im_start\|>)"
"""Of templates whose turns are not ChatML's: a fine-tune that speaks so does not understand its family's template."""

NO_TOOLS = "no parser of vLLM reads the tool calls of this family; none is set"

DEEPSEEK = "DeepseekV3ForCausalLM|deepseek_v3"
DEEPSEEK_32 = "DeepseekV32ForCausalLM|deepseek_v32"
LLAMA = "LlamaForCausalLM|MllamaForConditionalGeneration|llama|mllama"
MISTRAL = "(Mistral|Mixtral|Pixtral|Voxtral|Ministral).*|mistral.*|mixtral|pixtral|voxtral.*|ministral.*"
QWEN3 = "Qwen3(VL)?(Moe)?(ForCausalLM|ForConditionalGeneration)|qwen3(_vl)?(_moe)?"
QWEN35 = "Qwen3_5.*|qwen3_5.*"
GRANITE = "Granite.*|granite.*"

FAMILIES: tuple[Row, ...] = (
    # Fine-tunes that speak otherwise than the model they were made of come first.
    Row(
        "a base model",
        "",
        r"[-_.]base([-_.]|$)|[-_.]pretrain(ed)?([-_.]|$)|gemma-.*-pt([-_.]|$)",
        source="a base model's answers hold neither tool calls nor an end of reasoning",
        note="a base model was not trained to answer, to call tools or to think aloud; no parser is set",
    ),
    Row(
        "DeepSeek-R1-0528-Qwen3",
        "",
        "r1-0528-qwen3",
        (),
        ("deepseek_r1",),
        source="its chat template: DeepSeek's turns, whose tokens for tool calls Qwen3's tokenizer lacks, and <think>",
        note=NO_TOOLS,
    ),
    Row(
        "thinkers built on Qwen2",
        "Qwen2ForCausalLM|qwen2",
        "openthinker[23]|skywork-or1|openreasoning|light-r1|acereason",
        (),
        ("deepseek_r1",),
        source="their model cards: <think> as DeepSeek-R1's distilled models have it",
        note=NO_TOOLS,
    ),
    Row(
        "OpenThinker",
        "Qwen2ForCausalLM|qwen2",
        "openthinker",
        source="its model card: <|begin_of_thought|>",
        note=NO_TOOLS,
    ),
    Row("MiMo-VL", "", "mimo-vl", (), ("qwen3",), source=CARD, note=NO_TOOLS),
    Row("MiMo-7B", "MiMoForCausalLM|mimo", "", ("hermes",), ("qwen3",), source=CARD + " (Qwen2.5's, and <think>)"),
    Row("GLM-GA", "", "glm-ga", (), ("glm45",), source=RECIPE + "zai-org/GLM-GA.yaml"),
    Row("Flint", "FlintForCausalLM|flint", "", ("glm47",), ("glm47",), source=RECIPE + "RecursiveSI/flint.yaml"),
    Row(
        "Macaron V1 Coding",
        "",
        "macaron-v1",
        ("glm47",),
        ("glm45",),
        args={"kv-cache-dtype": "fp8"},
        source=RECIPE + "mindlab-research/Macaron-V1-Coding-Venti.yaml",
    ),
    Row("Tulu", LLAMA, "tulu", source="its chat template: <|user|> turns, without tools", note=NO_TOOLS),
    Row(
        "DeepSeek-R1-Distill",
        "",
        "r1-distill",
        (),
        ("deepseek_r1",),
        source=REASONING,
        note="the distilled DeepSeek-R1 models were not trained to call tools",
    ),
    Row("Hermes", "", "hermes-(2-pro|2-theta|3|4)", ("hermes",), source=CALLING),
    Row(
        "xLAM (Llama)",
        LLAMA,
        "xlam",
        ("xlam",),
        (),
        "tool_chat_template_xlam_llama.jinja",
        source=CALLING,
        own=OTHER_TURNS,
    ),
    Row("xLAM (Qwen)", "Qwen2.*|qwen2", "xlam", ("xlam",), (), "tool_chat_template_xlam_qwen.jinja", source=CALLING),
    Row(
        "ToolACE",
        LLAMA,
        "toolace",
        ("pythonic",),
        (),
        "tool_chat_template_toolace.jinja",
        source=CALLING,
        own=OTHER_TURNS,
    ),
    Row("Intern-S2", "InternS2.*|intern_s2.*", "", ("qwen3_coder",), ("qwen3",), source=RECIPE + "internlm/"),
    Row("Intern-S1", "InternS1.*|interns1.*", "", ("internlm",), ("deepseek_r1",), source=RECIPE + "internlm/"),
    Row(
        "Trinity, thinking",
        "AfmoeForCausalLM|afmoe",
        "thinking",
        ("qwen3_coder",),
        ("deepseek_r1",),
        source=RECIPE + "arcee-ai/Trinity-Large-Thinking.yaml",
    ),
    Row(
        "Trinity Mini",
        "AfmoeForCausalLM|afmoe",
        "mini",
        ("hermes",),
        ("deepseek_r1",),
        source="model card of Trinity-Mini",
    ),
    Row("Trinity", "AfmoeForCausalLM|afmoe", "", ("hermes",), source="model cards of Trinity-*-Preview: no thinking"),
    Row(
        "Mellum2 Thinking",
        "MellumForCausalLM|mellum",
        "thinking",
        ("hermes",),
        ("qwen3",),
        source=RECIPE + "JetBrains/",
    ),
    Row("Mellum2", "MellumForCausalLM|mellum", "", ("hermes",), source=RECIPE + "JetBrains/"),
    Row("Holo2", "", "holo2", ("hermes",), ("holo2",), source=REASONING),
    Row("Kolibri", "", "kolibri", ("hf",), ("hf",), source=CALLING),
    # OpenAI
    Row(
        "gpt-oss",
        "GptOssForCausalLM|gpt_oss",
        "",
        ("openai",),
        ("openai_gptoss", "GptOss"),
        source=CALLING + "; registered as GptOss in 0.10.1",
    ),
    # Qwen
    Row("QwQ", "Qwen2.*|qwen2", "qwq", ("hermes",), ("deepseek_r1",), source=CALLING + "; " + REASONING),
    Row(
        "Qwen2.5",
        "Qwen2(Moe|_5_VL|_5_Omni|VL)?For.*|qwen2(_moe|_5_vl)?",
        "qwen-?2",
        ("hermes",),
        source=CALLING,
    ),
    Row("Qwen3-Coder", "", "qwen3-coder", ("qwen3_coder", "qwen3_xml"), source=RECIPE + "Qwen/; " + CALLING),
    Row("Qwen3.5 and newer", QWEN35, "", ("qwen3_coder",), ("qwen3",), source=RECIPE + "Qwen/"),
    Row("Qwen3.5 and newer", "", r"qwen3\.[5-9]", ("qwen3_coder",), ("qwen3",), source=RECIPE + "Qwen/"),
    Row(
        "Qwen3 Thinking",
        QWEN3 + "|Qwen3NextForCausalLM|qwen3_next",
        "thinking",
        ("hermes",),
        ("deepseek_r1",),
        source="github.com/vllm-project/vllm/issues/22507 and 26239: the template opens <think> itself, which "
        "deepseek_r1 expects",
    ),
    Row(
        "Qwen3 Instruct",
        QWEN3 + "|Qwen3NextForCausalLM|qwen3_next",
        "instruct",
        ("hermes",),
        source=RECIPE + "Qwen/Qwen3-235B-A22B-Instruct-2507.yaml, Qwen3-Next-80B-A3B-Instruct.yaml",
    ),
    Row("Qwen3-VL", "Qwen3VL.*|qwen3_vl.*", "", ("hermes",), source=PATTERNS),
    Row("Qwen3-Next", "Qwen3NextForCausalLM|qwen3_next", "", ("hermes",), source=RECIPE + "Qwen/"),
    Row("Qwen3", QWEN3, "qwen-?3", ("hermes",), ("qwen3",), source=RECIPE + "Qwen/; " + REASONING),
    Row(
        "built on Qwen3, thinking",
        QWEN3,
        "",
        ("hermes",),
        ("qwen3",),
        source="Qwen3's chat template: enable_thinking",
        own="enable_thinking",
        is_told_by_template=True,
    ),
    Row(
        "built on Qwen3",
        QWEN3,
        "",
        ("hermes",),
        source="0.33's qwen3 parser takes an answer without </think> for reasoning, so it is for thinkers alone",
        note="nothing says whether this model built on Qwen3 thinks; if it does, set vllm_reasoning_parser to qwen3",
    ),
    Row(
        "Qwen3-Omni Captioner",
        "Qwen3OmniMoe.*|qwen3_omni_moe",
        "captioner",
        source="its model card: it takes sound alone and no instructions",
    ),
    Row(
        "Qwen3-Omni Thinking",
        "Qwen3OmniMoe.*|qwen3_omni_moe",
        "thinking",
        ("hermes",),
        ("deepseek_r1",),
        source="its chat template: Qwen3's tools, and <think> opened in the prompt",
    ),
    Row("Qwen3-Omni", "Qwen3OmniMoe.*|qwen3_omni_moe", "", ("hermes",), source="its chat template: Qwen3's tools"),
    # Meta
    Row(
        "Llama 4",
        "Llama4.*|llama4.*",
        "",
        ("llama4_pythonic", "llama4_json"),
        (),
        "tool_chat_template_llama4_pythonic.jinja",
        source=CALLING,
        own=OTHER_TURNS,
    ),
    Row(
        "Llama Nemotron",
        LLAMA + "|DeciLMForCausalLM",
        "nemotron",
        source="model cards of nvidia/Llama-3_*-Nemotron-*: a parser of their own, as a plugin",
        note="tool calls of Llama Nemotron need NVIDIA's parser plugin; none is set",
        own="TOOLCALL|think",
    ),
    Row(
        "Llama 3.2",
        LLAMA,
        r"llama-?3[._]2",
        ("llama3_json",),
        (),
        "tool_chat_template_llama3.2_json.jinja",
        source=CALLING,
        own="start_header_id",
    ),
    Row(
        "Llama 3.1 and 3.3",
        LLAMA,
        r"llama-?3[._][13]",
        ("llama3_json",),
        (),
        "tool_chat_template_llama3.1_json.jinja",
        source=CALLING,
        own="start_header_id",
    ),
    Row("Muse Spark", "MuseSpark.*|muse_spark.*", "", ("muse",), ("muse",), source=RECIPE + "meta-models/"),
    Row(
        "Muse Glimmer",
        "MuseGlimmer.*|muse_glimmer.*",
        "",
        ("muse_glimmer",),
        ("muse_glimmer",),
        source=RECIPE + "meta-models/",
    ),
    # Moonshot
    Row("Kimi-K3", "KimiK3.*|kimi_k3.*", "", ("kimi_k3",), ("kimi_k3",), source=RECIPE + "moonshotai/"),
    Row("Kimi-K2 Thinking", "", "kimi-k2-thinking", ("kimi_k2",), ("kimi_k2",), source=RECIPE + "moonshotai/"),
    Row("Kimi-K2.5 and newer", "KimiK25.*|kimi_k25", "", ("kimi_k2",), ("kimi_k2",), source=RECIPE + "moonshotai/"),
    Row("Kimi-K2", "kimi_k2", "", ("kimi_k2",), source=CALLING),
    Row(
        "Kimi-Linear",
        "KimiLinear.*|kimi_linear",
        "",
        ("kimi_k2",),
        source="github.com/cubist38/mlx-openai-server/pull/184: it calls tools as Kimi-K2 does",
    ),
    Row(
        "Kimi-VL",
        "KimiVL.*|kimi_vl",
        "",
        source="its chat template: no tools; the Thinking ones mark thoughts by tokens that no parser of vLLM reads",
        note=NO_TOOLS,
    ),
    Row("Moonlight", "", "moonlight", source="its chat template: no tools", note=NO_TOOLS),
    Row("Kimi-K2", "", "kimi-k2", ("kimi_k2",), source=CALLING),
    # DeepSeek
    Row(
        "DeepSeek-V4.1",
        "",
        r"deepseek-v4\.1",
        ("deepseek_v41",),
        ("deepseek_v41",),
        args={"tokenizer-mode": "deepseek_v41"},
        source=RECIPE + "deepseek-ai/DeepSeek-V4.1-Flash.yaml",
    ),
    Row(
        "DeepSeek-V4",
        "DeepseekV4.*|deepseek_v4.*",
        "",
        ("deepseek_v4",),
        ("deepseek_v4",),
        args={"tokenizer-mode": "deepseek_v4", "kv-cache-dtype": "fp8", "block-size": 256},
        source=RECIPE + "deepseek-ai/DeepSeek-V4-Flash.yaml",
    ),
    Row(
        "DeepSeek-V3.2-Exp",
        DEEPSEEK_32,
        r"v3\.2-exp",
        ("deepseek_v32", "deepseek_v31"),
        ("deepseek_v3",),
        source=RECIPE + "deepseek-ai/DeepSeek-V3.2-Exp.yaml",
    ),
    Row(
        "DeepSeek-V3.2",
        DEEPSEEK_32,
        "",
        ("deepseek_v32",),
        ("deepseek_v3",),
        args={"tokenizer-mode": "deepseek_v32", "enable-flashinfer-autotune": False},
        source=RECIPE + "deepseek-ai/DeepSeek-V3.2.yaml",
    ),
    Row(
        "DeepSeek-V3.1",
        DEEPSEEK,
        r"v3\.1",
        ("deepseek_v31",),
        ("deepseek_v3",),
        "tool_chat_template_deepseekv31.jinja",
        source=CALLING + "; " + REASONING,
        own=OTHER_TURNS,
    ),
    Row(
        "DeepSeek-R1",
        DEEPSEEK,
        "r1",
        ("deepseek_v3",),
        ("deepseek_r1",),
        "tool_chat_template_deepseekr1.jinja",
        source=CALLING + "; " + REASONING,
        own=OTHER_TURNS,
    ),
    Row(
        "DeepSeek-V3",
        DEEPSEEK,
        "v3",
        ("deepseek_v3",),
        (),
        "tool_chat_template_deepseekv3.jinja",
        source=CALLING,
        own=OTHER_TURNS,
    ),
    # Zhipu
    Row(
        "GLM-5.2 and 5.3",
        "",
        r"glm-5\.[23](?!-flash)",
        ("glm47", "glm45"),
        ("glm47", "glm45"),
        args={"kv-cache-dtype": "fp8"},
        source=RECIPE + "zai-org/GLM-5.2.yaml",
    ),
    Row(
        "GLM-5",
        "",
        r"glm-5(\.1)?([-_]|$)",
        ("glm47", "glm45"),
        ("glm47", "glm45"),
        args={"chat-template-content-format": "string"},
        source=RECIPE + "zai-org/GLM-5.yaml",
    ),
    Row(
        "GLM-4.7 and 5",
        "GlmMoeDsa.*|Glm5.*|Glm4MoeLite.*|glm_moe_dsa|glm5.*|glm4_moe_lite",
        "",
        ("glm47", "glm45"),
        ("glm47", "glm45"),
        source=RECIPE + "zai-org/",
    ),
    Row(
        "GLM-4.7 and 5",
        "",
        r"glm-(4\.7|5)",
        ("glm47", "glm45"),
        ("glm47", "glm45"),
        source=RECIPE + "zai-org/; " + CALLING,
    ),
    Row(
        "GLM-4.5 and 4.6",
        "Glm4v?Moe.*|glm4v?_moe",
        "",
        ("glm45", "glm4_moe"),
        ("glm45", "glm4_moe"),
        source=RECIPE + "zai-org/; " + CALLING,
    ),
    Row(
        "GLM-4.6V-Flash",
        "Glm4vForConditionalGeneration|glm4v",
        r"glm-4\.6v",
        ("glm45", "glm4_moe"),
        ("glm45", "glm4_moe"),
        source=RECIPE + "zai-org/GLM-4.6V.yaml; docs/design/cuda_graphs_multimodal.md says its architecture",
    ),
    Row(
        "Glyph",
        "Glm4vForConditionalGeneration|glm4v",
        "glyph",
        (),
        ("glm45",),
        args=OCR,
        source=RECIPE + "zai-org/Glyph.yaml",
        note=NO_TOOLS,
    ),
    Row(
        "GLM-4.1V-Thinking",
        "Glm4vForConditionalGeneration|glm4v",
        "",
        (),
        ("glm45",),
        source=RECIPE + "zai-org/Glyph.yaml, zai-org/GLM-GA.yaml",
        note=NO_TOOLS,
    ),
    Row(
        "GLM-Z1",
        "Glm4ForCausalLM|glm4",
        r"glm-?z1",
        (),
        ("deepseek_r1",),
        source="its chat template: <think> opened in the prompt",
        note=NO_TOOLS,
    ),
    Row(
        "GLM-4",
        "Glm4ForCausalLM|glm4|GlmForCausalLM|glm",
        "",
        source="its model card: calls by lines of text",
        note=NO_TOOLS,
    ),
    # Mistral AI
    Row(
        "Mistral before 0.3",
        MISTRAL,
        r"7b-(instruct-)?v0\.[12]|mixtral-8x7b",
        source="MistralToolParser.__init__ wants a token [TOOL_CALLS], which tokenizers before v3 lack",
        note="this Mistral model's tokenizer has no token for tool calls; no tool parser is set",
    ),
    Row("Magistral", MISTRAL, "magistral", ("mistral",), ("mistral",), source=CALLING + "; " + RECIPE + "mistralai/"),
    Row("Ministral 3 Reasoning", MISTRAL, "reasoning", ("mistral",), ("mistral",), source=RECIPE + "mistralai/"),
    Row(
        "Mistral Small 4, Medium 3.5",
        "",
        r"mistral-(small-4|medium-3\.5)",
        ("mistral",),
        ("mistral",),
        source=RECIPE + "mistralai/",
    ),
    Row(
        "Mistral",
        MISTRAL,
        "(mi|mini|code|dev|math)stral|mixtral|pixtral|voxtral",
        ("mistral",),
        (),
        "tool_chat_template_mistral_parallel.jinja",
        source=CALLING,
        own=r"\[INST\]",
    ),
    # Google
    Row(
        "DiffusionGemma",
        "DiffusionGemma.*|diffusion_gemma",
        "",
        ("gemma4",),
        ("gemma4",),
        "tool_chat_template_gemma4.jinja",
        args={"max-num-seqs": 4},
        source=RECIPE + "Google/diffusiongemma-26B-A4B-it.yaml: more run out of memory by the states of its diffusion",
        own=OTHER_TURNS,
    ),
    Row(
        "Gemma 4",
        "Gemma4.*|gemma4.*",
        "",
        ("gemma4",),
        ("gemma4",),
        "tool_chat_template_gemma4.jinja",
        source=RECIPE + "Google/",
        own=OTHER_TURNS,
    ),
    Row(
        "FunctionGemma",
        "",
        "functiongemma",
        ("functiongemma",),
        (),
        "tool_chat_template_functiongemma.jinja",
        source=CALLING,
        own=OTHER_TURNS,
    ),
    Row(
        "Gemma 3",
        "Gemma3For.*|gemma3(_text)?",
        "",
        ("pythonic",),
        (),
        "tool_chat_template_gemma3_pythonic.jinja",
        source="examples/tool_chat_template_gemma3_pythonic.jinja",
        own=OTHER_TURNS,
    ),
    Row("Gemma 3n", "Gemma3n.*|gemma3n.*", "", source="its chat template: no tools", note=NO_TOOLS),
    # MiniMax
    Row(
        "MiniMax-M3.1",
        "MiniMaxM3.*|minimax_m3.*",
        r"m3\.1",
        ("minimax_m3",),
        ("minimax_m3",),
        args={"block-size": 128, "disable-hybrid-kv-cache-manager": True},
        source=RECIPE + "MiniMaxAI/MiniMax-M3.1-Flash.yaml",
    ),
    Row(
        "MiniMax-M3",
        "MiniMaxM3.*|minimax_m3.*",
        "",
        ("minimax_m3",),
        ("minimax_m3",),
        args={"block-size": 128},
        source=RECIPE + "MiniMaxAI/MiniMax-M3.yaml",
    ),
    Row("MiniMax-M2", "MiniMaxM2.*|minimax_m2", "", ("minimax_m2",), ("minimax_m2",), source=RECIPE + "MiniMaxAI/"),
    Row(
        "MiniMax-M1",
        "MiniMaxM1.*|MiniMaxText01.*|minimax_m1|minimax",
        "",
        ("minimax",),
        (),
        "tool_chat_template_minimax_m1.jinja",
        source="docs/features/tool_calling.md of 0.12.0",
        own=OTHER_TURNS,
    ),
    # IBM
    Row(
        "Granite 4.2", GRANITE, r"granite-4\.2", ("granite4", "granite"), ("granite_thinking_parser",), source=REASONING
    ),
    Row(
        "Granite 4",
        "GraniteMoeHybrid.*|granitemoehybrid",
        "",
        ("granite4", "hermes"),
        source=CALLING + "; hermes in that of 0.12.0",
    ),
    Row("Granite 4", GRANITE, "granite-4", ("granite4", "hermes"), source=CALLING),
    Row(
        "Granite 20B function calling",
        "",
        "granite-20b-functioncalling",
        ("granite-20b-fc",),
        (),
        "tool_chat_template_granite_20b_fc.jinja",
        source=CALLING,
        own=OTHER_TURNS,
    ),
    Row(
        "Granite 3.0",
        GRANITE,
        r"granite-3\.0",
        ("granite",),
        (),
        "tool_chat_template_granite.jinja",
        source=CALLING,
        own=OTHER_TURNS,
    ),
    Row(
        "Granite 3.2 and 3.3",
        GRANITE,
        r"granite-3\.[23]",
        ("granite",),
        ("granite",),
        source=CALLING + "; " + REASONING,
    ),
    Row("Granite 3", GRANITE, "granite-3", ("granite",), source=CALLING),
    # NVIDIA
    Row(
        "Nemotron 3",
        "Nemotron.*|nemotron.*",
        "nemotron-3",
        ("qwen3_coder",),
        ("nemotron_v3",),
        source=RECIPE + "nvidia/",
    ),
    Row(
        "Nemotron Nano 2",
        "NemotronH.*|nemotron_h.*",
        "",
        source=RECIPE + "nvidia/NVIDIA-Nemotron-Nano-9B-v2.yaml",
        note="tool calls of Nemotron Nano 2 need NVIDIA's parser plugin; none is set",
    ),
    # Those that read pages
    Row("PaddleOCR-VL", "PaddleOCRVL.*|paddleocr_vl", "", args=OCR, source=RECIPE + "PaddlePaddle/"),
    Row("HunyuanOCR", "HunYuanVL.*|hunyuan_vl", "ocr", args=OCR, source=RECIPE + "tencent/HunyuanOCR.yaml"),
    Row(
        "DeepSeek-OCR-2",
        "DeepseekOCR2.*|deepseek_ocr2",
        "",
        args={**OCR, "logits-processors": [f"vllm.model_executor.models.deepseek_ocr:{NGRAMS}"]},
        source=RECIPE + "deepseek-ai/DeepSeek-OCR-2.yaml",
    ),
    Row(
        "DeepSeek-OCR",
        "DeepseekOCRFor.*|deepseek_ocr",
        "",
        args={"mm-processor-cache-gb": 0, "logits-processors": [f"vllm.model_executor.models.deepseek_ocr:{NGRAMS}"]},
        source=RECIPE + "deepseek-ai/DeepSeek-OCR.yaml",
    ),
    Row(
        "Unlimited-OCR",
        "UnlimitedOCR.*|unlimited[-_]ocr",
        "",
        args={**OCR, "logits-processors": [f"vllm.model_executor.models.unlimited_ocr:{NGRAMS}"]},
        source=RECIPE + "baidu/Unlimited-OCR.yaml",
    ),
    # Others, by name
    Row(
        "Apertus",
        "ApertusForCausalLM|apertus",
        "",
        ("apertus",),
        (),
        "tool_chat_template_apertus.jinja",
        source=CALLING,
        own=OTHER_TURNS,
    ),
    Row(
        "Beam",
        "BeamForCausalLM|beam",
        "nvfp4|fp8",
        ("beam",),
        ("beam",),
        args={"kv-cache-dtype": "fp8"},
        source=RECIPE + "reflection/Beam-1.0-501B-A23B.yaml: the variant in BF16 keeps its cache in BF16",
    ),
    Row("Beam", "BeamForCausalLM|beam", "", ("beam",), ("beam",), source=CALLING),
    Row(
        "Command A Plus, North",
        "Cohere2MoeForCausalLM|cohere2_moe",
        "",
        ("cohere_command4",),
        ("cohere_command4",),
        source=CALLING,
        note="the Cohere parser needs the package cohere_melody, which the image lacks",
    ),
    Row(
        "Command A Plus",
        "Cohere2.*|cohere2.*",
        "command-a-plus",
        ("cohere_command4",),
        ("cohere_command4",),
        source=CALLING + "; as Cohere2VisionForConditionalGeneration in docs/models/supported_models.md",
        note="the Cohere parser needs the package cohere_melody, which the image lacks",
    ),
    Row(
        "Command A Reasoning",
        "Cohere2.*|cohere2",
        "command-a-reasoning",
        ("cohere_command3",),
        ("cohere_command3",),
        source=CALLING,
        note="the Cohere parser needs the package cohere_melody, which the image lacks",
    ),
    Row(
        "dots3",
        "Dots3.*|dots3.*",
        "",
        ("dots",),
        ("qwen3",),
        args={"block-size": 64},
        source=RECIPE + "dots-studio/dots3-note-prev.yaml",
    ),
    Row("ERNIE 4.5 Thinking", "Ernie4_5.*|ernie4_5.*", "thinking", ("ernie45",), ("ernie45",), source=REASONING),
    Row(
        "ERNIE 4.5",
        "Ernie4_5_(Moe)?ForCausalLM|Ernie4_5ForCausalLM|ernie4_5(_moe)?",
        "",
        source=RECIPE + "baidu/",
        note=NO_TOOLS,
    ),
    Row("ERNIE 4.5 VL", "Ernie4_5_VL.*|ernie4_5_vl.*", "", (), ("ernie45",), source=REASONING),
    Row("GigaChat 3", "", "gigachat3", ("gigachat3",), source=CALLING),
    Row(
        "Hunyuan, dense",
        "HunYuanDense.*|hunyuan_v1_dense",
        "instruct",
        ("hunyuan_a13b",),
        ("hunyuan_a13b",),
        source="its chat template: that of Hunyuan A13B",
        own="think",
    ),
    Row("Hunyuan A13B", "HunYuanMoE.*|hunyuan_v1_moe", "", ("hunyuan_a13b",), ("hunyuan_a13b",), source=CALLING),
    Row("Hy3", "HYV3.*|hy_v3", "", ("hy_v3",), ("hy_v3",), source=RECIPE + "tencent/"),
    Row("Hy4", "HYV4.*|hy_v4", "", ("hy_v4",), ("hy_v4",), source=RECIPE + "tencent/"),
    Row(
        "Inkling",
        "Inkling.*|inkling",
        "",
        ("inkling",),
        ("inkling",),
        args={"tokenizer-mode": "inkling"},
        source=RECIPE + "thinkingmachines/",
    ),
    Row(
        "InternLM 2.5",
        "InternLM2ForCausalLM|internlm2",
        "",
        ("internlm",),
        (),
        "tool_chat_template_internlm2_tool.jinja",
        source=CALLING,
    ),
    Row("Jamba", "JambaForCausalLM|jamba", "", ("jamba",), source=CALLING),
    Row(
        "K2 Horizon, Jais 3",
        "K2Horizon.*|k2_horizon",
        "",
        ("k2_horizon",),
        ("k2_horizon",),
        args={"chat-template-content-format": "string"},
        source=RECIPE + "IFM/",
    ),
    Row(
        "LFM2.5 Thinking",
        "Lfm2Moe.*|lfm2_moe",
        r"lfm-?2\.5",
        ("lfm2",),
        ("qwen3",),
        source=RECIPE + "LiquidAI/LFM2.5-8B-A1B.yaml",
    ),
    Row("LFM2.5 Thinking", "Lfm2ForCausalLM|lfm2", "thinking", ("lfm2",), ("qwen3",), source=RECIPE + "LiquidAI/"),
    Row("LFM2", "Lfm2(Moe)?ForCausalLM|lfm2(_moe)?", "", ("lfm2",), source=RECIPE + "LiquidAI/"),
    Row("Ling 3", "BailingMoeV3.*|bailing_moe_v3.*", "", ("ling3",), ("ling3",), source=RECIPE + "inclusionAI/"),
    Row("Laguna", "LagunaForCausalLM|laguna", "", ("poolside_v1",), ("poolside_v1",), source=RECIPE + "poolside/"),
    Row(
        "Ring",
        "BailingMoe.*|bailing_moe.*",
        "ring",
        (),
        ("deepseek_r1",),
        source=RECIPE
        + "inclusionAI/Ring-2.6-1T.yaml: thoughts end with </think>; github.com/ggml-org/llama.cpp/issues/"
        "17832: the template opens <think> itself",
        note=NO_TOOLS,
    ),
    Row("Ling", "BailingMoe.*|bailing_moe.*", "", source=RECIPE + "inclusionAI/Ling-2.6-flash.yaml", note=NO_TOOLS),
    Row("LongCat-Flash", "LongcatFlash.*|longcat_flash.*", "", ("longcat",), source=CALLING),
    Row(
        "MiMo-V2-Flash",
        "MiMoV2Flash.*|mimo_v2_flash",
        "",
        ("mimo",),
        ("qwen3",),
        args={"generation-config": "vllm"},
        source=RECIPE + "XiaomiMiMo/MiMo-V2-Flash.yaml",
    ),
    Row(
        "MiMo-V2",
        "MiMoV2.*|mimo_v2.*",
        "",
        ("mimo",),
        ("mimo",),
        args={"generation-config": "vllm"},
        source=RECIPE + "XiaomiMiMo/; " + CALLING,
    ),
    Row("MiniCPM5", "", "minicpm5", ("minicpm5",), source=RECIPE + "openbmb/"),
    Row("MiniCPM-V 4.6", "MiniCPMV4_6.*|minicpmv4_6", "", ("qwen3_coder",), source=RECIPE + "openbmb/"),
    Row("Olmo 3 Think", "Olmo3.*|olmo3", "think", ("olmo3",), ("olmo3",), source=CALLING),
    Row("Olmo 3", "Olmo3.*|olmo3", "", ("olmo3",), source=CALLING),
    Row("Param2 Thinking", "Param2MoE.*|param2moe", "", ("hermes",), ("qwen3",), source=RECIPE + "bharatgenai/"),
    Row(
        "Phi-4 reasoning",
        "Phi3ForCausalLM|phi3",
        "phi-?4-(mini-(flash-)?)?reasoning",
        (),
        ("deepseek_r1",),
        source="their model cards: <think>, and no tools",
        note=NO_TOOLS,
    ),
    Row(
        "Phi-4-mini",
        "Phi3ForCausalLM|phi3",
        "phi-?4-mini",
        ("phi4_mini_json",),
        (),
        "tool_chat_template_phi4_mini.jinja",
        source="examples/tool_chat_template_phi4_mini.jinja; " + PATTERNS,
        own=OTHER_TURNS,
    ),
    Row("PLaMo 3", "Plamo3.*|plamo3", "", ("plamo3",), ("plamo3",), source="vllm/tool_parsers/__init__.py"),
    Row("Phi-4", "Phi3ForCausalLM|phi3|Phi4MM.*|phi4mm", "phi-?4", source="its chat template: no tools", note=NO_TOOLS),
    Row("SmolLM3", "SmolLM3ForCausalLM|smollm3", "", ("hermes",), ("qwen3",), source=CARD),
    Row(
        "EXAONE 4",
        "Exaone(4|Moe|MoE).*|exaone(4|_moe).*",
        "",
        ("hermes",),
        ("deepseek_v3",),
        source="github.com/LG-AI-EXAONE/EXAONE-4.0/issues/6, and vllm-project/vllm/pull/22617: it thinks only where "
        "enable_thinking asks for it, which deepseek_v3 hears since 0.14.0; before, a request gives thinking beside it",
    ),
    Row("EXAONE 3", "ExaoneForCausalLM|exaone", "", source="its chat template: no tools", note=NO_TOOLS),
    Row("Command, Aya", "(Cohere|AyaVision).*|cohere.*|aya_vision", "", source=CALLING, note=NO_TOOLS),
    Row("MiniCPM", "MiniCPM.*|minicpm.*", "", source=RECIPE + "openbmb/", note=NO_TOOLS),
    Row("InternVL", "InternVL.*|internvl.*", "", source=RECIPE + "OpenGVLab/", note=NO_TOOLS),
    Row("Falcon", "Falcon.*|falcon.*", "", source="their chat templates", note=NO_TOOLS),
    Row("OLMo 2", "Olmo(2|e)?ForCausalLM|olmo(2|e)?", "", source="their chat templates: no tools", note=NO_TOOLS),
    Row("AFM", "ArceeForCausalLM|arcee", "", source="its chat template", note=NO_TOOLS),
    Row("Seed-OSS", "SeedOss.*|seed_oss", "", ("seed_oss",), ("seed_oss",), source=RECIPE + "ByteDance-Seed/"),
    Row(
        "Step 5",
        "Step5.*|step5",
        "",
        ("step5",),
        ("step5",),
        args={"disable-custom-all-reduce": True},
        source=RECIPE + "stepfun-ai/Step-5-Preview.yaml",
    ),
    Row(
        "Step 3.7",
        "Step3p7.*|step3p7.*",
        "",
        ("step3p5",),
        ("step3p5",),
        args={"disable-cascade-attn": True},
        source=RECIPE + "stepfun-ai/Step-3.7-Flash.yaml",
    ),
    Row("Step 3.5 and 3.7", "Step3p[57].*|step3p[57].*", "", ("step3p5",), ("step3p5",), source=CALLING),
    Row(
        "Step 3",
        "Step3(VL|Text)For.*|step3_(vl|text)",
        "",
        ("step3",),
        ("step3",),
        source="vllm/tool_parsers/__init__.py",
    ),
    # Whoever no row names, by the tool calls that the model's own template writes
    Row(
        "models that call tools as Llama 3.1 does",
        LLAMA,
        "",
        ("llama3_json",),
        source=CALLING + ": JSON with name and parameters; the template of Llama 3.1 says ipython before it",
        note="its tool calls are known by its chat template alone; if it thinks aloud, set vllm_reasoning_parser",
        own=r"(?s)\A(?!.*<tool_call>)(?=.*start_header_id)(?=.*ipython)(?=.*\bparameters)",
        is_told_by_template=True,
    ),
    Row(
        "models that call tools as Hermes does",
        "",
        "",
        ("hermes",),
        source=CALLING + ": JSON with name and arguments between <tool_call> and </tool_call>",
        note="its tool calls are known by its chat template alone; if it thinks aloud, set vllm_reasoning_parser",
        own=r'(?s)\A(?!.*(<function=|<arg_key>|<parameter))(?=.*<tool_call>)(?=.*\\?"name\\?")(?=.*\\?"arguments\\?")',
        is_told_by_template=True,
    ),
)

# Model types for which vLLM has a configuration class of its own, whatever code of the repository config.json names:
# _CONFIG_REGISTRY of vllm/transformers_utils/config.py.
OWN_CLASSES = frozenset(
    "bailing_moe_v3_vl beam chatglm deepseek_vl_v2 deepseek_v32 dots3_note flint hy_v4 kimi_k2 kimi_linear kimi_vl "
    "kimi_k25 kimi_k3 muse_spark RefinedWeb RefinedWebModel inkling_mm_model minimax_m3_vl internvl_chat ovis step3_vl "
    "step3_text step3p5 step5 step5_vl".split()
)
