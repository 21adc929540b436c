#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_database
short_description: Verify that a database of somebody else's can hold the chat
version_added: 0.1.0
description:
  - Signs in over TLS, to a server whose certificate bears its name and whose authority is known, by SCRAM-SHA-256.
  - Looks at version, encoding and extensions, and tries what an interface will do. All of that is taken back, so
    nothing changes there.
  - Needs no program of PostgreSQL's on the host.
  - A secret may be given by the name of its variable, as in C(password_from), so that it stands in no task's arguments,
    which a callback may record; the action plugin of the same name looks it up.
options:
  host:
    description: Name of the server, as its certificate bears it.
    type: str
    required: true
  address:
    description: Address at which the server is asked; where it is empty, that is its name.
    type: str
    default: ''
  port:
    description: The server's port.
    type: int
    default: 5432
  name:
    description: Name of the database.
    type: str
    required: true
  user:
    description: Who signs in to it.
    type: str
    required: true
  password:
    description: The user's password.
    type: str
    required: true
  authority:
    description: Certificates in PEM form, of which one signed the server's.
    type: str
    required: true
  extensions:
    description: Extensions that are to be there, or may be made by the user.
    type: list
    elements: str
    default: []
  is_backed_up:
    description: Whether backups are made of it, so that what does not allow them is told as a warning.
    type: bool
    default: false
attributes:
  check_mode:
    description: Looks as otherwise, for nothing is changed.
    support: full
  diff_mode:
    description: There is never a difference to show.
    support: full
  idempotent:
    description: Nothing is changed.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Verify the database
  gpuchat.stack.gpuchat_database:
    host: db.example.com
    name: chat
    user: chat
    password: '{{ database_password }}'
    authority: "{{ lookup('ansible.builtin.file', '/etc/company/ca.pem') }}"
    extensions: [vector]
"""

RETURN = r"""
version:
  description: Version of the server, as it writes it.
  type: str
  returned: success
extensions:
  description: The extensions that the database has, each with its version.
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.data import elsewhere_runner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "required": True},
            "address": {"type": "str", "default": ""},
            "port": {"type": "int", "default": 5432},
            "name": {"type": "str", "required": True},
            "user": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "authority": {"type": "str", "required": True},
            "extensions": {"type": "list", "elements": "str", "default": []},
            "is_backed_up": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    front.run(module, lambda: elsewhere_runner.look(module.params), "database")


if __name__ == "__main__":
    main()
