# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.wishes import Wishes, read_wishes


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, Wishes()),
        ({"users": "auto", "context": None, "dtype": ""}, Wishes()),
        ({"users": 50, "context": "32768"}, Wishes(users=50, context=32768)),
        ({"gpu_memory_utilization": "0.85"}, Wishes(gpu_memory_utilization=0.85)),
        ({"enforce_eager": "yes"}, Wishes(enforce_eager=True)),
        ({"enforce_eager": False}, Wishes(enforce_eager=False)),
        ({"speculative": {"method": "ngram"}}, Wishes(speculative={"method": "ngram"})),
        ({"extra_args": {"--max_num_seqs": 8}}, Wishes(max_num_seqs=8)),
        ({"extra_args": {"max-num-seqs": 8}, "max_num_seqs": "8"}, Wishes(max_num_seqs=8)),
        ({"extra_args": {"dtype": "auto"}}, Wishes()),
        ({"extra_args": {"quantization": "FP8"}}, Wishes(quantization="fp8")),
        ({"extra_args": {"dtype": None, "seed": 1}}, Wishes(extra_args={"dtype": None, "seed": 1})),
    ],
)
def test_a_wish_is_auto_or_fixed_in_whatever_form(params, expected):
    assert read_wishes(params) == expected


@pytest.mark.parametrize("value", ["many", 0, -1, 1.5, True, [2], "1e3", " 4"])
def test_a_number_is_a_whole_one_from_1(value):
    with pytest.raises(Refusal, match="wanted auto or a whole number from 1; set users to one"):
        read_wishes({"users": value})


@pytest.mark.parametrize("value", [0, 1.1, 95, "90%", True, "nan", "-0.5"])
def test_a_share_lies_between_0_and_1(value):
    with pytest.raises(Refusal, match="set gpu_memory_utilization to one"):
        read_wishes({"gpu_memory_utilization": value})


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"dtype": "int8"}, "set dtype to one of them"),
        ({"enforce_eager": "maybe"}, "set enforce_eager to one of them"),
        ({"quantization": 8}, "set quantization to one"),
        ({"extra_args": ["--seed"]}, "wanted a mapping of names to values"),
        ({"speculative": "ngram"}, "wanted a mapping of names to values"),
        ({"extra_args": {"max-model-len": 8192}, "max_model_len": 4096}, "wanted one of them; set max_model_len alone"),
        ({"context": 8192, "max_model_len": 4096}, "set max_model_len to 8192 or leave it auto"),
    ],
)
def test_a_wrong_wish_is_refused(params, message):
    with pytest.raises(Refusal, match=message):
        read_wishes(params)
