#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_check
short_description: Check one OpenAI-compatible endpoint
version_added: 0.1.0
description:
  - Asks for the list of models, and for what the model is there for - a completion, a stream and a tool call, or a
    vector, or scores - and fails naming each answer that is not right.
options:
  url:
    description: Base address, which ends in C(/v1).
    type: str
    required: true
  model:
    description: The name under which the model is served.
    type: str
    required: true
  task:
    description: What the model is there for; of V(transcribe) the list of models alone is asked for.
    type: str
    choices: [chat, embed, rerank, transcribe]
    default: chat
  api_key_file:
    description: A file with the key, where one is asked for.
    type: path
  question:
    description: What the model is asked.
    type: str
    default: hello
  answer:
    description: The exact answer wanted; empty for any.
    type: str
    default: ''
  stream:
    description: Check a streamed answer too.
    type: bool
    default: true
  tool_call:
    description: Check a tool call too.
    type: bool
    default: false
  timeout:
    description: Seconds that one answer may take.
    type: int
    default: 120
attributes:
  check_mode:
    description: Asks nothing, and says so in RV(not_predicted).
    support: full
  diff_mode:
    description: There is never a difference.
    support: full
  idempotent:
    description: Reads only.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Check the model server
  gpuchat.stack.gpuchat_check:
    url: http://127.0.0.1:8000/v1
    model: qwen3-8b
    tool_call: true
"""

RETURN = r"""
checked:
  description: What was asked for.
  type: list
  elements: str
  returned: success
not_predicted:
  description: What check mode could not predict, and why.
  type: list
  elements: str
  returned: in check mode
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.verify import endpoint_runner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "model": {"type": "str", "required": True},
            "task": {"type": "str", "choices": ["chat", "embed", "rerank", "transcribe"], "default": "chat"},
            "api_key_file": {"type": "path", "no_log": False},
            "question": {"type": "str", "default": "hello"},
            "answer": {"type": "str", "default": ""},
            "stream": {"type": "bool", "default": True},
            "tool_call": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    front.run(module, lambda: endpoint_runner.ensure(module.params, module.check_mode))


if __name__ == "__main__":
    main()
