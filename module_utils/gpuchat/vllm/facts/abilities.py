# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What vLLM's classes of single architectures cannot do.

Kept by hand: the interfaces that the classes in vllm/model_executor/models and vllm/models of 0.32 implement. What a
class lacks there, older versions lack too.
"""

from __future__ import annotations

WITHOUT_PIPELINE = frozenset(
    "AriaForConditionalGeneration BertForMaskedLM BertForSequenceClassification BertForTokenClassification "
    "BertModel BertSpladeSparseEmbeddingModel BgeM3EmbeddingModel CLIPModel CohereAsrForConditionalGeneration "
    "ColBERTJinaRobertaModel ColBERTLfm2Model ColBERTModernBertModel ColModernVBertForRetrieval "
    "DiffusionGemmaForBlockDiffusion EmbeddingGemma2Model FireRedASR2ForConditionalGeneration "
    "FunASRForConditionalGeneration GPT2ForSequenceClassification Gemma3TextModel Gemma3nForCausalLM "
    "Gemma3nForConditionalGeneration GteModel GteNewForSequenceClassification GteNewModel HF_ColBERT "
    "HrmTextForCausalLM IQuestLoopCoderForCausalLM Idefics3ForConditionalGeneration JinaForRanking "
    "LlamaBidirectionalForSequenceClassification LlamaBidirectionalModel Mamba2ForCausalLM "
    "ModernBertForSequenceClassification ModernBertForTokenClassification ModernBertModel "
    "NemotronH_Nano_Omni_Reasoning_V3 NemotronH_Nano_VL_V2 NemotronH_Omni_Reasoning_V3 "
    "NemotronH_Super_Omni_Reasoning_V3 NemotronParseForConditionalGeneration NomicBertModel "
    "PaddleOCRVLForConditionalGeneration Phi4MMForCausalLM RobertaForMaskedLM RobertaForSequenceClassification "
    "RobertaForTokenClassification RobertaModel SiglipModel SmolVLMForConditionalGeneration "
    "VoyageQwen3BidirectionalEmbedModel WhisperForConditionalGeneration XLMRobertaForSequenceClassification "
    "XLMRobertaForTokenClassification XLMRobertaModel Zamba2ForCausalLM".split()
)
"""Architectures whose class lacks ``SupportsPP``: vLLM ends with "Pipeline parallelism is not supported for this model"
(``verify_with_parallel_config`` of vllm/config/model.py)."""

WITHOUT_LORA = frozenset(
    "AriaForConditionalGeneration BailingMoeV2_5ForCausalLM BailingMoeV3ForCausalLM "
    "BailingMoeV3VLForConditionalGeneration BeeForConditionalGeneration BloomForCausalLM Cohere2MoeForCausalLM "
    "Cohere2VisionForConditionalGeneration CohereAsrForConditionalGeneration Cosmos3EdgeForConditionalGeneration "
    "DbrxForCausalLM DeepseekV41ForCausalLM DeepseekVLV2ForCausalLM DiffusionGemmaForBlockDiffusion "
    "Dots3NoteForCausalLM FalconForCausalLM FalconMambaForCausalLM FireRedASR2ForConditionalGeneration "
    "FunASRForConditionalGeneration FunAudioChatForConditionalGeneration GPT2LMHeadModel GPTJForCausalLM "
    "Gemma3nForCausalLM Gemma3nForConditionalGeneration Glm5NextForCausalLM HCXVisionV2ForCausalLM HfMoondream "
    "HrmTextForCausalLM IQuestLoopCoderForCausalLM KananaVForConditionalGeneration KimiK25ForConditionalGeneration "
    "KimiK3ForConditionalGeneration KimiLinearForCausalLM KimiVLForConditionalGeneration "
    "LlavaOnevision2ForConditionalGeneration LlavaOnevisionForConditionalGeneration Mamba2ForCausalLM "
    "MambaForCausalLM MiDashengLMModel MiMoV2FlashForCausalLM MiMoV2ForCausalLM MiMoV2OmniForCausalLM "
    "MiniMaxM3SparseForCausalLM MiniMaxM3SparseForConditionalGeneration Moondream3ForCausalLM "
    "MoonshotKimiaForCausalLM MossTranscribeDiarizeForConditionalGeneration NemotronParseForConditionalGeneration "
    "OpenVLAForActionPrediction OrionForCausalLM Ovis Ovis2_5 Ovis2_6ForCausalLM Ovis2_6_MoeForCausalLM "
    "PaddleOCRVLForConditionalGeneration Phi3VForCausalLM Phi4ForCausalLMV Qwen2AudioForConditionalGeneration "
    "RForConditionalGeneration SkyworkR1VChatModel StableLmForCausalLM Step1ForCausalLM Step3TextForCausalLM "
    "Step3VLForConditionalGeneration Step3p5ForCausalLM Step3p7ForConditionalGeneration "
    "StepVLForConditionalGeneration Zamba2ForCausalLM".split()
)
"""Architectures whose class lacks ``SupportsLoRA``: vLLM ends with "... does not support LoRA yet"
(vllm/v1/worker/lora_model_runner_mixin.py)."""

CUT_ENCODERS = frozenset(
    "AriaForConditionalGeneration Cohere2VisionForConditionalGeneration DotsOCRForCausalLM "
    "Eagle2_5_VLForConditionalGeneration Ernie4_5_VLMoeForConditionalGeneration Gemma3ForConditionalGeneration "
    "Glm4vForConditionalGeneration Glm4vMoeForConditionalGeneration Glm5NextForConditionalGeneration "
    "GlmOcrForConditionalGeneration Granite4VisionForConditionalGeneration Idefics3ForConditionalGeneration "
    "KeyeForConditionalGeneration KeyeVL1_5ForConditionalGeneration KimiVLForConditionalGeneration "
    "Lfm2VlForConditionalGeneration Llama4ForConditionalGeneration LlavaForConditionalGeneration "
    "LlavaNextForConditionalGeneration LlavaNextVideoForConditionalGeneration LlavaOnevisionForConditionalGeneration "
    "MiniCPMV Mistral3ForConditionalGeneration Ovis2_5 PaliGemmaForConditionalGeneration "
    "PixtralForConditionalGeneration Qwen2VLForConditionalGeneration Qwen2_5_VLForConditionalGeneration "
    "Qwen3VLForConditionalGeneration Qwen3VLMoeForConditionalGeneration Qwen3_5ForConditionalGeneration "
    "Qwen3_5MoeForConditionalGeneration SmolVLMForConditionalGeneration Step3VLForConditionalGeneration "
    "VoxtralForConditionalGeneration".split()
)
"""Architectures whose encoder is split by heads over all GPUs of an engine, and ends with "12 is not divisible by 8"
where they do not divide (``divide`` of vllm/distributed/utils.py, in 0.20 and 0.33; vllm-project/vllm 24004, 57119).
InternVL's and Qwen3-Omni's stay whole by themselves then."""

WHOLE_ENCODERS = frozenset(
    "DotsOCRForCausalLM Eagle2_5_VLForConditionalGeneration Glm4vForConditionalGeneration "
    "Glm4vMoeForConditionalGeneration Glm5NextForConditionalGeneration KimiVLForConditionalGeneration "
    "Llama4ForConditionalGeneration MiniCPMV Qwen2VLForConditionalGeneration Qwen2_5_VLForConditionalGeneration "
    "Qwen3VLForConditionalGeneration Qwen3VLMoeForConditionalGeneration Qwen3_5ForConditionalGeneration "
    "Qwen3_5MoeForConditionalGeneration Step3VLForConditionalGeneration".split()
)
"""Those of them that ``mm-encoder-tp-mode: data`` leaves whole on each GPU (``supports_encoder_tp_data`` of the class,
0.33); for others vLLM goes on as without it."""

TOWERS_LEFT_OUT_SINCE = (0, 15)

VISION_TOWERS: dict[tuple[str, ...], frozenset[str]] = {
    ("image", "video"): frozenset(
        "BeeForConditionalGeneration ClefOmniForJointSchema ColQwen3 ColQwen3_5 Cosmos3EdgeForConditionalGeneration "
        "Cosmos3ForConditionalGeneration DiffusionGemmaForBlockDiffusion EmbeddingGemma2Model "
        "Ernie4_5_VLMoeForConditionalGeneration Exaone4_5_ForConditionalGeneration Gemma4ForConditionalGeneration "
        "Gemma4UnifiedForConditionalGeneration Glm4vForConditionalGeneration Glm4vMoeForConditionalGeneration "
        "Glm5NextForConditionalGeneration GlmOcrForConditionalGeneration H2OVLChatModel HCXVisionV2ForCausalLM "
        "InternS1ForConditionalGeneration InternS1ProForConditionalGeneration InternS2MobiusForConditionalGeneration "
        "InternS2PreviewForConditionalGeneration InternVLChatModel InternVLForConditionalGeneration JinaVLForRanking "
        "KeyeForConditionalGeneration KeyeVL1_5ForConditionalGeneration LlavaOnevision2ForConditionalGeneration "
        "LlavaOnevisionForConditionalGeneration MiMoV2OmniForCausalLM MiniCPMV "
        "MiniMaxM3SparseForConditionalGeneration Molmo2ForConditionalGeneration MuseGlimmerForCausalLM "
        "MuseGlimmerForConditionalGeneration NVLM_D OpenPanguVLForConditionalGeneration OpsColQwen3Model Ovis2_5 "
        "Ovis2_6ForCausalLM Ovis2_6_MoeForCausalLM Phi4MMForCausalLM QianfanOCRForConditionalGeneration "
        "Qwen2VLForConditionalGeneration Qwen2_5OmniForConditionalGeneration Qwen2_5OmniModel "
        "Qwen2_5_VLForConditionalGeneration Qwen3OmniMoeForConditionalGeneration Qwen3VLForConditionalGeneration "
        "Qwen3VLMoeForConditionalGeneration Qwen3VLNemotronEmbedModel Qwen3_5ForConditionalGeneration "
        "Qwen3_5MoeForConditionalGeneration Qwen4ExpForConditionalGeneration RForConditionalGeneration".split()
    ),
    ("image",): frozenset(
        "AriaForConditionalGeneration BagelForConditionalGeneration BailingMoeV3VLForConditionalGeneration "
        "Blip2ForConditionalGeneration CLIPModel Cohere2VisionForConditionalGeneration "
        "CohereCompassForConditionalGeneration ColPaliForRetrieval DeepseekOCR2ForCausalLM DeepseekOCRForCausalLM "
        "DeepseekV41ForCausalLM DeepseekV4ForConditionalGeneration DeepseekVLV2ForCausalLM DotsOCRForCausalLM "
        "Eagle2_5_VLForConditionalGeneration GLM4VForCausalLM Gemma3ForConditionalGeneration "
        "Gemma3nForConditionalGeneration Granite4VisionForConditionalGeneration HfMoondream "
        "Idefics3ForConditionalGeneration IsaacForConditionalGeneration KananaVForConditionalGeneration "
        "KimiK3ForConditionalGeneration KimiVLForConditionalGeneration Lfm2VlForConditionalGeneration "
        "LightOnOCRForConditionalGeneration Llama4ForConditionalGeneration LlamaNemotronVLForSequenceClassification "
        "LlamaNemotronVLModel Llama_Nemotron_Nano_VL LlavaForConditionalGeneration LlavaNextForConditionalGeneration "
        "MiniCPMV4_6ForConditionalGeneration MiniCPMV4_7ForConditionalGeneration Mistral3ForConditionalGeneration "
        "MolmoForCausalLM Moondream3ForCausalLM NemotronParseForConditionalGeneration "
        "OpenCUAForConditionalGeneration OpenVLAForActionPrediction Ovis PaddleOCRVLForConditionalGeneration "
        "PaliGemmaForConditionalGeneration Phi3VForCausalLM Phi4ForCausalLMV PixtralForConditionalGeneration "
        "SiglipModel SkyworkR1VChatModel SmolVLMForConditionalGeneration Step3VLForConditionalGeneration "
        "Step3p7ForConditionalGeneration StepVLForConditionalGeneration UnlimitedOCRForCausalLM".split()
    ),
    ("image", "video", "audio"): frozenset(
        "Dots3NoteForCausalLM NemotronH_Nano_Omni_Reasoning_V3 NemotronH_Nano_VL_V2 NemotronH_Omni_Reasoning_V3 "
        "NemotronH_Super_Omni_Reasoning_V3".split()
    ),
    ("vision_chunk",): frozenset("KimiK25ForConditionalGeneration".split()),
    ("video",): frozenset("LlavaNextVideoForConditionalGeneration".split()),
}
"""Architectures by what their encoder of images takes. Where none of it is let in (``limit-mm-per-prompt`` of 0), it is
not loaded: ``_mark_tower_model`` of vllm/model_executor/models/interfaces.py, since the version above."""
