#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_acme
short_description: Ensure that an edge serves a certificate of an ACME directory
version_added: 0.1.0
description:
  - Asks the directory by certbot where there is no certificate, where names, directory or challenge are others, or
    where the end is near. A timer on the host renews it between two runs.
  - What was served before is served on where the directory refuses or nginx does not take what it gave.
options:
  certificate_name:
    description: Under which certbot keeps the certificate.
    type: str
    default: gpuchat
  names:
    description: Host names that it is for.
    type: list
    elements: str
    required: true
  directory:
    description: Address of the directory.
    type: str
    required: true
  challenge:
    description: How the names are shown to be ours.
    type: str
    choices: [http, dns]
    default: http
  dns_hook:
    description: Where the hook of V(dns) came from, for the message.
    type: str
    default: ''
  authority_file:
    description: Certificates on the host by which the directory's HTTPS is known; empty for those of the system.
    type: str
    default: ''
  configuration:
    description: certbot's configuration, which holds everything else.
    type: path
    default: /etc/gpuchat/acme/certbot.ini
  install:
    description: The program that hands a certificate to nginx.
    type: path
    default: /etc/gpuchat/acme/install
  state_folder:
    description: Where certbot keeps what it knows.
    type: path
    default: /var/lib/gpuchat/acme
  served:
    description: The file with key and chain that nginx reads.
    type: path
    default: /etc/gpuchat/edge/acme.pem
attributes:
  check_mode:
    description: Predicts whether the directory would be asked; not what it would say.
    support: full
  diff_mode:
    description: Shows names, directory, challenge and end before and after.
    support: full
  idempotent:
    description: A second run asks nobody.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Verify the certificate, and ask for a new one where it is needed
  gpuchat.stack.gpuchat_acme:
    names: [chat.example.com]
    directory: https://acme-v02.api.letsencrypt.org/directory
"""

RETURN = r"""
msg:
  description: Why the directory was asked or not.
  type: str
  returned: success
not_predicted:
  description: What check mode could not predict, and why.
  type: list
  elements: str
  returned: where there is anything
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.secret import acme_runner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "certificate_name": {"type": "str", "default": "gpuchat"},
            "names": {"type": "list", "elements": "str", "required": True},
            "directory": {"type": "str", "required": True},
            "challenge": {"type": "str", "choices": ["http", "dns"], "default": "http"},
            "dns_hook": {"type": "str", "default": ""},
            "authority_file": {"type": "str", "default": ""},
            "configuration": {"type": "path", "default": "/etc/gpuchat/acme/certbot.ini"},
            "install": {"type": "path", "default": "/etc/gpuchat/acme/install"},
            "state_folder": {"type": "path", "default": "/var/lib/gpuchat/acme"},
            "served": {"type": "path", "default": "/etc/gpuchat/edge/acme.pem"},
        },
        supports_check_mode=True,
    )
    front.run(module, lambda: acme_runner.ensure(module.params, module.check_mode))


if __name__ == "__main__":
    main()
