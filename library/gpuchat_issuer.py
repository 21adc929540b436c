#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_issuer
short_description: Verify that people can sign in by the issuer of a company's accounts
version_added: 0.1.0
description:
  - Asks an OpenID Connect issuer, from this host and past any proxy, what it says of itself.
  - Fails where it is not reached, calls itself otherwise than its tokens would be expected to, offers no authorization
    code, or has what the chat asks by itself at another name, which the chat does not reach.
options:
  issuer:
    description: Its address, as its tokens name it.
    type: str
    required: true
  authority:
    description: >-
      Certificates in PEM form, of which one signed the issuer's; where it is empty, the system's authorities are asked.
    type: str
    default: ''
attributes:
  check_mode:
    description: Asks as ever, for nothing is changed.
    support: full
  diff_mode:
    description: Nothing is changed, so nothing is shown.
    support: full
  idempotent:
    description: Nothing is changed.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Verify that people can sign in by their company's accounts
  gpuchat.stack.gpuchat_issuer:
    issuer: https://id.example.com/realms/company
"""

RETURN = r"""
authorization_endpoint:
  description: Where people sign in.
  type: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.chat import issuer_runner
from ..module_utils.gpuchat.core import front


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "issuer": {"type": "str", "required": True},
            "authority": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    front.run(module, lambda: issuer_runner.verify(module.params))


if __name__ == "__main__":
    main()
