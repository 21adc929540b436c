# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitoring of several hosts: all is asked and shown; alerts come when something breaks and go once it works."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import planted
import pytest
import yaml
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring import dashboards
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.monitoring import stack as monitored
from running import Stack, wait

ROOT = pathlib.Path(__file__).resolve().parents[3]
HOST, OTHER = "front", "gpu1"
FOLDER = "/etc/gpuchat/monitoring"
UNITS = ("gpuchat-prometheus", "gpuchat-alertmanager", "gpuchat-alert-relay")
ENGINE = "gpuchat-vllm-gpuchat-second"
TOLD = "/run/told"
TRUE_HERE = {"ClockUnsynchronised"}
"""The world's hosts have no time service."""
LISTENER = """
import http.server, json, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with open("/run/told", "a") as told:
            told.write(json.dumps({"path": self.path, "body": body}) + "\\n")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"code": 0, "msg": "success"}')
http.server.ThreadingHTTPServer(("127.0.0.1", 9999), Handler).serve_forever()
"""
CLOCK = """
import http.server, os, socketserver, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        said = f"# TYPE node_time_seconds gauge\\nnode_time_seconds {time.time() + 600}\\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
    def address_string(self):
        return "-"
if os.path.exists(sys.argv[1]):
    os.unlink(sys.argv[1])
server = socketserver.ThreadingUnixStreamServer(sys.argv[1], Handler)
os.chmod(sys.argv[1], 0o666)
server.serve_forever()
"""


def address(stack: Stack, host: str, network: str = "back") -> str:
    return str(stack.world["hosts"][host]["addresses"][network])  # type: ignore[index]


def get(stack: Stack, url: str) -> object:
    """Ask a program on the monitoring host's loopback; the hosts have no curl."""
    script = f'import urllib.request as ask; print(ask.urlopen("{url}", timeout=10).read().decode())'
    return json.loads(stack.on(HOST, f"python3 -c '{script}'"))


def ask(stack: Stack, path: str, **words: str) -> dict[str, object]:
    """Ask Prometheus on its host."""
    query = f"?{urllib.parse.urlencode(words)}" if words else ""
    return get(stack, f"http://127.0.0.1:9090{path}{query}")["data"]  # type: ignore[index, no-any-return]


def targets(stack: Stack) -> list[dict[str, dict[str, str]]]:
    return ask(stack, "/api/v1/targets")["activeTargets"]  # type: ignore[return-value]


def firing(stack: Stack) -> set[tuple[str, str]]:
    """Return the alerts that Alertmanager knows of, each with its host."""
    answer = get(stack, "http://127.0.0.1:9093/api/v2/alerts")
    return {(one["labels"]["alertname"], one["labels"].get("host", "")) for one in answer}  # type: ignore[attr-defined]


def told(stack: Stack, path: str) -> list[dict[str, object]]:
    lines = stack.on(HOST, f"cat {TOLD}").splitlines()
    return [one["body"] for one in map(json.loads, lines) if one["path"] == path]


def put(stack: Stack, path: str, text: str, host: str = HOST) -> None:
    command = ["docker", "exec", "-i", f"gpuchat-{stack.world['name']}-{host}", "sh", "-c", f"cat > {path}"]
    subprocess.run(command, input=text.encode(), check=True)


@pytest.fixture(scope="module", autouse=True)
def listener(stack: Stack) -> Iterator[None]:
    """Start what both receivers of this inventory lead to."""
    put(stack, "/run/listener.py", LISTENER)
    stack.on(HOST, "systemctl reset-failed test-listener 2>/dev/null || true")
    stack.on(HOST, f": > {TOLD}; systemd-run --quiet --collect --unit=test-listener python3 /run/listener.py")
    yield
    stack.on(HOST, f"systemctl stop test-listener; rm -f /run/listener.py {TOLD}")


def test_every_host_and_every_part_answers(stack: Stack) -> None:
    def all_up() -> bool:
        return all(one["health"] == "up" for one in targets(stack))

    wait(all_up, 60, f"every target to answer: {[(one['labels'], one['lastError']) for one in targets(stack)]}")
    found = {(one["labels"]["job"], one["labels"]["host"], one["labels"].get("model", "")) for one in targets(stack)}
    assert found == {
        *((job, HOST, "") for job in ("prometheus", "alertmanager", "node", "postgresql", "nginx", "edge")),
        *(("node", one, "") for one in (OTHER, "gpu2")),
        ("engine", HOST, "gpuchat-demo"),
        ("engine", OTHER, "gpuchat-demo"),
        ("engine", OTHER, "gpuchat-second"),
        *(("engine", one, "gpuchat-embed") for one in (HOST, "gpu2")),
    }


def test_what_is_well_has_no_alert(stack: Stack) -> None:
    def alerts() -> set[tuple[str, str]]:
        return {one for one in firing(stack) if one[0] not in TRUE_HERE}

    wait(lambda: not alerts(), 90, f"no alert: {alerts()}")


def test_every_panel_shows_something(stack: Stack) -> None:
    assert [stack.ask("hello", model)[0] for model in ("", "second")] == [200, 200]
    assert stack.curl("/v1/models", key=False)[0] == 401
    given = [
        one["labels"] | {"path": "", "place": ""} for one in targets(stack) if one["labels"]["job"] != "prometheus"
    ]
    version = yaml.safe_load((ROOT / "roles/vllm/defaults/main.yml").read_text())["vllm_version"]
    versions = {one["model"]: version for one in given if "model" in one}
    words = {"host": HOST, "targets": given, "scrape_seconds": 5, "versions": versions}
    known = {(one.dashboard, one.panel): one.needs for one in dashboards.queries(monitored.read(words))}
    files = json.loads(stack.on(HOST, f"cat {FOLDER}/dashboards/*.json | python3 -c '{JOINED}'"))
    panels = [(board["uid"], panel) for board in files for panel in board["panels"]]
    assert {(uid, panel["title"]) for uid, panel in panels} == set(known)
    asked = [
        (uid, panel["title"], dashboards.substituted(target["expr"], "1m"))
        for uid, panel in panels
        for target in panel["targets"]
        if "gpu" not in known[uid, panel["title"]]
    ]
    assert len(asked) > 30

    def empty() -> list[tuple[str, str, str]]:
        return [one for one in asked if not ask(stack, "/api/v1/query", query=one[2])["result"]]

    end = time.monotonic() + 45
    while (missing := empty()) and time.monotonic() < end:
        stack.ask("hello", "second")
        time.sleep(3)
    assert missing == []


JOINED = (
    "import json, sys; text = sys.stdin.read(); at, found, read = 0, [], json.JSONDecoder().raw_decode\n"
    "while at < len(text.rstrip()):\n"
    "    one, at = read(text, at); found.append(one); at += len(text[at:]) - len(text[at:].lstrip())\n"
    "print(json.dumps(found))"
)


def test_the_rules_pass_their_tests_with_this_promtool(stack: Stack) -> None:
    sys.path.insert(0, str(ROOT / "tests/unit/plugins/module_utils/monitoring"))
    import rule_tests  # noqa: PLC0415

    stack.on(HOST, "mkdir -p /run/rules")
    for name, text in rule_tests.files().items():
        put(stack, f"/run/rules/{name}", text)
    assert "SUCCESS" in stack.on(HOST, "cd /run/rules && promtool test rules rule_tests.yml 2>&1; rm -r /run/rules")


@pytest.mark.parametrize("port", [9090, 9093, 9094, 9095, 9100, 9113, 9187])
def test_no_port_of_it_is_reached_from_elsewhere(stack: Stack, port: int) -> None:
    for network in ("back", "inside"):
        place = (address(stack, HOST, network), port)
        script = f"import socket; s = socket.socket(); s.settimeout(3); print(s.connect_ex({place}))"
        assert stack.on(OTHER, f"python3 -c '{script.replace(chr(39), chr(34))}'").strip() != "0"


def test_the_distributions_own_units_never_run(stack: Stack) -> None:
    for host in (HOST, OTHER):
        units = "prometheus prometheus-alertmanager prometheus-node-exporter prometheus-nginx-exporter"
        states = stack.on(host, f"systemctl is-active {units} prometheus-postgres-exporter || true").split()
        assert set(states) == {"inactive"}


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_may_do_little(stack: Stack, unit: str) -> None:
    said = stack.on(HOST, f"systemd-analyze security --no-pager {unit} | tail -1")
    assert float(re.search(r"([0-9.]+) [A-Z]+", said)[1]) < 4.0, said  # type: ignore[index]


def test_secrets_are_roots_and_nobody_elses(stack: Stack) -> None:
    seen = stack.on(HOST, "grep -rlF 'robot#molecule' /etc /var/lib/gpuchat/files /var/lib/gpuchat/services || true")
    assert seen.split() == [f"{FOLDER}/secrets/receiver-robot"]
    assert stack.on(
        HOST, f"stat -c '%a %U' {FOLDER}/secrets {FOLDER}/secrets/receiver-* {FOLDER}/secrets/host.key"
    ) == ("700 root\n600 root\n600 root\n600 root\n")
    said = stack.on(HOST, f"journalctl --no-pager {' '.join(f'-u {unit}' for unit in UNITS)}; ps axww -o args")
    assert "robot#molecule" not in said
    assert "9999/hook" not in said


def test_a_unit_that_stops_is_told_of_and_told_again_when_it_runs(stack: Stack) -> None:
    stack.on(OTHER, "systemctl stop gpuchat-watchdog && systemctl start gpuchat-state")
    try:
        wait(lambda: ("UnitDown", OTHER) in firing(stack), 60, "the alert of a unit that does not run")
        wait(lambda: "gpuchat-watchdog" in json.dumps(told(stack, "/hook")), 60, "the webhook to be told")
        wait(lambda: "gpuchat-watchdog" in json.dumps(told(stack, "/robot")), 60, "the robot to be told")
    finally:
        stack.on(OTHER, "systemctl start gpuchat-watchdog && systemctl start gpuchat-state")
    (robot, *_later) = [one for one in told(stack, "/robot") if "UnitDown" in json.dumps(one)]
    assert set(robot) == {"msg_type", "content", "timestamp", "sign"}
    text = str(robot["content"]["text"])  # type: ignore[index]
    assert text.startswith("gpuchat")
    assert "[ALERT] critical UnitDown (gpu1)" in text
    wait(lambda: ("UnitDown", OTHER) not in firing(stack), 60, "the alert to go")
    wait(lambda: "[RESOLVED] critical UnitDown" in json.dumps(told(stack, "/robot")), 60, "the robot to hear the end")


def with_alert(stack: Stack, name: str, host: str, breaks: Callable[[], object], mends: Callable[[], object]) -> None:
    """Break something, wait for its alert, mend it, wait for the alert's end."""
    try:
        breaks()
        wait(lambda: (name, host) in firing(stack), 75, f"the alert {name}; there are {firing(stack)}")
    finally:
        mends()
    wait(lambda: (name, host) not in firing(stack), 75, f"the end of the alert {name}")


def test_an_exporter_that_is_gone_is_told_of(stack: Stack) -> None:
    units = "gpuchat-nginx-exporter.socket gpuchat-nginx-exporter.service"
    with_alert(
        stack,
        "ExporterDown",
        HOST,
        lambda: stack.on(HOST, f"systemctl stop {units}"),
        lambda: stack.on(HOST, "systemctl start gpuchat-nginx-exporter.socket"),
    )


def test_an_engine_that_hangs_is_told_of(stack: Stack) -> None:
    core = f"$(docker top {ENGINE} -eo pid,args | awk '/EngineCore/ {{print $1}}')"
    asks = [{"role": "user", "content": "Tell me a long story"}]
    body = {"model": "second", "messages": asks, "max_tokens": 3500, "ignore_eos": True}
    words = ("--max-time", "150", "--header", "Content-Type: application/json", "--data", json.dumps(body))
    running = f'sum(vllm:num_requests_running{{host="{OTHER}",model="gpuchat-second"}})'

    def is_at_work() -> bool:
        found = ask(stack, "/api/v1/query", query=running)["result"]
        return bool(found) and float(found[0]["value"][1]) > 0  # type: ignore[index]

    with ThreadPoolExecutor() as pool:
        stack.on(OTHER, "systemctl stop gpuchat-watchdog")
        try:
            asked = pool.submit(stack.curl, "/v1/chat/completions", *words)
            wait(is_at_work, 20, "the engine to be seen at work")
            with_alert(
                stack,
                "EngineHung",
                OTHER,
                lambda: stack.on(OTHER, f"kill -STOP {core}"),
                lambda: stack.on(OTHER, f"kill -CONT {core}"),
            )
            assert asked.result()[0] == 200
        finally:
            stack.on(OTHER, "systemctl start gpuchat-watchdog")


def test_a_certificate_about_to_end_is_told_of(stack: Stack) -> None:
    paths = [f"{planted.EDGE}/tls.crt"]
    short, _key = planted.certificate(-80, 2)
    with_alert(
        stack,
        "CertificateEnding",
        HOST,
        lambda: stack.on(
            HOST, f"{planted.kept(*paths)} && {planted.written(paths[0], short)} && systemctl start gpuchat-state"
        ),
        lambda: stack.on(HOST, f"{planted.back(*paths)} && systemctl start gpuchat-state"),
    )


def test_a_clock_that_is_off_is_told_of(stack: Stack) -> None:
    """The clock is the machine's own, so a program in the exporter's place says another time."""
    socket = stack.on(OTHER, "systemctl show gpuchat-node-exporter.socket --property=Listen --value").split()[0]
    with_alert(
        stack,
        "ClockOff",
        OTHER,
        lambda: in_its_place(stack, socket),
        lambda: stack.on(
            OTHER, "systemctl stop test-clock; rm -f /run/clock.py; systemctl start gpuchat-node-exporter.socket"
        ),
    )


def in_its_place(stack: Stack, socket: str) -> None:
    """Have what answers for a host's node exporter say a time that is ten minutes off, and nothing else."""
    put(stack, "/run/clock.py", CLOCK, OTHER)
    stack.on(OTHER, "systemctl stop gpuchat-node-exporter.socket gpuchat-node-exporter.service")
    stack.on(OTHER, f"systemd-run --quiet --collect --unit=test-clock python3 /run/clock.py {socket}")
