# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import importlib.util
import json
import pathlib
import random

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker import archives_runner

_SPEC = importlib.util.spec_from_file_location("archive_files", pathlib.Path(__file__).with_name("archive_files.py"))
files_of = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(files_of)

NAME = "vllm/v:1"
ID = f"sha256:{files_of.sha(files_of.config())}"
MODES = {"v.tar": "w", "v.tar.gz": "w:gz", "v.tar.xz": "w:xz"}


def packed(name):
    return files_of.in_oci_layout(name, packed=True)


LAYOUTS = {"before 25": files_of.before_25, "OCI": files_of.in_oci_layout, "OCI, packed": packed}


def images(tmp_path):
    return archives_runner.images_of(str(tmp_path / "usb"), str(tmp_path / "own" / "archives.json"))


@pytest.fixture
def usb(tmp_path):
    (tmp_path / "usb").mkdir()
    return tmp_path / "usb"


@pytest.mark.parametrize("file", MODES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_archive_says_which_image_it_holds(tmp_path, usb, layout, file):
    files = LAYOUTS[layout](NAME)
    files_of.write(usb / file, files, MODES[file])
    ids = [ID] if layout == "before 25" else [ID, *files_of.manifests_of(files)]
    assert images(tmp_path) == [
        {"names": [NAME], "id": ID, "ids": ids, "architecture": "amd64", "file": str(usb / file)}
    ]


def test_other_files_of_a_disk_are_left_alone(tmp_path, usb):
    (usb / "readme.txt").write_text("hello")
    (usb / "tar").mkdir()
    assert images(tmp_path) == []


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(Refusal, match=r"found no folder \S+/usb on the control node; wanted one with images"):
        images(tmp_path)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("file", MODES)
def test_an_archive_that_was_cut_anywhere_is_refused(tmp_path, usb, layout, file):
    whole = files_of.write(tmp_path / file, LAYOUTS[layout](NAME), MODES[file]).read_bytes()
    end = len(whole.rstrip(b"\0")) if file == "v.tar" else len(whole)  # zeros after the last file mean nothing
    for size in random.Random(1).sample(range(1, end), 25):
        (usb / file).write_bytes(whole[:size])
        with pytest.raises(Refusal, match=r"v\.tar.*wanted one that `docker save NAME:TAG -o FILE` wrote"):
            images(tmp_path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_part_with_another_content_is_refused_and_one_that_is_not_there(tmp_path, usb, layout):
    files = LAYOUTS[layout](NAME)
    (entry,) = json.loads(files["manifest.json"])
    parts = [
        entry["Config"],
        *(one if isinstance(files[one], bytes) else f"real1/{one[7:]}" for one in entry["Layers"]),
    ]
    assert len(parts) == 3
    for part in parts:
        for changed in ({**files, part: files[part][:-1] + b"?"}, {k: v for k, v in files.items() if k != part}):
            files_of.write(usb / "v.tar", changed)
            with pytest.raises(Refusal, match=r"v\.tar: found that (the configuration|layer \d of 2) of vllm/v:1 is"):
                images(tmp_path)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ({"readme": b"hello"}, "found no list of images in it"),
        ({"manifest.json": b"[{}]"}, "found a list of images .manifest.json. that cannot be read"),
        ({"manifest.json": b"{"}, "found no list of images in it"),
        (files_of.before_25(""), "found an image without a name in it"),
    ],
    ids=["something else", "no image", "no JSON", "saved by its id"],
)
def test_what_is_no_archive_of_images_is_refused(tmp_path, usb, content, word):
    files_of.write(usb / "v.tar", content)
    with pytest.raises(Refusal, match=rf"v\.tar: {word}"):
        images(tmp_path)


def test_an_archive_is_read_once_and_again_when_it_changes(tmp_path, usb, monkeypatch):
    read, real = [], archives_runner.read
    monkeypatch.setattr(archives_runner, "read", lambda path: read.append(path) or real(path))
    files_of.write(usb / "v.tar", files_of.before_25(NAME))
    assert images(tmp_path) == images(tmp_path)
    assert len(read) == 1
    files_of.write(usb / "v.tar", files_of.before_25("vllm/v:22", layers=(b"more",)))
    assert [one["names"] for one in images(tmp_path)] == [["vllm/v:22"]]
    (usb / "v.tar").unlink()
    assert images(tmp_path) == []
