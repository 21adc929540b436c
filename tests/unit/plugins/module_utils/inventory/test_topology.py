# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import endpoints, models
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.topology import derive

from .layouts import SETTINGS

ONE = {"gpu": ["one"], "chat": ["one"], "edge": ["one"]}
SPREAD = {"gpu": ["g1", "g2"], "chat": ["front"], "edge": ["front"]}
ADDRESSES = {"g1": "10.0.1.5", "g2": "10.0.1.6", "front": "10.0.1.4"}


ONE_MODEL = ({"name": "qwen"},)
LM = {
    "name": "lm",
    "url": "http://10.0.0.9:1234/v1",
    "models": ["llama", {"name": "e", "upstream": "bge", "task": "embed"}],
}


def topology(groups, served=ONE_MODEL, others=(), **more):
    hosts = {host for group in groups.values() for host in group}
    settings = {host: {**SETTINGS, "gpuchat_private_address": ADDRESSES.get(host, ""), **more} for host in hosts}
    return derive(groups, settings, models.read(served, groups), endpoints.read(others))


def described(groups, host, kind, **more):
    return topology(groups, **more).as_dict()["hosts"][host][kind]


def test_on_one_host_the_engines_door_is_on_the_loopback_and_the_interface_in_its_room():
    assert described(ONE, "one", "engine") == {"address": "127.0.0.1", "port": 8000}
    network = {"name": "gpuchat-room", "subnet": "172.16.255.248/29", "bridge": "gpuchat-room"}
    assert described(ONE, "one", "interface") == {
        "kind": "lobehub",
        "address": "172.16.255.250",
        "port": 3210,
        "url": "http://172.16.255.250:3210/",
        "engine_url": "http://172.16.255.249:8000/v1",
        "tools": [],
        "gateway": "172.16.255.249",
        "room": {**network, "address": "172.16.255.250"},
        "files": {
            "address": "172.16.255.251",
            "port": 9000,
            "bucket": "gpuchat-files",
            "url": "http://172.16.255.251:9000",
            "room": {**network, "address": "172.16.255.251"},
        },
        "database": {"is_own": True, "name": "lobehub", "user": "lobehub", "connection": ""},
        "store": {
            "is_own": True,
            "url": "https://chat.example.com",
            "scheme": "https",
            "bucket": "gpuchat-files",
            "region": "us-east-1",
            "path_style": True,
        },
        "sign_in": {},
        "elsewhere": False,
        "site_url": "https://chat.example.com",
        "site_port": 443,
        "site_scheme": "https",
        "origins": ["https://chat.example.com"],
        "found_at": {"chat.example.com": "172.16.255.249"},
    }


def test_an_interface_knows_each_name_of_its_site_and_finds_at_its_door_what_is_no_number():
    names = {"edge_extra_names": ["10.0.0.5", "fd00::5", "chat"], "edge_https_port": 8443}
    found = described(ONE, "one", "interface", **names)
    assert found["origins"] == [
        "https://chat.example.com:8443",
        "https://10.0.0.5:8443",
        "https://[fd00::5]:8443",
        "https://chat:8443",
    ]
    assert list(found["found_at"]) == ["chat.example.com", "chat"]


def test_people_may_come_by_any_edge_each_under_its_own_names():
    two = {**SPREAD, "edge": ["front", "dmz"]}
    hosts = {**dict.fromkeys(("g1", "g2", "front"), SETTINGS), "dmz": {**SETTINGS, "edge_extra_names": ["chat.lan"]}}
    found = derive(two, hosts, models.read(ONE_MODEL, two), ()).as_dict()["hosts"]["front"]["interface"]
    assert found["origins"] == ["https://chat.example.com", "https://chat.lan"]
    assert list(found["found_at"]) == ["chat.example.com"]


def test_over_several_hosts_an_engine_is_reached_at_its_private_address_and_an_interface_beside_the_edge_in_its_room():
    assert described(SPREAD, "g2", "engine") == {"address": "10.0.1.6", "port": 8000}
    assert described(SPREAD, "front", "interface")["address"] == "172.16.255.250"
    apart = {**SPREAD, "chat": ["g1"]}
    assert described(apart, "g1", "interface")["address"] == "10.0.1.5"


@pytest.mark.parametrize(
    ("port", "url"),
    [
        (443, "https://chat.example.com"),
        (8443, "https://chat.example.com:8443"),
        ("8443", "https://chat.example.com:8443"),
    ],
)
def test_an_address_shows_the_port_unless_it_is_the_usual_one(port, url):
    assert described(ONE, "one", "edge", edge_https_port=port)["url"] == url
    assert topology(ONE, edge_https_port=port).as_dict()["url"] == url


def test_a_site_has_each_of_its_names_once_the_domain_first():
    names = described(ONE, "one", "edge", edge_extra_names=["10.0.0.5", "chat.example.com"])["names"]
    assert names == ["chat.example.com", "10.0.0.5"]


def test_a_site_is_named_as_browsers_name_it_who_compare_letter_by_letter():
    names = {"gpuchat_domain": "Chat.Example.COM", "edge_extra_names": ["CHAT.example.com", "FD00:0::1", "10.0.0.5"]}
    site = topology(ONE, **names).site
    assert site.names == ("chat.example.com", "fd00::1", "10.0.0.5")
    assert site.origins == ("https://chat.example.com", "https://[fd00::1]", "https://10.0.0.5")


def test_behind_a_proxy_that_ends_tls_browsers_name_the_site_by_it():
    proxied = {"edge_trusted_proxies": ["10.0.0.2"], "edge_tls": "none"}
    site = topology(ONE, **proxied).site
    assert (site.url, site.origins) == (site.origins[0], ("http://chat.example.com", "https://chat.example.com"))


@pytest.mark.parametrize(("file", "own"), [("", True), ("/etc/ssl/chat.pem", False)])
def test_the_authority_is_the_stacks_own_where_no_certificate_is_brought(file, own):
    assert described(ONE, "one", "edge", edge_certificate_file=file)["own_authority"] is own


def test_who_speaks_to_whom_is_listed_and_nothing_else():
    links = topology(SPREAD).as_dict()["links"]
    seen = [(one["from"]["kind"], one["to"]["kind"], one["to"]["host"], one["to"]["port"]) for one in links]
    assert seen == [
        ("people", "edge", "front", 443),
        ("edge", "interface", "front", 3210),
        ("edge", "engine", "g1", 8000),
        ("edge", "engine", "g2", 8000),
        ("interface", "engine", "g1", 8000),
        ("interface", "engine", "g2", 8000),
    ]


def test_the_monitoring_host_asks_each_host_and_nobody_else_does():
    links = topology({**ONE, "monitoring": ["g1"]}).as_dict()["links"][-2:]
    assert [(one["from"], one["to"]["host"], one["to"]["address"]) for one in links] == [
        ({"kind": "monitoring", "host": "g1"}, "one", "127.0.0.1"),
        ({"kind": "monitoring", "host": "g1"}, "g1", "127.0.0.1"),
    ]


def test_a_host_that_only_asks_for_metrics_moves_no_other_part():
    groups = {"gpu": ["front"], "chat": ["front"], "edge": ["front"]}
    alone, asked = topology(groups), topology({**groups, "monitoring": ["g1"]})
    assert [one for one in asked.services if one.kind != "metrics"] == list(alone.services)


def test_parts_that_nobody_has_are_left_out():
    assert topology({"gpu": ["one"], "chat": [], "edge": []}).as_dict() == {
        "url": "",
        "engines": ["one"],
        "models": [{"name": "qwen", "task": "auto", "hosts": ["one"]}],
        "live_endpoints": [],
        "asking": "",
        "edges": [],
        "behind": ["one"],
        "certified_names": [],
        "room_names": [],
        "has_sign_in": False,
        "needs_temporary_certificate": False,
        "monitoring": "",
        "tool_servers": [],
        "hosts": {"one": {kind: described(ONE, "one", kind) for kind in ("engine", "engines", "downloads", "spans")}},
        "links": [],
    }


PLAIN, DIRECTORY = {"edge_tls": "none"}, {"edge_tls": "acme", "edge_acme_agree_tos": True}
BY_DNS = {**DIRECTORY, "edge_acme_challenge": "dns"}


@pytest.mark.parametrize(
    ("settings", "url", "ports"),
    [
        pytest.param({}, "https://chat.example.com", [80, 443], id="TLS"),
        pytest.param(PLAIN, "http://chat.example.com", [80], id="plain HTTP"),
        pytest.param({**PLAIN, "edge_http_port": 8080}, "http://chat.example.com:8080", [8080], id="at another port"),
        pytest.param(DIRECTORY, "https://chat.example.com", [80, 443], id="a directory"),
    ],
)
def test_people_are_served_by_tls_unless_there_is_none(settings, url, ports):
    edge = described(ONE, "one", "edge", **settings)
    assert (edge["url"], edge["ports"], edge["port"]) == (url, ports, ports[-1])


@pytest.mark.parametrize(
    ("settings", "files", "strict", "opened"),
    [
        pytest.param({}, ["tls.crt", "tls.key", "ca.crt"], False, False, id="own authority"),
        pytest.param({"edge_certificate_file": "/x"}, ["tls.crt", "tls.key"], True, False, id="provided"),
        pytest.param(DIRECTORY, ["acme.pem"], True, True, id="a directory"),
        pytest.param(BY_DNS, ["acme.pem"], True, False, id="a directory by DNS"),
        pytest.param(PLAIN, [], False, False, id="none"),
    ],
)
def test_an_edge_has_the_files_of_its_certificate_and_no_others(settings, files, strict, opened):
    edge = described(ONE, "one", "edge", **settings)
    assert (edge["certificates"], edge["strict_transport"], edge["is_open_to_directory"]) == (files, strict, opened)


@pytest.mark.parametrize(("settings", "names", "temporary"), [({}, 1, False), (PLAIN, 0, False), (DIRECTORY, 0, True)])
def test_the_stack_signs_for_those_who_import_its_authority_alone(settings, names, temporary):
    found = topology(ONE, **settings).as_dict()
    assert (len(found["certified_names"]), found["needs_temporary_certificate"]) == (names, temporary)


def test_an_engine_is_all_that_its_host_has_to_know_of_a_model():
    model = {"name": "Qwen/Qwen3-8B", "aliases": ["default"], "hosts": ["one"], "users": 4, "source": "http"}
    (engine,) = described(ONE, "one", "engines", served=[model], gpuchat_users="9", gpuchat_context="8192")
    assert engine == {
        "name": "Qwen/Qwen3-8B",
        "aliases": ["default"],
        "adapters": [],
        "slug": "qwen-qwen3-8b",
        "task": "auto",
        "gpus": "auto",
        "users": 4,
        "own": ["aliases", "name", "source", "users"],
        "context": "8192",
        "path": "/srv/models/Qwen/Qwen3-8B",
        "source": "http",
        "repo": "",
        "revision": "",
        "endpoints": [],
        "include": [],
        "exclude": [],
        "version": "",
        "image": "",
        "args": {},
        "environment": {},
        "container": "gpuchat-vllm-qwen-qwen3-8b",
        "folder": "/etc/gpuchat/vllm/qwen-qwen3-8b",
        "cache": "/var/cache/gpuchat/vllm/qwen-qwen3-8b",
        "run": "/var/lib/gpuchat/vllm/qwen-qwen3-8b",
        "socket": "/var/lib/gpuchat/vllm/qwen-qwen3-8b/vllm.sock",
        "socket_url": "unix://%2Fvar%2Flib%2Fgpuchat%2Fvllm%2Fqwen-qwen3-8b%2Fvllm.sock",
        "silent_mark": "",
        "serves": True,
        "span": {},
    }


@pytest.mark.parametrize(
    ("more", "mark"),
    [
        pytest.param({}, "/run/gpuchat-watchdog/q-1.silent", id="on two hosts"),
        pytest.param({"hosts": ["g1"]}, "", id="on one, for nobody else would answer"),
        pytest.param({"span": True}, "", id="one engine over both"),
    ],
)
def test_a_silent_engine_is_marked_where_other_hosts_serve_its_model(more, mark):
    (model,) = models.read([{"name": "q.1", **more}], SPREAD)
    assert (model.silent_mark, model.engine(1, 2)["silent_mark"]) == (mark, mark)


@pytest.mark.parametrize(
    ("hosts", "wanted"),
    [
        pytest.param(None, ("g1", "g2"), id="all GPU hosts where none are named"),
        pytest.param(["g2"], ("g2",), id="a host"),
        pytest.param(["gpu"], ("g1", "g2"), id="a group"),
        pytest.param(["big", "g1"], ("g1", "g2"), id="both, in the inventory's order"),
    ],
)
def test_a_model_is_on_the_hosts_that_it_names(hosts, wanted):
    (model,) = models.read([{"name": "m", "hosts": hosts}], {**SPREAD, "big": ["g2"]})
    assert model.hosts == wanted


def test_a_gpu_host_without_a_model_serves_nothing_and_still_belongs_to_the_stack():
    found = topology(SPREAD, served=[{"name": "m", "hosts": ["g2"]}]).as_dict()
    assert (found["engines"], "g1" in found["behind"]) == (["g2"], True)
    assert found["hosts"]["g1"] == {"engines": [], "downloads": [], "spans": False}


def test_somebody_elses_models_are_named_beside_ours():
    found = topology({**SPREAD, "gpu": []}, served=(), others=[LM]).as_dict()
    assert found["models"] == [
        {"name": "llama", "task": "chat", "hosts": [], "endpoint": "lm", "live": False},
        {"name": "e", "task": "embed", "hosts": [], "endpoint": "lm", "live": False},
    ]


@pytest.mark.parametrize(
    ("url", "place", "prefix", "host", "virtual_host"),
    [
        ("http://10.0.0.9:1234/v1", "10.0.0.9:1234", "/v1", "10.0.0.9", "10.0.0.9:1234"),
        (
            "https://llm.example.com/openai/v1/",
            "llm.example.com:443",
            "/openai/v1",
            "llm.example.com",
            "llm.example.com",
        ),
        ("http://[fd00::1]:8080", "[fd00::1]:8080", "/v1", "fd00::1", "[fd00::1]:8080"),
        ("http://box", "box:80", "/v1", "box", "box"),
        ("http://box/", "box:80", "/v1", "box", "box"),
        ("http://box/v1beta/openai/", "box:80", "/v1beta/openai", "box", "box"),
    ],
)
def test_an_address_of_somebody_elses_server_is_read_as_nginx_takes_it(url, place, prefix, host, virtual_host):
    (one,) = endpoints.read([{**LM, "url": url}])
    assert (one.place, one.prefix, one.host, one.virtual_host) == (place, prefix, host, virtual_host)


@pytest.mark.parametrize(
    ("own", "of_all", "names"),
    [
        pytest.param({"lora-modules": ["sql=/a", "poems=/b"]}, None, ("m", "sql", "poems"), id="names with paths"),
        pytest.param({"lora_modules": "sql=/a"}, None, ("m", "sql"), id="one, in the other spelling"),
        pytest.param({"lora-modules": ['{"name": "sql", "path": "/a"}']}, None, ("m", "sql"), id="JSON"),
        pytest.param({"lora-modules": [{"name": "sql", "path": "/a"}]}, None, ("m", "sql"), id="a mapping"),
        pytest.param({"lora-modules": ["{sql"]}, None, ("m",), id="no JSON"),
        pytest.param({}, {"lora-modules": ["sql=/a"]}, ("m", "sql"), id="an option of all engines"),
        pytest.param({"max-num-seqs": 8}, {}, ("m",), id="none"),
    ],
)
def test_adapters_are_asked_by_names_of_their_own(own, of_all, names):
    (model,) = models.read([{"name": "m", "args": own}], ONE, of_all)
    assert model.names == names
    assert model.engine("auto", "auto")["aliases"] == []


LENT = [
    {"name": "sql", "repo": "acme/sql"},
    {"name": "law", "path": "/srv/loras/law"},
    {"name": "hub", "source": "modelscope", "repo": "acme/hub"},
]


def test_adapters_come_from_where_their_model_does_unless_they_say_else():
    model = {"name": "m", "source": "huggingface", "repo": "acme/m", "endpoints": ["http://mirror"], "adapters": LENT}
    found = described(ONE, "one", "downloads", served=[model])
    assert [(one["name"], one["source"], one["path"], one["endpoints"], one["adapter"]) for one in found] == [
        ("m", "huggingface", "/srv/models/m", ["http://mirror"], False),
        ("sql", "huggingface", "/srv/models/sql", ["http://mirror"], True),
        ("law", "path", "/srv/loras/law", [], True),
        ("hub", "modelscope", "/srv/models/hub", [], True),
    ]
    (read,) = models.read([model], ONE)
    assert read.names == ("m", "sql", "law", "hub")
    assert [one["name"] for one in described(ONE, "one", "engines", served=[model])[0]["adapters"]] == [
        "sql",
        "law",
        "hub",
    ]
