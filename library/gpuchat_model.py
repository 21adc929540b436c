#!/usr/bin/python
# Copyright: gpuchat contributors
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpuchat_model
short_description: Models' files on a host, whole, verified and fetched once
version_added: 0.1.0
description:
  - Fetches the files of models from a hub, a web server or a folder, proves each with the hash that its source names,
    and puts each folder in place in one step, so that a reader sees the old model or the new one, whole.
  - One model after the other is fetched, in their order; a folder that several name is fetched once. Before the first
    byte, all are looked at, and a disk that is too small for all together is refused.
  - Whatever ends a run, the next one goes on from there and fetches no byte twice.
  - A branch or tag is resolved to its commit once. Where it moves later, the result says so in C(moved_to).
  - Next to the folder lies one that ends in C(.gpuchat) while a run is at work or has left bytes for the next.
  - A transfer over HTTP needs the Python library C(requests), in the host's own Python or in the toolbox; looking at
    what would be fetched does not.
options:
  models:
    description: The models.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The model's name, by which messages and results speak of it.
        type: str
        required: true
      source:
        description:
          - Where the model comes from.
          - V(http) is a plain tree on any web server, made with O(state=export). V(path) is a folder on the host;
            without O(models[].repo) it is O(models[].path) itself, which is looked at and left as it is.
          - V(git) needs git and git-lfs on the host, keeps each byte twice for a while, starts anew after an
            interruption and cannot predict anything; take it only where nothing else is allowed.
        type: str
        choices: [huggingface, modelscope, http, git, path]
        default: path
      repo:
        description: The model's name at the hub, its path below the endpoint, or its folder on the host.
        type: str
        default: ''
      revision:
        description: Commit, branch or tag; without it the hub's main branch. A commit is never asked for again.
        type: str
        default: ''
      path:
        description: The model's folder on the host.
        type: path
        required: true
      endpoints:
        description:
          - Addresses to try in this order, by default the hub's own. The first that holds the model is used.
          - Where it fails on the way, the next that holds the same brings the rest, unless O(verify=never).
        type: list
        elements: str
        default: []
      include:
        description:
          - Shell patterns of the files to bring, whose C(*) crosses folders; one that ends in a slash stands for all
            below.
          - Without them everything is fetched but pickled weights (C(.bin), C(.pt), C(.pth), C(.ckpt), C(.pkl)), which
            can run code when they are loaded, weights of other engines, and second copies of the weights, which vLLM
            does not read.
        type: list
        elements: str
        default: []
      exclude:
        description: Shell patterns of files to leave out, even where O(models[].include) names them.
        type: list
        elements: str
        default: []
      adapter:
        description:
          - Whether it is a LoRA adapter as PEFT saves it; its C(adapter_config.json) and C(adapter_model.safetensors)
            are fetched where O(models[].include) names no others.
        type: bool
        default: false
      export:
        description: Folder on the host for the tree of O(state=export).
        type: path
  token:
    description: What shows that the model may be read; the variable C(model_token) where it is left out.
    type: str
    default: ''
  token_for:
    description:
      - The address that the token is for; by default the hub's own.
      - The token is sent to this scheme, host and port alone, not to other endpoints, and not along a redirect.
    type: str
    default: ''
  workers:
    description: Connections at once.
    type: int
    default: 32
  connections_per_file:
    description: Most connections at once for one file; one gets a second where they are slow or processor cores idle.
    type: int
    default: 8
  rate_limit:
    description: Most bytes per second, such as V(50M) or V(1.5G); empty for no limit.
    type: str
    default: ''
  verify:
    description:
      - V(download) proves files as they come; later runs look at their size and time alone.
      - V(always) reads and proves all files in each run. V(never) trusts the wire.
    type: str
    choices: [always, download, never]
    default: download
  state:
    description:
      - V(metadata) asks for the listing and the small JSON files, and changes nothing.
      - V(export) makes a plain tree of O(models[].path) in O(models[].export), for any web server.
      - V(absent) removes the files that earlier runs fetched, and no others.
    type: str
    choices: [present, metadata, export, absent]
    default: present
  update:
    description: Follow a branch or tag that has moved.
    type: bool
    default: false
  lock_seconds:
    description: How long to wait for another run that is at work on the same folder.
    type: int
    default: 60
  stall_seconds:
    description: How long a connection may be silent before it is dropped and the rest asked for anew.
    type: int
    default: 30
  toolbox:
    description: The virtual environment that holds C(requests) where the host's Python does not.
    type: path
    default: /opt/gpuchat/toolbox
  finished:
    description: Set by the action plugin; the results of the models that this task has fetched already.
    type: list
    elements: dict
    default: []
  job:
    description: Set by the action plugin, which shows the progress; the name under which the work goes on.
    type: str
    default: ''
  job_seconds:
    description: Set by the action plugin; how long one call waits before it reports the progress.
    type: float
    default: 5
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
    description: Asks the source for its listing, and reports the files and bytes that would be fetched.
    support: full
  diff_mode:
    description: Shows commit, files, sizes and hashes before and after.
    support: full
  idempotent:
    description: A second run reads the manifest and looks at each file once.
    support: full
author: gpuchat contributors (@gpuchat)
"""

EXAMPLES = r"""
- name: Download a model from Hugging Face, or from a mirror of it, and another
  gpuchat.stack.gpuchat_model:
    models:
      - name: qwen3-8b
        source: huggingface
        repo: Qwen/Qwen3-8B
        path: /srv/models/qwen3-8b
        endpoints: ['https://huggingface.co', 'https://hf-mirror.com']
      - name: bge-m3
        source: huggingface
        repo: BAAI/bge-m3
        path: /srv/models/bge-m3

- name: See what it is before a weight is fetched
  gpuchat.stack.gpuchat_model:
    models: [{name: qwen3-8b, source: modelscope, repo: Qwen/Qwen3-8B, path: /srv/models/qwen3-8b}]
    state: metadata

- name: Make a tree of it for a closed network
  gpuchat.stack.gpuchat_model:
    models: [{name: qwen3-8b, path: /srv/models/qwen3-8b, export: /srv/www/models/qwen3-8b}]
    state: export

- name: Download it in the closed network
  gpuchat.stack.gpuchat_model:
    models:
      - name: qwen3-8b
        source: http
        endpoints: ['http://files.example.com/models']
        repo: qwen3-8b
        path: /srv/models/qwen3-8b

- name: Look at a folder that somebody else filled
  gpuchat.stack.gpuchat_model:
    models: [{name: qwen3-8b, path: /srv/models/qwen3-8b}]
"""

RETURN = r"""
models:
  description: Each model, by its name; where a task fails, those that are there.
  type: dict
  returned: always
  contains:
    commit:
      description: The commit of the files; empty for a folder without a record.
      type: str
      returned: success
    files:
      description: Files by path, with their size in bytes and SHA-256 (empty where it is not known yet).
      type: list
      elements: dict
      returned: success
    bytes_total:
      description: Bytes of all files.
      type: int
      returned: success
    bytes_to_fetch:
      description: Bytes that were not there when the run began.
      type: int
      returned: success
    bytes_fetched:
      description: Bytes that this run fetched.
      type: int
      returned: success
    seconds:
      description: How long it took.
      type: float
      returned: success
    source_used:
      description: The endpoint or folder that the files come from.
      type: str
      returned: success
    config:
      description: The model's config.json.
      type: dict
      returned: success
    data:
      description: Each small JSON file as data, by path; not the index of the shards, which can be large.
      type: dict
      returned: with O(state=metadata), where the source was asked
    weights_bytes:
      description: Bytes of weights that the engine reads; second copies of them are not counted.
      type: int
      returned: success
    start_seconds:
      description: Longest time that an engine may take to start with this model.
      type: int
      returned: success
    moved_to:
      description: The commit that the branch stands for now, where that is another one.
      type: str
      returned: success
    unknown:
      description: Files in the folder that are none of ours; they stay.
      type: list
      elements: str
      returned: success
bytes_to_fetch:
  description: Bytes of all models that were not there when the run began.
  type: int
  returned: success
bytes_fetched:
  description: Bytes of all models that this run fetched.
  type: int
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.gpuchat.core import front, network_runner
from ..module_utils.gpuchat.model import several_runner

WORDS = {"type": "list", "elements": "str", "default": []}
MODEL = {
    "name": {"type": "str", "required": True},
    "source": {"type": "str", "choices": ["huggingface", "modelscope", "http", "git", "path"], "default": "path"},
    "repo": {"type": "str", "default": ""},
    "revision": {"type": "str", "default": ""},
    "path": {"type": "path", "required": True},
    "endpoints": WORDS,
    "include": WORDS,
    "exclude": WORDS,
    "adapter": {"type": "bool", "default": False},
    "export": {"type": "path"},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "models": {"type": "list", "elements": "dict", "required": True, "options": MODEL},
            "token": {"type": "str", "default": "", "no_log": True},
            "token_for": {"type": "str", "default": "", "no_log": False},
            "workers": {"type": "int", "default": 32},
            "connections_per_file": {"type": "int", "default": 8},
            "rate_limit": {"type": "str", "default": ""},
            "verify": {"type": "str", "choices": ["always", "download", "never"], "default": "download"},
            "state": {"type": "str", "choices": ["present", "metadata", "export", "absent"], "default": "present"},
            "update": {"type": "bool", "default": False},
            "lock_seconds": {"type": "int", "default": 60},
            "stall_seconds": {"type": "int", "default": 30},
            "toolbox": {"type": "path", "default": "/opt/gpuchat/toolbox"},
            "finished": {"type": "list", "elements": "dict", "default": []},
            "job": {"type": "str", "default": ""},
            "job_seconds": {"type": "float", "default": 5},
            **network_runner.OPTIONS,
        },
        supports_check_mode=True,
    )
    names = {"models": [model["name"] for model in module.params["models"]]}
    front.run(module, lambda: several_runner.ensure(module.params, module.check_mode), invocation=names)


if __name__ == "__main__":
    main()
