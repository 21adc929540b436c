# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor asks on a host, with real sockets and the stack's own certificates on the loopback."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import ssl
import threading

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.doctor import runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.doctor.questions import Target
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.secret import runner as secret_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.survey import reading_runner

from ..survey.healthy import reading

NAME = "engine.gpuchat.internal"
OPTIONS = {
    "clients": [],
    "rotate": [],
    "retire": [],
    "tls_names": [],
    "site_names": [],
    "renew_room": True,
    "forget": False,
    "temporary": False,
    "renew": True,
}


def certificates(folder):
    """Write the certificates of the hosts a, which asks, and c, which is asked, as a run makes them."""
    hosts = {"a": [], "c": [NAME]}
    known = secret_runner.ensure({**OPTIONS, "known": {}, "hosts": hosts, "given_api_key": ""})["known"]
    for name in hosts:
        (folder / name).mkdir(parents=True)
        for file, entry in (("host.crt", f"host_certificate {name}"), ("host.key", f"host_key {name}")):
            (folder / name / file).write_text(known[entry])
        (folder / name / "hosts.crt").write_text(known["hosts_ca_certificate"])
    return folder


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return certificates(tmp_path_factory.mktemp("ours"))


@contextlib.contextmanager
def door(folder=None, answer=b"HTTP/1.1 200 OK\r\n\r\n", says_nothing=False):
    """Yield the port of a server; with a folder of certificates it speaks TLS to who has one too."""
    server = socket.create_server(("127.0.0.1", 0))
    ends = threading.Event()

    def serve():
        plain, _address = server.accept()
        with plain, contextlib.suppress(OSError):
            if says_nothing:
                ends.wait(10)
                return
            wrapped = plain
            if folder:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(folder / "host.crt", folder / "host.key")
                context.load_verify_locations(folder / "hosts.crt")
                context.verify_mode = ssl.CERT_REQUIRED
                wrapped = context.wrap_socket(plain, server_side=True)
            with wrapped:
                wrapped.recv(1000)
                wrapped.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        ends.set()
        server.close()
        thread.join(5)


def asked(port, folder, name=NAME):
    found = runner.ask_door(Target("127.0.0.1", port, name, "a", "c", "engine"), str(folder))
    return found["stage"], found["status"], found["said"]


def test_a_door_answers_who_has_a_certificate(ours):
    with door(ours / "c") as port:
        assert asked(port, ours) == ("done", 200, "")


def test_a_door_of_another_name_does_not_hold(ours):
    with door(ours / "c") as port:
        stage, _status, said = asked(port, ours, "interface.gpuchat.internal")
    assert stage == "certificate"
    assert "Hostname mismatch" in said


def test_a_door_of_another_authority_does_not_hold(ours, tmp_path):
    with door(certificates(tmp_path) / "c") as port:
        stage, _status, said = asked(port, ours)
    assert stage == "certificate"
    assert "certificate" in said


def test_a_server_that_speaks_no_tls_is_no_door(ours):
    with door() as port:
        assert asked(port, ours)[0] == "tls"


def test_a_server_that_says_nothing_is_left(ours, monkeypatch):
    monkeypatch.setattr(runner, "CONNECT_SECONDS", 0.2)
    with door(says_nothing=True) as port:
        assert asked(port, ours)[0] == "handshake"


def test_nobody_listens(ours):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert asked(port, ours)[0] == "refused"


def test_certificates_of_its_own_that_are_missing_are_told(tmp_path):
    stage, _status, said = asked(1, tmp_path)
    assert (stage, said.startswith(f"{tmp_path}/a/host.crt")) == ("own", True)


@pytest.mark.parametrize(
    ("error", "stage"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), "name"),
        (TimeoutError("timed out"), "timeout"),
        (OSError(errno.ETIMEDOUT, "Connection timed out"), "timeout"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "route"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "route"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "refused"),
        (OSError(errno.EACCES, "Permission denied"), "connect"),
    ],
)
def test_a_connection_ends_somewhere(error, stage):
    assert runner.stage_of(error) == stage


def test_the_checksum_is_that_of_the_internet():
    assert runner.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D  # the example of RFC 1071
    assert runner.checksum(b"\xff") == 0x00FF


@pytest.mark.skipif(os.getuid() != 0, reason="echoes are for root")
def test_the_way_to_the_loopback_carries_all():
    try:
        found = runner.path_to("127.0.0.1")
    except PermissionError:
        pytest.skip("no raw sockets here")
    if not found["answers"]:
        pytest.skip("no echo here")
    assert found["largest"] == found["mtu"]


def test_a_way_that_swallows_what_is_large_is_measured(monkeypatch):
    monkeypatch.setattr(runner, "_echo", lambda address, size: size <= 1430)
    monkeypatch.setattr(runner, "LARGEST", 1500)
    assert runner.path_to("127.0.0.1") == {"mtu": 1500, "answers": True, "largest": 1420}


def test_a_host_without_echo_says_nothing_of_its_way(monkeypatch):
    monkeypatch.setattr(runner, "_echo", lambda address, size: False)
    assert runner.path_to("127.0.0.1")["answers"] is False


# The whole.

HERE = {
    "engines": [],
    "doors": [{"kind": "engine", "address": "127.0.0.1", "port": 0, "routes": []}],
}


@pytest.fixture
def one(monkeypatch, state_directory, commands):
    """A host whose survey is a table."""
    found = reading()
    monkeypatch.setattr(reading_runner, "read", lambda given: found)
    return found


def examined(here=HERE, **params):
    result = runner.read({"name": "c", "hosts": {"c": here}, "seconds": 5, **params})
    json.dumps(result)
    assert result["changed"] is False
    return result["checks"]


def test_a_host_in_order_is_asked_for_no_log(one):
    checks = examined()
    assert checks["gpus"] == {"gpuchat-vllm-demo": {"ok": True, "said": ""}}
    assert ("logs" in checks, checks["unanswered"]) == (False, {})


def test_a_host_of_a_wrong_inventory_is_read_too(one):
    assert runner.read({"name": "c", "hosts": {}, "seconds": 5})["checks"]["door"] == {}


def test_who_listens_is_told_with_its_program(one):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        checks = examined({**HERE, "doors": [{**HERE["doors"][0], "port": port}]})
    (found,) = checks["listeners"]
    assert (found["address"], found["port"], found["pid"]) == ("127.0.0.1", port, os.getpid())
    assert found["program"]


def test_a_name_that_does_not_resolve_says_why(one):
    route = {"kind": "endpoint", "endpoint": "studio", "upstream": {"servers": ["studio.invalid:1 max_fails=0"]}}
    checks = examined({**HERE, "doors": [{**HERE["doors"][0], "routes": [route]}]})
    assert checks["name"]["studio.invalid"]["for"] == "endpoint studio"
    assert checks["name"]["studio.invalid"]["problem"]
    assert checks["endpoint"]["studio"]["stage"] == "name"


def test_logs_of_what_is_not_well_are_read_without_secrets_and_with_dockers_own_words(one, commands):
    one["services"]["gpuchat-door"].update(running=False)
    one["docker"]["containers"][1].update(status="created", error='could not select device driver "nvidia"')
    commands.answer("journalctl", "nginx: [emerg] bind()\nAuthorization: Bearer sk-abcdefgh12345678\n")
    commands.answer("docker logs", "", rc=1, stderr="no such container")
    checks = examined()
    assert checks["logs"] == {
        "gpuchat-door": ["nginx: [emerg] bind()", "Authorization: Bearer ********"],
        "gpuchat-vllm-demo": ['could not select device driver "nvidia"'],
    }


@pytest.mark.parametrize(
    ("run", "asked"), [("0123456789abcdef" * 2, "_SYSTEMD_INVOCATION_ID=0123456789abcdef"), ("", "--unit=gpuchat-door")]
)
def test_what_a_service_said_in_an_earlier_run_is_no_reason_for_how_it_is_now(one, commands, run, asked):
    one["services"]["gpuchat-door"].update(running=False)
    commands.answer("systemctl show --property=InvocationID", run)
    commands.answer(f"journalctl --no-pager --output=cat --lines={runner.LINES} {asked}", "of this run")
    assert examined()["logs"]["gpuchat-door"] == ["of this run"]


def test_what_systemd_says_of_a_run_is_read_with_what_the_service_says(one, commands):
    one["services"]["gpuchat-door"].update(running=False)
    run = "0123456789abcdef" * 2
    commands.answer("systemctl show gpuchat-door.service", "ActiveState=failed\n")
    commands.answer("systemctl show --property=InvocationID", run)
    commands.answer(
        f"journalctl --no-pager --output=cat --lines={runner.LINES} _SYSTEMD_INVOCATION_ID={run} + INVOCATION_ID={run}",
        "gpuchat-door.service: Failed at step EXEC spawning /usr/sbin/nginx: No such file or directory",
    )
    assert "step EXEC" in examined()["logs"]["gpuchat-door"][0]


def test_a_secret_that_a_long_line_is_cut_in_is_masked_whole(one, commands, monkeypatch):
    one["services"]["gpuchat-door"].update(running=False)
    secret = "s" * 40
    monkeypatch.setattr(runner, "secrets_here", lambda: (secret,))
    commands.answer("journalctl", "x" * (runner.WIDEST - 20) + secret)
    assert "s" not in examined()["logs"]["gpuchat-door"][0]


def test_a_service_that_has_just_started_anew_says_by_its_last_run_why_that_ended(one, commands):
    one["services"]["gpuchat-door"].update(running=False)
    commands.answer("systemctl show --property=InvocationID", "0123456789abcdef" * 2)
    commands.answer(f"journalctl --no-pager --output=cat --lines={runner.LINES} _SYSTEMD", "")
    commands.answer(
        f"journalctl --no-pager --output=cat --lines={runner.LINES} --unit=gpuchat-door", "of the run before"
    )
    assert examined()["logs"]["gpuchat-door"] == ["of the run before"]


def test_a_service_that_failed_without_a_word_has_no_reason_in_an_earlier_run(one, commands):
    one["services"]["gpuchat-door"].update(running=False)
    commands.answer("systemctl show gpuchat-door.service", "ActiveState=failed\n")
    commands.answer("systemctl show --property=InvocationID", "0123456789abcdef" * 2)
    commands.answer(f"journalctl --no-pager --output=cat --lines={runner.LINES} _SYSTEMD", "")
    commands.answer(
        f"journalctl --no-pager --output=cat --lines={runner.LINES} --unit=gpuchat-door", "of the run before"
    )
    assert examined()["logs"]["gpuchat-door"] == []


def test_a_log_is_cut(one, commands):
    one["services"]["gpuchat-door"].update(running=False)
    commands.answer(
        "journalctl", "\n".join(f"line {number} {'x' * runner.WIDEST}" for number in range(runner.LINES + 9))
    )
    lines = examined()["logs"]["gpuchat-door"]
    assert (len(lines), max(map(len, lines))) == (runner.LINES, runner.WIDEST)


def test_a_container_that_lost_its_gpus_says_so(one, commands):
    commands.answer("docker exec gpuchat-vllm-demo nvidia-smi", "Failed to initialize NVML: Unknown Error", rc=255)
    assert examined()["gpus"]["gpuchat-vllm-demo"] == {"ok": False, "said": "Failed to initialize NVML: Unknown Error"}


def test_the_edge_is_asked_on_its_own_host(one):
    edge = {"scheme": "http", "names": ["chat.example.com"], "ports": [], "tls": "none", "upstreams": {}, "routes": []}
    with door(answer=b"HTTP/1.1 502 Bad Gateway\r\n\r\n") as port:
        checks = examined({**HERE, "edge": {**edge, "http_port": port}})
    assert checks["site"] == {"status": 502, "stage": "done", "said": ""}
    assert "gpuchat-edge" in checks["logs"]


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({"health": "starting", "restarts": 0, "seconds_up": 7.9}, ["--since=7s"]),
        ({"health": "starting", "restarts": 2, "seconds_up": 7.9}, []),
        ({"health": "unhealthy", "restarts": 0, "seconds_up": 7.9}, []),
        ({}, []),
    ],
    ids=["it starts", "it ended by itself", "it is ill", "there is none"],
)
def test_of_a_container_that_starts_the_log_counts_from_there(container, words):
    assert runner._since(container) == words
