#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_served
short_description: Say what the model servers serve, and how the chat learns of it
version_added: 0.1.0
description:
  - Joins the plans of all GPU hosts; those of hosts that this run leaves out or does not reach are the ones that the
    last run kept on the control node.
  - The action plugin of the same name gathers the plans; runs on the control node.
options:
  models:
    description: >-
      What is served, each with C(name), C(task) and the C(hosts) whose engines serve it; of somebody else's, which have
      none, also C(tools), C(context) and C(vision).
    type: list
    elements: dict
    required: true
  folder:
    description: The folder for a run's own files, in which plans are kept.
    type: path
    required: true
  interface:
    description: What people chat with.
    type: str
    choices: [lobehub, open_webui, none]
    default: none
  version:
    description: Its version.
    type: str
    default: ''
  tool_servers:
    description: Names of the owner's tool servers.
    type: list
    elements: str
    default: []
  plans:
    description: This run's plans, by host and model; set by the action plugin.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Keeps nothing.
    support: full
  diff_mode:
    description: There is never a difference on a host.
    support: full
  idempotent:
    description: The same plans give the same answer.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Detect what the model servers serve
  gpuchat.stack.gpuchat_served:
    models:
      - {name: qwen3-8b, task: auto, hosts: [gpu1, gpu2]}
    folder: '{{ playbook_dir }}/.gpuchat'
  delegate_to: localhost
  run_once: true
  register: served
"""

RETURN = r"""
served:
  description:
    - Each model's C(name) and C(task), whether every host calls tools (C(tool_calls)) and takes images (C(vision)), the
      C(context) that every host holds, and of a model for vectors the numbers in each (C(dimensions)), null where no
      plan says.
  type: list
  elements: dict
  returned: success
lobehub:
  description: What follows from the models for LobeHub, its C(environment) among it.
  type: dict
  returned: where people chat with it
open_webui:
  description: What follows from the models for Open WebUI, its C(environment) among it.
  type: dict
  returned: where people chat with it
not_predicted:
  description: What check mode cannot know.
  type: list
  elements: str
  returned: in check mode, where GPUs are not known yet
"""

from collections.abc import Callable, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.chat import lobehub, open_webui
from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.inventory import served_runner
from ..module_utils.gpuchat.inventory.topology import INTERFACES, LOBEHUB, NO_INTERFACE, OPEN_WEBUI

SPECIFICATION = {
    "models": {"type": "list", "elements": "dict", "required": True},
    "folder": {"type": "path", "required": True},
    "interface": {"type": "str", "choices": [*INTERFACES, NO_INTERFACE], "default": NO_INTERFACE},
    "version": {"type": "str", "default": ""},
    "tool_servers": {"type": "list", "elements": "str", "default": []},
    "plans": {"type": "dict", "default": {}},
}


def work(params: Mapping[str, object], check_mode: bool, warn: Callable[[str], None]) -> Mapping[str, object]:
    served, result = served_runner.ensure(params, check_mode)
    kind, version = str(params["interface"]), str(params["version"])
    chat: dict[str, dict[str, object]] = {}
    if kind == LOBEHUB:
        wiring: lobehub.Wiring | open_webui.Wiring = lobehub.wire(served, version)
    elif kind == OPEN_WEBUI:
        wiring = open_webui.wire(served, list(map(str, params["tool_servers"])))  # type: ignore[call-overload]
    if kind in INTERFACES:
        for warning in wiring.warnings:
            warn(warning)
        chat[kind] = wiring.as_dict()
    return {"served": [one.as_dict() for one in served], **chat, **result}


def main() -> None:
    module = AnsibleModule(argument_spec=SPECIFICATION, supports_check_mode=True)
    front.run(module, lambda: work(module.params, module.check_mode, module.warn))


if __name__ == "__main__":
    main()
