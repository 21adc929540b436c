#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_vllm_plan
short_description: Plan vLLM's configuration for all models of a host
version_added: 0.1.0
description:
  - From each model's config.json, the host's GPUs and the wishes, says how to run vLLM, where each GPU's memory goes,
    and why.
  - Several models are planned together. Each gets GPUs of its own where there are enough, and a share of a GPU where
    there are not.
  - Takes facts, not connections, and changes nothing, so that it runs anywhere.
  - A wish is V(auto) or fixed. What is fixed is never changed; where it does not fit, the plan says what would.
options:
  engines:
    description:
      - What the inventory says of the models of the host, in its order. Further keys are not read.
      - Each has C(name). C(repo), its name on its hub, shows its family; without it the last part of C(path) does.
      - C(task) is V(auto), V(chat), V(embed), V(rerank) or V(transcribe); with V(auto) the model is served for what its
        checkpoint is for. A checkpoint for something else than wished is refused.
      - C(gpus) is V(auto), V(all), a count, or a list of indices or UUIDs, of slices too. With V(auto) the only model
        of a host may have all GPUs, and each of several as few as serve it.
      - C(users) are conversations to be held at once, each with C(context) tokens, where questions, answers and
        instructions count.
      - C(version) of vLLM is O(vllm_version) where it is empty; where there is an C(image) then, a note says so.
      - C(args) are merged over O(args).
      - C(span) with C(hosts) and C(rank) is one engine over these hosts, which have to have like GPUs.
      - C(own) lists which of its keys the entry in the inventory has itself. C(users) and C(context) count for models
        that chat alone, and a note tells where another one has them.
    type: list
    elements: dict
    required: true
  metadata:
    description:
      - What the checkpoint of each model says, by the model's name.
      - Each has C(config), its config.json as data, C(weights_bytes), C(files), and C(data) with its
        C(generation_config.json) and C(tokenizer_config.json); of a model for vectors also those of its last layers,
        such as C(2_Dense/config.json), and C(sentence_bert_config.json); C(hf_quant_config.json) or C(params.json)
        where it has one.
    type: dict
    required: true
  unseen:
    description: What M(gpuchat.stack.gpuchat_model) said of those that O(metadata) lacks, a line for each by its name.
    type: str
    default: ''
  gpus:
    description:
      - GPUs of the host; none for the CPU.
      - Each has C(name); C(memory_bytes) and C(compute_capability) are looked up by it where they are left out. What
        M(gpuchat.stack.gpuchat_gpu_info) returns counts further, C(memory_free_bytes), C(nvlink_peers) and
        C(mig_devices) above all; C(count) stands for several of a kind.
    type: list
    elements: raw
    default: []
  gpus_of:
    description:
      - GPUs of the hosts that a model spans, by host; set by the action plugin.
      - One that is missing is taken to have what O(gpus) says.
    type: dict
    default: {}
  driver_version:
    description: Version of NVIDIA's driver; empty where it is not known.
    type: str
    default: ''
  cpu_kv_cache_bytes:
    description:
      - Memory for the KV cache where O(gpus) is empty, in whole GiB.
      - Each of several models gets as much of it as it needs.
    type: int
    default: 4294967296
  host_memory_bytes:
    description: Memory of the host, in which all models have to fit where O(gpus) is empty; 0 where it is not known.
    type: int
    default: 0
  vllm_version:
    description: Version of vLLM.
    type: str
    required: true
  max_model_len:
    description: Longest single conversation in tokens; V(auto) takes C(context).
    type: raw
    default: auto
  tool_call_parser:
    description: Parser of tool calls of all models that chat; empty takes the one of each model's family.
    type: str
    default: ''
  reasoning_parser:
    description: Parser of thoughts of all models that chat; empty takes the one of each model's family.
    type: str
    default: ''
  args:
    description:
      - Options of C(vllm serve) for all models by their long name without dashes, merged last; null takes one away.
      - Those that have a part in the plan count as wishes, such as C(tensor-parallel-size) and
        C(gpu-memory-utilization).
    type: dict
    default: {}
  interface:
    description:
      - What people chat with.
      - LobeHub asks for vectors of one length, which vLLM grants to models that are marked for it; those that can give
        it are marked for V(lobehub), by C(hf-overrides).
    type: str
    choices: [lobehub, open_webui, none]
    default: none
  on_unfit:
    description:
      - Whether what cannot run fails the task, or is reported in C(fits) and C(reason) of each plan with its budget.
      - What cannot be planned at all, such as a GPU that is not there, is reported as the model's C(refusal) then.
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
- name: Plan a model for people and one for vectors
  gpuchat.stack.gpuchat_vllm_plan:
    engines:
      - {name: qwen3-8b, repo: Qwen/Qwen3-8B, users: 50, context: 4096}
      - {name: bge-m3, repo: BAAI/bge-m3}
    metadata:
      qwen3-8b:
        config: "{{ lookup('ansible.builtin.file', 'qwen3-8b/config.json') | from_json }}"
        weights_bytes: 16381470720
      bge-m3:
        config: "{{ lookup('ansible.builtin.file', 'bge-m3/config.json') | from_json }}"
        weights_bytes: 2271064456
    gpus:
      - {name: NVIDIA L40S, count: 2}
    vllm_version: 0.32.0
  register: planned
"""

RETURN = r"""
fits:
  description: Whether all models start and all wishes are served.
  type: bool
  returned: success
reason:
  description: What does not fit of each model and what would, or what fits; a line for each model.
  type: str
  returned: success
models:
  description: Each model with C(name), C(plan) and C(refusal), in the order of O(engines).
  type: list
  elements: dict
  returned: always
gpus:
  description: The host's GPUs with what other processes hold of each.
  type: list
  elements: dict
  returned: always
notes:
  description: What to know before they are run, each with its model.
  type: list
  elements: str
  returned: always
plans:
  description: The answer for each model by its name; sizes in bytes. One that was refused is not there.
  type: dict
  returned: always
  contains:
    task:
      description: What the model is served for.
      type: str
      returned: always
    tool_call:
      description: Whether its tool calls are parsed.
      type: bool
      returned: always
    vision:
      description: Whether it talks about images.
      type: bool
      returned: always
    dimensions:
      description: Numbers in each vector; null where the checkpoint does not say.
      type: int
      returned: of a model for vectors
    askable_dimensions:
      description:
        - Numbers that a request may ask for by C(dimensions).
        - Null where it may ask for none, not for RV(plans.dimensions) either, and empty where for any up to that.
      type: list
      elements: int
      returned: of a model for vectors
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
        - RV(plans.args) for each node that is used, in the order of RV(plans.devices).
        - Where one node runs more engines than another they differ, and RV(plans.args) holds what they have in common.
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
      description: Conversations that fit at once, each with RV(plans.context) tokens, in all replicas.
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

from ..module_utils.gpuchat.chat import lobehub
from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.core.change import Plan
from ..module_utils.gpuchat.core.errors import Refusal
from ..module_utils.gpuchat.inventory.topology import INTERFACES, LOBEHUB, NO_INTERFACE
from ..module_utils.gpuchat.vllm.host_plan import plan_host

SPECIFICATION = {
    "engines": {"type": "list", "elements": "dict", "required": True},
    "metadata": {"type": "dict", "required": True},
    "unseen": {"type": "str", "default": ""},
    "gpus": {"type": "list", "elements": "raw", "default": []},
    "gpus_of": {"type": "dict", "default": {}},
    "driver_version": {"type": "str", "default": ""},
    "cpu_kv_cache_bytes": {"type": "int", "default": 4294967296},
    "host_memory_bytes": {"type": "int", "default": 0},
    "vllm_version": {"type": "str", "required": True},
    "max_model_len": {"type": "raw", "default": "auto"},
    "tool_call_parser": {"type": "str", "default": ""},
    "reasoning_parser": {"type": "str", "default": ""},
    "args": {"type": "dict", "default": {}},
    "interface": {"type": "str", "choices": [*INTERFACES, NO_INTERFACE], "default": NO_INTERFACE},
    "on_unfit": {"type": "str", "choices": ["fail", "report"], "default": "fail"},
}


def work(params: Mapping[str, object], warn: Callable[[str], None]) -> Mapping[str, object]:
    """Plan, and refuse what does not fit unless that is only to be reported; then warnings stand in the report."""
    asked = lobehub.DIMENSIONS if params["interface"] == LOBEHUB else 0
    found = plan_host({**params, "asked_dimensions": asked})
    for warning in found.warnings() if params["on_unfit"] == "fail" else ():
        warn(warning)
    result = {**Plan(reason=found.reason).result(), **found.as_dict()}
    if not found.fits and params["on_unfit"] == "fail":
        raise Refusal(found.reason, **{key: value for key, value in result.items() if key not in ("msg", "changed")})
    return result


def main() -> None:
    module = AnsibleModule(argument_spec=SPECIFICATION, supports_check_mode=True)
    front.run(module, lambda: work(module.params, module.warn))


if __name__ == "__main__":
    main()
