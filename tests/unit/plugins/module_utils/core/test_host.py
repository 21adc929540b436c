# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import http.server
import os
import pathlib
import socket
import socketserver
import ssl
import stat
import subprocess
import sys
import threading
import time
import urllib.parse

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host


@pytest.mark.parametrize(
    ("command", "output"),
    [
        pytest.param(
            ["sh", "-c", "echo out; echo err >&2; exit 3"], host.Output(3, "out\n", "err\n"), id="its own status"
        ),
        pytest.param(["no-such-program"], host.Output(127, "", "no-such-program: not found"), id="a missing program"),
        pytest.param(["/etc/passwd"], host.Output(126, "", "/etc/passwd: Permission denied"), id="no program"),
        pytest.param(["sh", "-c", "exec sleep 5"], host.Output(124, "", "no end after 0.2 s"), id="a timeout"),
    ],
)
def test_a_command_gives_its_status_and_texts(command, output):
    assert host.run(command, timeout=0.2) == output


def test_a_command_that_had_to_succeed_is_reported_with_what_it_said():
    with pytest.raises(host.CommandFailed) as failed:
        host.must(["sh", "-c", "echo half done; echo no space >&2; exit 1"])
    assert (
        str(failed.value)
        == "`sh -c echo half done; echo no space >&2; exit 1` ended with status 1:\nhalf done\nno space"
    )


def test_a_commands_environment_can_be_added_to():
    assert host.run(["sh", "-c", "echo $LC_ALL $MORE"], environment={"MORE": "yes"}).stdout == "C.UTF-8 yes\n"


def test_a_command_speaks_english_whatever_the_hosts_language_is(monkeypatch):
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.setenv("LANGUAGE", "de:fr")
    asked = ["sh", "-c", "echo $LC_ALL $LANGUAGE"]
    with host.lines(asked) as said:
        assert [host.run(asked).stdout, *said] == ["C.UTF-8\n", "C.UTF-8"]


@pytest.mark.parametrize("there", ["file", "folder", "nothing", "below a file", "a link that leads nowhere"])
def test_a_path_is_read_as_it_is(tmp_path, there):
    path = tmp_path / "x"
    if there == "folder":
        path.mkdir(mode=0o750)
    elif there == "a link that leads nowhere":
        path.symlink_to(tmp_path / "y")
    elif there != "nothing":
        path.write_bytes(b"1")
        path.chmod(0o640)
    state = host.file_state(str(path / "y" if there == "below a file" else path))
    me = (os.getuid(), os.stat(tmp_path).st_gid)
    wanted = {"file": host.FileState(b"1", 0o640, *me), "folder": host.FileState(None, 0o750, *me)}
    assert state == wanted.get(there)


@pytest.fixture
def foreign(monkeypatch):
    """Return what makes a link that is neither root's nor ours."""

    def link(path, target):
        path.symlink_to(target)
        if os.getuid() == 0:
            os.lchown(path, 12345, 12345)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: 12345)

    return link


def test_a_link_of_somebody_else_is_not_read(tmp_path, foreign):
    (tmp_path / "key").write_text("hunter2")
    foreign(tmp_path / "x", tmp_path / "key")
    assert host.file_state(str(tmp_path / "x")).content == b""
    (tmp_path / "mine").symlink_to(tmp_path / "x")
    if os.getuid() == 0:
        assert host.file_state(str(tmp_path / "mine")).content == b""


def test_a_link_of_root_or_of_our_own_is_followed(tmp_path):
    (tmp_path / "key").write_text("mine")
    (tmp_path / "y").symlink_to("key")
    (tmp_path / "x").symlink_to("y")
    (tmp_path / "folder").mkdir()
    (tmp_path / "moved").symlink_to(tmp_path / "folder")
    assert host.file_state(str(tmp_path / "x")).content == b"mine"
    assert host.file_state(str(tmp_path / "moved")).content is None
    assert host.file_state(str(tmp_path / "x"), read=False).content is None


def test_links_in_a_circle_end(tmp_path):
    (tmp_path / "x").symlink_to("x")
    with pytest.raises(OSError, match="symbolic links"):
        host.file_state(str(tmp_path / "x"))


@pytest.mark.parametrize("kind", ["a fifo", "a socket", "a link to endless zeros"])
def test_what_is_no_regular_file_is_not_read(tmp_path, kind):
    path = tmp_path / "x"
    if kind == "a fifo":
        os.mkfifo(path)
    elif kind == "a socket":
        socket.socket(socket.AF_UNIX).bind(str(path))
    else:
        path.symlink_to("/dev/zero")
    assert host.file_state(str(path)).content == b""


def test_a_release_is_read_where_os_release_says_it_may_lie(tmp_path, monkeypatch):
    monkeypatch.setattr(host, "OS_RELEASES", (str(tmp_path / "etc"), str(tmp_path / "usr")))
    assert host.os_release() == ""
    (tmp_path / "usr").write_text("ID=debian\n")
    assert host.os_release() == "ID=debian\n"
    (tmp_path / "etc").write_text("ID=ubuntu\n")
    assert host.os_release() == "ID=ubuntu\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [("there", "caf\ufffd"), ("folder", ""), ("absent", ""), ("there/below", ""), ("link", "caf\ufffd")],
)
def test_a_files_text_is_empty_where_there_is_none_and_never_an_error(tmp_path, name, text):
    (tmp_path / "there").write_bytes(b"caf\xe9")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("there")
    assert host.file_text(str(tmp_path / name)) == text


@pytest.mark.parametrize(
    ("folder", "ending", "names"),
    [
        ("there", "", ["a.json", "b", "c.json"]),
        ("there", ".json", ["a", "c"]),
        ("absent", "", []),
        ("there/b", "", []),
    ],
)
def test_the_names_in_a_folder_are_sorted_and_none_where_there_is_no_folder(tmp_path, folder, ending, names):
    (tmp_path / "there").mkdir()
    for name in ("c.json", "a.json", "b"):
        (tmp_path / "there" / name).touch()
    assert host.names_in(str(tmp_path / folder), ending) == names


@pytest.mark.parametrize("remove", [host.remove_file, host.remove_tree])
@pytest.mark.parametrize("leads_to", ["file", "folder", "nowhere"])
def test_what_is_to_go_may_be_gone_already_and_of_a_link_the_link_alone_goes(tmp_path, remove, leads_to):
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "link").symlink_to(leads_to)
    for _time in range(2):
        remove(str(tmp_path / "link"))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["below", "file", "folder"]


def test_a_folder_goes_with_all_that_is_in_it_and_a_file_by_itself(tmp_path):
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "file").touch()
    for name in ("folder", "file"):
        host.remove_tree(str(tmp_path / name))
    assert list(tmp_path.iterdir()) == []


def test_a_staged_file_has_its_final_mode_before_it_is_in_place(tmp_path):
    path = tmp_path / "new" / "key"
    staged = host.stage(str(path), b"hunter2", 0o400, os.getuid(), os.getgid())
    assert not path.exists()
    assert stat.S_IMODE(os.stat(staged.temporary).st_mode) == 0o400
    staged.commit()
    assert path.read_bytes() == b"hunter2"
    staged.discard()
    assert os.listdir(path.parent) == ["key"]


@pytest.mark.parametrize(
    ("text", "value"),
    [(None, {}), ("{", {}), ("[1]", {}), ("[" * 100_000, {}), ('{"a": 1}', {"a": 1})],
    ids=["missing", "damaged", "no object", "too deep", "an object"],
)
def test_a_record_that_is_missing_or_damaged_counts_as_empty(tmp_path, text, value):
    path = tmp_path / "record.json"
    if text is not None:
        path.write_text(text)
    assert host.read_json(str(path)) == value


@pytest.mark.parametrize("status", [200, 404, 503])
def test_an_http_answer_of_any_status_is_an_answer(server, status):
    server.routes["POST", "/x"] = lambda asked: asked.say(status, asked.body, X_Kind="echo")
    answer = host.http(f"http://{server.place}/x", "POST", {"A": "b"}, b'{"q": 1}')
    assert (answer.status, answer.headers["x-kind"], answer.json(), answer.error) == (status, "echo", {"q": 1}, "")


class SocketServer(socketserver.UnixStreamServer):
    def get_request(self):
        return self.socket.accept()[0], ("engine", 0)


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
        self.wfile.write(f"{self.path} for {self.headers['Host']}".encode())

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(("path", "status"), [("/health", 200), ("/v1/none", 404)])
def test_a_server_behind_a_socket_is_asked_like_another(tmp_path, path, status):
    place = str(tmp_path / "engine.sock")
    with SocketServer(place, Answers) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        answer = host.http(f"unix://{urllib.parse.quote(place, safe='')}{path}", direct=True)
        thread.join()
    assert (answer.status, answer.body) == (status, f"{path} for localhost".encode())


def test_a_socket_that_is_not_there_gives_an_error_and_no_traceback(tmp_path):
    answer = host.http(f"unix://{urllib.parse.quote(str(tmp_path / 'none'), safe='')}/health")
    assert (answer.status, "No such file" in answer.error) == (0, True)


@pytest.mark.parametrize(
    ("elsewhere", "shown"), [(False, "Bearer secret"), (True, None)], ids=["the same address", "another address"]
)
def test_what_authorizes_goes_along_no_redirect_to_another_address(server, elsewhere, shown):
    _host, port = server.server_address
    target = f"http://localhost:{port}/there" if elsewhere else f"http://{server.place}/there"
    server.routes["GET", "/here"] = lambda asked: asked.say(307, Location=target)
    server.routes["GET", "/there"] = lambda asked: asked.say(200)
    assert host.http(f"http://{server.place}/here", headers={"Authorization": "Bearer secret", "A": "b"}).status == 200
    (_method, _path, headers) = server.asked[-1]
    assert (headers.get("Authorization"), headers["A"]) == (shown, "b")


def test_a_body_that_is_no_json_gives_no_data():
    assert host.Response(200, {}, b"<html>").json() is None


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("http://127.0.0.1:{port}/", "refused"),
        ("ftp", "unknown url type"),
        ("http://127.0.0.1:{port}/a b", "control characters"),
    ],
    ids=["nobody listens", "no address", "an address with a space"],
)
def test_where_no_answer_comes_the_status_is_0_and_the_error_says_why(url, word):
    answer = host.http(url.format(port=free_port()))
    assert answer.status == 0
    assert word in answer.error


@pytest.mark.parametrize(
    "said", [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x46", b""], ids=["ssh", "tls", "silence"]
)
def test_a_port_that_does_not_speak_http_gives_an_error_and_no_traceback(said):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            one, _peer = listener.accept()
            with one:
                one.recv(1000)
                one.sendall(said)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        response = host.http(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=2)
        thread.join()
    assert response.status == 0
    assert response.error


@pytest.mark.parametrize(
    ("status", "said", "word"),
    [
        (200, [b"x" * 40_000] * 40, "more than 1 MiB"),
        (200, [b"x"] * 200, "within 1 s"),
        (200, [], "10000000 more"),
        (404, [b"x"] * 200, ""),
    ],
    ids=["without end", "a byte now and then", "less than was told", "an error without end"],
)
def test_an_answer_that_does_not_end_is_not_waited_for(monkeypatch, status, said, word):
    monkeypatch.setattr(host, "LARGEST_ANSWER", 1 << 20)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            one, _peer = listener.accept()
            with one, contextlib.suppress(OSError):
                one.recv(1000)
                one.sendall(b"HTTP/1.1 %d OK\r\nContent-Length: 10000000\r\n\r\n" % status)
                for part in said:
                    one.sendall(part)
                    time.sleep(0.1 if len(part) == 1 else 0)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        response = host.http(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=1)
        thread.join()
    assert response.status == (0 if word else status)
    assert word in response.error
    assert response.body == b""


@pytest.mark.parametrize(
    ("words", "timeout", "left"),
    [(["a", "b", None], 5, None), (["a"] * 1000, 0.03, "a")],
    ids=["it comes", "it does not come in time"],
)
def test_waiting_ends_when_nothing_is_missing_or_the_time_is_over(words, timeout, left):
    waiting = iter(words)
    assert host.wait_for(lambda: next(waiting), timeout, interval=0.001) == left


@pytest.fixture
def tls_server(tmp_path):
    """Yield the port of a server whose certificate its own authority has signed, for 127.0.0.1, and that authority."""
    key, certificate = tmp_path / "key", tmp_path / "crt"
    names = [
        "-subj",
        "/CN=server",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *names]
    subprocess.run(made, check=True, capture_output=True)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"yes")

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], certificate.read_text()
    server.shutdown()
    server.server_close()


def test_by_tls_a_server_is_believed_where_its_authority_is_known_and_its_name_is_right(tls_server):
    port, authority = tls_server
    assert host.http(f"https://127.0.0.1:{port}/", direct=True, authority=authority).body == b"yes"
    assert "certificate verify failed" in host.http(f"https://127.0.0.1:{port}/", direct=True).error
    assert (
        "certificate verify failed" in host.http(f"https://localhost:{port}/", direct=True, authority=authority).error
    )


def test_what_asks_nobody_loads_nothing_that_does():
    folder = pathlib.Path(host.__file__).resolve().parents[2]
    program = "import gpuchat.core.host, sys; print({'ssl', 'http.client', 'urllib.request'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
