# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role docker would do on each release, held against what that release is recorded to have."""

from __future__ import annotations

import configparser
import fnmatch
import os
import pathlib
import types

import jinja2.meta
import jinja2.nativetypes
import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat import apt_runner, host, packages_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.plan import Refusal
from ansible_collections.gpuchat.stack.plugins.modules import gpuchat_packages
from debian.deb822 import Deb822

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles" / "docker"
RELEASES = pathlib.Path(__file__).resolve().parent / "plugins" / "module_utils" / "releases"
RECORDED = yaml.safe_load((RELEASES / "packages.yml").read_text(encoding="utf-8"))
APT = [name for name, row in RECORDED.items() if "distribution" in row]
DNF = [name for name in RECORDED if name not in APT]
OWN = {"docker-ce", "docker-ce-cli", "containerd.io", "docker-buildx-plugin", "docker-compose-plugin"}
OMIT = object()


def read(*parts):
    return yaml.safe_load(ROLE.joinpath(*parts).read_text(encoding="utf-8"))


class Role:
    """The role's variables and tasks, templated as far as they need it."""

    def __init__(self, **variables):
        own = {"gpuchat_registry_mirrors": [], "gpuchat_insecure_registries": [], "omit": OMIT}
        self.variables = {**own, **read("defaults", "main.yml"), **read("vars", "main.yml"), **variables}
        self.jinja = jinja2.nativetypes.NativeEnvironment(undefined=jinja2.StrictUndefined)
        self.jinja.filters["combine"] = lambda one, other, recursive=False: {**one, **other}

    def templated(self, value):
        if isinstance(value, dict):
            pairs = {key: self.templated(inner) for key, inner in value.items()}
            return {key: inner for key, inner in pairs.items() if inner is not OMIT}
        if isinstance(value, list):
            return [self.templated(inner) for inner in value]
        if not isinstance(value, str) or "{{" not in value:
            return value
        needed = jinja2.meta.find_undeclared_variables(self.jinja.parse(value))
        return self.jinja.from_string(value).render(
            {name: self.templated(self.variables[name]) for name in needed if name in self.variables}
        )

    def task(self, module):
        (arguments,) = [task[module] for task in read("tasks", "main.yml") if module in task]
        return self.templated(arguments)


@pytest.fixture
def module_parameters(monkeypatch):
    """Return what the module makes of a task's arguments."""

    def parameters(arguments):
        class Taken(Exception):
            pass

        def stand_in(argument_spec, **_):
            raise Taken(argument_spec)

        monkeypatch.setattr(gpuchat_packages, "AnsibleModule", stand_in)
        with pytest.raises(Taken) as taken:
            gpuchat_packages.main()
        validated = ArgumentSpecValidator(taken.value.args[0]).validate(arguments)
        assert validated.error_messages == []
        return validated.validated_parameters

    return parameters


@pytest.fixture
def foretold(monkeypatch, tmp_path, module_parameters):
    """Return what a check would foretell on a release with some packages."""

    def foretell(name, installed=(), machine="x86_64", **variables):
        os_release = (RELEASES / f"{name}.os-release").read_bytes()
        dpkg = "\n".join(f"Package: {package}\nStatus: install ok installed\nVersion: 1\n" for package in installed)
        rpm = "".join(f"{package}\t1-1\t1\n" for package in installed)
        files = {"/etc/os-release": os_release, "/var/lib/dpkg/status": dpkg.encode()}

        def file_state(path, read=True):
            return host.FileState(files[path], 0o644, 0, 0) if path in files else None

        def run(command, *_, **__):
            return host.Output(0, rpm if "--query" in command else "", "")

        monkeypatch.setattr(host, "STATE_DIRECTORY", str(tmp_path))
        monkeypatch.setattr(host, "file_state", file_state)
        monkeypatch.setattr(host, "run", run)
        monkeypatch.setattr(apt_runner, "_listed", lambda own: [])
        monkeypatch.setattr(host, "http", lambda url, **_: host.Response(0, {}, b"", "nobody asks a network here"))
        monkeypatch.setattr(os, "uname", lambda: types.SimpleNamespace(machine=machine))
        parameters = module_parameters(Role(**variables).task("gpuchat_packages"))
        return packages_runner.bring(parameters, check=True)

    return foretell


def written(result, suffix):
    """Return the text of the file that a result foretells, without the line that tells its mode."""
    (text,) = [entry["after"] for entry in result["diff"] if entry["after_header"].endswith(suffix)]
    return text.partition("\n")[2]


def installed_by(result):
    (act,) = [act for act in result["msg"].split("; ") if act.startswith("install ")]
    return act.removeprefix("install ").split(", ")


@pytest.mark.parametrize("name", [name for name in APT if name != "debian-12"])
def test_the_distributions_packages_exist_with_compose_v2(name, foretold):
    packages = installed_by(foretold(name))
    there = RECORDED[name]["distribution"]
    assert [package for package in packages if not there.get(package)] == []
    assert any(package.startswith("docker-compose") and there[package].startswith("2.") for package in packages)
    assert not [package for package in packages if package in OWN]


@pytest.mark.parametrize(
    ("name", "words"),
    [("debian-12", "no Compose v2")]
    + [(name, "it ships Podman and no Docker") for name in DNF]
    + [("fedora-43", "wanted one of debian, ubuntu"), ("ol-9", "wanted one of debian, ubuntu")],
)
def test_a_release_whose_own_packages_cannot_serve_is_refused(name, words, foretold):
    with pytest.raises(Refusal, match=words):
        foretold(name)


@pytest.mark.parametrize("name", RECORDED)
def test_dockers_own_packages_are_installed_on_each_release(name, foretold):
    assert set(installed_by(foretold(name, docker_source="docker"))) == OWN


@pytest.mark.parametrize("name", ["fedora-43", "ol-9"])
def test_a_release_that_nobody_has_looked_at_is_refused(name, foretold):
    with pytest.raises(Refusal, match="wanted one of debian, rhel, ubuntu"):
        foretold(name, docker_source="docker")


@pytest.mark.parametrize(
    ("name", "address", "suite"),
    [
        ("debian-12", "https://download.docker.com/linux/debian", "bookworm"),
        ("debian-13", "https://download.docker.com/linux/debian", "trixie"),
        ("ubuntu-22.04", "https://download.docker.com/linux/ubuntu", "jammy"),
        ("ubuntu-24.04", "https://download.docker.com/linux/ubuntu", "noble"),
        ("ubuntu-26.04", "https://download.docker.com/linux/ubuntu", "resolute"),
    ],
)
def test_apts_repository_reads_as_it_is_meant(name, address, suite, foretold):
    result = foretold(name, docker_source="docker")
    paragraphs = list(Deb822.iter_paragraphs(written(result, ".sources"), use_apt_pkg=False))
    assert paragraphs == [
        {
            "Types": "deb",
            "URIs": address,
            "Suites": suite,
            "Components": "stable",
            "Signed-By": "/etc/apt/keyrings/gpuchat-docker.gpg",
        }
    ]
    assert result["unforetold"] == [f"the key at {address}/gpg: it is not reached (nobody asks a network here)"]
    assert "9DC858229FC7DD38854AE2D88D81803C0EBFCD88" in str(result["diff"])


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("name", DNF)
def test_dnfs_repository_reads_as_it_is_meant(name, machine, foretold):
    result = foretold(name, docker_source="docker", machine=machine)
    major = name.rpartition("-")[2]
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.read_string(written(result, ".repo"))
    assert {section: dict(parsed[section]) for section in parsed.sections()} == {
        "gpuchat-docker": {
            "name": "gpuchat-docker",
            "baseurl": f"https://download.docker.com/linux/rhel/{major}/{machine}/stable",
            "enabled": "1",
            "gpgcheck": "1",
            "repo_gpgcheck": "0",
            "gpgkey": "file:///etc/pki/rpm-gpg/gpuchat-docker",
        }
    }
    assert "060A61C51B558A7F742B77AAC52FEB6B621E9F35" in str(result["diff"])


def test_a_mirror_takes_the_place_of_dockers_repositories_and_key(foretold):
    mirror = {
        "docker_source": "docker",
        "docker_repository_url": "https://mirror.example.com/docker",
        "docker_repository_key_url": "https://mirror.example.com/key",
        "docker_repository_key_fingerprint": "A" * 40,
    }
    for name, suffix in (("debian-13", ".sources"), ("rocky-9", ".repo")):
        result = foretold(name, **mirror)
        assert "https://mirror.example.com/docker/" in written(result, suffix)
        assert "https://mirror.example.com/key" in result["unforetold"][0]
        assert "A" * 40 in str(result["diff"])


@pytest.mark.parametrize("version", ["29.7.2", "29.7.*", "29.*"])
@pytest.mark.parametrize("name", RECORDED)
def test_a_pinned_version_names_engine_and_client_as_the_release_has_them(name, version, foretold):
    result = foretold(name, docker_source="docker", docker_version=version)
    pinned = dict(package.split("=") for package in installed_by(result) if "=" in package)
    there = RECORDED[name]["docker"]
    assert {package: fnmatch.fnmatchcase(there[package], pattern) for package, pattern in pinned.items()} == {
        "docker-ce": True,
        "docker-ce-cli": True,
    }
    assert not fnmatch.fnmatchcase("5:129.7.2-1", pinned["docker-ce"])
    assert set(result["msg"].split("; hold ")[1].split(", ")) == OWN


@pytest.mark.parametrize("name", [name for name in APT if name != "debian-12"])
def test_a_pinned_version_of_the_distribution_fits_its_own(name, foretold):
    there = RECORDED[name]["distribution"]
    version = there["docker.io"].replace("+", "-").partition("-")[0]
    pinned = dict(
        package.split("=") for package in installed_by(foretold(name, docker_version=version)) if "=" in package
    )
    assert "docker.io" in pinned
    assert all(fnmatch.fnmatchcase(there[package], pattern) for package, pattern in pinned.items())


@pytest.mark.parametrize("name", APT)
def test_each_package_that_docker_conflicts_with_goes_first(name, foretold):
    there = {package for package, version in RECORDED[name]["distribution"].items() if version}
    acts = foretold(name, installed=there, docker_source="docker")["msg"].split("; ")
    removed, installed = acts[-2:]
    assert set(removed.removeprefix("remove ").split(", ")) == there
    assert installed.startswith("install docker-ce")


@pytest.mark.parametrize("name", DNF)
def test_podman_stays_where_what_stands_for_docker_goes(name, foretold):
    result = foretold(name, installed=["podman", "podman-docker", "runc", "crun"], docker_source="docker")
    assert "; remove podman-docker, runc; install docker-ce" in result["msg"]


@pytest.mark.parametrize("name", [name for name in APT if name != "debian-12"])
def test_what_stands_for_docker_goes_before_the_distributions_docker_too(name, foretold):
    assert foretold(name, installed=["podman", "podman-docker"])["msg"].startswith("remove podman-docker; install")


def test_dockers_own_packages_are_not_pushed_out_by_the_distributions(foretold):
    with pytest.raises(Refusal, match="set docker_source to docker or present"):
        foretold("debian-13", installed=["docker-ce"])


@pytest.mark.parametrize("name", [*RECORDED, "fedora-43", "ol-9"])
def test_a_docker_that_is_there_is_left_as_it_is(name, foretold):
    result = foretold(name, docker_source="present", docker_version="29.7.2")
    assert (result["changed"], result["diff"]) == (False, [])


@pytest.mark.parametrize(
    ("variables", "settings"),
    [
        pytest.param(
            {},
            {
                "live-restore": True,
                "log-driver": "local",
                "log-opts": {"max-size": "50m", "max-file": "3"},
            },
            id="by default",
        ),
        pytest.param({"docker_source": "present"}, {}, id="a Docker that is there"),
        pytest.param(
            {"docker_log_driver": "journald", "docker_live_restore": False},
            {"live-restore": False, "log-driver": "journald"},
            id="the journal rotates by itself",
        ),
        pytest.param(
            {
                "docker_source": "present",
                "docker_data_root": "/data/docker",
                "docker_address_pools": [{"base": "10.201.0.0/16", "size": 24}],
                "gpuchat_registry_mirrors": ["https://mirror.example.com"],
                "gpuchat_insecure_registries": ["registry:5000"],
                "docker_settings": {"mtu": 1400, "registry-mirrors": ["https://other.example.com"]},
            },
            {
                "data-root": "/data/docker",
                "default-address-pools": [{"base": "10.201.0.0/16", "size": 24}],
                "registry-mirrors": ["https://other.example.com"],
                "insecure-registries": ["registry:5000"],
                "mtu": 1400,
            },
            id="each variable, and further keys that win",
        ),
    ],
)
def test_variables_become_keys_of_daemon_json(variables, settings):
    wanted = Role(**variables).task("gpuchat_docker_daemon")["settings"]
    assert {key: value for key, value in wanted.items() if value != []} == settings


@pytest.mark.parametrize(
    ("variables", "folders"),
    [
        ({}, ["/var/lib/docker", "/var/lib/containerd"]),
        ({"docker_data_root": "/data/docker"}, ["/data/docker", "/var/lib/containerd"]),
        ({"docker_settings": {"features": {"containerd-snapshotter": False}}}, ["/var/lib/docker"]),
        ({"docker_settings": {"features": {"cdi": True}}}, ["/var/lib/docker", "/var/lib/containerd"]),
    ],
)
def test_the_disk_is_looked_at_where_images_and_data_will_lie(variables, folders):
    assert Role(**variables).task("gpuchat_space")["paths"] == folders
