# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat import model_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model import Folder, check_folder
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.plan import Refusal

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
def test_the_time_to_start_is_reckoned_from_the_weights(sizes, weights, seconds):
    folder = Folder("/m", sizes, {})
    assert (folder.weights_bytes, folder.start_seconds) == (weights, seconds)


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        pytest.param(
            None,
            "found no folder /m on this host; wanted a model's folder; put it there or set gpuchat_model.path",
            id="no folder",
        ),
        pytest.param(
            Folder("/m", WHOLE, None),
            "/m holds no readable config.json; wanted a model as Hugging Face lays it out; set gpuchat_model.path",
            id="no config.json",
        ),
        pytest.param(
            Folder("/m", {"config.json": 700}, {"a": 1}),
            "/m holds no weights (.safetensors, .bin, .pt, .gguf); is the download complete? set gpuchat_model.path",
            id="no weights",
        ),
        pytest.param(
            Folder("/m", WHOLE, {"a": 1}, ("a", "b", "c", "d")),
            "/m holds files that only their owner may read (a, b, c); wanted files that the engine's own "
            "user can read; run `chmod -R a+rX /m`",
            id="closed files",
        ),
    ],
)
def test_what_is_no_model_folder_is_refused(folder, message):
    with pytest.raises(Refusal) as refused:
        check_folder(folder, "/m")
    assert str(refused.value) == message


@pytest.fixture
def model(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "model.safetensors").write_bytes(b"12345")
    for path in (tmp_path / "config.json", tmp_path / "sub" / "model.safetensors"):
        path.chmod(0o644)
    return tmp_path


def test_a_folder_on_the_host_is_read_with_what_lies_below_it(model):
    assert model_runner.bring({"path": str(model)}) == {
        "changed": False,
        "config": {"model_type": "llama"},
        "files": [{"path": "config.json", "size": 23}, {"path": "sub/model.safetensors", "size": 5}],
        "weights_bytes": 5,
        "start_seconds": 300,
        "msg": "2 files, 5 bytes of weights",
    }


def test_a_link_that_leads_nowhere_counts_as_no_file(model):
    (model / "model-2.safetensors").symlink_to(model / "never-downloaded")
    assert model_runner.bring({"path": str(model)})["weights_bytes"] == 5


@pytest.mark.parametrize("text", ["{", "[]", "{}"], ids=["damaged", "a list", "empty"])
def test_a_config_that_says_nothing_is_refused(model, text):
    (model / "config.json").write_text(text)
    with pytest.raises(Refusal, match="holds no readable config.json"):
        model_runner.bring({"path": str(model)})


def test_a_file_that_only_its_owner_may_read_is_refused(model):
    (model / "sub" / "model.safetensors").chmod(0o600)
    with pytest.raises(Refusal, match="only their owner may read \\(sub/model.safetensors\\)"):
        model_runner.bring({"path": str(model)})
