# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models for the world's hub. Runs with the hubs' own clients (requirements/hubs.txt), not with the unit tests."""

from __future__ import annotations

import os
import pathlib
import random
import shutil
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "molecule" / "world" / "images" / "hub"))

# The clients read these as they are imported. ModelScope's splits files from 500 MB on; here from 1 MB on.
HOME = tempfile.mkdtemp(prefix="gpuchat-hub-")
for name in [name for name in os.environ if name.startswith(("HF_", "MODELSCOPE_"))]:
    del os.environ[name]
os.environ |= {
    "HOME": HOME,
    "HF_HOME": f"{HOME}/huggingface",
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "MODELSCOPE_CACHE": f"{HOME}/modelscope",
    "MODELSCOPE_DOWNLOAD_PARALLEL_THRESHOLD_MB": "1",
    "MODELSCOPE_DOWNLOAD_PARALLEL_WORKERS": "2",
    "MODELSCOPE_DOWNLOAD_PART_SIZE_MB": "1",
}

SHARD = 3_000_000


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(HOME, ignore_errors=True)


def write(folder: pathlib.Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    """What lies in a folder, but for what the clients keep for themselves."""
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith(".")}


@pytest.fixture
def models(tmp_path: pathlib.Path) -> pathlib.Path:
    """acme/demo with two shards, and its tag v1, whose README and second shard are others."""
    root = tmp_path / "models"
    chance = random.Random(4)
    files = {
        "README.md": b"# Demo\n" * 50,
        "config.json": b'{"model_type": "qwen2"}\n',
        "empty.txt": b"",
        "onnx/model.onnx": chance.randbytes(5000),
        "original/a name with spaces & signs (#1).json": b"{}",
        "model-00001-of-00002.safetensors": chance.randbytes(SHARD),
        "model-00002-of-00002.safetensors": chance.randbytes(SHARD),
    }
    write(root / "acme" / "demo", files)
    write(
        root / "acme" / "demo@v1",
        files | {"README.md": b"# First\n", "model-00002-of-00002.safetensors": chance.randbytes(1000)},
    )
    return root
