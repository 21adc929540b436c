# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import pathlib
import re
import socket
import stat

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal, Unhealthy
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.verify import site_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.verify.site import (
    FAILED,
    INSIDE,
    NOT_CHECKED,
    OUTSIDE,
    PASSED,
    Check,
    Seen,
    Site,
    checks,
)

SITE = {
    "domain": "chat.example.com",
    "models": [{"name": "qwen", "task": "chat", "tool_calls": True}],
    "address": "",
    "http_port": 80,
    "https_port": 443,
    "question": "hello",
    "answer": "",
    "long_question": "",
    "rate": 10,
    "burst": 40,
    "open_ports": [22, 80, 443],
    "behind": {},
    "closed_paths": ["metrics", "health"],
    "closed_chat_paths": ["webapi/proxy"],
    "guarded_chat_paths": [{"method": "GET", "path": "webapi/models/vllm"}],
    "admin_email": "admin@chat.example.com",
}
WANTED = Site("c", "m", closed_chat_paths=("webapi/proxy",), admin_email="admin@chat.example.com")
INSIDE_NAMES = [check.name for check in checks(WANTED) if check.vantage == INSIDE]
PORTS = next(check for check in checks(Site("nowhere.example.com", "m")) if check.name == "no other port is open")
OUTSIDE_NAMES = [check.name for check in checks(WANTED) if check.vantage == OUTSIDE]


def params(**more):
    return {
        "site": SITE,
        "vantage": "inside",
        "authority": "PEM",
        "api_key": "s3cret-k3y",
        "admin_password": "s3cret-w0rd",
        "rows": [],
        "final": False,
        "report_file": None,
        **more,
    }


@pytest.fixture
def green(monkeypatch):
    """Let each command see nothing, and each check be content with it."""
    monkeypatch.setattr(site_runner, "_see", lambda check, places: Seen(0, 0.0, []))
    real = site_runner.checks
    monkeypatch.setattr(
        site_runner,
        "checks",
        lambda site: tuple(type(one)(**{**vars(one), "judge": lambda seen: None}) for one in real(site)),
    )


@pytest.mark.parametrize(("vantage", "names"), [("inside", INSIDE_NAMES), ("outside", OUTSIDE_NAMES)])
def test_one_vantage_point_makes_its_own_rows(green, vantage, names):
    result = site_runner.ensure(params(vantage=vantage), check=False)
    assert {one["name"] for one in result["rows"]} == set(names)
    assert result["changed"] is False


def test_all_rows_are_joined_in_their_order_and_reported(green, tmp_path, state_directory):
    outside = site_runner.ensure(params(vantage="outside"), check=False)["rows"]
    report = tmp_path / "report.json"
    result = site_runner.ensure(params(rows=outside, final=True, report_file=str(report)), check=False)
    assert {one["status"] for one in result["rows"]} == {PASSED}
    assert [one["name"] for one in result["rows"]] == [check.name for check in checks(WANTED)]
    described = json.loads(report.read_text())
    head = {"url": "https://chat.example.com", "passed": True, "not_checked": [], "warnings": [], "certificate_end": ""}
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", described.pop("finished"))
    assert described == {**head, "rows": result["rows"]}
    assert stat.S_IMODE(report.stat().st_mode) == 0o644


def test_further_forms_of_the_report_get_what_its_json_holds_and_what_commands_begin_with(
    green, tmp_path, state_directory
):
    given = []

    def publish(params, report, common):
        given.append((params["site"]["domain"], dict(report), common))
        return ["page"]

    report = tmp_path / "report.json"
    result = site_runner.ensure(params(final=True, report_file=str(report)), False, publish)
    ((domain, found, common),) = given
    assert (domain, found) == ("chat.example.com", json.loads(report.read_text()))
    assert all(one["command"].startswith((common, "nmap")) for one in found["rows"])
    assert result["reports"] == [str(report), "page"]


def test_further_forms_are_written_before_a_failed_row_ends_the_run(green, tmp_path, state_directory):
    given = []
    red = {"name": OUTSIDE_NAMES[0], "vantage": OUTSIDE, "status": FAILED, "detail": "x", "command": "c"}
    with pytest.raises(Unhealthy):
        site_runner.ensure(
            params(rows=[red], final=True, report_file=str(tmp_path / "r.json")),
            False,
            lambda _params, report, _common: given.append(report["passed"]) or [],
        )
    assert given == [False]


def test_in_check_mode_no_report_is_written(tmp_path):
    site_runner.ensure(params(final=True, report_file=str(tmp_path / "r.json")), True, lambda *_given: 1 / 0)
    assert list(tmp_path.iterdir()) == []


def test_without_a_probe_host_its_rows_are_not_checked_and_never_green(green):
    result = site_runner.ensure(params(final=True), check=False)
    open_rows = [(one["name"], one["detail"]) for one in result["rows"] if one["status"] == NOT_CHECKED]
    assert open_rows == [(name, "gpuchat_probe_host is not set") for name in OUTSIDE_NAMES]
    assert result["msg"] == f"all {len(checks(WANTED))} rows did not fail"


def test_one_failed_row_fails_the_whole(green):
    red = {
        "name": OUTSIDE_NAMES[0],
        "vantage": OUTSIDE,
        "status": FAILED,
        "detail": "x",
        "command": "c",
        "cause": "",
        "hint": "",
    }
    with pytest.raises(Unhealthy, match="see the table") as failed:
        site_runner.ensure(params(rows=[red], final=True), check=False)
    assert [row["status"] for row in failed.value.result["rows"]].count(FAILED) == 1


@pytest.mark.parametrize("row", [{"a": 1}, {"name": "x"}, {"name": "x", "vantage": OUTSIDE, "colour": "red"}])
def test_a_row_that_no_run_returned_is_refused(green, row):
    with pytest.raises(Refusal, match="set rows to those of an earlier task"):
        site_runner.ensure(params(rows=[row], final=True), check=False)


def test_where_nobody_can_sign_in_what_needs_it_is_not_asked(monkeypatch):
    asked = []

    def see(check, places):
        asked.append(check.name)
        return Seen(0, 0.0, [(1.0, "401 application/json")])

    monkeypatch.setattr(site_runner, "_see", see)
    rows = {one["name"]: one for one in site_runner.ensure(params(), check=False)["rows"]}
    needing = [check.name for check in checks(WANTED) if check.needs]
    assert rows["a person signs in"]["status"] == FAILED
    assert {rows[name]["status"] for name in needing} == {NOT_CHECKED}
    assert {rows[name]["detail"] for name in needing} == {"it needs that a person signs in"}
    assert asked.count("a person signs in") == 1
    assert not set(needing) & set(asked)


def test_in_check_mode_nothing_is_asked():
    assert site_runner.ensure(params(final=True), check=True)["not_predicted"]


def test_no_key_stands_in_the_result(green):
    assert "s3cret" not in json.dumps(site_runner.ensure(params(final=True), check=False))


def look(*command):
    return site_runner._see(Check("x", INSIDE, command, lambda seen: None, "", ""), {"{key}": "/the/file"})


def test_a_command_is_seen_line_by_line_with_its_times():
    seen = look("sh", "-c", "echo one; sleep 0.2; echo two; echo bad >&2; exit 3")
    assert (seen.rc, seen.stdout, seen.stderr) == (3, "one\ntwo", "bad\n")
    assert seen.started <= seen.lines[0][0] < seen.lines[1][0] - 0.1


def test_places_are_filled_with_the_runners_own_files():
    assert look("echo", "@{key}").stdout == "@/the/file"


def test_a_missing_program_is_reported():
    seen = look("no-such-curl")
    assert (seen.rc, seen.stderr) == (127, "no-such-curl is not installed here")


def test_the_key_is_kept_in_a_file_that_only_its_owner_reaches_and_that_is_gone_afterwards(monkeypatch):
    kept, accounts = [], []

    def see(check, places):
        path = pathlib.Path(places["{key}"])
        kept.append((path, path.read_text(), *(stat.S_IMODE(one.stat().st_mode) for one in (path.parent, path))))
        accounts.append(json.loads(pathlib.Path(places["{account}"]).read_text()))
        assert stat.S_IMODE(pathlib.Path(places["{session}"]).stat().st_mode) == 0o600
        return Seen(0, 0.0, [])

    monkeypatch.setattr(site_runner, "_see", see)
    site_runner.ensure(params(), check=False)
    assert {entry[1:] for entry in kept} == {("Authorization: Bearer s3cret-k3y\n", 0o700, 0o600)}
    assert accounts[0] == {"email": "admin@chat.example.com", "password": "s3cret-w0rd"}
    assert not any(path.exists() for path, *_rest in kept)


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as one:
        yield one.getsockname()[1]


def closed_ports(count):
    ports = []
    for _round in range(count):
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            ports.append(one.getsockname()[1])
    return ports


def test_open_ports_are_reported_from_closed_ones(listener):
    ports = [*closed_ports(5), listener, *closed_ports(5)]
    assert site_runner.scan("127.0.0.1", ports) == [str(listener), "refused"]
    assert site_runner.scan("127.0.0.1", [listener]) == [str(listener)]


def test_more_ports_than_may_be_asked_at_once_are_all_asked(listener, monkeypatch):
    monkeypatch.setattr(site_runner, "CONNECTIONS_AT_ONCE", 3)
    with socket.create_server(("127.0.0.1", 0)) as other:
        second = other.getsockname()[1]
        ports = [listener, *closed_ports(20), second]
        assert site_runner.scan("127.0.0.1", ports) == [*map(str, sorted([listener, second])), "refused"]


def test_an_address_over_ipv6_is_asked_too():
    try:
        one = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with one:
        port = one.getsockname()[1]
        assert site_runner.scan("::1", [port]) == [str(port)]


def test_a_scan_of_a_name_that_nobody_knows_is_seen_as_a_failure(monkeypatch):
    def unknown(*_args, **_options):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(site_runner.socket, "getaddrinfo", unknown)
    seen = site_runner._see(PORTS, {})
    assert seen.rc != 0
    assert "Name or service not known" in seen.stderr


def test_records_are_written_nowhere_but_in_the_report(green, monkeypatch):
    monkeypatch.setattr(host, "write_json", lambda *_args, **_options: pytest.fail("wrote a file"))
    site_runner.ensure(params(final=True), check=False)
