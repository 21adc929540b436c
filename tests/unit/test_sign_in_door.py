# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real nginx with the stack's own template hands on to the issuer of a company's accounts."""

from __future__ import annotations

import pathlib
import socket
import ssl
import subprocess
import tempfile
from dataclasses import replace

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import doors, sign_in

from .plugins.module_utils.inventory.layouts import topology
from .real_nginx import Behind, free_port, rendered, start, stop, write_door
from .test_store_door import BARE, Store

NAME = "id.example.com"
ISSUER = sign_in.SignIn(f"https://{NAME}", "chat")


def certify(folder, file, name):
    """Write a certificate that is its own authority, and its key."""
    words = ["-keyout", folder / f"{file}.key", "-out", folder / f"{file}.crt", "-subj", f"/CN={name}"]
    words += ["-addext", f"subjectAltName=DNS:{name}"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *words]
    subprocess.run(command, check=True, capture_output=True)


def write_bare(folder, _port):
    folder.joinpath("nginx.conf").write_text(BARE.replace("store.conf", "sign_in.conf"), encoding="utf-8")


class Issuer(Store):
    """An issuer behind a socket, as systemd's proxy leads there, with a certificate of its own."""

    def __init__(self, path, folder):
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(folder / "issuer.crt", folder / "issuer.key")
        super().__init__(path)

    def get_request(self):
        return self.tls.wrap_socket(self.socket.accept()[0], server_side=True), ("issuer", 0)

    def handle_error(self, *_):
        pass  # nginx does not want its certificate


class Door:
    """A running door to an issuer that ``certified`` signed a certificate for.

    Args:
        around: writes the configuration that the door is a part of, by the folder and its port.
    """

    def __init__(self, folder, certified=NAME, around=write_bare):
        for name, subject in (("room", NAME), ("issuer", certified)):
            certify(folder, name, subject)
        (folder / "sign_in.crt").write_bytes((folder / "issuer.crt").read_bytes())
        one = replace(topology("a", "a", "a"), sign_in=ISSUER)
        door = doors.door_of_sign_in(one, "a")
        self.folder, self.port, self.issuer = folder, free_port(), Issuer(folder / "issuer", folder)
        door.update(address="127.0.0.1", port=self.port, addresses=["127.0.0.1"], socket=str(folder / "issuer"))
        text = rendered("nginx/templates/sign_in.j2", sign_in_door=door, has_authority=True, authorities="/ca.crt")
        around(folder, self.port)
        folder.joinpath("sign_in.conf").write_text(text, encoding="utf-8")
        start(folder)

    def ask(self, path, *headers, method="GET", host=NAME):
        """Return the status of a request and the answer's headers."""
        self.issuer.asked.clear()
        context = ssl.create_default_context(cafile=str(self.folder / "room.crt"))
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers, "", ""]
        with (
            socket.create_connection(("127.0.0.1", self.port), 10) as plain,
            context.wrap_socket(plain, server_hostname=NAME) as connection,
        ):
            connection.sendall("\r\n".join(lines).encode())
            with connection.makefile("rb") as answer:
                head = answer.read().partition(b"\r\n\r\n")[0].decode()
        return int(head.split()[1]), head

    def stop(self):
        stop(self.folder, self.issuer)


@pytest.fixture(scope="module")
def door():
    with tempfile.TemporaryDirectory(prefix="sign-in-") as name:
        running = Door(pathlib.Path(name))
        yield running
        running.stop()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/realms/company/token?x=%2f"])
def test_the_issuer_is_asked_by_its_own_name(door, method, path):
    assert door.ask(path, "Content-Length: 0", "Authorization: Basic eA==", method=method)[0] == 200
    (asked,) = door.issuer.asked
    assert (asked.method, asked.path) == (method, path)
    assert (asked.headers["Host"], asked.headers["Authorization"]) == (NAME, "Basic eA==")


def test_no_cookie_goes_there_or_comes_from_there(door):
    status, head = door.ask("/", "Cookie: session=1")
    assert (status, "Set-Cookie" in head) == (200, False)
    assert "Cookie" not in door.issuer.asked[0].headers


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_is_changed_there(door, method):
    assert door.ask("/", "Content-Length: 0", method=method)[0] == 403
    assert not door.issuer.asked


@pytest.mark.parametrize("host", ["intranet.example.com", "127.0.0.1", "chat.example.com"])
def test_no_other_site_of_that_server_is_asked(door, host):
    assert door.ask("/", host=host)[0] == 404
    assert not door.issuer.asked


def test_no_other_site_is_asked_where_a_request_names_two(door):
    for first, host in ((NAME, "intranet.example.com"), ("intranet.example.com", NAME)):
        door.ask(f"https://{first}/", host=host)
        assert {one.headers["Host"] for one in door.issuer.asked} <= {NAME}
    assert door.ask("/", host=f"{NAME}:8443")[0] == 200


def test_an_answer_may_have_much_to_say_before_its_body(door):
    assert door.ask("/", "Long: 12000")[0] == 200


def test_who_has_no_certificate_of_the_name_is_not_asked():
    with tempfile.TemporaryDirectory(prefix="sign-in-") as name:
        door = Door(pathlib.Path(name), certified="other.example.com")
        try:
            assert door.ask("/")[0] == 502
            assert not door.issuer.asked
        finally:
            door.stop()


def test_the_site_has_its_files_at_the_same_port_where_the_edge_is_another_hosts():
    site = Behind()

    def around(folder, port):
        here = doors.describe(replace(topology("a", "a", "b"), sign_in=ISSUER))["hosts"]["a"]
        (files,) = [one for one in here["doors"] if one["kind"] == doors.FILES]
        assert (files["address"], files["port"]) == (here["sign_in_door"]["address"], here["sign_in_door"]["port"])
        files.update(address="127.0.0.1", port=port, addresses=["127.0.0.1"])
        for upstream in (files["upstream"], files["files"]):
            upstream["servers"] = [f"127.0.0.1:{site.server_port}"]
        write_door(folder, files, _door_bucket="files")

    with tempfile.TemporaryDirectory(prefix="sign-in-") as name:
        pathlib.Path(name).chmod(0o755)
        door = Door(pathlib.Path(name), around=around)
        try:
            for path in ("/f/x", "/files/x"):
                assert door.ask(path, host="chat.example.com")[0] == 200
                assert site.asked.pop().path == path
            assert door.ask("/realms")[0] == 200
            assert [one.path for one in door.issuer.asked] == ["/realms"]
        finally:
            door.stop()
            site.shutdown()
            site.server_close()
