# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ModelScope as it really is: a commit by halves, and a good status for a revision that it does not know."""

from __future__ import annotations

import dataclasses
import json

import hub_tree
import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model import hub_runner
from conftest import REPO, tree, wanted, write_model
from hub_faults import Fault

SHARD = "model-00001-of-00002.safetensors"
SCOPE = {"source": "modelscope"}


def nameless(monkeypatch):
    """Let the hub name no commit at all."""
    read = hub_tree.modelscope_files
    monkeypatch.setattr(
        hub_tree, "modelscope_files", lambda *words, **more: [{**row, "Revision": ""} for row in read(*words, **more)]
    )
    page = hub_runner.read_modelscope_page
    monkeypatch.setattr(hub_runner, "read_modelscope_page", lambda *words: dataclasses.replace(page(*words), commit=""))


def record(dest, commit):
    """Let the record name another commit, as one of an earlier version may."""
    path = dest / "gpuchat-model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "commit": commit}))


@pytest.mark.parametrize("named", [True, False])
def test_what_is_missing_comes_again_and_what_is_asked_for_may_change(root, dest, ensure, monkeypatch, named):
    if not named:
        nameless(monkeypatch)
    first = ensure(**SCOPE)
    assert len(first["commit"]) == 40
    (dest / SHARD).unlink()
    again = ensure(**SCOPE)
    assert (again["changed"], again["commit"], again["moved_to"]) == (True, first["commit"], "")
    assert tree(dest) == wanted(root / REPO)
    assert ensure(**SCOPE, exclude=["README.md"])["changed"]
    assert tree(dest) == wanted(root / REPO, "README.md")


@pytest.mark.parametrize("named", [True, False])
def test_a_branch_that_has_moved_is_reported(root, ensure, monkeypatch, named):
    if not named:
        nameless(monkeypatch)
    first = ensure(**SCOPE)
    assert ensure(**SCOPE)["moved_to"] == ""
    write_model(root / REPO, seed=2)
    moved = ensure(**SCOPE)
    assert moved["moved_to"] not in ("", first["commit"])
    assert ensure(**SCOPE, update=True)["commit"] == moved["moved_to"]
    assert ensure(**SCOPE)["moved_to"] == ""


def test_a_record_that_names_a_digest_is_no_move_and_is_put_right(hub, root, dest, ensure):
    first = ensure(**SCOPE)
    asker = hub_runner.asker_for({"source": "modelscope"})
    asked = hub_runner.Wanted("modelscope", REPO, "master", "")
    _commit, files = hub_runner._walk(asker, asker.session(), hub_runner.hubs_for(asked, [hub.url])[0])
    record(dest, hub_runner.digest_of(files))
    assert ensure(**SCOPE)["moved_to"] == ""
    (dest / SHARD).unlink()
    assert ensure(**SCOPE)["commit"] == first["commit"]
    assert tree(dest) == wanted(root / REPO)


def test_a_commit_that_the_hub_no_longer_knows_is_told_with_where_the_branch_is(root, dest, ensure):
    old = ensure(**SCOPE)["commit"]
    write_model(root / REPO, seed=2)
    (dest / SHARD).unlink()
    with pytest.raises(Refusal, match=f"stands for .* now, not for {old}; set update to follow it"):
        ensure(**SCOPE)
    assert ensure(**SCOPE, update=True)["changed"]


def test_an_unknown_revision_is_said_so(ensure):
    with pytest.raises(Refusal, match="knows no such revision.*set revision"):
        ensure(**SCOPE, revision="no-such")


NO_TREE = Fault("status", "*/tree/*", stage="api", status=404)


def test_a_mirror_without_a_tree_is_asked_for_siblings(hub, root, dest, ensure):
    hub.faults = [NO_TREE]
    ensure()
    assert tree(dest) == wanted(root / REPO)


def test_a_mirror_without_a_tree_and_sizes_is_told_what_it_lacks(hub, ensure, monkeypatch):
    hub.faults = [NO_TREE]
    info = hub_tree.hugging_face_info
    monkeypatch.setattr(hub_tree, "hugging_face_info", lambda *words, **more: info(*words, **{**more, "blobs": False}))
    with pytest.raises(Refusal, match="has no listing with sizes"):
        ensure()


@pytest.mark.parametrize(("exclude", "warned"), [([], True), (["linked"], False)])
@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_a_link_is_left_out_with_a_word_unless_it_is_excluded(root, dest, ensure, monkeypatch, source, exclude, warned):
    link = hub_runner.ModelFile("linked", 0, kind="a link")
    choose = hub_runner.chosen
    monkeypatch.setattr(hub_runner, "chosen", lambda files, *words: choose((*files, link), *words))
    links = hub_runner.links_of
    monkeypatch.setattr(hub_runner, "links_of", lambda files, *words: links((*files, link), *words))
    result = ensure(source=source, exclude=exclude)
    assert tree(dest) == wanted(root / REPO)
    assert ("linked (a link)" in str(result.get("warnings"))) is warned
    with pytest.raises(Refusal, match="'linked' in the listing as a link; wanted a file; set include"):
        ensure(source=source, include=["linked"])
