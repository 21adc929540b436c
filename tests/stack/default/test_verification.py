# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each row of the verification's table turns red under a fault of its own."""

from __future__ import annotations

import contextlib
import datetime
import json
import re
from collections.abc import Callable, Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from running import Stack, wait

EDGE = "/etc/gpuchat/edge"
VLLM = "/etc/gpuchat/vllm/gpuchat-demo/config.yaml"


@contextlib.contextmanager
def edge_edited(stack: Stack, file: str, script: str) -> Iterator[None]:
    """Edit a file of the running edge with sed; put it back afterwards."""
    path = f"{EDGE}/{file}"
    kept = stack.on("server", f"mktemp && cp -p {path} /root/kept").split()[0]
    stack.on("server", f"mv /root/kept {kept} && sed -i {script} {path} && ! cmp -s {path} {kept}")
    stack.on("server", "systemctl reload gpuchat-edge && sleep 1")
    try:
        yield
    finally:
        stack.on("server", f"mv {kept} {path} && systemctl reload gpuchat-edge && sleep 1")


def edited(file: str, script: str) -> Callable[[Stack], contextlib.AbstractContextManager[None]]:
    return lambda stack: edge_edited(stack, file, script)


@contextlib.contextmanager
def foreign_certificate(stack: Stack) -> Iterator[None]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, stack.domain)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    plain = serialization.NoEncryption()
    key_pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()
    stack.on("server", f"mkdir -p /root/tls && cp -p {EDGE}/tls.* /root/tls")
    stack.on("server", f"printf %s '{pem}' >{EDGE}/tls.crt && printf %s '{key_pem}' >{EDGE}/tls.key")
    stack.on("server", "systemctl reload gpuchat-edge && sleep 1")
    try:
        yield
    finally:
        stack.on("server", f"cp -p /root/tls/* {EDGE} && systemctl reload gpuchat-edge && sleep 1")


@contextlib.contextmanager
def chat_stopped(stack: Stack) -> Iterator[None]:
    stack.on("server", "docker stop gpuchat-lobehub")
    try:
        yield
    finally:
        stack.on("server", "docker start gpuchat-lobehub")
        wait(lambda: stack.curl("/signin", key=False)[0] == 200, 120, "the sign-in page")


@contextlib.contextmanager
def tool_parser_off(stack: Stack) -> Iterator[None]:
    stack.on(
        "server", f"cp -p {VLLM} /root/kept-vllm && sed -i '/tool/d' {VLLM} && docker restart gpuchat-vllm-gpuchat-demo"
    )
    stack.wait_for_answer()
    try:
        yield
    finally:
        stack.on("server", f"cat /root/kept-vllm >{VLLM} && docker restart gpuchat-vllm-gpuchat-demo")
        stack.wait_for_answer()


@contextlib.contextmanager
def port_opened(stack: Stack) -> Iterator[None]:
    stack.on("server", "systemd-run --unit open-port python3 -m http.server 8080")
    wait(lambda: ":8080" in stack.on("server", "ss -ltn"), 20, "the open port")
    try:
        yield
    finally:
        stack.on("server", "systemctl stop open-port")


@contextlib.contextmanager
def foreigners_let_in(stack: Stack) -> Iterator[None]:
    """Take the packet filter away and open the edge's own list: each alone would refuse them."""
    with edge_edited(stack, "nginx.conf", "'s/default 0;/default 1;/'"):
        stack.on("server", "nft delete table inet gpuchat")
        try:
            yield
        finally:
            stack.on("server", "systemctl reload gpuchat-firewall")


def let_in(authorization: str) -> Callable[[Stack], contextlib.AbstractContextManager[None]]:
    """Let requests with such an Authorization header (as nginx's map matches it) through, with the engine's own key."""

    @contextlib.contextmanager
    def planted(stack: Stack) -> Iterator[None]:
        path = f"{EDGE}/keys.conf"
        before = text = stack.on("server", f"cat {path}")
        given = {"api_client": "api_key", "engine_authorization": f'"Bearer {stack.secrets["vllm_api_key"]}"'}
        for number, (name, value) in enumerate(given.items(), before.count("$planted_")):
            instead = f"$planted_{number}"
            text, count = re.subn(rf"(map \$secure_link \${name} {{\n  default )(.*);", rf"\g<1>{instead};", text)
            assert count == 1
            (usual,) = re.findall(rf"map \$secure_link \${name} {{\n  default (.*);", before)
            text += f"map $http_authorization {instead} {{ default {usual}; {authorization} {value}; }}\n"
        write = f"cat >{path} <<'END'\n{{}}END\nsystemctl reload gpuchat-edge && sleep 1"
        stack.on("server", write.format(text))
        try:
            yield
        finally:
            stack.on("server", write.format(before))

    return planted


def api_answers(path: str, body: str) -> Callable[[Stack], contextlib.AbstractContextManager[None]]:
    return edited("api.conf", f"'s#location = {path} {{#&\\n  return 200 \"{body}\";#'")


def chat_answers(path: str, does: str) -> Callable[[Stack], contextlib.AbstractContextManager[None]]:
    """Let the edge itself answer at a path of the chat's."""
    return edited("chat.conf", f"'1s#^#location = /{path} {{ {does} }}\\n#'")


CLOSED, GUARDED = "the chat's other server paths are closed", "the chat's server answers nobody who is not signed in"
STILL_CLOSED, FORGED = "signed in, the same paths stay closed", "a forged header does not stand for a session"
STREAM, HEADER = "a signed-in person gets an answer in pieces", "a header of the person's own changes nothing"
SIGN_IN, SIGN_OUT = "a person signs in", "the person signs out"

FAULTS: dict[str, Callable[[Stack], contextlib.AbstractContextManager[None]]] = {
    "certificate and protocol": foreign_certificate,
    "plain HTTP is redirected": edited("servers.conf", "'s/return 301.*/return 200 hello;/'"),
    "the sign-in page": chat_stopped,
    "/v1/models": api_answers("/v1/models", "{}"),
    "a completion": api_answers("/v1/chat/completions", "{}"),
    "a stream arrives in pieces": edited("models.conf", "'s/proxy_buffering off/proxy_buffering on/'"),
    "a tool call": tool_parser_off,
    "a model that nobody serves is refused": edited("models.conf", "'s/return 404/return 200/'"),
    "the API refuses without a key": let_in('""'),
    "the API refuses with a wrong key": let_in('"~^Bearer ."'),
    "the engine's other paths are closed": edited("api.conf", "'1s#^#location = /metrics { return 200; }\\n#'"),
    CLOSED: chat_answers("image", "return 200;"),
    GUARDED: edited("room.conf", "'/auth_request .*session/d'"),
    FORGED: chat_answers("webapi/chat/vllm", "return 200;"),
    "a stranger reads no file": chat_answers("gpuchat-files/x", "return 200;"),
    "nobody makes an account by themselves": chat_answers("api/auth/sign-up/email", "return 200;"),
    SIGN_IN: chat_answers("api/auth/sign-in/email", "return 401;"),
    STREAM: edited("chat.conf", "'s/proxy_buffering off/proxy_buffering on/'"),
    HEADER: edited("room-maps.conf", '\'s/"NxI="/"\\x24{http_x_lobe_chat_auth}NxI="/\''),
    STILL_CLOSED: chat_answers("oidc/token", 'if ($http_cookie = "") { return 404; } return 200;'),
    SIGN_OUT: chat_answers("api/auth/sign-out", "return 404;"),
    "a foreign address is refused": foreigners_let_in,
    "no other port is open": port_opened,
    "the rate limit": edited("api.conf", "'/limit_/d'"),
}


# Faults that stand beside each other in one run: each row is seen red under its own, and the others stay green but for
# those that hang on the same answer.
TOGETHER: dict[tuple[str, ...], set[str]] = {
    (
        "a stream arrives in pieces",
        "a model that nobody serves is refused",
        "the API refuses without a key",
        "the API refuses with a wrong key",
        CLOSED,
        "a stranger reads no file",
        "nobody makes an account by themselves",
        STREAM,
        SIGN_OUT,
        "the rate limit",
    ): {GUARDED, STILL_CLOSED},
}
# These, too; each takes half a minute or a restart, and is by hand.
FURTHER: dict[tuple[str, ...], set[str]] = {
    ("certificate and protocol", "no other port is open"): set(FAULTS),  # nobody trusts the site any more
    (
        "plain HTTP is redirected",
        "/v1/models",
        "the engine's other paths are closed",
        "a foreign address is refused",
    ): {"the API refuses without a key", "the API refuses with a wrong key", "the rate limit"},
    ("the sign-in page", "a tool call"): {  # for nobody says who is signed in
        *(GUARDED, FORGED, "a stranger reads no file", SIGN_IN),
    },
    (GUARDED, STILL_CLOSED): {FORGED},
    (FORGED, SIGN_IN): {GUARDED},
    (HEADER,): {STREAM},
    ("a completion",): {"a stream arrives in pieces", "a tool call", "a model that nobody serves is refused"},
}
GROUPS = [*TOGETHER.items(), *(pytest.param(*one, marks=pytest.mark.long) for one in FURTHER.items())]


def rows(stack: Stack) -> dict[str, dict[str, str]]:
    report = json.loads((stack.inventory / ".gpuchat" / "report.json").read_text())
    return {row["name"]: row for row in report["rows"]}


def test_every_row_is_green_on_the_finished_stack(verified: dict[str, str]) -> None:
    assert verified == dict.fromkeys(FAULTS, "passed")


def test_every_row_has_a_fault_of_its_own() -> None:
    assert sorted(row for group in (*TOGETHER, *FURTHER) for row in group) == sorted(FAULTS)


@pytest.mark.parametrize(("group", "also"), GROUPS, ids=[", ".join(group) for group in (*TOGETHER, *FURTHER)])
def test_a_row_turns_red_under_a_fault_of_its_own(stack: Stack, group: tuple[str, ...], also: set[str]) -> None:
    with contextlib.ExitStack() as faults:
        for row in group:
            faults.enter_context(FAULTS[row](stack))
        done = stack.play(playbook="playbooks/verify.yml")
    assert done.returncode != 0
    red = {name: row for name, row in rows(stack).items() if row["status"] == "failed"}
    assert set(group) <= set(red) <= set(group) | also
    for row in group:
        assert red[row]["cause"]
        assert red[row]["hint"] in done.stdout


@pytest.mark.long
def test_without_a_probe_host_the_outside_rows_read_not_checked(stack: Stack) -> None:
    printed = stack.must_play("-e", "gpuchat_probe_host=", playbook="playbooks/verify.yml")
    found = rows(stack)
    assert found["a foreign address is refused"]["status"] == "not checked"
    assert found["no other port is open"]["status"] == "not checked"
    assert "not checked  gpuchat_probe_host is not set" in printed
