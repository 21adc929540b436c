# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model.several import (
    check_disks,
    folders,
    together,
)

GB = 1 << 30


def model(name, path, **more):
    usual = {
        "source": "path",
        "repo": "",
        "revision": "",
        "endpoints": [],
        "include": [],
        "exclude": [],
        "adapter": False,
        "export": None,
    }
    return {"name": name, "path": path, **usual, **more}


def test_models_of_one_folder_are_one_in_the_inventorys_order():
    found = folders([model("b", "/m/x"), model("a", "/m/y"), model("c", "/m/x/")])
    assert {path: [one["name"] for one in models] for path, models in found.items()} == {
        "/m/x": ["b", "c"],
        "/m/y": ["a"],
    }


@pytest.mark.parametrize(
    ("models", "export", "words"),
    [
        ([model("a", "/m/x"), model("a", "/m/y")], False, "the model a twice.*set name"),
        ([model("a", "/m/x", repo="o/a"), model("b", "/m/x", repo="o/b")], False, "a and b in one folder.*set path"),
        ([model("a", "/m/x")], True, "no folder to export a to.*set export"),
    ],
    ids=["a name twice", "two models in one folder", "nowhere to export to"],
)
def test_models_that_cannot_be_are_refused(models, export, words):
    with pytest.raises(Refusal, match=words):
        folders(models, export)


def test_several_results_are_one_whose_words_name_their_model():
    one = {"changed": False, "diff": [], "msg": "holds it", "commit": "1", "bytes_to_fetch": 0, "bytes_fetched": 0}
    two = {**one, "changed": True, "diff": [{}], "commit": "2", "warnings": ["slow"], "bytes_fetched": 5}
    assert together({"a": one, "b": two}, {"a": ["a"], "b": ["b", "c"]}) == {
        "changed": True,
        "diff": [{}],
        "msg": "a: holds it; b: holds it",
        "warnings": ["b: slow"],
        "models": {
            "a": {"commit": "1", "bytes_to_fetch": 0, "bytes_fetched": 0},
            "b": {"commit": "2", "bytes_to_fetch": 0, "bytes_fetched": 5},
            "c": {"commit": "2", "bytes_to_fetch": 0, "bytes_fetched": 5},
        },
        "bytes_to_fetch": 0,
        "bytes_fetched": 5,
    }


def test_a_host_without_models_has_nothing_to_do():
    result = together({}, {})
    assert (result["changed"], result["models"], result["msg"]) == (False, {}, "there are no models on this host")


def test_models_that_fit_one_by_one_are_refused_where_they_do_not_fit_together():
    missing = {"/m/a": 30 * GB, "/m/b": 30 * GB, "/n/c": 30 * GB, "/m/d": 0}
    disks = {"/m/a": (1, 50 * GB), "/m/b": (1, 50 * GB), "/n/c": (2, 50 * GB), "/m/d": (1, 50 * GB)}
    with pytest.raises(Refusal, match="where /m/a and /m/b lies; wanted"):
        check_disks(missing, disks)
    check_disks({**missing, "/m/b": 10 * GB}, disks)
