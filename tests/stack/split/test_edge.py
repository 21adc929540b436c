# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the edge does when something beside it is not as it should be, and what it asks servers of the owner's."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator

import pytest
from running import Stack, wait

EDGE = ("--tags", "edge")
TAKEN = 9443


@contextlib.contextmanager
def undone(stack: Stack, part: str, script: str, undo: str) -> Iterator[None]:
    stack.on(part, script)
    try:
        yield
    finally:
        stack.on(part, undo)


def test_a_port_that_is_taken_fails_the_run_with_nginxs_words_and_the_edge_serves_as_before(stack: Stack) -> None:
    before = stack.on("edge", "cat /etc/gpuchat/edge/servers.conf")
    listen = f"systemd-run --quiet --unit taken python3 -m http.server {TAKEN}"
    with undone(stack, "edge", listen, "systemctl stop taken"):
        done = stack.play(*EDGE, "-e", f"edge_https_port={TAKEN}")
    assert done.returncode != 0
    for words in ("gpuchat-edge has refused its new files", f"{TAKEN} failed (98: Address already in use)"):
        assert words in done.stdout + done.stderr
    assert stack.curl("/v1/models")[0] == 200
    assert stack.on("edge", "cat /etc/gpuchat/edge/servers.conf") == before
    assert "changed=0" in stack.must_play(*EDGE)


def test_a_program_is_told_in_openais_form_when_to_ask_an_engine_again_that_is_not_there(stack: Stack) -> None:
    with undone(stack, "engine", "systemctl stop gpuchat-door", "systemctl start gpuchat-door"):
        body = json.dumps({"model": stack.model, "messages": [{"role": "user", "content": "hello"}]})
        words = ("--include", "--header", "Content-Type: application/json", "--data", body)
        status, said = stack.curl("/v1/chat/completions", *words)
    assert status == 503
    assert "retry-after: 5" in said.lower()
    assert json.loads(said[said.index("{") :])["error"]["type"] == "server_error"
    stack.wait_for_answer(20)


@pytest.fixture(scope="module")
def without_interface(stack: Stack) -> dict[str, tuple[int, str]]:
    """What the edge says, by path, while the interface cannot be reached."""
    interface = "172.16.255.250"
    wait(lambda: not stack.on("edge", f"ss -tnH dst {interface}").strip(), 20, "the end of idle connections")
    with undone(stack, "edge", f"ip route add unreachable {interface}", f"ip route del unreachable {interface}"):
        pages = {path: stack.curl(path, "--include", key=False) for path in PAGES}
        return {**pages, ASKED: stack.curl(ASKED, "--data", "{}", key=False)}


PAGES, ASKED = ("/auth", "/", "/c/x"), "/api/chat/completions"


@pytest.mark.parametrize("path", PAGES)
def test_people_see_a_page_that_tries_again_where_the_interface_is_not_there(
    without_interface: dict[str, tuple[int, str]], path: str
) -> None:
    status, said = without_interface[path]
    assert status == 503
    assert 'http-equiv="refresh"' in said
    assert "retry-after: 5" in said.lower()


def test_the_page_itself_is_told_in_a_form_that_it_reads(without_interface: dict[str, tuple[int, str]]) -> None:
    status, said = without_interface[ASKED]
    assert (status, json.loads(said)["error"]["type"]) == (503, "server_error")


AUTH = """
import http.server
class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        cookie = self.headers.get("Cookie") or ""
        status = 200 if "sso=ada" in cookie else 403 if "sso=bob" in cookie else 401
        self.send_response(status)
        self.send_header("Remote-User", "ada")
        self.end_headers()
http.server.ThreadingHTTPServer(("", 9091), Server).serve_forever()
"""
MAKE = """
set -e
new() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "$@" 2>/dev/null; }
new -x509 -days 2 -subj '/CN=authority' -keyout ca.key -out ca.crt
new -subj '/CN=chat' -keyout chat.key -out chat.csr
echo 'subjectAltName=DNS:DOMAIN,IP:ADDRESS' > names
echo 'authorityInfoAccess=OCSP;URI:http://RESPONDER:8888' >> names
openssl x509 -req -in chat.csr -CA ca.crt -CAkey ca.key -set_serial 4096 -days 2 -extfile names -out leaf.crt 2>&1
cat leaf.crt ca.crt > chat.crt
printf 'V\\t391231000000Z\\t\\t1000\\tunknown\\t/CN=chat\\n' > index.txt
"""


@pytest.fixture(scope="module")
def servers(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address at which the owner's servers are, who know who signs in and whether the certificate was revoked."""
    folder = tmp_path_factory.mktemp("owner")
    networks: dict[str, str] = stack.world["networks"]  # type: ignore[assignment]
    address = networks["outside"].replace(".0/24", ".20")
    script = MAKE.replace("DOMAIN", stack.domain).replace("ADDRESS", stack.address).replace("RESPONDER", address)
    subprocess.run(["sh", "-c", script], cwd=folder, check=True, capture_output=True)
    stack.on("probe", "mkdir -p /srv/owner")
    texts = {name: (folder / name).read_text() for name in ("ca.crt", "ca.key", "index.txt")}
    for name, text in {**texts, "auth.py": AUTH}.items():
        stack.on("probe", f"cat > /srv/owner/{name} <<'END'\n{text}END\n")
    responder = "openssl ocsp -port 8888 -index index.txt -CA ca.crt -rsigner ca.crt -rkey ca.key -nmin 60"
    start = "systemd-run --quiet --working-directory /srv/owner --unit"
    stack.on("probe", f"{start} owner-ocsp {responder} && {start} owner-auth python3 auth.py")
    variables = {
        "edge_certificate_file": str(folder / "chat.crt"),
        "edge_certificate_key_file": str(folder / "chat.key"),
        "edge_forward_auth": f"http://{address}:9091/verify",
        "edge_forward_auth_signin": "https://auth.example.com/?rd=",
        "edge_forward_auth_headers": ["Remote-User"],
    }
    try:
        stack.must_play(*EDGE, "-e", json.dumps(variables))
        yield address
    finally:
        stack.on("probe", "systemctl stop owner-ocsp owner-auth; rm -r /srv/owner", check=False)
    stack.must_play(*EDGE)


@pytest.mark.parametrize(
    ("cookie", "status", "said"),
    [
        pytest.param("sso=ada", 200, "<", id="somebody whom it knows"),
        pytest.param("sso=bob", 403, "may not use this service", id="somebody who may not"),
        pytest.param("", 302, "", id="somebody who has not signed in"),
    ],
)
def test_people_are_let_in_as_the_owners_server_says(
    stack: Stack, servers: str, cookie: str, status: int, said: str
) -> None:
    words = ("--insecure", "--cookie", cookie)
    found, body = stack.curl("/auth?from=inbox", *words, key=False)
    assert found == status
    assert said in body


def test_who_has_to_sign_in_comes_back_to_where_they_were(stack: Stack, servers: str) -> None:
    words = ("--insecure", "--output", "/dev/null", "--write-out", "%{redirect_url}\n%{http_code}")
    for link, back in (
        ("/auth?from=inbox", "/auth?from=inbox"),
        ("/auth?from=inbox&rd=https://elsewhere.example", "/auth"),
        ("/auth?from=%0d%0aX: 1", "/auth"),
    ):
        _status, said = stack.curl(link.replace(" ", "%20"), *words, key=False)
        assert said == f"https://auth.example.com/?rd=https://{stack.domain}{back}"


def test_a_program_signs_in_nowhere(stack: Stack, servers: str) -> None:
    assert stack.curl("/v1/models", "--insecure")[0] == 200
    assert stack.curl("/v1/models", "--insecure", "--cookie", "sso=ada", key=False)[0] == 401


def test_an_answer_about_revocation_is_stapled_from_the_responder_that_the_certificate_names(
    stack: Stack, servers: str
) -> None:
    command = ["openssl", "s_client", "-connect", f"{stack.address}:443", "-servername", stack.domain, "-status"]

    def is_stapled() -> bool:
        done = subprocess.run(command, input="", capture_output=True, text=True, check=False)
        return "Cert Status: good" in done.stdout

    wait(is_stapled, 20, "the stapled answer")  # each worker asks once it has been asked
