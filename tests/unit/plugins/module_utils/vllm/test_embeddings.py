# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.embeddings import Vectors, arguments, read

BGE = {"architectures": ["XLMRobertaModel"], "hidden_size": 1024}
JINA = {"hidden_size": 1024, "matryoshka_dimensions": [32, 64, 512, 768, 1024]}
QWEN = {"architectures": ["Qwen3ForCausalLM"], "hidden_size": 2560}
SMALL = {"hidden_size": 384}
MARKED = {"matryoshka_dimensions": [1024]}


@pytest.mark.parametrize(
    ("config", "data", "args", "found"),
    [
        pytest.param(BGE, {}, {}, Vectors(1024, None), id="as config.json says"),
        pytest.param({"text_config": QWEN}, {}, {}, Vectors(2560, None), id="the text's part of one that sees"),
        pytest.param({"d_model": 768}, {}, {}, Vectors(768, None), id="by T5's name for it"),
        pytest.param({}, {}, {}, Vectors(None, None), id="of which nothing is said"),
        pytest.param(
            SMALL,
            {"2_Dense/config.json": {"out_features": 3072}, "10_Dense/config.json": {"out_features": 512}},
            {},
            Vectors(512, None),
            id="the last layer's, by its number",
        ),
        pytest.param(SMALL, {"2_Dense/config.json": []}, {}, Vectors(384, None), id="a layer that says nothing"),
        pytest.param({**BGE, "embedding_size": 2048}, {}, {}, Vectors(2048, None), id="as vLLM's own name says"),
        pytest.param(JINA, {}, {}, Vectors(1024, (32, 64, 512, 768, 1024)), id="that may be some lengths"),
        pytest.param({**QWEN, "is_matryoshka": True}, {}, {}, Vectors(2560, ()), id="that may be any length"),
        pytest.param({**BGE, "matryoshka_dimensions": []}, {}, {}, Vectors(1024, None), id="a list of none is no mark"),
        pytest.param(BGE, {}, {"hf-overrides": MARKED}, Vectors(1024, (1024,)), id="marked by the owner"),
        pytest.param(BGE, {}, {"hf-overrides": json.dumps(MARKED)}, Vectors(1024, (1024,)), id="marked in JSON"),
        pytest.param(
            BGE, {}, {"hf-overrides.is_matryoshka": True}, Vectors(1024, ()), id="marked by a name with a dot"
        ),
        pytest.param(BGE, {}, {"hf-overrides": "x"}, Vectors(1024, None), id="an override that cannot be read"),
    ],
)
def test_vectors_are_as_vllm_reads_them(config, data, args, found):
    assert read(config, data, args) == found


@pytest.mark.parametrize(
    ("vectors", "may"),
    [
        (Vectors(1024, None), False),
        (Vectors(1024, ()), True),
        (Vectors(1024, (1024,)), True),
        (Vectors(1024, (512,)), False),
        (Vectors(2560, ()), True),
        (Vectors(2560, (512, 1024)), True),
        (Vectors(384, ()), False),
        (Vectors(None, ()), True),
    ],
)
def test_a_request_may_ask_for_what_the_marks_say_and_for_no_more_than_there_is(vectors, may):
    assert vectors.may_be(1024) is may


@pytest.mark.parametrize(
    ("config", "repo", "args", "overrides"),
    [
        pytest.param(BGE, "BAAI/bge-m3", {}, MARKED, id="its own length, for which it is not marked"),
        pytest.param(JINA, "jina", {}, None, id="marked for it"),
        pytest.param(
            {**BGE, "matryoshka_dimensions": [256]}, "x", {}, {"matryoshka_dimensions": [256, 1024]}, id="for another"
        ),
        pytest.param(SMALL, "all-MiniLM-L6-v2", {}, None, id="too short"),
        pytest.param(QWEN, "someone/large", {}, None, id="longer, and nobody knows whether it can be cut"),
        pytest.param(QWEN, "Qwen/Qwen3-Embedding-4B", {}, {"is_matryoshka": True}, id="longer, made to be cut"),
        pytest.param({**QWEN, "is_matryoshka": True}, "x", {}, None, id="longer, and marked"),
        pytest.param(
            BGE, "x", {"hf-overrides": {"head_dtype": "model"}}, {**MARKED, "head_dtype": "model"}, id="beside others"
        ),
        pytest.param(
            BGE, "x", {"hf-overrides": '{"head_dtype": "model"}'}, {**MARKED, "head_dtype": "model"}, id="beside JSON"
        ),
        pytest.param(BGE, "x", {"hf-overrides": {"matryoshka_dimensions": [512]}}, None, id="the owner knows better"),
        pytest.param(BGE, "x", {"hf-overrides": None}, None, id="the owner wants none"),
        pytest.param(BGE, "x", {"hf-overrides": "x"}, None, id="the owner's cannot be read"),
        pytest.param(BGE, "x", {"hf-overrides.head_dtype": "model"}, None, id="the owner's come over a whole mapping"),
    ],
)
def test_a_model_is_marked_where_that_is_true_and_the_owner_says_nothing_else(config, repo, args, overrides):
    wanted = {} if overrides is None else {"hf-overrides": overrides}
    assert arguments(1024, config, {}, repo, args) == wanted
