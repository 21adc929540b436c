# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What variables may be, held against the programs that read them where those are here."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pytest
import yaml
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker.images import Image
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import forms, types
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model.plan import parse_rate

ROOT = pathlib.Path(__file__).resolve().parents[5]
PLACES = (os.environ.get("PATH", ""), "/usr/sbin", str(ROOT / ".cache" / "nginx" / "usr" / "sbin"))
NGINX = shutil.which("nginx", path=":".join(PLACES)) or "nginx: see tools/nginx.sh"

TIMES = {
    **dict.fromkeys(("30m", "1800", "1h30m", "1d", "1w2d3h4m5s6ms", "500ms", "90s", "007m", "999999999w"), True),
    **dict.fromkeys(
        ("1h 30m", "30m1h", "1h1h", "5ms3s", "30 m", "1M", "1.5h", "ms", "", "0", "0m", "-1", "30m "), False
    ),
}
SIZES = {
    **dict.fromkeys(("50m", "50M", "52428800", "1024", "1k", "1g", "999999999g", "0050k"), True),
    **dict.fromkeys(("0", "0m", "1.5g", "50mb", "50 m", "-1", "", "m", "50", "1023"), False),
}


def takes(folder, line):
    """Return whether nginx takes a line in its configuration for http."""
    temporary = "".join(f"{kind}_temp_path {kind};" for kind in "client_body proxy fastcgi scgi uwsgi".split())
    text = f"pid nginx.pid; error_log stderr; events {{}} http {{ access_log off; {temporary} {line} }}"
    (folder / "nginx.conf").write_text(text)
    command = [NGINX, "-t", "-q", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("time", TIMES)
def test_a_time_is_one_that_nginx_takes_and_that_is_above_nothing(time, tmp_path):
    assert (not list(forms.faults("edge_stream_timeout", time))) is TIMES[time]
    assert takes(tmp_path, f"proxy_read_timeout {time};") or not TIMES[time]


def test_a_time_in_two_words_is_told_in_one():
    (word,) = forms.faults("edge_stream_timeout", "1h 30m")
    assert word.endswith("; set edge_stream_timeout to 1h30m")


@pytest.mark.parametrize("size", SIZES)
def test_a_size_is_one_that_nginx_takes_and_that_lets_nobody_send_without_end(size, tmp_path):
    assert (not list(forms.faults("edge_body_limit", size))) is SIZES[size]
    assert takes(tmp_path, f"client_max_body_size {size};") or not SIZES[size]


@pytest.mark.parametrize(
    ("origin", "meant"),
    [
        ("https://app.example.com", None),
        ("http://localhost:5173", None),
        ("http://[::1]:3000", None),
        ("chrome-extension://abcdefghijklmnop", None),
        ("*", None),
        ("https://app.example.com/", "https://app.example.com"),
        ("https://App.Example.com/chat", "https://app.example.com"),
        ("app.example.com", ""),
        ("https://*.example.com", ""),
        ("null", ""),
        ('https://a"; return 200; #', ""),
    ],
)
def test_an_origin_is_what_a_browser_says_of_a_page(origin, meant):
    words = list(forms.faults("edge_api_origins", [origin]))
    assert bool(words) is (meant is not None)
    assert not meant or words[0].endswith(f" to [{meant}]")


def test_a_time_that_yaml_took_for_a_number_of_base_60_is_told_as_it_was_written():
    (word,) = forms.faults("backup_at", 750)
    assert word.startswith("backup_at is '750'; wanted a time in quotes")
    assert word.endswith("; set backup_at to '12:30'")


@pytest.mark.parametrize(
    ("image", "meant"),
    [
        ("vllm/vllm-openai:v0.12.0", None),
        ("host:5000/a/b:t", None),
        ("localhost/x:1", None),
        ("10.0.0.5:5000/x:1", None),
        ("a__b/c--d:1.0_x", None),
        ("a/b:tag@sha256:" + "0" * 64, "a/b:tag"),
        *((wrong, "docker.io/library/debian:13") for wrong in ("vllm/vllm-openai", "host:5000/a", "a/b:latest")),
        ("a/b@sha256:" + "0" * 64, "docker.io/library/debian:13"),
        ("https://registry.example.com/x:1", "registry.example.com/x:1"),
        ("Harbor.example.com/Proj/X:V1", "harbor.example.com/proj/x:V1"),
        ("VLLM/vllm:1", "vllm/vllm:1"),
        *((wrong, "docker.io/library/debian:13") for wrong in ("a:b:c", "a//b", "a:", "a@sha256:xyz", "host:99999/a")),
        *((wrong, "docker.io/library/debian:13") for wrong in ("a/.b", "a:-x", "a..b", "a: latest", "a:" + "t" * 129)),
    ],
)
def test_an_image_is_a_reference_as_registries_know_it(image, meant):
    found = list(forms.faults("vllm_image", image))
    assert len(found) == bool(meant), found
    assert not meant or found[0].endswith(f"; set vllm_image to {meant}")


ADDRESSES = {
    **dict.fromkeys(
        ("http://lm.example.com", "http://10.0.0.9:1234/v1", "http://[fd00::9]:80", "http://my_ollama:11434"), True
    ),
    **dict.fromkeys(("http://localhost:1", "https://me:pw@h/x", "smtp://mail.example.com:587", "https://h?x=1"), True),
    **dict.fromkeys(
        ("http://10.0.0.9:0", "http://10.0.0.9:99999/v1", "http://h:", "http://h:80\u00b2/", "http://999.1.1.1"), False
    ),
    **dict.fromkeys(
        ("http://10.1", "http://167772161/v1", "http://...", "http://-", "http://[:::::]:1", "http://0.0.0.0:1"), False
    ),
    **dict.fromkeys(("http://[fe80::1%eth0]/", "http://[10.0.0.9]/", "http://", "h:80", "http://a b/"), False),
}


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_leads_to_a_server_and_a_port_that_there_can_be(url):
    assert forms.is_at_server(url) is ADDRESSES[url]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gpuchat_domain", "::1%x; return 200 hi;"),
        ("gpuchat_domain", "fe80::1%eth0"),
        ("edge_extra_names", ["fd00::1%\n}"]),
        ("verify_address", "fe80::1%eth0"),
        ("gpuchat_users", "\u00b2"),
        ("gpuchat_context", "\u0663\u0660"),
        ("gpuchat_registry_map", {"docker.io:\u00b2": "mirror.example.com"}),
        ("gpuchat_registry_map", {"docker.io": "mirror.example.com:\uff18\uff10"}),
        ("gpuchat_insecure_registries", ["h:\u00b2"]),
        ("uv_trusted_hosts", ["h:\uff19\uff19"]),
        ("gpuchat_registry_mirrors", ["https://h:99999"]),
        ("gpuchat_models[0].endpoints", ["http://10.1/x"]),
        ("gpuchat_models[0].revision", "a b; c"),
        ("gpuchat_models[0].revision", "../../x"),
        ("gpuchat_models[0].include", ["*.bin\n*"]),
        ("gpuchat_models[0].path", "/srv/models/a:b"),
        ("gpuchat_models[0].path", "~/models/q"),
        ("edge_forward_auth", "https://auth.example.com:99999/v"),
        ("edge_forward_auth", "https://.../v"),
        ("gpuchat_span_port", 65535),
        ("backup_target", "/"),
        ("backup_target", "/etc"),
        ("backup_target", "/../etc"),
        ("backup_target", "/var/lib/gpuchat/backup"),
        ("backup_target", "s3://chat-backups/restic"),
        ("backup_target", "s3://chat-backups"),
        ("backup_target", "s3:https://s3.example.com"),
        ("backup_target", "s3:https://me:pw@s3.example.com/chat"),
        ("edge_body_limit", 50),
        ("docker_log_max_size", "10"),
        ("model_rate_limit", 50),
        ("monitoring_retention_time", "100000y"),
        ("monitoring_retention_size", "99999999TB"),
    ],
)
def test_what_programs_would_take_for_something_else_or_not_at_all_is_a_fault(name, value):
    (word,) = forms.faults(name, value)
    assert "; wanted " in word
    assert "; set " in word


RATES = (
    *("50M", "1.5G", "1", "999", "1000", "3k", "2MiB/s", "1.5 GB/s", "20 M"),
    *("0", "0.4", "1T", "20m", "fast", "1,5M", "M", "9" * 20),
)


@pytest.mark.parametrize("rate", RATES)
def test_a_rate_is_one_that_the_download_takes(rate):
    try:
        parse_rate(rate)
        is_right = True
    except Refusal:
        is_right = False
    assert (not list(forms.faults("model_rate_limit", rate))) is is_right


def test_a_rate_in_small_letters_is_told_in_those_that_count():
    (word,) = forms.faults("model_rate_limit", "20m")
    assert word.endswith("; set model_rate_limit to 20M")


@pytest.mark.parametrize(
    "target",
    [
        *("s3:https://s3.example.com/chat", "s3:s3.eu-central-1.amazonaws.com/chat", "s3://s3.example.com/chat/daily"),
        *("s3://us-east-1/chat", "s3:http://minio:9000/chat", "s3:minio/chat", "s3://minio:9000/chat"),
    ],
)
def test_a_bucket_is_named_after_its_server_as_restic_has_it(target):
    assert list(forms.faults("backup_target", target)) == []


def test_no_message_shows_the_login_in_an_address():
    option = {"type": "list", "elements": "str"}
    (word,) = types.faults("gpuchat_registry_mirrors", option, "https://me:hunter2@mirror.example.com")
    (other,) = forms.faults("backup_target", "rest:https://me:hunter2@backup.example.com/")
    assert "hunter2" not in word + other
    assert "//(secret)@mirror.example.com" in word
    assert types.show("//(secret)@h") == "'//(secret)@h'"


@pytest.mark.parametrize(("value", "is_fault"), [("", True), (" ", True), (None, True), ("a", False), (0, False)])
def test_what_must_be_there_is_not_empty(value, is_fault):
    option = {"type": "dict", "options": {"name": {"type": "str", "required": True}, "title": {"type": "str"}}}
    found = list(types.faults("gpuchat_mcp_servers[0]", option, {"name": value, "title": ""}))
    assert [word.partition(";")[0] for word in found] == ["gpuchat_mcp_servers[0].name is empty"] * is_fault


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("gpuchat_domain", "HTTPS://Chat.example.com/", "Chat.example.com"),
        ("gpuchat_domain", "https://[2001:db8::1]:8443/", "2001:db8::1"),
        ("gpuchat_domain", "[2001:db8::1]", "2001:db8::1"),
        ("gpuchat_domain", "office.example.com.", "office.example.com"),
        ("gpuchat_domain", "*.office.example.com", "chat.example.com"),
        ("gpuchat_domain", "ch\u00e4t.example.com", "xn--cht-rla.example.com"),
        ("gpuchat_domain", "https://\u804a\u5929.example.com/", "xn--rss932g.example.com"),
        ("gpuchat_domain", "stra\u00dfe.example.com", "chat.example.com"),
        ("gpuchat_domain", "\u201coffice.example.com\u201d", "office.example.com"),
        ("gpuchat_context", "131072 tokens", "131072"),
        ("gpuchat_users", "5 users", "5"),
        *(("edge_body_limit", size, "100m") for size in ("100", "100MB", "100 m", "100 MiB", "100mb")),
        ("edge_body_limit", "1.5G", "1536m"),
        ("edge_body_limit", "1T", "1024g"),
        ("edge_body_limit", "0", "50m"),
        ("model_rate_limit", "50", "50M"),
        ("backup_at", 45000, "'12:30:00'"),
        ("gpuchat_signup_emails", ["*@office.example.com"], "[office.example.com]"),
        ("gpuchat_signup_emails", ["a*@office.example.com"], "[example.com]"),
        ("postgresql_major", "09", "17"),
        ("vllm_version", "0.30", "0.30.0"),
        ("vllm_version", "v0.31.x", "0.31.0"),
        ("vllm_version", "V0.31.1", "0.31.1"),
        ("gpuchat_models[0].version", "0.32.*", "0.32.0"),
        ("gpuchat_registry_map", {"*": "harbor.example.com"}, "{docker.io: harbor.example.com}"),
        ("gpuchat_registry_map", {"ghcr": "harbor.example.com"}, "{ghcr.io: harbor.example.com}"),
        ("gpuchat_registry_map", {"ghcr.io": None}, "{ghcr.io: registry.example.com/hub}"),
        ("docker_data_root", "/home", "/srv/docker"),
        ("gpuchat_registry_map", {"vllm": "harbor.example.com"}, "{docker.io: harbor.example.com}"),
        ("gpuchat_registry_map", {"HTTPS://ghcr.io/": "harbor.example.com"}, "{ghcr.io: harbor.example.com}"),
    ],
)
def test_what_is_said_to_be_set_in_the_place_of_a_wrong_text_is_right_itself(name, value, meant):
    (word,) = forms.faults(name, value)
    assert word.endswith(f"; set {name} to {meant}")


@pytest.mark.parametrize(
    "value",
    [
        *("host=db user=chat password=hunter2", "https://h/x?token=hunter2&b=1", "postgres://me:hunter2@db/chat"),
        *([{"name": "q", "token": "hunter2"}], {"name": "q", "api_key": "hunter2"}, ["PASSWORD=hunter2"]),
    ],
)
def test_a_secret_where_none_belongs_is_not_shown(value):
    for kind in ("int", "dict", "list"):
        assert "hunter2" not in "".join(types.faults("x", {"type": kind, "elements": "int"}, value))


@pytest.mark.parametrize("text", ["max_tokens: 5", "tokenizer: /model", "passages", "a secret", "token"])
def test_what_merely_speaks_of_secrets_is_shown(text):
    assert types.show(text) == repr(text)


@pytest.mark.parametrize(
    "value",
    [
        *(["*.safetensors"], ["&a"], {"a": "b: c"}, ["@robot"], ["%x"], ["!x"], ["- a"], ["it's"], ["a #b"], [" a"]),
        *(["::1", "fd00::/8"], ["10.0.0.0/8"], {"docker.io": "registry.example.com:5000/hub"}, ["-market"], ["a:"]),
        *(["'quoted'"], ["https://h/x#y"], [], {}, "", ["29.1.*"]),
    ],
)
def test_what_is_to_be_written_in_an_inventory_is_read_there_as_it_is_meant(value):
    assert yaml.safe_load(types.written(value)) == value


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("https://huggingface.co/Qwen/Qwen3-8B/tree/main", "Qwen/Qwen3-8B"),
        ("https://www.modelscope.cn/models/Qwen/Qwen3-8B/summary", "Qwen/Qwen3-8B"),
        ("hf.co/unsloth/Qwen3-8B-GGUF:Q4_K_M", "unsloth/Qwen3-8B-GGUF"),
        ("https://huggingface.co/Qwen/Qwen3-8B.git", "Qwen/Qwen3-8B"),
        ("Qwen/Qwen2.5-7B-Instruct@main", "Qwen/Qwen2.5-7B-Instruct"),
        ("Qwen/Qwen3-8B/", "Qwen/Qwen3-8B"),
        ("Qwen3-8B", ""),
        ("https://huggingface.co/", ""),
    ],
)
def test_the_address_of_a_models_page_is_told_as_the_models_name(text, meant):
    assert forms.REPO.meant(text) == meant
    assert not meant or forms.REPO.is_right(meant)


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("vllm_max_model_len", "8k", "8192"),
        ("vllm_max_model_len", "32,768", "32768"),
        ("vllm_start_seconds", "10m", "600"),
        ("vllm_start_seconds", "90 s", "90"),
        ("docker_minimum_free_gib", "30 GB", "30"),
        ("docker_minimum_free_gib", "1 TB", "1024"),
        ("edge_api_rate", "20/s", "20"),
        ("edge_api_rate", "20r/s", "20"),
        ("edge_api_rate", "300/m", "5"),
        ("edge_api_rate", "20/min", "1"),
        ("gpuchat_endpoints[0].timeout", "5m", "300"),
        ("backup_max_age_hours", "2d", "48"),
        ("backup_max_age_hours", "1 week", "168"),
        ("backup_max_age_hours", "36h", "36"),
        ("edge_api_rate", "many", "10"),
    ],
)
def test_a_number_with_a_unit_is_told_without_it(name, value, meant):
    (word,) = types.faults(name, {"type": "int", "default": 10}, value)
    assert word.endswith(f"; wanted a whole number; set {name} to {meant}")


@pytest.mark.parametrize(
    ("choices", "value", "cure"),
    [
        (["auto", "nvidia", "cpu"], "gpu", "nvidia"),
        (["auto", "nvidia", "cpu"], "CUDA", "nvidia"),
        (["auto", "nvidia", "cpu"], "amd", "one of them"),
        (["compose", "systemd", "quadlet", "venv"], "podman", "quadlet"),
        (["auto", "selfsigned", "provided", "acme", "none"], "letsencrypt", "acme"),
        (["huggingface", "modelscope", "http", "path"], "HuggingFace", "huggingface"),
        (["huggingface", "modelscope", "http", "path"], "hf", "huggingface"),
        (["lobehub", "open_webui", "none"], "OpenWebUI", "open_webui"),
        (["lobehub", "open_webui", "none"], "open webui", "open_webui"),
        (["closed", "open"], "yes", "open"),
        (["present", "absent"], "disabled", "absent"),
        (["present", "absent"], "latest", "present"),
        (["auto", "selfsigned"], "self-signed", "one of them; did you mean selfsigned?"),
    ],
)
def test_a_word_that_is_no_choice_is_told_with_the_one_that_is_meant(choices, value, cure):
    (word,) = types.faults("x", {"type": "str", "choices": choices}, value)
    assert word.endswith(f"; set x to {cure}")


@pytest.mark.parametrize(
    ("option", "value", "meant"),
    [
        ({"type": "str", "choices": ["lobehub", "open_webui", "none"]}, False, "'none'"),
        ({"type": "str", "choices": ["closed", "open"]}, True, "'open'"),
        ({"type": "str", "choices": ["present", "absent"]}, False, "'absent'"),
        ({"type": "str"}, 0.3, "it in quotes, as '0.3' or with the 0 that it had at its end"),
        ({"type": "str", "choices": ["closed", "open"]}, False, "'closed'"),
        ({"type": "str", "choices": ["compose", "systemd"]}, False, "'compose'"),
        ({"type": "list", "elements": "str"}, "[a.example.com, 10.0.0.5]", '["a.example.com", "10.0.0.5"]'),
        ({"type": "list", "elements": "str"}, "['a']", '["a"]'),
        ({"type": "list", "elements": "str"}, "a, b", "[a, b]"),
        ({"type": "dict"}, "--max-model-len 8192 --dtype=half", "{max-model-len: 8192, dtype: half}"),
        ({"type": "dict"}, ["--max-model-len 8192", "--enforce-eager"], "{max-model-len: 8192, enforce-eager: true}"),
        ({"type": "dict"}, ["A=1", "B=x=y"], "{A: 1, B: x=y}"),
        ({"type": "dict"}, [{"max-num-seqs": 32}, {"dtype": "half"}], "{max-num-seqs: 32, dtype: half}"),
        ({"type": "dict"}, "some words", "{}"),
        ({"type": "dict"}, [], "{}"),
    ],
)
def test_a_value_of_another_type_is_told_as_somebody_may_have_meant_it(option, value, meant):
    (word,) = types.faults("x", option, value)
    assert word.endswith(f"; set x to {meant}")


def test_a_name_that_a_mapping_does_not_have_is_told_with_what_to_do():
    option = {"type": "dict", "options": {"issuer": {"type": "str"}}}
    words = [word for part in ("isuer", "sslmode") for word in types.faults("x", option, {part: "a"})]
    assert [word.rpartition("; ")[2] for word in words] == ["did you mean issuer?", "take it out of x"]


def test_a_word_in_the_place_of_another_type_is_told_with_one_that_may_be_there():
    (word,) = types.faults("gpuchat_supervisor", {"type": "str", "choices": ["compose", "systemd"]}, True)
    assert word.endswith("; set gpuchat_supervisor to 'compose'")
    (word,) = types.faults("gpuchat_api_keys", {"type": "list", "elements": "dict"}, ["a"], [{"name": "reports"}])
    assert word.endswith("; set gpuchat_api_keys[0] to {name: reports}")


@pytest.mark.parametrize(
    ("mirror", "meant"),
    [
        ("https://me:pw@m.example.com/hub", "https://m.example.com/hub"),
        ("https://m.example.com/?a=b", "https://m.example.com/"),
        ("https://m.example.com/#hub", "https://m.example.com/"),
        ("m.example.com", "https://m.example.com"),
        ("ftp://m", "https://mirror.example.com"),
        ("http://m.example.com:5000/hub", None),
    ],
)
def test_a_mirror_is_one_with_which_docker_starts(mirror, meant):
    found = list(forms.faults("gpuchat_registry_mirrors", [mirror]))
    assert len(found) == bool(meant), found
    assert not meant or found[0].endswith(f"; set gpuchat_registry_mirrors to [{meant}]")
    assert "me:pw" not in "".join(found)


@pytest.mark.parametrize(
    "image", ["vllm/vllm-openai:v1", "a/b", "a/b:latest", "a/b:t@sha256:" + "0" * 64, "h:5000/a/b"]
)
def test_an_image_is_one_that_is_pulled(image):
    try:
        Image.parse(image)
        is_right = True
    except Refusal:
        is_right = False
    assert (not list(forms.faults("vllm_image", image))) is is_right


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"docker.io": "registry.example.com:5000/hub"}, ""),
        ({"docker.io": "Registry.example.com/hub"}, ""),
        *(
            ({name: "registry.example.com"}, f"holds '{name}'; wanted the name of a registry as images have it")
            for name in ("index.docker.io", "registry-1.docker.io", "hub.docker.com", "registry.hub.docker.com")
        ),
        ({"DOCKER.IO": "registry.example.com"}, "holds 'DOCKER.IO'; wanted the name of a registry as images have it"),
        (
            {"docker.io": "registry.example.com/Hub"},
            "holds 'registry.example.com/Hub' for docker.io; wanted a registry",
        ),
        ({"docker.io": "registry.example.com//hub"}, "holds 'registry.example.com//hub' for docker.io; wanted a reg"),
    ],
)
def test_a_map_of_registries_names_them_as_images_do(value, words):
    found = list(forms.faults("gpuchat_registry_map", value))
    assert len(found) == bool(words), found
    assert not words or f"gpuchat_registry_map {words}" in found[0]


@pytest.mark.parametrize(
    ("option", "value", "example", "right"),
    [
        ({"type": "str"}, 50.0, "10", "50"),
        ({"type": "str"}, 0.32, "0.32.0", "it in quotes, as '0.32' or with the 0 that it had at its end"),
        ({"type": "str"}, True, "10", "10"),
        ({"type": "list", "elements": "str"}, "10.0.0.0/8 fd00::/8", None, "[10.0.0.0/8, fd00::/8]"),
    ],
)
def test_what_is_to_be_set_is_of_the_form_that_is_wanted(option, value, example, right):
    (word,) = types.faults("x", option, value, example)
    assert word.endswith(f"; set x to {right}")


@pytest.mark.parametrize(("part", "meant"), [("http_proxy", "http"), ("no", "no_proxy")])
def test_a_part_of_a_proxys_settings_is_known_by_what_programs_call_it(part, meant):
    options = {name: {"type": "str"} for name in ("http", "https", "no_proxy")}
    (word,) = types.faults("x", {"type": "dict", "options": options}, {part: "http://p:1"})
    assert word.endswith(f"; did you mean {meant}?")
