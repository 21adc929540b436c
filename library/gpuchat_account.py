#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_account
short_description: Ensure a person's account in the chat
version_added: 0.1.0
description:
  - Waits until the interface has made its tables, and writes an account into them as the interface would, over the
    database server's socket, as its user C(postgres). Neither a mail server nor an open sign-up is needed.
  - An account that is there is not changed unless O(reset) says so, for its password is the person's own; only its role
    becomes that of an administrator where O(administrator) is true.
  - With LobeHub it also ensures that people can store no provider address, to which the server's key would be sent, and
    that who signs up starts with a chat and not with LobeHub's first questions.
  - A secret may be given by the name of its variable, as in C(password_from), so that it stands in no task's arguments,
    which a callback may record; the action plugin of the same name looks it up.
options:
  interface:
    description: The interface in whose database the account is.
    type: str
    choices: [lobehub, open_webui]
    required: true
  email:
    description: The person's address, by which they sign in.
    type: str
    required: true
  name:
    description: The person's name; what is before the at sign where it is empty.
    type: str
    default: ''
  password:
    description: Password of a new account, or of one that is reset; it goes through no command line.
    type: str
    default: ''
  token:
    description:
      - With LobeHub, the token of a one-time link, V(/reset-password?token=TOKEN) on the site, at which the person
        chooses a password.
    type: str
    default: ''
  hours:
    description: How long the link is good.
    type: int
    default: 72
  administrator:
    description: Whether the account is an administrator's.
    type: bool
    default: false
  reset:
    description: Give an account that is there the password or the link too, and sign it out.
    type: bool
    default: false
  socket:
    description: Folder of the database server's socket.
    type: path
    default: /var/lib/gpuchat/postgresql/socket
  connection:
    description:
      - File on the host that says how a database elsewhere is reached, as the role C(data_door) writes it; it takes
        the place of O(socket).
    type: str
    default: ''
  timeout:
    description: Seconds to wait for the interface's tables.
    type: int
    default: 600
attributes:
  check_mode:
    description: Where the interface has no tables yet, that is named in RV(not_predicted).
    support: full
  diff_mode:
    description: Says what changes, without a secret.
    support: full
  idempotent:
    description: A second run changes nothing, but with O(reset).
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Ensure an account
  gpuchat.stack.gpuchat_account:
    interface: lobehub
    email: ada@example.com
    token: '{{ token }}'
"""

RETURN = r"""
created:
  description: Whether the account was not there before.
  type: bool
  returned: success
not_predicted:
  description: What check mode could not predict, and why.
  type: list
  elements: str
  returned: where there is anything
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.chat import accounts_runner
from ..module_utils.gpuchat.core import front

SPECIFICATION = {
    "interface": {"type": "str", "choices": ["lobehub", "open_webui"], "required": True},
    "email": {"type": "str", "required": True},
    "name": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "token": {"type": "str", "default": "", "no_log": True},
    "hours": {"type": "int", "default": 72},
    "administrator": {"type": "bool", "default": False},
    "reset": {"type": "bool", "default": False},
    "socket": {"type": "path", "default": "/var/lib/gpuchat/postgresql/socket"},
    "connection": {"type": "str", "default": ""},
    "timeout": {"type": "int", "default": 600},
}


def main() -> None:
    module = AnsibleModule(argument_spec=SPECIFICATION, supports_check_mode=True)
    front.run(module, lambda: accounts_runner.ensure(module.params, module.check_mode), "account")


if __name__ == "__main__":
    main()
