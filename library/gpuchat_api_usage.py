#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_api_usage
short_description: Sum up what clients have asked of the model API
version_added: 0.1.0
description:
  - Reads the edge's access log in the host's journal, and returns requests, bytes, errors and the last time by client.
  - Trials of keys by M(gpuchat.stack.gpuchat_api_clients) are not counted. Tokens are not in the log.
options:
  identifier:
    description: The log's identifier in the journal.
    type: str
    required: true
  days:
    description: How many days are read at most.
    type: int
    default: 30
  lines:
    description: How many lines are read at most, the newest.
    type: int
    default: 500000
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
- name: Detect what clients have asked
  gpuchat.stack.gpuchat_api_usage:
    identifier: gpuchat_edge
    days: 7
"""

RETURN = r"""
since:
  description: How far the log was read back, in UTC; empty where it holds nothing.
  type: str
  returned: success
clients:
  description: For each client that asked, C(requests), C(bytes), C(errors) and C(last), the time in UTC.
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.verify import api_usage_runner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "identifier": {"type": "str", "required": True},
            "days": {"type": "int", "default": 30},
            "lines": {"type": "int", "default": 500000},
        },
        supports_check_mode=True,
    )
    front.run(module, lambda: api_usage_runner.read(module.params))


if __name__ == "__main__":
    main()
