# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chat and model API each for their own networks, less those that are denied, also behind a proxy of the owner's."""

from __future__ import annotations

import ipaddress
import json
import pathlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from running import Stack

CHAT, API = "/auth?from=inbox", "/v1/models"


@dataclass(frozen=True)
class Office:
    """Addresses in the world's networks; the control node is the proxy, ``probe`` a host that is really there."""

    inside: ipaddress.IPv4Network
    outside: ipaddress.IPv4Network

    def address(self, name: str) -> str:
        return {
            "proxy": str(self.inside[1]),
            "colleague": str(self.inside[50]),
            "denied": str(self.inside[200]),
            "probe": str(self.outside[20]),
            "neighbour": str(self.outside[30]),
            "stranger": "203.0.113.9",
        }[name]


@pytest.fixture(scope="module")
def office(stack: Stack) -> Iterator[Office]:
    networks: dict[str, str] = stack.world["networks"]  # type: ignore[assignment]
    office = Office(*(ipaddress.IPv4Network(networks[name]) for name in ("inside", "outside")))
    variables = {
        "gpuchat_allowed_networks": [str(office.inside), office.address("probe")],
        "gpuchat_denied_networks": [office.address("denied")],
        "edge_api_networks": [str(office.inside)],
        "edge_trusted_proxies": [office.address("proxy")],
    }
    stack.must_play("--tags", "firewall,edge", "-e", json.dumps(variables))
    yield office
    stack.must_play("--tags", "firewall,edge")


@pytest.mark.parametrize(
    ("said", "chat", "api"),
    [
        pytest.param("", 200, 200, id="the proxy for itself"),
        pytest.param("colleague", 200, 200, id="somebody of the office"),
        pytest.param("probe", 200, 403, id="somebody who may chat alone"),
        pytest.param("denied", 403, 403, id="somebody who is denied"),
        pytest.param("neighbour", 403, 403, id="somebody beside the office"),
        pytest.param("stranger", 403, 403, id="a stranger"),
        pytest.param("colleague, stranger", 403, 403, id="a stranger who says that a colleague comes through it"),
        pytest.param("stranger, colleague", 200, 200, id="a colleague who says anything"),
    ],
)
def test_behind_the_proxy_each_is_who_the_proxy_says(
    stack: Stack, office: Office, said: str, chat: int, api: int
) -> None:
    words = [office.address(name) for name in said.split(", ")] if said else []
    header = ("--header", f"X-Forwarded-For: {', '.join(words)}") if words else ()
    known = ("--cookie", "theme=dark")
    assert (stack.curl(CHAT, *header, *known, key=False)[0], stack.curl(API, *header)[0]) == (chat, api)
    last = json.loads(stack.on("edge", "journalctl --output cat --identifier gpuchat_edge --lines 1"))
    assert last["from"] == (words[-1] if words else office.address("proxy"))


def test_whoever_is_no_proxy_is_who_it_is_whatever_it_says(stack: Stack, office: Office) -> None:
    edge = stack.variables["verify_outside_address"]
    resolve = f"--resolve {stack.domain}:443:{edge}"
    header = f"--header 'Authorization: Bearer {stack.secrets['api_key']}'"
    forged = f"--header 'X-Forwarded-For: {office.address('colleague')}'"
    asked = f"curl -sk -o /dev/null -w '%{{http_code}}' {resolve} {forged}"
    known = "--cookie theme=dark"
    assert stack.on("probe", f"{asked} {known} 'https://{stack.domain}{CHAT}'") == "200"
    assert stack.on("probe", f"{asked} {header} https://{stack.domain}{API}") == "403"


NAME, PASSWORD = "ada", "a password of hers"


@pytest.fixture(scope="module")
def people(stack: Stack, office: Office, tmp_path_factory: pytest.TempPathFactory) -> Iterator[pathlib.Path]:
    """A folder with what people show: certificates of an authority of the owner's and of another, and a password."""
    folder = tmp_path_factory.mktemp("people")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ours", "theirs"):
        openssl(folder, "req", "-x509", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt")
        openssl(folder, "req", *key, "-subj", "/CN=ada", "-keyout", f"of-{name}.key", "-out", f"of-{name}.csr")
        signer = ("-CA", f"{name}.crt", "-CAkey", f"{name}.key", "-CAcreateserial")
        openssl(folder, "x509", "-req", "-in", f"of-{name}.csr", *signer, "-out", f"of-{name}.crt")
    hashed = openssl(folder, "passwd", "-5", PASSWORD).strip()
    (folder / "passwords").write_text(f"{NAME}:{hashed}\n")
    variables = {"edge_client_authority_file": f"{folder}/ours.crt", "edge_password_file": f"{folder}/passwords"}
    stack.must_play("--tags", "edge", "-e", json.dumps(variables))
    (folder / "variables.json").write_text(json.dumps(variables))
    return folder


def openssl(folder: pathlib.Path, *words: str) -> str:
    return subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("certificate", "password", "status"),
    [
        pytest.param("of-ours", PASSWORD, 200, id="both"),
        pytest.param("of-ours", "", 401, id="a certificate alone"),
        pytest.param("of-ours", "wrong", 401, id="a wrong password"),
        pytest.param("", PASSWORD, 403, id="a password alone"),
        pytest.param("of-theirs", PASSWORD, 400, id="somebody else's certificate"),
    ],
)
def test_people_show_a_certificate_and_a_password_where_that_is_asked_for(
    stack: Stack, people: pathlib.Path, certificate: str, password: str, status: int
) -> None:
    words = ["--cookie", "theme=dark"]
    words += (
        ["--cert", str(people / f"{certificate}.crt"), "--key", str(people / f"{certificate}.key")]
        if certificate
        else []
    )
    words += ["--user", f"{NAME}:{password}"] if password else []
    assert stack.curl(CHAT, *words, key=False)[0] == status


@pytest.mark.parametrize(
    "path", ["/gpuchat-ca.crt", "/GPUCHAT-CA.CRT", "/v1/models%0a", "/V1/models", "/v1/models/", "/v1//models/../../x"]
)
def test_no_spelling_of_an_open_path_leads_to_the_chat_without_a_certificate(
    stack: Stack, people: pathlib.Path, path: str
) -> None:
    words = ("--path-as-is", "--user", f"{NAME}:{PASSWORD}")
    assert stack.curl(path, *words, key=False)[0] == 403


def test_programs_show_their_key_alone(stack: Stack, people: pathlib.Path) -> None:
    assert stack.curl(API)[0] == 200


def test_a_browser_that_has_shown_its_password_is_known_and_others_are_slowed(
    stack: Stack, people: pathlib.Path
) -> None:
    shown = ("--cert", str(people / "of-ours.crt"), "--key", str(people / "of-ours.key"))
    jar = ("--cookie-jar", str(people / "jar"), "--cookie", "theme=dark")
    assert stack.curl(CHAT, *shown, "--user", f"{NAME}:{PASSWORD}", *jar, key=False)[0] == 200
    token = (people / "jar").read_text().split("gpuchat_person\t")[1].split()[0]

    def seconds(password: str, cookie: str) -> float:
        words = ("--output", "/dev/null", "--write-out", "%{time_total} %{http_code}\n", "--cookie", cookie)
        _status, said = stack.curl(f"{CHAT}&n=[1-4]", *shown, "--user", f"{NAME}:{password}", *words, key=False)
        return sum(float(line.split()[0]) for line in said.splitlines() if " " in line)

    known = f"theme=dark; gpuchat_person={token}"
    assert seconds("wrong", "theme=dark") > 1 > seconds(PASSWORD, known)


def test_passwords_stand_in_a_file_that_the_edge_alone_reads(stack: Stack, people: pathlib.Path) -> None:
    assert stack.on("edge", "stat -c '%a %U %G' /etc/gpuchat/edge/passwords").strip() == "640 root www-data"


def test_the_verification_sees_that_people_are_asked(stack: Stack, people: pathlib.Path) -> None:
    printed = stack.must_play("-e", f"@{people}/variables.json", playbook="playbooks/verify.yml")
    assert "people show a certificate and a password first" in printed
