# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker.daemon_command import (
    Flag,
    TextFile,
    environment_files,
    flags,
    key_of,
)

UNIT = "/lib/systemd/system/docker.service"
DROP_IN = "/etc/systemd/system/docker.service.d/x.conf"
DEBIAN = """\
[Unit]
Description=Docker Application Container Engine

[Service]
Type=notify
EnvironmentFile=-/etc/default/docker
ExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS
ExecReload=/bin/kill -s HUP $MAINPID
"""
OF_THE_UNIT = {("host", "fd://", UNIT), ("containerd", "/run/containerd/containerd.sock", UNIT)}


def command(words):
    return TextFile(UNIT, f"[Service]\nExecStart=/usr/bin/dockerd {words}\n")


def found(units, environments=()):
    return {(flag.name, flag.value, flag.place) for flag in flags(units, environments)}


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        pytest.param("--debug", {("debug", "")}, id="one flag"),
        pytest.param("--label a=b --label=c=d", {("label", "a=b"), ("label", "c=d")}, id="value after and within"),
        pytest.param("-H fd:// -Htcp://x -H=unix://", {("host", "fd://"), ("host", "tcp://x"), ("host", "unix://")}),
        pytest.param("-Dl warn", {("debug", "l"), ("log-level", "warn")}, id="two letters in one word"),
        pytest.param("-g /data --graph /d", {("graph", "/data"), ("graph", "/d")}, id="an old name"),
        pytest.param('--label "a=b c" --mtu 9', {("label", "a=b c"), ("mtu", "9")}, id="quotes"),
        pytest.param('--label "a', {("label", '"a')}, id="a quote that is never closed"),
        pytest.param("--mtu 9 -- --debug", {("mtu", "9")}, id="the end of flags"),
        pytest.param("--debug \\\n  --mtu 9", {("debug", "--mtu"), ("mtu", "9")}, id="two lines"),
        pytest.param("--label a=$$b --debug", {("label", "a=$b"), ("debug", "")}, id="a dollar"),
        pytest.param("", set(), id="no flags"),
    ],
)
def test_flags_are_read_as_dockerd_reads_them(words, wanted):
    assert {one[:2] for one in found([command(words)])} == wanted


def test_what_debian_ships_sets_hosts_and_containerd():
    unit = TextFile(UNIT, DEBIAN)
    assert environment_files([unit]) == ["/etc/default/docker"]
    assert found([unit]) == OF_THE_UNIT
    assert {key for flag in flags([unit], []) for key in flag.keys} == {"hosts", "containerd"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param('DOCKER_OPTS="--dns 8.8.8.8 --debug"', {("dns", "8.8.8.8"), ("debug", "")}, id="quoted"),
        pytest.param("# DOCKER_OPTS=--debug\n", set(), id="a comment"),
        pytest.param("DOCKER_OPTS=--ipv6", {("ipv6", "")}, id="bare"),
        pytest.param("OTHER=--ipv6", set(), id="another variable"),
    ],
)
def test_flags_in_an_environment_file_count_and_have_it_as_their_place(text, wanted):
    environment = TextFile("/etc/default/docker", text)
    there = found([TextFile(UNIT, DEBIAN)], [environment])
    assert there - OF_THE_UNIT == {(*one, "/etc/default/docker") for one in wanted}


def test_an_environment_file_counts_more_than_a_line_of_the_unit():
    unit = TextFile(UNIT, f'{DEBIAN}Environment="DOCKER_OPTS=--ipv6" A=b\n')
    assert found([unit]) - OF_THE_UNIT == {("ipv6", "", UNIT)}
    environment = TextFile("/e", "DOCKER_OPTS=--debug")
    assert found([unit], [environment]) - OF_THE_UNIT == {("debug", "", "/e")}


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("$OPTS", {("label", "a=1"), ("debug", "")}),
        ("--label ${LABEL}", {("label", "a=1 2")}),
        ("--label b=${LABEL}", {("label", "b=a=1 2")}),
        ("${MISSING} $MISSING", set()),
    ],
)
def test_variables_are_put_in_as_systemd_does(word, wanted):
    unit = TextFile(
        UNIT,
        f'[Service]\nEnvironment="OPTS=--label a=1 --debug" "LABEL=a=1 2"\nExecStart=/usr/bin/dockerd {word}\n',
    )
    assert {one[:2] for one in found([unit])} == wanted


def test_a_command_that_a_shell_starts_has_its_flags_too():
    by_shell = "ExecStart=/bin/sh -c 'exec /usr/bin/dockerd -H fd:// $O'"
    unit = TextFile(UNIT, f"[Service]\n{by_shell}\nEnvironment=O=--mtu=9\n")
    assert {one[:2] for one in found([unit])} == {("host", "fd://"), ("mtu", "9")}


def test_a_drop_in_adds_or_replaces_and_is_the_place():
    unit = TextFile(UNIT, DEBIAN)
    replaced = TextFile(DROP_IN, "[Service]\nExecStart=\nExecStart=-/usr/sbin/dockerd --debug\n")
    assert found([unit, replaced]) == {("debug", "", DROP_IN)}
    environment = TextFile(DROP_IN, "[Service]\nEnvironmentFile=\nEnvironmentFile=/a\nEnvironmentFile=-/b\n")
    assert environment_files([unit, environment]) == ["/a", "/b"]


def test_other_sections_and_commands_do_not_count():
    text = "[Unit]\nExecStart=/usr/bin/dockerd --debug\n[Service]\nExecStartPre=/usr/bin/dockerd --ipv6\n"
    assert found([TextFile(UNIT, text)]) == set()


# Flag and key, as dockerd's findConfigurationConflicts compares them: a named option by its name, another by its own.
@pytest.mark.parametrize(
    ("flag", "keys"),
    [
        ("registry-mirror", ("registry-mirrors",)),
        ("insecure-registry", ("insecure-registries",)),
        ("host", ("hosts",)),
        ("label", ("labels",)),
        ("dns", ("dns",)),
        ("dns-search", ("dns-search",)),
        ("dns-opt", ("dns-opts",)),
        ("log-opt", ("log-opts",)),
        ("log-driver", ("log-driver",)),
        ("storage-opt", ("storage-opts",)),
        ("exec-opt", ("exec-opts",)),
        ("default-address-pool", ("default-address-pools",)),
        ("default-ulimit", ("default-ulimits",)),
        ("feature", ("features",)),
        ("graph", ("graph", "data-root")),
        ("data-root", ("data-root",)),
        ("host-gateway-ip", ("host-gateway-ip", "host-gateway-ips")),
        ("add-runtime", ()),
        ("some-new-flag", ("some-new-flag",)),
    ],
)
def test_a_flag_has_its_key(flag, keys):
    assert Flag(flag, "", "").keys == keys


@pytest.mark.parametrize(
    ("place", "key"),
    [
        (("debug",), "debug"),
        (("log-opts", "tag"), "log-opts"),
        (("features", "cdi"), "features"),
        (("proxies", "http-proxy"), "http-proxy"),
        (("proxies",), "proxies"),
    ],
)
def test_a_place_has_its_key(place, key):
    assert key_of(place) == key
