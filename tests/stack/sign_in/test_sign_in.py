# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People come in by their company's own accounts, which an issuer of somebody else's has (OpenID Connect)."""

from __future__ import annotations

import datetime
import ipaddress
import json
import pathlib
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from browsing import DIALOGUES, browse
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from interfaces import interface_of
from running import ROOT, Stack, wait

HERE = pathlib.Path(__file__).parent
NAME, PORT = "id.company.test", 8443
EMAIL, PERSON = "ada@company.test", "Ada"
ROLES = "firewall,postgresql,data_door,lobehub,open_webui,door,edge"
DOOR = "gpuchat-sso-door.socket"
SIGN_UP = {"lobehub": "/api/auth/sign-up/email", "open_webui": "/api/v1/auths/signup"}
CALLBACK = {"lobehub": "/api/auth/callback/generic-oidc", "open_webui": "/oauth/oidc/callback"}
PEOPLE = {"lobehub": "SELECT email FROM users", "open_webui": 'SELECT email FROM "user"'}


ASK = """
import http.client, socket, ssl, sys
address, port, name, host = sys.argv[1:]
context = ssl._create_unverified_context()
try:
    plain = socket.create_connection((address, int(port)), 5)
    one = http.client.HTTPConnection(name)
    one.sock = context.wrap_socket(plain, server_hostname=name)
    one.request("GET", "/.well-known/openid-configuration", headers={"Host": host})
    print(one.getresponse().status)
except OSError:
    print("nothing")
"""


@dataclass(frozen=True)
class Issuer:
    """What a company's issuer is to the stack.

    Attributes:
        words: of the playbook's command line.
        authority: file of who signed its certificate.
    """

    address: str
    words: tuple[str, ...]
    authority: pathlib.Path


def certify(folder: pathlib.Path) -> None:
    """Write an authority, and a certificate of the issuer's name by it, each with its key."""
    now, keys = datetime.datetime.now(datetime.UTC), [ec.generate_private_key(ec.SECP256R1()) for _one in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in ("Company", NAME)]
    for number, file in enumerate(("authority", "issuer")):
        builder = x509.CertificateBuilder().subject_name(names[number]).issuer_name(names[0]).serial_number(number + 1)
        builder = builder.public_key(keys[number].public_key()).not_valid_before(now - datetime.timedelta(days=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=2))
        builder = builder.add_extension(x509.BasicConstraints(ca=not number, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        made = builder.sign(keys[0], hashes.SHA256())
        (folder / f"{file}.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        text = keys[number].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{file}.key").write_bytes(text)


@pytest.fixture(scope="module")
def issuer(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    """Start one on this machine, which the chat's host knows by its name."""
    folder, environment = tmp_path_factory.mktemp("issuer"), ROOT / ".cache" / "sign-in"
    certify(folder)
    subprocess.run([ROOT / "tools" / "venv.sh", environment, HERE / "requirements.txt"], cwd=ROOT, check=True)
    address = str(next(ipaddress.ip_network(f"{stack.address}/24", strict=False).hosts()))
    command = [environment / "bin" / "python", HERE / "serve.py", address, str(PORT)]
    command += [folder / "issuer.crt", folder / "issuer.key", EMAIL, PERSON]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            wait(lambda: socket.socket().connect_ex((address, PORT)) == 0, 60, "the issuer")
            stack.on("interface", f"grep -q {NAME} /etc/hosts || echo {address} {NAME} >>/etc/hosts")
            given = {"issuer": f"https://{NAME}:{PORT}", "client_id": "chat"}
            variables = {"gpuchat_sso": {**given, "authority_file": str(folder / "authority.crt")}}
            words = ("-e", json.dumps({**variables, "gpuchat_sso_client_secret": "secret of the chat's"}))
            yield Issuer(address, words, folder / "authority.crt")
        finally:
            server.terminate()


@pytest.mark.long
def test_a_person_comes_in_by_the_company_and_gets_an_answer(
    stack: Stack, issuer: Issuer, tmp_path: pathlib.Path
) -> None:
    stack.must_play(*issuer.words, "--tags", ROLES)
    words = ("--company", f"{NAME}={issuer.address}", "--company-ca", str(issuer.authority))
    one = DIALOGUES["hello"]
    screenshot = ROOT / "artifacts" / f"sign_in_{stack.interface}.png"
    seen = browse(stack, tmp_path, *words, "--expect", one["answer"], "--screenshot", str(screenshot), email=EMAIL)
    assert seen["answer"] == one["answer"]
    assert EMAIL in stack.sql(stack.interface, PEOPLE[stack.interface])


@pytest.mark.long
def test_nobody_makes_an_account_by_themselves_all_the_same(stack: Stack, issuer: Issuer) -> None:
    assert issuer
    person = json.dumps({"email": "eve@company.test", "password": "long enough for it", "name": "Eve"})
    words = ("--header", "Content-Type: application/json", "--data", person)
    assert stack.curl(SIGN_UP[stack.interface], *words, key=False)[0] == 404
    assert "eve@company.test" not in stack.sql(stack.interface, PEOPLE[stack.interface])


@pytest.mark.long
def test_the_room_leads_to_the_issuer_by_its_name_and_to_nothing_beside_it(stack: Stack, issuer: Issuer) -> None:
    container = interface_of(stack).container
    pid = stack.on("interface", f"docker inspect {container} --format '{{{{.State.Pid}}}}'").strip()
    gateway = stack.on("interface", f"docker exec {container} cat /etc/hosts | grep {NAME}").split()[0]
    stack.on("interface", f"cat >/run/ask.py <<'END'\n{ASK}\nEND")

    def ask(address: str, host: str) -> str:
        asked = f"nsenter --target {pid} --net python3 /run/ask.py {address} {PORT} {NAME} {host}"
        return stack.on("interface", asked).strip()

    assert ask(gateway, f"{NAME}:{PORT}") == "200"
    assert ask(gateway, "other.test") == "404"
    assert ask(issuer.address, f"{NAME}:{PORT}") == "nothing"


@pytest.mark.long
def test_a_second_run_changes_nothing(stack: Stack, issuer: Issuer) -> None:
    assert "changed=0" in stack.must_play(*issuer.words, "--tags", ROLES)


@pytest.mark.long
def test_an_issuer_of_another_name_is_told_before_anything_is_changed(stack: Stack, issuer: Issuer) -> None:
    words = json.loads(issuer.words[1])
    words["gpuchat_sso"]["issuer"] += "/realms/other"
    done = stack.play("-e", json.dumps(words), "--tags", ROLES)
    assert done.returncode != 0
    assert "set gpuchat_sso.issuer" in done.stdout
    assert "changed=0" in done.stdout


@pytest.mark.long
def test_without_it_all_of_it_is_gone(stack: Stack, issuer: Issuer) -> None:
    assert issuer
    stack.must_play("--tags", ROLES)
    assert stack.on("interface", f"systemctl is-active {DOOR}", check=False).strip() == "inactive"
    assert stack.on("interface", f"ls /etc/systemd/system/{DOOR}", check=False) == ""
    assert stack.curl(CALLBACK[stack.interface], key=False)[0] == 404
