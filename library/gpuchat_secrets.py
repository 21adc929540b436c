#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_secrets
short_description: Make the stack's secrets once, on the control node
version_added: 0.1.0
description:
  - Keeps keys, passwords and the private certificate authority in one file beside the inventory.
    Whatever is in the file already is kept; only what is missing is made.
  - The file may be encrypted with ansible-vault; it stays encrypted with the same secret, under the vault id in its
    header.
  - Runs on the control node. Give the task C(no_log), for its result holds the secrets under RV(known).
options:
  file:
    description: The file of secrets.
    type: path
    required: true
  authority_file:
    description: Where the authority's certificate is put for people to import.
    type: path
    required: true
  tls_names:
    description: Names and addresses for the server's certificate; none where the owner provides a certificate.
    type: list
    elements: str
    default: []
  clients:
    description:
      - Programs that have a key of the model API, each with C(name), and with C(expires), the last day of its key.
      - The edge refuses the keys of those that are not named.
    type: list
    elements: dict
    default: []
  forget:
    description: Forget the keys of clients that are not named, so that one of the same name gets another later.
    type: bool
    default: false
  given_api_key:
    description: The owner's key of the model API, where a variable gives it; set by the action plugin.
    type: str
  hosts:
    description:
      - Hosts that need a certificate by which the stack's hosts know each other, each with the names of what it serves.
      - They come from an authority of their own, which nobody else is to trust.
    type: dict
    default: {}
  rotate:
    description:
      - What to make anew though it is there, V(api_key), V(vllm_api_key), V(postgresql_lobehub_password),
        V(postgresql_open_webui_password), V(object_store_access_key), V(object_store_secret_key), V(certificate),
        V(authority), V(hosts_authority), V(host_certificates), V(room_certificate), or a client's key as
        V(api_key/NAME).
      - Of keys of the model API, V(vllm_api_key) and V(hosts_authority) the old one stays valid beside the new one.
    type: list
    elements: str
    default: []
  retire:
    description: Of which of these to forget the old one.
    type: list
    elements: str
    default: []
  temporary:
    description: Make a certificate that nobody trusts too, for an edge that has none of a directory's yet.
    type: bool
    default: false
  renew:
    description: Make certificates anew before they end; where it is false, RV(endings) names those that are to be.
    type: bool
    default: true
  site_names:
    description: Names for which the door in the chat's room has a certificate that nobody but the chat's server trusts.
    type: list
    elements: str
    default: []
  renew_room:
    description:
      - Make that certificate anew before it ends, and for other names; one that is missing is made in any case.
      - It is false in a run that gives the chat's server none.
    type: bool
    default: true
  known:
    description: The secrets that are there; set by the action plugin.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Makes nothing that lasts; missing secrets are random and forgotten.
    support: full
  diff_mode:
    description: Names what would be made, never a value.
    support: full
  idempotent:
    description: A second run makes nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Create the secrets
  gpuchat.stack.gpuchat_secrets:
    file: '{{ inventory_dir }}/.gpuchat/secrets.yml'
    authority_file: '{{ inventory_dir }}/.gpuchat/ca.crt'
    tls_names: [chat.example.com]
  delegate_to: localhost
  run_once: true
  no_log: true
  register: __gpuchat_secrets
"""

RETURN = r"""
known:
  description: All secrets by name.
  type: dict
  returned: success
api_keys:
  description: All valid keys of the model API, with C(client), C(id), C(digest), C(end), and the last two as C(link).
  type: list
  elements: dict
  returned: success
clients:
  description: The clients that were named, each with its C(key).
  type: list
  elements: dict
  returned: success
former_fingerprints:
  description: Digests of what this rotation has replaced, and of what is still valid beside its successor, by name.
  type: dict
  returned: success
endings:
  description: A warning for each authority that ends before long, and for certificates that O(renew=false) left.
  type: list
  elements: str
  returned: success
fingerprints:
  description: A digest of each secret by which hosts remember their stack, by name.
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.secret import runner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "file": {"type": "path", "required": True},
            "authority_file": {"type": "path", "required": True},
            "tls_names": {"type": "list", "elements": "str", "default": []},
            "clients": {"type": "list", "elements": "dict", "default": []},
            "forget": {"type": "bool", "default": False},
            "given_api_key": {"type": "str", "no_log": True},
            "hosts": {"type": "dict", "default": {}},
            "rotate": {"type": "list", "elements": "str", "default": []},
            "retire": {"type": "list", "elements": "str", "default": []},
            "temporary": {"type": "bool", "default": False},
            "renew": {"type": "bool", "default": True},
            "site_names": {"type": "list", "elements": "str", "default": []},
            "renew_room": {"type": "bool", "default": True},
            "known": {"type": "dict", "default": {}, "no_log": True},
        },
        supports_check_mode=True,
    )
    module.no_log_values = set()  # the result's secrets are for the play; the task's own no_log hides them from people
    front.run(module, lambda: runner.ensure(module.params), invocation={})


if __name__ == "__main__":
    main()
