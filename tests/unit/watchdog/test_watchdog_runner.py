# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watchdog beside a toy engine: a server behind a Unix socket, its engine as another process, a docker command."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

TOY = '''
import http.server, json, os, socketserver, subprocess, sys, time

ENGINE = """
import sys, time
for line in sys.stdin:
    end = time.monotonic() + float(line)
    while time.monotonic() < end:
        pass
    print("token", flush=True)
"""
folder = sys.argv[1]
engine = subprocess.Popen([sys.executable, "-c", ENGINE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
tokens = 0


class Handler(http.server.BaseHTTPRequestHandler):
    def address_string(self):
        return "socket"

    def log_message(self, *words):
        pass

    def say(self, status, text):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def do_GET(self):
        self.say(200, f'vllm:generation_tokens_total{{engine="0"}} {tokens}\\n' if self.path == "/metrics" else "")

    def do_POST(self):
        global tokens
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with open(folder + "/asked", "a") as file:
            print(self.path, self.headers["Authorization"], json.dumps(body), file=file)
        if self.headers["Authorization"] != "Bearer sesame":
            return self.say(401, "")
        seconds = open(folder + "/seconds").read()
        engine.stdin.write(seconds + "\\n")
        engine.stdin.flush()
        engine.stdout.readline()
        tokens += 1
        self.say(200, "{}")


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


server = Server(folder + "/vllm.sock", Handler)
with open(folder + "/engine", "w") as file:
    file.write(str(engine.pid))
server.serve_forever()
'''

DOCKER = """#!/bin/sh
cd {folder}
echo "docker $*" >> commands
case $1 in
  container) [ -e state ] && cat state || {{ echo "Error response from daemon: No such container: $3" >&2; exit 1; }} ;;
  restart|stop) sed -i 's/START/AGAIN/' state; exit $(cat rc 2>/dev/null || echo 0) ;;
esac
"""


@pytest.fixture
def toy(watchdog, tmp_path, monkeypatch):
    monkeypatch.setattr(watchdog, "SHORTEST_MEASURE", 0.4)
    (tmp_path / "toy.py").write_text(TOY)
    (tmp_path / "seconds").write_text("0")
    (tmp_path / "api_key").write_text("sesame\n")
    (tmp_path / "bin").mkdir()
    for name, text in (
        ("docker", DOCKER),
        ("systemctl", '#!/bin/sh\necho "systemctl $*" >> {folder}/commands\ncat {folder}/unit 2>/dev/null\n'),
    ):
        (tmp_path / "bin" / name).write_text(text.format(folder=tmp_path))
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    server = subprocess.Popen([sys.executable, str(tmp_path / "toy.py"), str(tmp_path)])
    started = Toy(tmp_path, server)
    try:
        started.wait()
        started.set_state()
        yield started
    finally:
        os.kill(started.engine, signal.SIGKILL)
        server.kill()
        server.wait()


class Toy:
    def __init__(self, folder, server):
        self.folder = folder
        self.server = server
        self.engine = 0

    def wait(self):
        end = time.monotonic() + 30
        while not (text := self._read("engine")):
            assert time.monotonic() < end
            time.sleep(0.02)
        self.engine = int(text)

    def _read(self, name):
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def set_state(self, **more):
        state = {"Running": True, "Paused": False, "Restarting": False, "Pid": self.server.pid, "StartedAt": "START"}
        (self.folder / "state").write_text(json.dumps([{"Id": "c0", "State": {**state, **more}}]))

    def described(self, **more):
        usual = {
            "name": "m",
            "slug": "m",
            "container": "gpuchat-vllm-m",
            "unit": "gpuchat-vllm-m.service",
            "supervisor": "compose",
            "socket": f"{self.folder}/vllm.sock",
            "key_file": f"{self.folder}/api_key",
            "task": "chat",
            "silent_mark": f"{self.folder}/m.silent",
        }
        return {**usual, **more}

    def watcher(self, watchdog, **more):
        limits = watchdog.Limits(interval=0.2, window=1.5, busy_window=3600.0, probe_timeout=0.7)
        return watchdog.Watcher(watchdog.Engine(**self.described(**more)), limits, str(self.folder))

    def acts(self):
        return [line for line in self._read("commands").splitlines() if " container " not in line]

    def asked(self):
        return self._read("asked").splitlines()


def looks(watcher, seconds, until=lambda: False):
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        watcher.look()
        time.sleep(0.2)


def test_an_engine_whose_process_is_stopped_is_restarted_and_one_that_answers_is_not(watchdog, toy, capsys):
    watcher = toy.watcher(watchdog)
    looks(watcher, 2)
    assert (toy.acts(), len(toy.asked()) > 1) == ([], True)
    os.kill(toy.engine, signal.SIGSTOP)
    looks(watcher, 20, toy.acts)
    assert toy.acts() == ["docker restart -t 10 gpuchat-vllm-m"]
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "m: it is healthy, and watched from now on"
    del said[1]  # what is said of the door
    assert re.fullmatch(
        r"m: found no answer to a probe of 0.7 s, its figures and its processes at a standstill for \d s; "
        r"restarting gpuchat-vllm-m \(1 of 3 in an hour\)",
        said[1],
    )
    assert said[2] == "m: gpuchat-vllm-m restarted"


def test_the_door_is_told_of_a_silent_engine_before_its_restart_and_of_one_that_answers_again(watchdog, toy, capsys):
    mark = toy.folder / "m.silent"
    watcher = toy.watcher(watchdog)
    looks(watcher, 1)
    assert not mark.exists()
    os.kill(toy.engine, signal.SIGSTOP)
    looks(watcher, 20, mark.exists)
    assert (mark.exists(), toy.acts()) == (True, [])
    os.kill(toy.engine, signal.SIGCONT)
    looks(watcher, 20, lambda: not mark.exists())
    assert not mark.exists()
    said = capsys.readouterr().out.splitlines()[1:]
    assert said == [
        "m: found no answer and no movement; other hosts get what is asked meanwhile",
        "m: it is asked again",
    ]


@pytest.mark.parametrize("mark", ["", "/proc/m.silent"], ids=["nobody else serves it", "it cannot be written"])
def test_without_a_mark_it_is_restarted_all_the_same(watchdog, toy, mark):
    watcher = toy.watcher(watchdog, silent_mark=mark)
    looks(watcher, 1)
    os.kill(toy.engine, signal.SIGSTOP)
    looks(watcher, 20, toy.acts)
    assert toy.acts() == ["docker restart -t 10 gpuchat-vllm-m"]


def test_an_engine_under_systemd_is_restarted_by_its_unit(watchdog, toy):
    watcher = toy.watcher(watchdog, supervisor="systemd")
    watcher.look()
    os.kill(toy.engine, signal.SIGSTOP)
    looks(watcher, 20, toy.acts)
    assert toy.acts() == ["docker stop -t 10 gpuchat-vllm-m", "systemctl restart gpuchat-vllm-m.service"]


@pytest.mark.parametrize("supervisor", ["quadlet", "venv"])
def test_an_engine_without_docker_is_looked_at_and_restarted_by_its_unit(watchdog, toy, supervisor):
    (toy.folder / "unit").write_text(f"ActiveState=active\nInvocationID=i0\nMainPID={toy.server.pid}\n")
    watcher = toy.watcher(watchdog, supervisor=supervisor)
    watcher.look()
    os.kill(toy.engine, signal.SIGSTOP)
    looks(watcher, 20, lambda: any("restart" in act for act in toy.acts()))
    unit = "gpuchat-vllm-m.service"
    assert [act for act in toy.acts() if " show " not in act] == [
        f"systemctl kill --signal=SIGKILL {unit}",
        f"systemctl restart {unit}",
    ]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("ActiveState=active\nInvocationID=i0\nMainPID=7\n", ("i0", 7)),
        ("ActiveState=activating\nInvocationID=i0\nMainPID=7\n", ("", 0)),
        ("ActiveState=inactive\nInvocationID=\nMainPID=0\n", ("", 0)),
        ("", None),
    ],
    ids=["it runs", "it starts", "it does not", "nobody knows"],
)
def test_which_start_of_a_quadlet_runs(watchdog, monkeypatch, said, found):
    monkeypatch.setattr(watchdog, "run", lambda *_: (0, said))
    assert watchdog.unit_of("gpuchat-vllm-m.service") == found


def test_a_server_that_is_stopped_is_restarted_too(watchdog, toy, monkeypatch):
    monkeypatch.setattr(watchdog, "ANSWER_SECONDS", 0.3)
    watcher = toy.watcher(watchdog, task="transcribe")
    watcher.look()
    os.kill(toy.server.pid, signal.SIGSTOP)
    looks(watcher, 20, toy.acts)
    os.kill(toy.server.pid, signal.SIGCONT)
    assert toy.acts() == ["docker restart -t 10 gpuchat-vllm-m"]
    assert toy.asked() == []


def test_an_engine_that_computes_for_longer_than_a_window_is_left_alone(watchdog, toy):
    watcher = toy.watcher(watchdog)
    watcher.look()
    (toy.folder / "seconds").write_text("600")
    looks(watcher, 4)
    assert toy.acts() == []
    assert watcher.watch.unanswered


@pytest.mark.parametrize(
    ("task", "asked"),
    [
        ("chat", '/v1/completions Bearer sesame {"model": "m", "prompt": "1", "max_tokens": 1, "temperature": 0}'),
        ("embed", '/v1/embeddings Bearer sesame {"model": "m", "input": "1"}'),
    ],
)
def test_a_probe_asks_for_one_token_or_one_embedding_with_the_engines_key(watchdog, toy, task, asked):
    watcher = toy.watcher(watchdog, task=task)
    watcher.look()
    watcher.look()
    assert toy.asked() == [asked]


def test_a_probe_that_is_refused_is_said_once_and_is_no_evidence(watchdog, toy, capsys):
    (toy.folder / "api_key").write_text("another")
    watcher = toy.watcher(watchdog)
    looks(watcher, 2)
    assert toy.acts() == []
    assert [line for line in capsys.readouterr().out.splitlines() if "401" in line] == [
        "m: found the status 401 for a probe, wanted 200; it is judged by its figures alone"
    ]


@pytest.mark.parametrize("change", [{"Running": False}, {"Paused": True}, {"Restarting": True}, {"StartedAt": "later"}])
def test_what_somebody_stops_or_restarts_at_the_last_moment_is_left_to_them(watchdog, toy, monkeypatch, capsys, change):
    watcher = toy.watcher(watchdog)
    watcher.look()
    os.kill(toy.engine, signal.SIGSTOP)
    restart, late = watchdog.Watcher._restart, []

    def restart_late(*words):
        toy.set_state(**change)
        late.append(change)
        restart(*words)

    monkeypatch.setattr(watchdog.Watcher, "_restart", restart_late)
    looks(watcher, 20, lambda: late)
    assert toy.acts() == []
    assert "somebody stopped or restarted it just now" in capsys.readouterr().out


def test_a_container_that_is_gone_is_not_started(watchdog, toy):
    watcher = toy.watcher(watchdog)
    watcher.look()
    (toy.folder / "state").unlink()
    looks(watcher, 0.5)
    assert (toy.acts(), watcher.watch.container) == ([], "")


def test_where_docker_does_not_answer_what_is_known_stays(watchdog, toy):
    watcher = toy.watcher(watchdog)
    watcher.look()
    known = watcher.watch
    (toy.folder / "bin" / "docker").write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2; exit 1\n")
    watcher.look()
    assert watcher.watch == known


def test_a_restart_that_fails_is_said(watchdog, toy, capsys):
    (toy.folder / "rc").write_text("7")
    watcher = toy.watcher(watchdog)
    watcher.look()
    os.kill(toy.engine, signal.SIGSTOP)
    looks(watcher, 20, toy.acts)
    assert "m: gpuchat-vllm-m could not be restarted, status 7" in capsys.readouterr().out


def test_what_was_known_and_done_outlives_a_restart_of_the_watchdog(watchdog, toy):
    first = toy.watcher(watchdog)
    first.look()
    os.kill(toy.engine, signal.SIGSTOP)
    looks(first, 20, toy.acts)
    second = toy.watcher(watchdog)
    assert second.watch.restarts == first.watch.restarts != ()
    assert (second.watch.container, second.watch.was_healthy) == (first.watch.container, first.watch.was_healthy)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"restarts": 3}', '{"restarts": ["x"]}'])
def test_a_damaged_memory_counts_as_none(watchdog, toy, text):
    (toy.folder / "m.json").write_text(text)
    assert toy.watcher(watchdog).watch == watchdog.Watch()


def test_processes_are_all_that_descend_from_a_containers_first(watchdog, toy):
    found = watchdog.processes_of(toy.server.pid)
    assert {pid for pid, _start in found} == {toy.server.pid, toy.engine}


def test_a_process_may_have_any_name(watchdog):
    words = " ".join(["S", "7", *["0"] * 9, "150", "50", *["0"] * 6, "99", "0"])
    parent, start, process = watchdog._read_stat(f"12 (a ) b(c) {words}")
    assert (parent, start, process.name, process.state) == (7, 99, "a ) b(c", "S")
    assert process.seconds == pytest.approx(200 / watchdog.TICKS)


def configured(**more):
    usual = {
        "interval": 10,
        "window": 30,
        "busy_window": 600,
        "probe_timeout": 20,
        "restarts_per_hour": 3,
        "engines": [],
    }
    return json.dumps({**usual, **more})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "wanted what the role watchdog writes"),
        ("{}", "'interval'"),
        (configured(engines=[{"name": "m"}]), "'slug'"),
        (configured(window=0), "watchdog_window_seconds"),
        (configured(probe_timeout=-1), "watchdog_probe_seconds"),
        (configured(busy_window=20), "watchdog_busy_seconds"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_before_it_is_put_in_place(
    watchdog, tmp_path, capsys, text, says
):
    (tmp_path / "watchdog.json").write_text(text)
    assert watchdog.main(["--check", str(tmp_path / "watchdog.json")]) == 2
    assert says in capsys.readouterr().err


def test_a_good_configuration_passes_and_the_program_is_asked_in_its_way(watchdog, toy, capsys):
    (toy.folder / "watchdog.json").write_text(configured(engines=[toy.described()]))
    assert watchdog.main(["--check", str(toy.folder / "watchdog.json")]) == 0
    assert watchdog.main([]) == watchdog.main(["--check"]) == 2
    assert watchdog.config_of(configured(engines=[toy.described()])).engines[0].container == "gpuchat-vllm-m"


def test_the_whole_program_restarts_a_hung_engine(watchdog, toy):
    limits = {"interval": 1, "window": 2, "busy_window": 600, "probe_timeout": 1}
    (toy.folder / "watchdog.json").write_text(configured(engines=[toy.described()], **limits))
    words = [sys.executable, "-I", watchdog.__file__, str(toy.folder / "watchdog.json")]
    environment = {**os.environ, "RUNTIME_DIRECTORY": str(toy.folder)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as running:
        try:
            assert running.stdout.readline() == "watching m\n"
            assert running.stdout.readline() == "m: it is healthy, and watched from now on\n"
            os.kill(toy.engine, signal.SIGSTOP)
            assert "other hosts get what is asked" in running.stdout.readline()
            assert "restarting gpuchat-vllm-m (1 of 3 in an hour)" in running.stdout.readline()
            assert running.stdout.readline() == "m: gpuchat-vllm-m restarted\n"
        finally:
            running.kill()
    assert toy.acts() == ["docker restart -t 10 gpuchat-vllm-m"]


class Broken:
    """A watcher whose looks fail, until the last."""

    def __init__(self, watchdog, toy, failures):
        self.limits = watchdog.Limits(interval=0.01)
        self.engine = watchdog.Engine(**toy.described())
        self.failures = list(failures)
        self.ended = watchdog.threading.Event()

    def look(self):
        if self.failures:
            raise self.failures.pop(0)
        self.ended.set()


def test_what_goes_wrong_in_a_look_is_said_once_and_ends_that_look_alone(watchdog, toy, capsys):
    broken = Broken(watchdog, toy, [MemoryError(), ZeroDivisionError("x"), ZeroDivisionError("x")])
    watchdog.keep_watching(broken, broken.ended)
    assert not broken.failures
    assert capsys.readouterr().out.splitlines() == [
        "m: found MemoryError() in a look at it; looking again",
        "m: found ZeroDivisionError('x') in a look at it; looking again",
    ]


def test_a_thread_that_ends_ends_the_program_so_that_systemd_starts_it_anew(watchdog, toy):
    broken = Broken(watchdog, toy, [SystemExit()])
    with pytest.raises(SystemExit):
        watchdog.keep_watching(broken, broken.ended)
    assert broken.ended.is_set()


@pytest.fixture
def hostile(tmp_path):
    """Return what serves some bytes at a socket, then others again and again, each after some seconds."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "hostile.sock"))
    listening.listen()
    made = []

    def serve(first, drip, seconds):
        def answer():
            with contextlib.suppress(OSError), listening.accept()[0] as asked:
                made.append(asked)
                asked.recv(1000)
                asked.sendall(first)
                while drip:
                    time.sleep(seconds)
                    asked.sendall(drip)

        threading.Thread(target=answer, daemon=True).start()
        return str(tmp_path / "hostile.sock")

    yield serve
    listening.close()
    for asked in made:
        asked.close()


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000000000\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999999999999999\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffffffff\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nx",
        b"HTTP/1.1 " + b"9" * 5000 + b" OK\r\n\r\n",
    ],
    ids=["more than the memory", "more than a number", "a chunk without end", "less than nothing", "a long status"],
)
def test_no_length_that_an_engine_says_ends_the_watchdog(watchdog, hostile, first):
    status, text = watchdog.ask(hostile(first, b"", 0), "/health", 5)
    assert (status, text) == (200, "x") or (status == 0 and text)


def test_no_more_is_read_of_an_answer_than_figures_take(watchdog, hostile):
    status, text = watchdog.ask(hostile(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1_000_000, 0), "/metrics", 60)
    assert (status, len(text)) == (200, 4 << 20)


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n"])
def test_a_byte_now_and_then_prolongs_no_exchange(watchdog, hostile, first):
    begin = time.monotonic()
    status, _text = watchdog.ask(hostile(first, b"x", 0.1), "/health", 0.6)
    assert (status, time.monotonic() - begin < 20) == (0, True)


def test_a_line_that_is_longer_than_any_figure_counts_as_none(watchdog):
    name = "vllm:num_requests_running"
    assert watchdog.figures_of(f"{name} 2\n{name} {'1' * 20_000}\n") == {name: 2.0}


def test_the_program_needs_python_3_9_and_its_standard_library_alone(watchdog):
    tree = ast.parse(pathlib.Path(watchdog.__file__).read_text(encoding="utf-8"), feature_version=(3, 9))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


def test_its_half_that_decides_touches_nothing(watchdog):
    text = pathlib.Path(watchdog.__file__).read_text(encoding="utf-8")
    deciding = text.partition("# ---- What is decided")[2].partition("# ---- What acts")[0]
    names = [node for node in ast.walk(ast.parse("#" + deciding)) if isinstance(node, ast.Name)]
    used = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    assert (
        used & {"http", "os", "pathlib", "socket", "subprocess", "sys", "threading", "time", "open", "print"} == set()
    )
