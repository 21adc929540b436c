#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_packages
short_description: Keep the packages of one role, with their repository and key, as one unit
version_added: 0.1.0
description:
  - Plans from dpkg's own state, so it needs neither python3-apt nor a loaded cache, and can foretell a package whose
    repository is not there yet.
  - Writes the repository in the deb822 form, with a key that is pinned by its fingerprint.
options:
  name:
    description: Name of the unit; its files are called C(gpuchat-<name>).
    type: str
    required: true
  packages:
    description:
      - Packages by release, each C(name) or C(name=version); the version is a shell pattern.
      - A key is C(id-version) or C(id) as in C(/etc/os-release), or C(default); the most exact one counts.
    type: dict
    required: true
  refused_releases:
    description: Releases that cannot serve, with the reason and the cure.
    type: dict
    default: {}
  repository:
    description: Where the packages come from, if not from the distribution.
    type: dict
    suboptions:
      url:
        description: Address of the repository; C({id}) and C({codename}) stand for the release's words.
        type: str
        required: true
      suite:
        description: Suite, or a path that ends in a slash.
        type: str
        required: true
      components:
        description: Components; none where O(repository.suite) is a path.
        type: list
        elements: str
        default: []
      key_url:
        description: Address of the signing key.
        type: str
      key_fingerprint:
        description: Fingerprint of the signing key's primary key.
        type: str
  refused_packages:
    description: Packages of somebody else that these would push out, with the reason and the cure.
    type: dict
    default: {}
  conflicts:
    description: Packages that are removed first.
    type: list
    elements: str
    default: []
  masked_units:
    description:
      - Systemd units that the packages would start and that must never run, because gpuchat runs its own.
      - Refused where such a unit already serves something.
    type: list
    elements: str
    default: []
  hold:
    description: Keep the packages at their version when the rest of the host is upgraded.
    type: bool
    default: false
  state:
    description: V(absent) removes the packages and the repository.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: Foretells the whole change; the lists are not refreshed.
    support: full
  diff_mode:
    description: Shows packages, versions, holds and repository files.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Install nginx from the distribution
  gpuchat.stack.gpuchat_packages:
    name: edge
    packages:
      default: [nginx]
    masked_units: [nginx.service]
"""

RETURN = r"""
msg:
  description: What was to be done, in one line.
  type: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat import packages_runner
from ..module_utils.gpuchat.host import CommandFailed
from ..module_utils.gpuchat.plan import Refusal


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "packages": {"type": "dict", "required": True},
            "refused_releases": {"type": "dict", "default": {}},
            "repository": {
                "type": "dict",
                "options": {
                    "url": {"type": "str", "required": True},
                    "suite": {"type": "str", "required": True},
                    "components": {"type": "list", "elements": "str", "default": []},
                    "key_url": {"type": "str", "no_log": False},
                    "key_fingerprint": {"type": "str", "no_log": False},
                },
                "required_together": [("key_url", "key_fingerprint")],
            },
            "refused_packages": {"type": "dict", "default": {}},
            "conflicts": {"type": "list", "elements": "str", "default": []},
            "masked_units": {"type": "list", "elements": "str", "default": []},
            "hold": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    try:
        result = packages_runner.bring(module.params, module.check_mode)
    except (Refusal, CommandFailed) as error:
        module.fail_json(msg=f"packages of {module.params['name']}: {error}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
