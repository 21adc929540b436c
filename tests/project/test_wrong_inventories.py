# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wrong inventory ends site.yml with one message of ours before any host is asked: no host of these is there.

What the preflight makes of each variable is tried with hundreds of values in the unit tests; here is the way to it.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOOD = {
    "ansible_host": "10.255.255.1",
    "gpuchat_domain": "chat.example.com",
    "gpuchat_allowed_networks": ["10.0.0.0/8"],
    "gpuchat_models": [{"name": "q", "source": "huggingface", "repo": "Qwen/Qwen3-8B"}],
}


def inventory(folder, name="hosts.yml", groups=None, **variables):
    groups = groups or {"gpu": ["server"], "chat": ["server"], "edge": ["server"]}
    children = {group: {"hosts": {host: {} for host in hosts}} for group, hosts in groups.items()}
    path = folder / name
    path.write_text(yaml.safe_dump({"all": {"vars": {**GOOD, **variables}, "children": children}}))
    return path


def play(playbook, *words, folder=ROOT):
    program = pathlib.Path(sys.executable).parent / "ansible-playbook"
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    command = [str(program), str(playbook), *map(str, words)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def faults(output):
    """Return the faults of the one message, and check that no task but the check has run."""
    assert re.findall(r"^TASK \[(.*?)\]", output, flags=re.MULTILINE) == ["stack : Check the inventory"], output
    assert not re.search(r"UNREACHABLE|Traceback|Unexpected|templat\w+ error", output), output
    (found,) = re.findall(r'"faults": (\[.*?\]), "folder"', output)
    return json.loads(found)


def test_an_inventory_that_is_not_there_fails_with_its_path():
    rc, output = play("site.yml", "-i", "/nowhere/hosts.yml")
    assert rc != 0
    assert faults(output)[0] == (
        "the inventory /nowhere/hosts.yml does not exist; wanted a file or a folder; give its path with -i"
    )


def test_an_inventory_with_a_tab_fails_with_its_line_beside_one_that_is_right(tmp_path):
    (tmp_path / "tab.yml").write_text("all:\n\tvars: {}\n")
    rc, output = play("site.yml", "-i", inventory(tmp_path), "-i", tmp_path / "tab.yml")
    (fault,) = faults(output)
    assert rc != 0
    assert "tab.yml is no YAML in line 2, column 1" in fault
    assert "it holds a tab there, and YAML wants spaces; fix that line" in fault


def test_a_file_of_variables_that_is_no_yaml_is_named_before_ansible_ends_without_its_name(tmp_path):
    path = tmp_path / "group_vars" / "gpu" / "models.yml"
    path.parent.mkdir(parents=True)
    path.write_text("gpuchat_users: 5\nvllm_version: {{ newest }}\n")
    rc, output = play("site.yml", "-i", inventory(tmp_path))
    assert rc != 0
    assert f"the file of variables {path} is no YAML in line 2, column 16" in " ".join(output.split())
    assert "TASK [" not in output


def test_a_list_of_hosts_without_groups_fails_with_the_groups_that_are_wanted():
    rc, output = play("site.yml", "-i", "h1,")
    assert rc != 0
    assert [fault.partition(";")[0] for fault in faults(output)] == [
        f"the group {group} is empty" for group in ("gpu", "chat", "edge")
    ]


WRONG = {
    "gpuchat_domain": "https://chat.example.com",
    "gpuchat_allowed_networks": "10.0.0.0/8",
    "gpuchat_models": ["Qwen/Qwen3-8B"],
    "gpuchat_endpoints": {"name": "lm", "url": "http://me:hunter2@10.0.0.9/v1", "key": "hunter2", "api_key": "hunter2"},
    "gpuchat_mcp_servers": [{"name": "w", "url": "http://h/mcp", "key": "hunter2 ", "headers": {"x": "hunter2\n"}}],
    "gpuchat_context": "8k",
    "gpuchat_registry_mirrors": "http://mirror.example.com",
    "gpuchat_registry_map": {"http://docker.io": "mirror"},
    "gpuchat_registry_logins": {"registry": "harbor.example.com", "pasword": "hunter2"},
    "gpuchat_proxy": {"http": "http://me:hunter2@home@proxy:3128", "https": "me:hunter2@proxy"},
    "gpuchat_ca_files": ["/nowhere/ca.crt"],
    "docker_settings": '{"debug": true}',
    "docker_source": "snap",
    "edge_extra_names": "10.0.0.5",
    "edge_forward_auth": "http://auth.example.com/verify",
    "edge_forward_auth_headers": ["Cookie"],
    "edge_http_port": 443,
    "gpuchat_api_key": "two words",
    "edge_certificate_key_file": "/nowhere/chat.key",
    "model_token": {"hunter2": "hunter2"},
    "vllm_args": {"host": "0.0.0.0"},
    "vllm_version": "v0.32.0",
    "lobehub_uid": "{{ nothing }}",
    "vllm_arg": {},
    "plan_gpu": [],
    "doctor_fail": "always",
    "upgrade_drain_seconds": "long",
    "upgrade_silence_seconds": -1,
    "modeltoken": "x",
}


def test_all_that_is_wrong_stands_in_one_message_and_no_secret_does(tmp_path):
    rc, output = play("site.yml", "-i", inventory(tmp_path, **WRONG))
    found = faults(output)
    assert rc != 0
    assert [name for name in WRONG if not any(name in fault for fault in found)] == []
    assert "hunter2" not in output
    assert "two words" not in output
    assert not (tmp_path / ".gpuchat").exists()


def test_of_a_file_of_passwords_a_wrong_name_is_shown_and_nothing_else(tmp_path):
    (tmp_path / "passwords").write_text("# people\nada:{PLAIN}hunter2\na$b:{PLAIN}hunter2\n")
    rc, output = play("site.yml", "-i", inventory(tmp_path, edge_password_file=str(tmp_path / "passwords")))
    (fault,) = faults(output)
    assert rc != 0
    assert fault.startswith("edge_password_file holds the name 'a$b'; wanted")
    assert "hunter2" not in output


LOOK = """
- hosts: gpu:chat:edge:localhost
  gather_facts: false
  vars: {__gpuchat_parts: [model]}
  tasks:
    - import_role: {name: stack, tasks_from: preflight, rolespec_validate: false}
- hosts: edge
  gather_facts: false
  tasks:
    - name: Look at the folder
      debug: {msg: 'folder={{ _gpuchat_folder }} url={{ _gpuchat_topology.url }}'}
    - import_role: {name: stack, tasks_from: wiring, rolespec_validate: false}
    - debug: {msg: 'context={{ __gpuchat_served.served[0].context }}'}
"""
ADDRESS = "{{ {'gpu1': '10.0.0.5', 'front': '10.0.0.6'}[inventory_hostname] }}"
SPREAD = {"gpu": ["gpu1"], "chat": ["front"], "edge": ["front"]}


@pytest.fixture
def spread(tmp_path):
    """A playbook that looks at what roles get, and two folders with an inventory of two hosts."""
    (tmp_path / "look.yml").write_text(LOOK)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    first = inventory(tmp_path / "one", groups=SPREAD, gpuchat_private_address=ADDRESS, ansible_host=ADDRESS)
    second = inventory(tmp_path / "two", groups={"gpu": ["gpu1"]}, ansible_host=ADDRESS)
    return tmp_path / "look.yml", first, second


def test_a_run_with_a_limit_reads_the_plans_that_the_last_one_kept_or_is_refused(spread):
    look, first, second = spread
    rc, output = play(look, "-i", first, "-i", second, "--limit", "front")
    folder = first.parent / ".gpuchat"
    assert rc != 0
    assert f"folder={folder} url=https://chat.example.com" in output
    assert "found no plan of q on gpu1, which this run leaves out or does not reach" in output
    assert f"nor kept in {folder}" in output
    (folder / "plans").mkdir(parents=True)
    kept = {"engines": {"q": {"task": "chat", "args": {"max-model-len": 4096}}}}
    (folder / "plans" / "gpu1.json").write_text(json.dumps(kept))
    rc, output = play(look, "-i", first, "-i", second, "--limit", "front")
    assert rc == 0, output
    assert "context=4096" in output


def test_a_start_in_the_middle_is_refused_with_the_reason(spread):
    look, first, _second = spread
    here = "ansible_connection=local"  # Ansible gathers facts when it starts in the middle
    rc, output = play(look, "-i", first, "-e", here, "--start-at-task", "Look at the folder")
    assert rc != 0
    assert "found that the inventory has not been checked in this run" in " ".join(output.split())
    assert "choose parts with --tags" in " ".join(output.split())


SECRETS = """
- hosts: localhost
  gather_facts: false
  tasks:
    - gpuchat_secrets:
        file: '{{ folder }}/secrets.yml'
        authority_file: '{{ folder }}/ca.crt'
        tls_names: [chat.example.com]
      vars: {ansible_python_interpreter: '{{ ansible_playbook_python }}'}
      no_log: true
"""


@pytest.fixture
def vault(tmp_path):
    """A file of secrets under the vault id prod, and the words that give a password."""
    (tmp_path / "secrets.play.yml").write_text(SECRETS)
    for name in ("dev", "prod"):
        (tmp_path / name).write_text(f"password of {name}\n")
    (tmp_path / "secrets.yml").write_text(f"api_key: {MINE}\n")
    program = pathlib.Path(sys.executable).parent / "ansible-vault"
    prod = f"prod@{tmp_path / 'prod'}"
    encrypt = [str(program), "encrypt", "--encrypt-vault-id", "prod", "--vault-id", prod, str(tmp_path / "secrets.yml")]
    subprocess.run(encrypt, check=True, capture_output=True)
    return tmp_path, f"dev@{tmp_path / 'dev'}", prod


def make_secrets(folder, *ids):
    words = [word for one in ids for word in ("--vault-id", one)]
    return play(folder / "secrets.play.yml", "-e", f"folder={folder}", *words)


MINE = "a-secret-of-mine-by-hand"


def test_secrets_stay_under_the_vault_id_of_their_header(vault):
    folder, dev, prod = vault
    before = (folder / "secrets.yml").read_bytes()
    rc, output = make_secrets(folder, dev)
    assert rc != 0
    assert "is encrypted under the vault id prod and cannot be decrypted" in " ".join(output.split())
    assert (folder / "secrets.yml").read_bytes() == before
    rc, output = make_secrets(folder, dev, prod)
    assert rc == 0, output
    assert (folder / "secrets.yml").read_bytes().startswith(b"$ANSIBLE_VAULT;1.2;AES256;prod\n")
    program = pathlib.Path(sys.executable).parent / "ansible-vault"
    view = [str(program), "view", "--vault-id", prod, str(folder / "secrets.yml")]
    seen = yaml.safe_load(subprocess.run(view, check=True, capture_output=True, text=True).stdout)
    assert (seen["api_key"], "ca_key" in seen) == (MINE, True)


def test_two_first_runs_at_once_make_one_set_of_secrets(tmp_path):
    (tmp_path / "secrets.play.yml").write_text(SECRETS)
    (tmp_path / "made").mkdir()
    with ThreadPoolExecutor(2) as both:
        words = ("-e", f"folder={tmp_path / 'made'}")
        ended = list(both.map(lambda _run: play(tmp_path / "secrets.play.yml", *words), range(2)))
    assert [rc for rc, _output in ended] == [0, 0]
    assert sorted("changed=1" in output for _rc, output in ended) == [False, True]


def test_an_authority_without_its_secrets_is_not_replaced_unless_that_is_asked_for(tmp_path):
    (tmp_path / "secrets.play.yml").write_text(SECRETS)
    assert make_secrets(tmp_path)[0] == 0
    before = (tmp_path / "ca.crt").read_bytes()
    (tmp_path / "secrets.yml").unlink()
    rc, output = make_secrets(tmp_path)
    assert rc != 0
    # Older versions of ansible-core break lines at their own places.
    said = f"{tmp_path}/ca.crt is there and {tmp_path}/secrets.yml is not"
    assert "".join(said.split()) in "".join(output.split())
    assert not (tmp_path / "secrets.yml").exists()
    assert (tmp_path / "ca.crt").read_bytes() == before
    rc, output = play(tmp_path / "secrets.play.yml", "-e", f"folder={tmp_path}", "-e", "gpuchat_adopt_secrets=true")
    assert rc == 0, output
    assert (tmp_path / "ca.crt").read_bytes() != before


def test_secrets_that_have_lost_their_authority_get_no_other_in_silence(tmp_path):
    (tmp_path / "secrets.play.yml").write_text(SECRETS)
    assert make_secrets(tmp_path)[0] == 0
    before = (tmp_path / "ca.crt").read_bytes()
    (tmp_path / "secrets.yml").write_text(f"api_key: {MINE}\nca_key:\n")
    rc, output = make_secrets(tmp_path)
    assert rc != 0
    assert "holdsnoca_certificate" in "".join(output.split())
    assert (tmp_path / "ca.crt").read_bytes() == before
    assert (tmp_path / "secrets.yml").read_text() == f"api_key: {MINE}\nca_key:\n"


def test_a_line_without_a_secret_is_none_and_a_file_that_others_may_read_is_told(tmp_path):
    (tmp_path / "secrets.play.yml").write_text(SECRETS)
    (tmp_path / "secrets.yml").write_text("old_thing:\napi_key:\n")
    assert make_secrets(tmp_path)[0] == 0
    known = yaml.safe_load((tmp_path / "secrets.yml").read_text())
    assert "old_thing" not in known
    assert known["api_key"].startswith("sk-")
    (tmp_path / "secrets.yml").chmod(0o644)
    rc, output = make_secrets(tmp_path)
    assert rc == 0, output
    assert "secrets.ymlisinplaintextandhasthemode0644;wanted0600" in "".join(output.split())
    (tmp_path / "secrets.yml").chmod(0o600)
    assert "inplaintext" not in "".join(make_secrets(tmp_path)[1].split())


def test_what_somebody_planted_beside_the_secrets_is_not_followed(tmp_path):
    (tmp_path / "secrets.play.yml").write_text(SECRETS)
    for name in ("secrets.yml.new", ".secrets.yml.new"):
        (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    # Where a way through the file of its own name is open to everybody, what is written is not.
    (tmp_path / "secrets.yml").touch(0o666)
    (tmp_path / "secrets.yml").chmod(0o666)
    assert make_secrets(tmp_path)[0] == 0
    assert not (tmp_path / "elsewhere").exists()
    assert (tmp_path / "secrets.yml").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir() if not path.is_symlink()} == {
        "ca.crt",
        "secrets.play.yml",
        "secrets.yml",
    }


def test_a_secret_that_stands_twice_is_told_by_its_lines_and_none_of_both_is_taken(tmp_path):
    (tmp_path / "secrets.play.yml").write_text(SECRETS)
    text = f"# mine\napi_key: {MINE}\nvllm_api_key: {MINE}\napi_key: another-{MINE}\n"
    (tmp_path / "secrets.yml").write_text(text)
    rc, output = make_secrets(tmp_path)
    assert rc != 0
    assert "namesonesecrettwice,inlines2and4" in "".join(output.split())
    assert MINE[:10] not in output
    assert (tmp_path / "secrets.yml").read_text() == text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"api_key: {MINE}\n\tvllm_api_key: {MINE}\n", 2),
        (f"api_key: '{MINE}\n", 2),
        (f"api_key: {MINE}\nvllm_api_key: [{MINE}\n", 3),
    ],
    ids=["a tab", "a quote that is not closed", "a bracket that is not closed"],
)
def test_a_file_of_secrets_that_is_no_yaml_is_told_by_its_line_and_nothing_of_it_is_shown(tmp_path, text, line):
    (tmp_path / "secrets.play.yml").write_text(SECRETS)
    (tmp_path / "secrets.yml").write_text(text)
    rc, output = make_secrets(tmp_path)
    assert rc != 0
    assert f"is no YAML (line {line}); wanted names" in " ".join(output.split())
    assert MINE[:10] not in output
    assert (tmp_path / "secrets.yml").read_text() == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            "all: {children: {gpu: {hosts: [server]}}}",
            "has no mapping as hosts of the group gpu",
            id="hosts as a list",
        ),
        pytest.param("all: {vars: {gpuchat_domain: !secret x}}", "Ansible has no tag !secret", id="a foreign tag"),
        pytest.param(
            "all:\n  vars:\n    gpuchat_domain: a\n    gpuchat_domain: b\n",
            "twice, in lines 3 and 4",
            id="a name twice",
        ),
        pytest.param("all: [server]", "has no mapping as the group all", id="a group as a list"),
    ],
)
def test_what_ansible_merely_warns_of_is_a_fault_with_its_reason(tmp_path, text, words):
    (tmp_path / "hosts.yml").write_text(text)
    rc, output = play("site.yml", "-i", tmp_path / "hosts.yml")
    assert rc != 0
    assert words in faults(output)[0]


def test_a_variable_that_stands_twice_beside_the_inventory_is_a_fault(tmp_path):
    inventory(tmp_path)
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "all.yml").write_text("gpuchat_users: 5\ngpuchat_users: 50\n")
    rc, output = play("site.yml", "-i", tmp_path / "hosts.yml")
    assert rc != 0
    assert "group_vars/all.yml names gpuchat_users twice" in faults(output)[0]
