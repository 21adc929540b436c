# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that come from an archive: no registry is asked, and nothing is pulled."""

from __future__ import annotations

import os

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker import images_runner

ID, OTHER, MANIFEST = "sha256:" + "0" * 64, "sha256:" + "1" * 64, "sha256:" + "2" * 64
FILE = "/usb/v.tar"
MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, "")


def params(**more):
    archive = {"names": ["vllm/v:1"], "id": ID, "ids": [ID, MANIFEST], "architecture": MACHINE, "file": FILE}
    usual = {
        "name": "vllm/v:1",
        "registry_map": {"docker.io": "127.0.0.1:9"},
        "registry_mirrors": [],
        "registry_logins": [],
        "insecure_registries": [],
        "locked_digest": None,
        "lock_file": "lock.yml",
        "timeout": 60,
        "archives": [archive],
        "archive_paths": {},
    }
    return {**usual, **more}


def test_an_image_that_is_there_is_run_by_its_id_and_an_unchanged_run_loads_nothing(commands):
    result = images_runner.ensure(params(), check=False)
    assert (result["changed"], result["reference"], result["digest"]) == (False, ID, f"id:{ID}")
    assert commands.made == [f"docker image inspect {ID}"]


def test_a_store_that_knows_an_image_by_its_manifest_runs_it_by_that(commands):
    commands.answer(f"docker image inspect {ID}", rc=1)
    result = images_runner.ensure(params(), check=False)
    assert (result["changed"], result["reference"], result["digest"]) == (False, MANIFEST, f"id:{ID}")


def test_a_host_without_the_image_asks_for_its_archive(commands):
    commands.answer("docker image inspect", rc=1)
    with pytest.raises(Refusal) as caught:
        images_runner.ensure(params(), check=False)
    assert caught.value.result == {"wanted_archive": FILE}
    assert commands.that("load") == commands.that("pull") == []


def test_check_mode_predicts_the_load_and_asks_for_no_archive(commands):
    commands.answer("docker image inspect", rc=127)
    result = images_runner.ensure(params(), check=True)
    assert (result["changed"], result["reference"]) == (True, ID)
    assert result["diff"][0]["after"] == f"{ID} of {FILE}\n"


def test_an_archive_that_was_loaded_and_holds_another_image_is_told(commands):
    commands.answer("docker image inspect", rc=1)
    with pytest.raises(Refusal, match=f"found no {ID} on this host after docker had loaded {FILE}; wanted"):
        images_runner.ensure(params(archive_paths={FILE: "/tmp/image.tar"}), check=False)
    assert commands.that("load") == ["docker load --quiet --input /tmp/image.tar"]


@pytest.mark.parametrize("state", [images_runner.look_up, lambda given: images_runner.ensure(given, check=True)])
def test_an_image_of_another_architecture_is_refused_before_anything_changes(state, commands):
    odd = params(archives=[{**params()["archives"][0], "architecture": "s390x"}])
    with pytest.raises(Refusal, match="for s390x in /usb/v.tar; wanted it for "):
        state(odd)
    assert commands.made == []


def test_an_image_that_no_archive_holds_is_the_registrys(commands):
    with pytest.raises(Refusal, match="or gpuchat_image_archives to a folder with its archive"):
        images_runner.look_up(params(name="vllm/v:2"))


def test_looking_up_needs_no_registry_for_what_is_recorded(commands):
    assert images_runner.look_up(params(archives=[], locked_digest=OTHER))["reference"] == f"127.0.0.1:9/vllm/v@{OTHER}"
    assert images_runner.look_up(params(archives=[], locked_digest=f"id:{ID}"))["reference"] == ID
    assert images_runner.look_up(params())["digest"] == f"id:{ID}"
