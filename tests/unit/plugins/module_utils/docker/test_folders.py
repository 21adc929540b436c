# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Docker will put images and data, by what it is told."""

from __future__ import annotations

import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker import daemon_runner, folders_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker.folders import folders

BOTH = ("/var/lib/docker", "/var/lib/containerd")
OVERLAY = {"Driver": "overlay2", "DriverStatus": [["Backing Filesystem", "extfs"]], "DockerRootDir": "/var/lib/docker"}
CONTAINERD = {"Driver": "overlayfs", "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}
WITHOUT = {"features": {"containerd-snapshotter": False}}
WITH = {"features": {"containerd-snapshotter": True}}


@pytest.fixture
def daemon_json(monkeypatch):
    def put(text):
        there = {folders_runner.DAEMON_JSON: host.FileState(text, 0o644, 0, 0)}
        real = host.file_state
        monkeypatch.setattr(host, "file_state", lambda path, read=True: there.get(path) or real(path))

    return put


def space(**more):
    return {
        "space": {
            "paths": ["/x"],
            "docker_settings": {},
            "docker_version": "",
            "docker_versions": {},
            "hint": "h",
            **more,
        }
    }


@pytest.mark.parametrize(
    ("settings", "current", "info", "version", "wanted"),
    [
        ({}, {}, {}, "", BOTH),
        ({"data-root": "/data/docker"}, {}, {}, "", ("/data/docker", "/var/lib/containerd")),
        (WITHOUT, {}, {}, "", ("/var/lib/docker",)),
        ({"features": {"cdi": True}}, {}, {}, "", BOTH),
        ({}, {"data-root": "/srv/docker"}, {}, "", ("/srv/docker", "/var/lib/containerd")),
        ({"data-root": "/data"}, {"data-root": "/srv/docker"}, {}, "", ("/data", "/var/lib/containerd")),
        ({}, WITHOUT, {}, "", ("/var/lib/docker",)),
        (WITH, WITHOUT, {}, "", BOTH),
        ({}, {"features": {"cdi": True}}, {}, "28.5.1", ("/var/lib/docker",)),
        ({}, {}, {}, "26.1.5+dfsg1", ("/var/lib/docker",)),
        ({}, {}, {}, "29.7.2", BOTH),
        ({}, {}, {}, "*", BOTH),
        (WITH, {}, {}, "28.5.1", BOTH),
        ({}, {}, OVERLAY, "29.7.2", ("/var/lib/docker",)),
        ({}, {}, {**OVERLAY, "DockerRootDir": "/by/flag"}, "29.7.2", ("/by/flag",)),
        ({}, {}, CONTAINERD, "28.5.1", BOTH),
    ],
)
def test_settings_come_first_then_the_file_then_a_docker_that_runs_then_its_version(
    settings, current, info, version, wanted
):
    assert folders(settings, current, info, (), version) == wanted


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ('version = 3\nroot = "/data/containerd"\n[plugins]\nroot = "/no"\n', "/data/containerd"),
        ("#root = '/no'\n[plugins.x]\n  root = '/no'\n", "/var/lib/containerd"),
    ],
)
def test_containerds_own_root_is_read_from_its_settings(text, root):
    assert folders({}, {}, {}, (text,), "")[1] == root


def test_what_containerds_settings_import_counts_after_them(daemon_json, commands, monkeypatch, tmp_path):
    daemon_json(b"")
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "10-root.toml").write_text('root = "/data/containerd"\n')
    (tmp_path / "conf.d" / "20-other.toml").write_text('version = 3\n[plugins]\nroot = "/no"\n')
    config = tmp_path / "config.toml"
    monkeypatch.setattr(folders_runner, "CONTAINERD_TOML", str(config))
    for imports in (f'["{tmp_path}/conf.d/*.toml"]', '[\n  "none.toml", "conf.d/*.toml",\n]'):
        config.write_text(f'version = 3\nroot = "/first"\nimports = {imports}\n')
        assert folders_runner.with_folders(space())["space"]["paths"][2:] == ["/data/containerd"]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("--data-root /srv/docker", ("/srv/docker", "/var/lib/containerd")),
        ("-g=/srv/docker --feature containerd-snapshotter=false", ("/srv/docker",)),
        ("--feature containerd-snapshotter --feature cdi=true", BOTH),
        ("--config-file {folder}/other.json", ("/other", "/var/lib/containerd")),
    ],
)
def test_what_stands_on_dockerds_command_line_counts_as_what_stands_in_its_file(
    daemon_json, commands, monkeypatch, tmp_path, words, wanted
):
    monkeypatch.setattr(daemon_runner, "SYSTEM_UNITS", (str(tmp_path),))
    (tmp_path / "docker.service").write_text(f"[Service]\nExecStart=/usr/bin/dockerd {words.format(folder=tmp_path)}\n")
    daemon_json(b"")
    (tmp_path / "other.json").write_text('{"data-root": "/other"}')
    assert folders_runner.with_folders(space())["space"]["paths"][1:] == list(wanted)


@pytest.mark.parametrize(
    ("release", "there", "pinned", "wanted"),
    [
        ("ID=debian\nVERSION_ID=13\n", "", "", BOTH[:1]),
        ("ID=debian\nVERSION_ID=13\n", "", "29.1.3", BOTH),
        ("ID=debian\nVERSION_ID=13\n", "Docker version 29.1.3, build x\n", "", BOTH),
        ("ID=ubuntu\nVERSION_ID=24.04\n", "", "", BOTH),
    ],
)
def test_the_version_that_a_release_has_counts_where_none_is_there_or_pinned(
    daemon_json, commands, monkeypatch, release, there, pinned, wanted
):
    daemon_json(b"")
    monkeypatch.setattr(host, "os_release", lambda: release)
    commands.answer("dockerd --version", there)
    asked = space(docker_versions={"debian-13": "26"}, docker_version=pinned)
    assert folders_runner.with_folders(asked)["space"]["paths"][1:] == list(wanted)


def test_what_somebody_told_docker_is_where_the_disk_is_looked_at(daemon_json, commands):
    daemon_json(b'{"data-root": "/srv/docker"}')
    commands.answer("dockerd --version", "Docker version 28.5.1, build e180ab8\n")
    assert folders_runner.with_folders(space())["space"]["paths"] == ["/x", "/srv/docker"]
    commands.answer("docker info", json.dumps(CONTAINERD))
    assert folders_runner.with_folders(space())["space"]["paths"] == ["/x", "/srv/docker", "/var/lib/containerd"]
    commands.answer("docker info", json.dumps({"ServerErrors": ["no"], "DockerRootDir": ""}), rc=1)
    assert folders_runner.with_folders(space())["space"]["paths"] == ["/x", "/srv/docker"]


def test_a_docker_that_runs_is_asked_alone(daemon_json, commands):
    daemon_json(b"{}")
    commands.answer("docker info", json.dumps(CONTAINERD))
    folders_runner.with_folders(space())
    assert [command.split()[0] for command in commands.made] == ["docker"]


def test_places_without_docker_are_left_as_they_are(commands):
    for params in ({"space": None}, space(docker_settings=None)):
        assert folders_runner.with_folders(params) is params
    assert commands.made == []


def test_a_file_that_is_no_json_is_refused_before_an_installation(daemon_json, commands):
    daemon_json(b'{"data-root": ')
    with pytest.raises(Refusal, match="/etc/docker/daemon.json"):
        folders_runner.with_folders(space())
