# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The survey's command: what it compares with, and how it ends."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
import survey
import yaml
from fleet import Member
from gpuchat.secret.membership import fingerprints
from gpuchat.survey.types import Answer

ROOT = pathlib.Path(__file__).resolve().parents[3]


def member(name="gpu01", groups=("all", "gpu"), **variables):
    return Member(name, groups, {}, variables, local=False)


def answered(**reading):
    return {"gpu01": Answer("done", reading)}


def options():
    """Return the options of all roles, by name."""
    found = {}
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text())["argument_specs"].values():
            found.update(entry["options"])
    return found


def test_each_variable_that_is_asked_for_exists_and_holds_no_secret():
    known = options()
    assert set(survey.VARIABLES) <= set(known)
    assert not [name for name in survey.VARIABLES if known[name].get("no_log")]


def test_the_planned_images_are_the_roles_defaults_with_the_inventorys_versions():
    models = [{"name": "demo"}, {"name": "old", "version": "0.31.0"}, {"name": "own", "image": "mine:8"}]
    plain = survey.expect(member(gpuchat_models=models))
    pinned = survey.expect(member(gpuchat_models=models, vllm_version="9.9.9", lobehub_image="mine:7"))
    assert re.fullmatch(r"vllm/vllm-openai:v\d+\.\d+\.\d+", plain.images["gpuchat-vllm-demo"][0])
    assert pinned.images["gpuchat-vllm-demo"] == ("vllm/vllm-openai:v9.9.9", "vllm/vllm-openai-cpu:v9.9.9")
    assert pinned.images["gpuchat-vllm-old"] == ("vllm/vllm-openai:v0.31.0", "vllm/vllm-openai-cpu:v0.31.0")
    assert pinned.images["gpuchat-vllm-own"] == ("mine:8",)
    assert pinned.images["gpuchat-lobehub"] == ("mine:7",)
    (store,) = plain.images["gpuchat-object-store"]
    assert re.fullmatch(r"rustfs/rustfs:\d\S+", store)
    assert plain.interface == "lobehub"


def test_the_model_lies_where_the_role_puts_it():
    given = [{"name": "demo", "repo": "a/b", "endpoints": ["http://x"]}, {"name": "else", "hosts": ["another"]}]
    assert survey.expect(member(gpuchat_models=given)).engines == {
        "gpuchat-vllm-demo": {"name": "demo", "repo": "a/b", "path": "/srv/models/demo"}
    }
    assert survey.expect(member(groups=("edge",), gpuchat_models=given)).engines == {}


@pytest.mark.parametrize(("given", "hours"), [(12, 12.0), ("48", 48.0), ("often", 36.0), ("", 36.0)])
def test_how_old_a_backup_may_be_is_the_inventorys_word_where_it_is_a_number(given, hours):
    assert survey.expect(member(backup_max_age_hours=given)).backup_hours == hours


@pytest.mark.parametrize("given", [None, "demo", [1], [{"repo": "a/b"}]])
def test_a_list_of_models_that_cannot_be_read_spoils_no_survey(given):
    assert survey.expect(member(gpuchat_models=given)).engines == {}


def test_a_driver_is_compared_where_the_inventory_has_it_installed():
    assert "NVIDIA's driver" not in survey.expect(member()).versions
    assert survey.expect(member(nvidia_driver_install=True)).versions["NVIDIA's driver"] == "580."


def test_the_runs_own_folder_lies_beside_the_first_inventory(tmp_path):
    (tmp_path / "hosts.yml").write_text("all:\n")
    assert survey.folder_of([str(tmp_path / "hosts.yml"), "other,"]) == tmp_path / ".gpuchat"
    assert survey.folder_of([str(tmp_path)]) == tmp_path / ".gpuchat"


def test_hosts_are_compared_with_the_lock_and_the_secrets_of_the_run(tmp_path):
    (tmp_path / "lock.yml").write_text("images: {'a:1': 'sha256:1'}\n")
    (tmp_path / "secrets.yml").write_text("api_key: new\nvllm_api_key: one\nvllm_api_key_previous: before\n")
    notes, (one,) = survey.compare_with([member()], answered(stack={"api_key": "x"}), tmp_path)
    known = fingerprints({"api_key": "new", "vllm_api_key": "one"})
    assert (notes, one.lock) == ((), {"a:1": "sha256:1"})
    assert one.fingerprints == {
        "api_key": (known["api_key"],),
        "vllm_api_key": (known["vllm_api_key"], fingerprints({"vllm_api_key": "before"})["vllm_api_key"]),
    }


def test_what_cannot_be_compared_is_noted(tmp_path):
    (tmp_path / "secrets.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    reading = {"stack": {"api_key": "x"}, "containers": {"gpuchat-vllm": {"image": "i", "gpus": False}}}
    notes, (one,) = survey.compare_with([member()], answered(**reading), tmp_path)
    assert ["lock.yml" in notes[0], "secrets.yml" in notes[1]] == [True, True]
    assert one.fingerprints == {"api_key": ("x",)}


@pytest.mark.parametrize(
    ("clock", "ahead"),
    [
        pytest.param(998.0, 0.0, id="read while the host was asked"),
        pytest.param(1001.0, 1.0, id="later than it was heard of"),
        pytest.param(990.0, -5.0, id="earlier than it was asked"),
    ],
)
def test_a_clock_is_off_by_what_the_way_cannot_explain(clock, ahead):
    assert survey.clock_ahead(clock, seconds=5.0, heard=1000.0) == ahead


INVENTORY = """
all:
  children:
    outside:
      hosts:
        here: {ansible_connection: local, ansible_become: false}
        gone: {ansible_host: 127.0.0.1, ansible_port: 1, ansible_host_key_checking: false}
"""


def surveyed(tmp_path, *words):
    (tmp_path / "hosts.yml").write_text(INVENTORY)
    command = [sys.executable, str(ROOT / "deploys" / "survey.py"), "-i", str(tmp_path / "hosts.yml"), *words]
    # Other tests look at what is left in the usual folder of temporary files.
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)


def test_one_host_that_cannot_be_reached_is_told_and_the_other_is_read(tmp_path):
    done = surveyed(tmp_path, "--json", "--html", "survey.html")
    assert (done.returncode, done.stderr) == (3, "")
    whole = {one["name"]: one for one in json.loads(done.stdout)["hosts"]}
    assert whole["gone"]["state"] == "unreachable"
    assert "refuses connections" in whole["gone"]["problem"]
    assert whole["here"]["reading"]["host"]["kernel"]
    assert (tmp_path / "survey.html").read_text().startswith("<!doctype html>")
