# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the preflight makes of every public variable, right and wrong."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import forms, playbooks
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.given import (
    Specification,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.idle import (
    SPEAK_OF,
)
from ansible_collections.gpuchat.stack.plugins.modules import gpuchat_preflight

ROOT = pathlib.Path(__file__).resolve().parents[4]
ROLES = {
    path.parents[1].name: next(iter(yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values()))[
        "options"
    ]
    for path in sorted(ROOT.glob("roles/*/meta/argument_specs.yml"))
}
OPTIONS = {**playbooks.OPTIONS, **{name: option for options in ROLES.values() for name, option in options.items()}}
GOOD = {
    "gpuchat_domain": "chat.example.com",
    "gpuchat_allowed_networks": ["10.0.0.0/24"],
    "gpuchat_models": [{"name": "qwen", "path": "/srv/models/qwen"}],
}
GROUPS = {"all": ["one"], "gpu": ["one"], "chat": ["one"], "edge": ["one"]}
EMPTY = {
    "parts": [],
    "secrets": {},
    "others": {},
    "untemplated": [],
    "sources": [],
    "play_hosts": [],
    "certificates": {},
    "certificate_keys": {},
    "files": {},
    "people": {},
    "endpoint_problems": [],
    "chat_secrets": {},
}


LEFT_OUT = object()


def check(warn=lambda _warning: None, groups=None, parts=(), **variables):
    """Return the module's result for a good inventory with some variables changed; LEFT_OUT leaves one out."""
    given = {name: value for name, value in {**GOOD, **variables}.items() if value is not LEFT_OUT}
    secrets = {
        name: {"kind": type(given.pop(name)).__name__, "is_empty": False, "is_plain": True}
        for name in list(given)
        if OPTIONS.get(name, {}).get("no_log")
    }
    params = {**EMPTY, "groups": {**GROUPS, **(groups or {})}, "variables": {"one": given}, "parts": list(parts)}
    return gpuchat_preflight.work({**params, "secrets": {"one": secrets}, "roles": ROLES}, warn)


def warnings(**variables):
    """Return what is warned of an inventory without a fault."""
    found = []
    check(found.append, **variables)
    return found


def faults(**variables):
    try:
        check(**variables)
    except Refusal as refusal:
        return refusal.result["faults"]
    return ()


WRONG = {
    "str": [["a", "b"], {"a": 1}, True],
    "path": [["/a"], {"a": 1}, False],
    "int": ["many", 1.5, [1], {"a": 1}, True],
    "float": ["many", [1.5], {"a": 1}, True],
    "bool": ["perhaps", [True], {"a": 1}, 7],
    "list": ["a", {"a": 1}, 5],
    "dict": ["a=b", ["a"], 5, '{"a": 1}'],
    "raw": [{"a": 1}, [], True, "some of them"],
}
"""Values of another type, by the type that is wanted."""

OUT_OF_RANGE = {
    **{name: [low - 1, high + 1] for name, (low, high) in forms.RANGES.items() if name != "verify_open_ports"},
    "verify_open_ports": [[22, 70000], [0]],
    "gpuchat_private_address": ["10.0.0", "gpu1", "0.0.0.0", "::1"],
    "gpuchat_probe_host": ["elsewhere"],
    "gpuchat_allowed_networks": [[], ["10.0.0.7/24"], ["office"]],
    "gpuchat_registry_map": [
        *({"Docker.io": "m"}, {"index.docker.io": "m"}, {"hub.docker.com": "m"}, {"GHCR.io:443": "m"}),
        {"http://docker.io": "m"},
        {"docker.io": "http://m"},
        {"docker.io": 5},
        {"docker.io": ""},
    ],
    "gpuchat_registry_mirrors": [
        *(["mirror.example.com"], ["ftp://m"], [""], ["https://me:secret@m.example.com"]),
        *(["https://m.example.com/?a=b"], ["https://m.example.com/#hub"]),
    ],
    "gpuchat_registry_logins": [
        [{"registry": "https://harbor.example.com", "username": "a", "password": "(secret)"}],
        [{"registry": "harbor.example.com/proxy", "username": "a", "password": "(secret)"}],
        [{"registry": "harbor.example.com", "username": "a", "password": ""}],
        [{"registry": "harbor.example.com", "password": "(secret)"}],
        [{"registry": "Harbor.example.com", "username": "a", "password": "(secret)"}],
        [{"registry": "registry-1.docker.io", "username": "a", "password": "(secret)"}],
    ],
    "gpuchat_insecure_registries": [["http://m:5000"], ["m:port"], ["M:5000"]],
    "gpuchat_models": [
        [],
        [{}],
        [{"name": "x", "source": "hugging-face"}],
        [{"name": "x", "source": "huggingface"}],
        [{"name": "x", "source": "huggingface", "repo": "Qwen3-8B"}],
        [{"name": "x", "repo": "Qwen/Qwen3-8B"}],
        [{"name": "x", "sorce": "path"}],
        [{"name": "a b"}],
        [{"name": "x", "path": "models/x"}],
        [{"name": "x", "source": "http", "endpoints": ["files"]}],
        [{"name": "x"}, {"name": "x"}],
        [{"name": "x"}, {"name": "X", "aliases": ["y"]}],
        [{"name": "x"}, {"name": "y", "aliases": ["x"]}],
        [{"name": "x", "hosts": ["two"]}],
        [{"name": "x", "hosts": ["chta"]}],
        [{"name": "x", "gpus": "0"}],
        [{"name": "x", "gpus": "first"}],
        [{"name": "x", "gpus": [0, "x"]}],
        [{"name": "x", "gpus": []}],
        [{"name": "x", "users": "many"}],
        [{"name": "x", "context": "8k"}],
        [{"name": "x", "version": "0.9.2"}],
        [{"name": "x", "args": {"served-model-name": "y"}}],
        [{"name": "x", "task": "embedding"}],
    ],
    "gpuchat_endpoints": [
        [{"name": "lm", "url": "10.0.0.9:1234", "models": ["a"]}],
        [{"name": "lm", "url": "https://10.0.0.9:1234/v1", "models": ["a"]}],
        [{"name": "lm", "url": "https://[fd00::1]/v1", "models": ["a"]}],
        [{"name": "lm", "url": "http://me:secret@10.0.0.9/v1", "models": ["a"]}],
        [{"name": "lm", "url": "http://10.0.0.9:1234/v1/chat/completions", "models": ["a"]}],
        [{"name": "lm", "url": "http://10.0.0.9/$x", "models": ["a"]}],
        [{"name": "LM Studio", "url": "http://10.0.0.9:1234/v1", "models": ["a"]}],
        [{"name": "lm", "url": "http://10.0.0.9:1234/v1", "models": []}],
        [{"name": "lm", "url": "http://10.0.0.9:1234/v1", "models": ["qwen"]}],
        [{"name": "lm", "url": "http://10.0.0.9:1234/v1", "models": ['a"']}],
        [{"name": "lm", "url": "http://10.0.0.9:1234/v1", "models": [{"name": "a", "model": "b"}]}],
        [{"name": "lm", "url": "http://10.0.0.9:1234/v1", "models": ["a"], "timeout": 0}],
        [{"name": "lm", "url": "http://10.0.0.9:1234/v1", "models": ["a"], "key": "(not plain)"}],
        [{"name": "lm", "url": "http://10.0.0.9:1234/v1", "models": ["a"], "authority_file": "/ca.pem"}],
        [{"name": "lm", "url": "http://a/v1", "models": ["a"]}, {"name": "lm", "url": "http://b/v1", "models": ["b"]}],
        [{"name": "lm", "url": "", "models": ["a"]}],
        [{"name": "", "url": "http://10.0.0.9:1234/v1", "models": ["a"]}],
        [{"name": "lm", "url": "http://10.0.0.9:1234/v1", "models": ["a"], "timeout": -1}],
    ],
    "gpuchat_database": [{"host": "db.example.com", "name": 5, "user": "chat", "authority_file": "/ca.pem"}],
    "nvidia_driver_packages": [[""], ["-y"], ["two words"]],
    "postgresql_packages": [[""], ["--force-yes"], ["postgresql-17 nginx"]],
    "vllm_packages": [[""], ["--index-url=http://h/"], [" vllm"]],
    "vllm_cpu_packages": [[""], ["-r x"]],
    "gpuchat_interface": ["openwebui", "none"],
    "gpuchat_context": ["8k", "long", 0, -1],
    "gpuchat_users": ["many", 0],
    "docker_address_pools": [
        [{"base": "10.0.0.0/16"}],
        [{"base": "office", "size": 24}],
        [{"base": "10.0.0.0/16", "size": 8}],
        [{"base": "10.0.0.0/16", "size": 33}],
        [{"base": "10.0.0.0/16", "size": "24"}],
    ],
    "edge_extra_names": [["https://x"], ["a b"]],
    "edge_forward_auth": [
        "http://auth.example.com/verify",
        "https://a.example.com/$request_uri",
        "https://a.example/;",
    ],
    "edge_forward_auth_signin": ["https://auth.example.com/?rd=", 'https://a.example.com/"'],
    "edge_forward_auth_headers": [["Remote-User"], ["Cookie"], ["Remote User"]],
    "edge_tls": ["letsencrypt", "acme", "provided"],
    "edge_acme_directory": ["http://acme.example.com", "letsencrypt", "https://a:99999/dir", "https://0.0.0.0/dir"],
    "edge_acme_email": ["me"],
    "edge_acme_challenge": ["tls"],
    "vllm_version": ["v0.32.0", "newest"],
    "vllm_args": [{"host": "0.0.0.0"}, {"served-model-name": "x"}, {"uds": "/x"}],
    "vllm_environment": [{"VLLM_API_KEY": "x"}, {"A": []}, {"A B": ""}],
    "plan_gpus": [["NVIDIA L40S"]],
    "toolbox_trusted_hosts": [["http://m"]],
    "verify_question": ["  ", "a\x00b", "x" * 5000],
    "verify_answer": ["a\u202eb"],
    "plan_folder": ["/a\nb", "/" + "x" * 5000],
    "account_name": ["a\nb", " ", "x" * 200],
    "gpuchat_toolbox": ["/", "/usr", "/opt/../etc", "~"],
    "gpuchat_folder": ["/", "/etc/"],
    "docker_data_root": ["/", "/var", "/srv/.."],
    "gpuchat_secrets_file": ["/", "/etc"],
    "edge_body_limit": [10**19],
    "door_stream_timeout": [10**19, "5 "],
    "backup_keep": [{"": ""}, {1: 2}, {"a": 1}, {"daily": "all"}, {"daily": -1}, {}, {"daily": 0}],
    "postgresql_settings": [{"": ""}, {1: 2}, {"max connections": 5}, {"max_connections": [5]}, {"a": "x\ny"}],
    "docker_settings": [{"": 1}, {1: 2}, {" ": 1}],
    "backup_environment": [{"": ""}, {"9A": "x"}, {"a b": "x"}, {"A": {"b": 1}}, {"A": None}],
    "open_webui_environment": [{"A": []}, {"A=B": ""}],
}
BAD_TEXT = "no \t such: thing!"


def misspelt(name):
    """Return a name as hands that hurry write it."""
    middle = len(name) // 2
    yield name[:middle] + name[middle + 1 :]
    yield name.replace("_", "", 1)
    if name[middle] != name[middle + 1]:
        yield name[:middle] + name[middle + 1] + name[middle] + name[middle + 2 :]


def wrong_inventories():
    for name, option in OPTIONS.items():
        for value in [*WRONG[option.get("type", "str")], *OUT_OF_RANGE.get(name, [])]:
            yield name, {name: value}
        if not option.get("no_log"):
            yield name, {name: None}
        has_form = name in forms.FORMS and forms.FORMS[name] is not forms.TEXT and option["type"] in ("str", "path")
        if option.get("choices") or has_form:
            yield name, {name: BAD_TEXT}
        for wrong in misspelt(name):
            if wrong not in OPTIONS:
                yield wrong, {wrong: option.get("default", "x")}
    for name in GOOD:
        yield name, {name: LEFT_OUT}


CASES = list(wrong_inventories())
ANSIBLES_OR_PYTHONS = re.compile(
    r"Traceback|<class|argument |Supported parameters|missing required|object at 0x|NoneType"
)


def test_there_are_some_hundreds_of_wrong_inventories_and_some_for_each_variable():
    assert len(CASES) > 500
    assert {name for name, _variables in CASES} >= set(OPTIONS)


@pytest.mark.parametrize(
    ("name", "variables"), CASES, ids=[f"{number}-{name}" for number, (name, _variables) in enumerate(CASES)]
)
def test_a_wrong_inventory_ends_in_a_message_of_our_own_form(name, variables):
    found = faults(**variables)
    assert found, variables
    assert [text for text in found if name in text], (variables, found)
    for text in found:
        assert re.search(r"; (wanted|set|did you mean) |so nobody could use the chat", text), text
        assert not ANSIBLES_OR_PYTHONS.search(text), text


ANY_TEXT = {"verify_answer", "verify_long_question", "gpuchat_private_address", "gpuchat_probe_host", "plan_folder"}
ANY_TEXT |= {"keys_client", "load_model", "remove_confirm", "remove_host"}  # compared with what there is
ANY_TEXT |= {"load_trace", "history_file", "restore_stack_folder"}  # read or made
ANY_TEXT |= {"restore_confirm", "restore_snapshot"}


def test_each_text_has_a_form_or_any_will_do():
    """Those with checks of their own, and those that may hold anything."""
    texts = {name for name, option in OPTIONS.items() if option["type"] in ("str", "path")}
    free = {name for name in texts if not OPTIONS[name].get("no_log") and not OPTIONS[name].get("choices")}
    files = {"edge_certificate_file", "edge_certificate_key_file"}  # these are read
    files |= {"edge_acme_dns_hook", "edge_acme_authority_file", "edge_client_authority_file", "edge_password_file"}
    files |= {"edge_forward_auth_authority_file", "vllm_requirements"}
    files |= {"gpuchat_image_archives", "toolbox_wheels"}  # folders of these
    assert free - set(forms.FORMS) == ANY_TEXT | files


def test_the_smallest_inventory_passes_and_every_default_does():
    defaults = {
        name: option["default"]
        for name, option in OPTIONS.items()
        if "default" in option and "{{" not in str(option["default"]) and not option.get("no_log")
    }
    assert (faults(), faults(**{**defaults, "gpuchat_models": GOOD["gpuchat_models"]})) == ((), ())


@pytest.mark.parametrize(
    "variables",
    [
        {"gpuchat_users": 10, "gpuchat_context": "8192"},
        {"edge_http_port": "8080", "edge_ipv6": "no", "docker_version": "29.1.*"},
        {"nvidia_driver_branch": 580, "edge_extra_names": ["10.0.0.5", "2001:db8::1"]},
        {"gpuchat_registry_map": {"docker.io": "registry.example.com:5000/hub"}, "vllm_version": "0.32.0rc1"},
        {"gpuchat_registry_mirrors": ["http://10.0.0.7:5000"], "gpuchat_insecure_registries": ["10.0.0.7:5000"]},
        {"vllm_args": {"max-num-seqs": 8, "enforce-eager": True}, "vllm_environment": {"OMP_NUM_THREADS": "1"}},
        {"gpuchat_api_key": "abc", "model_token": "hf_x", "model_rate_limit": "1.5G"},
        {"gpuchat_models": [{"name": "q", "source": "modelscope", "repo": "Qwen/Qwen3-8B", "revision": "main"}]},
        {"gpuchat_models": [{"name": "Qwen/Qwen3-8B", "source": "http", "endpoints": ["https://files.example.com/q"]}]},
        {"gpuchat_models": [{"name": "q", "gpus": [0, 1], "users": 4, "hosts": ["gpu"]}, {"name": "e", "gpus": "2"}]},
        {
            "gpuchat_models": [
                {"name": "q", "aliases": ["default"], "hosts": ["one"], "task": "chat", "version": "0.31.0"}
            ]
        },
        {"gpuchat_endpoints": [{"name": "lm", "url": "http://10.0.0.9:1234/v1/", "models": ["a", {"name": "b"}]}]},
        {"gpuchat_api_keys": [{"name": "reports", "models": ["qwen"]}]},
        {"docker_address_pools": [{"base": "10.201.0.0/16", "size": 24}]},
    ],
)
def test_what_people_write_passes(variables):
    assert faults(**variables) == ()


API_ALONE = {"gpuchat_interface": "none", "groups": {"chat": []}}
SSO = {
    "gpuchat_sso": {"issuer": "https://id.example.com", "client_id": "chat"},
    "gpuchat_sso_client_secret": "c" * 20,
}
OTHERS = {"gpuchat_endpoints": [{"name": "lm", "url": "http://10.0.0.9:1234/v1"}], "gpuchat_models": LEFT_OUT}
OPEN_WEBUI = {"gpuchat_interface": "open_webui"}


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        pytest.param(
            {
                **API_ALONE,
                **SSO,
                "backup_target": "/srv/backup",
                "edge_password_file": "/srv/people",
                "gpuchat_database": {"host": "db.example.com", "name": "c", "user": "c", "authority_file": "/ca.pem"},
                "gpuchat_mcp_servers": [{"name": "wiki", "url": "http://10.0.0.9:9000/mcp"}],
                "lobehub_version": "2.2.18",
                "open_webui_plugins": True,
            },
            "gpuchat_interface is none, so backup_target, edge_password_file, gpuchat_database, gpuchat_mcp_servers, "
            "gpuchat_sso, gpuchat_sso_client_secret, lobehub_version, open_webui_plugins have no effect; set "
            "gpuchat_interface to lobehub or open_webui, or take them away",
            id="programs alone, and what is for people",
        ),
        pytest.param(
            {**API_ALONE, "gpuchat_admin_password": "p" * 20},
            "gpuchat_interface is none, so gpuchat_admin_password has no effect; set gpuchat_interface to lobehub or "
            "open_webui, or take it away",
            id="a secret alone",
        ),
        pytest.param(
            {**API_ALONE, "gpuchat_sso": {}, "gpuchat_signup": "closed", "backup_target": ""}, "", id="only defaults"
        ),
        pytest.param(
            {**API_ALONE, "gpuchat_users": 5, "edge_api_rate": 5}, "", id="programs alone, and what is theirs"
        ),
        pytest.param({**API_ALONE, **SSO, "parts": ["vllm"]}, "", id="a role alone, beside which may be others"),
        pytest.param(
            {"open_webui_environment": {"ENABLE_X": "true"}},
            "gpuchat_interface is lobehub, so open_webui_environment has no effect; set gpuchat_interface to "
            "open_webui, or take it away",
            id="the other interface",
        ),
        pytest.param(
            {**OPEN_WEBUI, "lobehub_uid": 70000, "lobehub_auth_secret": "s" * 40},
            "gpuchat_interface is open_webui, so lobehub_auth_secret, lobehub_uid have no effect; set "
            "gpuchat_interface to lobehub, or take them away",
            id="the other interface's, secrets too",
        ),
        pytest.param({**OPEN_WEBUI, "open_webui_plugins": True, "backup_target": "/srv/b"}, "", id="the one that runs"),
        pytest.param(
            {"monitoring_retention_time": "90d"},
            "the group monitoring is empty, so monitoring_retention_time has no effect; add a host to it, or take it "
            "away",
            id="nobody watches",
        ),
        pytest.param(
            {"groups": {"monitoring": ["one"]}, "monitoring_retention_time": "90d"}, "", id="somebody watches"
        ),
        pytest.param(
            {**OTHERS, "groups": {"gpu": []}, "vllm_args": {"max-num-seqs": 8}, "model_token": "hf_x"},
            "the group gpu is empty, so model_token, vllm_args have no effect; add a host to it, or take them away",
            id="no engine of one's own",
        ),
    ],
)
def test_what_is_set_of_a_part_that_is_not_there_is_told_once_by_its_names(variables, word):
    assert warnings(**variables) == [word] * bool(word)


def test_each_beginning_by_which_a_part_is_known_is_one_of_a_variable():
    beginnings = [one for begins in SPEAK_OF.values() for one in begins]
    assert [one for one in beginnings if not any(name.startswith(one) for name in OPTIONS)] == []


LOGIN = {"username": "robot", "password": "(secret)"}


@pytest.mark.parametrize(
    ("registry", "variables", "known"),
    [
        ("docker.io", {}, ""),
        ("quay.io", {}, "docker.io"),
        pytest.param("ghcr.io", {}, "docker.io", id="that of the other interface"),
        pytest.param("ghcr.io", OPEN_WEBUI, "", id="that of this one"),
        ("docker.io", {"gpuchat_registry_map": {"docker.io": "harbor.example.com/hub"}}, "harbor.example.com"),
        ("harbor.example.com", {"gpuchat_registry_map": {"docker.io": "harbor.example.com/hub"}}, ""),
        ("nvcr.io", {"gpuchat_models": [{"name": "m", "image": "nvcr.io/nvidia/vllm:26.01-py3"}]}, ""),
        ("nvcr.io", {"vllm_image": "nvcr.io/nvidia/vllm:26.01-py3"}, ""),
        ("registry:5000", {"vllm_image": "registry:5000/vllm:1.0"}, ""),
    ],
)
def test_a_login_for_a_registry_of_no_image_is_told_with_those_of_some(registry, variables, known):
    found = warnings(gpuchat_registry_logins=[{"registry": registry, **LOGIN}], **variables)
    word = f"gpuchat_registry_logins has a login for {registry}, from which no image comes; once gpuchat_registry_map "
    word += f"was applied they come from {known}; set its registry to one of these, or take it away"
    assert found == [word] * bool(known)


@pytest.mark.parametrize(
    ("image", "version", "meant"),
    [
        ("vllm/vllm-openai:v0.11.0", "0.32.0", "0.11.0"),
        ("vllm/vllm-openai:v0.11.1rc2-cu128", "0.32.0", "0.11.1rc2"),
        ("vllm/vllm-openai:v0.11.0", "0.11.0", ""),
        ("vllm/vllm-openai:v0.11.0-cu128", "0.11.0", ""),
        ("registry.example.com/vllm:ours", "0.32.0", ""),
        ("nvcr.io/nvidia/vllm:26.01-py3", "0.32.0", ""),
    ],
)
def test_an_image_of_another_vllm_than_all_is_planned_for_is_told(image, version, meant):
    found = warnings(vllm_image=image, vllm_version=version)
    assert [f"; set vllm_version to {meant} where the image holds that" in one for one in found] == [True] * bool(meant)


@pytest.mark.parametrize(("expires", "is_past"), [("2020-01-01", True), ("9999-12-31", False)])
def test_a_client_whose_last_day_is_past_is_warned_of_and_the_run_goes_on(expires, is_past):
    found = warnings(gpuchat_api_keys=[{"name": "reports", "expires": expires}])
    assert len(found) == is_past
    assert all("reports is 2020-01-01, which is past" in one for one in found)


ENDED = """-----BEGIN CERTIFICATE-----
MIIBCDCBr6ADAgECAgEBMAoGCCqGSM49BAMCMA4xDDAKBgNVBAMMA29sZDAeFw0x
OTAxMDEwMDAwMDBaFw0yMDAxMDEwMDAwMDBaMA4xDDAKBgNVBAMMA29sZDBZMBMG
ByqGSM49AgEGCCqGSM49AwEHA0IABAliU9Tc6opizuJ1baDdgg8mk2T0HjJYepwX
PmFBUA3hzF+Tno/MdbGhmycs1pt2EEcOPztFaFrMApO3GrZI78YwCgYIKoZIzj0E
AwIDSAAwRQIgC88wsoyQh0FTtDuSCjM5plXTBgX6dErdkfpU+sK2fEcCIQCWQ5yX
M46g5zijnCTW8FjnCH3o5QX+4A7ktw18jqo5aQ==
-----END CERTIFICATE-----
"""


@pytest.mark.parametrize(
    ("gathered", "where"),
    [
        ({"authorities": {"/ca.pem": ENDED}}, "gpuchat_ca_files, /ca.pem,"),
        (
            {"elsewhere_authorities": {"gpuchat_database": {"/ca.pem": ENDED}}},
            "gpuchat_database.authority_file, /ca.pem,",
        ),
        ({"pem_files": {"edge_client_authority_file": ENDED}}, "edge_client_authority_file"),
        ({}, "monitoring_receivers[0].authority"),
    ],
)
def test_authorities_that_have_ended_are_warned_of_wherever_the_inventory_names_them(gathered, where):
    mail = {"name": "ops", "kind": "mail", "to": ["a@example.com"], "from": "b@example.com", "server": "m.example:25"}
    given = {**GOOD, **({} if gathered else {"monitoring_receivers": [{**mail, "authority": ENDED}]})}
    groups, found = {**GROUPS, "monitoring": ["one"]}, []
    params = {**EMPTY, "groups": groups, "variables": {"one": given}, "roles": ROLES, **gathered}
    gpuchat_preflight.work(params, found.append)
    assert [one.partition(" have ended")[0] for one in found] == [f"the authorities of {where}"]


def test_the_result_is_what_the_roles_work_with():
    result = check(edge_https_port="8443", gpuchat_api_key="abc")
    assert result["topology"]["url"] == "https://chat.example.com:8443"
    assert result["given_secrets"] == {"one": ["api_key"]}
    assert (result["needs_secrets"], "/v1/models" in result["paths"]["open"]) == (True, True)


def test_what_the_monitoring_host_knows_of_others_is_what_their_variables_say_and_not_its_own():
    names = {"gpuchat_models": [{"name": "a", "path": "/a"}, {"name": "b", "path": "/b", "version": "0.30.0"}]}
    own = {"vllm_version": "0.31.0", "backup_target": "/backups", "backup_max_age_hours": 48}
    hosts = {"one": {**own, "gpuchat_private_address": "10.0.0.1"}, "two": {"gpuchat_private_address": "10.0.0.2"}}
    groups = {**GROUPS, "all": ["one", "two"], "monitoring": ["two"]}
    variables = {host: {**GOOD, **names, **more} for host, more in hosts.items()}
    result = gpuchat_preflight.work({**EMPTY, "groups": groups, "variables": variables, "roles": ROLES}, print)
    known = {"versions": {"a": "0.31.0", "b": "0.30.0"}, "has_backup": True, "backup_max_age_hours": 48}
    assert result["topology"]["watched"] == known
    assert check(groups={"gpu": []}, parts=["docker"])["topology"]["watched"] == {
        "versions": {},
        "has_backup": False,
        "backup_max_age_hours": 36,
    }


@pytest.mark.parametrize(
    ("variables", "begin"),
    [
        ({"edge_tls": "none", "gpuchat_allowed_networks": ["203.0.113.0/24"]}, "edge_tls is none and gpuchat_allowed"),
        ({"edge_tls": "acme"}, "edge_tls is acme and edge_acme_agree_tos is not true"),
        ({"edge_tls": "acme", "edge_acme_agree_tos": "yes", "edge_acme_eab_kid": "k"}, "edge_acme_eab_kid is set, and"),
        (
            {"edge_tls": "acme", "edge_acme_agree_tos": True, "edge_extra_names": ["10.0.0.5"]},
            "edge_tls is acme and the",
        ),
        ({"edge_tls": "provided"}, "edge_tls is provided and edge_certificate_file is not set"),
    ],
)
def test_a_source_of_the_certificate_that_contradicts_itself_is_refused(variables, begin):
    (fault,) = faults(**variables)
    assert fault.startswith(begin)


@pytest.mark.parametrize(
    ("variables", "is_fault"),
    [({}, True), ({"gpuchat_interface": "open_webui"}, False), ({"edge_tls": "none"}, False)],
)
def test_a_store_in_the_clear_is_refused_where_browsers_would_ask_it_from_a_page_of_https(variables, is_fault):
    store = {"url": "http://s3.example.com:9000", "bucket": "chat"}
    keys = dict.fromkeys(("object_store_access_key", "object_store_secret_key"), "k" * 20)
    found = faults(gpuchat_object_store=store, **keys, **variables)
    assert len(found) == is_fault, found
    assert not is_fault or "wanted https:// too" in found[0]


def test_a_file_of_an_edges_that_cannot_be_read_is_a_fault():
    params = {**EMPTY, "groups": GROUPS, "variables": {"one": GOOD}, "roles": ROLES, "files": {"one": ["no such hook"]}}
    with pytest.raises(Refusal, match="no such hook"):
        gpuchat_preflight.work(params, lambda _warning: None)


def test_a_name_in_a_file_of_passwords_that_nginx_could_misread_is_a_fault():
    params = {**EMPTY, "groups": GROUPS, "variables": {"one": GOOD}, "roles": ROLES, "people": {"one": ["a$b"]}}
    with pytest.raises(Refusal, match="edge_password_file holds the name"):
        gpuchat_preflight.work(params, lambda _warning: None)


@pytest.mark.parametrize(
    ("target", "is_right"),
    [
        ("", True),
        ("/srv/backup", True),
        ("sftp:backup@nas:/chat", True),
        ("sftp://backup@nas:2222//chat", True),
        ("s3:https://s3.example.com:9000/chat", True),
        ("rest:https://nas.example.com:8000/chat", True),
        ("rest:https://ann:s3cret@nas.example.com:8000/chat", False),
        ("nas:/chat", False),
    ],
)
def test_a_backups_place_holds_no_password(target, is_right):
    found = faults(backup_target=target)
    assert found == () if is_right else "belongs into backup_secret_environment" in found[0]


@pytest.mark.parametrize(
    "variables",
    [
        {"plan_folder": ["x" * 100_000]},
        {"plan_folder": ["a\x1b[2Jb"]},
        {"plan_fail": ["a\nb"]},
        {"docker_settings": ["x" * 100_000]},
        {"gpuchat_registry_mirrors": ["ftp://m"] * 1000},
        {"gpuchat_registry_mirrors": ["http://a\nb"]},
        {"gpuchat_models": [{"name": "x", "a\x1b[2J" + "b" * 5000: 1}]},
        {"plan_gpus": ["a"] * 1000},
        {"lobehub_version": "x" * 100_000},
        {"lobehub_version": "a\nb"},
    ],
)
def test_whatever_stands_in_an_inventory_the_message_stays_short_and_shows_no_control_characters(variables):
    found = faults(**variables)
    assert 1 <= len(found) <= 10
    assert all(text.isprintable() and len(text) < 1200 for text in found)


def test_a_name_that_no_process_takes_is_refused_in_secret_environments_too():
    secret = {"backup_secret_environment": {"kind": "dict", "is_empty": False, "is_plain": True, "names": ["A B"]}}
    params = {**EMPTY, "groups": GROUPS, "variables": {"one": GOOD}, "secrets": {"one": secret}, "roles": ROLES}
    with pytest.raises(Refusal, match="backup_secret_environment holds the name 'A B'"):
        gpuchat_preflight.work(params, lambda _warning: None)


def test_all_wrongs_of_all_variables_stand_in_one_message():
    with pytest.raises(Refusal, match="the inventory has 4 faults; nothing was changed:\n- vllm_arg is") as refusal:
        check(gpuchat_domain=["x"], edge_http_port="http", vllm_arg={}, gpuchat_context="8k")
    assert len(str(refusal.value).splitlines()) == 5


def test_each_example_inventory_uses_known_variables_alone():
    known = Specification(ROLES)
    for path in sorted(ROOT.glob("inventories/*/*.yml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        names = content.get("all", {}).get("vars", {})
        ours = {name for name in names if name.startswith((*known.prefixes, "gpuchat_"))}
        assert sorted(ours - known.known) == [], path
