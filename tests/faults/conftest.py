# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real transfers from the world's hub, on the loopback."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import random
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "molecule" / "world" / "images" / "hub"))

from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model import (  # noqa: E402
    runner,
    transfer,
)
from hub import Hub  # noqa: E402

REPO = "acme/demo"
MEBIBYTE = 1 << 20
DEFAULTS = {
    "source": "huggingface",
    "repo": REPO,
    "revision": "",
    "endpoint": [],
    "token": "",
    "token_for": "",
    "include": [],
    "exclude": [],
    "workers": 6,
    "connections_per_file": 4,
    "rate_limit": "",
    "verify": "download",
    "state": "present",
    "update": False,
    "export": None,
    "lock_seconds": 10,
    "stall_seconds": 20,
    "toolbox": "/nonexistent",
    "job": "",
    "job_seconds": 5,
}


def safetensors(names, size, seed):
    """Return a safetensors file with some tensors of random bytes, `size` bytes of them in all."""
    each = size // len(names)
    header = {
        name: {"dtype": "U8", "shape": [each], "data_offsets": [at * each, (at + 1) * each]}
        for at, name in enumerate(names)
    }
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + random.Random(seed).randbytes(each * len(names))


def write_model(folder, seed=1, size=3 * MEBIBYTE, shards=2):
    """Write a small model as the hubs lay it out."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"model-{at + 1:05d}-of-{shards:05d}.safetensors" for at in range(shards)]
    weights = {}
    for at, name in enumerate(names):
        tensors = [f"layers.{at}.{one}" for one in ("weight", "bias")]
        weights.update(dict.fromkeys(tensors, name))
        (folder / name).write_bytes(safetensors(tensors, size, seed * 100 + at))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "seed": seed}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    (folder / "README.md").write_text("A model.\n" * 50)
    (folder / "original").mkdir(exist_ok=True)
    (folder / "original" / "params.json").write_text("{}")
    (folder / "empty.txt").write_bytes(b"")
    (folder / "pytorch_model.bin").write_bytes(b"pickle" * 100)
    return folder


@pytest.fixture(autouse=True)
def _small_ranges_and_short_waits(monkeypatch):
    """Let a model of a few megabytes be fetched as one of many gigabytes is, over many connections for each file."""
    monkeypatch.setattr(transfer, "SHORTEST", MEBIBYTE // 2)
    monkeypatch.setattr(transfer, "LONGEST", MEBIBYTE)
    monkeypatch.setattr(transfer, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(transfer, "more_helps", lambda *_: True)


@pytest.fixture
def root(tmp_path):
    write_model(tmp_path / "hub" / "acme" / "demo")
    return tmp_path / "hub"


@pytest.fixture
def hub(root):
    with Hub(root) as one:
        yield one


@pytest.fixture
def dest(tmp_path):
    return tmp_path / "models" / "demo"


@pytest.fixture
def ensure(hub, dest):
    """Run the module's work, by default with the hub as the endpoint."""

    def run(check=False, **params):
        return runner.ensure({**DEFAULTS, "endpoint": [hub.url], "dest": str(dest), **params}, check)

    return run


def tree(folder):
    """Return each file below a folder with the hash of its bytes, our own record apart."""
    found = {}
    for parent, _folders, names in os.walk(folder):
        for name in names:
            path = pathlib.Path(parent, name)
            if name != "gpuchat-model.json":
                found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def wanted(folder, *left_out):
    """Return what a run is to bring of a folder at the hub."""
    left_out = {"pytorch_model.bin", *left_out}
    return {path: digest for path, digest in tree(folder).items() if path not in left_out}
