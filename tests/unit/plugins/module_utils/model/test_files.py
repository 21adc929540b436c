# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import fnmatch
import hashlib
import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model.files import (
    Manifest,
    ModelFile,
    Proof,
    Status,
    Wanted,
    check_case,
    check_lengths,
    check_safetensors,
    checked_path,
    chosen,
    digest_of,
    header_length,
    intact,
    is_small_file,
    matches,
    misplaced_tensors,
    parse_manifest,
    small_file,
    verified,
    wanted_as_recorded,
)
from hypothesis import given
from hypothesis import strategies as st

GIT_EMPTY = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
FILES = [
    ModelFile(path, 1)
    for path in (
        "config.json",
        "model.safetensors",
        "pytorch_model.bin",
        "sub/model.pt",
        "sub/x.json",
        ".gitattributes",
        "gpuchat-model.json",
    )
]


@pytest.mark.parametrize(
    ("path", "is_read"),
    [
        ("config.json", True),
        ("2_Dense/config.json", True),
        ("model.safetensors.index.json", True),
        ("1_Pooling/config.json", False),
        ("x/2_Dense/config.json", False),
        ("sub/config.json", False),
        ("tokenizer.json", False),
        ("chat_template.jinja", True),
        ("chat_template.json", True),
        ("additional_chat_templates/tool_use.jinja", True),
        ("sentence_bert_config.json", True),
        ("sentence_xlm-roberta_config.json", True),
        ("hf_quant_config.json", True),
        ("params.json", True),
        ("sub/chat_template.jinja", False),
    ],
)
def test_small_files_say_what_a_model_is_and_are_read_first(path, is_read):
    assert is_small_file(path) is is_read


def test_a_template_is_read_as_text_and_all_else_as_data():
    assert small_file("chat_template.jinja", b"{{ messages }}") == "{{ messages }}"
    assert small_file("config.json", b'{"a": 1}') == {"a": 1}
    for path, content, said in (("config.json", b"<html>", "Expecting value"), ("x.jinja", b"\xff", "can't decode")):
        with pytest.raises(ValueError, match=said):
            small_file(path, content)


@pytest.mark.parametrize(
    ("include", "exclude", "left"),
    [
        ([], [], ["config.json", "model.safetensors", "sub/x.json"]),
        (["*"], [], ["config.json", "model.safetensors", "pytorch_model.bin", "sub/model.pt", "sub/x.json"]),
        (["*.bin"], [], ["pytorch_model.bin"]),
        (["*.json"], ["sub/"], ["config.json"]),
        (["sub/"], [], ["sub/model.pt", "sub/x.json"]),
        ([], ["*.json"], ["model.safetensors"]),
        (["*.JSON"], [], []),
        (["config.?son", "[!a]odel*"], [], ["config.json", "model.safetensors"]),
    ],
)
def test_what_is_asked_for_is_chosen(include, exclude, left):
    assert [file.path for file in chosen(FILES, include, exclude)] == left


@given(st.text(alphabet="ab/.*?[]!-", min_size=1, max_size=8), st.text(alphabet="ab/.[-", min_size=1, max_size=8))
def test_patterns_mean_what_the_hubs_own_clients_take_them_for(pattern, path):
    if not pattern.endswith("/"):
        assert matches(path, [pattern]) == fnmatch.fnmatchcase(path, pattern)


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a\\b", "a\0b"])
def test_a_path_that_is_not_plain_is_refused(path):
    with pytest.raises(Refusal, match="wanted one below the model's folder"):
        checked_path(path)


@pytest.mark.parametrize("path", ["a", "a/b", ".hidden", "a b", "模型.json", "..a", "a.."])
def test_a_plain_path_is_taken(path):
    assert checked_path(path) == path


@pytest.mark.parametrize(
    ("paths", "word"),
    [(("a", "a"), "twice"), (("a", "a/b"), "as a file and as a folder"), (("a/b/c", "a"), "as a file")],
)
def test_a_listing_that_no_disk_can_hold_is_refused(paths, word):
    with pytest.raises(Refusal, match=word):
        chosen([ModelFile(path, 1) for path in paths], [], [])


@pytest.mark.parametrize("path", ["a\\b.png", "../x.png", "a//x.png"])
def test_a_name_that_no_folder_takes_is_left_out_where_exclude_names_it(path):
    listed = [ModelFile("config.json", 1), ModelFile(path, 1)]
    with pytest.raises(Refusal, match="nothing was fetched; set exclude to leave it out"):
        chosen(listed, [], [])
    assert [file.path for file in chosen(listed, [], ["*.png"])] == ["config.json"]
    assert [file.path for file in chosen(listed, ["*.json"], [])] == ["config.json"]


WANTED = Wanted("huggingface", "a/b", "main", "/m", ("*.json",), ("x",))
names = st.text(alphabet="abc.", min_size=1, max_size=6).filter(lambda name: set(name) != {"."})
files = st.builds(
    ModelFile,
    st.lists(names, min_size=1, max_size=3).map("/".join),
    st.integers(0, 2**50),
    st.sampled_from(["", "a" * 64]),
    st.sampled_from(["", "b" * 40]),
    st.integers(0, 2**62),
)


@given(st.lists(files, max_size=5))
def test_a_manifest_is_read_as_it_was_written(some):
    manifest = Manifest("c", WANTED.record(), tuple(sorted(some, key=lambda file: file.path)), "https://hub")
    assert parse_manifest(manifest.text().encode()) == manifest
    assert wanted_as_recorded(manifest) == Wanted("huggingface", "a/b", "main", "", ("*.json",), ("x",))


DEEP = b"[" * 100_000 + b"]" * 100_000


def test_what_is_nested_without_end_is_damaged():
    with pytest.raises(ValueError, match="nested"):
        small_file("config.json", DEEP)
    with pytest.raises(Refusal, match="damaged safetensors header"):
        check_safetensors("a", len(DEEP) + 8, len(DEEP).to_bytes(8, "little") + DEEP)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"{}", b'{"format": 2}', b'{"format": 1}', b"\xff", b'{"format": 1, "files": 3}', b"null", DEEP],
)
def test_what_is_no_manifest_proves_nothing(text):
    assert parse_manifest(text) is None


def test_a_manifest_whose_paths_lead_out_proves_nothing():
    text = Manifest("c", WANTED.record(), (ModelFile("../a", 1),)).text()
    assert parse_manifest(text.encode()) is None


def test_a_file_is_intact_with_its_size_and_time():
    one, two, three = ModelFile("a", 1, mtime_ns=5), ModelFile("b", 2, mtime_ns=6), ModelFile("c", 3, mtime_ns=7)
    there = {"a": Status(1, 5), "b": Status(2, 7), "c": Status(3, 7, False), "d": Status(1, 1)}
    assert intact(Manifest("c", {}, (one, two, three)), there) == {"a": one}
    assert intact(None, there) == {}


def test_bytes_are_verified_by_either_hash():
    sha256 = hashlib.sha256(b"abc").hexdigest()
    git = hashlib.sha1(b"blob 3\0abc").hexdigest()
    assert verified(ModelFile("a", 3, sha256), b"abc")
    assert verified(ModelFile("a", 3, "", git), b"abc")
    assert verified(ModelFile("a", 3), b"abc")
    assert verified(ModelFile("a", 0, "", GIT_EMPTY), b"")
    assert not verified(ModelFile("a", 3, sha256), b"abd")
    assert not verified(ModelFile("a", 3, "", git), b"abd")
    assert not verified(ModelFile("a", 4), b"abc")
    assert not verified(ModelFile("a", 3, "0" * 64, git), b"abc")


def test_a_proof_tells_what_was_found_in_the_sources_own_terms():
    proof = Proof(3).update(b"ab").update(b"c")
    assert proof.found(ModelFile("a", 3, "1" * 64)) == f"sha256:{proof.sha256}"
    assert proof.found(ModelFile("a", 3, "", "1" * 40)).startswith("git:")


def test_bytes_that_a_hash_proves_wait_under_one_name_wherever_they_come_from():
    assert ModelFile("a", 1, "1" * 64).key("here") == ModelFile("b", 1, "1" * 64).key("there")
    assert ModelFile("a", 1).key("here") != ModelFile("a", 1).key("there")
    assert ModelFile("a", 1).key("here") != ModelFile("b", 1).key("here")
    assert ModelFile("a", 1, "1" * 64).key("") != ModelFile("a", 2, "1" * 64).key("")


def test_a_stand_in_for_a_commit_changes_with_any_file_and_not_with_their_order():
    one, two = ModelFile("a", 1, "1" * 64), ModelFile("b", 1)
    assert digest_of([one, two]) == digest_of([two, one])
    assert (
        len({digest_of([one]), digest_of([two]), digest_of([one, two]), digest_of([ModelFile("a", 1, "2" * 64)])}) == 4
    )


def weights(tensors, body=b"", head=None):
    text = json.dumps(tensors).encode() if head is None else head
    return len(text).to_bytes(8, "little") + text + body


TWO = {
    "x": {"dtype": "F4", "shape": [2, 2], "data_offsets": [0, 2]},
    "y": {"dtype": "of later", "data_offsets": [2, 5]},
    "__metadata__": {"format": "pt"},
}


def test_the_tensors_of_a_file_are_reported():
    content = weights(TWO, b"12345")
    assert check_safetensors("a", len(content), content) == {"x", "y"}
    assert header_length(content[:8], len(content)) == len(content) - 5


@pytest.mark.parametrize(
    ("content", "word"),
    [
        pytest.param(b"", "begins with no", id="empty"),
        pytest.param(b"<!doctype html><html>", "begins with no", id="a web page"),
        pytest.param(weights(TWO, b"12345")[:20], "begins with no", id="cut in the header"),
        pytest.param(weights({}, head=b"{nonsense}"), "a damaged", id="no JSON"),
        pytest.param(weights({}, head=b"[1]"), "a damaged", id="a list"),
        pytest.param(weights({"x": {}}), "a damaged", id="no offsets"),
        pytest.param(weights(TWO, b"1234"), "wanted .* as its own header says", id="too short"),
        pytest.param(weights(TWO, b"123456"), "wanted .* as its own header says", id="too long"),
        pytest.param(weights({"x": {"data_offsets": [1, 2]}}, b"12"), "a gap or an overlap", id="a gap"),
        pytest.param(
            weights({"x": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 2]}}, b"12"),
            "holds 2 bytes of the tensor x; wanted 12, as its own header says of its kind and shape",
            id="another shape",
        ),
        pytest.param(
            weights({"x": {"dtype": "U8", "shape": ["a"], "data_offsets": [0, 1]}}, b"1"), "a damaged", id="no shape"
        ),
        pytest.param(
            weights({"x": {"data_offsets": [0, 2]}, "y": {"data_offsets": [1, 2]}}, b"12"), "a gap or", id="an overlap"
        ),
    ],
)
def test_weights_that_are_not_whole_are_refused(content, word):
    with pytest.raises(Refusal, match=word):
        check_safetensors("model.safetensors", len(content), content)


SHARDS = {"m/1.safetensors": frozenset({"x"}), "m/2.safetensors": frozenset({"y", "z"})}


@pytest.mark.parametrize(
    ("weights", "given", "misplaced"),
    [
        ({"x": "1.safetensors", "y": "2.safetensors"}, {}, {}),
        ({"x": "3.safetensors"}, {"exclude": ["m/3*"]}, {}),
        ({"x": "3.safetensors"}, {"include": ["*.json"]}, {}),
        ({"x": "2.safetensors", "z": "2.safetensors"}, {}, {"x": "m/2.safetensors"}),
        ({"w": "1.safetensors", "v": "1.safetensors"}, {}, {"v": "m/1.safetensors", "w": "m/1.safetensors"}),
    ],
)
def test_shards_are_compared_with_their_index(weights, given, misplaced):
    assert misplaced_tensors("m/i", {"weight_map": weights}, SHARDS, **given) == misplaced


@pytest.mark.parametrize(
    ("index", "word"),
    [
        (None, "holds no weight_map"),
        ({"weight_map": []}, "holds no weight_map"),
        ({"weight_map": {"x": "3.safetensors"}}, "names the shard m/3.safetensors"),
    ],
)
def test_shards_that_are_not_those_of_their_index_are_refused(index, word):
    with pytest.raises(Refusal, match=word):
        misplaced_tensors("m/i", index, SHARDS)


@pytest.mark.parametrize(
    ("path", "word"),
    [
        (
            "a" * 256,
            r"'a{40}' and so on, of 256 bytes, in the listing; wanted 255 at most.* set exclude to \['a{40}\*'\]",
        ),
        ("f/" + "\u00e9" * 128, "of 256 bytes"),
        ("/".join(["d" * 200] * 21), "of 423. bytes with its folders.*or path to a shorter path"),
    ],
)
def test_a_name_that_the_disk_cannot_take_is_refused(path, word):
    check_lengths(["a" * 255, "f/" + "\u00e9" * 127], "/srv/m.gpuchat", 255)
    with pytest.raises(Refusal, match=word):
        check_lengths(["x", path], "/srv/m.gpuchat", 255)


@pytest.mark.parametrize(
    ("paths", "filesystem", "refused"),
    [
        (["README.md", "readme.md"], "exfat", True),
        (["a/x.json", "A/x.json"], "cifs", True),
        (["a/x.json", "A/y.json"], "cifs", False),
        (["README.md", "readme.md"], "ext4", False),
        (["README.md", "readme.md"], "", False),
        (["README.md", "config.json"], "vfat", False),
    ],
)
def test_names_that_differ_by_case_alone_are_refused_where_a_disk_takes_them_for_one(paths, filesystem, refused):
    if not refused:
        check_case(paths, "/mnt/m", filesystem)
        return
    with pytest.raises(Refusal, match=f"found '{paths[0]}' and '{paths[1]}' .*{filesystem}.*set exclude to"):
        check_case(paths, "/mnt/m", filesystem)
