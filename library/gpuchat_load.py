#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_load
short_description: Measure how fast a model answers many who ask at once
version_added: 0.1.0
description:
  - Asks a model through the edge for a bounded time, reads the answers as they stream, and measures the time to the
    first token, the time of each further one, and tokens a second, as C(vllm bench serve) defines them.
  - Keeps the figures beside the earlier ones, and compares them with these and with the plan's estimate.
  - The action plugin of the same name asks from the control node, and shows the table; Ctrl-C ends a load early, and
    shows the figures until then.
options:
  domain:
    description: Name of the site, for which its certificate has to be.
    type: str
    required: true
  port:
    description: Port at which the edge is asked.
    type: int
    required: true
  plain:
    description: Whether it is asked by plain HTTP.
    type: bool
    default: false
  address:
    description: IP address of the edge, where no DNS knows the name yet.
    type: str
    default: ''
  authority:
    description: The private authority's certificate (PEM); empty for a public one.
    type: str
    default: ''
  api_key:
    description: The key of the model API; the variable C(gpuchat_api_key) where it is left out.
    type: str
  rate:
    description: Requests a second that the edge allows one address.
    type: int
    default: 10
  burst:
    description: Further requests that the edge lets through at once.
    type: int
    default: 40
  models:
    description: What is served, each with C(name), C(task), C(hosts) and C(endpoint).
    type: list
    elements: dict
    required: true
  served:
    description: What each does, with C(name), C(task) and C(context), as M(gpuchat.stack.gpuchat_served) says it.
    type: list
    elements: dict
    required: true
  names:
    description: Lists of all names by which an engine is asked, its model's own first.
    type: list
    elements: list
    default: []
  model:
    description: The name or alias of the model that is asked; empty for the first that chats.
    type: str
    default: ''
  users:
    description: How many ask at once, each again as soon as its answer is there; 500 at most.
    type: int
    default: 4
  seconds:
    description:
      - After which nobody asks anew, 3600 at most; answers that are under way have 30 seconds more.
      - Where it is left out, 30, or as long as O(trace) goes.
    type: int
  prompt_tokens:
    description: Length of each prompt.
    type: int
    default: 256
  answer_tokens:
    description: Length of each answer.
    type: int
    default: 128
  shared_prefix:
    description: Whether prompts begin alike, so that an engine's prefix cache knows most of each.
    type: bool
    default: false
  trace:
    description:
      - File on the control node that says what is asked when, in place of O(users), O(prompt_tokens) and
        O(answer_tokens); each line is a JSON object with C(at) (seconds), C(prompt) or C(prompt_tokens), and
        C(answer_tokens).
    type: path
  folder:
    description: The folder for a run's own files, in which figures are kept and a plan may stand.
    type: path
    required: true
attributes:
  check_mode:
    description: Asks nothing, and says so in RV(not_predicted).
    support: full
  diff_mode:
    description: There is never a difference.
    support: full
  idempotent:
    description: Changes no host; each run adds its figures to the file on the control node.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Measure how fast the model answers
  gpuchat.stack.gpuchat_load:
    domain: chat.example.com
    port: 443
    models: [{name: qwen3-8b, task: chat, hosts: [gpu1]}]
    served: [{name: qwen3-8b, task: chat}]
    users: 16
    seconds: 60
    folder: '{{ playbook_dir }}/.gpuchat'
"""

RETURN = r"""
run:
  description:
    - What was asked (C(work)), the C(figures) with the names of C(vllm bench serve), C(changes) since the last run of
      the same work as shares, and what the plan C(expected).
  type: dict
  returned: where it asked
table:
  description: The same as a table.
  type: str
  returned: where it asked
file:
  description: Where the figures of this run and earlier ones are.
  type: str
  returned: where it asked
advice:
  description: What somebody should act on, such as limits of the edge.
  type: list
  elements: str
  returned: where it asked
interrupted:
  description: Whether somebody ended the load before its time.
  type: bool
  returned: where it asked
not_predicted:
  description: What check mode cannot predict.
  type: list
  elements: str
  returned: in check mode
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.load import runner

SPECIFICATION = {
    "domain": {"type": "str", "required": True},
    "port": {"type": "int", "required": True},
    "plain": {"type": "bool", "default": False},
    "address": {"type": "str", "default": ""},
    "authority": {"type": "str", "default": ""},
    "api_key": {"type": "str", "no_log": True},
    "rate": {"type": "int", "default": 10},
    "burst": {"type": "int", "default": 40},
    "models": {"type": "list", "elements": "dict", "required": True},
    "served": {"type": "list", "elements": "dict", "required": True},
    "names": {"type": "list", "elements": "list", "default": []},
    "model": {"type": "str", "default": ""},
    "users": {"type": "int", "default": 4},
    "seconds": {"type": "int"},
    "prompt_tokens": {"type": "int", "default": 256, "no_log": False},
    "answer_tokens": {"type": "int", "default": 128, "no_log": False},
    "shared_prefix": {"type": "bool", "default": False},
    "trace": {"type": "path"},
    "folder": {"type": "path", "required": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=SPECIFICATION, supports_check_mode=True)
    front.run(module, lambda: runner.ensure(module.params, module.check_mode))


if __name__ == "__main__":
    main()
