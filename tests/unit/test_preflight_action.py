# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the preflight's own side on the control node tells its module of secrets and of files."""

from __future__ import annotations

import importlib.util
import pathlib
import types

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.types import LINES, NUMBER, UNREAD

PATH = pathlib.Path(__file__).resolve().parents[2] / "action_plugins" / "gpuchat_preflight.py"
SPEC = importlib.util.spec_from_file_location(PATH.stem, PATH)
action = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(action)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (["https://a"], "list"),
        (("a",), "list"),
        ({"a": "b"}, "dict"),
        ("a", "str"),
        (5, "int"),
        (True, "bool"),
        (None, "none"),
        ("$ANSIBLE_VAULT;1.1;AES256\n6162\n", UNREAD),
    ],
)
def test_a_secret_is_told_with_its_type_and_a_list_is_one(value, kind):
    assert action._about(value)["kind"] == kind


def test_of_secrets_by_name_it_is_told_which_are_odd_and_which_are_addresses_and_nothing_of_them():
    secret = {"a": "hunter2", "b": 123, "c": None, "d": "x\ny", "e": {"hunter2": 1}, "f": "", "g": "https://hunter2/x"}
    about = action._about(secret)
    assert about["odd"] == {"b": NUMBER, "c": "empty", "d": LINES, "e": "no text", "f": "empty"}
    assert about["addresses"] == ["g"]
    assert about["names"] == list("abcdefg")
    assert "hunter2" not in str(about)


@pytest.mark.parametrize(
    ("name", "value", "odd"),
    [
        *(("model_token", one, []) for one in ("hf_aB3", "ms-0a1b-2c", "", "eyJ0.eyJ.x_-", "a:b")),
        *(("model_token", one, ["0"]) for one in ("hf_x\n", "two words", "hf_\u00e9", " hf_x", "a;b")),
        *(("toolbox_index_url", one, []) for one in ("", "https://pypi.org/simple", "http://me:p%40w@h:8080/simple/")),
        *(("toolbox_index_url", one, []) for one in ("file:///srv/simple", "/srv/simple", "https://[fd00::1]/simple")),
        *(
            ("uv_index_url", one, ["0"])
            for one in ("mirror.example.com/simple", "ftp://h/x", "https://", "https://h\n")
        ),
        ("uv_extra_index_urls", ["https://h/x", "internal=https://h/y"], []),
        ("uv_extra_index_urls", ["https://h/x", "h/y", "", None, 5], ["1", "2", "3", "4"]),
        *(("gpuchat_database_password", one, []) for one in ("hunter2", 'a b"c$', "")),
        *(("gpuchat_database_password", one, ["0"]) for one in ("hunter2\n", 12345670)),
        *(("gpuchat_sso_client_secret", one, ["0"]) for one in ("a\r\n", 5)),
        ("gpuchat_api_key", "two words", []),
    ],
)
def test_of_a_secret_with_a_form_it_is_told_where_it_has_another(name, value, odd):
    told = action._about_secret(name, value)["odd"]
    assert list(told) == odd
    assert not value or str(value) not in str(told)


@pytest.mark.parametrize(("value", "told"), [(123, NUMBER), (0.5, NUMBER), ("two words", "(not plain)"), (True, True)])
def test_a_key_that_yaml_read_as_a_number_is_told_as_one(value, told):
    assert action._without_keys([{"name": "lm", "key": value}]) == [{"name": "lm", "key": told}]


@pytest.mark.parametrize(("value", "told"), [(83, NUMBER), ("a\nb", LINES), ("hunter2", "(secret)")])
def test_a_password_of_a_registry_is_told_by_its_form_alone(value, told):
    (login,) = action._without_passwords([{"registry": "docker.io", "username": "me", "password": value}])
    assert login == {"registry": "docker.io", "username": "me", "password": told}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"0\x82\x05\x00", "(its byte 2, 0x82, is none of a text in UTF-8); wanted a file in PEM form"),
        (None, "(No such file or directory); wanted a file in PEM form"),
    ],
    ids=["the binary form of a certificate", "none"],
)
def test_a_file_that_is_no_text_is_told_in_plain_words(content, words, tmp_path):
    path = tmp_path / "chat.der"
    if content is not None:
        path.write_bytes(content)
    text, problem = plugin()._text("edge_certificate_file", str(path))
    assert text == ""
    assert words in problem


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "all: {vars: {gpuchat_domain: k\u00fcche}}".encode("latin-1"),
            "is no YAML (its byte 31, 0xfc, is none of a text",
        ),
        (b"all: {vars: {a: b\x00}}", "is no YAML (its character 18, U+0000, is none that YAML knows); write it anew"),
    ],
    ids=["Latin-1", "a character that YAML has not"],
)
def test_an_inventory_that_is_no_text_is_told_in_plain_words(content, words, tmp_path):
    path = tmp_path / "hosts.yml"
    path.write_bytes(content)
    assert words in action._why_not_yaml(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[gpu]\none gpuchat_users=5\n[all:vars]\nedge_extra_names=['a', 'b']\ngpuchat_domain = c\n", ""),
        (
            "[gpu]\none\n[all:vars]\ngpuchat_api_key: hunter2\n",
            "got: gpuchat_api_key ...); wanted lines such as name=value",
        ),
        ("[gpu]\none gpuchat_users = 5\n", "got: gpuchat_users ...); wanted lines such as name=value without spaces"),
        ("[gpu:chidlren]\none\n", "is no INI that Ansible reads ("),
        ("#!/bin/sh\necho '[gpu]'\n[gpu]\n", ""),
        ("plugin = of another form\n", ""),
    ],
    ids=["right", "a colon", "spaces", "a section of no kind", "a program", "no section"],
)
def test_an_inventory_in_the_form_of_ini_that_ansible_leaves_aside_is_told_with_the_reason(content, words, tmp_path):
    path = tmp_path / "hosts"
    path.write_text(content)
    for source in (path, tmp_path):
        found = action._sources({"ansible_inventory_sources": [str(source)]})
        assert [words in one["problem"] for one in found if one["problem"]] == [True] * bool(words)
        assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"HF_TOKEN": "hunter2", "B": "hunter2\n", "C": ["hunter2"]}, {"HF_TOKEN": "", "B": LINES, "C": []}),
        (["HF_TOKEN=hunter2", "hunter2"], ["HF_TOKEN=(secret)", "(secret)"]),
        ([{"HF_TOKEN": "hunter2"}], [{"HF_TOKEN": ""}]),
        ("HF_TOKEN=hunter2", "HF_TOKEN=(secret)"),
        ("", ""),
        (None, None),
    ],
)
def test_of_an_environment_however_it_is_written_no_value_is_told(value, told):
    assert action._without_secrets("vllm_environment", value) == told
    assert action._without_secrets("backup_environment", value) == told
    models = [{"name": "q", "environment": value}]
    assert action._without_secrets("gpuchat_models", models) == [{"name": "q", "environment": told}]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, {"address": "one", "port": "22"}),
        ({"ansible_host": "10.0.0.5", "ansible_port": 2222}, {"address": "10.0.0.5", "port": "2222"}),
        ({"ansible_ssh_host": "10.0.0.5", "ansible_ssh_port": "77"}, {"address": "10.0.0.5", "port": "77"}),
        ({"ansible_connection": "local"}, {}),
        (
            {"ansible_host": "10.0.0.5", "ansible_ssh_common_args": "-o ProxyJump=bastion"},
            {"address": "", "port": "22"},
        ),
        ({"ansible_host": "10.0.0.5", "ansible_ssh_extra_args": "-4 -J bastion"}, {"address": "", "port": "22"}),
        ({"ansible_host": "10.0.0.5", "ansible_ssh_args": "-C"}, {"address": "10.0.0.5", "port": "22"}),
    ],
)
def test_it_is_told_where_ssh_reaches_a_host(given, told):
    assert action._reached("one", given) == told


@pytest.mark.parametrize(
    ("word", "is_hashed"),
    [
        *(
            (one, True)
            for one in ("$2y$10$abc./DEF", "$apr1$a$b", "$6$a$b", "{SSHA}abc=", "{PLAIN}hunter2", "abJnggxhB/yWI")
        ),
        *((one, True) for one in ("$2y$10$abc:since May", "$2y$10$abc\r", "{PLAIN}two words", "_J9..rasmBYk8r9AiWNc")),
        *((one, False) for one in ("hunter2", "", "a hunter", "{CLEAR}hunter2")),
    ],
)
def test_a_password_that_nginx_cannot_verify_is_told_by_whose_it_is(word, is_hashed, tmp_path):
    (tmp_path / "passwords").write_text(f"# people\nada:{word}\n")
    given = {"one": {"edge_password_file": str(tmp_path / "passwords")}}
    assert plugin()._files({"edge": ["one"]}, given) == (
        {"one": []},
        {"one": ["ada"]},
        {"one": ["ada"] * (not is_hashed)},
    )


def test_each_file_of_variables_is_told_with_the_group_or_host_that_it_is_for(tmp_path):
    names = ("group_vars/all/vault.yml", "group_vars/gpu.yml", "host_vars/a.example.com.yml", "host_vars/note.txt")
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a: 1\n")
    found = action._sources({"ansible_inventory_sources": [str(tmp_path)]})
    told = [(one["kind"], one["name"]) for one in found if "kind" in one and not one["unread"]]
    assert told == [("group_vars", "all"), ("group_vars", "gpu"), ("host_vars", "a.example.com")]


@pytest.mark.parametrize(
    ("names", "unread"),
    [
        (["all.yml", "all/vault.yml"], {"all.yml": "all/ alone; move it into that folder"}),
        (["all.yml", "all.yaml", "all.json"], dict.fromkeys(("all.yaml", "all.json"), "all.yml alone; leave one")),
        (["all", "all.yml"], {"all.yml": "all alone; leave one"}),
        (["all.yml.txt", "all/b.txt"], dict.fromkeys(("all.yml.txt", "all/b.txt"), "no files that end in .txt; take")),
        (["all.YML"], {"all.YML": "no files that end in .YML; take"}),
        (["all/a.yml", "all/b.yaml", "gpu.yml", "gpu.yml.bak", "gpu.yml~", "all/README.md"], {}),
    ],
    ids=[
        *("beside a folder", "with three endings", "without an ending", "of an editor", "in capitals"),
        "read, and no variables",
    ],
)
def test_files_of_variables_that_ansible_leaves_aside_are_told(names, unread, tmp_path):
    for name in names:
        path = tmp_path / "group_vars" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a: 1\n")
    found = action._sources({"ansible_inventory_sources": [str(tmp_path)]})
    told = {str(pathlib.Path(one["path"]).relative_to(tmp_path / "group_vars")): one for one in found if "kind" in one}
    assert [name for name, one in told.items() if one["unread"]] == sorted(unread)
    assert all(word in told[name]["unread"] for name, word in unread.items())
    assert {one["name"] for one in told.values()} <= {"all", "gpu"}


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("groups_vars", "group_vars"),
        ("group-vars", "group_vars"),
        ("groupvars", "group_vars"),
        ("Host_Vars", "host_vars"),
        ("hosts_var", "host_vars"),
        ("guest_vars", ""),
        ("vars", ""),
    ],
)
def test_a_folder_of_variables_whose_name_ansible_does_not_know_is_told(folder, kind, tmp_path):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "all.yml").write_text("gpuchat_users: 5\n")
    (tmp_path / "hosts.yml").write_text("all: {}\n")
    found = action._sources({"ansible_inventory_sources": [str(tmp_path / "hosts.yml")]})
    told = [(one["kind"], one["name"], one["unread"]) for one in found if "kind" in one]
    assert told == ([(kind, "all", f"Ansible reads no folder {folder}; rename it to {kind}")] if kind else [])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("hosts.yml", "all: {}\n".encode("utf-16"), "is a text in UTF-16, as some editors and shells of Windows"),
        ("hosts.yml", b"[gpu]\nserver\n[chat]\nserver\n", "holds INI and ends as YAML does; give it a name without"),
        (
            "hosts.txt",
            b"all:\n  hosts: {server: {}}\n",
            "holds YAML and ends in .txt, as which Ansible reads none; name",
        ),
        ("hosts", b"all:\n  hosts: {server: {}}\n", ""),
        ("hosts.ini", b"[gpu]\nserver\n", ""),
        ("hosts.yml", b"all: {var: {a: 1}}\n", "has var in the group all, where Ansible reads hosts, children, vars"),
        ("hosts.yml", b"all: {var: {a: 1}}\n", "; name it vars"),
        ("hosts.yml", b"all: {gpu: {hosts: {a: }}}\n", "has gpu in the group all"),
        ("hosts.yml", b"all: {gpu: {hosts: {a: }}}\n", "; put it under children:, or take it away"),
        ("hosts.yml", b"gpu: {hosts: {a: }, gpuchat_users: 5}\n", "; put it under vars:, or take it away"),
        ("hosts.yml", b"gpu: {hosts: {a: {gpuchat_users: 5}}, vars: {b: {c: 1}}}\n", ""),
        (
            "hosts.yml",
            b"gpu: {hosts: {a: 10.0.0.5}}\n",
            "has no mapping as the host a; wanted one, such as a: {",
        ),
        ("hosts.yml", b"gpu: {hosts: {a: {vars: {gpuchat_users: 5}}}}\n", "has vars in the host a, whose variables"),
        ("hosts.yml", b"plugin: constructed\nstrict: false\n", ""),
        ("hosts.yml", b"all: {children: {gpu: {hosts: {1: }}}}\n", "names a host or a group 1, which YAML reads as no"),
        ("hosts.yml", b"all: {children: {10.5: {hosts: {a: }}}}\n", "names a host or a group 10.5, which YAML reads"),
    ],
)
def test_an_inventory_of_another_form_than_its_name_says_or_with_other_parts_is_told(name, content, words, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    (found,) = {one["problem"] for one in action._sources({"ansible_inventory_sources": [str(path)]})} - {""} or {""}
    assert words in found
    assert bool(words) == bool(found)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("edge_http_port: 0443", "has a number with a 0 before it for edge_http_port in line 1, which YAML"),
        (
            "docker_settings:\n  a: [{b: 022}]",
            "has a number with a 0 before it for docker_settings in line 2, which YAML",
        ),
        ("edge_http_port: 0", ""),
        ("edge_http_port: '0443'", ""),
        ("edge_http_port: 0x1BB", ""),
        ("edge_http_port: 0890", ""),
        ("file_mode: 0644", ""),
    ],
)
def test_a_number_that_is_read_in_base_8_is_told_where_it_is_for_a_variable_of_ours(text, told, tmp_path):
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "all.yml").write_text(text)
    inner = text.replace("\n", "\n    ")
    (tmp_path / "hosts.yml").write_text(f"all:\n  vars:\n    {inner}\n")
    options = ("edge_http_port", "docker_settings")
    found = action._sources({"ansible_inventory_sources": [str(tmp_path / "hosts.yml")]}, options)
    problems = [one["problem"] for one in found if one["problem"]]
    assert len(problems) == 2 * bool(told)
    assert not told or problems[1].startswith(told)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("vars:\n  gpuchat_users: 5\n", 2),
        ("all:\n  vars:\n    gpuchat_users: 5\n", 3),
        ("vars:\n  somebodys: 5\n", 0),
        ("gpuchat_users: 5\n", 0),
    ],
)
def test_variables_that_a_file_of_variables_has_below_vars_are_told(text, line, tmp_path):
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "all.yml").write_text(text)
    (tmp_path / "hosts.yml").write_text("all:\n  vars:\n    gpuchat_users: 5\n")
    found = action._sources({"ansible_inventory_sources": [str(tmp_path / "hosts.yml")]}, ("gpuchat_users",))
    problems = [one["problem"] for one in found if one["problem"]]
    assert [f"has gpuchat_users in line {line} below vars" in one for one in problems] == [True] * bool(line)


@pytest.mark.parametrize("value", ["2030-02-30", "2030-13-01", "2030-01-01 25:00:00"])
def test_a_date_that_there_is_not_is_told_with_its_place(value, tmp_path):
    (tmp_path / "hosts.yml").write_text(f"all:\n  vars:\n    gpuchat_api_keys: [{{name: a, expires: {value}}}]\n")
    assert action._why_not_yaml(tmp_path / "hosts.yml") == (
        f"is no YAML in line 3, column 43 (it reads {value} as a date or a number, and there is none such); fix that "
        "line"
    )


def test_hosts_of_a_file_at_which_ansible_gave_up_are_in_no_group():
    assert action._groups({"all": ["a"], "gpu": ["a", "b"]}) == {"all": ["a"], "gpu": ["a"]}


def plugin():
    one = action.ActionModule.__new__(action.ActionModule)
    one._loader = types.SimpleNamespace(get_basedir=lambda: "/base", _vault=None)
    return one


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("vllm_requirements", "/nowhere/requirements.txt", "which cannot be read on the control node"),
        ("vllm_requirements", "requirements.txt", "wanted a path that begins with /; set vllm_requirements to /base/"),
        ("toolbox_wheels", "/nowhere", "which is no folder of the control node; wanted a folder with the wheels"),
        ("toolbox_wheels", "wheels", "which is no path that begins with /; wanted a folder with the wheels"),
    ],
)
def test_what_tasks_read_on_the_control_node_is_looked_at_before_any_of_them_runs(name, given, words, tmp_path):
    (word,) = plugin()._control_files({"one": {name: given}, "two": {name: given}})
    assert words in word
    right = tmp_path / "requirements.txt"
    right.write_text("vllm\n")
    there = str(right if name == "vllm_requirements" else tmp_path)
    assert plugin()._control_files({"one": {name: there}, "two": {name: ""}}) == []
