# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What doors and the edge tell nginx of models: which name goes where, by which key and which certificate."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess
import time

import jinja2
import pytest
import yaml
from ansible.plugins.filter import core
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.edge import paths
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.engines import leave

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"
TEMPLATES = ROLES / "nginx" / "templates"
ORDERS = "X-Accel-Redirect X-Accel-Expires X-Accel-Limit-Rate X-Accel-Buffering X-Accel-Charset"
"""Headers by which an answer tells nginx what to do."""


def route(number=1, **given):
    upstream = {"servers": ["unix:/e.sock max_fails=0"], "scheme": "http", "certified_name": ""}
    usual = {"number": number, "kind": "engine", "names": ["q"], "path": "/v1", "host": "", "authority": ""}
    usual.update(rename={}, timeout=0, endpoint="", place="")
    return {**usual, **given, "upstream": {**upstream, **given.get("upstream", {})}}


ENDPOINT = {
    "kind": "endpoint",
    "names": ["big"],
    "path": "/api",
    "host": "llm.example.com",
    "virtual_host": "llm.example.com",
    "endpoint": "lm-studio",
    "place": "llm.example.com:443",
    "upstream": {"servers": ["llm.example.com:443 max_fails=0"], "scheme": "https"},
}
DOOR = {
    "kind": "door",
    "upstream": {"servers": ["10.0.0.5:8000"], "scheme": "https", "certified_name": "engine.internal"},
}


def rendered(template, *sites, headers="", limited=()):
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False)
    environment.filters.update(regex_escape=core.regex_escape, flatten=core.flatten)
    text = TEMPLATES.joinpath(template).read_text(encoding="utf-8")
    return environment.from_string(text).render(
        routed=[
            {
                "routes": [route(number, **one) for number, one in enumerate(site, 1)],
                "gives_key": True,
                "limited": list(limited),
            }
            for site in sites
        ],
        prefix="door_",
        run_folder="/run/gpuchat-door",
        headers=headers,
        paths=paths.describe(),
        engine_requests=7,
        authorities="/ca.crt",
    )


def location(*sites, name="door_1_route_1"):
    """Return what stands in a location."""
    found = re.search(rf"^location @{name} {{\n(.*?)^}}", rendered("models.j2", *sites), re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def matched(text, asked):
    """Return where nginx would send who asks at a site for a model, by the map's patterns."""
    rows = re.findall(r'^  "~(.*)" (@\S+|\$gpuchat_known_route|"");$', text, re.MULTILINE)
    return [where for pattern, where in rows if re.search(pattern.replace("\\\\", "\\").replace("\\z", "\\Z"), asked)]


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ("door_1 q", ["@door_1_route_1"]),
        ("door_1 alias", ["@door_1_route_1"]),
        ("door_1 org/Q.1+x", ["@door_1_route_2"]),
        ("door_1 org/Q.1xx", []),
        ("door_1 org/Qx1+x", []),
        ("door_1 Q", []),
        ("door_1 q\n", []),
        ("door_1 ", []),
        ("door_2 q", ["@door_2_route_1"]),
        ("door_2 alias", []),
        ("xdoor_2 q", []),
    ],
)
def test_a_name_leads_to_one_route_by_its_very_letters(asked, where):
    text = rendered("routes.j2", [{"names": ["q", "alias"]}, {"names": ["org/Q.1+x"]}], [{"names": ["q"]}])
    assert matched(text, asked) == where


@pytest.mark.parametrize(
    ("asked", "is_open"),
    [
        ("some q.1", True),
        ("some law", True),
        ("some trade", False),
        ("some qx1", False),
        ("some q.1\n", False),
        ("some law x", False),
        ("some ", False),
        ("some-more law", True),
        ("some-more trade", True),
        ("other trade", False),
        ("other law", True),
    ],
)
def test_a_client_that_is_limited_asks_by_its_own_names_alone(asked, is_open):
    """Of the patterns nginx takes the first that fits, and where none does, there is no limit."""
    limited = [{"name": "some", "names": ["q.1", "law"]}, {"name": "other", "names": ["law"]}]
    text = rendered("routes.j2", [{"names": ["q.1", "law", "trade"]}], limited=limited)
    chosen = re.search(
        r'^map "\$api_client \$gpuchat_model" \$gpuchat_route {\n(.*?)^}', text, re.DOTALL | re.MULTILINE
    )
    assert ([*matched(chosen[1], asked), "$gpuchat_known_route"][0] == "$gpuchat_known_route") is is_open


def test_each_route_has_an_upstream_and_a_location_of_its_own():
    sites = ([{}, DOOR], [ENDPOINT])
    upstreams = re.findall(r"^upstream (\S+) {", rendered("routes.j2", *sites), re.MULTILINE)
    locations = re.findall(r"^location @(\S+_route_\S+) {", rendered("models.j2", *sites), re.MULTILINE)
    assert upstreams == locations == ["door_1_route_1", "door_1_route_2", "door_2_route_1"]


def test_who_answers_is_told_of_the_body_what_was_read():
    for one in ({}, DOOR, ENDPOINT):
        lines = set(location([one]).splitlines())
        assert {'  proxy_set_header Content-Encoding "";', "  proxy_set_header Content-Type $content_type;"} <= lines


def test_no_route_asks_for_a_proof_again_or_holds_an_answer_back():
    for one in ({}, DOOR, ENDPOINT):
        text = location([one])
        assert {"  auth_request off;", "  auth_basic off;", "  proxy_buffering off;"} <= set(text.splitlines())


@pytest.mark.parametrize(
    ("one", "wanted", "unwanted"),
    [
        pytest.param(
            {},
            ["Authorization $engine_authorization", "limit_conn engines 7", 'set $gpuchat_engine "q"'],
            "ssl",
            id="engine",
        ),
        pytest.param(
            DOOR,
            [
                'Authorization ""',
                "proxy_ssl_name engine.internal",
                "trusted_certificate hosts.crt",
                "http_503 non_idempotent",
            ],
            "limit_conn",
            id="door of another host",
        ),
        pytest.param(
            ENDPOINT,
            [
                "Authorization $endpoint_key_lm_studio",
                "Host llm.example.com",
                "proxy_ssl_name llm.example.com",
                "trusted_certificate /ca.crt",
                "https://door_1_route_1/api$gpuchat_path$is_args$args",
                "proxy_hide_header Set-Cookie",
                "proxy_hide_header Access-Control-Allow-Origin",
                "proxy_intercept_errors on",
                "error_page 301 302 303 307 308 401 403 407 = @model_refused",
                "error_page 503 = @error_503",
            ],
            "engine_authorization",
            id="endpoint",
        ),
        pytest.param(
            {**ENDPOINT, "authority": "endpoint-lm-studio.crt"},
            ["trusted_certificate endpoint-lm-studio.crt"],
            "/ca.crt",
            id="own",
        ),
        pytest.param(
            {**ENDPOINT, "timeout": 3},
            ["proxy_connect_timeout 3s", "proxy_read_timeout 3s"],
            "set_body",
            id="short timeout",
        ),
        pytest.param(
            {**ENDPOINT, "timeout": 90}, ["connect_timeout 5s", "read_timeout 90s"], "set_body", id="long timeout"
        ),
        pytest.param({**ENDPOINT, "rename": {"big": "x/Big"}}, ["set_body $gpuchat_body"], "timeout 0s", id="renamed"),
        pytest.param(
            {**ENDPOINT, "virtual_host": "[fd00::1]:8080"}, ["Host [fd00::1]:8080;"], "Host fd00", id="an address"
        ),
        pytest.param({**ENDPOINT, "path": ""}, ["https://door_1_route_1$gpuchat_path"], "route_1/", id="no prefix"),
    ],
)
def test_a_route_has_what_its_kind_needs(one, wanted, unwanted):
    text = location([one])
    assert [words for words in wanted if words not in text] == []
    assert unwanted not in text


@pytest.mark.parametrize("status", [400, 404, 413, 429, 500])
def test_what_somebody_elses_server_says_of_a_request_is_handed_on(status):
    """A page of its own here would take the place of its words."""
    assert f"error_page {status} " not in location([ENDPOINT])


def test_an_engine_answers_for_itself():
    for one in ({}, DOOR):
        assert "intercept" not in location([one])
        assert "error_page 500 = @error_500" in location([one])


def closed(hosts, names, **one):
    """Return the location of an engine at a door that some hosts come to, while requests for models are refused."""
    site = {"routes": [route(**one)], "gives_key": True, "hosts": hosts}
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False)
    text = environment.from_string(TEMPLATES.joinpath("models.j2").read_text(encoding="utf-8")).render(
        routed=[site],
        prefix="door_",
        headers="",
        paths=paths.describe(),
        engine_requests=7,
        authorities="",
        closed=names,
    )
    found = re.search(r"^location @door_1_route_1 {\n(.*?)^}", text, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.parametrize(
    ("hosts", "names", "refused"),
    [
        pytest.param(["front"], ["q"], True, id="other hosts have others for it"),
        pytest.param(["front"], ["other"], False, id="another model's engine starts anew"),
        pytest.param(["front"], [], False, id="usually"),
        pytest.param([], ["q"], False, id="this host's own parts have no other"),
    ],
)
def test_a_door_refuses_what_other_hosts_are_to_ask_for_elsewhere(hosts, names, refused):
    """Whatever stands behind `return` in a location is not done."""
    assert ("  return 503;" in closed(hosts, names)) is refused


MARK = "/run/gpuchat-watchdog/q.silent"


@pytest.mark.parametrize(
    ("hosts", "mark", "looked_for"),
    [
        pytest.param(["front"], MARK, True, id="other hosts serve it"),
        pytest.param(["front"], "", False, id="nobody else does"),
        pytest.param([], MARK, False, id="this host's own parts have no other"),
    ],
)
def test_a_door_looks_for_the_mark_of_a_silent_engine_where_who_asks_has_another(hosts, mark, looked_for):
    text = closed(hosts, [], silent_mark=mark)
    assert (f"  if (-f {mark}) {{\n    return 503;" in text) is looked_for


def drained(**one):
    """Return a location of a door whose host may be out of rotation."""
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False)
    return environment.from_string(TEMPLATES.joinpath("models.j2").read_text(encoding="utf-8")).render(
        routed=[{"routes": [route(**one)], "gives_key": True}],
        prefix="door_",
        headers="",
        paths=paths.describe(),
        engine_requests=7,
        authorities="",
        drained=leave.MARK,
    )


def test_a_door_looks_for_the_mark_of_a_host_out_of_rotation_before_it_asks_its_engine():
    asks = drained().partition("proxy_pass")[0]
    assert f"  if (-f {leave.MARK}) {{\n    return 503;" in asks


def test_what_other_hosts_and_endpoints_serve_is_not_out_of_rotation():
    assert leave.MARK not in drained(**DOOR) + drained(**ENDPOINT)


def test_the_door_looks_for_the_mark_that_is_made():
    given = yaml.safe_load((ROLES / "door" / "vars" / "main.yml").read_text(encoding="utf-8"))
    assert given["_door_model_vars"]["drained"].replace("{{ _door_folder }}", given["_door_folder"]) == leave.MARK


def test_a_renamed_model_has_its_other_name_and_others_have_none():
    text = rendered("routes.j2", [{**ENDPOINT, "rename": {"big": "vendor/Big-1"}}, {}])
    assert re.findall(r'" "(\S+)";', text) == ["vendor/Big-1"]


def test_faults_are_said_with_the_edges_headers():
    text = rendered("models.j2", [], headers="headers.conf")
    assert text.count("include headers.conf;") == text.count("location @model_") == len(paths.MODEL_ERRORS) + 1
    assert "include" not in rendered("models.j2", [])


@pytest.mark.parametrize("role", ["door", "edge"])
def test_nginx_takes_no_orders_from_what_answers(role):
    """A second such line in a location would stand in place of the first."""
    first = (ROLES / role / "templates" / "nginx.conf.j2").read_text(encoding="utf-8")
    assert f"\n  proxy_ignore_headers {ORDERS};\n" in first
    rest = [*ROLES.glob(f"{role}/templates/*"), *TEMPLATES.iterdir()]
    assert sum(one.read_text(encoding="utf-8").count("proxy_ignore_headers") for one in rest) == 1


def looking_up(folder, *words, **started):
    """Return the start of the script that looks up the servers of two endpoints, with a host's names in a file."""
    folder.joinpath("names").write_text(rendered("names.j2", [{}, ENDPOINT], [{**ENDPOINT, "place": "work:1234"}]))
    getent = folder / "getent"
    getent.write_text(f"#!/bin/sh\ngrep ' '\"$2\"'$' {folder}/known | cut -d' ' -f1,2\n")
    getent.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "FOLDER": str(folder), "PAUSE": "0.1"}
    return subprocess.Popen(["sh", str(folder / "names"), *words], env=environment, **started)


def known(folder, *rows):
    folder.joinpath("known").write_text("".join(f"{row}\n" for row in rows))


def looked_up(folder):
    return {one.name: one.read_text().splitlines() for one in folder.glob("*:*")}


HERE = ["10.0.0.7 STREAM llm.example.com", "10.0.0.7 DGRAM llm.example.com", "fd00::7 STREAM llm.example.com"]


def test_a_name_is_looked_up_for_nginx_and_one_that_is_unknown_stops_nothing(tmp_path):
    known(tmp_path, *HERE, "fe80::7%eth0 STREAM llm.example.com")
    assert looking_up(tmp_path).wait(20) == 0
    found = {"llm.example.com:443.conf": ["server 10.0.0.7:443 max_fails=0;", "server [fd00::7]:443 max_fails=0;"]}
    assert looked_up(tmp_path) == found
    known(tmp_path, "10.0.0.8 STREAM work")
    assert looking_up(tmp_path).wait(20) == 0
    assert looked_up(tmp_path) == {**found, "work:1234.conf": ["server 10.0.0.8:1234 max_fails=0;"]}


def test_a_name_that_was_unknown_is_looked_up_again_until_it_is_known(tmp_path):
    """By one process: a newer one takes the place of the one before."""
    known(tmp_path, *HERE)
    assert looking_up(tmp_path).wait(20) == 0
    with subprocess.Popen(["env", "--default-signal=HUP", "sleep", "60"]) as nginx:  # whatever started the tests
        before = looking_up(tmp_path, "watch", str(nginx.pid))
        while not (tmp_path / "watch.pid").exists():
            time.sleep(0.05)
        after = looking_up(tmp_path, "watch", str(nginx.pid))
        assert before.wait(20) == -signal.SIGTERM
        assert (nginx.poll(), after.poll()) == (None, None)
        known(tmp_path, "10.0.0.8 STREAM work")
        assert after.wait(20) == 0
        assert nginx.wait(20) == -signal.SIGHUP
    assert (tmp_path / "work:1234.conf").exists()
    assert not (tmp_path / "watch.pid").exists()


def test_nginx_is_told_no_name_that_it_would_look_up_itself():
    text = rendered("routes.j2", [ENDPOINT, {**ENDPOINT, "place": "", "upstream": {"servers": ["10.0.0.9:80"]}}])
    assert re.findall(r"^  (?:server|include) (.*);$", text, re.MULTILINE) == [
        "unix:/run/gpuchat-door/nobody.sock down",
        "/run/gpuchat-door/llm.example.com:443.con[f]",
        "10.0.0.9:80",
    ]


@pytest.mark.parametrize("role", ["door", "edge"])
def test_names_are_looked_up_before_nginx_reads_them(role):
    unit = (ROLES / role / "templates" / f"gpuchat-{role}.service.j2").read_text(encoding="utf-8")
    lines = re.findall(r"^Exec(\w+)=.*?/(names(?: watch)?|nginx|reload)\b", unit, re.MULTILINE)
    assert lines == [
        ("StartPre", "names"),
        ("Start", "nginx"),
        ("StartPost", "names watch"),
        ("Reload", "reload"),
        ("Reload", "names watch"),
    ]
    reload = (TEMPLATES / "reload.j2").read_text(encoding="utf-8")
    assert reload.index("/names") < reload.index("kill -HUP")
