# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where models come from, what is asked for, and what a run says without doing it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import socket
import ssl
import subprocess

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model import (
    hub_runner,
    job_runner,
    source_runner,
    store_runner,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system import toolbox_runner
from conftest import REPO, tree, wanted, write_model
from hub import Access, Hub
from hub_faults import Fault

SOURCES = ["huggingface", "modelscope"]
REQUESTS = hub_runner.requests
TOKEN = "hf_of-a-person"
PRIVATE = Access(private=frozenset({REPO}), tokens={TOKEN: ["acme/*"]})


def shows_token(request):
    return TOKEN in request.headers.get("authorization", "") + request.headers.get("cookie", "")


@pytest.mark.parametrize("source", SOURCES)
def test_a_second_run_changes_nothing_and_fetches_nothing(hub, ensure, source):
    first = ensure(source=source)
    assert (first["changed"], first["bytes_fetched"]) == (True, first["bytes_total"])
    assert first["source_used"] == hub.url
    assert first["config"] == {"model_type": "llama", "seed": 1}
    assert first["weights_bytes"] == 2 * 3145912
    hub.log.clear()
    second = ensure(source=source)
    assert (second["changed"], second["bytes_fetched"], second["diff"]) == (False, 0, [])
    assert {**first, "seconds": 0} | {key: second[key] for key in ("commit", "files", "config", "weights_bytes")} == {
        **first,
        "seconds": 0,
    }
    assert hub.log.bytes_sent(f"{REPO}/*") == 0


@pytest.fixture
def without_library(monkeypatch):
    """Take the library away that a bare host does not have."""
    monkeypatch.setattr(hub_runner, "requests", None)
    monkeypatch.setattr(toolbox_runner, "respawn_for", lambda library, toolbox: False)


@pytest.mark.parametrize("source", SOURCES)
def test_a_bare_host_is_reported_the_same_as_one_with_the_toolbox(hub, ensure, source, request):
    calls = ({"state": "metadata"}, {"check": True})
    described = [{**ensure(source=source, **call), "seconds": 0} for call in calls]
    request.getfixturevalue("without_library")
    assert [{**ensure(source=source, **call), "seconds": 0} for call in calls] == described
    assert described[1]["bytes_to_fetch"] > 0


@pytest.mark.usefixtures("without_library")
@pytest.mark.parametrize("source", SOURCES)
def test_a_bare_host_shows_its_token_to_the_hub_alone(hub, ensure, source):
    hub.access = PRIVATE
    with pytest.raises(Refusal, match="token"):
        ensure(source=source, state="metadata")
    hub.log.clear()
    assert ensure(source=source, state="metadata", token=TOKEN, token_for=hub.url)["weights_bytes"] > 0
    assert any(shows_token(asked) for asked in hub.log)
    assert not [asked for asked in hub.log if asked.server == "cdn" and shows_token(asked)]


@pytest.mark.usefixtures("without_library")
def test_a_bare_host_is_refused_a_transfer_and_a_hub_that_is_not_there(ensure):
    with pytest.raises(Refusal, match="run the role toolbox first"):
        ensure()
    with pytest.raises(Refusal, match="127.0.0.1:9"):
        ensure(state="metadata", endpoint=["http://127.0.0.1:9"])


@pytest.mark.parametrize("source", SOURCES)
def test_a_commit_is_never_asked_for_again(hub, ensure, source):
    commit = ensure(source=source)["commit"]
    ensure(source=source, revision=commit)
    hub.log.clear()
    assert not ensure(source=source, revision=commit)["changed"]
    assert list(hub.log) == []


@pytest.mark.parametrize("source", SOURCES)
def test_another_name_for_the_same_commit_fetches_nothing_and_is_recorded(hub, ensure, source):
    commit = ensure(source=source)["commit"]
    result = ensure(source=source, revision=commit)
    assert (result["changed"], result["bytes_fetched"]) == (True, 0)
    assert not ensure(source=source, revision=commit)["changed"]


@pytest.mark.parametrize("source", SOURCES)
def test_a_pinned_commit_is_brought_though_the_branch_has_moved(hub, root, dest, ensure, source):
    write_model(root / f"{REPO}@v1", seed=3)
    commit = ensure(source=source, revision="v1")["commit"]
    ensure(source=source, state="absent")
    result = ensure(source=source, revision=commit)
    assert result["commit"] == commit
    assert tree(dest) == wanted(root / f"{REPO}@v1")


@pytest.mark.parametrize("source", SOURCES)
def test_a_moved_branch_is_reported_and_followed_only_on_demand(hub, root, dest, ensure, source):
    old = ensure(source=source)
    write_model(root / REPO, seed=2)
    stays = ensure(source=source)
    assert (stays["changed"], stays["commit"]) == (False, old["commit"])
    assert stays["moved_to"] not in ("", old["commit"])
    assert "set update to follow it" in stays["msg"]
    moved = ensure(source=source, update=True)
    assert (moved["changed"], moved["commit"], moved["moved_to"]) == (True, stays["moved_to"], "")
    assert tree(dest) == wanted(root / REPO)


def test_a_hub_that_is_gone_does_not_matter_once_the_model_is_there(root, dest, ensure):
    with Hub(root) as hub:
        ensure(endpoint=[hub.url])
    result = ensure(endpoint=[hub.url])
    assert (result["changed"], result["moved_to"]) == (False, "")


def test_a_revision_takes_over_what_has_not_changed(hub, root, dest, ensure):
    ensure()
    (root / REPO / "config.json").write_text(json.dumps({"model_type": "qwen3"}))
    node = os.stat(dest / "model-00001-of-00002.safetensors").st_ino
    result = ensure(update=True)
    assert result["bytes_fetched"] == (root / REPO / "config.json").stat().st_size
    assert os.stat(dest / "model-00001-of-00002.safetensors").st_ino == node
    assert tree(dest) == wanted(root / REPO)


@pytest.mark.parametrize(
    ("include", "exclude", "left"),
    [
        (
            ["*.json"],
            [],
            {"config.json", "original/params.json", "tokenizer_config.json", "model.safetensors.index.json"},
        ),
        (["*.json"], ["original/"], {"config.json", "tokenizer_config.json", "model.safetensors.index.json"}),
        (["pytorch_model.bin", "config.json"], [], {"pytorch_model.bin", "config.json"}),
        (["original/*"], [], {"original/params.json"}),
    ],
)
def test_only_what_is_asked_for_is_brought(dest, ensure, include, exclude, left):
    ensure(include=include, exclude=exclude)
    assert set(tree(dest)) == left
    assert not ensure(include=include, exclude=exclude)["changed"]


def test_a_change_of_what_is_asked_for_adds_and_removes(hub, root, dest, ensure):
    ensure(exclude=["original/"])
    hub.log.clear()
    result = ensure(exclude=["README.md"])
    assert set(tree(dest)) == set(wanted(root / REPO, "README.md"))
    assert result["bytes_fetched"] == 2


@pytest.mark.parametrize("source", SOURCES)
def test_check_mode_tells_files_and_bytes_and_fetches_none(hub, dest, ensure, source):
    result = ensure(check=True, source=source)
    assert (result["changed"], result["bytes_to_fetch"], result["bytes_fetched"]) == (True, result["bytes_total"], 0)
    assert hub.log.bytes_sent(f"{REPO}/*.safetensors") <= LOOKED_AT
    assert not dest.parent.exists()
    after = result["diff"][0]["after"]
    assert "model-00001-of-00002.safetensors  3145912 bytes  sha256:" in after
    assert f"commit {result['commit']}" in after
    done = ensure(source=source)
    assert [done[key] for key in ("commit", "bytes_total", "diff")] == [
        result[key] for key in ("commit", "bytes_total", "diff")
    ]


def test_the_diff_of_a_damaged_model_names_the_file(dest, ensure):
    ensure()
    shard = dest / "model-00001-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    result = ensure(check=True)
    (diff,) = result["diff"]
    assert result["changed"]
    assert f"{shard.name}  3145912 bytes  not as it was fetched" in diff["before"]
    assert f"{shard.name}  3145912 bytes  sha256:" in diff["after"]


def test_the_diff_of_a_new_revision_names_what_differs(root, ensure):
    ensure()
    (root / REPO / "config.json").write_text('{"model_type": "llama"}')
    os.unlink(root / REPO / "README.md")
    diff = ensure(check=True, update=True)["diff"][0]
    before, after = set(diff["before"].splitlines()), set(diff["after"].splitlines())
    assert {line.split()[0] for line in before - after} == {"commit", "config.json", "README.md"}
    assert {line.split()[0] for line in after - before} == {"commit", "config.json"}


@pytest.mark.parametrize("source", SOURCES)
def test_metadata_tells_what_a_model_is_before_a_weight_is_fetched(hub, dest, ensure, source):
    result = ensure(source=source, state="metadata")
    assert (result["changed"], result["config"]["model_type"]) == (False, "llama")
    assert result["weights_bytes"] == 2 * 3145912
    assert set(result["data"]) == {"config.json", "tokenizer_config.json"}
    assert hub.log.bytes_sent(f"{REPO}/*.safetensors") <= LOOKED_AT
    assert not dest.parent.exists()


@pytest.mark.parametrize("source", [*SOURCES, "path"])
def test_what_the_small_files_say_is_told_again_once_the_model_is_there(root, dest, ensure, source):
    (root / REPO / "generation_config.json").write_text('{"temperature": 0.6}')
    (root / REPO / "chat_template.jinja").write_text("{{ tools }} ümlaut")
    (root / REPO / "additional_chat_templates").mkdir()
    (root / REPO / "additional_chat_templates" / "rag.jinja").write_text("{{ documents }}")
    params = {"repo": str(root / REPO)} if source == "path" else {}
    before = ensure(source=source, state="metadata", **params)["data"]
    ensure(source=source, **params)
    assert ensure(source=source, state="metadata", **params)["data"] == before
    assert ensure(source="path", repo=str(dest), state="metadata")["data"] == before
    assert before["generation_config.json"] == {"temperature": 0.6}
    assert before["chat_template.jinja"] == "{{ tools }} ümlaut"
    assert before["additional_chat_templates/rag.jinja"] == "{{ documents }}"


@pytest.mark.parametrize("source", SOURCES)
def test_a_private_model_is_read_with_its_token(root, dest, ensure, source):
    with Hub(root, access=PRIVATE) as hub:
        ensure(source=source, endpoint=[hub.url], token=TOKEN, token_for=hub.url)
        assert tree(dest) == wanted(root / REPO)
        assert any(shows_token(request) for request in hub.log)
        assert not [request for request in hub.log if request.server == "cdn" and shows_token(request)]


@pytest.mark.parametrize("source", SOURCES)
def test_a_token_is_not_shown_to_an_endpoint_that_it_is_not_for(root, ensure, source):
    with Hub(root, access=PRIVATE) as hub:
        with pytest.raises(Refusal, match="a token is set, but not for this endpoint.*set token_for"):
            ensure(source=source, endpoint=[hub.url], token=TOKEN)
        assert not [request for request in hub.log if shows_token(request)]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("access", ["private", "gated"])
def test_a_model_that_needs_a_token_says_so(root, dest, ensure, source, access):
    with Hub(root, access=Access(**{access: frozenset({REPO})})) as hub, pytest.raises(Refusal, match="set token"):
        ensure(source=source, endpoint=[hub.url])
    assert not dest.exists()


def test_a_gated_model_whose_licence_was_not_accepted_says_so(root, ensure):
    access = Access(gated=frozenset({REPO}), tokens={TOKEN: ["other/*"]})
    with Hub(root, access=access) as hub, pytest.raises(Refusal, match=f"accept.*licence.*{hub.url}/{REPO}"):
        ensure(endpoint=[hub.url], token=TOKEN, token_for=hub.url)


def test_a_password_file_in_the_home_folder_is_never_read(hub, tmp_path, ensure, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    ensure()
    assert not [request for request in hub.log if "authorization" in request.headers]


def test_the_first_endpoint_that_holds_the_model_is_used(root, tmp_path, dest, ensure):
    (tmp_path / "empty").mkdir()
    with Hub(tmp_path / "empty") as without, Hub(root, access=PRIVATE) as hub:
        gone = "http://127.0.0.1:9"
        result = ensure(endpoint=[gone, without.url, hub.url], token=TOKEN, token_for=hub.url)
        assert result["source_used"] == hub.url
        assert tree(dest) == wanted(root / REPO)
        assert not [request for request in without.log if shows_token(request)]


def test_what_each_endpoint_said_is_reported_where_none_has_the_model(tmp_path, ensure):
    (tmp_path / "empty").mkdir()
    with Hub(tmp_path / "empty") as without, pytest.raises(Refusal) as refused:
        ensure(endpoint=["http://127.0.0.1:9", without.url])
    assert "http://127.0.0.1:9 cannot be reached (ConnectionRefusedError: Connection refused)" in str(refused.value)
    assert f"{without.url} answered 401" in str(refused.value)


@pytest.mark.parametrize("source", SOURCES)
def test_a_revision_that_is_not_there_is_reported(ensure, source):
    with pytest.raises(Refusal, match="set (repo, )?revision"):
        ensure(source=source, revision="no-such")


def test_a_listing_of_many_pages_is_read_to_its_end(root, dest, ensure):
    with Hub(root, page_size=2) as hub:
        ensure(endpoint=[hub.url])
    assert tree(dest) == wanted(root / REPO)


def test_a_listing_that_modelscope_cuts_is_walked(root, dest, ensure, monkeypatch):
    for folder in ("a", "a/b", "c"):
        for name in range(4):
            path = root / REPO / folder / f"{name}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{folder} {name}")
    monkeypatch.setattr("ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model.hubs.MODELSCOPE_CUT", 13)
    with Hub(root, entries_limit=13) as hub:
        ensure(source="modelscope", endpoint=[hub.url])
    assert tree(dest) == wanted(root / REPO)


def test_proxies_of_the_environment_are_honoured(root, dest, ensure, monkeypatch):
    with Hub(root) as hub:
        monkeypatch.setenv("http_proxy", hub.url)
        monkeypatch.setenv("no_proxy", "")
        with contextlib.suppress(Refusal):  # this hub is no proxy, but it is asked
            ensure(endpoint=["http://hub.example.invalid"])
        assert "hub.example.invalid" in {request.headers["host"] for request in hub.log}


PROXIES = {
    "one that is not there": ("http://127.0.0.1:9", r"Connection refused, by the proxy http://127\.0\.0\.1:9\)"),
    "one with a login": ("http://kim:s3cret@127.0.0.1:9", r"by the proxy http://127\.0\.0\.1:9\)"),
    "one without a scheme": ("127.0.0.1:9", r"by the proxy 127\.0\.0\.1:9\)"),
    "one of SOCKS": ("socks5://127.0.0.1:9", r"SOCKS.*by the proxy socks5://127\.0\.0\.1:9\).*an HTTP proxy"),
}


@pytest.mark.parametrize("library", [True, False])
@pytest.mark.parametrize(("proxy", "words"), PROXIES.values(), ids=PROXIES)
def test_a_proxy_of_the_hosts_own_that_does_not_serve_is_named(ensure, monkeypatch, request, proxy, words, library):
    if not library:
        request.getfixturevalue("without_library")
    monkeypatch.setattr(hub_runner.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(Refusal, match=words) as refused:
        ensure(state="metadata", endpoint=["https://hub.example.invalid"])
    assert "its https_proxy and no_proxy" in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_an_export_serves_a_closed_network(hub, root, dest, ensure, tmp_path):
    first = ensure()
    served = tmp_path / "www" / "models"
    exported = ensure(state="export", export=str(served / "demo"))
    assert exported["changed"]
    assert tree(served / "demo") == wanted(root / REPO)
    assert not ensure(state="export", export=str(served / "demo"))["changed"]
    shutil.copytree(served / "demo", root / "plain" / "copy")
    closed = {"source": "http", "endpoint": [f"{hub.url}/plain"], "repo": "plain/copy"}
    result = ensure(**closed, dest=str(tmp_path / "closed"))
    assert (result["changed"], result["commit"]) == (True, first["commit"])
    assert tree(tmp_path / "closed") == wanted(root / REPO)
    assert not ensure(**closed, dest=str(tmp_path / "closed"))["changed"]
    assert not ensure(**closed, dest=str(tmp_path / "closed"), revision="")["changed"]
    for revision in (first["commit"], "main"):
        assert ensure(**closed, dest=str(tmp_path / revision), revision=revision)["commit"] == first["commit"]
    with pytest.raises(Refusal, match="wanted v9; set revision"):
        ensure(**closed, dest=str(tmp_path / "v9"), revision="v9")


def test_wrong_bytes_in_a_plain_tree_are_never_taken(hub, root, ensure, tmp_path):
    ensure()
    ensure(state="export", export=str(root / "plain" / "copy"))
    hub.faults = [Fault("wrong", "plain/copy/*.safetensors", at=700)]
    with pytest.raises(Refusal, match="is not what the source says, twice over"):
        ensure(source="http", endpoint=[f"{hub.url}/plain"], repo="plain/copy", dest=str(tmp_path / "closed"))
    assert not (tmp_path / "closed").exists()


def test_a_folder_on_the_host_is_copied_and_verified(ensure, tmp_path, root, dest):
    ensure()
    result = ensure(source="path", repo=str(dest), dest=str(tmp_path / "copy"))
    assert (result["changed"], result["bytes_fetched"]) == (True, result["bytes_total"])
    assert tree(tmp_path / "copy") == wanted(root / REPO)
    assert not ensure(source="path", repo=str(dest), dest=str(tmp_path / "copy"))["changed"]
    (dest / "model-00001-of-00002.safetensors").write_bytes(b"x" * 3145912)
    with pytest.raises(Refusal, match="is not what its manifest says"):
        ensure(source="path", repo=str(dest), dest=str(tmp_path / "other"))
    assert not (tmp_path / "other").exists()


def test_a_plain_folder_without_a_manifest_is_copied_too(ensure, tmp_path, root):
    params = {"source": "path", "repo": str(root / REPO), "dest": str(tmp_path / "copy")}
    assert ensure(**params)["changed"]
    assert tree(tmp_path / "copy") == wanted(root / REPO)
    assert not ensure(**params)["changed"]
    assert not ensure(**params, update=True)["changed"]
    (root / REPO / "config.json").write_text('{"model_type": "qwen3"}')
    assert ensure(**params, update=True)["changed"]
    assert tree(tmp_path / "copy") == wanted(root / REPO)


def test_absent_removes_what_was_brought_and_nothing_else(ensure, dest):
    ensure()
    (dest / "notes.txt").write_text("mine")
    assert ensure()["unknown"] == ["notes.txt"]
    predicted = ensure(state="absent", check=True)
    assert (predicted["changed"], predicted["unknown"]) == (True, ["notes.txt"])
    assert ensure(state="absent")["diff"] == predicted["diff"]
    assert [path.name for path in dest.parent.rglob("*")] == ["demo", "notes.txt"]
    assert not ensure(state="absent")["changed"]
    (dest / "notes.txt").unlink()


def test_absent_removes_the_folder_with_the_last_file(ensure, dest):
    ensure()
    ensure(state="absent")
    assert list(dest.parent.iterdir()) == []


def test_files_of_others_move_along_to_a_new_revision(root, dest, ensure):
    ensure()
    (dest / "mine").mkdir()
    (dest / "mine" / "template.jinja").write_text("mine")
    (dest / "link").symlink_to("config.json")
    write_model(root / REPO, seed=2)
    result = ensure(update=True)
    assert result["unknown"] == ["link", "mine/template.jinja"]
    assert (dest / "mine" / "template.jinja").read_text() == "mine"
    assert os.readlink(dest / "link") == "config.json"


def test_a_model_that_somebody_else_fetched_is_verified_and_taken_over(hub, root, dest, ensure):
    shutil.copytree(root / REPO, dest)
    (dest / "model-00002-of-00002.safetensors").write_bytes(b"\0" * 3145912)
    assert "read before they are fetched" in ensure(check=True)["not_predicted"][0]
    result = ensure()
    assert tree(dest) == tree(root / REPO)
    assert result["unknown"] == ["pytorch_model.bin"]
    assert result["bytes_fetched"] == 3145912


def test_a_file_whose_time_alone_has_changed_is_read_and_not_fetched(hub, dest, ensure):
    ensure()
    os.utime(dest / "model-00001-of-00002.safetensors", ns=(1, 1))
    result = ensure()
    assert (result["changed"], result["bytes_fetched"]) == (True, 0)


def test_bytes_that_changed_behind_our_back_are_seen_where_all_is_read(root, dest, ensure):
    ensure()
    shard = dest / "model-00001-of-00002.safetensors"
    times = os.stat(shard)
    with shard.open("r+b") as file:
        file.seek(1000)
        file.write(b"\0\1\2\3")
    os.utime(shard, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not ensure()["changed"]
    assert ensure(verify="always")["bytes_fetched"] == 3145912
    assert tree(dest) == wanted(root / REPO)


def test_a_model_is_readable_by_everybody(ensure, dest):
    os.umask(0o077)
    try:
        ensure()
    finally:
        os.umask(0o022)
    assert {path.stat().st_mode & 0o777 for path in dest.rglob("*") if path.is_file()} == {0o644}
    assert {path.stat().st_mode & 0o777 for path in [dest, *dest.rglob("*")] if path.is_dir()} == {0o755}


def place(root, tensor, shard="model-00002-of-00002.safetensors"):
    """Let the index name a tensor."""
    index = json.loads((root / REPO / "model.safetensors.index.json").read_text())
    index["weight_map"][tensor] = shard
    (root / REPO / "model.safetensors.index.json").write_text(json.dumps(index))


LOOKED_AT = 2 * hub_runner.HEAD  # the headers of two shards
CALLS = [{}, {"check": True}, {"state": "metadata"}]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("source", SOURCES)
def test_a_tensor_that_the_engine_needs_and_no_shard_holds_is_known_before_the_fetch(
    hub, root, dest, ensure, source, call
):
    place(root, "layers.9.weight")
    with pytest.raises(
        Refusal, match="lacks 1 tensors that model.safetensors.index.json places there, layers.9.weight .* verify to"
    ):
        ensure(source=source, **call)
    assert hub.log.bytes_sent(f"{REPO}/*.safetensors") <= LOOKED_AT
    assert not dest.exists()
    assert "layers.9.weight" in ensure(source=source, verify="never", **call)["warnings"][0]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("tensor", "shard"),
    [("mtp.fc.weight", "2-of-00002"), ("layers.0.weight", "2-of-00002"), ("lm_head.weight", "1-of-00002")],
)
def test_a_tensor_in_the_wrong_place_that_does_no_harm_is_a_warning(root, dest, ensure, call, tensor, shard):
    (root / REPO / "config.json").write_text('{"model_type": "llama", "tie_word_embeddings": true}')
    place(root, tensor, f"model-0000{shard}.safetensors")
    assert tensor in ensure(**call)["warnings"][0]
    assert call or tree(dest) == wanted(root / REPO)


def test_the_headers_that_were_looked_at_are_not_fetched_again(hub, root, ensure):
    result = ensure()
    assert hub.log.repeated_bytes(f"{REPO}/*.safetensors") == 0
    assert result["bytes_fetched"] == result["bytes_total"]


def test_a_damaged_header_is_refused_though_its_hash_is_right(root, dest, ensure):
    shard = root / REPO / "model-00001-of-00002.safetensors"
    shard.write_bytes(b"\xff" * 8 + shard.read_bytes()[8:])
    with pytest.raises(Refusal, match="begins with no safetensors header"):
        ensure()
    assert not dest.exists()


@pytest.mark.parametrize("status", [401, 403])
def test_a_firewalls_page_in_place_of_a_listing_is_no_model_that_does_not_exist(dest, ensure, monkeypatch, status):
    page = hub_runner.Reply(status, {}), b"<!DOCTYPE html><html>Blocked by policy</html>"
    monkeypatch.setattr(hub_runner.Asker, "follow", lambda self, session, url, silent, way: way.append(url) or page)
    with pytest.raises(Refusal, match=f"answered {status} .a web page, .* wanted the hub's own word; let this host"):
        ensure(endpoint=["http://127.0.0.1:9"])
    assert not dest.exists()


@pytest.mark.parametrize("content", ["{", "", "\ufeff{}", "[]"])
@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_a_config_that_is_none_is_told_before_weights_are_fetched(hub, root, dest, ensure, source, content):
    (root / REPO / "config.json").write_text(content)
    with pytest.raises(Refusal, match="holds a config.json that is no JSON"):
        ensure(source=source)
    assert hub.log.bytes_sent("*.safetensors") == 0
    assert not dest.exists()


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a//b", "./a", "a\\b"])
@pytest.mark.parametrize("source", ["huggingface", "modelscope", "http"])
def test_a_listing_that_leads_out_of_the_folder_is_refused(tmp_path, dest, ensure, monkeypatch, source, name):
    entry = {"type": "file", "path": name, "size": 1, "oid": "0" * 40}
    bodies = {
        "huggingface": [entry],
        "modelscope": {"Success": True, "Data": {"Files": [{"Path": name, "Type": "blob", "Size": 1}]}},
        "http": {
            **dict.fromkeys(("source", "repo", "revision"), ""),
            **{key: [] for key in ("include", "exclude")},
            "format": 1,
            "commit": "c",
            "files": [{"path": name, "size": 1}],
        },
    }

    def ask(self, session, url, attempts=1, silent=1):
        body = {"sha": "0" * 40} if "/revision/" in url else bodies[source]
        return hub_runner.Reply(200, {}), json.dumps(body).encode()

    monkeypatch.setattr(hub_runner.Asker, "ask", ask)
    with pytest.raises(Refusal, match=r"wanted one below the model's folder|no gpuchat-model.json that can be read"):
        ensure(source=source, endpoint=["http://127.0.0.1:9"])
    assert not dest.parent.exists()


@pytest.fixture
def repository(root, monkeypatch):
    """Return what makes a git repository of the model's folder, and the parameters that ask for it."""
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    monkeypatch.setattr(source_runner, "endpoints", lambda *_: ("file://",))

    def made():
        for words in (
            ["init", "-q", "-b", "main"],
            ["add", "."],
            ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "x"],
            ["update-server-info"],
        ):
            subprocess.run(["git", "-C", str(root / REPO), *words], check=True)
        return {"source": "git", "repo": str(root / REPO).strip("/"), "revision": "main", "endpoint": ["http://x"]}

    return made


def test_git_brings_a_model_too(root, dest, ensure, repository):
    source, head = repository(), ["git", "-C", str(root / REPO), "rev-parse", "HEAD"]
    commit = subprocess.run(head, check=True, capture_output=True, text=True).stdout.strip()
    predicted = ensure(check=True, **source)
    assert (predicted["changed"], predicted["commit"]) == (True, commit)
    assert "git does not list them" in predicted["not_predicted"][0]
    result = ensure(**source)
    assert not ensure(**source)["changed"]
    assert not ensure(**source, update=True)["changed"]
    shutil.rmtree(root / REPO / ".git")
    assert (result["changed"], result["commit"]) == (True, commit)
    assert tree(dest) == wanted(root / REPO)


@pytest.mark.parametrize("source", ["git", "path"])
def test_a_link_is_followed_to_a_file_and_no_further(root, dest, ensure, tmp_path, repository, source):
    (tmp_path / "shadow").write_text("of this host alone")
    links = {"same.json": "config.json", "theirs.json": tmp_path / "shadow", "gone.json": "gone", "folder": "original"}
    for name, target in links.items():
        (root / REPO / name).symlink_to(target)
    (root / REPO / "circle.json").symlink_to("circle.json")
    result = ensure(**(repository() if source == "git" else {"source": "path", "repo": str(root / REPO)}))
    there = tree(dest)
    assert there["same.json"] == there["config.json"]
    assert ("theirs.json" in there) is (source == "path")  # a person's own folder, such as a client's cache of links
    assert not {"gone.json", "circle.json", "folder"} & set(there)
    for word in ("gone.json (a link that leads nowhere)", "folder (a link to a folder)"):
        assert word in result["warnings"][0]
    assert ("theirs.json (a link that leads out of it)" in result["warnings"][0]) is (source == "git")


@pytest.fixture
def meanwhile(monkeypatch):
    """Let something happen after all is fetched and before it is published."""

    def set_up(happen):
        fetch = source_runner.HubSource.fetch

        def fetched(self, *args):
            brought = fetch(self, *args)
            happen()
            return brought

        monkeypatch.setattr(source_runner.HubSource, "fetch", fetched)

    return set_up


def test_files_that_others_bring_during_a_long_fetch_move_along_too(root, dest, ensure, meanwhile):
    ensure()
    write_model(root / REPO, seed=2)
    meanwhile(lambda: (dest / "template.jinja").write_text("mine"))
    ensure(update=True)
    assert tree(dest) == {**wanted(root / REPO), "template.jinja": tree(dest)["template.jinja"]}


def test_a_kept_file_that_changes_during_a_long_fetch_is_never_published(root, dest, ensure, meanwhile, monkeypatch):
    ensure()
    (root / REPO / "config.json").write_text('{"model_type": "qwen3"}')
    meanwhile(lambda: (dest / "model-00001-of-00002.safetensors").write_bytes(b"x" * 3145912))
    with pytest.raises(Refusal, match=r"model-00001-of-00002.safetensors was changed while .* run again"):
        ensure(update=True)
    monkeypatch.undo()
    ensure(update=True)
    assert tree(dest) == wanted(root / REPO)


def test_bytes_that_were_never_verified_are_not_taken_by_a_run_that_wants_proof(hub, root, dest, ensure):
    first, second = (f"{REPO}/model-0000{one}-of-00002.safetensors" for one in (1, 2))
    hub.faults = [Fault("wrong", first, at=4000), Fault("status", second, status=404)]
    with pytest.raises(Refusal, match="delivered nothing new"):
        ensure(verify="never", workers=1, connections_per_file=1)
    assert os.listdir(dest.parent / "demo.gpuchat" / "whole")
    hub.faults = []
    ensure()
    assert tree(dest) == wanted(root / REPO)


def test_a_shard_that_the_hub_lacks_is_reported_before_a_byte_is_fetched(hub, root, dest, ensure):
    os.unlink(root / REPO / "model-00002-of-00002.safetensors")
    for call in ({"state": "metadata"}, {"check": True}, {}):
        with pytest.raises(Refusal, match=r"names the shard model-00002-of-00002\.safetensors"):
            ensure(**call)
    assert hub.log.bytes_sent(f"{REPO}/*.safetensors") <= LOOKED_AT
    ensure(exclude=["model-00002*"])


@pytest.mark.usefixtures("without_library")
def test_a_bare_host_is_reported_of_a_moved_branch(hub, root, ensure, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(hub_runner, "requests", REQUESTS)
        patched.setattr(toolbox_runner, "respawn_for", lambda library, toolbox: True)
        old = ensure()
    write_model(root / REPO, seed=2)
    result = ensure()
    assert (result["changed"], result["commit"]) == (False, old["commit"])
    assert result["moved_to"] not in ("", old["commit"])


@pytest.mark.parametrize(("foreign", "model"), [("original", "file"), ("README.md/mine", "folder")])
def test_a_file_of_others_in_the_way_is_named_and_stays(hub, dest, ensure, foreign, model):
    (dest / foreign).parent.mkdir(parents=True)
    (dest / foreign).write_text("mine")
    with pytest.raises(Refusal, match=f"{foreign}, which is none of ours and in the way.*move it elsewhere"):
        ensure()
    assert (dest / foreign).read_text() == "mine"
    assert hub.log.bytes_sent(f"{REPO}/*.safetensors") <= LOOKED_AT


def test_absent_removes_a_model_that_a_run_left_between_two_renames(dest, ensure):
    ensure()
    (dest.parent / "demo.gpuchat").mkdir(mode=0o700)
    dest.rename(dest.parent / "demo.gpuchat" / "previous")
    assert ensure(state="absent")["changed"]
    assert list(dest.parent.iterdir()) == []


def test_absent_follows_no_link(dest, ensure, tmp_path):
    ensure()
    (dest / "original").rename(tmp_path / "elsewhere")
    (dest / "original").symlink_to(tmp_path / "elsewhere")
    ensure(state="absent")
    assert (tmp_path / "elsewhere" / "params.json").exists()
    assert os.listdir(dest) == ["original"]


def test_a_link_that_somebody_put_where_the_run_works_is_not_followed(dest, ensure, tmp_path):
    dest.parent.mkdir()
    (tmp_path / "theirs").mkdir()
    (dest.parent / "demo.gpuchat").symlink_to(tmp_path / "theirs")
    with pytest.raises(Refusal, match=r"demo\.gpuchat, a link or made by .* wanted a folder of our own"):
        ensure()
    assert list((tmp_path / "theirs").iterdir()) == []


def test_a_lock_that_leads_elsewhere_truncates_nothing(dest, ensure, tmp_path):
    (dest.parent / "demo.gpuchat").mkdir(parents=True, mode=0o700)
    (tmp_path / "precious").write_text("precious")
    (dest.parent / "demo.gpuchat" / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(Refusal, match="symbolic links"):
        ensure()
    assert (tmp_path / "precious").read_text() == "precious"


def test_what_the_disk_refuses_is_reported_in_plain_words_by_a_job_too(ensure, monkeypatch):
    def full(*_words):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/disk/part")

    monkeypatch.setattr(store_runner.Store, "publish", full)
    monkeypatch.setattr(job_runner, "nobody_listens", lambda: False)
    with pytest.raises(Refusal, match="^found 'No space left on device' at /disk/part; wanted to read and write"):
        ensure(job="one", job_seconds=60)


def answering(monkeypatch, answer):
    """Let each question to a hub have the answer that a function gives for its address."""

    def ask(self, session, url, attempts=1, silent=1):
        body, headers = answer(url)
        return hub_runner.Reply(200, headers), json.dumps(body).encode()

    monkeypatch.setattr(hub_runner.Asker, "ask", ask)


@pytest.mark.parametrize("entries", [["x"], [{"type": "file"}], [{"type": "file", "path": "a", "size": "big"}], [{}]])
def test_a_listing_that_makes_no_sense_is_refused(ensure, monkeypatch, entries):
    bodies = {
        "/revision/": {"sha": "0" * 40},
        "/tree/": entries,
        "/repo/": {"Success": True, "Data": {"Files": entries}},
    }
    answering(monkeypatch, lambda url: (next(body for part, body in bodies.items() if part in url), {}))
    for source in SOURCES:
        with pytest.raises(Refusal, match="which cannot be read"):
            ensure(source=source, state="metadata")


@pytest.mark.parametrize("host", ["https://huggingface.co", "http://mirror.example.com", ""])
def test_the_next_page_is_asked_for_below_the_mirrors_own_prefix(ensure, monkeypatch, host):
    asked = []

    def answer(url):
        asked.append(url)
        if "/revision/" in url:
            return {"sha": "0" * 40}, {}
        name, link = ("b", {}) if "cursor=" in url else ("a", {"link": f'<{host}/api/x?cursor=2&limit=1>; rel="next"'})
        return [{"type": "file", "path": name, "size": 1, "oid": "0" * 40}], link

    answering(monkeypatch, answer)
    result = ensure(state="metadata", endpoint=["http://mirror.example.com/hub/"], include=["*"])
    assert [file["path"] for file in result["files"]] == ["a", "b"]
    assert asked[-1] == f"http://mirror.example.com/hub/api/models/{REPO}/tree/{'0' * 40}?cursor=2&limit=1"


@pytest.mark.parametrize("library", [True, False])
def test_a_redirect_to_a_file_of_the_host_is_refused(library, ensure, monkeypatch, request):
    if not library:
        request.getfixturevalue("without_library")
    open_one = hub_runner.Asker.follow

    def follow(self, session, url, silent, way):
        return open_one(self, session, "file:///etc/passwd", silent, way)

    monkeypatch.setattr(hub_runner.Asker, "follow", follow)
    with pytest.raises(Refusal, match="found the address 'file:///etc/passwd'"):
        ensure(state="metadata")


def test_a_gated_model_without_small_files_names_the_hint_too(root, ensure):
    for path in (root / REPO).glob("*.json"):
        path.unlink()
    hint = "accept the model's licence at the hub, and set token"
    with Hub(root, access=Access(gated=frozenset({REPO}))) as hub, pytest.raises(Refusal, match=hint):
        ensure(endpoint=[hub.url], include=["*.safetensors"])


@pytest.mark.parametrize("source", SOURCES)
def test_files_with_odd_names_are_brought(root, dest, ensure, source):
    names = ("a b", "50%", "%41", "\u00fc \u6f22", "q?x=1&y#z", "a+b", "..x", "x..", "[x]*", "~a;b", "a\nb", "-rf")
    for name in names:
        (root / REPO / "sub \u00fc").mkdir(exist_ok=True)
        for folder in (root / REPO, root / REPO / "sub \u00fc"):
            (folder / name).write_text(name)
    ensure(source=source)
    assert tree(dest) == wanted(root / REPO)


@pytest.mark.parametrize("source", SOURCES)
def test_a_second_copy_of_the_weights_is_neither_fetched_nor_counted(hub, root, dest, ensure, source):
    for name in ("consolidated.safetensors", "original/model.safetensors"):
        shutil.copy(root / REPO / "model-00001-of-00002.safetensors", root / REPO / name)
    shown = ensure(source=source, state="metadata")
    assert shown["weights_bytes"] == 2 * 3145912
    done = ensure(source=source)
    assert done["weights_bytes"] == shown["weights_bytes"] == ensure(source=source)["weights_bytes"]
    assert tree(dest) == wanted(root / REPO, "consolidated.safetensors", "original/model.safetensors")
    assert ensure(dest=str(dest), source="path", repo="")["weights_bytes"] == 2 * 3145912
    everything = {"include": ["*"], "exclude": ["*.bin"]}
    assert ensure(source=source, **everything)["weights_bytes"] == 2 * 3145912
    assert ensure(source=source, **everything)["weights_bytes"] == 2 * 3145912
    assert tree(dest) == wanted(root / REPO)


POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 4976698672\n".encode()
SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]


@pytest.mark.parametrize("state", ["present", "metadata"])
@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
@pytest.mark.parametrize("names", [SHARDS, ["x-Q4_K_M.gguf"]])
def test_a_hub_that_gives_pointers_of_git_lfs_for_weights_is_refused(hub, root, dest, ensure, source, names, state):
    for name in SHARDS:
        (root / REPO / name).unlink()
    if names != SHARDS:
        (root / REPO / "model.safetensors.index.json").unlink()
    for name in names:
        (root / REPO / name).write_bytes(POINTER)
    with pytest.raises(Refusal, match=f"gives {names[0]}.* as pointers of git-lfs, .*set endpoints to another"):
        ensure(source=source, state=state)
    assert not dest.exists()


HALF = {
    "cloned without git-lfs": (dict.fromkeys(SHARDS, POINTER), "SHARDS.* pointers of git-lfs.*lfs pull"),
    "cloned, and some pulled": ({SHARDS[1]: POINTER}, "00002-of-00002.safetensors.* pointers of git-lfs"),
    "a tokenizer alone not pulled": ({"tokenizer.json": POINTER}, "tokenizer.json.* pointers of git-lfs"),
    "a copy that broke off": ({SHARDS[1]: None}, "names the shard .*00002-of-00002.safetensors, which is not among"),
    "a download by aria2 that broke off": ({f"{SHARDS[0]}.aria2": b"x"}, "00001-of-00002.safetensors.* not finished"),
    "a disk that was full": ({SHARDS[0]: b"short"}, "00001-of-00002.safetensors holds .* bytes; wanted"),
}


@pytest.mark.parametrize("state", ["present", "metadata"])
@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize(("files", "word"), HALF.values(), ids=HALF)
def test_a_folder_of_somebodys_own_that_holds_half_a_model_is_refused_before_an_engine_starts_with_it(
    root, dest, ensure, files, word, copied, state
):
    folder = root / REPO
    for name, content in files.items():
        if content is None:
            (folder / name).unlink()
        elif content == b"short":
            os.truncate(folder / name, (folder / name).stat().st_size - 1000)
        else:
            (folder / name).write_bytes(content)
    if copied and word.endswith("bytes; wanted") and state == "metadata":
        return  # a copy is looked at as it is made
    with pytest.raises(Refusal, match=word.replace("SHARDS", "00001-of-00002.safetensors")):
        ensure(source="path", repo=str(folder), dest=str(dest if copied else folder), state=state)
    assert not dest.exists()


@pytest.mark.parametrize("call", [{}, {"check": True}, {"state": "metadata"}])
@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({"pytorch_model.bin": "x"}, r"pickle form alone.*set repo .* include to \['\*\.bin'"),
        ({"x-Q4_K_M.gguf": "x", "x-Q8_0.gguf": "x"}, "2 GGUF quantizations.*set include"),
        ({"adapter_config.json": '{"base_model_name_or_path": "acme/base"}', "adapter_model.safetensors": "x"},
            "set repo to acme/base"),
        ({"README.md": "x"}, "no weights"),
    ],
)  # fmt: skip
def test_what_is_no_model_is_refused_before_a_byte_is_fetched(hub, root, dest, ensure, call, files, word):
    shutil.rmtree(root / REPO)
    for name, text in {"config.json": "{}", **files}.items():
        (root / REPO).mkdir(exist_ok=True)
        (root / REPO / name).write_text(text)
    with pytest.raises(Refusal, match=word):
        ensure(**call)
    assert not dest.parent.exists()


@pytest.mark.parametrize("call", CALLS)
def test_a_name_that_the_disk_cannot_take_is_refused_before_a_byte_is_fetched(hub, dest, ensure, monkeypatch, call):
    pages = hub_runner._pages
    long = store_runner.ModelFile("docs/" + "x" * 256, 5)
    monkeypatch.setattr(hub_runner, "_pages", lambda *words: (*pages(*words), long))
    with pytest.raises(Refusal, match="of 256 bytes, in the listing; wanted 255 at most.* set exclude"):
        ensure(**call)
    assert hub.log.bytes_sent(f"{REPO}/*.safetensors") == 0
    assert not dest.parent.exists()
    ensure(**call, exclude=["docs/xxx*"])


@pytest.mark.parametrize("library", [True, False])
def test_a_name_that_does_not_resolve_is_told_in_the_resolvers_own_words(library, ensure, monkeypatch, request):
    if not library:
        request.getfixturevalue("without_library")

    def unknown(*_words, **_more):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(
        Refusal, match=r"http://hub\.corp cannot be reached \(gaierror: Name or service not known\).*proxy"
    ):
        ensure(state="metadata", endpoint=["http://hub.corp"])


@pytest.fixture
def corporate(root, tmp_path):
    """A hub behind a certificate that a company's own authority signed."""
    key, crt = str(tmp_path / "key"), str(tmp_path / "crt")
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*words, "-keyout", key, "-out", crt], check=True, capture_output=True)
    with Hub(root) as hub:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(crt, key)
        server = hub._servers[0]
        server.socket = context.wrap_socket(server.socket, server_side=True)
        yield hub.url.replace("http:", "https:")


@pytest.mark.parametrize("library", [True, False])
def test_a_certificate_of_an_unknown_authority_is_told_in_openssls_own_words(library, ensure, corporate, request):
    if not library:
        request.getfixturevalue("without_library")
    with pytest.raises(
        Refusal,
        match=f"{corporate} cannot be reached .*verify failed: self.signed.*its certificate in gpuchat_ca_files",
    ):
        ensure(state="metadata", endpoint=[corporate])


@pytest.mark.parametrize("folder", [".cache/huggingface/download", "._____temp"])
def test_what_other_downloaders_keep_beside_a_model_is_neither_copied_nor_counted(root, dest, ensure, folder):
    side = root / REPO / folder
    side.mkdir(parents=True)
    shutil.copy(root / REPO / SHARDS[0], side / SHARDS[0])
    own = ensure(source="path", repo=str(root / REPO), dest=str(root / REPO))
    assert own["weights_bytes"] == ensure(source="path", repo=str(root / REPO))["weights_bytes"] == 2 * 3145912
    assert not (dest / folder).exists()


def test_a_host_without_authorities_of_its_own_trusts_those_of_the_library(tmp_path, monkeypatch):
    def found(folder):
        paths = ssl.DefaultVerifyPaths(None, str(folder), "", "", "", "")
        monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
        return hub_runner.Asker("huggingface").session().verify

    assert found(tmp_path) is True
    (tmp_path / "5ad8a5d6.0").touch()
    assert found(tmp_path) == str(tmp_path)
