# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hugging Face's own client, as it is, downloads from the world's hub and verifies what it got."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest
from conftest import SHARD, contents, write
from hub import Access, Hub
from hub_faults import Fault
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

WEIGHTS = "acme/demo/model-00001-of-00002.safetensors"


def download(hub: Hub, folder: pathlib.Path, repo: str = "acme/demo", **options: object) -> dict[str, bytes]:
    options.setdefault("token", False)
    snapshot_download(repo, endpoint=hub.url, local_dir=folder, **options)
    return contents(folder)


def test_a_model_arrives_whole_and_is_verified_against_the_hub(models, tmp_path):
    with Hub(models) as hub:
        assert download(hub, tmp_path / "here") == contents(models / "acme" / "demo")
        found = HfApi(endpoint=hub.url, token=False).verify_repo_checksums("acme/demo", local_dir=tmp_path / "here")
    assert (found.checked_count, found.mismatches, found.missing_paths) == (7, [], [])


def test_the_command_downloads_it_too(models, tmp_path):
    with Hub(models) as hub:
        command = [str(pathlib.Path(sys.executable).parent / "hf"), "download", "acme/demo"]
        subprocess.run(
            [*command, "--local-dir", str(tmp_path / "here")], env=os.environ | {"HF_ENDPOINT": hub.url}, check=True
        )
    assert contents(tmp_path / "here") == contents(models / "acme" / "demo")


def test_verification_finds_what_came_over_the_wire_wrong(models, tmp_path):
    with Hub(models, faults=[Fault("wrong", WEIGHTS, at=SHARD // 2)]) as hub:
        download(hub, tmp_path / "here")
        found = HfApi(endpoint=hub.url, token=False).verify_repo_checksums("acme/demo", local_dir=tmp_path / "here")
    assert [one["path"] for one in found.mismatches] == ["model-00001-of-00002.safetensors"]


def test_a_cut_connection_is_resumed(models, tmp_path):
    size = 25_000_000  # the client counts in chunks of 10 MiB, and asks again for what it has of the last one
    write(models / "acme" / "demo", {"model-00001-of-00002.safetensors": bytes(size)})
    with Hub(models, faults=[Fault("cut", WEIGHTS, at=12_000_000, times=1)]) as hub:
        assert download(hub, tmp_path / "here") == contents(models / "acme" / "demo")
        first, second = hub.log.about(WEIGHTS, "bytes")
    assert first.sent == (0, 12_000_000)
    assert (second.status, second.sent) == (206, (10 * 1024 * 1024, size))


def test_a_private_repository_is_there_only_for_its_readers(models, tmp_path):
    access = Access(private=frozenset({"acme/demo"}), tokens={"reader": ["acme/*"], "stranger": []})
    with Hub(models, access=access) as hub:
        for token in (False, "stranger", "unknown"):
            with pytest.raises(RepositoryNotFoundError if token != "unknown" else Exception):
                download(hub, tmp_path / "not", token=token)
        assert download(hub, tmp_path / "here", token="reader") == contents(models / "acme" / "demo")
        weights = hub.log.about(WEIGHTS)
    assert [(one.server, one.token) for one in weights if one.method == "GET"] == [("cdn", "")]
    assert {one.token for one in weights if one.server == "hub"} == {"reader"}


def test_a_gated_repository_lists_for_all_and_gives_to_who_accepted(models, tmp_path):
    access = Access(gated=frozenset({"acme/demo"}), tokens={"reader": ["acme/demo"], "stranger": []})
    with Hub(models, access=access) as hub:
        assert HfApi(endpoint=hub.url, token=False).model_info("acme/demo").gated == "manual"
        for token in (False, "stranger"):
            with pytest.raises(GatedRepoError):
                download(hub, tmp_path / "not", token=token)
        assert download(hub, tmp_path / "here", token="reader") == contents(models / "acme" / "demo")


def test_a_revision_can_be_named_and_pinned(models, tmp_path):
    with Hub(models) as hub:
        first, head = (
            HfApi(endpoint=hub.url, token=False).model_info("acme/demo", revision=r).sha for r in ("v1", None)
        )
        assert first != head
        assert download(hub, tmp_path / "named", revision="v1") == contents(models / "acme" / "demo@v1")
        assert download(hub, tmp_path / "pinned", revision=first) == contents(models / "acme" / "demo@v1")
        with pytest.raises(RevisionNotFoundError):
            download(hub, tmp_path / "not", revision="v2")


def test_a_commit_stays_what_it_was_when_the_branch_moves(models, tmp_path):
    with Hub(models) as hub:
        before = HfApi(endpoint=hub.url, token=False).model_info("acme/demo").sha
        write(models / "acme" / "demo", {"config.json": b"{}"})
        assert HfApi(endpoint=hub.url, token=False).model_info("acme/demo").sha != before
        with pytest.raises(RevisionNotFoundError):
            download(hub, tmp_path / "not", revision=before)


def test_patterns_choose_files(models, tmp_path):
    with Hub(models) as hub:
        chosen = download(hub, tmp_path / "here", allow_patterns=["*.json", "*.onnx"], ignore_patterns=["original/*"])
    assert set(chosen) == {"config.json", "onnx/model.onnx"}


def test_a_listing_goes_over_pages(models, tmp_path):
    write(models / "acme" / "many", {f"folder-{n % 7}/{n}.txt": b"%d" % n for n in range(1100)})
    with Hub(models) as hub:
        files = HfApi(endpoint=hub.url, token=False).list_repo_tree("acme/many", recursive=True)
        assert sum(1 for one in files if hasattr(one, "blob_id")) == 1100
        assert len(hub.log.about("/api/models/acme/many/tree/*")) == 2
    with Hub(models, page_size=3) as hub:
        assert download(hub, tmp_path / "here") == contents(models / "acme" / "demo")
        assert len(hub.log.about("/api/models/acme/demo/tree/*")) == 3


def test_what_is_not_there_is_said_in_the_hubs_own_words(models, tmp_path):
    with Hub(models) as hub:
        with pytest.raises(RepositoryNotFoundError):
            download(hub, tmp_path / "not", repo="acme/other")
        with pytest.raises(EntryNotFoundError):
            HfApi(endpoint=hub.url, token=False).hf_hub_download("acme/demo", "other.json", local_dir=tmp_path / "not")


def test_models_are_listed(models):
    write(models / "acme" / "secret", {"config.json": b"{}"})
    with Hub(models, access=Access(private=frozenset({"acme/secret"}))) as hub:
        assert [one.id for one in HfApi(endpoint=hub.url, token=False).list_models()] == ["acme/demo"]


def test_paths_and_refs_are_reported(models):
    with Hub(models) as hub:
        api = HfApi(endpoint=hub.url, token=False)
        (weights,) = api.get_paths_info("acme/demo", ["model-00001-of-00002.safetensors"])
        assert (weights.size, weights.lfs.size, len(weights.lfs.sha256)) == (SHARD, SHARD, 64)
        branches = {one.name: one.target_commit for one in api.list_repo_refs("acme/demo").branches}
        assert branches == {name: api.model_info("acme/demo", revision=name).sha for name in ("main", "v1")}
