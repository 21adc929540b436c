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
  - Serves hosts that apt manages (Debian, Ubuntu) and hosts that dnf manages (RHEL 9 and 10 and their rebuilds).
  - Plans from dpkg's or rpm's own state, so it needs neither python3-apt nor a loaded cache, and can predict a package
    whose repository is not there yet.
  - Writes the repository in apt's deb822 form or as dnf's repository file, with a key that is pinned by its
    fingerprint.
  - Refuses a removal that would take packages along which nobody named.
  - In each table by release a key is C(id-version), C(id-major), C(id) as in C(/etc/os-release), or C(default); the
    most exact one counts. Rebuilds of RHEL, whose C(ID_LIKE) names C(rhel), also count as C(rhel-major) and C(rhel).
  - In each name, address and suite, C({id}), C({version}) (without dots), C({version_major}), C({codename}) and
    C({arch}) stand for the release's words; the last is C(amd64) or C(arm64) for apt, C(x86_64) or C(aarch64) for dnf.
options:
  name:
    description: Name of the unit; its files are called C(gpuchat-<name>).
    type: str
    required: true
  packages:
    description: Packages by release, each C(name) or C(name=version); the version, with its epoch, is a shell pattern.
    type: dict
    required: true
  refused_releases:
    description: Releases that cannot serve, with the reason and the fix.
    type: dict
    default: {}
  apt_repository:
    description: Where the packages come from on a host that apt manages, if not from the distribution.
    type: dict
    suboptions:
      url:
        description: Address of the repository.
        type: str
        required: true
      suite:
        description: Suite, or a path that ends in a slash.
        type: str
        required: true
      components:
        description: Components; none where O(apt_repository.suite) is a path.
        type: list
        elements: str
        default: []
      key_url:
        description: Address of the signing key.
        type: str
      key_fingerprint:
        description: Fingerprint of the signing key's primary key.
        type: str
  dnf_repository:
    description: Where the packages come from on a host that dnf manages, if not from the distribution.
    type: dict
    suboptions:
      url:
        description: Base address of the repository.
        type: str
        required: true
      signed:
        description: What the owner of the repository signs, and dnf therefore checks.
        type: str
        choices: [packages, metadata, both]
        default: packages
      key_url:
        description: Address of the signing key.
        type: str
      key_fingerprint:
        description: Fingerprint of the signing key's primary key.
        type: str
  refused_packages:
    description:
      - Packages of somebody else that these would push out, with the reason and the fix.
      - A key such as C(kubelet+containerd) stands for a host that has all of them; each may be a shell pattern.
    type: dict
    default: {}
  refused_paths:
    description: What somebody else has installed without a package, by its path, with the reason and the fix.
    type: dict
    default: {}
  refused_commands:
    description: Programs that somebody has installed without a package, by their names, with the reason and the fix.
    type: dict
    default: {}
  kernel_modules:
    description:
      - By release, modules that the running kernel needs, each with the package that brings it.
      - In its name, C({kernel}) stands for the kernel's version, and C({variant}) for its kind.
      - It is installed where the module is neither there nor built in, and never held.
    type: dict
    default: {}
  hints:
    description:
      - What refusals tell the operator to do, in the inventory's own words.
      - The keys are V(release) (no packages are known for it), V(version) and V(repository) (it has no such package, or
        is not reached), V(key), V(fingerprint), and V(kernel) (no package for the running one).
    type: dict
    default: {}
  required_commands:
    description: Commands that must work already, brought by somebody else.
    type: list
    elements: dict
    default: []
    suboptions:
      command:
        description: The command and its words.
        type: list
        elements: str
        required: true
      hint:
        description: What to do where it fails.
        type: str
        required: true
  conflicts:
    description: Packages that are removed first, by release.
    type: dict
    default: {}
  masked_units:
    description:
      - Systemd units that the packages would start and that must never run, because gpuchat runs its own.
      - Refused where such a unit already serves something.
    type: list
    elements: str
    default: []
  spares_running_units:
    description: >-
      One of O(masked_units) that runs already stays as it is, for it is its owner's and in nobody's way; without this,
      the host is refused.
    type: bool
    default: false
  space:
    description: What must be free for what the packages will hold; a place that is in use already is not looked at.
    type: dict
    suboptions:
      paths:
        description: Folders, whether they exist or not.
        type: list
        elements: path
        default: []
      docker_settings:
        description:
          - What C(daemon.json) is about to hold; the folders of Docker's images and data are looked at too.
          - Where they lie is read from these settings, C(daemon.json), a Docker that runs and its version, the first
            before the next, and from containerd's own settings.
        type: dict
      docker_version:
        description: Docker's version where it is not there yet; before 29 it has no images with containerd.
        type: str
        default: ''
      docker_versions:
        description: The version that a release has, by the keys of O(packages), where O(space.docker_version) is empty.
        type: dict
        default: {}
      minimum_gib:
        description: Space that must be free on the file system of each.
        type: int
        required: true
      hint:
        description: What the refusal asks the operator to do; empty for a general word.
        type: str
        default: ''
  hold:
    description:
      - Keep the packages at their version when the rest of the host is upgraded, by C(apt-mark hold) or by dnf's plugin
        versionlock, which is installed for it.
      - V(false) releases what an earlier run has held, and leaves the administrator's own holds.
    type: bool
    default: false
  state:
    description: V(absent) removes the packages and the repository.
    type: str
    choices: [present, absent]
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
    description: Predicts the whole change; the lists are not refreshed, and a key that is not reached is reported.
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

- name: Install one version of a tool from its owner's repository, and hold it
  gpuchat.stack.gpuchat_packages:
    name: tool
    packages:
      debian: ['tool=2.1.*']
      rhel: ['tool=2.1.*']
    apt_repository:
      url: https://packages.example.com/deb/{arch}
      suite: /
      key_url: https://packages.example.com/key
      key_fingerprint: 0123456789ABCDEF0123456789ABCDEF01234567
    dnf_repository:
      url: https://packages.example.com/rpm/{version_major}/{arch}
      key_url: https://packages.example.com/key
      key_fingerprint: 0123456789ABCDEF0123456789ABCDEF01234567
    hold: true
"""

RETURN = r"""
msg:
  description: What was to be done, in one line.
  type: str
  returned: always
not_predicted:
  description: What check mode could not predict, and why.
  type: list
  elements: str
  returned: when there is something
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front, network_runner
from ..module_utils.gpuchat.docker import folders_runner
from ..module_utils.gpuchat.packages import runner

KEY = {"key_url": {"type": "str", "no_log": False}, "key_fingerprint": {"type": "str", "no_log": False}}
APT_REPOSITORY = {
    "url": {"type": "str", "required": True},
    "suite": {"type": "str", "required": True},
    "components": {"type": "list", "elements": "str", "default": []},
    **KEY,
}
DNF_REPOSITORY = {
    "url": {"type": "str", "required": True},
    "signed": {"type": "str", "choices": ["packages", "metadata", "both"], "default": "packages"},
    **KEY,
}
COMMAND = {
    "command": {"type": "list", "elements": "str", "required": True},
    "hint": {"type": "str", "required": True},
}
KEYS_TOGETHER = [("key_url", "key_fingerprint")]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "packages": {"type": "dict", "required": True},
            "refused_releases": {"type": "dict", "default": {}},
            "apt_repository": {"type": "dict", "options": APT_REPOSITORY, "required_together": KEYS_TOGETHER},
            "dnf_repository": {"type": "dict", "options": DNF_REPOSITORY, "required_together": KEYS_TOGETHER},
            "refused_packages": {"type": "dict", "default": {}},
            "refused_paths": {"type": "dict", "default": {}},
            "refused_commands": {"type": "dict", "default": {}},
            "kernel_modules": {"type": "dict", "default": {}},
            "hints": {"type": "dict", "default": {}},
            "required_commands": {"type": "list", "elements": "dict", "default": [], "options": COMMAND},
            "conflicts": {"type": "dict", "default": {}},
            "masked_units": {"type": "list", "elements": "str", "default": []},
            "spares_running_units": {"type": "bool", "default": False},
            "space": {"type": "dict", "options": folders_runner.OPTIONS},
            "hold": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            **network_runner.OPTIONS,
        },
        supports_check_mode=True,
    )
    params = module.params
    front.run(
        module,
        lambda: runner.ensure(folders_runner.with_folders(params), module.check_mode),
        f"packages of {params['name']}",
    )


if __name__ == "__main__":
    main()
