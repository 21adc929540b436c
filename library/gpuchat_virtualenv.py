#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_virtualenv
short_description: Keep a Python virtual environment of pinned, hashed packages
version_added: 0.1.0
description:
  - Builds the environment in a folder beside its path and leads a link there to it once it is whole, so that the path
    holds the old environment or the new one, never a half.
  - An environment records what it was made of, so a run that finds it as wanted asks neither pip nor the network.
  - Only packages with a matching hash are installed, and only built ones (wheels), so none of their code runs then.
options:
  path:
    description: The environment; a link to a folder beside it, C(<path>-<digest>).
    type: path
    required: true
  requirements:
    description: >-
      Text of a requirements file in which each package has an exact version and its hashes, as
      C(uv pip compile --generate-hashes) writes it; wanted where O(state=present).
    type: str
    default: ''
  python:
    description: The interpreter; another version of it makes the environment anew.
    type: path
    default: /usr/bin/python3
  index_url:
    description: >-
      The package index, with credentials if it wants any; empty for what pip's own settings on the host say, and
      python.org's without them.
    type: str
    default: ''
  trusted_hosts:
    description: Hosts of an index that speaks plain HTTP, or whose certificate is not to be checked.
    type: list
    elements: str
    default: []
  wheels:
    description: >-
      Folder on the control node with the packages' wheels: those that are wanted are carried to the host, and no index
      is asked; empty for an index.
    type: str
    default: ''
  wheel_sums:
    description: The SHA-256 of each wheel of that folder, by its file's name; set by the action plugin.
    type: dict
  wheels_at:
    description: Where the wheels are on the host; set by the action plugin.
    type: path
  state:
    description:
      - V(absent) removes the environment.
      - V(prepared) only sees that the folder of O(wheels) has all that this host's Python wants.
    type: str
    choices: [present, absent, prepared]
    default: present
  way_out:
    description:
      - The way out of the host by C(gpuchat_proxy) and C(gpuchat_ca_files); set by the action plugin. It counts for
        this module and what it starts.
    type: dict
    default: {}
  way_out_logins:
    description: Logins of the proxies in it; set by the action plugin.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Predicts the whole change but for what the package index answers, and says so.
    support: full
  diff_mode:
    description: Shows the packages and the interpreter before and after.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Make an environment from the company's own index
  gpuchat.stack.gpuchat_virtualenv:
    path: /opt/example
    requirements: "{{ lookup('ansible.builtin.file', 'requirements.txt') }}"
    index_url: https://pypi.example.com/simple
"""

RETURN = r"""
not_predicted:
  description: What check mode could not predict.
  type: list
  elements: str
  returned: in check mode, where there is such a thing
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front, network_runner
from ..module_utils.gpuchat.system import virtualenv_runner
from ..module_utils.gpuchat.system.virtualenv import credentials


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "requirements": {"type": "str", "default": "", "no_log": True},
            "python": {"type": "path", "default": "/usr/bin/python3"},
            "index_url": {"type": "str", "default": "", "no_log": True},
            "trusted_hosts": {"type": "list", "elements": "str", "default": []},
            "wheels": {"type": "str", "default": ""},
            "wheel_sums": {"type": "dict"},
            "wheels_at": {"type": "path"},
            "state": {"type": "str", "choices": ["present", "absent", "prepared"], "default": "present"},
            **network_runner.OPTIONS,
        },
        supports_check_mode=True,
    )
    # Both are no_log so that they stay out of the host's journal; of the output only the credentials are to be hidden.
    logins = set(module.params["way_out_logins"].values())
    module.no_log_values = logins | set(credentials(module.params["index_url"]))
    front.run(module, lambda: virtualenv_runner.ensure(module.params, module.check_mode))


if __name__ == "__main__":
    main()
