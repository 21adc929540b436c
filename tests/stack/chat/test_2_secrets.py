# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret stands where others can read it, and the neighbours of secret files keep their diffs."""

from __future__ import annotations

import base64
import json
import pathlib

import pytest
from interfaces import interface_of
from running import Stack

EDGE = "/etc/gpuchat/edge"


TOKEN = "hf_tokenOfAPersonWhoMayReadTheModel"
PLANTED = "/tmp/planted-for-a-test"
WATCH = "while :; do ps auxwww; sleep 0.05; done >/root/processes 2>&1"


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """What a callback learns of that run's tasks, their arguments among it."""
    return tmp_path_factory.mktemp("record") / "tasks.jsonl"


@pytest.fixture(scope="module")
def output(stack: Stack, record: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a run prints at its most talkative, when every secret file and one other file is written anew."""
    for host in stack.hosts:
        stack.on(host, f"umask 077; systemd-run --unit watch-processes sh -c '{WATCH}'")
        stack.on(host, "rm -f /etc/gpuchat/door/key.conf /etc/gpuchat/door/host.key")
    stack.on("edge", f"rm {EDGE}/keys.conf {EDGE}/tls.key {EDGE}/host.key {EDGE}/headers.conf")
    stack.on("engine", "rm /etc/gpuchat/vllm/gpuchat-demo/api_key")
    stack.on("interface", f"rm {' '.join(interface_of(stack).secrets)}")
    variables = tmp_path_factory.mktemp("variables") / "token.yml"
    variables.write_text(f"model_token: {TOKEN}\nmodel_token_for: http://hub.world\n")
    printed = stack.must_play("-vvv", "--diff", "-e", f"@{variables}", record=record)
    for host in stack.hosts:
        stack.on(host, "systemctl stop watch-processes")
    return printed


def words(stack: Stack) -> dict[str, str]:
    """Each secret by name; of a private key its longest line."""
    secrets = {name: value for name, value in stack.secrets.items() if "certificate" not in name}
    secrets["model_token"] = TOKEN
    (key,) = json.loads(base64.b64decode(secrets["lobehub_jwks_key"]))["keys"]
    secrets["lobehub_jwks_key, as LobeHub reads it"] = key["d"]
    return {name: max(value.splitlines(), key=len) for name, value in secrets.items()}


def test_there_are_secrets_to_look_for(stack: Stack) -> None:
    found = set(words(stack))
    assert {"api_key", "ca_key", "admin_password", "model_token", "tls_key", "vllm_api_key", "room_key"} <= found
    assert {"postgresql_lobehub_password", "lobehub_auth_secret", "object_store_secret_key"} <= found


def test_no_secret_stands_in_the_output_of_a_talkative_run(stack: Stack, output: str) -> None:
    assert [name for name, word in words(stack).items() if word in output] == []


def test_no_secret_stands_in_the_arguments_of_a_task(stack: Stack, output: str, record: pathlib.Path) -> None:
    tasks = [json.loads(line) for line in record.read_text().splitlines()]
    with_secrets = {"gpuchat_files", "gpuchat_container", "gpuchat_postgresql", "gpuchat_verify"}
    assert with_secrets <= {str(one["action"]) for one in tasks}
    found = {(one["task"], name) for one in tasks for name, word in words(stack).items() if word in one["args"]}
    assert found == set()


def test_the_diff_of_a_file_that_is_not_secret_is_still_there(output: str) -> None:
    assert "+add_header X-Content-Type-Options nosniff always;" in output
    assert "+(secret content)" in output


def test_no_secret_stands_in_the_journal_or_in_the_list_of_processes(stack: Stack, output: str) -> None:
    for host in (*stack.hosts, "probe"):
        seen = stack.on(host, "journalctl --no-pager; cat /root/processes || ps auxwww")
        assert len(seen) > 1000
        assert [name for name, word in words(stack).items() if word in seen] == []


def test_no_secret_stands_in_a_file_that_others_can_read(stack: Stack, output: str) -> None:
    patterns = "\n".join(words(stack).values())
    readable = (
        "find / /run /tmp /var/lib/docker -xdev -path /proc -prune -o -path /sys -prune -o -type f -perm -o=r -print0"
    )
    for host in stack.hosts:
        stack.on(host, f"umask 077; printf '%s\n' '{patterns}' >/root/patterns")
        # One that is planted is found, or nothing was looked through.
        stack.on(host, f"install -m 644 /root/patterns {PLANTED}")
        found = stack.on(
            host, f"{readable} | xargs -0 grep -lFf /root/patterns; rm /root/patterns {PLANTED}", check=False
        )
        assert set(found.split()) == {PLANTED}, host


@pytest.mark.parametrize(
    ("name", "also"),
    [
        pytest.param("vllm_engine_key", ["/etc/gpuchat/vllm/gpuchat-demo/api_key"], id="its own, and the engine"),
        pytest.param("vllm_api_key", [], id="that of programs on the host, and an edge beside it"),
    ],
)
def test_the_keys_of_an_engine_are_where_its_door_is(stack: Stack, name: str, also: list[str]) -> None:
    holds = f"grep -rlFe '{stack.secrets[name]}' /etc/gpuchat | sort"
    beside = [f"{EDGE}/keys.conf"] if len(stack.hosts) == 1 and not also else []
    assert stack.on("engine", holds).split() == ["/etc/gpuchat/door/key.conf", *beside, *also]
    assert len(stack.hosts) == 1 or stack.on("edge", holds).split() == []


def test_the_file_of_secrets_is_its_owners_alone(stack: Stack) -> None:
    assert (stack.inventory / ".gpuchat" / "secrets.yml").stat().st_mode & 0o777 == 0o600
