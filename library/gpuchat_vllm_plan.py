#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_vllm_plan
short_description: Plan vLLM's configuration for a model, GPUs and users
version_added: 0.1.0
description:
  - From a model's config.json, the GPUs and the wishes, says how to run vLLM, where each GPU's memory goes, and why.
  - Takes facts, not connections, and changes nothing, so that it runs anywhere.
  - A wish is V(auto) or fixed. What is fixed is never changed; where it does not fit, the plan says what would.
options:
  model_config:
    description: The model's config.json as data.
    type: dict
    required: true
  weights_bytes:
    description: Size of the files of weights; left out, it is estimated from O(model_config).
    type: int
  generation_config:
    description: The model's generation_config.json as data.
    type: dict
    default: {}
  tokenizer_config:
    description: The model's tokenizer_config.json as data; its chat template shows whether it calls tools and thinks.
    type: dict
    default: {}
  repo:
    description: Name of the model on its hub, which shows its family.
    type: str
    default: ''
  files:
    description: Names of the model's files, which show its format.
    type: list
    elements: str
    default: []
  gpus:
    description:
      - GPUs of one node, or a list of such lists for several nodes; none for the CPU.
      - Each has C(name); C(memory_bytes) and C(compute_capability) are looked up by it where they are left out. What
        M(gpuchat.stack.gpuchat_gpu_info) returns counts further, C(memory_free_bytes), C(nvlink_peers) and
        C(mig_devices) above all; C(count) stands for several of a kind.
    type: list
    elements: raw
    default: []
  wanted_gpus:
    description: Those of O(gpus) that the model gets, V(all), or some by index or UUID, as a list or with commas.
    type: raw
    default: all
  task:
    description: What the model is wanted for; V(chat) refuses one that cannot chat.
    type: str
    choices: [any, chat]
    default: any
  driver_version:
    description: Version of NVIDIA's driver; empty where it is not known.
    type: str
    default: ''
  cpu_kv_cache_bytes:
    description: Memory for the KV cache where O(gpus) is empty, in whole GiB.
    type: int
    default: 4294967296
  vllm_version:
    description: Version of vLLM.
    type: str
    required: true
  users:
    description: Conversations to be held at once, each with the whole O(context).
    type: raw
    default: auto
  context:
    description: Tokens that each of these conversations holds; questions, answers and instructions count.
    type: raw
    default: auto
  max_model_len:
    description: Longest single conversation in tokens; V(auto) takes O(context).
    type: raw
    default: auto
  tensor_parallel_size:
    description: GPUs among which each layer is split.
    type: raw
    default: auto
  pipeline_parallel_size:
    description: Stages that each hold some of the layers.
    type: raw
    default: auto
  data_parallel_size:
    description: Replicas of the model.
    type: raw
    default: auto
  gpu_memory_utilization:
    description: Share of each GPU's memory that vLLM may take; V(auto) takes vLLM's own, or less where others need it.
    type: raw
    default: auto
  max_num_seqs:
    description: Requests that run at once in one engine.
    type: raw
    default: auto
  max_num_batched_tokens:
    description: Tokens of one step.
    type: raw
    default: auto
  dtype:
    description: Type of what is not quantized.
    type: raw
    default: auto
  kv_cache_dtype:
    description: Type of the KV cache, such as V(fp8).
    type: raw
    default: auto
  quantization:
    description: Method by which vLLM quantizes while it loads; V(auto) leaves the weights as published.
    type: raw
    default: auto
  enforce_eager:
    description: Whether to do without CUDA graphs.
    type: raw
    default: auto
  speculative:
    description: Speculative decoding, as C(--speculative-config) takes it.
    type: raw
    default: auto
  extra_args:
    description: Further options of C(vllm serve) by their long name without dashes, merged last; null takes one away.
    type: dict
    default: {}
  on_unfit:
    description:
      - Whether what cannot run fails the task, or is reported in RV(plan.fits) and RV(plan.reason) with the budget.
      - An option that makes no sense, or a GPU whose memory nobody knows, fails in any case.
    type: str
    choices: [fail, report]
    default: fail
attributes:
  check_mode:
    description: Reads only.
    support: full
  diff_mode:
    description: There is never a difference.
    support: full
  idempotent:
    description: The same facts and wishes give the same plan.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Plan for fifty people
  gpuchat.stack.gpuchat_vllm_plan:
    model_config: "{{ lookup('ansible.builtin.file', 'config.json') | from_json }}"
    weights_bytes: 16381470720
    repo: Qwen/Qwen3-8B
    gpus:
      - {name: NVIDIA L40S, count: 2}
    vllm_version: 0.32.0
    users: 50
    context: 4096
    max_model_len: 32768
  register: planned
"""

RETURN = r"""
plan:
  description: The answer; sizes in bytes.
  type: dict
  returned: always, unless an option makes no sense
  contains:
    fits:
      description: Whether the model starts and all wishes are served.
      type: bool
      returned: always
    reason:
      description: What does not fit and what would, or what fits.
      type: str
      returned: always
    obstacles:
      description: What keeps it from running whatever the memory, such as a flag that the version does not know; only
        with O(on_unfit=report), without which it fails the task.
      type: list
      elements: str
      returned: always
    args:
      description: What C(vllm serve --config) takes.
      type: dict
      returned: always
    node_args:
      description:
        - RV(plan.args) for each node that is used, in the order of RV(plan.devices).
        - Where one node runs more engines than another they differ, and RV(plan.args) holds what they have in common.
      type: list
      elements: dict
      returned: always
    env:
      description: Environment variables that vLLM needs for it.
      type: dict
      returned: always
    budget:
      description:
        - Of the GPU that decides, C(total), C(usable) by vLLM, C(weights), C(activations), C(cuda_graphs), C(overhead)
          of libraries, and C(kv_cache).
      type: dict
      returned: always
    kv_bytes_per_token:
      description: Growth of one GPU's KV cache with each token of a long conversation.
      type: int
      returned: always
    kv_cache_tokens:
      description: Size of one engine's KV cache as vLLM logs it.
      type: int
      returned: always
    max_concurrency:
      description: Requests of C(max-model-len) that fit in one engine's KV cache, as vLLM logs it.
      type: float
      returned: always
    uncertainty:
      description: By how much C(kv_cache) may be off.
      type: int
      returned: always
    users:
      description: Conversations that fit at once, each with RV(plan.context) tokens, in all replicas.
      type: int
      returned: always
    context:
      description: Tokens with which each conversation is estimated.
      type: int
      returned: always
    layout:
      description: Sizes of tensor, pipeline, data and expert parallelism.
      type: dict
      returned: always
    gpus:
      description: Each GPU, with the number of the engine that it works for, null for an idle one.
      type: list
      elements: dict
      returned: always
    devices:
      description: The GPUs to hand to vLLM on each node, by index, or by UUID for slices.
      type: list
      elements: list
      returned: always
    reasons:
      description: Why it is so.
      type: list
      elements: str
      returned: always
    warnings:
      description: What to know before it is run.
      type: list
      elements: str
      returned: always
    alternatives:
      description: Changes, by the names of the options, and what each would give.
      type: list
      elements: dict
      returned: always
    estimate:
      description:
        - Rates in tokens per second, the time to the first token and that to load the weights.
        - Null where the GPU is not in the table.
      type: dict
      returned: always
"""

from collections.abc import Callable, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.core.change import Plan
from ..module_utils.gpuchat.core.errors import Refusal
from ..module_utils.gpuchat.vllm.plan import plan_vllm
from ..module_utils.gpuchat.vllm.wishes import READERS

SPECIFICATION = {
    "model_config": {"type": "dict", "required": True},
    "weights_bytes": {"type": "int"},
    "generation_config": {"type": "dict", "default": {}},
    "tokenizer_config": {"type": "dict", "default": {}, "no_log": False},
    "repo": {"type": "str", "default": ""},
    "files": {"type": "list", "elements": "str", "default": []},
    "gpus": {"type": "list", "elements": "raw", "default": []},
    "wanted_gpus": {"type": "raw", "default": "all"},
    "task": {"type": "str", "choices": ["any", "chat"], "default": "any"},
    "driver_version": {"type": "str", "default": ""},
    "cpu_kv_cache_bytes": {"type": "int", "default": 4294967296},
    "vllm_version": {"type": "str", "required": True},
    **{name: {"type": "raw", "default": "auto", "no_log": False} for name in READERS},
    "extra_args": {"type": "dict", "default": {}},
    "on_unfit": {"type": "str", "choices": ["fail", "report"], "default": "fail"},
}


def work(params: Mapping[str, object], warn: Callable[[str], None]) -> Mapping[str, object]:
    """Plan, and refuse what does not fit unless that is only to be reported; then warnings stand in the report."""
    plan = plan_vllm(params)
    for warning in plan.warnings if params["on_unfit"] == "fail" else ():
        warn(warning)
    result = {**Plan(reason=plan.reason).result(), "plan": plan.as_dict()}
    if not plan.fits and params["on_unfit"] == "fail":
        raise Refusal(plan.reason, plan=result["plan"])
    return result


def main() -> None:
    module = AnsibleModule(argument_spec=SPECIFICATION, supports_check_mode=True)
    front.run(module, lambda: work(module.params, module.warn))


if __name__ == "__main__":
    main()
