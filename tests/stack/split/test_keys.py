# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs have keys of their own: each within its limits, until its last day or until it is revoked."""

from __future__ import annotations

import json
import pathlib
import subprocess
from collections.abc import Iterator

import pytest
from running import Stack

CLIENTS = [
    {"name": "reports", "rate": 2, "streams": 3},
    {"name": "nightly", "expires": "2120-12-31", "answers": 2},
    {"name": "narrow", "rate": 100, "streams": 2},
    {"name": "former", "expires": "2020-12-31"},
]
BURST = 5
PLANTED = "/etc/planted-for-a-test"


def keys(stack: Stack, clients: list[dict[str, object]], *words: str) -> str:
    variables = json.dumps({"gpuchat_api_keys": clients, "edge_api_burst": BURST if clients else 40})
    done = stack.play("-e", variables, *words, playbook="playbooks/keys.yml")
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def printed(stack: Stack) -> Iterator[str]:
    """What the playbook prints that makes the keys."""
    yield keys(stack, CLIENTS, "-e", "keys_client=reports", "--diff", "-vvv")
    keys(stack, [])
    assert not [name for name in stack.secrets if name.startswith("api_key/")]
    assert not (stack.inventory / ".gpuchat" / "clients" / "reports").exists()


def statuses(stack: Stack, client: str, count: int, *words: str, path: str = "/v1/models") -> list[str]:
    """Ask as often with a client's key, all at once; return the statuses."""
    many = ("--parallel", "--parallel-immediate", "--output", "/dev/null", "--write-out", "%{http_code}\n")
    header = f"Authorization: Bearer {stack.secrets[f'api_key/{client}']}"
    _status, said = stack.curl(f"{path}?n=[1-{count}]", *many, "--header", header, *words, key=False)
    return said.split()


def test_every_key_is_made_listed_and_tried_and_none_is_shown(stack: Stack, printed: str) -> None:
    rows = {line.split()[0]: line for line in printed.splitlines() if "sk-" in line}
    assert "2/s" in rows["reports"]
    assert rows["reports"].endswith("an answer")
    assert rows["nightly"].endswith("an answer")
    assert rows["former"].endswith("refused, for it has ended")
    assert not [name for name, value in stack.secrets.items() if name.startswith("api_key") and value in printed]


def test_a_program_asks_with_the_files_that_were_written_for_it(stack: Stack, printed: str) -> None:
    folder = stack.inventory / ".gpuchat" / "clients" / "reports"
    assert sorted(path.name for path in folder.iterdir()) == ["ca.crt", "client.curlrc", "client.env", "client.json"]
    resolve = ["--resolve", f"{stack.domain}:443:{stack.address}"]
    command = ["curl", "--config", "client.curlrc", "--noproxy", "*", *resolve]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == stack.variables["verify_answer"]


def test_the_edges_disk_holds_no_key_of_the_api(stack: Stack, printed: str) -> None:
    for name, value in stack.secrets.items():
        if name.startswith("api_key"):
            # One that is planted is found, or nothing was looked through.
            stack.on("edge", f"umask 077; echo '{value}' >{PLANTED}")
            holds = f"grep -rlF -- '{value}' /etc /var/lib/gpuchat /run 2>/dev/null; rm {PLANTED}"
            assert stack.on("edge", holds).split() == [PLANTED], name


def test_a_client_has_its_own_rate_and_its_own_streams(stack: Stack, printed: str) -> None:
    assert sorted(set(statuses(stack, "reports", 30))) == ["200", "429"]
    model = stack.model
    question = {"role": "user", "content": stack.variables["verify_long_question"]}
    body = json.dumps({"model": model, "stream": True, "messages": [question]})
    words = ("--header", "Content-Type: application/json", "--data", body)
    assert sorted(set(statuses(stack, "narrow", 5, *words, path="/v1/chat/completions"))) == ["200", "429"]
    assert set(statuses(stack, "nightly", 4, *words, path="/v1/chat/completions")) == {"200"}


def test_too_much_is_refused_in_openais_form_with_a_time_to_wait(stack: Stack, printed: str) -> None:
    header = f"Authorization: Bearer {stack.secrets['api_key/reports']}"
    for _one in range(30):
        status, body = stack.curl("/v1/models", "--include", "--header", header, key=False)
        if status == 429:
            break
    assert status == 429
    assert "retry-after: 1" in body.lower()
    assert json.loads(body[body.index("{") :])["error"]["type"] == "rate_limit_error"


@pytest.mark.parametrize(("answers", "status"), [(2, 200), (3, 400)])
def test_a_client_has_its_own_number_of_answers_to_a_request(
    stack: Stack, printed: str, answers: int, status: int
) -> None:
    asked = {"model": stack.model, "prompt": "1", "max_tokens": 1, "n": answers, "temperature": 1}
    header = f"Authorization: Bearer {stack.secrets['api_key/nightly']}"
    words = ("--header", header, "--header", "Content-Type: application/json", "--data", json.dumps(asked))
    assert stack.curl("/v1/completions", *words, key=False)[0] == status


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda key: key[:-1], id="a character less"),
        pytest.param(lambda key: key + "x", id="a character more"),
        pytest.param(lambda key: key.swapcase(), id="another case"),
        pytest.param(lambda key: key[:12] + "x" * 43, id="the id alone"),
        pytest.param(lambda key: key + "," + "9" * 10, id="an end of its own"),
    ],
)
def test_a_key_is_right_to_its_last_character(stack: Stack, printed: str, change) -> None:
    header = f"Authorization: Bearer {change(stack.secrets['api_key/nightly'])}"
    assert stack.curl("/v1/models", "--header", header, key=False)[0] == 401


def test_the_log_names_the_client_and_no_key(stack: Stack, printed: str) -> None:
    lines = stack.on("edge", "journalctl --output cat --identifier gpuchat_edge --lines 200").splitlines()
    clients = [json.loads(line)["client"] for line in lines]
    assert {"reports", "nightly", ""} <= set(clients)
    assert not [value for name, value in stack.secrets.items() if name.startswith("api_key") and value in str(lines)]


def test_a_revoked_key_is_refused_and_the_others_are_not(stack: Stack, printed: str) -> None:
    revoked = f"Authorization: Bearer {stack.secrets['api_key/reports']}"
    again = keys(stack, CLIENTS[1:])
    assert "reports" not in [line.split()[0] for line in again.splitlines() if "sk-" in line]
    assert stack.curl("/v1/models", "--header", revoked, key=False)[0] == 401
    assert set(statuses(stack, "nightly", 2)) == {"200"}
    # What was asked before, and not the trials of both runs.
    narrow = next(line.split() for line in again.splitlines() if line.startswith("narrow ") and "sk-" in line)
    assert narrow[5] == "5"  # requests
    assert "the key of former has ended on 2020-12-31" in " ".join(again.split())
    assert not pathlib.Path(stack.inventory / ".gpuchat" / "clients" / "reports").exists()
