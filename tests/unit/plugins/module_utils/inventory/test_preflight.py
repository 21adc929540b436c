# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
from dataclasses import replace

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import types
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.given import (
    STACK_GROUPS,
    Inventory,
    Secret,
    Source,
    Specification,
    describe,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.preflight import (
    ALL_PARTS,
    OLDEST_VLLM,
    SOMEBODYS,
    find_faults,
    known_parts,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.secrets import (
    given_secrets,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.facts import flags

GOOD = {
    "gpuchat_domain": "chat.example.com",
    "gpuchat_allowed_networks": ["10.0.0.0/24"],
    "gpuchat_models": [{"name": "qwen", "path": "/srv/models/qwen"}],
}
SPECIFICATION = Specification(
    {
        "stack": {
            "gpuchat_domain": {"type": "str", "required": True},
            "gpuchat_allowed_networks": {"type": "list", "elements": "str", "required": True},
            "gpuchat_models": {"type": "list", "elements": "dict", "default": []},
            "gpuchat_endpoints": {"type": "list", "elements": "dict", "default": []},
            "gpuchat_api_keys": {"type": "list", "elements": "dict", "default": []},
            "gpuchat_interface": {
                "type": "str",
                "choices": ["lobehub", "open_webui", "none"],
                "default": "lobehub",
            },
            "gpuchat_signup": {"type": "str", "choices": ["closed", "open"], "default": "closed"},
            "gpuchat_supervisor": {
                "type": "str",
                "choices": ["compose", "systemd", "quadlet", "venv"],
                "default": "compose",
            },
            "gpuchat_other_variables": {"type": "list", "elements": "str", "default": []},
            "gpuchat_private_address": {"type": "str", "default": ""},
            "gpuchat_probe_host": {"type": "str", "default": ""},
            "gpuchat_vllm_port": {"type": "int", "default": 8000},
            "gpuchat_interface_port": {"type": "int", "default": 3210},
            "gpuchat_metrics_port": {"type": "int", "default": 9400},
            "gpuchat_span_port": {"type": "int", "default": 29501},
            "gpuchat_room_network": {"type": "str", "default": "172.16.255.248/29"},
            "gpuchat_registry_logins": {"type": "list", "elements": "dict", "default": []},
            "gpuchat_mcp_servers": {"type": "list", "elements": "dict", "default": []},
            "gpuchat_proxy": {"type": "dict", "default": {}},
            "gpuchat_toolbox": {"type": "path", "default": "/opt/gpuchat/toolbox"},
            "gpuchat_database": {"type": "dict", "default": {}},
            "gpuchat_database_password": {"type": "str", "no_log": True},
            "gpuchat_object_store": {"type": "dict", "default": {}},
            "gpuchat_folder": {"type": "path", "default": ""},
        },
        "lobehub": {"lobehub_uid": {"type": "int", "default": 69981}},
        "open_webui": {"open_webui_uid": {"type": "int", "default": 69982}},
        "postgresql": {
            "postgresql_major": {"type": "str", "default": "auto"},
            "postgresql_settings": {"type": "dict", "default": {}},
        },
        "object_store": {
            "object_store_uid": {"type": "int", "default": 69983},
            "object_store_access_key": {"type": "str", "no_log": True},
            "object_store_secret_key": {"type": "str", "no_log": True},
        },
        "docker": {
            "docker_data_root": {"type": "str", "default": ""},
            "docker_settings": {"type": "dict", "default": {}},
        },
        "edge": {
            "edge_http_port": {"type": "int", "default": 80},
            "edge_https_port": {"type": "int", "default": 443},
            "edge_ipv6": {"type": "bool", "default": True},
            "edge_body_limit": {"type": "str", "default": "50m"},
            "edge_stream_timeout": {"type": "str", "default": "30m"},
            "edge_tls": {"type": "str", "default": "auto"},
            "edge_extra_names": {"type": "list", "elements": "str", "default": []},
        },
        "door": {
            "door_body_limit": {"type": "str", "default": "50m"},
            "door_stream_timeout": {"type": "str", "default": "30m"},
        },
        "backup": {
            "backup_target": {"type": "str", "default": ""},
            "backup_at": {"type": "str", "default": "03:00"},
            "backup_max_age_hours": {"type": "int", "default": 36},
            "backup_environment": {"type": "dict", "default": {}},
            "backup_secret_environment": {"type": "dict", "no_log": True},
        },
        "vllm": {
            "vllm_version": {"type": "str"},
            "vllm_args": {"type": "dict"},
            "vllm_environment": {"type": "dict"},
            "vllm_uid": {"type": "int", "default": 69980},
        },
        "uv": {"uv_extra_index_urls": {"type": "list", "elements": "str"}},
    }
)
ONE_HOST = {"all": ["one", "probe"], "gpu": ["one"], "chat": ["one"], "edge": ["one"], "outside": ["probe"]}


def findings(
    groups=None,
    untemplated=(),
    others=None,
    foreign=(),
    secrets=None,
    parts=None,
    sources=(),
    listed=None,
    each=None,
    today=datetime.date.min,
    reached=None,
    **variables,
):
    """Return the faults and warnings of a good inventory with some variables changed on its first host."""
    groups = {**ONE_HOST, **(groups or {})}
    hosts = dict.fromkeys(host for group in STACK_GROUPS for host in groups.get(group, ()))
    by_host = {host: {**GOOD, **(others or {})} for host in hosts}
    if hosts:
        by_host[next(iter(hosts))] = {name: value for name, value in {**GOOD, **variables}.items() if value is not None}
    for host, more in (each or {}).items():
        by_host[host].update(more)
    first = next(iter(hosts), "")
    secrets, foreign = {first: secrets or {}}, {first: foreign}
    known = {"listed": listed or {}, "reached": reached or {}}
    inventory = Inventory(groups, by_host, untemplated, secrets, foreign, sources, **known)
    found = find_faults(inventory, SPECIFICATION, ALL_PARTS if parts is None else parts, today)
    every = inventory.hosts(*STACK_GROUPS)
    return describe(found.faults, every), describe(found.warnings, every)


def faults(**inventory):
    return findings(**inventory)[0]


def test_a_good_inventory_has_no_fault():
    assert findings() == ((), ())


OTHERWISE = {
    "gpu": ", or name somebody else's servers in gpuchat_endpoints",
    "chat": ", or set gpuchat_interface to none where programs alone use the models",
    "edge": "",
}


@pytest.mark.parametrize("group", ["gpu", "chat", "edge"])
def test_an_empty_group_is_a_fault(group):
    word = f"the group {group} is empty; wanted at least one host; add one under {group}: hosts: in the inventory"
    assert faults(groups={group: []}) == (word + OTHERWISE[group],)


@pytest.mark.parametrize("mistyped", ["gpus", "GPU", "gp", "gpu_"])
def test_an_empty_group_is_told_with_the_one_that_was_meant(mistyped):
    (word,) = faults(groups={"gpu": [], mistyped: ["one"]})
    assert word.endswith(f"; did you mean the group {mistyped} to be gpu?")


@pytest.mark.parametrize("host", ["s\u00e9rver", "a b", "x" * 300, "-a", "a/b", "a\nb"])
def test_a_host_has_a_name_that_certificates_and_files_can_bear(host):
    (word,) = faults(groups={"gpu": [host], "chat": [host], "edge": [host]})
    assert word.startswith("the inventory names the host ")
    assert word.isprintable()
    assert "set another name for it" in word


@pytest.mark.parametrize(
    ("groups", "named"),
    [
        pytest.param({"all": ["gpu", "two"], "gpu": ["gpu", "two"]}, "gpu", id="in that group"),
        pytest.param({"all": ["one", "edge"], "other": ["edge"]}, "edge", id="somebody else's, as a group of ours"),
        pytest.param({"one": ["two"]}, "one", id="ours, as a group of somebody else's"),
        pytest.param({"one": []}, "", id="ours, as an empty group"),
        pytest.param({"all": ["gpu"], "gpu": ["gpu"], "chat": ["gpu"], "edge": ["gpu"]}, "", id="alone in that group"),
        pytest.param({"all": ["one", "web"], "web": ["web"]}, "", id="both of somebody else's"),
    ],
)
def test_no_host_has_the_name_of_a_group_whose_variables_would_be_mixed_with_its_own(groups, named):
    word = f"the inventory names a host {named} and a group {named}"
    found = [one for one in faults(groups=groups) if one.startswith("the inventory names a host")]
    assert [one.partition(";")[0] for one in found] == ([word] if named else [])


@pytest.mark.parametrize(("parts", "is_told"), [(None, True), (["vllm"], False)])
def test_a_client_whose_key_has_ended_is_told_where_an_edge_would_refuse_it(parts, is_told):
    keys = [{"name": "reports", "expires": "2026-11-29"}]
    given = {"gpuchat_api_keys": keys, "parts": parts}
    found, warnings = findings(today=datetime.date(2026, 11, 30), **given)
    assert found == ()
    assert [one.partition(" is ")[0] for one in warnings] == ["gpuchat_api_keys[0].expires of reports"] * is_told
    assert findings(today=datetime.date(2026, 11, 29), **given) == ((), ())


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({}, ""),
        ({"backup_at": "2026-11-30 03:00"}, ""),
        ({"backup_at": "2026-11-29 03:00"}, "backup_at is 2026-11-29 03:00, which is past, so no backup is made"),
        ({"backup_at": "weekly"}, "backup_at is weekly, and between two such times lie 168 hours or more"),
        ({"backup_at": "weekly", "backup_max_age_hours": "167"}, "backup_at is weekly, and between two such times lie"),
        ({"backup_at": "weekly", "backup_max_age_hours": 180}, ""),
        ({"backup_max_age_hours": 12}, "backup_at is 03:00, and between two such times lie 24 hours or more"),
        ({"backup_at": "weekly", "backup_target": ""}, "backup_target is not set, so backup_at has no effect"),
        ({"backup_at": "2020-01-01", "parts": ["edge"]}, ""),
    ],
)
def test_backups_that_are_not_made_any_more_or_are_always_too_old_are_told(given, word):
    found, warnings = findings(today=datetime.date(2026, 11, 30), **{"backup_target": "/srv/backup", **given})
    assert found == ()
    assert [one.startswith(word) for one in warnings] == [True] * bool(word), warnings


def test_what_cannot_be_templated_is_not_said_to_be_missing_and_a_vault_wants_its_password():
    reason = "Attempt to use undecryptable variable: Attempting to decrypt but no vault secrets found."
    (word,) = faults(gpuchat_models=None, untemplated=[("one", "gpuchat_models", reason)])
    assert word.endswith("; give ansible-vault's password, with --vault-id or --ask-vault-pass")


ENDPOINT = {"name": "lm", "url": "http://10.0.0.9:1234/v1", "models": ["llama"]}


@pytest.mark.parametrize(
    ("groups", "variables"),
    [
        pytest.param({"gpu": []}, {"gpuchat_endpoints": [ENDPOINT], "gpuchat_models": None}, id="endpoints only"),
        pytest.param({"chat": []}, {"gpuchat_interface": "none"}, id="API only"),
    ],
)
def test_a_group_may_be_empty_where_that_is_meant(groups, variables):
    assert faults(groups=groups, **variables) == ()


LIVE = {"name": "lm", "url": "http://10.0.0.9:1234"}


def test_a_server_may_list_its_models_itself():
    assert findings(gpuchat_endpoints=[LIVE]) == ((), ())


def test_what_a_server_lists_ends_no_run_and_takes_no_name():
    found, warnings = findings(
        gpuchat_models=[{"name": "qwen"}], gpuchat_endpoints=[LIVE], listed={"lm": ["qwen", "llama"]}
    )
    assert found == ()
    assert [word.partition(",")[0] for word in warnings] == ["lm lists 'qwen'"]


@pytest.mark.parametrize(
    ("listed", "is_refused"),
    [({}, False), ({"lm": ["llama"]}, False), ({"lm": []}, True), ({"lm": ["other"]}, True)],
    ids=["not asked yet", "it lists it", "it was down", "it has others"],
)
def test_a_client_may_be_given_what_a_server_lists(listed, is_refused):
    keys = [{"name": "reports", "models": ["llama"]}]
    found = faults(gpuchat_endpoints=[LIVE], gpuchat_api_keys=keys, listed=listed)
    assert [word.partition(";")[0] for word in found] == [
        "gpuchat_api_keys[0].models holds 'llama', which is no model of the stack"
    ] * is_refused


def test_models_without_a_host_that_serves_them_are_refused_beside_endpoints_too():
    (word,) = faults(groups={"gpu": []}, gpuchat_endpoints=[ENDPOINT])
    assert word.startswith("gpuchat_models names models, and the group gpu is empty; wanted hosts that serve them")


@pytest.mark.parametrize("parts", [["plan"], ["vllm"]])
def test_models_are_the_same_on_every_host_whatever_runs(parts):
    two = {"gpu": ["one", "two"]}
    (word,) = faults(groups=two, parts=parts, others={"gpuchat_models": [{"name": "other"}]})
    assert word.startswith("gpuchat_models differs between hosts")


@pytest.mark.parametrize("supervisor", ["quadlet", "venv"])
def test_what_does_without_docker_serves_models_and_nothing_else(supervisor):
    (word,) = faults(gpuchat_supervisor=supervisor, groups={"gpu": ["one"], "chat": ["one"]})
    assert f"gpuchat_supervisor is {supervisor} on a host of the group chat; wanted it where models alone are" in word
    assert "gpuchat_supervisor" not in str(
        faults(gpuchat_supervisor=supervisor, groups={"gpu": ["one"], "chat": ["two"]})
    )


def test_an_image_of_a_models_own_is_refused_where_there_are_no_containers():
    models = [{"name": "m", "image": "registry.example.com/vllm:v1"}]
    groups = {"gpu": ["one"], "chat": ["two"]}
    word = str(faults(gpuchat_supervisor="venv", gpuchat_models=models, groups=groups))
    assert "gpuchat_models[0].image is given and gpuchat_supervisor is venv, which runs no image" in word
    assert "runs no image" not in str(faults(gpuchat_supervisor="quadlet", gpuchat_models=models, groups=groups))


def test_a_client_of_no_model_is_refused():
    (word,) = faults(gpuchat_api_keys=[{"name": "reports", "models": []}])
    assert word.startswith("gpuchat_api_keys[0].models is empty; wanted names of models")


def test_an_interface_that_is_not_wanted_has_no_hosts():
    (word,) = faults(gpuchat_interface="none")
    assert word.startswith("gpuchat_interface is none and the group chat has hosts; wanted none of them")


def test_without_models_and_endpoints_there_is_nothing_to_serve():
    (word,) = faults(gpuchat_models=None)
    assert word.startswith("gpuchat_models is not set; wanted a list; set gpuchat_models, for instance to [{name: ")


@pytest.mark.parametrize("name", ["gpuchat_model", "vllm_gpus"])
def test_a_name_of_an_earlier_release_is_refused_with_the_one_of_today(name):
    (word,) = faults(gpuchat_models=None, **{name: {"name": "m"}})
    assert word.startswith(f"{name} is a variable of an earlier release; wanted gpuchat_models; set gpuchat_models, ")


@pytest.mark.parametrize(
    ("models", "begin"),
    [
        (
            [{"name": "a"}, {"name": "A.", "aliases": []}],
            "gpuchat_models names a and A., whose containers would have one",
        ),
        (
            [{"name": "a", "aliases": ["b"]}, {"name": "b"}],
            "b stands twice, in gpuchat_models.name and gpuchat_models.al",
        ),
        ([{"name": "a", "hosts": ["two"]}], "gpuchat_models[0].hosts names two, which is no group or host"),
        ([{"name": "a", "hosts": ["probe"]}], "gpuchat_models[0].hosts names probe, and probe is not in the group gpu"),
        ([{"name": "a", "gpus": "0"}], "gpuchat_models[0].gpus is '0'; wanted auto, all, how many, or a list"),
        ([{"name": "a", "version": "0.9.2"}], "gpuchat_models[0].version is 0.9.2, which can listen on a port alone"),
        ([{"name": "a", "args": {"model": "x"}}], "gpuchat_models[0].args holds model, which the role sets"),
        ([{"name": "a", "args": {"uds": "/x"}}], "gpuchat_models[0].args holds uds; wanted it not to be set"),
        ([{"name": "a", "environment": {"VLLM_API_KEY": ""}}], "gpuchat_models[0].environment holds VLLM_API_KEY"),
        ([{"name": "llama"}], "llama stands twice, in gpuchat_models.name and gpuchat_endpoints"),
        ([{"name": "a", "hosts": []}], "gpuchat_models[0].hosts is empty; wanted hosts of the group gpu"),
        ([{"name": "a/../../etc"}], "gpuchat_models[0] has the folder /srv/models/a/../../etc; wanted one without"),
        (
            [{"name": "a"}, {"name": "a/b"}],
            "gpuchat_models[1] has the folder /srv/models/a/b and gpuchat_models[0] the",
        ),
        (
            [{"name": "a/b"}, {"name": "c", "path": "/srv/models/a"}],
            "gpuchat_models[1] has the folder /srv/models/a and",
        ),
        (
            [{"name": "a", "adapters": [{"name": "llama"}]}],
            "llama stands twice, in gpuchat_models.adapters and gpuchat_endpoints",
        ),
        (
            [{"name": "a", "adapters": [{"name": "sql", "repo": "acme/sql"}]}],
            "gpuchat_models[0].adapters[0].repo is 'acme/sql' and gpuchat_models[0].adapters[0].source is path",
        ),
        (
            [{"name": "a", "adapters": [{"name": "b", "source": "huggingface"}]}],
            "gpuchat_models[0].adapters[0].source is huggingface and gpuchat_models[0].adapters[0].repo is not set",
        ),
        (
            [{"name": "a", "adapters": [{"name": "b", "path": "/srv/models/a/b"}]}],
            "gpuchat_models[0].adapters[0] has the folder /srv/models/a/b and gpuchat_models[0] the folder",
        ),
        (
            [{"name": "a", "args": {"enable_lora": False}, "adapters": [{"name": "b"}]}],
            "gpuchat_models[0].args.enable_lora is false and gpuchat_models[0].adapters names b; wanted an engine",
        ),
        ([{"name": "a", "adapters": [{"name": "b c"}]}], "gpuchat_models[0].adapters[0].name is 'b c'; wanted"),
        ([{"name": "a", "adapters": [{"name": "b:c", "path": "/x/b"}]}], "gpuchat_models[0].adapters[0].name is 'b:c'"),
        (
            [{"name": "a", "args": {"lora-modules": ["llama=/x"]}}],
            "llama stands twice, in gpuchat_models.args and gpuchat",
        ),
    ],
)
def test_models_that_cannot_be_served_beside_each_other_are_refused(models, begin):
    found = faults(gpuchat_models=models, gpuchat_endpoints=[ENDPOINT])
    assert [fault[: len(begin)] for fault in found] == [begin]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        pytest.param({"tools": True, "vision": False, "context": 32768}, [], id="all that can be said"),
        pytest.param({"tools": "yes"}, ["models[0].tools is 'yes'; wanted true or false"], id="no truth"),
        pytest.param({"context": "32k"}, ["models[0].context is '32k'; wanted tokens"], id="no number"),
        pytest.param({"context": 0}, ["models[0].context is 0; wanted tokens"], id="nothing"),
        pytest.param({"functions": True}, ["wanted no other names than name, upstream, task, context"], id="unknown"),
    ],
)
def test_of_somebody_elses_model_the_inventory_says_what_it_can_do(more, words):
    found = faults(gpuchat_endpoints=[{**ENDPOINT, "models": [{"name": "llama", **more}]}])
    assert len(found) == len(words), found
    assert all(word in fault for word, fault in zip(words, found, strict=True))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param(
            "gpuchat_domian", "gpuchat_domian is no variable of gpuchat; did you mean gpuchat_domain?", id="near"
        ),
        pytest.param("gpuchat_xyzzy", f"gpuchat_xyzzy is no variable of gpuchat{SOMEBODYS}", id="far"),
    ],
)
def test_an_unknown_variable_of_the_stack_is_a_fault(name, message):
    assert findings(**{name: 1}) == ((message,), ())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param(
            "edge_port", "edge_port is no variable of a gpuchat role; did you mean edge_http_port?", id="like one"
        ),
        pytest.param(
            "vllm_xyzzy_frobnicate", f"vllm_xyzzy_frobnicate is no variable of a gpuchat role{SOMEBODYS}", id="far"
        ),
    ],
)
def test_an_unknown_variable_with_a_roles_prefix_is_a_warning(name, message):
    assert findings(**{name: 1}) == ((), (message,))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("edge_http_prot", "edge_http_port"),
        ("vllm_arg", "vllm_args"),
        ("plan_gpu", "plan_gpus"),
        ("vllmversion", "vllm_version"),
        ("gpucht_domain", "gpuchat_domain"),
    ],
)
def test_a_mistyped_variable_is_a_fault_with_or_without_a_prefix(name, meant):
    ((fault,), warnings) = findings(foreign=[name])
    assert fault.startswith(f"{name} is no variable of gpuchat; wanted {meant}, by the look of it; rename it")
    assert warnings == ()
    assert findings(**{name: 1}) == ((fault,), ())


def test_a_variable_of_somebody_else_that_looks_like_ours_can_be_named():
    assert findings(vllm_arg=1, gpuchat_other_variables=["vllm_arg"]) == ((), ())


@pytest.mark.parametrize("name", ["stack_size", "http_proxy", "_edge_folder"])
def test_other_peoples_variables_are_nobodys_business(name):
    assert findings(foreign=[name]) == ((), ())


@pytest.mark.parametrize(
    "domain", ["chat.example.com", "CHAT.example.com", "chat", "a-b.c1", "10.0.0.1", "2001:db8::1", "x" * 63]
)
def test_a_host_name_or_address_is_a_domain(domain):
    assert faults(gpuchat_domain=domain) == ()


@pytest.mark.parametrize(
    "domain",
    [
        "https://chat.example.com",
        "chat.example.com/ui",
        "chat.example.com:8443",
        "chat_1.example.com",
        "-a.example.com",
        "a-.example.com",
        "chat..example.com",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "255.255.255.255",
        "x" * 64,
        ".".join(["a" * 60] * 5),
        "chat example",
        "10.0.0.300",
    ],
)
def test_a_domain_that_is_no_host_name_is_a_fault(domain):
    (word,) = faults(gpuchat_domain=domain)
    assert word.startswith("gpuchat_domain is '")
    assert "; wanted a host name such as chat.example.com, without https:// or a path; set gpuchat_domain to c" in word


@pytest.mark.parametrize("network", ["10.0.0.0/8", "192.168.1.7", "2001:db8::/32", "0.0.0.0/0"])
def test_a_network_is_allowed(network):
    assert faults(gpuchat_allowed_networks=[network]) == ()


@pytest.mark.parametrize(
    ("network", "meant"),
    [
        ("10.0.0.7/24", "10.0.0.0/24"),
        ("2001:db8::1/64", "2001:db8::/64"),
        ("office", "10.0.0.0/8"),
        ("10.0.0.0/33", "10.0.0.0/8"),
    ],
    ids=["host bits", "host bits, IPv6", "a word", "too long a prefix"],
)
def test_an_allow_list_that_is_no_cidr_is_a_fault(network, meant):
    word = f"gpuchat_allowed_networks holds {network!r}; wanted a network such as {meant}; "
    word += "set gpuchat_allowed_networks to networks alone"
    assert faults(gpuchat_allowed_networks=["10.1.0.0/16", network]) == (word,)


def test_an_empty_allow_list_is_a_fault():
    word = "gpuchat_allowed_networks is empty, so nobody could use the chat; set the networks of its users"
    assert faults(gpuchat_allowed_networks=[]) == (word,)


def test_a_text_in_place_of_a_list_of_networks_is_a_fault():
    (word,) = faults(gpuchat_allowed_networks="10.0.0.0/8")
    assert word.startswith("gpuchat_allowed_networks is '10.0.0.0/8'; wanted a list")


@pytest.mark.parametrize(
    ("ports", "message"),
    [
        pytest.param(
            {"gpuchat_vllm_port": 3210},
            "gpuchat_vllm_port and gpuchat_interface_port are both 3210; set one of them to another port",
            id="beside a default",
        ),
        pytest.param(
            {"edge_http_port": "443"},
            "edge_http_port and edge_https_port are both 443; set one of them to another port",
            id="as a text",
        ),
        pytest.param(
            {"edge_http_port": 0},
            "edge_http_port is 0; wanted a port from 1 to 65535; set edge_http_port to one",
            id="zero",
        ),
        pytest.param(
            {"gpuchat_vllm_port": 65536},
            "gpuchat_vllm_port is 65536; wanted a port from 1 to 65535; set gpuchat_vllm_port to one",
            id="too large",
        ),
    ],
)
def test_two_services_on_one_port_or_no_port_are_a_fault(ports, message):
    assert faults(**ports) == (message,)


SPLIT = {"all": ["g", "h", "c"], "gpu": ["g", "h"], "chat": ["c"], "edge": ["g"]}
PRIVATE = {host: {"gpuchat_private_address": f"10.9.0.{number}"} for number, host in enumerate("ghc", 1)}


@pytest.mark.parametrize(
    ("groups", "name", "port", "is_told"),
    [
        (ONE_HOST, "edge_https_port", 32767, False),
        (ONE_HOST, "edge_https_port", 32768, True),
        (ONE_HOST, "edge_http_port", "60999", True),
        (ONE_HOST, "edge_http_port", 61000, False),
        (ONE_HOST, "gpuchat_vllm_port", 40000, True),
        pytest.param(ONE_HOST, "gpuchat_interface_port", 40000, False, id="the container's own, where no door has it"),
        pytest.param(SPLIT, "gpuchat_interface_port", 40000, True, id="a door's"),
        pytest.param(ONE_HOST, "gpuchat_metrics_port", 40000, False, id="nobody asks for metrics"),
        pytest.param({**ONE_HOST, "monitoring": ["one"]}, "gpuchat_metrics_port", 40000, True, id="metrics"),
        pytest.param(ONE_HOST, "gpuchat_span_port", 40000, False, id="nothing spans hosts"),
        pytest.param(SPLIT, "gpuchat_span_port", 40000, True, id="ranks"),
        pytest.param(SPLIT, "gpuchat_span_port", 32767, True, id="the next one of the ranks'"),
    ],
)
def test_a_port_that_a_connection_may_have_by_chance_is_told_where_something_listens(groups, name, port, is_told):
    each = PRIVATE if groups is SPLIT else {}
    model = [{"name": "qwen", "path": "/srv/models/qwen", "span": groups is SPLIT}]
    more = {"gpuchat_models": model, name: port}
    found, warnings = findings(groups=groups, each=each, others=more, **more)
    assert found == ()
    assert [one.split(";")[0] for one in warnings] == (
        [f"{name} is {port}, and Linux gives the ports from 32768 to 60999 to connections by chance"] * is_told
    )


@pytest.mark.parametrize(
    ("given", "fault", "warning"),
    [
        ({"edge_body_limit": "200m", "door_body_limit": "1g"}, "", ""),
        ({"edge_body_limit": "51200k"}, "", ""),
        ({"edge_body_limit": 209715200}, "edge_body_limit is 209715200 and door_body_limit is 50m", ""),
        ({"edge_body_limit": "200m"}, "edge_body_limit is 200m and door_body_limit is 50m", ""),
        ({"door_body_limit": "20M"}, "edge_body_limit is 50m and door_body_limit is 20M", ""),
        ({"edge_body_limit": "20m"}, "", ""),
        ({"edge_stream_timeout": "1800"}, "", ""),
        ({"edge_stream_timeout": "1h30m"}, "", "edge_stream_timeout is 1h30m and door_stream_timeout is 30m"),
        ({"door_stream_timeout": "1w"}, "", ""),
    ],
)
def test_a_door_ends_nothing_that_the_edge_lets_through(given, fault, warning):
    found, warnings = findings(groups=SPLIT, each=PRIVATE, others=given, **given)
    assert [one.partition(";")[0] for one in found] == [fault] * bool(fault)
    assert [one.partition(";")[0] for one in warnings] == [warning] * bool(warning)


@pytest.mark.parametrize(
    ("given", "fault", "warning"),
    [
        ({"edge_https_port": 80}, "edge_http_port and edge_https_port are both 80", ""),
        ({"edge_https_port": 80, "edge_tls": "none"}, "", "edge_tls is none, so edge_https_port has no effect"),
        ({"edge_http_port": 443, "edge_tls": "none"}, "", ""),
    ],
)
def test_an_edge_without_tls_has_no_port_for_it(given, fault, warning):
    found, warnings = findings(**given)
    assert [one.partition(";")[0] for one in found] == [fault] * bool(fault)
    told = [one.partition(";")[0] for one in warnings if "everybody on the way" not in one]
    assert told == [warning] * bool(warning)


@pytest.mark.parametrize(
    ("name", "instead"),
    [("RESTIC_PASSWORD", "backup_password"), ("RESTIC_REPOSITORY", "backup_target"), ("AWS_DEFAULT_REGION", "")],
)
def test_what_restic_is_told_by_variables_of_their_own_stands_in_no_environment(name, instead):
    for given in (
        {"backup_environment": {name: "x"}},
        {"secrets": {"backup_secret_environment": Secret("dict", names=[name])}},
    ):
        found = faults(backup_target="/srv/backup", **given)
        assert [one.partition("; set ")[2] for one in found] == [instead] * bool(instead)


def test_a_runs_own_folder_is_one_for_all_hosts():
    each = {**PRIVATE, "g": {**PRIVATE["g"], "gpuchat_folder": "/srv/gpuchat"}}
    (word,) = faults(groups=SPLIT, each=each)
    assert word.startswith("gpuchat_folder differs between hosts ('/srv/gpuchat' on g, not set on h and c)")


@pytest.mark.parametrize(
    ("groups", "given", "both"),
    [
        (ONE_HOST, {"vllm_uid": 69981}, "vllm_uid and lobehub_uid are both 69981"),
        (ONE_HOST, {"lobehub_uid": "7000", "object_store_uid": 7000}, "lobehub_uid and object_store_uid are both 7000"),
        pytest.param(ONE_HOST, {"vllm_uid": 69982}, "", id="Open WebUI's, which does not run"),
        pytest.param(SPLIT, {"vllm_uid": 69981}, "", id="on another host"),
        pytest.param(
            ONE_HOST,
            {"open_webui_uid": 7000, "object_store_uid": 7000, "gpuchat_interface": "open_webui"},
            "",
            id="a store that Open WebUI has not",
        ),
    ],
)
def test_parts_of_one_host_run_as_users_of_their_own(groups, given, both):
    found = faults(groups=groups, each=PRIVATE if groups is SPLIT else {}, **given)
    assert [one.partition(";")[0] for one in found] == [both] * bool(both)


@pytest.mark.parametrize(
    ("groups", "word"),
    [
        ({"monitor": ["one"]}, "the group monitor has one and is none of gpuchat's"),
        ({"gpus": ["two"]}, "the group gpus has two and is none of gpuchat's"),
        ({"Edge": ["two"]}, "the group Edge has two and is none of gpuchat's"),
        ({"gpus": ["one"]}, ""),
        ({"monitoring": ["one"], "monitored": ["one"]}, ""),
        ({"webservers": ["two"], "printers": ["three"]}, ""),
        ({"gpus": []}, ""),
    ],
)
def test_hosts_that_a_mistyped_group_leaves_out_are_told(groups, word):
    found, warnings = findings(groups=groups)
    assert found == ()
    assert [one.partition(",")[0] for one in warnings] == [word] * bool(word)


@pytest.mark.parametrize(
    ("model", "cure"),
    [
        ({"image": "vllm/vllm-openai:v0.11.0", "version": "0.11.0"}, ""),
        ({"image": "harbor.example.com/vllm:ours-0.32.0"}, ""),
        ({"image": "harbor.example.com/vllm:ours"}, ""),
        ({"image": "vllm/vllm-openai:v0.11.0"}, "vllm_version is 0.32.0, for which it is planned"),
        (
            {"image": "vllm/vllm-openai:v0.11.0", "version": "0.12.0"},
            "gpuchat_models[0].version is 0.12.0, for which it is planned",
        ),
    ],
)
def test_an_image_of_a_models_own_is_of_the_version_by_which_it_is_planned(model, cure):
    found, warnings = findings(gpuchat_models=[{"name": "q", **model}], vllm_version="0.32.0")
    assert found == ()
    assert [cure in one and "; set gpuchat_models[0].version to 0.11.0 where" in one for one in warnings] == (
        [True] * bool(cure)
    )


EMBEDS = [{"name": "bge", "task": "embed"}]


@pytest.mark.parametrize(
    ("given", "is_told"),
    [
        ({"gpuchat_models": EMBEDS}, True),
        ({"gpuchat_models": [*EMBEDS, {"name": "q"}]}, False),
        ({"gpuchat_models": EMBEDS, "groups": {"chat": []}, "gpuchat_interface": "none"}, False),
        ({"gpuchat_models": EMBEDS, "gpuchat_endpoints": [LIVE]}, False),
        ({"gpuchat_models": EMBEDS, "gpuchat_endpoints": [ENDPOINT]}, False),
        (
            {"gpuchat_models": EMBEDS, "gpuchat_endpoints": [{**LIVE, "models": [{"name": "w", "task": "rerank"}]}]},
            True,
        ),
    ],
)
def test_people_who_chat_have_a_model_that_does(given, is_told):
    found = faults(**given)
    assert [one.partition(";")[0] for one in found] == [
        "gpuchat_models and gpuchat_endpoints name nothing that chats, and gpuchat_interface is lobehub"
    ] * is_told


@pytest.mark.parametrize(("probe", "is_told"), [("probe", False), ("one", True)])
def test_the_edge_itself_is_none_that_it_refuses(probe, is_told):
    found = faults(gpuchat_probe_host=probe)
    assert [one.partition(";")[0] for one in found] == (
        [f"gpuchat_probe_host is {probe}, which is in the group edge"] * is_told
    )


@pytest.mark.parametrize(
    ("given", "bridge"),
    [
        ({"gpuchat_room_network": "172.18.0.0/29"}, ""),
        ({"gpuchat_room_network": "172.17.9.0/29"}, "172.17.0.0/16"),
        ({"gpuchat_room_network": "172.17.9.0/29", "docker_settings": {"bip": "10.99.0.1/24"}}, ""),
        ({"gpuchat_room_network": "172.17.9.0/29", "docker_settings": {"bridge": "none"}}, ""),
        ({"gpuchat_room_network": "10.99.0.0/29", "docker_settings": {"bip": "10.99.0.1/24"}}, "10.99.0.0/24"),
        (
            {"gpuchat_room_network": "172.17.9.0/29", "docker_settings": {"default-address-pools": [{"base": "x"}]}},
            "",
        ),
    ],
)
def test_an_interface_does_not_get_the_network_that_docker_has_for_its_bridge(given, bridge):
    found = faults(**given)
    assert [f"in which Docker has its own bridge ({bridge})" in one for one in found] == [True] * bool(bridge)


def test_a_door_is_told_where_it_ends_what_any_edge_lets_through():
    groups = {"all": ["a", "b"], "gpu": ["a"], "chat": ["a"], "edge": ["a", "b"]}
    each = {host: {"gpuchat_private_address": f"10.0.0.{number}"} for number, host in enumerate("ab", 1)}
    each["b"]["edge_body_limit"] = "1g"
    (word,) = faults(groups=groups, each=each)
    assert word == (
        "edge_body_limit is 1g and door_body_limit is 50m; wanted no less at the door, which ends what is more; set "
        "door_body_limit to 1g (on a)"
    )


@pytest.mark.parametrize(
    ("groups", "name", "port", "host", "is_told"),
    [
        (ONE_HOST, "edge_https_port", 443, "one", False),
        (ONE_HOST, "edge_https_port", 22, "one", True),
        (ONE_HOST, "gpuchat_vllm_port", "22", "one", True),
        pytest.param(ONE_HOST, "gpuchat_interface_port", 22, "one", False, id="in its container's own network"),
        pytest.param(SPLIT, "gpuchat_interface_port", 22, "c", True, id="a door's"),
        pytest.param(SPLIT, "edge_https_port", 22, "h", False, id="a host without an edge"),
    ],
)
def test_a_port_of_ours_is_not_the_one_at_which_ssh_listens_on_that_host(groups, name, port, host, is_told):
    more = {name: port}
    reached = {host: {"address": host, "port": "22"}}
    found = faults(groups=groups, each=PRIVATE if groups is SPLIT else {}, others=more, reached=reached, **more)
    assert [one.split(",")[0] for one in found] == [f"{name} is {port}"] * is_told
    assert "at which ssh listens on this host" in "".join(found) or not is_told


@pytest.mark.parametrize(
    ("addresses_of", "named"),
    [
        ({"g": "10.0.0.5", "h": "10.0.0.6", "c": "10.0.0.7"}, []),
        ({"g": "10.0.0.5", "h": "10.0.0.6", "c": "10.0.0.5"}, ["ansible_host is 10.0.0.5 on g and on c"]),
        ({"g": "10.0.0.5:22", "h": "10.0.0.5:2222", "c": "10.0.0.7"}, []),
        pytest.param({"g": "", "h": "", "c": ""}, [], id="behind hosts that are jumped over, or not by ssh"),
    ],
)
def test_one_machine_has_one_name(addresses_of, named):
    parted = {host: one.partition(":") for host, one in addresses_of.items()}
    reached = {host: {"address": address, "port": port or "22"} for host, (address, _colon, port) in parted.items()}
    assert [one.split(",")[0] for one in faults(groups=SPLIT, each=PRIVATE, reached=reached)] == named


@pytest.mark.parametrize(("address", "is_told"), [("10.1.2.3", True), ("10.2.0.1", False), ("server", False)])
def test_a_host_is_not_in_the_network_that_its_interface_has_for_itself(address, is_told):
    found = faults(gpuchat_room_network="10.1.0.0/16", reached={"one": {"address": address, "port": "22"}})
    assert [one.split(",")[0] for one in found] == [f"ansible_host holds {address}"] * is_told


@pytest.mark.parametrize(
    ("told", "word"),
    [
        ("c", ""),
        ("gc", ""),
        ("g", "no host of the group chat is told, so backup_target has no effect; put it under chat: vars:, or"),
    ],
)
def test_what_one_group_reads_is_told_where_others_alone_have_it(told, word):
    backup = {host: {"backup_target": "/srv/backup"} for host in told}
    each = {host: {**PRIVATE[host], **backup.get(host, {})} for host in "ghc"}
    found, warnings = findings(groups=SPLIT, each=each)
    assert found == ()
    assert [one[: len(word)] for one in warnings] == [word] * bool(word)


@pytest.mark.parametrize(
    ("models", "word"),
    [
        ([{"name": "qwen"}], ""),
        ([{"name": "qwen", "hosts": ["g"]}, {"name": "b", "path": "/srv/b", "hosts": ["h"]}], ""),
        (
            [{"name": "qwen", "hosts": ["g"]}],
            "the group gpu has h, for which gpuchat_models names no model; add it to hosts of one, or take it out",
        ),
        ([], "the group gpu has g, h, for which gpuchat_models names no model; add them to hosts of one, or take"),
    ],
)
def test_a_gpu_host_for_which_no_model_is_named_is_told(models, word):
    endpoint = {"name": "lm", "url": "http://10.0.0.9:1234/v1", "models": ["llama"]}
    more = {"gpuchat_models": models, "gpuchat_endpoints": [endpoint]}
    found, warnings = findings(groups=SPLIT, each=PRIVATE, others=more, **more)
    assert found == ()
    assert [one[: len(word)] for one in warnings] == [word] * bool(word)


def test_a_host_of_a_model_that_is_mistyped_is_told_once():
    model = {"gpuchat_models": [{"name": "qwen", "hosts": ["gg"]}]}
    found, warnings = findings(groups=SPLIT, each=PRIVATE, others=model, **model)
    assert (len(found), warnings) == (1, ())


def test_a_model_that_spans_one_host_is_told_once():
    (word,) = faults(gpuchat_models=[{"name": "qwen", "span": True}])
    assert word.startswith("gpuchat_models[0].span is true and one serves it; wanted two hosts or more")


@pytest.mark.parametrize("room", ["10.0.0.0/8", "10.0.0.0/30"])
def test_a_room_that_is_none_is_told_once_though_others_are_in_it(room):
    (word,) = faults(gpuchat_room_network=room)
    assert word.startswith(f"gpuchat_room_network is '{room}'; wanted a private IPv4 network")


@pytest.mark.parametrize(
    ("entry", "begin", "end"),
    [
        ({"repo": "Qwen/Qwen3-8B"}, "repo is 'Qwen/Qwen3-8B' and gpuchat_models[0].source is not set", "].repo away"),
        ({"source": "path", "include": ["*.gguf"]}, "include is ['*.gguf'] and gpuchat_models[0].source is path,", ""),
        ({"exclude": ["*.bin"], "revision": "main"}, "revision is 'main'", "].revision or gpuchat_models[0].exclude"),
        ({"source": "path", "endpoints": ["https://hf-mirror.com"]}, "endpoints is ['https://hf-mirror.com']", ""),
        ({"source": "http", "endpoints": ["http://h"], "repo": "q", "revision": "v2"}, "", ""),  # which is looked at
        ({"source": "http", "endpoints": ["http://h"], "repo": "q", "include": ["*.json"]}, "", ""),
        ({"source": "path", "include": [], "revision": ""}, "", ""),
    ],
)
def test_what_is_said_of_a_download_where_nothing_is_downloaded_is_told(entry, begin, end):
    found = faults(gpuchat_models=[{"name": "q", **entry}])
    assert [one.startswith(f"gpuchat_models[0].{begin}") for one in found] == [True] * bool(begin), found
    assert end in "".join(found)


QWEN = {"source": "huggingface", "repo": "Qwen/Qwen3-8B", "path": "/srv/models/q"}


@pytest.mark.parametrize(
    ("second", "is_told"),
    [
        ({}, False),
        ({"repo": "Qwen/Qwen3-4B"}, True),
        ({"revision": "v2"}, True),
        ({"include": ["*.gguf"]}, True),
        ({"repo": "Qwen/Qwen3-4B", "path": "/srv/models/other"}, False),
        ({"repo": "Qwen/Qwen3-4B", "path": "/srv/models/q/"}, True),
        ({"gpus": [1]}, False),
        ({"gpus": [1], "path": "/srv/models/q/"}, False),
    ],
)
def test_two_models_of_different_sources_have_folders_of_their_own(second, is_told):
    found = faults(gpuchat_models=[{"name": "a", **QWEN}, {"name": "b", **QWEN, **second}])
    word = "gpuchat_models[1] and gpuchat_models[0] have the folder /srv/models/q and are not of one source"
    assert [one.partition(";")[0] for one in found] == [word] * is_told


@pytest.mark.parametrize("name", ["vllm_model", "vllm_served_model_name"])
def test_a_model_that_is_written_as_a_variable_of_vllms_is_told_where_all_are(name):
    (word,) = faults(**{name: "Qwen/Qwen3-8B"})
    assert (
        word == f"{name} is no variable of gpuchat; wanted gpuchat_models, which names all models; set gpuchat_models"
    )


@pytest.mark.parametrize("name", ["vllm_tensor_parallel_size", "vllm_quantization", "vllm_gpu_memory_utilization"])
def test_an_option_of_vllm_that_is_written_as_a_variable_is_told_where_it_belongs(name):
    flag = name[5:].replace("_", "-")
    (word,) = faults(**{name: "x"})
    assert word == (
        f"{name} is no variable of gpuchat; wanted that option of vLLM in vllm_args, or in args of a model in "
        f"gpuchat_models; set vllm_args.{flag}"
    )


@pytest.mark.parametrize(
    ("part", "cure"),
    [
        ("max_model_len", "put it into gpuchat_models[0].args, as max-model-len"),
        ("tensor-parallel-size", "put it into gpuchat_models[0].args, as tensor-parallel-size"),
        ("gpu", "did you mean gpus?"),
        ("token", "set model_token in its place"),
        ("colour", "take it out of gpuchat_models[0]"),
    ],
)
def test_an_option_of_vllm_beside_what_a_model_has_is_told_where_it_belongs(part, cure):
    options = {"name": {"type": "str"}, "repo": {"type": "str"}, "gpus": {"type": "raw"}, "args": {"type": "dict"}}
    (word,) = types.faults("gpuchat_models[0]", {"type": "dict", "options": options}, {part: 1})
    assert word.rpartition("; ")[2] == cure


@pytest.mark.parametrize(
    ("part", "cure"),
    [
        *((one, "did you mean url?") for one in ("base_url", "api_base", "URI")),
        *((one, "did you mean key?") for one in ("api_key", "token", "keys")),
        ("kind", "take it out of gpuchat_endpoints[0]"),
    ],
)
def test_a_part_that_others_call_otherwise_is_told_as_it_is_called_here(part, cure):
    options = {name: {"type": "str"} for name in ("name", "url", "key", "models")}
    (word,) = types.faults("gpuchat_endpoints[0]", {"type": "dict", "options": options}, {part: "x"})
    assert word.rpartition("; ")[2] == cure


def test_the_options_of_vllm_that_are_known_by_name_are_such():
    assert set(flags.FLAGS).issuperset(types.OF_ENGINES)


@pytest.mark.parametrize("name", ["gpuchat_database_password", "object_store_secret_key"])
def test_a_secret_that_nothing_decrypts_is_told_as_such(name):
    given = {"gpuchat_database": EXTERNAL} if name == "gpuchat_database_password" else {}
    (word,) = faults(secrets={name: Secret("(encrypted)", is_plain=False, odd={"0": "odd"})}, **given)
    assert word.startswith(f"{name} is what ansible-vault wrote, without the tag !vault before it")


@pytest.mark.parametrize(
    ("domain", "networks", "is_told"),
    [
        ("localhost", ["10.0.0.0/8"], True),
        ("127.0.0.1", ["127.0.0.0/8", "10.0.0.0/8"], True),
        ("::1", ["10.0.0.0/8"], True),
        ("localhost", ["127.0.0.0/8", "::1"], False),
        ("10.0.0.5", ["10.0.0.0/8"], False),
    ],
)
def test_a_domain_by_which_everybody_finds_their_own_machine_is_told(domain, networks, is_told):
    found, warnings = findings(gpuchat_domain=domain, gpuchat_allowed_networks=networks)
    assert found == ()
    word = f"gpuchat_domain is {domain}, by which everybody in gpuchat_allowed_networks finds their own machine"
    assert [one.partition(";")[0] for one in warnings] == [word] * is_told


EXTERNAL = {"host": "db.example.com", "name": "chat", "user": "chat", "authority_file": "/ca.pem"}
BUCKET = {"url": "https://s3.example.com", "bucket": "chat"}
KEYS = {name: Secret("str") for name in ("object_store_access_key", "object_store_secret_key")}


@pytest.mark.parametrize(
    ("given", "secrets", "words"),
    [
        ({"postgresql_major": "17", "object_store_uid": 7000}, KEYS, []),
        (
            {"gpuchat_database": EXTERNAL, "postgresql_major": "17", "postgresql_settings": {"a": 1}},
            {"gpuchat_database_password": Secret("str")},
            [
                (
                    "gpuchat_database is set, so postgresql_major, postgresql_settings have no effect; take "
                    "gpuchat_database away, or take them away"
                )
            ],
        ),
        (
            {"gpuchat_object_store": BUCKET, "object_store_uid": 7000},
            KEYS,
            [
                (
                    "gpuchat_object_store is set, so object_store_uid has no effect; take gpuchat_object_store away, "
                    "or take it away"
                )
            ],
        ),
        (
            {"gpuchat_interface": "open_webui", "object_store_uid": 7000},
            KEYS,
            [
                (
                    "gpuchat_interface is open_webui, which keeps files with its own data, so object_store_access_key, "
                    "object_store_secret_key, object_store_uid have no effect; set gpuchat_interface to lobehub, or "
                    "take them away"
                )
            ],
        ),
        ({"gpuchat_interface": "open_webui", "gpuchat_object_store": BUCKET}, KEYS, []),
    ],
    ids=["its own", "a database elsewhere", "a store elsewhere", "no store", "a store of Open WebUI's"],
)
def test_what_is_set_of_a_part_that_does_not_run_is_told(given, secrets, words):
    assert findings(secrets=secrets, **given) == ((), tuple(words))


def test_a_port_that_is_no_number_is_said_once():
    assert faults(edge_http_port="http") == (
        "edge_http_port is 'http'; wanted a whole number; set edge_http_port to 80",
    )


def test_services_on_different_hosts_may_use_one_port():
    spread = {"all": ["a", "b", "c"], "gpu": ["a"], "chat": ["b"], "edge": ["c"]}
    port = {"gpuchat_vllm_port": 3210}
    addresses = {host: {"gpuchat_private_address": f"10.0.0.{number}"} for number, host in enumerate("abc", 1)}
    assert faults(groups=spread, others=port, each=addresses, **port) == ()


def test_an_edge_beside_an_interface_leaves_the_port_of_the_rooms_door():
    groups = {"all": ["a", "b"], "gpu": ["a"], "chat": ["b"], "edge": ["b"]}
    port = {"gpuchat_vllm_port": 443}
    addresses = {"a": {"gpuchat_private_address": "10.0.0.1"}, "b": {"gpuchat_private_address": "10.0.0.2"}}
    (word,) = faults(groups=groups, others=port, each=addresses, **port)
    assert word == "gpuchat_vllm_port and edge_https_port are both 443; set one of them to another port (on b)"


def test_where_the_stack_spans_hosts_each_backend_needs_its_private_address():
    spread = {"all": ["a", "b", "c"], "gpu": ["a"], "chat": ["b"], "edge": ["c"]}
    (word,) = faults(groups=spread, gpuchat_private_address="10.0.0.1")
    assert word == (
        "gpuchat_private_address is not set, and the stack spans several hosts; set it to the address at "
        "which the other hosts reach this one (on b)"
    )


def test_a_private_address_that_cannot_be_templated_is_told_once():
    reason = "'ansible_host' is undefined"
    given = [("c", "gpuchat_private_address", reason)]
    each = {host: one for host, one in PRIVATE.items() if host != "c"}
    (word,) = faults(groups=SPLIT, each=each, untemplated=given)
    assert word == f"gpuchat_private_address cannot be templated: {reason}; fix its value (on c)"


def test_one_host_at_most_asks_for_metrics():
    two = {"monitoring": ["one", "two"]}
    (word,) = faults(groups=two, others={"gpuchat_private_address": "10.0.0.2"}, gpuchat_private_address="10.0.0.1")
    assert word == (
        "the group monitoring has 2 hosts (one, two); wanted one, which asks all others; leave one of them under "
        "monitoring: hosts:"
    )


def test_a_host_that_is_asked_for_metrics_or_asks_needs_its_private_address_where_there_are_others():
    assert faults(groups={"monitoring": ["one"]}) == ()
    spread = {"all": ["a", "b", "c"], "gpu": ["a"], "chat": ["a"], "edge": ["b"], "monitoring": ["c"]}
    (word,) = faults(groups=spread, gpuchat_private_address="10.0.0.1")
    assert word.startswith("gpuchat_private_address is not set, and the stack spans several hosts")
    assert word.endswith("(on b, c)")


def test_the_port_of_the_metrics_is_that_of_no_other_service_where_there_are_some():
    (word,) = faults(groups={"monitoring": ["one"]}, gpuchat_metrics_port=443)
    assert word == "edge_https_port and gpuchat_metrics_port are both 443; set one of them to another port"
    assert faults(gpuchat_metrics_port=443) == ()


@pytest.mark.parametrize(
    ("probe", "message"),
    [
        (
            "prob",
            (
                "gpuchat_probe_host is 'prob'; wanted a host of the inventory; set gpuchat_probe_host to one; did "
                "you mean probe?"
            ),
        ),
        (
            "elsewhere",
            "gpuchat_probe_host is 'elsewhere'; wanted a host of the inventory; set gpuchat_probe_host to one",
        ),
    ],
    ids=["near", "far"],
)
def test_a_probe_host_that_is_in_no_inventory_is_a_fault(probe, message):
    assert faults(gpuchat_probe_host=probe) == (message,)
    assert faults(gpuchat_probe_host="probe") == ()


@pytest.mark.parametrize(
    ("reason", "is_fact"),
    [
        ("'ansible_default_ipv4' is undefined", True),
        ("object of type 'dict' has no attribute 'default_ipv4'", True),
        ("'ansible_host' is undefined", False),
        ("object of type 'dict' has no attribute 'public_name'", False),
    ],
)
def test_a_fact_of_a_host_is_told_to_come_too_late(reason, is_fact):
    (word,) = faults(untemplated=[("one", "gpuchat_private_address", reason)])
    assert ("the inventory is checked before any fact of a host is gathered" in word) is is_fact


@pytest.mark.parametrize(
    ("first", "second", "own", "word"),
    [
        (
            {"vllm_version": "0.31.0"},
            {},
            {},
            "vllm_version differs between hosts of big, which spans them ('0.31.0' on ",
        ),
        ({"vllm_version": "0.31.0"}, {}, {"version": "0.32.0"}, ""),
        (
            {"vllm_args": {"max-num-seqs": 8}},
            {"vllm_args": {"max-num-seqs": 9}},
            {},
            "vllm_args differs between hosts of",
        ),
        ({"vllm_args": {"max-num-seqs": 8}}, {"vllm_args": {"max-num-seqs": 8}}, {}, ""),
    ],
)
def test_the_hosts_of_one_engine_run_the_same_vllm_in_the_same_way(first, second, own, word):
    spanning = {"gpuchat_models": [{"name": "big", "span": True, **own}]}
    each = {"g": {**PRIVATE["g"], **first}, "h": {**PRIVATE["h"], **second}, "c": PRIVATE["c"]}
    found = faults(groups=SPLIT, each=each, others=spanning, **spanning)
    assert [one[: len(word)] for one in found] == [word] * bool(word)


def test_a_value_that_differs_between_hosts_is_told_with_them_and_stays_short():
    models = [{"name": f"model-{number}"} for number in range(50)]
    (word,) = faults(groups=SPLIT, each=PRIVATE, gpuchat_models=models)
    assert "... on g, [{'name': 'qwen', 'path': '/srv/models/qwen'}] on h and c); wanted one value" in word
    assert len(word) < 400


@pytest.mark.parametrize(
    ("kind", "name", "word"),
    [
        ("group_vars", "all", ""),
        ("group_vars", "chat", ""),
        ("host_vars", "one", ""),
        ("host_vars", "localhost", ""),
        (
            "group_vars",
            "edges",
            "for the group 'edges', which the inventory does not have, so nothing in it has an effect",
        ),
        ("host_vars", "gpu", "for the host 'gpu', which the inventory does not have"),
    ],
)
def test_a_file_of_variables_for_a_group_or_host_that_there_is_not_is_told(kind, name, word):
    found, warnings = findings(sources=[Source(f"/x/{name}.yml", "", kind, name)])
    assert found == ()
    assert [word in one for one in warnings] == [True] * bool(word)


def test_a_variable_that_cannot_be_templated_is_a_fault():
    word = "gpuchat_domain cannot be templated: 'x' is undefined; fix its value"
    assert faults(untemplated=[("one", "gpuchat_domain", "'x' is undefined")]) == (word,)


@pytest.mark.parametrize(
    ("model", "described"),
    [
        ({"name": "m"}, ""),
        ({"name": "m", "source": "huggingface", "repo": "a/b"}, ""),
        ({"name": "m", "source": "http", "endpoints": ["http://files"]}, ""),
        ({"name": "m", "source": "huggingface"}, "set gpuchat_models[0].repo"),
        ({"name": "m", "source": "modelscope"}, "set gpuchat_models[0].repo"),
        ({"name": "m", "source": "http"}, "set gpuchat_models[0].endpoints"),
    ],
)
def test_a_models_source_needs_what_names_it_there(model, described):
    found = [fault for fault in faults(gpuchat_models=[model]) if "gpuchat_models[" in fault]
    assert bool(found) == bool(described)
    assert all(described in fault for fault in found)


def test_a_variable_that_cannot_be_templated_on_a_host_of_no_part_is_no_fault():
    assert faults(untemplated=[("somebody", "gpuchat_domain", "'x' is undefined")]) == ()


def test_a_fault_names_its_hosts_unless_it_holds_for_all():
    two = {"all": ["a", "b"], "gpu": ["a", "b"], "chat": ["a"], "edge": ["a"]}
    addresses = {"a": {"gpuchat_private_address": "10.0.0.1"}, "b": {"gpuchat_private_address": "10.0.0.2"}}
    one_of_two = faults(groups=two, each=addresses, gpuchat_xyzzy=1)
    both = faults(groups=two, each=addresses, others={"gpuchat_xyzzy": 1}, gpuchat_xyzzy=1)
    assert one_of_two == (f"gpuchat_xyzzy is no variable of gpuchat{SOMEBODYS} (on a)",)
    assert both == (f"gpuchat_xyzzy is no variable of gpuchat{SOMEBODYS}",)


def test_all_faults_are_found_at_once():
    assert faults(
        groups={"chat": []},
        gpuchat_domain="https://x",
        gpuchat_allowed_networks=["10.0.0.7/24"],
        gpuchat_modles=1,
        edge_http_port=8000,
        gpuchat_probe_host="prob",
    ) == (
        "the group chat is empty; wanted at least one host; add one under chat: hosts: in the inventory"
        + OTHERWISE["chat"],
        "gpuchat_modles is no variable of gpuchat; did you mean gpuchat_models?",
        (
            "gpuchat_domain is 'https://x'; wanted a host name such as chat.example.com, without https:// or a path; "
            "set gpuchat_domain to x"
        ),
        (
            "gpuchat_allowed_networks holds '10.0.0.7/24'; wanted a network such as 10.0.0.0/24; set "
            "gpuchat_allowed_networks to networks alone"
        ),
        "gpuchat_vllm_port and edge_http_port are both 8000; set one of them to another port",
        (
            "gpuchat_probe_host is 'prob'; wanted a host of the inventory; set gpuchat_probe_host to one; did you mean "
            "probe?"
        ),
    )


@pytest.mark.parametrize(
    ("key", "variable"),
    [
        ("port", "gpuchat_vllm_port"),
        ("served-model-name", "gpuchat_models.name"),
        ("served_model_name", "gpuchat_models.name"),
        ("--api-key", "gpuchat_vllm_engine_key"),
    ],
)
def test_what_the_role_sets_is_refused_with_the_variable_that_sets_it(key, variable):
    word = f"vllm_args holds {key}, which the role sets; wanted it in its own variable; set {variable}"
    assert faults(vllm_args={key: "x", "max-num-seqs": 8}) == (word,)


@pytest.mark.parametrize(
    ("variable", "key", "reason"),
    [
        ("vllm_args", "ssl-keyfile", "the edge speaks TLS"),
        ("vllm_args", "data_parallel_rank", "the engine would wait for others, which no role starts"),
        (
            "vllm_environment",
            "VLLM_HOST_IP",
            "the engine's processes talk there without asking who is there, and the role says where",
        ),
    ],
)
def test_what_would_open_or_break_the_engine_is_refused_with_the_reason(variable, key, reason):
    (word,) = faults(**{variable: {key: "1"}})
    assert word == f"{variable} holds {key}; wanted it not to be set, for {reason}; take it out of {variable}"


@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"])
def test_which_gpus_an_engine_sees_is_said_by_its_model_alone(name):
    (word,) = faults(vllm_environment={name: "1"})
    assert word.endswith("wanted it in its own variable; set gpuchat_models.gpus")
    (word,) = faults(gpuchat_models=[{"name": "a", "environment": {name: "1"}}])
    assert word.startswith(f"gpuchat_models[0].environment holds {name}, which the role sets")


@pytest.mark.parametrize(
    ("version", "is_fault"), [("0.9.2", True), ("0.10.0", True), ("0.10.1.1", False), ("1.0", False)]
)
def test_an_engine_that_cannot_listen_on_a_socket_is_a_fault_where_it_is_to_run(version, is_fault):
    assert (
        any(fault.startswith(f"vllm_version is {version}, which") for fault in faults(vllm_version=version)) is is_fault
    )
    assert flags.FLAGS["uds"][0][0] == OLDEST_VLLM


@pytest.mark.parametrize("gpus", ["auto", "all", 1, "2", [0, 1], ["0"], ["GPU-5c1b"], ["MIG-5c1b/1/0"]])
def test_gpus_may_be_counted_or_named_by_index_or_uuid(gpus):
    assert faults(gpuchat_models=[{"name": "m", "gpus": gpus}]) == ()


@pytest.mark.parametrize("gpus", ["first", 0, "0", -1, [], {"a": 1}, True, "0-1", "0,7", 0.5, "GPU-5c1b", [-1]])
def test_what_names_no_gpu_is_a_fault(gpus):
    (word,) = faults(gpuchat_models=[{"name": "m", "gpus": gpus}])
    assert word == (
        f"gpuchat_models[0].gpus is {gpus!r}; wanted auto, all, how many, or a list of GPUs by index or UUID; set "
        "gpuchat_models[0].gpus to auto, 2 or [0, 1]"
    )


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        (Secret("str", False, True), ""),
        (Secret("str", False, False), "holds other characters than letters, digits and"),
        (Secret("str", True, False), "is empty; wanted a secret"),
        (Secret("dict"), "is no text; wanted one"),
        (Secret("none"), "is no text; wanted one"),
        (Secret("int", length=2), "is a number, whose digits YAML may have changed; wanted a text"),
        (Secret("str", length=4), "has 4 characters, which can be guessed; wanted 16 or more"),
    ],
)
def test_a_secret_is_judged_without_being_seen(secret, message):
    found = faults(secrets={"gpuchat_api_key": secret})
    assert (message in "".join(found)) if message else found == ()


@pytest.mark.parametrize(
    ("name", "secret", "words"),
    [
        ("model_token", Secret("str", odd={"0": "odd"}), "model_token is no token that a header can hold; wanted"),
        ("toolbox_index_url", Secret("str", odd={"0": "odd"}), "toolbox_index_url is no address of a package index"),
        ("uv_extra_index_urls", Secret("list", odd={"1": "odd"}), "uv_extra_index_urls[1] is no address of a package"),
    ],
)
def test_of_a_secret_with_a_form_it_is_told_that_it_has_another(name, secret, words):
    (word,) = faults(secrets={name: secret})
    assert word.startswith(words)
    assert f"; set {name} to " in word
    assert faults(secrets={name: replace(secret, odd={})}) == ()


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        (
            "gpuchat_database",
            {"password": "x"},
            "gpuchat_database holds password; wanted it in a variable of its own; ",
        ),
        ("gpuchat_sso", {"client_secret": "x"}, "set gpuchat_sso_client_secret, for instance in a vault, and take"),
        ("gpuchat_object_store", {"access_key": "x"}, "set object_store_access_key, for instance in a vault, and take"),
        ("gpuchat_database", {"sslmode": "require"}, "gpuchat_database holds sslmode; wanted no other names than host"),
    ],
)
def test_a_secret_in_the_mapping_that_it_belongs_to_is_told_with_its_own_variable(name, given, words):
    known = {name: {"type": "dict", "options": {"host": {"type": "str"}}}}
    secrets = ("gpuchat_database_password", "gpuchat_sso_client_secret", "object_store_access_key")
    options = {**SPECIFICATION.roles["stack"], **known, **{one: {"type": "str", "no_log": True} for one in secrets}}
    inventory = Inventory(ONE_HOST, {"one": {**GOOD, name: given}})
    (word,) = find_faults(inventory, Specification({**SPECIFICATION.roles, "stack": options})).faults
    assert words in word


@pytest.mark.parametrize(
    ("length", "is_theirs", "is_fault"), [(10, True, False), (10, False, True), (16, False, False)]
)
def test_keys_of_somebody_elses_store_are_as_long_as_that_store_has_made_them(length, is_theirs, is_fault):
    store = {"gpuchat_object_store": {"url": "https://s3.example.com", "bucket": "chat"}} if is_theirs else {}
    keys = {name: Secret("str", length=length) for name in ("object_store_access_key", "object_store_secret_key")}
    options = {**SPECIFICATION.roles["stack"], "gpuchat_object_store": {"type": "dict", "default": {}}}
    inventory = Inventory(ONE_HOST, {"one": {**GOOD, **store}}, (), {"one": keys})
    found = find_faults(inventory, Specification({**SPECIFICATION.roles, "stack": options})).faults
    assert [text.partition(",")[0] for text in found] == ["object_store_secret_key has 10 characters"] * is_fault


def test_a_secret_that_is_json_may_hold_what_json_holds():
    assert faults(secrets={"lobehub_jwks_key": Secret("str", is_plain=False, length=1600)}) == ()


def test_secrets_that_a_variable_gives_are_listed():
    inventory = Inventory(ONE_HOST, {"one": GOOD}, (), {"one": {"gpuchat_api_key": Secret("str")}})
    assert given_secrets(inventory) == {"one": ["api_key"]}


def test_of_an_inventory_that_could_not_be_read_nothing_is_said_to_be_missing():
    nothing = {"gpuchat_domain": None, "gpuchat_allowed_networks": None, "gpuchat_models": None}
    sources = [Source("/x.yml", "does not exist"), Source("/y")]
    for groups in ({"gpu": [], "chat": [], "edge": []}, {}):
        assert faults(groups=groups, sources=sources, **nothing) == ("the inventory /x.yml does not exist",)
    assert len(faults(gpuchat_domain="https://x.example.com", sources=sources)) == 2
    assert len(faults(groups={"gpu": []}, sources=[Source("/x/all.yml", "names a twice", "group_vars", "all")])) == 2


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("all", "the file /x/all.yml.txt is for the group 'all' and has no effect, for Ansible reads no such file"),
        ("notes", ""),
    ],
)
def test_a_file_of_variables_that_ansible_leaves_aside_is_told_where_there_is_such_a_group(name, word):
    source = Source(f"/x/{name}.yml.txt", "", "group_vars", name, "Ansible reads no such file")
    assert findings(sources=[source]) == ((), (word,) if word else ())


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        pytest.param(["docker"], [], id="what needs nothing"),
        pytest.param(["vllm"], ["the group gpu is empty"], id="a model server"),
        pytest.param(["edge"], ["the group gpu is empty", "the group chat is empty"], id="the edge"),
    ],
)
def test_a_role_alone_wants_no_more_than_it_needs(parts, named):
    found = faults(groups={"gpu": [], "chat": [], "edge": ["one"]}, parts=parts, gpuchat_domain=None)
    wanted = [fault for fault in found if fault.startswith("the group")]
    assert [fault.partition(";")[0] for fault in wanted] == named
    assert any(fault.startswith("gpuchat_domain is not set") for fault in found) == ("edge" in parts)


def test_parts_are_known_by_their_short_names():
    assert known_parts(["gpuchat.stack.edge", "docker", "somebody.else"]) == ["docker", "edge"]
    assert "vllm" in known_parts([])


TWO = {"all": ["a", "b"], "gpu": ["a", "b"], "chat": ["a"], "edge": ["a"]}


def addresses(first, second):
    return {"a": {"gpuchat_private_address": first}, "b": {"gpuchat_private_address": second}}


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("10.0.0.1", "10.0.0.1", "gpuchat_private_address is 10.0.0.1 on a and on b; wanted each host's own"),
        ("10.0.0.1", "10.0.0.1", "or give one machine one name in all of its groups"),
        ("10.0.0.1", "127.0.0.1", "gpuchat_private_address is '127.0.0.1'; wanted one IPv4 address of this host"),
        ("10.0.0.1", "224.0.0.1", "gpuchat_private_address is '224.0.0.1'; wanted one IPv4 address of this host"),
        ("10.0.0.1", "255.255.255.255", "gpuchat_private_address is '255.255.255.255'; wanted one IPv4 address"),
        ("10.0.0.1", "172.16.255.250", "is 172.16.255.250, which is in gpuchat_room_network; wanted a network for the"),
    ],
)
def test_each_host_has_an_address_of_its_own_at_which_another_one_can_reach_it(first, second, words):
    room = {"gpuchat_room_network": "172.16.255.248/29"}
    (word,) = faults(groups=TWO, each=addresses(first, second), others=room, **room)
    assert words in word


def test_the_group_of_monitoring_is_not_left_out_for_its_capital_letter():
    (word,) = faults(groups={"Monitoring": ["one"]})
    assert word == (
        "the group Monitoring is none of gpuchat's; wanted it as monitoring, in small letters; rename the group"
    )


@pytest.mark.parametrize(
    "network",
    ["fe80::%eth0/64", "fe80::1%} allow all; {", "::1%a\nb", "fe80::1%eth0"],
    ids=["name", "nginx", "line", "one"],
)
def test_a_network_has_no_zone_which_might_be_any_text(network):
    (word,) = faults(gpuchat_allowed_networks=[network])
    assert word.startswith("gpuchat_allowed_networks holds ")
    assert word.endswith("; set gpuchat_allowed_networks to networks alone")


@pytest.mark.parametrize("version", ["latest", "nightly", "main"])
def test_a_version_that_is_none_is_not_said_to_be_an_old_one_too(version):
    (word,) = faults(vllm_version=version)
    assert word.startswith(f"vllm_version is '{version}'; wanted a version such as")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("sql=/srv/loras/sql", ""),
        (["sql=/srv/loras/sql", '{"name": "b", "path": "/x"}', {"name": "c", "path": "/x"}], ""),
        ({"sql": "/srv/loras/sql"}, "vllm_args holds {'sql': '/srv/loras/sql'} in its lora-modules; wanted NAME=PATH"),
        (["sql"], "vllm_args holds 'sql' in its lora-modules; wanted NAME=PATH"),
        (["a b=/x"], "vllm_args holds 'a b=/x' in its lora-modules"),
        (['"; return 200;#=/x'], "in its lora-modules; wanted NAME=PATH"),
        ([5], "vllm_args holds 5 in its lora-modules"),
    ],
)
def test_an_adapter_has_a_name_by_which_it_can_be_asked_for(given, words):
    found = faults(vllm_args={"lora-modules": given})
    own = faults(gpuchat_models=[{"name": "q", "args": {"lora-modules": given}}])
    assert len(found) == len(own) == bool(words), found
    assert words in "".join(found)
    assert words.replace("vllm_args", "gpuchat_models[0].args") in "".join(own)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"name": "qwen3:8b"}, "gpuchat_models[0].path to /srv/models/qwen3-8b"),
        ({"name": "qwen3:8b", "path": "/srv/models/qwen3-8b"}, ""),
        ({"name": "q", "gpus": [0, "0"]}, "gpuchat_models[0].gpus is [0, '0'], which names one twice"),
    ],
)
def test_a_models_folder_and_gpus_are_such_as_a_container_can_be_lent(model, words):
    found = faults(gpuchat_models=[model])
    assert len(found) == bool(words), found
    assert words in "".join(found)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"gpuchat_allowed_networks": ["2001:db8::/32"]}, ""),
        ({"gpuchat_allowed_networks": ["2001:db8::/32", "10.0.0.0/8"], "edge_ipv6": False}, ""),
        (
            {"gpuchat_allowed_networks": ["2001:db8::/32"], "edge_ipv6": "no"},
            "edge_ipv6 is false and gpuchat_allowed_networks holds networks of IPv6 alone",
        ),
        ({"gpuchat_domain": "2001:db8::1"}, ""),
        (
            {"gpuchat_domain": "2001:db8::1", "edge_ipv6": False},
            "edge_ipv6 is false and people open the chat at 2001:db8::1",
        ),
        (
            {"edge_extra_names": ["fd00::1"], "edge_ipv6": False},
            "edge_ipv6 is false and people open the chat at fd00::1",
        ),
    ],
)
def test_an_edge_that_does_without_ipv6_has_names_and_people_that_do_so_too(given, words):
    found = faults(**given)
    assert len(found) == bool(words), found
    assert words in "".join(found)


ROOM = {"gpuchat_room_network": "10.1.0.0/16"}
APART = {"all": ["e", "c"], "gpu": ["e"], "chat": ["c"], "edge": ["e"]}


@pytest.mark.parametrize(
    ("groups", "given", "words"),
    [
        (ONE_HOST, {"gpuchat_allowed_networks": ["10.0.0.0/8"]}, ""),
        (ONE_HOST, {"gpuchat_allowed_networks": ["10.1.2.0/24"]}, "gpuchat_allowed_networks holds 10.1.2.0/24"),
        pytest.param(APART, {"gpuchat_allowed_networks": ["10.1.2.0/24"]}, "", id="an edge that has no room"),
        (ONE_HOST, {"gpuchat_endpoints": ["http://10.1.2.3:1/v1"]}, "gpuchat_endpoints holds 10.1.2.3"),
        (APART, {"gpuchat_endpoints": ["http://10.1.2.3:1/v1"]}, "gpuchat_endpoints holds 10.1.2.3"),
        (ONE_HOST, {"gpuchat_endpoints": ["http://10.2.2.3:1/v1"]}, ""),
        (ONE_HOST, {"gpuchat_mcp_servers": ["http://10.1.2.3:1/mcp"]}, "gpuchat_mcp_servers holds 10.1.2.3"),
        (ONE_HOST, {"gpuchat_proxy": {"http": "http://10.1.2.3:3128"}}, "gpuchat_proxy holds 10.1.2.3"),
        (ONE_HOST, {"gpuchat_proxy": {"http": "http://(secret)@10.1.2.3:3128"}}, "gpuchat_proxy holds 10.1.2.3"),
        (ONE_HOST, {"gpuchat_proxy": {"http": "http://proxy:3128"}}, ""),
    ],
)
def test_what_lies_in_the_interfaces_room_gets_no_answer_from_its_host(groups, given, words):
    entries = {
        name: [{"name": "a", "url": url, "models": ["a"]} for url in value]
        for name, value in given.items()
        if name in ("gpuchat_endpoints", "gpuchat_mcp_servers")
    }
    each = {"e": {"gpuchat_private_address": "10.9.0.1"}, "c": {"gpuchat_private_address": "10.9.0.2"}}
    more = {**ROOM, **given, **entries}
    found = faults(groups=groups, each=each if groups is APART else {}, others=more, **more)
    assert len(found) == bool(words), found
    assert words in "".join(found)


@pytest.mark.parametrize(
    ("groups", "url", "fault", "warning"),
    [
        pytest.param(ONE_HOST, "http://127.0.0.1:11434/v1", "", "", id="a server beside the stack"),
        pytest.param(ONE_HOST, "http://10.9.0.1:11434/v1", "", "", id="a server of another"),
        (ONE_HOST, "http://127.0.0.1:8000/v1", "gpuchat_vllm_port on one", ""),
        (ONE_HOST, "http://localhost:8000/v1", "gpuchat_vllm_port on one", ""),
        (ONE_HOST, "http://127.0.0.1/v1", "edge_http_port on one", ""),
        pytest.param(ONE_HOST, "http://127.0.0.1:3210/v1", "", "", id="the interface has its port in its room"),
        (APART, "http://10.9.0.1:8000/v1", "gpuchat_vllm_port on e", ""),
        (APART, "http://10.9.0.2:3210/v1", "gpuchat_interface_port on c", ""),
        (APART, "http://10.9.0.2:8000/v1", "", ""),
        (APART, "http://127.0.0.1:8000/v1", "gpuchat_vllm_port on e", ""),
        (APART, "http://127.0.0.1:11434/v1", "", "which each host has for itself, and e, c ask it"),
        (APART, "http://[::1]:11434/v1", "", "which each host has for itself, and e, c ask it"),
        (APART, "http://localhost:11434/v1", "", "which each host has for itself, and e, c ask it"),
    ],
)
def test_somebody_elses_server_is_no_door_of_the_stacks_and_is_the_same_for_all_who_ask(groups, url, fault, warning):
    each = {"e": {"gpuchat_private_address": "10.9.0.1"}, "c": {"gpuchat_private_address": "10.9.0.2"}}
    more = {"gpuchat_endpoints": [{"name": "a", "url": url, "models": ["a"]}]}
    found, warnings = findings(groups=groups, each=each if groups is APART else {}, others=more, **more)
    assert (len(found), len(warnings)) == (bool(fault), bool(warning)), (found, warnings)
    assert fault in "".join(found)
    assert warning in "".join(warnings)


@pytest.mark.parametrize(
    ("groups", "url", "word"),
    [
        (
            ONE_HOST,
            "http://127.0.0.1:8000/mcp",
            "[0].url is 'http://127.0.0.1:8000/mcp', which is the stack's own, gpu",
        ),
        (ONE_HOST, "http://127.0.0.1:9000/mcp", ""),
        pytest.param(APART, "http://127.0.0.1:9000/mcp", "", id="the chat's host alone asks"),
        pytest.param(APART, "http://127.0.0.1:443/mcp", "", id="another host's port"),
        (APART, "http://10.9.0.1:8000/mcp", "which is the stack's own, gpuchat_vllm_port on e"),
    ],
)
def test_a_tool_server_is_no_door_of_the_stacks(groups, url, word):
    each = {"e": {"gpuchat_private_address": "10.9.0.1"}, "c": {"gpuchat_private_address": "10.9.0.2"}}
    more = {"gpuchat_mcp_servers": [{"name": "a", "url": url}]}
    found, warnings = findings(groups=groups, each=each if groups is APART else {}, others=more, **more)
    assert (len(found), warnings) == (bool(word), ()), found
    assert word in "".join(found)


FETCHED = {"source": "huggingface", "repo": "Qwen/Qwen3-8B"}


@pytest.mark.parametrize(
    ("path", "more", "words"),
    [
        ("/srv/models/qwen", {"docker_data_root": "/srv/models/docker"}, ""),
        ("/srv/docker/qwen", {"docker_data_root": "/srv/docker"}, ""),
        (
            "/srv/docker",
            {"docker_data_root": "/srv/docker/"},
            "/srv/docker, which holds docker_data_root (/srv/docker)",
        ),
        ("/data", {"docker_data_root": "/data/docker"}, "/data, which holds docker_data_root (/data/docker)"),
        ("/data", {"backup_target": "/data/backup"}, "/data, which holds backup_target (/data/backup)"),
        ("/data", {"backup_target": "sftp:nas:/data/backup"}, ""),
        ("/data", {"gpuchat_toolbox": "/data/toolbox"}, "/data, which holds gpuchat_toolbox (/data/toolbox)"),
        ("/database", {"docker_data_root": "/data/docker"}, ""),
        ("/srv/", {}, "/srv, which holds what is others' (/srv)"),
        pytest.param("/home", {}, "gpuchat_models[0].path is '/home'; wanted a path", id="which is told once"),
        ("/var/lib", {}, "/var/lib, which holds what is others' (/var/lib)"),
        ("/opt/gpuchat", {}, "/opt/gpuchat, which holds gpuchat_toolbox (/opt/gpuchat/toolbox)"),
        ("/home/alice/qwen", {}, ""),
        pytest.param(
            "/srv", {"gpuchat_models": [{"name": "qwen", "path": "/srv"}]}, "", id="a folder that is only read"
        ),
    ],
)
def test_a_folder_that_a_download_exchanges_holds_nothing_else(path, more, words):
    found = faults(**{"gpuchat_models": [{"name": "qwen", "path": path, **FETCHED}], **more})
    assert len(found) == bool(words), found
    assert words in "".join(found)


@pytest.mark.parametrize(
    ("logins", "words"),
    [
        ([{"registry": "harbor:5000", "username": "u", "password": "(secret)"}], ""),
        ([{"registry": "harbor:99999", "username": "u", "password": "(secret)"}], "names the registry 'harbor:99999'"),
        *(
            ([{"registry": name, "username": "u", "password": "(secret)"}], "set its registry to docker.io")
            for name in ("https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io", "Docker.io")
        ),
        ([{"registry": "docker.io", "username": "u", "password": "(secret)"}], ""),
        ([{"registry": "...", "username": "u", "password": "(secret)"}], "names the registry '...'"),
        ([{"registry": "a", "username": "u:x", "password": "(secret)"}], "the username 'u:x' for a; wanted one word"),
        (
            [{"registry": "a", "username": "u\nx", "password": "(secret)"}],
            "the username 'u\\nx' for a; wanted one word",
        ),
        ([{"registry": "a", "username": "u", "password": "(number)"}], "a number, whose digits YAML may have changed"),
        ([{"registry": "a", "username": "u", "password": "(several lines)"}], "a text of several lines"),
        ([{"registry": "a", "username": "u", "password": "(secret)"}] * 2, "names a twice"),
    ],
)
def test_a_login_is_one_that_a_registry_can_take(logins, words):
    found = faults(gpuchat_registry_logins=logins)
    assert len(found) == bool(words), found
    assert words in "".join(found)


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ("(number)", "a_secrets.team is a number, whose digits YAML may have changed"),
        ("(several lines)", "a_secrets.team is a text of several lines; wanted a text of one line"),
        ("empty", "a_secrets.team is empty; wanted a text of one line"),
        ("no text", "a_secrets.team is no text; wanted a text of one line"),
    ],
)
def test_a_secret_among_others_is_a_text_of_one_line(odd, words):
    known = Specification({"stack": dict(SPECIFICATION.roles["stack"]), "a": {"a_secrets": {"type": "dict"}}})
    secret = Secret("dict", names=["team"], odd={"team": odd})
    found = find_faults(Inventory(ONE_HOST, {"one": GOOD}, (), {"one": {"a_secrets": secret}}), known)
    (word,) = found.faults
    assert words in word


def test_of_a_database_whose_form_is_wrong_it_is_not_said_that_it_is_missing():
    known = Specification({"stack": {**SPECIFICATION.roles["stack"], **DATABASE}, "edge": SPECIFICATION.roles["edge"]})
    secret = {"gpuchat_database_password": Secret("str")}
    one = {**GOOD, "gpuchat_database": "postgres://me:hunter2@db.example.com/chat"}
    (word,) = find_faults(Inventory(ONE_HOST, {"one": one}, (), {"one": secret}), known).faults
    assert word.startswith("gpuchat_database is 'postgres://(secret)@db.example.com/chat'; wanted a mapping")


DATABASE = {"gpuchat_database": {"type": "dict", "default": {}, "options": {"host": {"type": "str"}}}}


@pytest.mark.parametrize(
    ("supervisor", "is_fault"), [("compose", False), ("systemd", True), ("quadlet", True), ("venv", True)]
)
def test_a_value_of_several_lines_is_told_where_units_read_lines(supervisor, is_fault):
    models = [{"name": "q", "environment": {"A": "(several lines)", "B": ""}}]
    each = {"b": {"gpuchat_supervisor": supervisor, "gpuchat_private_address": "10.0.0.2"}}
    each["a"] = {"gpuchat_private_address": "10.0.0.1"}
    groups = {"all": ["a", "b"], "gpu": ["b"], "chat": ["a"], "edge": ["a"]}
    found = faults(groups=groups, each=each, others={"gpuchat_models": models}, gpuchat_models=models)
    assert len(found) == is_fault, found
    assert not found or "holds a line break in A, and gpuchat_supervisor is" in found[0]
