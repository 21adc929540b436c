# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments on a host: resolved once, made whole or not at all, removed with the last engine that uses them."""

from __future__ import annotations

import json
import os
import pathlib

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system import environment, environment_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system.environment import Source

HASH = "--hash=sha256:" + "a" * 64
LOCK = f"vllm==0.32.0 \\\n    {HASH}\n"
SOURCE = Source(("vllm==0.32.0",))


class Uv:
    """A uv that finds what it is asked for, and writes what it would."""

    def __init__(self):
        self.acts, self.refuses, self.settings = [], "", {}
        self.says = "no version of vllm==0.32.0 at https://u:secret@index/simple"

    def __call__(self, command, timeout=600, environment=None):
        words = list(command)
        if words[1:3] == ["-I", "-c"]:
            return host.Output(0 if words[0] == "/usr/bin/python3" else 127, "3.13\n", "")
        act = " ".join(word for word in words[1:3] if not word.startswith("-"))
        self.acts.append(act)
        if self.refuses and self.refuses in act:
            return host.Output(1, "", self.says)
        if act == "pip compile":
            pathlib.Path(words[words.index("--output-file") + 1]).write_text(LOCK)
        elif act == "venv":
            os.makedirs(f"{words[-1]}/bin")
        elif act == "pip sync":
            folder = os.path.dirname(os.path.dirname(words[words.index("--python") + 1]))
            self.settings = dict(environment)
            pathlib.Path(f"{folder}/bin/vllm").write_text("")
        return host.Output(0, "", "")


@pytest.fixture
def uv(tmp_path, monkeypatch):
    one = Uv()
    root = str(tmp_path / "vllm")
    for module in (environment, environment_runner):
        monkeypatch.setattr(module, "ROOT", root)
        monkeypatch.setattr(module, "CACHE", f"{root}/.cache")
    program = tmp_path / "uv"
    program.write_text("")
    monkeypatch.setattr(environment_runner, "UV", str(program))
    monkeypatch.setattr(host, "run", one)
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "h", "6", "1", "x86_64")))
    return one


def params(**more):
    usual = {
        "python": "auto",
        "index_url": "https://u:secret@index/simple",
        "extra_index_urls": [],
        "trusted_hosts": [],
    }
    return {**usual, "requirements": "", "locks": {}, **more}


def test_what_no_lock_names_is_resolved_installed_and_told(uv):
    result = environment_runner.ensure(SOURCE, params(), False)
    assert uv.acts == ["pip compile", "pip config", "venv", "pip sync"] or uv.acts[-2:] == ["venv", "pip sync"]
    assert result["changed"]
    assert os.path.exists(f"{result['reference']}/bin/vllm")
    ((name, text),) = result["new_locks"].items()
    assert name.startswith("vllm-0.32.0-py3.13-x86_64-")
    assert text.endswith(LOCK)
    assert uv.settings["UV_DEFAULT_INDEX"] == "https://u:secret@index/simple"
    uv.acts.clear()
    again = environment_runner.ensure(SOURCE, params(locks={name: text}), False)
    assert not again["changed"]
    assert again["reference"] == result["reference"]
    assert not uv.acts
    assert again["new_locks"] == {}


def test_a_recorded_lock_is_not_resolved_again(uv):
    name = environment.lock_name(SOURCE, "3.13", "x86_64")
    assert environment_runner.look_up(SOURCE, params(locks={name: LOCK}), False)["lock"] == LOCK
    assert environment_runner.look_up(SOURCE, params(requirements=LOCK), False)["lock"] == LOCK
    assert "pip compile" not in uv.acts


def test_what_cannot_be_resolved_or_installed_leaves_nothing_and_shows_no_login(uv):
    for refused, words in (("compile", "uv found no versions that go together"), ("sync", "uv could not install")):
        uv.refuses = refused
        with pytest.raises(Refusal, match=words) as refusal:
            environment_runner.ensure(SOURCE, params(), False)
        assert "secret" not in str(refusal.value)
        assert "set uv_index_url" in str(refusal.value)
        assert environment_runner.folders() == ()


@pytest.mark.parametrize("refused", ["compile", "sync"])
@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("  Caused by: invalid peer certificate: UnknownIssuer", "gpuchat_ca_files"),
        ("error: Failed to install: torch.whl: No space left on device (os error 28)", "free space on"),
        ("  Hash mismatch for `torch==2.13.0`", "alters files"),
    ],
)
def test_a_failed_uv_has_the_cure_of_its_words(uv, refused, said, cure):
    uv.refuses, uv.says = refused, said
    with pytest.raises(Refusal, match=cure) as refusal:
        environment_runner.ensure(SOURCE, params(), False)
    assert "set uv_index_url" not in str(refusal.value)


def test_a_build_that_was_cut_short_is_made_anew(uv):
    folder = environment_runner.ensure(SOURCE, params(), False)["reference"]
    os.unlink(f"{folder}/gpuchat.json")
    pathlib.Path(f"{folder}/half").write_text("")
    assert environment_runner.ensure(SOURCE, params(), False)["changed"]
    assert not os.path.exists(f"{folder}/half")
    assert json.loads(pathlib.Path(f"{folder}/gpuchat.json").read_text())["packages"] == "vllm==0.32.0"


def test_check_mode_on_a_bare_host_says_what_it_cannot_know(uv, monkeypatch):
    monkeypatch.setattr(environment_runner, "UV", "/nonexistent/uv")
    result = environment_runner.ensure(SOURCE, params(), True)
    assert result["changed"]
    assert result["not_predicted"] == ["which packages vllm==0.32.0 comes with: uv is not on this host yet"]
    assert not os.path.exists(environment_runner.ROOT)


def test_check_mode_where_the_lock_is_known_makes_nothing(uv):
    name = environment.lock_name(SOURCE, "3.13", "x86_64")
    result = environment_runner.ensure(SOURCE, params(locks={name: LOCK}), True)
    assert result["changed"]
    assert "vllm==0.32.0" in result["diff"][0]["after"]
    assert not os.path.exists(environment_runner.ROOT)


def test_what_is_unused_goes_and_the_root_with_the_last(uv):
    one = environment_runner.ensure(SOURCE, params(), False)["reference"]
    two = environment_runner.ensure(SOURCE, params(requirements=LOCK.replace("0.32.0", "0.31.0")), False)["reference"]
    assert environment_runner.unused([two]) == (one,)
    environment_runner.remove([one])
    assert environment_runner.folders() == (two,)
    environment_runner.remove([two])
    assert not os.path.exists(environment_runner.ROOT)


@pytest.fixture
def accounts(monkeypatch):
    there = {"root": 0}
    made = []

    def by_name(name):
        if name not in there:
            raise KeyError(name)
        return type("Entry", (), {"pw_uid": there[name], "pw_name": name})

    def by_number(uid):
        return by_name(next((name for name, number in there.items() if number == uid), "nobody there"))

    def must(command, *_args):
        made.append(command[0])
        there.pop(command[-1], None) if command[0] == "userdel" else there.update({command[-1]: int(command[3])})

    monkeypatch.setattr(environment_runner.pwd, "getpwnam", by_name)
    monkeypatch.setattr(environment_runner.pwd, "getpwuid", by_number)
    monkeypatch.setattr(host, "must", must)
    return there, made


def test_engines_have_an_account_of_their_number_once(accounts):
    _there, made = accounts
    assert not made
    assert environment_runner.ensure_account(69980, True)["changed"]
    assert not made
    assert environment_runner.ensure_account(69980, False)["changed"]
    assert not environment_runner.ensure_account(69980, False)["changed"]
    assert environment_runner.remove_account()
    assert not environment_runner.remove_account()
    assert made == ["useradd", "userdel"]


def test_an_account_of_somebody_elses_with_that_number_is_used_and_never_removed(accounts):
    there, made = accounts
    there["models"] = 69980
    assert not environment_runner.ensure_account(69980, False)["changed"]
    assert not environment_runner.remove_account()
    assert not made


def test_our_name_with_another_number_is_refused(accounts):
    there, _made = accounts
    there["gpuchat-vllm"] = 900
    with pytest.raises(Refusal, match="set vllm_uid to 900"):
        environment_runner.ensure_account(69980, False)
