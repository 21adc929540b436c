# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of an inventory is what Ansible makes of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile

import fleet
import pytest
from fleet import Refusal

USUAL = {
    "host": "gpu1",
    "port": None,
    "remote_user": "deploy",
    "password": None,
    "private_key_file": None,
    "host_key_checking": True,
    "timeout": 10,
    "reconnection_retries": 0,
    "ssh_args": "-C -o ControlMaster=auto -o ControlPersist=60s",
    "ssh_common_args": "",
    "ssh_extra_args": "",
    "ssh_executable": "ssh",
    "pkcs11_provider": "",
}
SUDO = {
    "become_method": "sudo",
    "become_user": "root",
    "become_pass": None,
    "become_exe": "sudo",
    "become_flags": "-H -S -n",
}


def member(become=None, connection="ssh", python="auto", **options):
    found = {"name": "one", "groups": ["gpu"], "variables": {}, "python": python, "connection": connection}
    return fleet.member_of({**found, "options": {**USUAL, **options}, "become": become})


def test_every_host_is_read_as_ansible_itself_sees_it(members, of_ansible):
    defaults = {"ssh_hostname": "", "ssh_port": 0, "ssh_user": "", "ssh_key": "", "ssh_password": ""}
    defaults |= {"_sudo_user": "root", "_sudo_password": ""}
    for one in members:
        wanted = dict(of_ansible[one.name])
        found = {
            **defaults,
            **one.data,
            "local": one.local,
            "groups": list(one.groups),
            "models": one.variables["models"],
        }
        unused = set(defaults) - {"_sudo_user", "_sudo_password"} if one.local else set()
        unused |= {"_sudo_user"} if not wanted["_sudo"] else set()
        assert {key: found[key] for key in wanted if key not in unused} == {
            key: value for key, value in wanted.items() if key not in unused
        }, one.name
    assert {one.name for one in members} == set(of_ansible)
    assert len(members) == 12


def test_the_inventory_of_the_test_names_each_way_to_a_host(members):
    by_name = {one.name: one for one in members}
    assert by_name["addressed"].data["ssh_hostname"] == "10.0.0.7"
    assert by_name["addressed"].data["ssh_user"] == "of_host_vars"
    assert by_name["plain"].data["ssh_port"] == 2244
    assert by_name["plain"].data["ssh_user"] == "second"
    assert by_name["asked"].data["_sudo_password"] == "sesame 2"
    assert by_name["inline"].data["_sudo_password"] == "inline sesame"
    assert by_name["open"].data["ssh_password"] == "open sesame"
    assert by_name["open"].data["ssh_strict_host_key_checking"] == "no"
    assert [one.name for one in members if one.local] == ["one", "two"]
    assert "proxyjump hop@bastion:2200" in by_name["behind"].ssh_config
    assert by_name["one"].variables == {
        "models": [{"name": "deploy-model", "size": 3}],
        "gpuchat_domain": "chat.example.test",
    }


def test_a_limit_is_a_pattern_of_ansible(inventories):
    paths, words = inventories
    assert [one.name for one in fleet.read(paths, limit="gpu:!far:!added", vault=words)] == [
        "plain",
        "addressed",
        "keyed",
        "root",
    ]


def test_settings_of_the_environment_hold_as_for_ansible(tmp_path, monkeypatch):
    monkeypatch.setenv("ANSIBLE_REMOTE_USER", "of_environment")
    monkeypatch.setenv("ANSIBLE_HOST_KEY_CHECKING", "false")
    (tmp_path / "ansible.cfg").write_text(
        "[defaults]\nremote_port = 2201\ninventory = hosts\ntimeout = 3\n[privilege_escalation]\nbecome_user = boss\n"
    )
    (tmp_path / "hosts").write_text("one\n")
    monkeypatch.setenv("ANSIBLE_CONFIG", str(tmp_path / "ansible.cfg"))
    (one,) = fleet.read([])
    assert one.data["ssh_user"] == "of_environment"
    assert one.data["ssh_port"] == 2201
    assert one.data["ssh_strict_host_key_checking"] == "no"
    assert one.data["ssh_paramiko_connect_kwargs"]["banner_timeout"] == 3
    assert one.data["_sudo_user"] == "boss"


def test_a_vault_without_its_secret_is_refused_in_ansibles_words(inventories, capfd):
    paths, words = inventories
    with pytest.raises(Refusal, match="Ansible cannot say how to reach the hosts"):
        fleet.read(paths, vault=words[1:])
    captured = capfd.readouterr()
    assert "vault" in (captured.out + captured.err).lower()


@pytest.mark.parametrize(
    ("text", "limit", "told"),
    [
        pytest.param(
            "one ansible_host='{{ nowhere }}'\ntwo\n", "", r"(?s)one \| FAILED.*'nowhere' is undefined", id="template"
        ),
        pytest.param("one\n", "other", "Ansible cannot say", id="a limit that leaves nobody"),
        pytest.param("one ansible_connection=x\n", "", "plugin 'x' was not found", id="another connection"),
        pytest.param("one x='{{ nowhere }}'\n", "", "(?s)one.*nowhere", id="a variable that is asked for"),
    ],
)
def test_what_cannot_be_read_is_told(text, limit, told, tmp_path):
    (tmp_path / "hosts").write_text(text)
    with pytest.raises(Refusal, match=told):
        fleet.read([str(tmp_path / "hosts")], limit=limit, variables=["x"])


def test_a_missing_inventory_is_told():
    with pytest.raises(Refusal, match="found no inventory at /nowhere"):
        fleet.read(["/nowhere"])


def test_nothing_secret_is_shown_or_left(members, inventories, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert "sesame" not in repr(members)
    paths, words = inventories
    fleet.read(paths, vault=words)
    captured = capfd.readouterr()
    assert "sesame" not in captured.out + captured.err
    assert list(tmp_path.iterdir()) == []


# Single hosts


@pytest.mark.parametrize(
    ("options", "data"),
    [
        pytest.param({"port": 2222}, {"ssh_port": 2222}, id="port"),
        pytest.param(
            {"ssh_args": "-p 22 -l me", "port": 2222}, {"ssh_port": 22, "ssh_user": "me"}, id="first one holds"
        ),
        pytest.param({"ssh_common_args": "-p 22 -l me"}, {"ssh_port": 22, "ssh_user": "deploy"}, id="last where unset"),
        pytest.param({"ssh_common_args": "-i /k"}, {"ssh_key": "/k"}, id="key"),
        pytest.param({"ssh_extra_args": "-o 'IdentityFile=\"/k k\"'"}, {"ssh_key": "/k k"}, id="key by -o"),
        pytest.param({"private_key_file": "/k"}, {"ssh_key": "/k"}, id="private key file"),
        pytest.param(
            {"ssh_common_args": "-o StrictHostKeyChecking=accept-new"},
            {"ssh_strict_host_key_checking": "accept-new"},
            id="new keys",
        ),
        pytest.param(
            {"ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -qC"},
            {"ssh_strict_host_key_checking": "no", "ssh_known_hosts_file": "/dev/null"},
            id="any key",
        ),
        pytest.param({"reconnection_retries": 2}, {"ssh_connect_retries": 2}, id="retries"),
        pytest.param(
            {"ssh_common_args": "-o IdentitiesOnly=yes"},
            {
                "ssh_paramiko_connect_kwargs": {
                    "timeout": 10,
                    "banner_timeout": 10,
                    "auth_timeout": 10,
                    "allow_agent": False,
                }
            },
            id="no agent",
        ),
        pytest.param({"private_key_passphrase": "p"}, {"ssh_key_password": "p"}, id="passphrase"),
    ],
)
def test_an_option_of_ssh_has_its_name_in_pyinfra(options, data):
    found = member(**options).data
    assert {key: found.get(key) for key in data} == data


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        pytest.param({"ssh_common_args": "-J a@b:1,c"}, ["Host gpu1", "  proxyjump a@b:1,c"], id="jump"),
        pytest.param(
            {"ssh_common_args": '-o ProxyCommand="ssh -W %h:%p -q b"'},
            ["  proxycommand ssh -W %h:%p -q b"],
            id="command",
        ),
        pytest.param({}, ["  Include /etc/ssh/ssh_config"], id="the machine's"),
        pytest.param({"ssh_args": "-F /my/config"}, ["  Include /my/config"], id="another file"),
        pytest.param({"ssh_extra_args": "-A"}, ["  forwardagent yes"], id="agent"),
    ],
)
def test_a_way_there_stands_in_an_ssh_config_of_the_hosts_own(options, lines):
    assert set(lines) <= set(member(**options).ssh_config.splitlines())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        pytest.param({"ssh_common_args": "-D 1080"}, "-D in ansible_ssh_common_args", id="letter"),
        pytest.param({"ssh_extra_args": "-o Ciphers=aes256-ctr"}, "Ciphers.* in ansible_ssh_extra_args", id="setting"),
        pytest.param({"ssh_args": "-4"}, "ansible_ssh_args", id="address family"),
        pytest.param({"ssh_args": "other"}, "other in ansible_ssh_args", id="a word"),
        pytest.param({"ssh_args": "-o"}, "ansible_ssh_args", id="without a value"),
        pytest.param({"ssh_args": "'"}, "ansible_ssh_args", id="without an end"),
        pytest.param(
            {"private_key_file": "/a", "ssh_common_args": "-i /b"}, "ansible_ssh_private_key_file", id="two keys"
        ),
        pytest.param({"ssh_executable": "/opt/ssh"}, "ansible_ssh_executable", id="program"),
        pytest.param({"pkcs11_provider": "/x.so"}, "ansible_ssh_pkcs11_provider", id="card"),
        pytest.param({"connection": "winrm"}, "ansible_connection", id="connection"),
        pytest.param({"host": "a b"}, "ansible_host", id="host"),
        pytest.param({"port": "x"}, "ansible_port", id="port"),
        pytest.param(
            {"become": {**SUDO, "become_method": "community.general.doas"}}, "ansible_become_method", id="doas"
        ),
        pytest.param({"become": {**SUDO, "become_method": "su"}}, "ansible_become_method", id="su"),
        pytest.param({"become": {**SUDO, "sudo_chdir": "/x"}}, "ansible_sudo_chdir", id="folder"),
        pytest.param({"become": {**SUDO, "become_pass": "a\nb"}}, "ansible_become_password", id="line break"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_the_variables_name(options, named):
    with pytest.raises(Refusal, match=f"one: .*{named}"):
        member(**options)


@pytest.mark.parametrize(
    ("become", "words"),
    [
        pytest.param({}, "sudo -H -S -n -u root", id="without a password"),
        pytest.param({"become_pass": "p"}, "sudo -H -S -k -S -p  -u root", id="with one"),
        pytest.param(
            {"become_exe": "/opt/sudo -E", "become_flags": "", "become_user": "x"}, "/opt/sudo -E -n -u x", id="own"
        ),
        pytest.param({"become_flags": "-Hn", "become_pass": "p"}, "sudo -H -k -S -p  -u root", id="letters together"),
    ],
)
def test_sudo_is_asked_as_ansible_asks_it(become, words):
    assert " ".join(member(become={**SUDO, **become}).become) == words


def test_no_sudo_where_the_inventory_says_so():
    one = member(become=None)
    assert (one.become, one.data["_sudo"]) == ((), False)


@pytest.mark.parametrize(("named", "python"), [("auto", ""), ("auto_silent", ""), ("/opt/py", "/opt/py")])
def test_an_interpreter_that_is_named_is_taken(named, python):
    assert member(python=named).python == python


# The program


def run_zipapp(program, given, tmp_path):
    path = tmp_path / "program.pyz"
    path.write_bytes(program)
    words = [sys.executable, "-I", str(path)]
    return subprocess.run(words, input=json.dumps(given), capture_output=True, text=True, check=False)


def test_a_program_holds_what_it_imports_and_no_more(tmp_path):
    done = run_zipapp(fleet.zipapp("system.restart_runner:run"), {"name": "x", "act": False}, tmp_path)
    assert json.loads(done.stdout) == {"known": []}
    assert fleet.sources_runner.needed(["system.service"]) == ["core.change", "system.service"]


def test_a_program_is_the_same_each_time():
    assert fleet.zipapp("system.restart_runner:run") == fleet.zipapp("system.restart_runner:run")


def test_a_program_that_refuses_says_so_in_its_own_words(tmp_path):
    done = run_zipapp(fleet.zipapp("system.restart_runner:run"), {"act": False}, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.match("found KeyError: 'name' inside gpuchat", done.stderr)
