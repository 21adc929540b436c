# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One container, written for Compose, for systemd and for Podman."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import yaml
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker.container import (
    Container,
    Written,
    compose_project,
    gpus_of,
    quadlet,
    read_back,
    systemd_unit,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker.network import Network
from hypothesis import given
from hypothesis import strategies as st

IMAGE = "docker.io/vllm/v@sha256:0"
PLAIN = Container("one", IMAGE, "1:2")
FULL = Container(
    name="gpuchat-vllm",
    image=IMAGE,
    user="69980:69980",
    entrypoint=("/bin/sh", "-c", 'KEY="$(cat /k)" exec serve'),
    command=("--ratio", "50%"),
    environment={"A": "1", "B": 'say "hi" to $USER: 100%'},
    volumes=("/srv/models/m:/model:ro",),
    tmpfs=("/tmp:exec",),
    shm_size="16g",
    gpus="0,1",
    health_command=("python3", "-c", "ask()"),
    start_seconds=600,
    stop_seconds=30,
)


def service(container):
    project = yaml.safe_load(compose_project(container))
    assert project["name"] == container.name
    (one,) = project["services"].values()
    return one


def test_a_container_is_confined_whatever_it_is():
    one = service(PLAIN)
    assert (one["read_only"], one["cap_drop"], one["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])
    unit = systemd_unit(PLAIN)
    assert all(word in unit for word in ("--read-only", "--cap-drop ALL", "--security-opt no-new-privileges:true"))
    lines = quadlet(PLAIN).splitlines()
    assert {"ReadOnly=true", "DropCapability=all", "NoNewPrivileges=true", "User=1", "Group=2"} <= set(lines)


def test_a_plain_container_says_nothing_that_nobody_set():
    assert not {"entrypoint", "command", "shm_size", "deploy", "healthcheck", "extra_hosts"} & set(service(PLAIN))
    assert not [
        word for word in ("--env", "--gpus", "--shm-size", "--entrypoint", "--add-host") if word in systemd_unit(PLAIN)
    ]


def test_compose_gets_each_value_with_its_dollars_doubled():
    one = service(FULL)
    assert one["entrypoint"] == ["/bin/sh", "-c", 'KEY="$$(cat /k)" exec serve']
    assert one["environment"] == {"A": "1", "B": 'say "hi" to $$USER: 100%'}
    assert one["deploy"]["resources"]["reservations"]["devices"] == [
        {"driver": "nvidia", "device_ids": ["0", "1"], "capabilities": ["gpu"]}
    ]
    assert one["healthcheck"] == {
        "test": ["CMD", "python3", "-c", "ask()"], "interval": "30s", "timeout": "10s", "retries": 3,
        "start_period": "600s",
    }  # fmt: skip
    assert (one["stop_grace_period"], one["shm_size"], one["tmpfs"]) == ("30s", "16g", ["/tmp:exec"])


def test_systemd_gets_each_word_with_dollars_and_percents_doubled():
    unit = systemd_unit(FULL)
    assert r'--env "B=say \"hi\" to $$USER: 100%%"' in unit
    assert '--entrypoint "/bin/sh"' in unit
    assert rf'  "{IMAGE}" "-c" "KEY=\"$$(cat /k)\" exec serve" "--ratio" "50%%"' in unit
    assert r'--gpus "\"device=0,1\""' in unit
    assert "TimeoutStopSec=45" in unit


def keys(text):
    """Return a Quadlet file's values by their key."""
    found = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def test_podman_gets_words_for_systemd_and_paths_as_they_are():
    given = keys(quadlet(replace(FULL, volumes=("/srv/50% of $x:/model:ro",))))
    assert given["Environment"] == ['"A=1"', r'"B=say \"hi\" to $$USER: 100%%"']
    assert given["Volume"] == ["/srv/50%% of $$x:/model:ro"]
    assert given["Entrypoint"] == ["/bin/sh"]
    assert given["Exec"] == [r'"-c" "KEY=\"$$(cat /k)\" exec serve" "--ratio" "50%%"']
    assert given["AddDevice"] == ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]
    assert (given["Image"], given["Pull"], given["ShmSize"], given["Tmpfs"]) == (
        [IMAGE],
        ["never"],
        ["16g"],
        ["/tmp:exec"],
    )
    assert (given["StopTimeout"], given["TimeoutStopSec"]) == (["30"], ["45"])


def test_a_file_of_secrets_stands_for_an_environment_under_podman_too():
    given = keys(quadlet(replace(FULL, environment_file="/etc/one/environment")))
    assert (given["EnvironmentFile"], "Environment" in given) == (['"/etc/one/environment"'], False)


def test_podman_knows_no_network_of_ours():
    with pytest.raises(Refusal, match="set gpuchat_supervisor to compose or systemd"):
        quadlet(replace(PLAIN, network=Network("gpuchat-room", "172.16.255.248/29", "gpuchat0", "172.16.255.250")))


@pytest.mark.parametrize("volume", ["/a\nUser=0:/b", "/a:/b ", "/a\r:/b"])
def test_nothing_adds_a_line_to_a_quadlet_file(volume):
    with pytest.raises(Refusal, match="line breaks or blanks"):
        quadlet(replace(PLAIN, volumes=(volume,)))


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_any_text_is_one_word_of_a_quadlet_file(text):
    (line,) = re.findall(r"(?m)^Exec=(.*)\n\n?StopTimeout", quadlet(Container("one", IMAGE, "1:2", command=(text,))))
    assert json.loads(line.replace("%%", "%").replace("$$", "$")) == text


@pytest.mark.parametrize("gpus", ["all", "0", "GPU-8a,GPU-9b"])
def test_gpus_under_podman_are_devices_of_cdi(gpus):
    text = quadlet(Container("one", IMAGE, "1:2", gpus=gpus))
    assert gpus_of(text) == tuple(gpus.split(","))
    assert read_back(text).gpus


@pytest.mark.parametrize("gpus", ["all", "0", "GPU-8a,GPU-9b"])
def test_gpus_are_all_or_those_that_are_named(gpus):
    container = Container("one", IMAGE, "1:2", gpus=gpus)
    (device,) = service(container)["deploy"]["resources"]["reservations"]["devices"]
    assert device.get("count", device.get("device_ids")) == ("all" if gpus == "all" else gpus.split(","))
    assert ('--gpus "all"' in systemd_unit(container)) == (gpus == "all")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_any_text_reaches_compose_whole(text):
    assert service(Container("one", IMAGE, "1:2", environment={"A": text}))["environment"] == {
        "A": text.replace("$", "$$")
    }


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_any_text_is_one_word_of_systemds_on_one_line(text):
    (line,) = [
        line for line in systemd_unit(Container("one", IMAGE, "1:2", command=(text,))).split("\n") if IMAGE in line
    ]
    word = line.strip()[len(f'"{IMAGE}" ') :].replace("%%", "%").replace("$$", "$")
    assert json.loads(word) == text


@pytest.mark.parametrize("name", ["", "Upper", "a b", "-x", "a/b"])
def test_a_name_that_no_unit_or_project_may_have_is_refused(name):
    with pytest.raises(Refusal, match="set name to"):
        Container(name, IMAGE, "1:2")


@pytest.mark.parametrize("name", ["", "A=B"])
def test_a_variable_without_a_proper_name_is_refused(name):
    with pytest.raises(Refusal, match="environment"):
        Container("one", IMAGE, "1:2", environment={name: "x"})


def test_a_name_gets_the_address_that_it_is_given():
    one = replace(PLAIN, extra_hosts={"chat.example.com": "172.16.255.249"})
    assert service(one)["extra_hosts"] == ["chat.example.com:172.16.255.249"]
    assert '--add-host "chat.example.com:172.16.255.249"' in systemd_unit(one)


@pytest.mark.parametrize(
    ("name", "address"), [("a b", "10.0.0.1"), ("", "10.0.0.1"), ("a:b", "10.0.0.1"), ("a", "chat"), ("a", "")]
)
def test_a_name_with_no_address_behind_it_is_refused(name, address):
    with pytest.raises(Refusal, match="set extra_hosts"):
        replace(PLAIN, extra_hosts={name: address})


@pytest.mark.parametrize("write", [compose_project, systemd_unit, quadlet])
def test_what_was_written_can_be_read_back(write):
    image = "docker.io/vllm/v@sha256:" + "0" * 64
    lent = {"volumes": ("/srv/models/50% of $x:/model:ro", "/etc/gpuchat/vllm/config.yaml:/etc/vllm/config.yaml:ro")}
    folders = {"/model": "/srv/models/50% of $x", "/etc/vllm/config.yaml": "/etc/gpuchat/vllm/config.yaml"}
    assert read_back(write(replace(FULL, image=image, **lent))) == Written(image, True, folders)
    assert read_back(write(replace(FULL, image=image, gpus="", volumes=()))) == Written(image, False, {})


def test_a_file_of_somebody_else_names_no_image():
    assert read_back("[Service]\nExecStart=/usr/sbin/nginx\n").image == ""
