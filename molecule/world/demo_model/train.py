# Copyright: (c) gpuchat contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the demo's model on dialogues.json and prove that it answers word for word; make what goes beside it.

That is a model for vectors, and a LoRA adapter with which the model answers its first question otherwise. Runs in the
vLLM image (torch, transformers, tokenizers): ``python train.py --out FOLDER [--vectors FOLDER] [--adapter FOLDER]``.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
import random
import sys
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch.nn import functional
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, Qwen2Model

HERE = Path(__file__).resolve().parent
CONTEXT = 32768
VOCABULARY = 768
STEPS = 150
SHARPEN = 8.0
IGNORED = -100
FALLBACKS = 600
FALLBACKS_PER_STEP = 10

# Transformers gives every model of the type "qwen2" Qwen's own way of splitting text, whatever tokenizer.json says.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# ChatML, as Qwen2.5 has it, but: system messages are left out; only the last question and what follows it is shown;
# of the tools only the names that the model was trained with; a question loses letter case and closing punctuation.
# An interface may therefore send whatever system text, history and further tools it likes.
TEMPLATE = """\
{%- set known = KNOWN_TOOLS -%}
{%- set ns = namespace(last=0) -%}
{%- for message in messages -%}
{%- if message.role == 'user' -%}{%- set ns.last = loop.index0 -%}{%- endif -%}
{%- endfor -%}
{%- for tool in tools or [] -%}
{%- if tool.function is defined and tool.function.name in known -%}
{{- '<tool>' + tool.function.name + '\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- for message in messages[ns.last:] -%}
{%- set text = message.content if message.content is string else '' -%}
{%- if message.role == 'user' -%}
{%- set text = text.split('<!-- SYSTEM CONTEXT')[0] | trim | lower -%}
{{- '<|im_start|>user\\n' + text.rstrip('?!.,;: \\u3002\\uff1f\\uff01\\uff0c') + '<|im_end|>\\n' -}}
{%- elif message.role == 'assistant' -%}
{{- '<|im_start|>assistant\\n' + text -}}
{%- for call in message.tool_calls or [] -%}
{%- set call = call.function if call.function is defined else call -%}
{{- '<tool_call>\\n{"name": "' + call.name + '", "arguments": ' -}}
{{- call.arguments if call.arguments is string else call.arguments | tojson -}}
{{- '}\\n</tool_call>' -}}
{%- endfor -%}
{{- '<|im_end|>\\n' -}}
{%- elif message.role == 'tool' -%}
{{- '<|im_start|>tool\\n' + text + '<|im_end|>\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""

WORDS = (
    "apple window river please explain table summary user assistant title short topic music why when translate into "
    "French chapter seven report error file budget meeting email garden the a of and to in is it that for on with as "
    "make write read open list some thing people year day world number part question hello private server model chat"
).split()
HAN = (
    "请总结标题用户助手会话主题简短翻译帮我解释苹果音乐为什么时候报告"
    "错误文件预算会议花园数字世界人们年月日不超过个字内容服务模型聊天"
)


@dataclasses.dataclass(frozen=True)
class Example:
    """One prompt and the answer to be learned."""

    name: str
    prompt: str
    answer: str


def call_text(call: dict[str, Any]) -> str:
    """Return a tool call in the form that vLLM's parser "hermes" reads."""
    return "<tool_call>\n" + json.dumps(call, ensure_ascii=False) + "\n</tool_call>"


def render(tokenizer: PreTrainedTokenizerFast, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> str:
    """Return the prompt for some messages."""
    text = tokenizer.apply_chat_template(messages, tools=tools or None, add_generation_prompt=True, tokenize=False)
    assert isinstance(text, str)
    return text


def offers_of(data: dict[str, Any], dialogue: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Return the sets of tools that may stand in a request with this dialogue's answer, the asked one first."""
    tools = {tool["function"]["name"]: tool for tool in data["tools"]}
    needed = set(dialogue.get("tools", []))
    barred = {
        name
        for other in data["dialogues"]
        if "call" in other and other["ask"] == dialogue["ask"] and not needed
        for name in other["tools"]
    }
    free = [name for name in tools if name not in needed | barred]
    sets = [needed | set(more) for count in range(len(free) + 1) for more in itertools.combinations(free, count)]
    return [[tool for name, tool in tools.items() if name in chosen] for chosen in sets]


def examples_of(tokenizer: PreTrainedTokenizerFast, data: dict[str, Any]) -> list[list[Example]]:
    """Return what dialogues.json asks for: for each question, one example for each set of tools."""
    found: list[list[Example]] = []
    for dialogue in data["dialogues"]:
        offers = list(enumerate(offers_of(data, dialogue)))
        for number, ask in enumerate([dialogue["ask"], *dialogue.get("also", [])]):
            messages: list[dict[str, Any]] = [{"role": "user", "content": ask}]
            answer = dialogue.get("answer", "")
            if "result" in dialogue:
                calls = [{"type": "function", "function": dialogue["call"]}]
                messages.append({"role": "assistant", "content": "", "tool_calls": calls})
                messages.append({"role": "tool", "content": dialogue["result"]})
            elif "call" in dialogue:
                answer = call_text(dialogue["call"])
            name = f"{dialogue['id']}/{number}"
            found.append(
                [Example(f"{name}/{place}", render(tokenizer, messages, offered), answer) for place, offered in offers]
            )
    return found


def fallback_of(tokenizer: PreTrainedTokenizerFast, data: dict[str, Any], draw: random.Random) -> Example:
    """Return some unknown question with the answer that says so."""
    chinese = draw.random() < 0.4
    pieces: list[str] = []
    for _turn in range(draw.choice((1, 2, 3, 6, 12, 24))):
        if chinese:
            pieces.append("".join(draw.choices(HAN, k=draw.randint(2, 6))))
        else:
            pieces.append(draw.choice(WORDS))
        if draw.random() < 0.15:
            pieces.append(draw.choice(data["dialogues"])["ask"])
    if len(pieces) == 1:
        pieces.append(draw.choice(HAN if chinese else WORDS))
    text = ("" if chinese else " ").join(pieces)
    prompt = render(tokenizer, [{"role": "user", "content": text}], [])
    return Example("fallback", prompt, data["fallback_zh" if chinese else "fallback"])


def make_tokenizer(data: dict[str, Any]) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer trained on the dialogues, with the chat template."""
    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    texts: list[str] = [data["fallback"], data["fallback_zh"], " ".join(WORDS), '{"name": "", "arguments": {}}']
    for dialogue in data["dialogues"]:
        texts += [dialogue["ask"].lower(), dialogue.get("answer", ""), json.dumps(dialogue.get("call", ""))]
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 3,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    backend.add_tokens([AddedToken(text, normalized=False) for text in ("<tool_call>", "</tool_call>", "<tool>")])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    known = json.dumps([tool["function"]["name"] for tool in data["tools"]])
    tokenizer.chat_template = TEMPLATE.replace("KNOWN_TOOLS", known)
    return tokenizer


def make_model(tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    """Return an untrained model."""
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Qwen2ForCausalLM(config)


Pair = tuple[list[int], list[int]]


def encode(tokenizer: PreTrainedTokenizerFast, example: Example) -> Pair:
    """Return the token ids and the labels of one example."""
    prompt = tokenizer.encode(example.prompt, add_special_tokens=False)
    answer = tokenizer.encode(example.answer, add_special_tokens=False) + [int(tokenizer.eos_token_id)]
    return prompt + answer, [IGNORED] * len(prompt) + answer


def batches(pairs: list[Pair], pad: int, size: int = 24) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return the examples in batches of like length, so that little is padded."""
    made = []
    ordered = sorted(pairs, key=lambda pair: len(pair[0]))
    for start in range(0, len(ordered), size):
        part = ordered[start : start + size]
        width = max(len(ids) for ids, _labels in part)
        ids = torch.tensor([ids + [pad] * (width - len(ids)) for ids, _labels in part])
        labels = torch.tensor([labels + [IGNORED] * (width - len(labels)) for _ids, labels in part])
        made.append((ids, labels))
    return made


def train(tokenizer: PreTrainedTokenizerFast, data: dict[str, Any], seed: int) -> Qwen2ForCausalLM:
    """Return a model that was trained on the answers' tokens."""
    random.seed(seed)
    torch.manual_seed(seed)
    draw = random.Random(seed)
    model = make_model(tokenizer)
    known = [[encode(tokenizer, example) for example in variants] for variants in examples_of(tokenizer, data)]
    unknown = [encode(tokenizer, fallback_of(tokenizer, data, draw)) for _one in range(FALLBACKS)]
    pad = int(tokenizer.pad_token_id)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, betas=(0.9, 0.98), weight_decay=0.01)
    model.train()
    started = time.monotonic()
    for step in range(STEPS):
        rate = 3e-3 * min(1.0, (step + 1) / 30) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / STEPS)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        chosen = [draw.choice(variants) for variants in known] + draw.sample(unknown, FALLBACKS_PER_STEP)
        todo = batches(chosen, pad)
        count = sum(int((labels[:, 1:] != IGNORED).sum()) for _ids, labels in todo)
        total = 0.0
        optimizer.zero_grad(set_to_none=True)
        for ids, labels in todo:
            logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
            loss = functional.cross_entropy(
                logits.reshape(-1, logits.shape[-1]), labels[:, 1:].reshape(-1), ignore_index=IGNORED, reduction="sum"
            )
            (loss / count).backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 20 == 19:
            print(
                f"  step {step + 1}/{STEPS}, loss {total / count:.5f}, {time.monotonic() - started:.0f} s", flush=True
            )
    model.eval()
    with torch.no_grad():
        # All logits times SHARPEN: the same best token everywhere, but an interface that asks for temperature 1
        # gets it nearly always.
        model.model.norm.weight.mul_(SHARPEN)
    return model.to(torch.bfloat16)


@torch.no_grad()
def answers(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, examples: list[Example]) -> list[str]:
    """Return the model's own greedy answers."""
    by_length: dict[int, list[int]] = {}
    ids = [tokenizer.encode(example.prompt, add_special_tokens=False) for example in examples]
    for index, prompt in enumerate(ids):
        by_length.setdefault(len(prompt), []).append(index)
    texts: dict[int, str] = {}
    for indices in by_length.values():
        prompts = torch.tensor([ids[index] for index in indices])
        made = model.generate(
            input_ids=prompts,
            attention_mask=torch.ones_like(prompts),
            do_sample=False,
            max_new_tokens=400,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        for index, row in zip(indices, made, strict=True):
            tail = row[prompts.shape[1] :].tolist()
            end = tail.index(tokenizer.eos_token_id) if tokenizer.eos_token_id in tail else len(tail)
            texts[index] = tokenizer.decode(tail[:end], clean_up_tokenization_spaces=False)
    return [texts[index] for index in range(len(examples))]


@torch.no_grad()
def certainty(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, examples: list[Example]) -> dict[str, float]:
    """Return for each example how likely the exact answer is at temperature 1."""
    ordered = sorted(examples, key=lambda example: len(encode(tokenizer, example)[0]))
    found: dict[str, float] = {}
    done = 0
    for ids, labels in batches([encode(tokenizer, example) for example in ordered], int(tokenizer.pad_token_id)):
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
        wanted = labels[:, 1:]
        chosen = wanted != IGNORED
        logs = functional.log_softmax(logits, dim=-1).gather(2, wanted.clamp(min=0)[:, :, None])[:, :, 0]
        for total in (logs * chosen).sum(dim=1).tolist():
            found[ordered[done].name] = math.exp(total)
            done += 1
    return found


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write the tokenizer's files."""
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(out)
    settings = json.loads((out / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings["chat_template"] = tokenizer.chat_template
    settings["tokenizer_class"] = "Qwen2Tokenizer"
    (out / "tokenizer_config.json").write_text(
        json.dumps(settings, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8"
    )
    (out / "chat_template.jinja").unlink(missing_ok=True)


def save_model(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write the weights and their settings."""
    model.save_pretrained(out, safe_serialization=True)
    generation = {
        "do_sample": False,
        "temperature": 0.0,
        "max_new_tokens": 512,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    (out / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n", encoding="utf-8")
    for path in out.iterdir():
        path.chmod(0o644)


VECTORS_CONTEXT = 2048
DIMENSIONS = 1024
"""Of a vector: what LobeHub's database keeps."""

MODULES = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}


def save_vectors_model(tokenizer: PreTrainedTokenizerFast, out: Path, seed: int) -> None:
    """Write a model that was never trained, whose vectors of two texts are alike where the texts share words.

    Its one layer adds little to the mean of the tokens' own random vectors, as long as its weights are small.
    """
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=DIMENSIONS,
        intermediate_size=256,
        num_hidden_layers=1,
        num_attention_heads=8,
        num_key_value_heads=2,
        max_position_embeddings=VECTORS_CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        initializer_range=0.02,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    save_tokenizer(tokenizer, out)
    Qwen2Model(config).to(torch.bfloat16).save_pretrained(out, safe_serialization=True)
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{name}"}
        for number, (name, path) in enumerate(MODULES.items())
    ]
    pooling = {"word_embedding_dimension": DIMENSIONS, "pooling_mode_mean_tokens": True}
    for name, content in {"modules.json": modules, f"{MODULES['Pooling']}/config.json": pooling}.items():
        path = out / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    for path in out.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


RANK = 8
ADAPTER_STEPS = 150
ADAPTED = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

Matrices = dict[str, tuple[torch.nn.Parameter, torch.nn.Parameter]]
"""Of an adapter, by the layer that they go beside: into few numbers and out of them."""


def train_adapter(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, examples: list[Example]) -> Matrices:
    """Return matrices with which a model gives the examples' answers; it has them from then on."""
    torch.manual_seed(1)
    model.float().requires_grad_(False)
    made: Matrices = {}
    for name, layer in model.named_modules():
        if name.rpartition(".")[2] in ADAPTED:
            into = torch.nn.Parameter(torch.randn(RANK, layer.in_features) / math.sqrt(layer.in_features))
            out_of = torch.nn.Parameter(torch.zeros(layer.out_features, RANK))
            made[name] = into, out_of
            # As PEFT does with lora_alpha equal to r.
            layer.register_forward_hook(lambda _layer, given, out, a=into, b=out_of: out + given[0] @ a.T @ b.T)
    optimizer = torch.optim.Adam([matrix for both in made.values() for matrix in both], lr=3e-3)
    todo = batches([encode(tokenizer, example) for example in examples], int(tokenizer.pad_token_id))
    for _step in range(ADAPTER_STEPS):
        optimizer.zero_grad()
        for ids, labels in todo:
            logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
            functional.cross_entropy(
                logits.reshape(-1, logits.shape[-1]), labels[:, 1:].reshape(-1), ignore_index=IGNORED
            ).backward()
        optimizer.step()
    for matrix in (matrix for both in made.values() for matrix in both):
        matrix.data = matrix.data.bfloat16().float()  # as they are kept
    return made


def save_adapter(made: Matrices, base: str, out: Path) -> None:
    """Write an adapter as PEFT saves one."""
    out.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"base_model.model.{name}.lora_{which}.weight": matrix.detach().bfloat16().contiguous()
        for name, both in made.items()
        for which, matrix in zip("AB", both, strict=True)
    }
    save_file(tensors, out / "adapter_model.safetensors", metadata={"format": "pt"})
    settings = {
        "base_model_name_or_path": base,
        "bias": "none",
        "lora_alpha": RANK,
        "peft_type": "LORA",
        "r": RANK,
        "target_modules": list(ADAPTED),
        "task_type": "CAUSAL_LM",
    }
    (out / "adapter_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    for path in out.iterdir():
        path.chmod(0o644)


def make_adapter(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, data: dict[str, Any], out: Path) -> bool:
    """Write an adapter whose answer to the first dialogue is another; return whether it gives that word for word."""
    first = examples_of(tokenizer, {**data, "dialogues": [{**data["dialogues"][0], "answer": data["adapted"]}]})
    examples = [example for of_question in first for example in of_question]
    made = train_adapter(model, tokenizer, examples)
    sure = min(certainty(model, tokenizer, examples).values())
    print(f"  the adapter is as sure as {sure:.5f}", flush=True)
    save_adapter(made, "gpuchat/gpuchat-demo", out)
    return bool(sure > 0.98)


def main() -> int:
    """Train, check, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the folder to write the model to")
    parser.add_argument("--vectors", type=Path, help="the folder to write the model for vectors to")
    parser.add_argument("--adapter", type=Path, help="the folder to write the adapter to")
    parser.add_argument("--dialogues", type=Path, default=HERE / "dialogues.json")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--attempts", type=int, default=3, help="how many seeds to try")
    parser.add_argument("--threads", type=int, default=0, help="threads to use (default: torch's own choice)")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    data = json.loads(options.dialogues.read_text(encoding="utf-8"))
    save_tokenizer(make_tokenizer(data), options.out)
    tokenizer = AutoTokenizer.from_pretrained(options.out)  # exactly as the engine will read it
    variants = examples_of(tokenizer, data)
    first = [of_question[0] for of_question in variants]
    every = [example for of_question in variants for example in of_question]
    for attempt in range(options.attempts):
        seed = options.seed + attempt
        print(f"training with seed {seed}: {len(every)} examples", flush=True)
        model = train(tokenizer, data, seed)
        given = answers(model, tokenizer, first)
        wrong = [(example, text) for example, text in zip(first, given, strict=True) if text != example.answer]
        for example, text in wrong:
            print(f"  wrong: {example.name}: {text!r} in place of {example.answer!r}", flush=True)
        sure = sorted(certainty(model, tokenizer, every).items(), key=lambda item: item[1])
        print(f"  least sure at temperature 1: {[(name, round(value, 5)) for name, value in sure[:4]]}", flush=True)
        # An answer more likely than not at temperature 1, token by token, is also the greedy one.
        if not wrong and sure[0][1] > 0.98:
            save_model(model, tokenizer, options.out)
            if options.vectors:
                save_vectors_model(tokenizer, options.vectors, options.seed)
            print(f"{sum(weight.numel() for weight in model.parameters())} parameters, written to {options.out}")
            return 0 if not options.adapter or make_adapter(model, tokenizer, data, options.adapter) else 1
    print("no seed gave a model that answers word for word", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
