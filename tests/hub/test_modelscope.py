# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ModelScope's own client, as it is, downloads from the world's hub; it compares each file's SHA-256 itself."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest
from conftest import SHARD, contents, write
from hub import Access, Hub
from hub_faults import Fault
from modelscope import HubApi, snapshot_download

WEIGHTS = "acme/demo/model-00001-of-00002.safetensors"


def download(hub: Hub, folder: pathlib.Path, repo: str = "acme/demo", **options: object) -> dict[str, bytes]:
    snapshot_download(repo, endpoint=hub.url, local_dir=str(folder), **options)
    return contents(folder)


def test_a_model_arrives_whole_its_large_files_in_parallel_ranges(models, tmp_path):
    with Hub(models) as hub:
        assert download(hub, tmp_path / "here") == contents(models / "acme" / "demo")
        weights = hub.log.about(WEIGHTS, "bytes")
    assert len(weights) > 1
    assert all(one.server == "cdn" and one.range for one in weights)


def test_the_command_downloads_it_too(models, tmp_path):
    with Hub(models) as hub:
        command = [str(pathlib.Path(sys.executable).parent / "modelscope"), "download", "--model", "acme/demo"]
        environment = os.environ | {"MODELSCOPE_ENDPOINT": hub.url}
        subprocess.run([*command, "--local_dir", str(tmp_path / "here")], env=environment, check=True)
    assert contents(tmp_path / "here") == contents(models / "acme" / "demo")


def test_wrong_bytes_are_fetched_again(models, tmp_path):
    with Hub(models, faults=[Fault("wrong", WEIGHTS, at=SHARD // 2, times=1)]) as hub:
        assert download(hub, tmp_path / "here") == contents(models / "acme" / "demo")
        assert hub.log.bytes_sent(WEIGHTS) == 2 * SHARD


def test_bytes_that_stay_wrong_are_refused(models, tmp_path):
    with (
        Hub(models, faults=[Fault("wrong", "acme/demo/config.json")]) as hub,
        pytest.raises(Exception, match="(?i)hash"),
    ):
        download(hub, tmp_path / "here")
    assert not (tmp_path / "here" / "config.json").exists()


def test_a_private_repository_is_there_only_for_its_readers(models, tmp_path):
    access = Access(private=frozenset({"acme/demo"}), tokens={"reader": ["acme/*"]})
    with Hub(models, access=access) as hub:
        with pytest.raises(Exception, match="permission"):
            download(hub, tmp_path / "not")
        assert download(hub, tmp_path / "here", token="reader") == contents(models / "acme" / "demo")
        listings = hub.log.about("/api/v1/models/acme/demo/repo/files")
        assert [one.status for one in listings] == [403, 200]
        assert "m_session_id=reader" in listings[-1].headers["cookie"]
        assert {one.token for one in hub.log if one.server == "cdn"} == {""}


def test_a_token_logs_in_and_sets_the_cookie(models, tmp_path):
    with Hub(models, access=Access(tokens={"reader": ["acme/*"]})) as hub:
        HubApi(endpoint=hub.url).login("reader")
        assert [one.status for one in hub.log.about("/api/v1/login")] == [200]
        with pytest.raises(Exception, match="invalid"):
            HubApi(endpoint=hub.url).login("other")


def test_a_revision_can_be_named(models, tmp_path):
    with Hub(models) as hub:
        assert download(hub, tmp_path / "here", revision="v1") == contents(models / "acme" / "demo@v1")
        assert download(hub, tmp_path / "not", revision="v2") == {}  # no files, and no word why, as at the real hub


def test_patterns_choose_files(models, tmp_path):
    with Hub(models) as hub:
        chosen = download(hub, tmp_path / "here", allow_patterns=["*.json"], ignore_patterns=["original/*"])
    assert set(chosen) == {"config.json"}


def test_a_listing_that_is_cut_is_walked_folder_by_folder(models, tmp_path):
    many = {f"folder-{n % 4}/{n}.txt": b"%d" % n for n in range(3100)}
    write(models / "acme" / "many", many)
    with Hub(models) as hub:
        assert download(hub, tmp_path / "here", repo="acme/many", max_workers=8) == many
        listings = hub.log.about("/api/v1/models/acme/many/repo/files")
    assert {one.query.get("Root") for one in listings} == {None, *(f"folder-{n}" for n in range(4))}


def test_what_is_not_there_is_said(models, tmp_path):
    with Hub(models) as hub, pytest.raises(Exception, match="record not found"):
        download(hub, tmp_path / "not", repo="acme/other")
