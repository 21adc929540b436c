#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_bucket
short_description: Ensure a private bucket in an object store, and try what it lets whom do
version_added: 0.1.0
description:
  - Waits until the store answers, makes the bucket where it is missing, and removes a policy that would open it to
    others.
  - Tries with one object, which it removes again, that presigned PUT and GET work, that a missing object is told as
    such, and that nobody gets anything without a signature or with a wrong one.
  - A secret may be given by the name of its variable, as in C(password_from), so that it stands in no task's arguments,
    which a callback may record; the action plugin of the same name looks it up.
options:
  state:
    description:
      - V(present) makes the bucket, and closes it.
      - V(verified) changes nothing in a store of somebody else's but for the one object that is tried, and fails where
        the bucket is missing, or where browsers of O(origins) may not use it.
    type: str
    choices: [present, verified]
    default: present
  name:
    description: Name of the bucket.
    type: str
    required: true
  url:
    description: Address of the store, which is asked past any proxy.
    type: str
    required: true
  access_key:
    description: Access key with which the store was started.
    type: str
    required: true
  secret_key:
    description: Secret key with which the store was started.
    type: str
    required: true
  region:
    description: Region that signatures name.
    type: str
    default: us-east-1
  path_style:
    description: Whether the bucket stands in the path; else it is the first part of the host's name.
    type: bool
    default: true
  authority:
    description: >-
      Certificates in PEM form, of which one signed the store's; where it is empty, the system's authorities are asked.
    type: str
    default: ''
  origins:
    description: Origins of pages whose browsers bring files and take them, for V(verified).
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait for the store.
    type: int
    default: 60
  on_unsafe:
    description: What to do where the store lets strangers in.
    type: str
    choices: [fail, warn]
    default: fail
attributes:
  check_mode:
    description: Predicts what is to be made; what the bucket lets whom do is named in RV(not_predicted).
    support: full
  diff_mode:
    description: Shows the bucket and its policy, as there or not.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Configure the object store's bucket
  gpuchat.stack.gpuchat_bucket:
    name: gpuchat-files
    url: http://172.16.255.251:9000
    access_key: '{{ object_store_access_key }}'
    secret_key: '{{ object_store_secret_key }}'
"""

RETURN = r"""
unsafe:
  description: What the store lets strangers do, in words; empty in check mode.
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

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.data import object_store_runner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "verified"], "default": "present"},
            "name": {"type": "str", "required": True},
            "url": {"type": "str", "required": True},
            "access_key": {"type": "str", "required": True, "no_log": True},
            "secret_key": {"type": "str", "required": True, "no_log": True},
            "region": {"type": "str", "default": "us-east-1"},
            "path_style": {"type": "bool", "default": True},
            "authority": {"type": "str", "default": ""},
            "origins": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 60},
            "on_unsafe": {"type": "str", "choices": ["fail", "warn"], "default": "fail"},
        },
        supports_check_mode=True,
    )
    front.run(module, lambda: object_store_runner.ensure(module.params, module.check_mode))


if __name__ == "__main__":
    main()
