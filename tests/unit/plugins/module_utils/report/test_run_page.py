# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run ends in: a page that needs nothing else, and JUnit's XML."""

from __future__ import annotations

import stat
import xml.etree.ElementTree as ET

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.units import GIB
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.report import run_page_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.report.changes import Change, Changes
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.report.plan_page import Planned
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.report.run_page import (
    Run,
    ending,
    junit,
    page,
    verdict,
)
from hypothesis import given
from hypothesis import strategies as st

from ..pages import Elements, asked_by

GPU = {"node": 0, "gpu": "0", "name": "NVIDIA L40S", "memory_bytes": 44 * GIB, "used_bytes": 0, "engine": 0}
BUDGET = {"weights": 15, "activations": 1, "cuda_graphs": 1, "overhead": 1, "kv_cache": 20, "total": 44, "usable": 40}
PLAN = {
    "fits": True,
    "reason": "fits",
    "args": {"secret-flag": "s3cret"},
    "env": {"SECRET": "s3cret"},
    "budget": {name: size * GIB for name, size in BUDGET.items()},
    "kv_cache_tokens": 150000,
    "users": 4,
    "context": 32768,
    "layout": {"data_parallel_size": 1},
    "gpus": [GPU],
    "reasons": [],
    "warnings": [],
    "alternatives": [],
    "estimate": None,
    "vllm_version": "0.32.0",
}
COMMON = "curl --silent"
EDGE = {"scheme": "https", "names": ["c.example.com"], "ports": [443], "access": {"chat": ["10.0.0.0/8"], "api": []}}


def row(name, status="passed", vantage="inside", **more):
    return {"name": name, "vantage": vantage, "status": status, "detail": "", "command": f"{COMMON} {name}", **more}


ROWS = [
    row("certificate and protocol", detail="ends on 2027-02-27"),
    row("a tool call", "failed", detail="found no call", cause="no parser", hint="set vllm_tool_call_parser"),
    row("a foreign address is refused", "not checked", "outside", detail="gpuchat_probe_host is not set"),
]


def report(rows, **more):
    told = {"url": "https://c.example.com", "passed": True, "not_checked": [], "warnings": [], "rows": rows}
    return {**told, "finished": "2026-11-29T08:00:00Z", "certificate_end": "2027-02-27", **more}


def run(text=None, rows=ROWS, **more):
    """Return a run in which everything is there; a text stands for every word of it."""
    name = text or "qwen3-8b"
    if text:
        rows = [
            row(text, status, vantage, detail=text, cause=text, hint=text, command=text)
            for status in ("passed", "failed", "not checked")
            for vantage in ("inside", "outside")
        ]
    told = report(rows, warnings=[text or "the certificate ends soon"], url=text or "https://c.example.com")
    edge = {**EDGE, "names": [text]} if text else EDGE
    hosts = {text or "server": {"edge": edge, "engine": {"address": text or "127.0.0.1", "port": 8000}}}
    hosts[text or "server"]["engines"] = [{"name": name}]
    plan = {
        **PLAN,
        "gpus": [{**GPU, "name": text or "NVIDIA L40S", "gpu": text or "0"}],
        "vllm_version": text or "0.32.0",
    }
    models = [{"name": name, "hosts": [text or "server"]}, {"name": "big", "hosts": [], "endpoint": text or "lmstudio"}]
    return Run(
        **{
            "report": told,
            "common": text or COMMON,
            "served": [
                {"name": name, "task": text or "chat", "tool_calls": True, "context": 32768},
                {"name": "big", "task": "chat", "tool_calls": False, "context": None},
            ],
            "topology": {"hosts": hosts, "models": models},
            "addresses": {text or "server": text or "10.0.0.5"},
            "planned": [Planned(text or "server", name, plan), Planned("lost", name, None, text or "found no folder")],
            "images": {text or "docker.io/vllm/vllm-openai:v0.32.0": text or "sha256:5a5a"},
            "versions": {text or "ansible-core": text or "2.19.4"},
            **more,
        }
    )


def test_the_page_needs_nothing_else():
    assert not asked_by(page(run()))


@pytest.mark.parametrize(
    "words",
    [
        pytest.param("1 of 3 checks failed, 1 not checked", id="the verdict"),
        pytest.param("2026-11-29 08:00 UTC", id="when"),
        pytest.param("2027-02-27, in 90 days", id="the certificate's end"),
        pytest.param("the certificate ends soon", id="what is to be done before a row fails"),
        pytest.param("qwen3-8b chat 32,768 tokens yes server", id="a model of ours"),
        pytest.param("big chat not known no endpoint lmstudio", id="a model of somebody else's"),
        pytest.param("a tool call failed found no call likely: no parser do: set vllm_tool_call_parser", id="a fix"),
        pytest.param("a foreign address is refused not checked: gpuchat_probe_host is not set", id="an open row"),
        pytest.param('edge() { curl --silent "$@"; }', id="what all commands begin with"),
        pytest.param("4 conversations of 32,768 tokens at once", id="what the plan holds"),
        pytest.param("lost qwen3-8b : found no folder", id="a plan that was refused"),
        pytest.param("44.0 GiB", id="a bar"),
        pytest.param("ansible-core 2.19.4", id="a version"),
        pytest.param("vLLM of qwen3-8b on server 0.32.0", id="an engine's version"),
        pytest.param("docker.io/vllm/vllm-openai:v0.32.0 sha256:5a5a", id="a digest"),
    ],
)
def test_the_page_says(words):
    assert words in Elements(page(run())).text


def test_each_row_is_there_with_its_command():
    text = Elements(page(run())).text
    for one in ROWS:
        assert f"edge {one['name']}" in text
        assert one["detail"] in text


def test_a_command_of_another_form_stands_as_it_is():
    rows = [row("no other port is open", vantage="outside", command="nmap -p 1-65535 10.0.0.5")]
    assert "nmap -p 1-65535 10.0.0.5" in Elements(page(run(rows=rows))).text


@pytest.mark.parametrize(
    ("statuses", "words"),
    [
        (["passed"] * 3, "all 3 checks passed"),
        (["passed", "passed", "not checked"], "2 of 3 checks passed, 1 not checked"),
        (["failed", "passed", "failed"], "2 of 3 checks failed"),
    ],
    ids=["all green", "open rows", "failed rows"],
)
def test_the_verdict_is_no_better_than_the_rows(statuses, words):
    assert verdict(run(rows=[row(str(number), status) for number, status in enumerate(statuses)])) == words


@pytest.mark.parametrize(
    ("end", "words"), [("2026-11-30", "2026-11-30, in 1 day"), ("2026-11-29", "2026-11-29, in 0 days")]
)
def test_days_are_counted_from_the_run(end, words):
    assert ending(end, "2026-11-29T23:59:59Z") == words


NASTY = "<script>alert(1)</script><b onload=x>\"'&amp;--></style>\x1b[31m\x00\ufffe"


def test_nothing_in_a_run_is_markup():
    text = page(run(NASTY))
    found = Elements(text)
    assert found.seen == Elements(page(run())).seen
    assert found.attributes == Elements(page(run())).attributes
    assert "<script" not in text
    assert "\x1b" not in text
    assert found.text.count("<script>alert(1)</script>") > 20


@given(st.text(min_size=1, max_size=60))
def test_no_text_breaks_either_form(text):
    one = run(text)
    assert Elements(page(one)).seen <= Elements(page(run())).seen
    cases = list(ET.fromstring(junit(one).encode()).iter("testcase"))
    assert len(cases) == 6


def test_what_a_plan_says_of_flags_and_environment_stays_out():
    assert "s3cret" not in page(run())


def test_a_page_without_plans_topology_and_images_shows_the_rows():
    text = Elements(page(Run(report(ROWS, certificate_end="")))).text
    assert all(one["name"] in text for one in ROWS)
    for title in ("Who asks whom", "Memory", "Versions", "Certificate ends"):
        assert title not in text


def test_junit_counts_and_names_each_row():
    (suite,) = ET.fromstring(junit(run()).encode()).iter("testsuite")
    assert suite.attrib == {
        "name": "https://c.example.com",
        "tests": "3",
        "failures": "1",
        "errors": "0",
        "skipped": "1",
        "timestamp": "2026-11-29T08:00:00",
    }
    green, red, grey = suite.iter("testcase")
    assert (green.attrib, [one.tag for one in green]) == (
        {"classname": "inside", "name": "certificate and protocol"},
        ["system-out"],
    )
    failure = red.find("failure")
    assert (failure.get("message"), failure.text.splitlines()) == (
        "found no call",
        ["likely: no parser", "do: set vllm_tool_call_parser", "see: curl --silent a tool call"],
    )
    assert grey.find("skipped").get("message") == "gpuchat_probe_host is not set"


@pytest.mark.parametrize(
    ("name", "made"),
    [("report.json", ["report.html", "report.xml"]), ("night.html", ["night.html.html", "night.html.xml"])],
    ids=["the usual name", "another end, which is not written over"],
)
def test_both_lie_beside_the_json(tmp_path, state_directory, name, made):
    params = {
        "site": {"models": [{"name": "qwen", "task": "chat", "tool_calls": True, "context": 2048}]},
        "topology": {},
        "addresses": {},
        "plans": [{"host": "gpu1", "models": [{"name": "qwen", "plan": PLAN, "refusal": ""}], "gpus": [GPU]}],
        "images": {},
        "versions": {},
        "report_file": str(tmp_path / name),
        "changes": [],
        "folder": str(tmp_path),
    }
    paths = run_page_runner.write(params, report(ROWS), COMMON)
    assert paths == tuple(str(tmp_path / one) for one in made)
    written = [tmp_path / one for one in made]
    assert [stat.S_IMODE(one.stat().st_mode) for one in written] == [0o644, 0o644]
    assert written[0].read_text().startswith("<!doctype html>")
    assert ET.fromstring(written[1].read_bytes()).tag == "testsuites"


def test_what_the_run_has_changed_is_told():
    none = Changes("site.yml", 57)
    assert "Nothing: site.yml found all as it should be, in 57 results" in page(Run(report(ROWS), changes=none))
    change = Change("door : Start <the> door", ("gpu1", "gpu2"), tuple(f"/etc/{number}" for number in range(14)))
    text = page(Run(report(ROWS), changes=Changes("site.yml", 57, (change,))))
    for words in ("By 1 task of site.yml", "Start &lt;the&gt; door", "gpu1, gpu2", "/etc/11 and 2 more"):
        assert words in text
    assert "What changed" not in page(Run(report(ROWS)))


def test_a_load_that_cannot_be_drawn_spoils_no_report():
    assert "Load, as" not in page(Run(report(ROWS), loads=[{"runs": [{"figures": {"completed": 1}}]}, {"runs": 3}]))
