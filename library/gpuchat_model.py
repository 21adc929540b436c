#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_model
short_description: Look at a model's folder on a host
version_added: 0.1.0
description:
  - Checks that a folder holds a model as the hubs lay it out, and returns what the model says of itself.
options:
  source:
    description: Where the model comes from; V(path) is a folder that is on the host already.
    type: str
    choices: [path]
    default: path
  path:
    description: The folder.
    type: path
    required: true
  state:
    description: V(metadata) reads and changes nothing.
    type: str
    choices: [metadata]
    default: metadata
attributes:
  check_mode:
    description: Reads only.
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
- name: Look at the model
  gpuchat.stack.gpuchat_model:
    path: /srv/models/qwen3-8b
"""

RETURN = r"""
config:
  description: The model's config.json.
  type: dict
  returned: success
files:
  description: Files by path, with their size in bytes.
  type: list
  elements: dict
  returned: success
weights_bytes:
  description: Bytes of weights.
  type: int
  returned: success
start_seconds:
  description: Longest time that an engine may take to start with this model.
  type: int
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat import model_runner
from ..module_utils.gpuchat.plan import Refusal


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "source": {"type": "str", "choices": ["path"], "default": "path"},
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["metadata"], "default": "metadata"},
        },
        supports_check_mode=True,
    )
    try:
        result = model_runner.bring(module.params)
    except Refusal as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
