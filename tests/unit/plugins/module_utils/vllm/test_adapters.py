# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of LoRA adapters an engine takes, and the options that it takes them with."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm import adapters
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.adapters import Adapter

PLAIN = {"peft_type": "LORA", "r": 16, "lora_alpha": 32, "target_modules": ["q_proj"], "bias": "none"}
BASE = "Qwen/Qwen3-8B"


@pytest.mark.parametrize(
    ("more", "rank"),
    [
        pytest.param({}, 16, id="a plain one"),
        pytest.param({"modules_to_save": None, "use_dora": False}, 16, id="as PEFT saves it"),
        pytest.param({"use_rslora": True, "r": 64}, 64, id="rsLoRA"),
        pytest.param({"rank_pattern": {"down_proj": 48}}, 48, id="a larger rank for some of its matrices"),
        pytest.param({"rank_pattern": {}}, 16, id="no such rank"),
        pytest.param({"init_lora_weights": "gaussian"}, 16, id="a start that leaves the model as it is"),
        pytest.param({"modules_to_save": ["score"]}, 16, id="the head of a classifier"),
        pytest.param({"r": 512}, 512, id="the largest rank"),
    ],
)
def test_a_plain_adapter_is_taken_with_its_largest_rank(more, rank):
    assert adapters.read("sql", {**PLAIN, "base_model_name_or_path": BASE, **more}) == Adapter("sql", rank, BASE)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        pytest.param(None, "has no adapter_config.json that says its rank r", id="nothing is known"),
        pytest.param({**PLAIN, "r": "many"}, "has no adapter_config.json that says its rank r", id="no rank"),
        pytest.param({**PLAIN, "peft_type": "PROMPT_TUNING"}, "is of the kind PROMPT_TUNING, which vLLM", id="no LoRA"),
        pytest.param({**PLAIN, "use_dora": True}, "uses DoRA, which vLLM does not serve", id="DoRA"),
        pytest.param({**PLAIN, "alora_invocation_tokens": [1]}, "uses aLoRA, which", id="aLoRA"),
        pytest.param({**PLAIN, "bias": "all"}, "has biases (bias all), which", id="biases"),
        pytest.param({**PLAIN, "lora_bias": True}, "uses a bias of its own (lora_bias)", id="a bias of its own"),
        pytest.param(
            {**PLAIN, "modules_to_save": ["embed_tokens", "lm_head"]},
            "replaces whole parts of its model (modules_to_save embed_tokens, lm_head)",
            id="new tokens",
        ),
        pytest.param({**PLAIN, "init_lora_weights": "pissa"}, "began with pissa, which changes the model", id="PiSSA"),
        pytest.param({**PLAIN, "r": 1024}, "has the rank 1024; wanted 512 at most", id="a rank without kernels"),
    ],
)
def test_what_the_engine_does_not_take_is_refused_before_it_starts(config, words):
    with pytest.raises(Refusal) as refusal:
        adapters.read("sql", config)
    assert words in str(refusal.value)
    assert str(refusal.value).startswith("the adapter sql ")


SQL, LAW = Adapter("sql", 12), Adapter("law", 64)
MANY = tuple(Adapter(f"a{number}", 8) for number in range(10))


@pytest.mark.parametrize(
    ("some", "args", "found"),
    [
        pytest.param((), {"max-num-seqs": 4}, {"max-num-seqs": 4}, id="none, and nothing changes"),
        pytest.param(
            (SQL,),
            {},
            {"enable-lora": True, "max-lora-rank": 16, "max-loras": 1, "lora-modules": ["sql=/adapters/sql"]},
            id="one, of a rank between two that there are",
        ),
        pytest.param(
            (SQL, LAW),
            {"lora-modules": "own=/model/own", "max-lora-rank": 128, "dtype": "half"},
            {
                "enable-lora": True,
                "max-lora-rank": 128,
                "max-loras": 3,
                "lora-modules": ["own=/model/own", "sql=/adapters/sql", "law=/adapters/law"],
                "dtype": "half",
            },
            id="beside one of the owner's, whose rank is larger",
        ),
        pytest.param(
            MANY,
            {},
            {
                "enable-lora": True,
                "max-lora-rank": 8,
                "max-loras": 8,
                "max-cpu-loras": 10,
                "lora-modules": [one.module for one in MANY],
            },
            id="more than share a step, which wait in the host's memory",
        ),
        pytest.param(
            (SQL, LAW),
            {"max-loras": 1},
            {
                "enable-lora": True,
                "max-lora-rank": 64,
                "max-loras": 1,
                "max-cpu-loras": 2,
                "lora-modules": ["sql=/adapters/sql", "law=/adapters/law"],
            },
            id="as many at once as the owner says",
        ),
    ],
)
def test_the_engine_gets_the_options_that_its_adapters_need(some, args, found):
    assert adapters.options(some, args) == found


def test_a_rank_of_the_owners_that_is_too_small_is_refused():
    with pytest.raises(Refusal, match="args holds max-lora-rank 32 and the adapter law has the rank 64; wanted as"):
        adapters.options((SQL, LAW), {"max-lora-rank": 32})


@pytest.mark.parametrize(
    ("base", "repo", "is_told"),
    [
        (BASE, BASE, False),
        (BASE, "Qwen/Qwen3-8B-AWQ", False),
        ("unsloth/Qwen3-8B-unsloth-bnb-4bit", "unsloth/Qwen3-8B", False),
        ("/home/me/checkpoints/base", BASE, True),
        ("checkpoints", BASE, False),
        ("", BASE, False),
        (BASE, "qwen3-8b", False),
        ("meta-llama/Llama-3.1-8B-Instruct", BASE, True),
    ],
)
def test_an_adapter_of_another_model_is_told(base, repo, is_told):
    found = list(adapters.warnings((Adapter("sql", 8, base),), repo))
    assert bool(found) == is_told
    assert not is_told or f"the adapter sql was made of {base}, and its model is {repo}" in found[0]
