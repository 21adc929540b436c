#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_preflight
short_description: Find what is wrong with the inventory before any host is asked
version_added: 0.1.0
description:
  - Checks the inventory's sources, groups, names, types, forms, values and certificates, and reports all faults in one
    message.
  - Then says which host serves what at which address and port.
  - The action plugin of the same name gathers the input; this module decides, on the control node.
options:
  parts:
    description: The roles that are to run; all where it is left out. What none of them needs may be missing.
    type: list
    elements: str
    default: []
  needed:
    description: Variables that the playbook needs, each of its own; with C(or) between several, one of them.
    type: list
    elements: str
    default: []
  groups:
    description: Host names by group; set by the action plugin.
    type: dict
    default: {}
  variables:
    description: The user's variables by host, but for secrets; set by the action plugin.
    type: dict
    default: {}
  secrets:
    description: What may be known of each secret, by host and name; set by the action plugin.
    type: dict
    default: {}
  others:
    description: Names of further variables by host; set by the action plugin.
    type: dict
    default: {}
  untemplated:
    description: Variables that cannot be templated, each a list of host, name and reason; set by the action plugin.
    type: list
    elements: list
    default: []
  sources:
    description: >-
      Where the inventory was read from, each with its path and problem, and a file of variables with what it is for;
      set by the action plugin.
    type: list
    elements: dict
    default: []
  play_hosts:
    description: Hosts of the play; set by the action plugin.
    type: list
    elements: str
    default: []
  reached:
    description: At which C(address) and C(port) ssh reaches each host; set by the action plugin.
    type: dict
    default: {}
  roles:
    description: Options of each role in the form of argument_specs; set by the action plugin.
    type: dict
    default: {}
  certificates:
    description: Certificates that the owner brings, by host of the edge; set by the action plugin.
    type: dict
    default: {}
  certificate_keys:
    description: Their keys; set by the action plugin.
    type: dict
    default: {}
  files:
    description: Why further files of an edge's cannot be read, by host; set by the action plugin.
    type: dict
    default: {}
  people:
    description: Names in the file of passwords, by host of the edge; set by the action plugin.
    type: dict
    default: {}
  unhashed:
    description: Those whose password in it is not hashed; set by the action plugin.
    type: dict
    default: {}
  chat_secrets:
    description: Secrets of the chat that variables give, by the chat's own names for them; set by the action plugin.
    type: dict
    default: {}
  listed:
    description: >-
      Models as somebody else's servers list them, by server, for those for which the inventory names none; what the
      last run has read where it is left out.
    type: dict
  endpoint_problems:
    description: Why authorities of somebody else's servers cannot be read; set by the action plugin.
    type: list
    elements: str
    default: []
  authorities:
    description: Texts of the files of C(gpuchat_ca_files), by their paths; set by the action plugin.
    type: dict
    default: {}
  elsewhere_authorities:
    description: >-
      Texts of the authorities of C(gpuchat_database) and C(gpuchat_object_store), by variable and path; set by the
      action plugin.
    type: dict
    default: {}
  pem_files:
    description: Texts of further authorities that variables name, by variable.
    type: dict
    default: {}
  authority_problems:
    description: Why some of them cannot be read; set by the action plugin.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Reads only.
    support: full
  diff_mode:
    description: There is never a difference.
    support: full
  idempotent:
    description: Reads only.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Check the inventory
  gpuchat.stack.gpuchat_preflight:
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
faults:
  description: What must be fixed, a sentence each.
  type: list
  elements: str
  returned: always
parts:
  description: The roles that it was checked for.
  type: list
  elements: str
  returned: success
needs_secrets:
  description: Whether one of these roles uses secrets.
  type: bool
  returned: success
given_secrets:
  description: Names of the secrets that are given by variables, by host.
  type: dict
  returned: success
folder:
  description: The folder beside the first inventory for a run's own files.
  type: str
  returned: always
elsewhere_authorities:
  description: The authorities of C(gpuchat_database) and C(gpuchat_object_store) as PEM; made by the action plugin.
  type: dict
  returned: always
endpoint_files:
  description: Authorities of somebody else's servers as files of the door and the edge; made by the action plugin.
  type: dict
  returned: always
live_endpoints:
  description: Servers whose models are to be read before they are handed on; made by the action plugin.
  type: list
  elements: dict
  returned: always
topology:
  description: Who serves what at which address and port, by host and kind, and who speaks to whom.
  type: dict
  returned: success
packet_filter:
  description: What each host lets in from beyond its loopback, by host.
  type: dict
  returned: success
chat:
  description: What people chat with in which version, and who may sign up.
  type: dict
  returned: success
neighbours:
  description:
    - What an interface is told of what stands beside it, by host of the chat; its C(environment) without secrets, its
      C(database_url) with C({password}) for the password, the C(database_volume), and what a C(backup) holds.
  type: dict
  returned: success
room:
  description: The chat's own paths, those that need a session, and those that are closed.
  type: dict
  returned: success
paths:
  description: Paths of the engine that are handed on, those that are closed, and what nginx says by itself.
  type: dict
  returned: success
api_clients:
  description: Programs with a key of the model API, with C(name), C(rate), C(streams) and C(expires).
  type: list
  elements: dict
  returned: success
api_limits:
  description: Their limits by kind, each number with the clients that have it.
  type: dict
  returned: success
stapling:
  description: Hosts of the edge whose certificate names a responder.
  type: list
  elements: str
  returned: success
limits:
  description: >-
    What one address may ask of the chat, C(rate) a second, C(burst) at once, and C(connections) at a time; C(newcomers)
    is how many passwords may wait to be looked at.
  type: dict
  returned: success
"""

import datetime
from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.chat import derived as chat
from ..module_utils.gpuchat.chat import settings
from ..module_utils.gpuchat.core import front
from ..module_utils.gpuchat.edge import derived as edge
from ..module_utils.gpuchat.inventory import given, named_files, playbooks, preflight
from ..module_utils.gpuchat.secret import certificates_runner

SPECIFICATION = {
    "parts": {"type": "list", "elements": "str", "default": []},
    "needed": {"type": "list", "elements": "str", "default": []},
    "groups": {"type": "dict", "default": {}},
    "variables": {"type": "dict", "default": {}},
    "secrets": {"type": "dict", "default": {}, "no_log": False},
    "others": {"type": "dict", "default": {}},
    "untemplated": {"type": "list", "elements": "list", "default": []},
    "sources": {"type": "list", "elements": "dict", "default": []},
    "play_hosts": {"type": "list", "elements": "str", "default": []},
    "reached": {"type": "dict", "default": {}},
    "roles": {"type": "dict", "default": {}},
    "certificates": {"type": "dict", "default": {}},
    "certificate_keys": {"type": "dict", "default": {}, "no_log": True},
    "files": {"type": "dict", "default": {}},
    "people": {"type": "dict", "default": {}},
    "unhashed": {"type": "dict", "default": {}},
    "chat_secrets": {"type": "dict", "default": {}, "no_log": True},
    "listed": {"type": "dict"},
    "endpoint_problems": {"type": "list", "elements": "str", "default": []},
    "authorities": {"type": "dict", "default": {}},
    "elsewhere_authorities": {"type": "dict", "default": {}},
    "pem_files": {"type": "dict", "default": {}},
    "authority_problems": {"type": "list", "elements": "str", "default": []},
}


def work(params: Mapping[str, Any], warn: Callable[[str], None]) -> Mapping[str, object]:
    """Check the inventory, and return what follows from it for all roles."""
    inventory, specification = given.read(params), given.Specification(params["roles"])
    parts = preflight.known_parts(params["parts"])
    today = datetime.datetime.now(datetime.timezone.utc).date()
    findings = preflight.find_faults(inventory, specification, parts, today)
    for host, pair in params["certificates"].items() if "edge" in parts else ():
        key = params["certificate_keys"].get(host, "")
        findings.add(*certificates_runner.check({**pair, "key": key}, given.site_names(inventory, host)), host)
    named_files.check(params, parts, findings)
    findings.add(playbooks.faults(params.get("needed") or (), next(iter(inventory.variables.values()), {})), (), "")
    for variable, path, text in named_files.authorities(params):
        findings.add((), certificates_runner.ended(variable, path, text), "")
    findings.add(settings.check(inventory, specification, parts, params["chat_secrets"]), (), "")
    for warning in given.describe(findings.warnings, inventory.ours):
        warn(warning)
    given.refuse(given.describe(findings.faults, inventory.ours))
    derived = preflight.derive(inventory, specification, parts)
    return {
        "changed": False,
        "faults": [],
        **derived,
        **chat.derive(inventory, specification, derived["topology"]),
        **edge.derive(inventory, specification),
        "stapling": [host for host, one in params["certificates"].items() if certificates_runner.names_responder(one)],
    }


def main() -> None:
    module = AnsibleModule(argument_spec=SPECIFICATION, supports_check_mode=True)
    front.run(module, lambda: work(module.params, module.warn), invocation={})


if __name__ == "__main__":
    main()
