#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_history
short_description: Move what LobeChat 1 has exported to an account in LobeHub
version_added: 0.1.0
description:
  - Reads an export of LobeChat 1 of either kind, C(LobeChat-config-v7.json) or C(DATE_LobeChat-data.json), and hands
    what the account does not have yet to LobeHub's own importer, in parts that it takes.
  - It acts in the name of whose history it is by a session of its own, which ends with it; no password is needed.
  - Compares afterwards what the file has with what has come, and fails where something is missing.
  - Conversations, topics, messages and assistants move. Files, plugins and settings do not, for no export holds them or
    the site sets them.
  - A secret may be given by the name of its variable, as in C(password_from), so that it stands in no task's arguments,
    which a callback may record; the action plugin of the same name looks it up.
options:
  file:
    description: The export, on the host.
    type: path
    required: true
  email:
    description: Address of the account that the history becomes part of.
    type: str
    required: true
  url:
    description: Address of LobeHub, which is asked past any proxy.
    type: str
    required: true
  auth_secret:
    description: The secret with which LobeHub signs its sessions.
    type: str
    required: true
  database:
    description: Name of LobeHub's database.
    type: str
    default: lobehub
  sockets:
    description: Folder of PostgreSQL's socket.
    type: path
    default: /var/lib/gpuchat/postgresql/socket
  connection:
    description:
      - File on the host that says how a database elsewhere is reached, as the role C(data_door) writes it; it takes
        the place of O(sockets).
    type: str
    default: ''
attributes:
  check_mode:
    description: Predicts what would come; whether LobeHub takes it is named in RV(not_predicted).
    support: full
  diff_mode:
    description: Shows how many rows of the file the account has, by table; never what somebody wrote.
    support: full
  idempotent:
    description: A second run sends nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Import a history
  gpuchat.stack.gpuchat_history:
    file: /root/LobeChat-config-v7.json
    email: ann@example.com
    url: http://172.16.255.250:3210
    auth_secret: '{{ lobehub_auth_secret }}'
"""

RETURN = r"""
counts:
  description: For each table, how many rows the file has, and how many were there before, have come, or are missing.
  type: dict
  returned: success
left_out:
  description: What of the file does not move.
  type: list
  elements: str
  returned: success
not_predicted:
  description: What cannot be known before the run.
  type: list
  elements: str
  returned: in check mode
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.chat import history_runner
from ..module_utils.gpuchat.core import front


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "file": {"type": "path", "required": True},
            "email": {"type": "str", "required": True},
            "url": {"type": "str", "required": True},
            "auth_secret": {"type": "str", "required": True, "no_log": True},
            "database": {"type": "str", "default": "lobehub"},
            "sockets": {"type": "path", "default": "/var/lib/gpuchat/postgresql/socket"},
            "connection": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    front.run(module, lambda: history_runner.bring(module.params, module.check_mode))


if __name__ == "__main__":
    main()
