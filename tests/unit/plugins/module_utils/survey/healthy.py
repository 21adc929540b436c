# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host on which all is well, as the survey reads it, and what its inventory says of it."""

from __future__ import annotations

import copy
import datetime

from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.survey.types import Answer, Expected

NOW = datetime.datetime(2026, 11, 28, 12, 0, tzinfo=datetime.UTC)
DAY = 86400
GIB = 2**30
ENGINE_IMAGE = "registry.example.com/vllm/vllm-openai@sha256:" + "a" * 64
INTERFACE_IMAGE = "docker.io/lobehub/lobehub@sha256:" + "b" * 64
STORE_IMAGE = "docker.io/rustfs/rustfs@sha256:" + "c" * 64
COMMIT = "ac3c3c5ed8466b06f5d4661e9c806d6ed3c50601"
UUID = "GPU-11111111-2222-3333-4444-555555555555"


def _service(supervisor="systemd", commit=""):
    return {
        "supervisor": supervisor,
        "running": True,
        "enabled": True,
        "steps": [],
        "state": "active" if supervisor == "systemd" else "",
        "result": "success" if supervisor == "systemd" else "",
        "restarts": 0,
        "seconds_up": 90000.0,
        "commit": commit,
    }


def _container(name, number, image):
    state = {"status": "running", "health": "healthy", "restarts": 0, "seconds_up": 90000.0}
    return {"id": number * 64, "name": name, "image": image, **state}


def _disk(device, size, free):
    return {"device": device, "bytes": size, "free_bytes": free, "inodes": 10_000_000, "free_inodes": 9_000_000}


def _files():
    return {"digest": "d" * 64, "files": 8, "drifted": {}}


READING = {
    "host": {
        "release": "debian 13",
        "kernel": "6.12.0",
        "machine": "x86_64",
        "python": "3.13.5",
        "seconds_up": 100000.0,
        "memory_bytes": 256 * GIB,
        "memory_free_bytes": 200 * GIB,
        "synchronised": True,
    },
    "packages": {"docker.io": "26.1.5+dfsg1-9+deb13u1", "nvidia-container-toolkit": "1.20.0-1", "nginx": "1.26.3-3"},
    "gpu": {
        "state": "ok",
        "reason": "1 x NVIDIA H100 80GB HBM3",
        "accelerator": "nvidia",
        "driver_version": "580.65.06",
        "cuda_version": "13.0",
        "gpus": [
            {
                "index": 0,
                "uuid": UUID,
                "name": "NVIDIA H100 80GB HBM3",
                "memory_bytes": 80 * GIB,
                "memory_free_bytes": 8 * GIB,
                "ecc_errors": {"corrected": 2, "uncorrected": 0},
                "temperature_c": 41,
                "processes": [{"pid": 4711, "name": "python3", "memory_bytes": 72 * GIB, "by": "1" * 64}],
            }
        ],
        "held_back": {},
    },
    "kernel log": [],
    "docker": {
        "installed": True,
        "answers": True,
        "version": "26.1.5",
        "root": "/var/lib/docker",
        "runtimes": ["nvidia", "runc"],
        "default_runtime": "runc",
        "containers": [
            _container("gpuchat-lobehub", "2", INTERFACE_IMAGE),
            _container("gpuchat-vllm-demo", "1", ENGINE_IMAGE),
            _container("gpuchat-object-store", "3", STORE_IMAGE),
        ],
    },
    "files": {
        name: _files()
        for name in (
            *("door", "edge", "firewall", "gpuchat-lobehub", "gpuchat-object-store", "gpuchat-vllm-demo"),
            "postgresql",
        )
    },
    "daemon.json": {"/etc/docker/daemon.json": []},
    "certificates": [
        {"path": "/etc/gpuchat/edge/tls.crt", "from": NOW.timestamp() - DAY, "until": NOW.timestamp() + 800 * DAY}
    ],
    "stack": {"api_key": "5f0c", "ca_certificate": "1f1a"},
    "packet filter": {"loaded": True, "same": True},
    "services": {
        "docker": _service(),
        "gpuchat-door": _service(),
        "gpuchat-edge": _service(),
        "gpuchat-firewall": _service(),
        "gpuchat-lobehub": _service("compose"),
        "gpuchat-object-store": _service("compose"),
        "gpuchat-postgresql": _service(),
        "gpuchat-vllm-demo": _service("compose", COMMIT),
        "gpuchat-watchdog": _service(),
    },
    "models": {
        "/srv/models/demo": {
            "there": True,
            "files": 5,
            "bytes": 16_000_000_000,
            "waiting_bytes": 0,
            "commit": COMMIT,
            "source": "huggingface",
            "repo": "example/demo",
            "revision": "main",
            "missing": [],
            "changed": [],
        }
    },
    "engines": {"gpuchat-vllm-demo": {"healthy": True, "said": "", "models": ["demo"]}},
    "disks": {
        "/": _disk(1, 500 * 10**9, 300 * 10**9),
        "/var/log": _disk(1, 500 * 10**9, 300 * 10**9),
        "/srv/models/demo": _disk(2, 8 * 10**12, 2 * 10**12),
    },
    "containers": {
        "gpuchat-object-store": {"image": STORE_IMAGE, "gpus": False},
        "gpuchat-lobehub": {"image": INTERFACE_IMAGE, "gpus": False},
        "gpuchat-vllm-demo": {"image": ENGINE_IMAGE, "gpus": True},
    },
    "unanswered": {},
    "clock": NOW.timestamp(),
}

EXPECTED = Expected(
    name="gpu01",
    groups=("chat", "edge", "gpu"),
    images={
        "gpuchat-vllm-demo": ("vllm/vllm-openai:v0.32.0", "vllm/vllm-openai-cpu:v0.32.0"),
        "gpuchat-lobehub": ("lobehub/lobehub:2.1.48",),
        "gpuchat-object-store": ("rustfs/rustfs:1.0.0",),
    },
    lock={
        "vllm/vllm-openai:v0.32.0": "sha256:" + "a" * 64,
        "lobehub/lobehub:2.1.48": "sha256:" + "b" * 64,
        "rustfs/rustfs:1.0.0": "sha256:" + "c" * 64,
    },
    engines={"gpuchat-vllm-demo": {"name": "demo", "repo": "example/demo", "path": "/srv/models/demo"}},
    fingerprints={"api_key": ("5f0c",), "ca_certificate": ("1f1a",), "vllm_api_key": ("8587",)},
    versions={"nvidia-container-toolkit": "1.20.0-1"},
)


def reading(**changes):
    """Return a reading of its own, with other values at dotted places whose steps are divided by ``__``."""
    found = copy.deepcopy(READING)
    for place, value in changes.items():
        *above, last = place.split("__")
        there = found
        for key in above:
            there = there[key]
        there[last] = value
    return found


def healthy(**more):
    return Answer("done", copy.deepcopy(READING), seconds=1.5, **more)
