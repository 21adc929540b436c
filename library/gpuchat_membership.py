#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_membership
short_description: Verify that a host belongs to the stack of this run
version_added: 0.1.0
description:
  - A host remembers by which secrets it was made part of a stack. A run with others, from a new checkout or another
    folder, is refused before it changes anything.
options:
  fingerprints:
    description: Digests of this run's secrets by name, as M(gpuchat.stack.gpuchat_secrets) returns them.
    type: dict
    required: true
  former:
    description: Digests of what a rotation has replaced, lists by name; the host may know the stack by these still.
    type: dict
    default: {}
  adopt:
    description: Whether the host is to follow this run whatever it remembers.
    type: bool
    default: false
  folder:
    description: Where this run's secrets are kept, for the message.
    type: path
    required: true
  path:
    description: The file on the host.
    type: path
    default: /etc/gpuchat/stack
attributes:
  check_mode:
    description: Predicts whether the host would join.
    support: full
  diff_mode:
    description: Shows the digests.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Verify that the host belongs to this stack
  gpuchat.stack.gpuchat_membership:
    fingerprints: {api_key: 5f0c1f0c5f0c1f0c5f0c1f0c5f0c1f0c}
    folder: /srv/ansible/.gpuchat
"""

RETURN = r"""
reason:
  description: Why the host changes or not.
  type: str
  returned: success
nginx:
  description: What the host's release calls nginx's C(user) and C(group), and the file of trusted C(authorities).
  type: dict
  returned: success
file_sets:
  description: >-
    Names of the file sets that earlier runs have left on the host; of another, M(gpuchat.stack.gpuchat_files) does not
    ask the host any more where it is to be absent.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front, host
from ..module_utils.gpuchat.secret import membership_runner
from ..module_utils.gpuchat.system import files_runner, nginx


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "fingerprints": {"type": "dict", "required": True},
            "former": {"type": "dict", "default": {}},
            "adopt": {"type": "bool", "default": False},
            "folder": {"type": "path", "required": True},
            "path": {"type": "path", "default": "/etc/gpuchat/stack"},
        },
        supports_check_mode=True,
    )
    front.run(
        module,
        lambda: {
            **membership_runner.ensure(module.params, module.check_mode),
            "nginx": nginx.of(host.os_release()).as_dict(),
            "file_sets": files_runner.names(),
        },
    )


if __name__ == "__main__":
    main()
