# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model import runner, store_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model.files import (
    Listing,
    Manifest,
    ModelFile,
    Status,
    Wanted,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model.plan import (
    Folder,
    Keep,
    Take,
    check_files,
    check_folder,
    check_space,
    parse_rate,
    plan_model,
)

WHOLE = {
    "config.json": 700,
    "model-1.safetensors": 5_000_000_000,
    "model-2.safetensors": 1_000_000_000,
    "tokenizer.json": 9,
}


@pytest.mark.parametrize(
    ("sizes", "weights", "seconds"),
    [
        pytest.param(WHOLE, 6_000_000_000, 330, id="two shards"),
        pytest.param({"a.bin": 1, "b.pt": 2, "c.gguf": 3, "d.txt": 4}, 6, 300, id="each kind of weights"),
        pytest.param({"x.safetensors": 140_000_000_000}, 140_000_000_000, 1000, id="70 billion parameters"),
        pytest.param({}, 0, 300, id="none"),
    ],
)
def test_the_time_to_start_is_estimated_from_the_weights(sizes, weights, seconds):
    folder = Folder("/m", sizes, {})
    assert (folder.weights_bytes, folder.start_seconds) == (weights, seconds)


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        pytest.param(
            None,
            "found no folder /m on this host; wanted a model's folder; put it there, or set source and repo to where "
            "it comes from",
            id="no folder",
        ),
        pytest.param(
            Folder("/m", WHOLE, None),
            "/m holds no readable config.json; wanted a model as Hugging Face lays it out; set path",
            id="no config.json",
        ),
        pytest.param(
            Folder("/m", {"adapter_config.json": 9, "adapter_model.safetensors": 9}, None),
            "/m holds no readable config.json, but an adapter, which goes on top of the model that its "
            "adapter_config.json names; wanted a model as Hugging Face lays it out; set path",
            id="an adapter",
        ),
        pytest.param(
            Folder("/m", {"q4.gguf": 9}, None),
            "/m holds no readable config.json, but GGUF weights, which were made from a model in another layout; "
            "wanted a model as Hugging Face lays it out; set path",
            id="GGUF",
        ),
        pytest.param(
            Folder("/m", {"config.json": 700}, {"a": 1}),
            "/m holds no weights (.safetensors, .bin, .pt, .gguf); is the download complete? set path",
            id="no weights",
        ),
        pytest.param(
            Folder("/m", WHOLE, {"a": 1}, ("a", "b", "c", "d")),
            "/m holds files that only their owner may read (a, b, c); wanted files that the engine's own "
            "user can read; run `chmod -R a+rX /m`",
            id="closed files",
        ),
        pytest.param(
            Folder("/m", WHOLE, {"a": 1}, (".", "a"), filesystem="cifs"),
            "/m holds files that only their owner may read (., a); wanted files that the engine's own "
            "user can read; mount its cifs with file_mode=0644,dir_mode=0755",
            id="closed files where chmod changes nothing",
        ),
        pytest.param(
            Folder("/m", {"config.json": 700, "consolidated.00.pth": 9, "rng_state.pth": 9}, {"a": 1}),
            "/m holds no weights (.safetensors, .bin, .pt, .gguf), but such for other engines (consolidated.00.pth); "
            "wanted safetensors; set path",
            id="weights that vLLM does not read",
        ),
    ],
)
def test_what_is_no_model_folder_is_refused(folder, message):
    with pytest.raises(Refusal) as refused:
        check_folder(folder, "/m")
    assert str(refused.value) == message


@pytest.fixture
def model(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "model.safetensors").write_bytes(b"12345")
    for path in (tmp_path / "config.json", tmp_path / "sub" / "model.safetensors"):
        path.chmod(0o644)
    return tmp_path


def look(model, **params):
    defaults = {"source": "path", "repo": "", "revision": "", "include": [], "exclude": [], "endpoint": [], "job": ""}
    defaults.update(state="metadata", verify="download", update=False, dest=str(model))
    return runner.ensure({**defaults, **params}, False)


def test_a_folder_on_the_host_is_read_with_what_lies_below_it(model):
    result = look(model)
    assert {key: result[key] for key in ("changed", "config", "files", "weights_bytes", "start_seconds", "msg")} == {
        "changed": False,
        "config": {"model_type": "llama"},
        "files": [
            {"path": "config.json", "size": 23, "sha256": ""},
            {"path": "sub/model.safetensors", "size": 5, "sha256": ""},
        ],
        "weights_bytes": 5,
        "start_seconds": 300,
        "msg": "2 files, 5 bytes of weights",
    }
    assert look(model, state="present")["changed"] is False


def test_a_link_that_leads_nowhere_counts_as_no_file(model):
    (model / "model-2.safetensors").symlink_to(model / "never-downloaded")
    assert look(model)["weights_bytes"] == 5


@pytest.mark.parametrize("text", ["{", "[]", "{}"], ids=["damaged", "a list", "empty"])
def test_a_config_that_says_nothing_is_refused(model, text):
    (model / "config.json").write_text(text)
    with pytest.raises(Refusal, match="holds no readable config.json"):
        look(model)


def test_a_file_that_only_its_owner_may_read_is_refused(model):
    (model / "sub" / "model.safetensors").chmod(0o600)
    with pytest.raises(Refusal, match="only their owner may read \\(sub/model.safetensors\\)"):
        look(model)


@pytest.mark.parametrize(("folder", "mode"), [("sub", 0o700), ("sub", 0o754), (".", 0o750)])
def test_a_folder_that_only_its_owner_may_enter_is_refused(model, folder, mode):
    (model / folder).chmod(mode)
    with pytest.raises(Refusal, match=f"only their owner may read \\({folder}\\)"):
        look(model)


def test_the_kind_of_a_file_system_is_that_of_the_nearest_mount(monkeypatch):
    mounts = {"/": "ext4", "/srv": "xfs", "/srv/nas": "cifs"}
    monkeypatch.setattr(store_runner, "_mounts", lambda: mounts)
    places = ("/srv/nas/models/q", "/srv/nas", "/srv/nass/q", "/models")
    assert [store_runner.filesystem_of(place) for place in places] == ["cifs", "cifs", "xfs", "ext4"]
    monkeypatch.setattr(store_runner, "_mounts", dict)
    assert store_runner.filesystem_of("/models") == ""


DEST = Wanted("huggingface", "acme/demo", "main", "/m")
ONE, TWO = ModelFile("a", 3, "1" * 64), ModelFile("b", 5, "2" * 64)


def recorded(*files, commit="c1", wanted=DEST):
    return Manifest(commit, wanted.record(), files)


def as_they_were(*files):
    return {file.path: Status(file.size, file.mtime_ns) for file in files}


def test_a_model_that_is_there_needs_nothing():
    plan = plan_model(DEST, Listing("c1", (ONE, TWO)), recorded(ONE, TWO), as_they_were(ONE, TWO))
    assert (plan.plan.changed, plan.plan.differences, plan.bytes_to_take) == (False, (), 0)


@pytest.mark.parametrize(
    ("listing", "manifest", "there", "takes", "keeps"),
    [
        pytest.param((ONE, TWO), None, {}, {"a": (), "b": ()}, {}, id="a bare host"),
        pytest.param((ONE, TWO), None, {"x": Status(5, 9)}, {"a": (), "b": ("x",)}, {}, id="a file of the right size"),
        pytest.param((ONE, TWO), None, {"x": Status(5, 9, False)}, {"a": (), "b": ()}, {}, id="a link"),
        pytest.param(
            (ONE, TWO), recorded(ONE, TWO), as_they_were(ONE), {"b": ()}, {"a": "a"}, id="a file that was removed"
        ),
        pytest.param(
            (ONE, TWO),
            recorded(ONE, TWO),
            {**as_they_were(ONE), "b": Status(5, 77)},
            {"b": ("b",)},
            {"a": "a"},
            id="a file with another time",
        ),
        pytest.param(
            (ModelFile("c", 3, "1" * 64),),
            recorded(ONE, commit="c0"),
            as_they_were(ONE),
            {},
            {"c": "a"},
            id="a file under a new name",
        ),
        pytest.param(
            (ModelFile("a", 3, "", "g" * 40),),
            recorded(ModelFile("a", 3, "1" * 64, "g" * 40), commit="c0"),
            as_they_were(ONE),
            {},
            {"a": "a"},
            id="a file that git alone proves",
        ),
        pytest.param(
            (ModelFile("a", 3),), recorded(ONE, commit="c1"), as_they_were(ONE), {}, {}, id="a file of no hash"
        ),
        pytest.param(
            (ModelFile("a", 3),),
            recorded(ONE, commit="c0"),
            as_they_were(ONE),
            {"a": ()},
            {},
            id="a file of no hash in another commit",
        ),
    ],
)
def test_only_what_is_not_known_to_be_there_is_fetched(listing, manifest, there, takes, keeps):
    plan = plan_model(DEST, Listing("c1", listing), manifest, there)
    assert {take.file.path: take.spare for take in plan.takes} == takes
    assert {keep.file.path: keep.old for keep in plan.keeps} == keeps
    assert [type(action) for action in plan.plan.actions[: len(takes) + len(keeps)]] == [Take] * len(takes) + [
        Keep
    ] * len(keeps) or not plan.plan.changed


@pytest.mark.parametrize("different", [{"revision": "v2"}, {"include": ("*",)}, {"exclude": ("x",)}, {"repo": "a/b"}])
def test_another_wish_is_recorded_though_no_file_differs(different):
    wanted = Wanted(**{"source": "huggingface", "repo": "acme/demo", "revision": "main", "dest": "/m", **different})
    plan = plan_model(wanted, Listing("c1", (ONE,)), recorded(ONE), as_they_were(ONE))
    assert (plan.plan.changed, plan.plan.differences, plan.takes) == (True, (), ())


def test_files_of_others_are_reported():
    there = {**as_they_were(ONE), "mine": Status(1, 1)}
    assert plan_model(DEST, Listing("c1", (ONE,)), recorded(ONE), there).strangers == ("mine",)


def test_a_file_that_the_new_revision_has_not_is_in_the_diff_as_gone():
    (difference,) = plan_model(DEST, Listing("c2", (ONE,)), recorded(ONE, TWO), as_they_were(ONE, TWO)).plan.differences
    assert difference.before == "commit c1\na  3 bytes  sha256:111111111111\nb  5 bytes  sha256:222222222222\n"
    assert difference.after == "commit c2\na  3 bytes  sha256:111111111111\n"


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("", 0),
        (" ", 0),
        ("1000", 1000),
        ("20M", 20_000_000),
        ("1.5 GB/s", 1_500_000_000),
        ("3k", 3000),
        ("2MiB/s", 2_000_000),
    ],
)
def test_a_rate_is_read(text, rate):
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["fast", "-1", "0", "0.4", "1", "50", "999", "1T", "20m", "M", "1,5M", "9" * 400])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(Refusal, match="set rate_limit"):
        parse_rate(text)


def test_a_disk_needs_an_inode_for_each_file_that_is_missing():
    for needed, free in ((0, 0), (5, 5), (5, None)):
        check_files(needed, free, "/m")
    with pytest.raises(Refusal, match="found 4 inodes free where /m lies; wanted 5 for the files still missing"):
        check_files(5, 4, "/m")


def test_what_another_run_tidies_away_meanwhile_takes_no_room(tmp_path, monkeypatch):
    (tmp_path / "demo.gpuchat").mkdir()
    (tmp_path / "demo.gpuchat" / "part").write_bytes(b"x" * 5000)
    listed = [(str(tmp_path / "demo.gpuchat"), [], ["lock", "part"])]
    monkeypatch.setattr(store_runner.os, "walk", lambda _top: iter(listed))
    assert store_runner.Store(str(tmp_path / "demo")).waiting_bytes() >= 5000


def test_a_disk_needs_room_for_what_is_missing_and_some_to_spare():
    check_space(0, 0, "/m")
    check_space(10, 10 + (256 << 20), "/m")
    with pytest.raises(Refusal, match="found 268.4 MB free where /m lies; wanted 10 bytes"):
        check_space(10, 9 + (256 << 20), "/m")
