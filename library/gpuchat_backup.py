#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_backup
short_description: Make a backup of the chat, try the newest one, or bring one back
version_added: 0.1.0
description:
  - Has the program that the role C(backup) has put on the host do one thing, and tells what came of it.
  - What a backup holds is compared with what was backed up, each row of each table and each file by its hash, before a
    drill calls it good and before a restore stops anything.
  - A restore keeps what was there, and has it run again where the interface does not start with what was restored.
options:
  action:
    description:
      - V(run) makes a backup.
      - V(drill) restores the newest into a scratch place on the host, compares, and cleans up.
      - V(restore) puts one in the place of what is there.
      - V(stack) brings the control node's own folder of one to O(folder), and nothing else.
    type: str
    choices: [run, drill, restore, stack]
    required: true
  snapshot:
    description: Which backup, as C(restic snapshots) names it, for V(restore) and V(stack).
    type: str
    default: latest
  confirm:
    description: The site's domain again, or nothing is restored. In check mode it is not asked for.
    type: str
    default: ''
  domain:
    description: The site's domain.
    type: str
    default: ''
  folder:
    description: Where the control node's own folder goes, for V(stack). What is there is replaced.
    type: path
    default: /var/lib/gpuchat/backup/fetched
attributes:
  check_mode:
    description: Says what would be done.
    support: full
  diff_mode:
    description: There is never a difference to show.
    support: full
  idempotent:
    description: Each backup is a new one, which adds only what has changed; a drill changes nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Make a backup now
  gpuchat.stack.gpuchat_backup:
    action: run

- name: Verify that the newest backup comes back as it was
  gpuchat.stack.gpuchat_backup:
    action: drill

- name: Bring the newest backup back
  gpuchat.stack.gpuchat_backup:
    action: restore
    domain: chat.example.com
    confirm: chat.example.com
"""

RETURN = r"""
snapshot:
  description: Which backup it was.
  type: str
  returned: success, not in check mode
seconds:
  description: How long it took.
  type: float
  returned: when action is run, drill or restore, not in check mode
rows:
  description: How many rows the database has.
  type: int
  returned: when action is run, drill or restore, not in check mode
files:
  description: How many files people have.
  type: int
  returned: when action is run, drill or restore, not in check mode
bytes:
  description: How much the backup holds.
  type: int
  returned: when action is run, not in check mode
bytes_added:
  description: How much of it was new, as it is stored.
  type: int
  returned: when action is run, not in check mode
moved:
  description: How many files changed while the backup was made.
  type: int
  returned: when action is drill or restore, not in check mode
kept:
  description: The names under which the C(database) and the folder of C(files) that were there before are kept.
  type: dict
  returned: when action is restore, not in check mode
brought:
  description: The files of the control node's own folder.
  type: list
  elements: str
  returned: when action is stack, not in check mode
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.data import backup_runner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "action": {"type": "str", "choices": ["run", "drill", "restore", "stack"], "required": True},
            "snapshot": {"type": "str", "default": "latest"},
            "confirm": {"type": "str", "default": ""},
            "domain": {"type": "str", "default": ""},
            "folder": {"type": "path", "default": "/var/lib/gpuchat/backup/fetched"},
        },
        supports_check_mode=True,
    )
    front.run(module, lambda: backup_runner.ensure(module.params, module.check_mode))


if __name__ == "__main__":
    main()
