# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real nginx with the stack's own template hands on to an object store of somebody else's."""

from __future__ import annotations

import http.server
import pathlib
import socket
import tempfile
import threading
from dataclasses import replace

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import doors, elsewhere

from .plugins.module_utils.inventory.layouts import topology
from .real_nginx import Answer, free_port, rendered, start, stop

KINDS = ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")
BARE = f"""
user root;
events {{}}
http {{
  access_log off;
  {"".join(f"{kind}_temp_path {kind};" for kind in KINDS)}
  include store.conf;
}}
"""


class Store(http.server.ThreadingHTTPServer):
    """A store behind a socket, as systemd's proxy leads there, that writes down what it is asked."""

    address_family = socket.AF_UNIX
    session_path = ""

    def __init__(self, path):
        super().__init__(str(path), Answer)
        self.asked = []
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def server_bind(self):
        self.socket.bind(self.server_address)

    def get_request(self):
        return self.socket.accept()[0], ("store", 0)


class Door:
    """A running door to a bucket of a store."""

    def __init__(self, folder, **given):
        store = elsewhere.read_store(
            {elsewhere.STORE: {"url": "http://s3.example.com", "bucket": "chat-files", **given}}
        )
        one = replace(topology("a", "a", "a"), store=store)
        door = doors.door_of_store(one, "a")
        self.folder, self.port, self.store = folder, free_port(), Store(folder / "store")
        self.name = door["name"]
        door.update(address="127.0.0.1", port=self.port, addresses=["127.0.0.1"], socket=str(folder / "store"))
        text = rendered(
            "nginx/templates/store.j2", store_door=door, has_authority=False, body_limit="1m", authorities="/ca.crt"
        )
        folder.joinpath("store.conf").write_text(text, encoding="utf-8")
        folder.joinpath("nginx.conf").write_text(BARE, encoding="utf-8")
        start(folder)

    def ask(self, path, *headers, method="GET", host=""):
        """Return the status of a request that is sent as it stands here, as no client of HTTP would."""
        self.store.asked.clear()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host or self.name}:9", "Connection: close", *headers, "", ""]
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            connection.sendall("\r\n".join(lines).encode())
            with connection.makefile("rb") as answer:
                return int(answer.readline().split()[1])

    def stop(self):
        stop(self.folder, self.store)


@pytest.fixture(scope="module", params=[True, False], ids=["the bucket in paths", "the bucket in the name"])
def door(request):
    with tempfile.TemporaryDirectory(prefix="store-") as name:
        running = Door(pathlib.Path(name), path_style=request.param)
        running.path = "/chat-files/" if request.param else "/"
        yield running
        running.stop()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
@pytest.mark.parametrize("key", ["a.pdf?X-Amz-Signature=1", "deep/a%20b.txt", "..a/b..", "a?prefix=../x"])
def test_the_bucket_is_reached_as_it_was_signed(door, method, key):
    assert door.ask(door.path + key, method=method) == 200
    (asked,) = door.store.asked
    assert (asked.method, asked.path, asked.headers["Host"]) == (method, door.path + key, f"{door.name}:9")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    "key", ["", "?policy", "?acl", "?%70olicy", "?x=/a&replication", "/?policy", "//?logging", "/%2f?policy"]
)
def test_nothing_of_the_bucket_itself_is_changed(door, method, key):
    """A policy would show it to everybody, a replication copy it elsewhere."""
    for path in {door.path, door.path.rstrip("/") or "/"}:
        assert door.ask(path + key, method=method) == 403
        assert not door.store.asked


@pytest.mark.parametrize("arguments", ["acl", "acl=", "x=1&acl", "%61cl", "versionId=1&%61cl=x"])
def test_no_file_is_shown_to_everybody(door, arguments):
    assert door.ask(f"{door.path}a?{arguments}", method="PUT") == 403
    assert not door.store.asked
    assert door.ask(f"{door.path}a?partNumber=1&uploadId=%2B", "x-amz-acl: public-read", method="PUT") == 200
    assert "X-Amz-Acl" not in door.store.asked[0].headers


@pytest.mark.parametrize(
    ("method", "key"), [("GET", "?list-type=2"), ("HEAD", ""), ("GET", "?location"), ("POST", "?delete")]
)
def test_the_bucket_is_listed_and_several_of_its_files_are_taken_away(door, method, key):
    for path in {door.path, door.path.rstrip("/") or "/"}:
        assert door.ask(path + key, method=method) == 200


@pytest.mark.parametrize("start", ["", "http://s3.example.com", "http://chat-files.s3.example.com"])
@pytest.mark.parametrize("host", ["other.s3.example.com", "s3.example.org", "chat-files.s3.example.com.other"])
def test_no_other_bucket_is_reached_by_its_name(door, start, host):
    assert door.ask(f"{start}{door.path}a", host=host) == 404
    assert not door.store.asked


@pytest.mark.parametrize(
    "key", ["../other/a", "a/../../other/a", "%2e%2e/other/a", "a/%2E./b", "..%2fother/a", "a/..", "./a", "a/..?x"]
)
def test_no_path_leads_out_of_the_bucket(door, key):
    assert door.ask(door.path + key) in {400, 404}
    assert not door.store.asked


@pytest.mark.parametrize(
    "source",
    [
        *("/other/a", "other/a", "chat-files-of-others/a", "%2Fother/a", "https://x/chat-files/"),
        *("chat-files/../other/a", "/chat-files/a/%2E./../other/a", "chat-files/..%2Fother/a", "chat-files/.."),
    ],
)
def test_nothing_is_copied_from_another_bucket(door, source):
    assert door.ask(f"{door.path}a", f"x-amz-copy-source: {source}", method="PUT") == 403
    assert not door.store.asked


@pytest.mark.parametrize("sources", [("chat-files/a", "other/a"), ("other/a", "chat-files/a")])
def test_of_two_sources_none_is_another_bucket(door, sources):
    door.store.asked.clear()
    door.ask(f"{door.path}a", *(f"X-Amz-Copy-Source: {one}" for one in sources), method="PUT")
    assert [one.headers.get_all("X-Amz-Copy-Source") for one in door.store.asked] in ([], [["chat-files/a"]])


@pytest.mark.parametrize("source", ["/chat-files/a", "chat-files/a?versionId=1"])
def test_what_lies_in_the_bucket_is_copied(door, source):
    assert door.ask(f"{door.path}b", f"x-amz-copy-source: {source}", method="PUT") == 200


@pytest.mark.parametrize("path", ["/", "/other/a", "/chat-files-of-others/a", "//other/a", "/other/../chat-files/a"])
def test_no_other_bucket_is_reached(path):
    with tempfile.TemporaryDirectory(prefix="store-") as name:
        door = Door(pathlib.Path(name))
        try:
            assert door.ask(path) == 404
            assert not door.store.asked
        finally:
            door.stop()
