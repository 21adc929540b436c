# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module within Ansible's own process does what it does in one of its own."""

from __future__ import annotations

import types

import pytest
from ansible.errors import AnsibleError
from ansible.module_utils.common.text.converters import to_text
from ansible.parsing import vault
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import control_runner


class Screen:
    """Keeps what would be displayed."""

    def __init__(self):
        self.said = []

    def warning(self, text):
        self.said.append(text)

    def vvv(self, text):
        self.said.append(text)


def ran(name, args, check_mode=False):
    task = types.SimpleNamespace(action=f"gpuchat.stack.{name}", check_mode=check_mode)
    action = types.SimpleNamespace(_task=task, _display=Screen())
    return control_runner.run(action, args), action._display.said


SERVED = {
    "models": [{"name": "q", "task": "auto", "hosts": ["one"]}],
    "plans": {"one": {"q": {"task": "chat", "args": {"max-model-len": 2048}}}},
}


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "own")


def test_its_result_is_the_modules_own(folder):
    result, said = ran("gpuchat_served", {**SERVED, "folder": folder}, check_mode=True)
    assert [(one["name"], one["context"]) for one in result["served"]] == [("q", 2048)]
    assert said == []


def test_check_mode_reaches_it(folder, tmp_path):
    ran("gpuchat_served", {**SERVED, "folder": folder}, check_mode=True)
    assert list(tmp_path.iterdir()) == []
    ran("gpuchat_served", {**SERVED, "folder": folder})
    assert list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"folder": "/x"}, "missing required arguments: models"),
        ({**SERVED, "folder": "/x", "colour": 1}, "Unsupported parameters for (gpuchat_served) module: colour."),
        ({**SERVED, "folder": "/x", "plans": "none"}, "argument 'plans' is of type"),
    ],
)
def test_its_options_are_checked(args, said):
    result, _said = ran("gpuchat_served", args)
    assert result["failed"]
    assert result["msg"].startswith(said)


def test_a_refusal_fails_the_task_in_the_modules_words():
    engines = [{"name": "q", "path": "/srv/models/q"}]
    given = {"engines": engines, "metadata": {"q": {"config": {}}}, "gpus": [], "vllm_version": "0.32.0"}
    result, _said = ran("gpuchat_vllm_plan", given)
    assert result["failed"]
    assert "; wanted " in result["msg"]


def test_what_it_is_given_is_plain_data():
    class Text(str):
        __slots__ = ()

        def __str__(self):
            return "with its origin"

    plain = control_runner._plain({Text("a"): [Text("b"), 1, None, True, 1.5]})
    assert plain == {"a": ["b", 1, None, True, 1.5]}
    assert [type(one) for one in (*plain, *plain["a"])] == [str, str, int, type(None), bool, float]


def test_a_secret_option_stands_in_no_result(monkeypatch):
    runner = control_runner._read("gpuchat_verify").site_runner
    monkeypatch.setattr(runner, "ensure", lambda params, *_more: {"rows": [params["api_key"]]})
    result, _said = ran("gpuchat_verify", {"site": {"domain": "c", "models": []}, "api_key": "s3cret-k3y"})
    assert "s3cret-k3y" not in to_text(result)


def test_an_authority_that_a_vault_holds_reaches_the_hosts_in_plain(tmp_path):
    secret = vault.VaultSecret(b"word")
    keeper = vault.VaultLib([("default", secret)])
    path = tmp_path / "company.crt"
    path.write_bytes(keeper.encrypt("-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n", secret))
    action = types.SimpleNamespace(
        _templar=types.SimpleNamespace(template=lambda value: value), _loader=types.SimpleNamespace(_vault=keeper)
    )
    given = control_runner.network(action, {"gpuchat_ca_files": [str(path)]})
    assert "MIIBAAAA" in given["way_out"]["authorities"]


def test_an_authority_in_the_binary_form_is_told_in_plain_words(tmp_path):
    path = tmp_path / "company.cer"
    path.write_bytes(b"0\x82\x05\x00")
    action = types.SimpleNamespace(_templar=types.SimpleNamespace(template=lambda value: value))
    with pytest.raises(AnsibleError) as failed:
        control_runner.network(action, {"gpuchat_ca_files": [str(path)]})
    assert "(its byte 2, 0x82, is none of a text in UTF-8); wanted certificates in PEM form" in str(failed.value)


def test_a_host_outside_the_stack_has_no_word_in_the_way_out():
    def template(value):
        assert "{{" not in str(value), value
        return value

    action = types.SimpleNamespace(_templar=types.SimpleNamespace(template=template))
    hosts = {"gpu1": {"gpuchat_private_address": "10.0.0.5"}, "other": {"ansible_host": "{{ undefined }}"}}
    known = {"groups": {"all": ["gpu1", "other"], "gpu": ["gpu1"], "chat": ["gpu1"]}, "hostvars": hosts}
    given = control_runner.network(action, {**known, "gpuchat_proxy": {"http": "http://proxy:3128"}})
    assert given["way_out"]["own"] == ["10.0.0.5", "gpu1"]
