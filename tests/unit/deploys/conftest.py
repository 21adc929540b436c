# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories that name every way to a host, and what Ansible itself makes of them."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import time
from dataclasses import dataclass

import fleet
import pytest
from ansible.parsing.vault import VaultLib, VaultSecret

HOSTS = """
all:
  vars:
    ansible_user: '{{ admin }}'
    admin: deploy
    gpuchat_domain: chat.example.test
    models: [{name: '{{ admin }}-model', size: 3}]
  children:
    gpu:
      hosts:
        plain:
        addressed: {ansible_host: '10.0.0.{{ 3 + 4 }}', ansible_port: '{{ 2000 + 22 }}'}
        keyed: {ansible_ssh_private_key_file: ~/keys/one}
        root: {ansible_user: root, ansible_become: false}
      children:
        far:
          vars:
            ansible_ssh_common_args: -o ProxyJump=hop@bastion:2200
          hosts:
            behind: {ansible_host: 192.168.7.1}
    chat:
      vars:
        ansible_become_user: operator
      hosts:
        asked: {ansible_become_password: '{{ vault_become_password }}'}
        inline:
          ansible_become_password: !vault |
            INLINE
        older: {ansible_ssh_user: old, ansible_ssh_port: 77, ansible_ssh_host: older.example.test}
        open: {ansible_password: '{{ vault_password }}', ansible_host_key_checking: false}
    here:
      vars: {ansible_connection: local}
      hosts:
        one:
        two: {ansible_become: 'no'}
"""
SECOND = "[gpu]\nplain ansible_port=2244\nadded\n[gpu:vars]\nadmin=second\n"
WHOLE = "vault_become_password: 'sesame {{ 1 + 1 }}'\nvault_password: open sesame\n"


def encrypted(text, secret, name):
    vault = VaultLib([(name, VaultSecret(secret))])
    return vault.encrypt(text, vault_id=name, secret=VaultSecret(secret)).decode()


@pytest.fixture(scope="package")
def inventories(tmp_path_factory):
    """Return two inventories, and the words that unlock their vaults, one for whole files and one inline."""
    folder = tmp_path_factory.mktemp("inventories")
    first, second = folder / "first", folder / "second.ini"
    everything = first / "group_vars" / "all"
    everything.mkdir(parents=True)
    inline = encrypted("inline sesame", b"other", "inline").replace("\n", "\n            ").rstrip()
    (first / "hosts.yml").write_text(HOSTS.replace("INLINE", inline))
    (everything / "vault.yml").write_text(encrypted(WHOLE, b"whole", "whole"))
    (first / "host_vars").mkdir()
    (first / "host_vars" / "addressed.yml").write_text("ansible_user: of_host_vars\n")
    second.write_text(SECOND)
    for name, secret in (("whole", "whole"), ("inline", "other")):
        (folder / name).write_text(secret)
    words = [f"--vault-password-file={folder / 'whole'}", f"--vault-id=inline@{folder / 'inline'}"]
    return [str(first), str(second)], words


@pytest.fixture(scope="package")
def members(inventories):
    paths, words = inventories
    return fleet.read(paths, vault=words, variables=["models", "gpuchat_domain", "nowhere"])


OF_ANSIBLE = {
    "ssh_hostname": "{{ ansible_host | default(ansible_ssh_host) | default(inventory_hostname) }}",
    "ssh_port": "{{ ansible_port | default(ansible_ssh_port) | default(0) | int }}",
    "ssh_user": "{{ ansible_ssh_user | default(ansible_user) }}",
    "ssh_key": "{{ (ansible_ssh_private_key_file | default('')) | expanduser }}",
    "ssh_password": "{{ ansible_password | default('') }}",
    "_sudo": "{{ ansible_become | default(true) | bool }}",
    "_sudo_user": "{{ ansible_become_user | default('root') }}",
    "_sudo_password": "{{ ansible_become_password | default('') }}",
    "local": "{{ ansible_connection | default('ssh') == 'local' }}",
    "groups": "{{ group_names }}",
    "models": "{{ models }}",
}


@pytest.fixture(scope="package")
def of_ansible(inventories):
    """Return what a debug task shows of each host, by Ansible alone."""
    paths, words = inventories
    asked = [sys.executable, "-m", "ansible", "adhoc", "all", "-m", "debug", "-a", json.dumps({"msg": OF_ANSIBLE})]
    asked += [word for path in paths for word in ("-i", path)]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_STDOUT_CALLBACK": "minimal"}
    done = subprocess.run([*asked, *words], env=environment, capture_output=True, text=True, check=True)
    shown = re.findall(r"^(\w+) \| SUCCESS => (\{\n.*?^\})", done.stdout, re.MULTILINE | re.DOTALL)
    of_hosts = {name: json.loads(text)["msg"] for name, text in shown}
    return {name: {**host, "ssh_port": int(host["ssh_port"])} for name, host in of_hosts.items()}


SUDO = """#!/bin/sh
# Stands in for sudo: asks for a password where the file beside it says so, and notes what others could see of it.
folder=$(dirname "$0")
{ tr '\\0' ' ' </proc/$$/cmdline; echo; tr '\\0' '\\n' </proc/$$/environ; } >>"$folder/seen"
read -r wanted <"$folder/password"
quiet= asks=
while [ "$1" != -u ]; do
    case $1 in -n) quiet=1 ;; -S) asks=1 ;; esac
    shift
done
if [ -n "$wanted" ]; then
    [ -z "$quiet" ] || { echo "sudo: a password is required" >&2; exit 1; }
    [ -n "$asks" ] && IFS= read -r given
    [ "$given" = "$wanted" ] || { echo "sudo: 1 incorrect password attempt" >&2; exit 1; }
fi
shift 2
exec "$@"
"""


@dataclass(frozen=True)
class Server:
    """A running ssh server, and where what it does can be set and seen."""

    folder: pathlib.Path
    port: int
    key: str
    host_key: str

    def log(self):
        return (self.folder / "log").read_text()

    def sudo_wants(self, password):
        (self.folder / "bin" / "password").write_text(password + "\n")


@pytest.fixture(scope="package")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    tools = folder / "bin"
    tools.mkdir()
    for name in ("host_key", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shown = {name: " ".join((folder / f"{name}.pub").read_text().split()[:2]) for name in ("host_key", "key")}
    users = {"deploy": {"key": shown["key"]}, "other": {"password": "open sesame"}}
    (folder / "users.json").write_text(json.dumps(users))
    for name, text in (("sudo", SUDO), ("id", "#!/bin/sh\necho deploy\n")):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    program = [sys.executable, str(pathlib.Path(__file__).with_name("ssh_server.py")), str(folder)]
    with subprocess.Popen(program, stdin=subprocess.PIPE) as running:
        end = time.monotonic() + 30
        while not (folder / "port").exists():
            assert time.monotonic() < end, "the ssh server does not start"
            time.sleep(0.05)
        yield Server(folder, int((folder / "port").read_text()), str(folder / "key"), shown["host_key"])
        running.stdin.close()


@pytest.fixture
def home(tmp_path, monkeypatch, server):
    """A home folder of the test's own, to which the server is known."""
    (tmp_path / ".ssh").mkdir()
    known = [f"[{name}]:{server.port} {server.host_key}\n" for name in ("127.0.0.1", "localhost")]
    (tmp_path / ".ssh" / "known_hosts").write_text("".join(known))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    server.sudo_wants("")
    return tmp_path
