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


UNSERVED: Mapping[str, str] = {
    r"^(T5|MT5|UMT5|LongT5|SwitchTransformers|M2M100|NllbMoe|Marian\w*|Pegasus\w*|LED|BlenderbotSmall|Blenderbot"
    r"|ProphetNet|BigBirdPegasus|PLBart|FSMT)(ForConditionalGeneration|MTModel|Model|EncoderModel)$"
    r"|^(Vision|Speech)?EncoderDecoderModel$": "rewrites texts (an encoder and a decoder, as for translations)",
    r"Transformer2DModel|Transformer3DModel|^UNet2D|^Autoencoder\w*(KL|DC)|Pipeline$": "makes pictures",
    r"For(Image|Video)Classification$|For(Object|ZeroShotObject)Detection$|ForDepthEstimation$|For\w*Segmentation$"
    r"|^(ViT|DeiT|Dinov?2|Swin|Beit|ConvNext)\w*Model$": "sorts or measures pictures",
    r"ForCTC$|ForAudio(Frame)?Classification$|ForTextTo(Waveform|Speech\w*)$|^(Vits|Bark|Encodec|Dac)Model$"
    r"|^(Musicgen|ParlerTTS|SpeechT5|Csm|Dia)\w*For\w+$|TTS\w*For\w+$"
    r"|^(Wav2Vec2|Hubert|WavLM)\w*$": "hears or makes sound",
}
"""Architectures that no vLLM of the tables serves, nor Transformers' own code within it, by what they do."""


def unserved(config: Mapping[str, object]) -> str:
    """Return what a model does that vLLM serves in no way, an empty text for others."""
    named = config.get("architectures")
    names = [str(one) for one in named] if isinstance(named, (list, tuple)) else []
    names += [str(config["_class_name"])] if "_class_name" in config and not names else []
    for name in names:
        for pattern, does in UNSERVED.items():
            if re.search(pattern, name):
                return does
    return ""


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
