# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker.archives import (
    Held,
    Load,
    archived,
    held,
    plan_load,
    see_architecture,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker.images import Image, Source

ID, OTHER, MANIFEST = "sha256:" + "0" * 64, "sha256:" + "1" * 64, "sha256:" + "2" * 64
IMAGE = Image.parse("vllm/v:1")
SOURCE = Source("mirror.example.com", "hub/vllm/v")
ONE = Held(("vllm/v:1",), ID, (ID, MANIFEST), "amd64", "/usb/v.tar")


def known(*names, **others):
    return Held(**{**vars(ONE), "names": names, **others})


@pytest.mark.parametrize(
    "name", ["vllm/v:1", "docker.io/vllm/v:1", "mirror.example.com/hub/vllm/v:1"], ids=["docker", "podman", "mirror"]
)
def test_an_image_is_found_by_the_names_that_it_may_have_been_saved_by(name):
    found = known("other/x:1", "vllm/v:latest", name)
    assert archived(IMAGE, SOURCE, [known("a/b:1"), found], "") is found


@pytest.mark.parametrize("name", ["vllm/v:2", "v:1", "ghcr.io/vllm/v:1", "mirror.example.com/vllm/v:1"])
def test_an_image_of_another_name_is_none_and_a_registry_gives_it(name):
    assert archived(IMAGE, SOURCE, [known(name)], "") is None
    assert archived(IMAGE, SOURCE, [known(name)], OTHER) is None


@pytest.mark.parametrize("locked", ["", f"id:{ID}", MANIFEST], ids=["nothing", "its id", "a digest that it keeps"])
def test_what_is_recorded_and_what_the_archive_holds_agree(locked):
    assert archived(IMAGE, SOURCE, [ONE], locked) is ONE


@pytest.mark.parametrize("locked", [f"id:{OTHER}", OTHER])
def test_an_archive_with_another_image_than_is_recorded_is_refused(locked):
    with pytest.raises(Refusal, match=f"as {ID} in /usb/v.tar, and recorded as {locked}; wanted the same; save"):
        archived(IMAGE, SOURCE, [ONE], locked)


def test_two_archives_of_one_name_are_refused_unless_they_hold_the_same():
    assert archived(IMAGE, SOURCE, [ONE, known("vllm/v:1", file="/usb/copy.tar")], "") is ONE
    with pytest.raises(Refusal, match=r"found several images \S+/vllm/v:1 in /usb/v.tar and /usb/w.tar; wanted one"):
        archived(IMAGE, SOURCE, [ONE, known("vllm/v:1", id=OTHER, file="/usb/w.tar")], "")


def test_a_host_that_holds_a_recorded_image_needs_no_archive_any_more_and_one_without_does():
    recorded = archived(IMAGE, SOURCE, [], f"id:{ID}")
    assert not plan_load(IMAGE, recorded, ID).changed
    with pytest.raises(Refusal, match="set gpuchat_image_archives to its folder, or remove its line"):
        plan_load(IMAGE, recorded, "")


def test_an_archive_is_loaded_where_its_image_is_not():
    plan = plan_load(IMAGE, ONE, "")
    assert plan.actions == (Load("/usb/v.tar"),)
    assert plan.differences[0].after == f"{ID} of /usb/v.tar\n"


@pytest.mark.parametrize(("machine", "fits"), [("x86_64", True), ("aarch64", False), ("riscv64", False)])
def test_an_image_for_other_machines_is_refused(machine, fits):
    if fits:
        see_architecture(IMAGE, ONE, machine)
        return
    with pytest.raises(Refusal, match="for amd64 in /usb/v.tar; wanted it for "):
        see_architecture(IMAGE, ONE, machine)


def listed(names=("v:1",), layers=()):
    return {"Config": "0.json", "RepoTags": names, "Layers": list(layers)}


@pytest.mark.parametrize(
    ("manifest", "config"),
    [
        (listed(names=5), {"rootfs": {"diff_ids": []}}),
        (listed(names="v:1"), {"rootfs": {"diff_ids": []}}),
        (listed(), {"rootfs": [1]}),
        (listed(), {"rootfs": {"diff_ids": 5}}),
        (listed(), {"rootfs": {"diff_ids": "a"}}),
        (["v:1"], {}),
        ({**listed(), "Layers": None}, {}),
    ],
)
def test_an_archive_that_says_nonsense_is_refused_in_words(manifest, config):
    files = {"manifest.json": json.dumps([manifest]).encode(), "0.json": json.dumps(config).encode()}
    with pytest.raises(Refusal, match="found a list of images .* that cannot be read; wanted one that `docker save"):
        held(files, {"0.json": "0"}, {})


def test_an_archive_with_an_endless_list_is_refused_in_words():
    with pytest.raises(Refusal, match="found no list of images in it"):
        held({"manifest.json": b"[" * 100_000}, {}, {})
