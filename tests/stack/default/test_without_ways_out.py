# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where no registry and no package index is in reach, images come from archives and the toolbox from wheels."""

from __future__ import annotations

import importlib.util
import io
import json
import pathlib
import platform
import subprocess
import tarfile
from collections.abc import Iterator

import pytest
from running import ROOT, Stack

_PATH = ROOT / "tests/unit/plugins/module_utils/docker/archive_files.py"
_SPEC = importlib.util.spec_from_file_location(_PATH.stem, _PATH)
archive_files = importlib.util.module_from_spec(_SPEC)  # type: ignore[arg-type]
_SPEC.loader.exec_module(archive_files)  # type: ignore[union-attr]

NAME = "registry.invalid/tiny:1"
TOOLBOX = "/opt/gpuchat-without-index/toolbox"
NOWHERE = "http://127.0.0.1:9/simple"


def layer() -> bytes:
    """Return a layer of one file, which is a tar itself."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("hello")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"hello"))
    return packed.getvalue()


@pytest.fixture
def play(stack: Stack, tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A play of both, with its folders beside it; what it left on the host goes again."""
    (tmp_path / "images").mkdir()
    machine = {"aarch64": "arm64"}.get(platform.machine(), "amd64")
    archive_files.write(
        tmp_path / "images/tiny.tar.gz", archive_files.in_oci_layout(NAME, (layer(),), machine), mode="w:gz"
    )
    index = "gpuchat-world-packages:/srv/packages/pypi/simple"
    subprocess.run(["docker", "cp", index, str(tmp_path / "index")], check=True, capture_output=True)
    (tmp_path / "wheels").mkdir()
    for wheel in (tmp_path / "index").rglob("*.whl"):
        wheel.rename(tmp_path / "wheels" / wheel.name)
    requirements = (ROOT / "roles/toolbox/files/requirements.txt").read_text()
    image = {"name": NAME, "lock_file": str(tmp_path / "own/lock.yml")}
    environment = {"path": TOOLBOX, "requirements": requirements, "index_url": NOWHERE}
    tasks = [
        {"name": "image", "gpuchat_image": image},
        {"name": "toolbox", "gpuchat_virtualenv": {**environment, "wheels": str(tmp_path / "wheels")}},
    ]
    variables = {"gpuchat_image_archives": str(tmp_path / "images")}
    plays = [{"hosts": "server", "become": True, "gather_facts": False, "vars": variables, "tasks": tasks}]
    (tmp_path / "play.yml").write_text(json.dumps(plays))
    yield tmp_path
    stack.on("server", f"rm -rf {TOOLBOX.rpartition('/')[0]}; docker image rm {NAME}", check=False)


def test_an_image_comes_from_its_archive_and_a_toolbox_from_wheels_once(stack: Stack, play: pathlib.Path) -> None:
    told = stack.must_play(playbook=str(play / "play.yml"))
    assert "changed=2 " in told
    recorded = (play / "own/lock.yml").read_text()
    shown = stack.on("server", f"docker image inspect --format '{{{{.Id}}}} {{{{.RepoTags}}}}' {NAME}").split()
    assert f"{NAME}: id:{shown[0]}" in recorded
    assert stack.on("server", f"{TOOLBOX}/bin/python -c 'import requests, pynvml; print(7)'").strip() == "7"
    assert stack.on("server", "find /root/.ansible/tmp -name '*.tar' -o -name '*.whl'", check=False) == ""
    assert "changed=0 " in stack.must_play(playbook=str(play / "play.yml"))


def test_a_damaged_archive_and_a_wheel_that_lacks_are_told_and_leave_nothing(stack: Stack, play: pathlib.Path) -> None:
    archive = play / "images/tiny.tar.gz"
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-40])
    done = stack.play(playbook=str(play / "play.yml"))
    assert done.returncode != 0
    assert f"found that {archive} cannot be read to its end" in done.stdout
    assert stack.on("server", f"docker image inspect {NAME}", check=False).strip() == "[]"
    archive.write_bytes(whole)
    next((play / "wheels").glob("idna-*")).unlink()
    done = stack.play(playbook=str(play / "play.yml"))
    assert done.returncode != 0
    assert "found no wheel for idna==" in done.stdout
    assert stack.on("server", f"ls {TOOLBOX}", check=False) == ""
