# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import urllib.parse

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model.files import Manifest, ModelFile, Wanted
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model.hubs import (
    PAGE,
    Hub,
    Reply,
    check_revision,
    connection_hint,
    credentials,
    endpoints,
    hint,
    is_page,
    next_page,
    no_endpoint,
    origin,
    quote,
    read_commit,
    read_huggingface_page,
    read_modelscope_page,
    read_siblings,
    read_tree,
    token_origin,
)
from hypothesis import given
from hypothesis import strategies as st

FACE = Hub("huggingface", "https://hub", "acme/demo", "refs/pr/1")
SCOPE = Hub("modelscope", "https://scope", "acme/demo", "v 1")
TREE = Hub("http", "https://files/models", "demo v1", "")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_addresses_are_quoted_as_the_standard_library_does(text):
    assert quote(text) == urllib.parse.quote(text, safe="")
    assert quote(text, "/") == urllib.parse.quote(text, safe="/")


@pytest.mark.parametrize(
    ("hub", "commit", "listing", "file"),
    [
        (
            FACE,
            "https://hub/api/models/acme/demo/revision/refs%2Fpr%2F1",
            "https://hub/api/models/acme/demo/tree/c0?recursive=true&expand=false",
            "https://hub/acme/demo/resolve/c0/a%20b/c%23.json",
        ),
        (
            SCOPE,
            "https://scope/api/v1/models/acme/demo/repo/files?Revision=v%201&Recursive=True",
            "https://scope/api/v1/models/acme/demo/repo/files?Revision=c0&Recursive=False&Root=a%2Fb",
            "https://scope/api/v1/models/acme/demo/repo?Revision=v%201&FilePath=a%20b%2Fc%23.json",
        ),
        (
            TREE,
            "https://files/models/demo%20v1/gpuchat-model.json",
            "https://files/models/demo%20v1/gpuchat-model.json",
            "https://files/models/demo%20v1/a%20b/c%23.json",
        ),
    ],
    ids=["huggingface", "modelscope", "http"],
)
def test_a_hub_is_asked_as_its_own_client_asks_it(hub, commit, listing, file):
    assert hub.commit_url() == commit
    assert hub.listing_url("c0", *(("a/b", False) if hub is SCOPE else ())) == listing
    assert hub.file_url("c0", "a b/c#.json") == file


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://Hub.example/x", "https://hub.example:443"),
        ("http://hub:8080", "http://hub:8080"),
        ("HTTP://hub/a?b", "http://hub:80"),
        ("https://[::1]:5/x", "https://[::1]:5"),
    ],
)
def test_a_token_is_for_a_scheme_a_host_and_a_port(url, place):
    assert origin(url) == place


@pytest.mark.parametrize(
    "url",
    [
        "hub.example",
        "ftp://hub",
        "",
        "https://",
        "https://me:secret@hub/x",
        "https://good@evil/",
        "https://good\\@evil",
    ],
)
def test_what_is_no_address_has_no_origin(url):
    with pytest.raises(Refusal, match="set endpoints"):
        origin(url)


@pytest.mark.parametrize(
    ("source", "given_ones", "tried"),
    [
        ("huggingface", [], ("https://huggingface.co",)),
        ("modelscope", [], ("https://www.modelscope.cn",)),
        ("huggingface", ["https://a/", "http://b:1/x/"], ("https://a", "http://b:1/x")),
    ],
)
def test_endpoints_are_tried_in_their_order(source, given_ones, tried):
    assert endpoints(source, given_ones) == tried


@pytest.mark.parametrize("given_ones", [[], ["https://u:p@hub"], ["hub"], ["https://hub?x=1"], ["https://hub", ""]])
def test_an_endpoint_that_is_none_is_refused_without_its_password(given_ones):
    with pytest.raises(Refusal, match="set endpoints") as refused:
        endpoints("http", given_ones)
    assert "u:p" not in str(refused.value)


@pytest.mark.parametrize(
    "hub",
    [
        Hub("huggingface", "https://h", "", "m"),
        Hub("modelscope", "https://h", "a/b/c", "m"),
        Hub("http", "https://h", "a/../b", ""),
    ],
)
def test_a_repository_that_is_none_is_refused(hub):
    with pytest.raises(Refusal, match="set repo"):
        hub.check()


def test_a_token_goes_into_the_headers_that_each_hub_reads():
    assert credentials("huggingface", "") == {}
    assert credentials("huggingface", "t") == {"Authorization": "Bearer t"}
    assert credentials("modelscope", "t") == {"Authorization": "Bearer t", "Cookie": "m_session_id=t"}


@pytest.mark.parametrize("token", ["a b", "a\n", "a;b", "é"])
def test_a_token_that_would_break_a_header_is_refused_without_being_reported(token):
    with pytest.raises(Refusal, match="set token") as refused:
        credentials("modelscope", token)
    assert token not in str(refused.value)


def test_a_token_is_for_the_hub_itself_unless_the_task_says_otherwise():
    assert token_origin("huggingface", "") == "https://huggingface.co:443"
    assert token_origin("modelscope", "") == "https://www.modelscope.cn:443"
    assert token_origin("http", "") == ""
    assert token_origin("huggingface", "https://mirror/x") == "https://mirror:443"


@pytest.mark.parametrize(
    ("link", "page"),
    [
        ('<https://h/x?cursor=a>; rel="next"', "https://h/x?cursor=a"),
        ("<https://h/x>; rel=next", "https://h/x"),
        ('<https://h/1>; rel="first", <https://h/2>; title="a, b"; rel="next"', "https://h/2"),
        ('<https://h/1>; rel="prev"', None),
        ("", None),
    ],
)
def test_the_next_page_is_found(link, page):
    assert next_page(link) == page


def body(value):
    return json.dumps(value).encode()


def test_a_commit_is_read():
    assert read_commit(body({"sha": "a" * 40}), "h") == "a" * 40


@pytest.mark.parametrize("answer", [b"<html>", b"[]", body({"sha": "main"}), body({})])
def test_an_answer_without_a_commit_is_refused(answer):
    with pytest.raises(Refusal, match="set endpoints"):
        read_commit(answer, "h")


def test_files_of_a_page_are_read_with_what_proves_them():
    page = [
        {"type": "directory", "path": "sub", "oid": "d" * 40, "size": 0},
        {"type": "file", "path": "config.json", "oid": "a" * 40, "size": 7},
        {"type": "file", "path": "m.safetensors", "oid": "b" * 40, "size": 134, "lfs": {"oid": "c" * 64, "size": 9}},
    ]
    assert read_huggingface_page(body(page), "h") == [
        ModelFile("config.json", 7, "", "a" * 40),
        ModelFile("m.safetensors", 9, "c" * 64),
    ]


@pytest.mark.parametrize("page", [{}, "x", [{"type": "symlink", "size": 1}]])
def test_a_page_that_is_none_is_refused(page):
    with pytest.raises(Refusal):
        read_huggingface_page(body(page), "h")


def listing(*entries, **more):
    return body({"Code": 200, "Success": True, "Data": {"Files": list(entries), **more}})


def test_modelscopes_entries_are_read():
    page = read_modelscope_page(
        listing(
            {"Type": "tree", "Path": "sub"},
            {"Type": "blob", "Path": "sub/a", "Size": 5, "Sha256": "A" * 64},
            {"Type": "blob", "Path": "b", "Size": 0, "Sha256": None},
            LatestCommitter={"Id": "c" * 40},
        ),
        "h",
    )
    assert page.files == (ModelFile("sub/a", 5, "a" * 64), ModelFile("b", 0))
    assert (page.folders, page.commit, page.cut) == (("sub",), "c" * 40, False)
    assert read_modelscope_page(listing(), "h").commit == ""


FILES = [{"Type": "blob", "Path": name, "Size": 1, "Revision": name * 40} for name in "abc"]


@pytest.mark.parametrize(
    ("latest", "commit"),
    [
        ({"Id": "", "ShortId": "b" * 8}, "b" * 40),
        ({"Id": "", "ShortId": "d" * 8}, "d" * 8),  # the last commit took a file away
        ({"Id": "e" * 40, "ShortId": "b" * 8}, "e" * 40),
        ({"Id": "", "ShortId": ""}, ""),
        (None, ""),
    ],
)
def test_modelscope_names_its_commit_by_halves(latest, commit):
    assert read_modelscope_page(listing(*FILES, LatestCommitter=latest), "h").commit == commit


def test_modelscope_knows_no_revision_with_a_good_status():
    with pytest.raises(Refusal, match="h knows no such revision.*set revision"):
        read_modelscope_page(body({"Code": 200, "Success": True, "Data": {"Files": None}}), "h")


def test_a_listing_of_3000_entries_is_taken_for_cut():
    entries = [{"Type": "blob", "Path": f"{at}", "Size": 1} for at in range(2999)]
    assert not read_modelscope_page(listing(*entries), "h").cut
    assert read_modelscope_page(listing(*entries, {"Type": "tree", "Path": "x"}), "h").cut


@pytest.mark.parametrize(
    "answer",
    [b"<html>", b"[]", body({"Success": False, "Message": "no", "Data": {}}), body({"Success": True, "Data": None})],
)
def test_a_listing_that_is_none_is_refused(answer):
    with pytest.raises(Refusal, match="h (gave|answered)"):
        read_modelscope_page(answer, "h")


@pytest.mark.parametrize(("mode", "kind"), [("120000", "a link"), (40960, "a link"), ("160000", "a submodule")])
def test_what_is_no_file_is_known_by_its_mode(mode, kind):
    (file,) = read_modelscope_page(listing({"Type": "blob", "Path": "a", "Size": 1, "Mode": mode}), "h").files
    assert (file.path, file.kind) == ("a", kind)


def test_what_is_no_file_is_known_by_its_type():
    (file,) = read_huggingface_page(body([{"type": "commit", "path": "a", "oid": "0" * 40}]), "h")
    assert (file.path, file.kind) == ("a", "a submodule")


SIBLING = {"rfilename": "a", "size": 5, "blobId": "b" * 40}


def test_siblings_are_read_where_they_have_sizes():
    lfs = {**SIBLING, "rfilename": "w", "lfs": {"sha256": "c" * 64, "size": 9}}
    files = read_siblings(body({"siblings": [SIBLING, lfs]}), "h")
    assert files == [ModelFile("a", 5, "", "b" * 40), ModelFile("w", 9, "c" * 64)]


@pytest.mark.parametrize("answer", [{}, [], {"siblings": []}, {"siblings": [{"rfilename": "a"}]}])
def test_siblings_without_sizes_are_refused_with_what_the_mirror_lacks(answer):
    with pytest.raises(Refusal, match="h has no listing with sizes"):
        read_siblings(body(answer), "h")


def test_a_plain_tree_says_what_it_holds():
    files = (ModelFile("a", 1, "a" * 64),)
    manifest = Manifest("c0", Wanted("huggingface", "a/b", "main", "").record(), files)
    for revision in ("", "main", "c0"):
        hub = Hub("http", "https://files", "demo", revision)
        assert read_tree(manifest.text().encode(), hub) == ("c0", files)
    with pytest.raises(Refusal, match="wanted v2; set revision"):
        read_tree(manifest.text().encode(), Hub("http", "https://files", "demo", "v2"))
    with pytest.raises(Refusal, match="holds no gpuchat-model.json that can be read"):
        read_tree(b"<html>", TREE)


def test_a_tree_without_a_name_for_its_revision_says_so():
    with pytest.raises(Refusal, match="no name"):
        check_revision("c0", "", "main", "p")


def gated(message):
    return Reply(403, {"x-error-code": "GatedRepo", "x-error-message": message})


@pytest.mark.parametrize(
    ("reply", "token", "sent", "words"),
    [
        (Reply(401, {"x-error-code": "GatedRepo"}), "", False, "set token to one that may read it, and accept"),
        (
            Reply(403, {"x-error-code": "GatedRepo"}),
            "t",
            True,
            "has not accepted its licence; open https://hub/acme/demo",
        ),
        (gated("Please enable access to public gated repositories in your fine-grained token settings"), "t", True,
            "given this right; allow it to read public gated repositories in its settings"),
        (gated("Your request to access model acme/demo is awaiting a review from the repo authors."), "t", True,
            "have not answered the token's owner yet; wait for them, or set repo to another model"),
        (gated("Your request to access model acme/demo has been rejected by the repo's authors."), "t", True,
            "have refused the token's owner; set token to somebody else's, or set repo"),
        (Reply(403, {}, PAGE), "", False,
            "wanted the hub's own word; let this host reach it (a firewall may forbid it), or set endpoints"),
        (Reply(401, {}, PAGE), "t", True, "wanted the hub's own word; let this host reach it"),
        (Reply(403, {"x-error-code": "GatedRepo"}, PAGE), "t", True, "has not accepted its licence"),
        (Reply(403, {"x-error-message": "Access to this resource is disabled."}), "", False,
            "the hub itself has closed it; set repo to another model"),
        (Reply(403, {"x-error-message": "Access to this resource is disabled."}), "t", True,
            "the hub itself has closed it; set repo to another model"),
        (
            Reply(401, {}),
            "",
            False,
            "does not exist under this name (letter case counts), or is private or gated; wanted",
        ),
        (Reply(403, {}), "t", False, "set token_for to this endpoint"),
        (Reply(401, {}), "t", True, "although a token was shown"),
        (Reply(404, {"x-error-code": "RevisionNotFound"}), "", False, "it has no revision refs/pr/1; set revision"),
        (Reply(404, {}), "", False, "it does not exist there; set repo, revision and endpoints"),
        (Reply(0, {}, "refused"), "", False, "cannot be reached (refused)"),
        (Reply(429, {}), "", False, "try again later, set token, with which hubs allow more, or set endpoints"),
        (Reply(429, {}), "t", True, "wanted a hub that answers; try again later, or set endpoints to another"),
        (Reply(503, {"x-error-message": "busy"}), "", False, "503 (busy)"),
        (Reply(407, {}), "", False, "give this host a proxy that lets it through (gpuchat_proxy"),
        (Reply(401, {}, url="https://hub/other"), "", False, "https://hub answered 401 for acme/demo: it does not"),
        (Reply(404, {}, url="http://hub:80/x"), "", False, "(which redirects to http://hub:80) answered 404 for"),
        (Reply(403, {}, url="https://content/a?b=c"), "", False, "let this host reach https://content:443 too"),
        (Reply(404, {}, url="https://content/a"), "t", True, "let this host reach https://content:443 too"),
        (Reply(0, {}, "refused", "https://content/a"), "", False, "nothing of acme/demo (refused); wanted the content"),
        (
            Reply(401, {"x-error-code": "RepoNotFound"}, url="https://upstream/a"),
            "",
            False,
            "(which redirects to https://upstream:443) answered 401 for acme/demo: it does not exist under this name",
        ),
    ],
)  # fmt: skip
def test_an_error_names_its_hint(reply, token, sent, words):
    text = hint(reply, FACE, token, sent)
    assert words in text
    assert "https://hub" in text


FAILED = {
    "CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate": "gpuchat_ca_files",
    "certificate verify failed: certificate has expired": "renewed, or correct this host's clock",
    "certificate verify failed: certificate is not yet valid": "renewed, or correct this host's clock",
    "certificate verify failed: Hostname mismatch, certificate is not valid for 'hub.corp'.": "a name which its",
    "certificate verify failed: unable to get local issuer certificate, by REQUESTS_CA_BUNDLE (/x.pem)": "unset it",
    "[SSL: WRONG_VERSION_NUMBER] wrong version number": "http://",
    "Tunnel connection failed: 407 Proxy Authentication Required": "gpuchat_proxy",
    "fatal: unable to access 'https://hub.corp/a/b/': Could not resolve host: hub.corp": "resolve the name",
    "SSL: no alternative certificate subject name matches target host name 'hub.corp'": "a name which its",
    "Connection refused": "",
}


@pytest.mark.parametrize(("error", "cure"), FAILED.items())
def test_a_connection_that_fails_has_the_cure_of_its_cause(error, cure):
    found = connection_hint(error)
    assert cure in found if cure else not found


@pytest.mark.parametrize(
    ("body", "page"),
    [
        (b"\n <!DOCTYPE html>", True),
        (b"\xef\xbb\xbf<HTML lang=en>", True),
        (b"<!-- Portal -->\n<html>", True),
        (b'<?xml version="1.0"?><!DOCTYPE html PUBLIC "x">', True),
        (b"<script>top.location.href='http://10.0.0.1/login'</script>", True),
        (b'<meta http-equiv="refresh" content="0">', True),
        (b"<head><title>Login", True),
        (b"{}", False),
        (b"<htmlx", False),
        (b"<header>", False),
        (b"<?xml version='1.0'?><Error>", False),
        (b"<|im_start|>", False),
    ],
)
def test_a_web_page_is_told_from_data_by_how_it_begins(body, page):
    assert is_page(body) is page


def test_what_several_endpoints_said_is_reported_once_each():
    assert str(no_endpoint(["a", "b", "a"])) == "a; b"


@pytest.mark.parametrize(
    ("repo", "cure"),
    [
        ("https://huggingface.co/Qwen/Qwen3-8B", "set repo to Qwen/Qwen3-8B"),
        ("https://huggingface.co/Qwen/Qwen3-8B/tree/main", "set repo to Qwen/Qwen3-8B"),
        ("https://huggingface.co/Qwen/Qwen3-8B.git", "set repo to Qwen/Qwen3-8B"),
        ("https://www.modelscope.cn/models/Qwen/Qwen3-8B", "set repo to Qwen/Qwen3-8B"),
        ("hf.co/Qwen/Qwen3-8B", "set repo to Qwen/Qwen3-8B"),
        ("Qwen/Qwen3-8B/", "set repo to Qwen/Qwen3-8B"),
        (" Qwen/Qwen3-8B", "set repo to Qwen/Qwen3-8B"),
        ("Qwen/Qwen3-8B@v1.0", "set repo to Qwen/Qwen3-8B, and revision to v1.0"),
        ("models--Qwen--Qwen3-8B", "set repo to Qwen/Qwen3-8B"),
        ("datasets/a/b", "set repo"),
        ("../x", "set repo, or source to path for a folder of the host"),
        ("a/..", "set repo"),
        ("qwen3:8b", "set repo"),
        ("hf://Qwen/Qwen3-8B", "set repo to Qwen/Qwen3-8B"),
        ("modelscope:Qwen/Qwen3-8B", "set repo to Qwen/Qwen3-8B"),
        ("git@hf.co:Qwen/Qwen3-8B.git", "set repo to Qwen/Qwen3-8B"),
        ("Qwen/Qwen3-8B/tree/main", "set repo to Qwen/Qwen3-8B"),
        ("https://hf.co/Qwen/Qwen3-8B/tree/v1.0", "set repo to Qwen/Qwen3-8B, and revision to v1.0"),
        ("https://huggingface.co/Qwen/Qwen3-8B?library=vllm", "set repo to Qwen/Qwen3-8B"),
        ("https://modelscope.cn/models/Qwen/Qwen3-8B/summary", "set repo to Qwen/Qwen3-8B"),
        ("Qwen/Qwen3-8B@main", "set repo to Qwen/Qwen3-8B"),
        ("acme/x-GGUF:Q4_K_M", "set repo to acme/x-GGUF, and include to ['*Q4_K_M*.gguf', '*.json']"),
        ("hf.co/acme/x-GGUF:UD-IQ2_XXS", "set repo to acme/x-GGUF, and include to ['*UD-IQ2_XXS*.gguf', '*.json']"),
        ("https://alice:hidden@huggingface.co/Qwen/Qwen3-8B", "set repo to Qwen/Qwen3-8B"),
        ("https://huggingface.co/datasets/a/b", "set repo"),
        ("ollama.com/library/qwen3", "set repo"),
        ("data/models/x", "set repo"),
        ("Qwen/Qwen3-8B.git", "set repo to Qwen/Qwen3-8B"),
        ("/srv/models/x", "set repo, or source to path for a folder of the host"),
        ("~/x", "set repo, or source to path for a folder of the host"),
    ],
)
def test_what_is_taken_for_a_repositorys_name_is_refused_with_the_name_within(repo, cure):
    with pytest.raises(Refusal) as refusal:
        Hub("huggingface", "https://h", repo, "main").check()
    assert str(refusal.value).endswith(f"; {cure}")
    assert "hidden" not in str(refusal.value)


def test_a_hash_is_read_however_a_mirror_writes_it():
    digest = "ab" * 32
    page = [{"type": "file", "path": "a", "size": 1, "lfs": {"oid": f"sha256:{digest.upper()}", "size": 1}}]
    assert read_huggingface_page(json.dumps(page).encode(), "h")[0].sha256 == digest


def test_what_git_alone_names_is_no_proof_of_a_file_that_is_too_large_for_git():
    page = [{"type": "file", "path": "a", "size": (64 << 20) + at, "oid": "ab" * 20} for at in (0, 1)]
    found = read_huggingface_page(json.dumps(page).encode(), "h")
    assert [file.identity() for file in found] == [f"git:{'ab' * 20}", "unverified"]


def test_a_next_page_among_several_relations_is_found():
    assert next_page('<https://h/x>; rel="last next"') == "https://h/x"


@pytest.mark.parametrize("status", [410, 451])
def test_what_is_held_back_is_not_said_to_come_later(status):
    hub = Hub("huggingface", "https://h", "a/b", "main")
    assert "held back for legal reasons" in hint(Reply(status, {}), hub, "", False)


def test_an_endpoint_with_a_port_that_is_none_is_refused():
    with pytest.raises(Refusal, match="no plain address"):
        endpoints("huggingface", ["https://h:99999"])


DEEP = b"[" * 100_000 + b"]" * 100_000
ENTRY = {"type": "file", "path": "a.bin", "size": 5}
OF_A_MODEL = {"rfilename": "a.bin", "size": 5}
BLOB = {"Type": "blob", "Path": "a.bin", "Size": 5}


@pytest.mark.parametrize(
    ("read", "entries", "shown"),
    [
        *((read_huggingface_page, [ENTRY, one], repr(one)) for one in (None, 1, "x", {**ENTRY, "path": None})),
        *((read_huggingface_page, [{**ENTRY, **one}], "'a.bin'") for one in ({"lfs": 1}, {"size": -1}, {"type": []})),
        (read_huggingface_page, [{**ENTRY, "lfs": {"oid": "sha1:ab", "size": 5}}], "sha1:ab"),
        (read_modelscope_page, {"Data": {"Files": [{**BLOB, "Sha256": "ab"}]}}, "'a.bin'"),
        *(
            (read_siblings, {"siblings": [OF_A_MODEL, one]}, repr(one))
            for one in (None, 1, {**OF_A_MODEL, "size": "x"})
        ),
        (read_siblings, {"siblings": 1}, "1"),
        *((read_modelscope_page, {"Data": {"Files": [BLOB, one]}}, repr(one)) for one in (None, "x")),
        *((read_modelscope_page, {"Data": {"Files": [{**BLOB, "Size": one}]}}, "'a.bin'") for one in (None, -1, [])),
        (read_modelscope_page, {"Data": {"Files": 1}}, "1"),
        (read_modelscope_page, {"Data": {"Files": [], "LatestCommitter": "x"}}, "'x'"),
    ],
)
def test_an_entry_that_cannot_be_read_is_shown_and_no_word_of_pythons_is(read, entries, shown):
    with pytest.raises(Refusal) as refused:
        read(body(entries), "https://h")
    said = str(refused.value)
    assert said.startswith("https://h lists ")
    assert shown in said
    assert not any(word in said for word in ("Error", "object", "NoneType", "literal"))
    assert "; set endpoints to another" in said


@pytest.mark.parametrize("read", [read_commit, read_huggingface_page, read_siblings, read_modelscope_page])
def test_an_answer_that_is_nested_without_end_is_no_data(read):
    with pytest.raises(Refusal, match="with something else than data"):
        read(DEEP, "https://h")
