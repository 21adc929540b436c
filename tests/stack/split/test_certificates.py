# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the site's certificate comes from: an ACME directory (pebble, on the probe host), nobody, the stack itself."""

from __future__ import annotations

import contextlib
import datetime
import json
import pathlib
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import yaml
from browsing import browse
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from running import Stack

PARTS = ("--tags", "firewall,edge")
HOME = ("--tags", "firewall,edge,open_webui")  # which sets its cookies for the way by which people come
APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq"
EAB_KEY = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
NOBODY = "elsewhere.molecule.test"
SERVED = "/etc/gpuchat/edge/acme.pem"

START = """
set -e
mkdir -p /srv/acme && cd /srv/acme
new() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "$@" 2>/dev/null; }
new -x509 -days 2 -subj '/CN=authority of the directory' -keyout ca.key -out ca.crt
new -subj /CN=directory -keyout server.key -out server.csr
echo 'subjectAltName=IP:ADDRESS' > names
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt 2>&1
echo 'PEBBLE' > pebble.json
systemd-run --quiet --unit directory-dns pebble-challtestsrv -defaultIPv4 EDGE -defaultIPv6 '' -dns01 127.0.0.1:8053 \
  -http01 '' -https01 '' -tlsalpn01 '' -doh '' -management :8055
systemd-run --quiet --unit directory -E PEBBLE_VA_NOSLEEP=1 -E PEBBLE_WFE_NONCEREJECT=0 \
  pebble -config /srv/acme/pebble.json -dnsserver 127.0.0.1:8053
"""
HOOK = """#!/usr/bin/python3
import json, os, sys, urllib.request
record = {"host": f"_acme-challenge.{os.environ['CERTBOT_DOMAIN']}.", "value": os.environ["CERTBOT_VALIDATION"]}
way = {"auth": "set-txt", "cleanup": "clear-txt"}[sys.argv[1]]
urllib.request.urlopen(f"http://ADDRESS:8055/{way}", json.dumps(record).encode(), timeout=5)
"""


@dataclass(frozen=True)
class Directory:
    """An ACME directory in the world, and how the edge is told of it."""

    stack: Stack
    address: str
    folder: pathlib.Path

    @property
    def authority(self) -> str:
        return str(self.folder / "authority.pem")

    def play(self, **more: object) -> subprocess.CompletedProcess[str]:
        settings = {
            "edge_tls": "acme",
            "edge_acme_directory": f"https://{self.address}:14000/dir",
            "edge_acme_agree_tos": True,
            "edge_acme_eab_kid": "kid-1",
            "edge_acme_eab_hmac_key": EAB_KEY,
            "edge_acme_authority_file": self.authority,
            "edge_extra_names": [],
            **more,
        }
        file = self.folder / "settings.json"
        file.write_text(json.dumps(settings))
        return self.stack.play(*PARTS, "-e", f"@{file}")

    def must_play(self, **more: object) -> str:
        done = self.play(**more)
        assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
        return done.stdout

    def tell_dns(self, way: str, **record: object) -> None:
        self.stack.on("probe", f"curl -fsS -d '{json.dumps(record)}' http://127.0.0.1:8055/{way}")

    def is_trusted(self) -> bool:
        """Whether who knows the directory's authority, and no other, is served by the edge."""
        return self.stack.curl("/v1/models", "--cacert", self.authority)[0] == 200

    def serial(self) -> str:
        return self.stack.on("edge", f"openssl x509 -noout -serial -in {SERVED}")


@pytest.mark.long
def test_at_home_a_browser_chats_by_plain_http(stack: Stack, tmp_path: pathlib.Path) -> None:
    done = stack.play(*HOME, "-e", "edge_tls=none")
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 0, said[-6000:]
    try:
        assert "everybody on the way between people and this host can read" in said
        assert stack.curl("/v1/models")[0] == 0  # by https
        words = ("--expect", str(stack.variables["verify_answer"]), "--model-name", stack.model)
        seen = browse(stack, tmp_path, *words, scheme="http")
        assert str(seen["url"]).startswith("http://")
    finally:
        stack.must_play(*HOME)
    assert stack.curl("/v1/models")[0] == 200


def ends_soon(known: dict[str, str], entry: str, authority: str) -> str:
    """Return a certificate as it is, but for its end, in a week."""
    old = x509.load_pem_x509_certificate(known[entry].encode())
    key = serialization.load_pem_private_key(known[f"{authority}_key"].encode(), None)
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(old.issuer, old.subject, old.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=800)).not_valid_after(now + datetime.timedelta(7))
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    made = builder.sign(key, hashes.SHA256())  # type: ignore[arg-type]
    return made.public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.long
def test_what_the_stack_has_signed_is_renewed_before_it_ends_and_nothing_else_changes(stack: Stack) -> None:
    file = stack.inventory / ".gpuchat" / "secrets.yml"
    known = stack.secrets
    entries = {"tls_certificate": "ca", **{f"host_certificate {host}": "hosts_ca" for host in stack.hosts}}
    entries = {entry: authority for entry, authority in entries.items() if entry in known}
    file.write_text(yaml.safe_dump({**known, **{one: ends_soon(known, one, who) for one, who in entries.items()}}))
    configuration = stack.on("edge", "cat /etc/gpuchat/edge/nginx.conf")
    renew = ("-e", "edge_api_rate=11")
    out = stack.must_play(*renew, playbook="playbooks/renew.yml")
    new = stack.secrets
    assert all(new[entry] not in (known[entry], "") for entry in entries)
    assert {name for name in new if new[name] != known[name]} <= {
        *entries,
        *(one.replace("certificate", "key") for one in entries),
    }
    assert stack.on("edge", "cat /etc/gpuchat/edge/tls.crt") == new["tls_certificate"]
    assert stack.on("edge", "cat /etc/gpuchat/edge/nginx.conf") == configuration
    assert len(re.findall(r"changed: \[", out)) == 1 + (2 if len(stack.hosts) > 1 else 0) + 1
    assert stack.curl("/v1/models")[0] == 200
    again = stack.must_play(*renew, playbook="playbooks/renew.yml")
    assert re.findall(r"changed=[1-9]", again) == []
    assert re.findall(r"changed=[1-9]", stack.must_play("--tags", "door,edge")) == []


@pytest.fixture(scope="module")
def directory(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    """Start a directory beside the forbidden network, which asks the edge from there; then the site is as it was."""
    hosts = stack.world["hosts"]  # type: ignore[index]
    one = Directory(stack, hosts["probe"]["addresses"]["outside"], tmp_path_factory.mktemp("acme"))  # type: ignore[index]
    stack.on("probe", f"{APT} update && {APT} install -y --no-install-recommends pebble openssl >/dev/null")
    settings = {"listenAddress": "0.0.0.0:14000", "managementListenAddress": "127.0.0.1:15000", "httpPort": 80}
    settings |= {"certificate": "/srv/acme/server.crt", "privateKey": "/srv/acme/server.key", "tlsPort": 443}
    settings |= {"externalAccountBindingRequired": True, "externalAccountMACKeys": {"kid-1": EAB_KEY}}
    settings |= {"certificateValidityPeriod": 3600, "retryAfter": {"authz": 1, "order": 1}}
    script = START.replace("PEBBLE'", json.dumps({"pebble": settings}) + "'")
    stack.on(
        "probe", script.replace("ADDRESS", one.address).replace("EDGE", str(stack.variables["verify_outside_address"]))
    )
    roots = "until curl -fsSk https://127.0.0.1:15000/roots/0; do sleep 0.2; done; cat /srv/acme/ca.crt"
    (one.folder / "authority.pem").write_text(stack.on("probe", f"timeout 30 sh -c '{roots}' 2>/dev/null"))
    yield one
    stack.on("probe", "systemctl stop directory directory-dns", check=False)
    stack.must_play(*PARTS)
    assert stack.on("edge", "systemctl list-timers --all 'gpuchat-acme*' | grep -c acme; true").strip() == "0"
    assert stack.curl("/v1/models")[0] == 200


def test_the_edge_gets_its_certificate_and_a_second_run_asks_nobody(directory: Directory) -> None:
    directory.must_play()
    assert directory.is_trusted()
    assert "changed=0" in directory.must_play()
    assert directory.stack.on("edge", f"cd /var/lib/gpuchat/acme && grep -rl {EAB_KEY[:20]} . ; true") == ""


def test_strangers_reach_the_challenge_alone(directory: Directory) -> None:
    edge = directory.stack.variables["verify_outside_address"]
    paths = {"/": "403", "/v1/models": "403", "/gpuchat-ca.crt": "403", "/.well-known/acme-challenge/x": "404"}
    paths |= {"/.well-known/acme-challenge/../../v1/models": "403", "/.well-known/acme-challenge/": "403"}
    ask = "curl -s --path-as-is -o /dev/null -w '%{http_code}'"
    assert {path: directory.stack.on("probe", f"{ask} http://{edge}{path}", check=False) for path in paths} == paths
    assert directory.stack.on("probe", f"{ask} -k --max-time 5 https://{edge}/", check=False) == "000"


@dataclass
class Streams:
    """Long answers, one after another; each with when it began and ended, and whether it was whole."""

    seen: list[tuple[float, float, bool]] = field(default_factory=list)

    def spanning(self, moment: float) -> list[bool]:
        return [whole for begin, end, whole in self.seen if begin < moment < end]


@contextlib.contextmanager
def streams(directory: Directory) -> Iterator[Streams]:
    stack, found, done = directory.stack, Streams(), threading.Event()
    body = {"model": stack.model, "stream": True}  # type: ignore[index]
    body["messages"] = [{"role": "user", "content": stack.variables["verify_long_question"]}]
    words = ("--cacert", directory.authority, "--max-time", "90", "--no-buffer")
    words += ("--header", "Content-Type: application/json", "--data", json.dumps(body))

    def ask() -> None:
        while not done.is_set():
            begin = time.time()
            status, text = stack.curl("/v1/chat/completions", *words)
            found.seen.append((begin, time.time(), status == 200 and text.rstrip().endswith("data: [DONE]")))

    threads = [threading.Thread(target=ask) for _number in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_a_renewal_by_the_timer_cuts_no_answer(directory: Directory) -> None:
    before, record = directory.serial(), "/var/lib/gpuchat/acme/certbot/renewal/gpuchat.conf"
    on = directory.stack.on
    assert "not yet due" in on("edge", "systemctl start gpuchat-acme.service; journalctl -u gpuchat-acme -o cat -n 20")
    assert directory.serial() == before
    on("edge", f"sed -i 's/^renew_before_expiry.*/renew_before_expiry = 2 hours/' {record}")  # it lives for one
    with streams(directory) as seen:
        time.sleep(2)
        on("edge", "systemctl start gpuchat-acme.service")
        reloaded = float(on("edge", f"stat -c %.Y {SERVED}"))
        time.sleep(2)
    assert directory.serial() != before
    assert directory.is_trusted()
    assert seen.spanning(reloaded)
    assert all(whole for _begin, _end, whole in seen.seen)


def test_a_refused_challenge_ends_the_run_with_its_reason_and_the_old_certificate_is_served(
    directory: Directory,
) -> None:
    directory.tell_dns("add-a", host=NOBODY, addresses=[directory.address])
    before = directory.serial()
    done = directory.play(edge_extra_names=[NOBODY])
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    assert f"({NOBODY}: connection: " in said
    assert "what was served before still is; wanted that http://NAME/.well-known/acme-challenge/" in said
    assert "set challenge (edge_acme_challenge in the inventory) to dns" in said
    assert EAB_KEY not in done.stdout + done.stderr
    assert directory.serial() == before
    assert directory.is_trusted()


@pytest.mark.long
def test_names_can_be_shown_by_dns_which_opens_nothing(directory: Directory) -> None:
    hook = directory.folder / "hook"
    hook.write_text(HOOK.replace("ADDRESS", directory.address))
    before = directory.serial()
    directory.must_play(edge_acme_challenge="dns", edge_acme_dns_hook=str(hook))
    assert directory.serial() != before
    assert directory.is_trusted()
    edge = directory.stack.variables["verify_outside_address"]
    closed = f"curl -s --max-time 5 http://{edge}/.well-known/acme-challenge/x"
    assert directory.stack.on("probe", f"{closed} || echo closed").strip() == "closed"
