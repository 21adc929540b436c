# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.chosen import choose
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.plan import plan_vllm

from .models import LLAMA_8B

TWO = [{"index": 0, "name": "L40S", "uuid": "GPU-a"}, {"index": 1, "name": "L40S", "uuid": "GPU-b"}]
SLICED = [{"index": 0, "name": "H100", "uuid": "GPU-a", "mig_devices": [{"uuid": "MIG-1"}, {"uuid": "MIG-2"}]}]


@pytest.mark.parametrize("wanted", ["all", "", None, ["all"]])
def test_all_gpus_are_taken_unless_some_are_named(wanted):
    assert choose(TWO, wanted) == TWO


@pytest.mark.parametrize(
    ("wanted", "indices"),
    [
        (0, [0]),
        ("1", [1]),
        ([0, 1], [0, 1]),
        ("0,1", [0, 1]),
        ("1, 0", [1, 0]),
        (["1"], [1]),
        ("GPU-b", [1]),
        (["GPU-a", 0], [0]),
    ],
)
def test_a_gpu_is_named_by_index_or_uuid_alone_or_with_others(wanted, indices):
    assert [one["index"] for one in choose(TWO, wanted)] == indices


@pytest.mark.parametrize("wanted", ["7", 7, [0, 7], "0,7", "GPU-c"])
def test_a_gpu_that_the_host_lacks_is_refused(wanted):
    with pytest.raises(Refusal, match="the host has the GPUs 0, 1; wanted those that are there; set gpus to"):
        choose(TWO, wanted)


def test_no_gpu_at_all_is_no_reason_to_plan_for_the_cpu():
    with pytest.raises(Refusal, match="names the GPU 0, and the host has none"):
        choose([], 0)


@pytest.mark.parametrize("wanted", ["some", "-1", "0-1", [], {"a": 1}, True, 0.5, "0;1"])
def test_what_is_no_gpu_is_refused_with_the_form(wanted):
    with pytest.raises(Refusal, match=r"wanted all, or GPUs by index or UUID; set gpus to all, \[0\] or \[0, 1\]"):
        choose(TWO, wanted)


def test_a_described_kind_counts_as_many_gpus():
    kinds = [{"name": "L40S", "count": 2}, {"name": "H100"}]
    assert choose(kinds, [1, 2]) == [{"name": "L40S", "index": 1}, {"name": "H100", "index": 2}]


def test_one_slice_of_a_gpu_is_named_by_its_own_uuid():
    assert choose(SLICED, "MIG-2") == [{**SLICED[0], "mig_devices": [{"uuid": "MIG-2"}]}]


def test_gpus_of_several_nodes_are_taken_as_they_are():
    assert choose([TWO, TWO], "all") == [TWO, TWO]
    with pytest.raises(Refusal, match="those of several hosts were given"):
        choose([TWO, TWO], 0)


LLAMA = {"architectures": ["LlamaForCausalLM"], **LLAMA_8B}
L40S = {"name": "NVIDIA L40S"}


def plan(gpus, config=LLAMA, **params):
    return plan_vllm({"model_config": config, "vllm_version": "0.32.0", "gpus": gpus, **params})


def test_a_plan_uses_the_gpus_that_are_wanted_and_never_the_cpu_in_their_place():
    two = [{**L40S, "index": 0}, {**L40S, "index": 1}]
    assert plan(two, wanted_gpus=1).as_dict()["devices"] == [["1"]]
    with pytest.raises(Refusal, match="names the GPU 7, and the host has the GPUs 0, 1"):
        plan(two, wanted_gpus="7")


EMBEDDING = {**LLAMA, "architectures": ["XLMRobertaModel"], "model_type": "xlm-roberta"}


@pytest.mark.parametrize(
    ("config", "given", "does"),
    [
        (EMBEDDING, {"repo": "BAAI/bge-m3"}, "the model BAAI/bge-m3 makes vectors of texts"),
        (LLAMA, {"repo": "a/b", "files": ["modules.json"]}, "the model a/b makes vectors of texts"),
    ],
)
def test_a_model_that_cannot_chat_is_refused_where_it_is_wanted_for_the_chat(config, given, does):
    with pytest.raises(
        Refusal, match=f"{does}; wanted one that answers people.*set its task in gpuchat_models to embed"
    ):
        plan([L40S], config, task="chat", **given)
    assert plan([L40S], task="chat", repo="meta-llama/Llama-3.1-8B-Instruct").fits
