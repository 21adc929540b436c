#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_postgresql
short_description: Keep the chat's PostgreSQL cluster, its databases and their owners
version_added: 0.1.0
description:
  - Makes a cluster of its own beside those that the distribution or the host's owner has; it never touches those.
  - Chooses the major version and settings that suit the host; M(gpuchat.stack.gpuchat_files) writes them and runs it.
  - Gives each role the one database that it owns, and closes that to all others.
  - Passwords reach the server as SCRAM verifiers alone, over standard input, so no log and no argument holds one.
  - Upgrades the data to a newer major version by C(pg_upgrade), as a copy beside those of before.
  - A secret may be given by the name of its variable, as in C(password_from), so that it stands in no task's arguments,
    which a callback may record; the action plugin of the same name looks it up.
options:
  state:
    description:
      - V(cluster) makes the folders and an empty cluster where there is none, and returns its configuration.
      - V(databases) makes O(databases) and their owners; no other database is touched, and none is removed.
      - >-
        V(upgraded) brings the data to the version that the host's release has, and leaves the server stopped.
        Where that fails, the one of before runs again.
      - V(reverted) takes an upgrade back to O(major), and leaves the server stopped; what was written since stays.
    type: str
    choices: [cluster, databases, upgraded, reverted]
    required: true
  root:
    description: The folder above the data of all versions.
    type: path
    default: /var/lib/gpuchat/postgresql
  sockets:
    description: The folder of the server's socket.
    type: path
    default: /var/lib/gpuchat/postgresql/socket
  hba_file:
    description: The file that says who signs in by what, for V(cluster).
    type: path
    default: /etc/gpuchat/postgresql/pg_hba.conf
  major:
    description: The major version to run, V(auto) for that of the host's release; for V(reverted) that of before.
    type: str
    default: auto
  upgraded:
    description: >-
      In check mode, data of an older version count as upgraded, for V(cluster): the task before would have done it.
    type: bool
    default: false
  settings:
    description: Settings of C(postgresql.conf) that win over those that suit the host, for V(cluster).
    type: dict
    default: {}
  databases:
    description: The databases, for V(databases).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the database.
        type: str
        required: true
      owner:
        description: The role that owns it and signs in to it.
        type: str
        required: true
      password:
        description: The owner's password.
        type: str
        required: true
      extensions:
        description: Extensions that the database has, in the version that the server's programs bring.
        type: list
        elements: str
        default: []
  watched:
    description: >-
      Whether there is a role C(prometheus) for V(databases), which reads the server's figures (C(pg_monitor)) and has
      no password; the account of that name signs in to it where O(hba_file) says so. Where not, it is removed.
    type: bool
    default: false
  timeout:
    description: Seconds to wait until the server answers, for V(databases).
    type: int
    default: 60
attributes:
  check_mode:
    description: Predicts the whole change; of a server that does not run yet it takes that it will be empty.
    support: full
  diff_mode:
    description: Shows folders, roles, databases and extensions, and never a password.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Configure the cluster
  gpuchat.stack.gpuchat_postgresql:
    state: cluster
    settings:
      max_connections: 200
  register: cluster

- name: Configure the chat's database
  gpuchat.stack.gpuchat_postgresql:
    state: databases
    databases:
      - name: lobehub
        owner: lobehub
        password: '{{ postgresql_password }}'
        extensions: [vector]
"""

RETURN = r"""
major:
  description: The major version; empty where only the packages that are yet to be installed decide it.
  type: str
  returned: when state is cluster or reverted
programs:
  description: The folder of the server's programs.
  type: str
  returned: when state is cluster
data:
  description: The folder of the data.
  type: str
  returned: when state is cluster
configuration:
  description: The text of C(postgresql.conf).
  type: str
  returned: when state is cluster
start_digest:
  description: Changes with what the server takes up by a start alone.
  type: str
  returned: when state is cluster
from:
  description: The major version of the data before.
  type: str
  returned: when state is upgraded
to:
  description: The major version of the data afterwards.
  type: str
  returned: when state is upgraded
not_predicted:
  description: What check mode could not predict, and why.
  type: list
  elements: str
  returned: where there is anything
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.data import postgresql_runner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["cluster", "databases", "upgraded", "reverted"],
                "required": True,
            },
            "root": {"type": "path", "default": "/var/lib/gpuchat/postgresql"},
            "sockets": {"type": "path", "default": "/var/lib/gpuchat/postgresql/socket"},
            "hba_file": {"type": "path", "default": "/etc/gpuchat/postgresql/pg_hba.conf"},
            "major": {"type": "str", "default": "auto"},
            "upgraded": {"type": "bool", "default": False},
            "settings": {"type": "dict", "default": {}},
            "databases": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": postgresql_runner.DATABASE_OPTIONS,
            },
            "watched": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    front.run(module, lambda: postgresql_runner.ensure(module.params, module.check_mode), "PostgreSQL")


if __name__ == "__main__":
    main()
