#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_api_clients
short_description: Try the keys of the model API's clients, and write what a client needs
version_added: 0.1.0
description:
  - Asks the model with each client's key, as the client would, and returns a table without keys.
  - Writes for some clients a folder with what a program needs, as an environment file, as JSON and as settings of curl.
    Folders of clients that are no longer named lose these files.
  - Runs on the control node.
options:
  url:
    description: Address of the model API, ending in C(/v1).
    type: str
    required: true
  models:
    description: What is served, each with C(name) and C(task).
    type: list
    elements: dict
    required: true
  authority:
    description: The private authority's certificate (PEM); empty for a public one.
    type: str
    default: ''
  resolve:
    description: Addresses for names that no DNS knows yet, in the form of curl's C(--resolve).
    type: list
    elements: str
    default: []
  clients:
    description: All clients.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The client's name.
        type: str
        required: true
      key:
        description: Its key.
        type: str
        required: true
      rate:
        description: Requests that it may make a second.
        type: int
        required: true
      streams:
        description: Requests that it may have open at a time.
        type: int
        required: true
      answers:
        description: Answers that one request of it may ask for.
        type: int
        required: true
      expires:
        description: The last day of its key, as C(2030-12-31), in UTC; empty for none.
        type: str
        default: ''
      models:
        description: Names of the models that it may use; empty for all.
        type: list
        elements: str
        default: []
  folder:
    description: Where each client has a folder.
    type: path
    required: true
  write:
    description: Names of the clients whose folders are written.
    type: list
    elements: str
    default: []
  usage:
    description: What each edge's log says of them, as M(gpuchat.stack.gpuchat_api_usage) returned it.
    type: list
    elements: dict
    default: []
attributes:
  check_mode:
    description: Predicts the files; asks nothing, and says so in RV(not_predicted).
    support: full
  diff_mode:
    description: Names the files, never what they hold.
    support: full
  idempotent:
    description: A second run writes nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Write what the program reports needs
  gpuchat.stack.gpuchat_api_clients:
    url: https://chat.example.com/v1
    models: [{name: qwen3-8b, task: chat}]
    clients:
      - {name: reports, key: '{{ reports_key }}', rate: 5, streams: 4, answers: 128}
    folder: '{{ inventory_dir }}/.gpuchat/clients'
    write: [reports]
  delegate_to: localhost
"""

RETURN = r"""
table:
  description: All clients with their limits, what each got, and how much it has asked, as a text without keys.
  type: str
  returned: success
not_predicted:
  description: What check mode cannot predict.
  type: list
  elements: str
  returned: in check mode
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.verify import api_clients_runner

CLIENT = {
    "name": {"type": "str", "required": True},
    "key": {"type": "str", "required": True, "no_log": True},
    "rate": {"type": "int", "required": True},
    "streams": {"type": "int", "required": True},
    "answers": {"type": "int", "required": True},
    "expires": {"type": "str", "default": ""},
    "models": {"type": "list", "elements": "str", "default": []},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "models": {"type": "list", "elements": "dict", "required": True},
            "authority": {"type": "str", "default": ""},
            "resolve": {"type": "list", "elements": "str", "default": []},
            "clients": {"type": "list", "elements": "dict", "default": [], "options": CLIENT},
            "folder": {"type": "path", "required": True},
            "write": {"type": "list", "elements": "str", "default": []},
            "usage": {"type": "list", "elements": "dict", "default": []},
        },
        supports_check_mode=True,
    )
    front.run(module, lambda: api_clients_runner.ensure(module.params, module.check_mode))


if __name__ == "__main__":
    main()
