# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles that install packages would do on each release, held against what that release is recorded to have."""

from __future__ import annotations

import configparser
import fnmatch
import functools
import itertools
import os
import pathlib
import re
import types

import jinja2.meta
import jinja2.nativetypes
import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.filter import core, mathstuff
from ansible.plugins.test import core as core_tests
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker.folders import folders
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.packages import (
    apt_runner,
    runner,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system.release import Release
from ansible_collections.gpuchat.stack.plugins.modules import gpuchat_packages
from debian.deb822 import Deb822

ROOT = pathlib.Path(__file__).resolve().parents[2]
RELEASES = pathlib.Path(__file__).resolve().parent / "plugins" / "module_utils" / "packages" / "releases"
RECORDED = yaml.safe_load((RELEASES / "packages.yml").read_text(encoding="utf-8"))
APT = [name for name, row in RECORDED.items() if "distribution" in row]
DNF = [name for name in RECORDED if name not in APT]
OWN = {"docker-ce", "docker-ce-cli", "containerd.io", "docker-buildx-plugin", "docker-compose-plugin"}
OMIT = object()
KERNEL = "6.12.0-55.9.1.el10_0"
# Releases in no table: what their os-release says of themselves.
UNKNOWN = {
    "linuxmint-22": 'ID=linuxmint\nVERSION_ID="22.1"\nID_LIKE="ubuntu debian"\nVERSION_CODENAME=xia\n',
    "pop-22.04": 'ID=pop\nVERSION_ID="22.04"\nID_LIKE="ubuntu debian"\nVERSION_CODENAME=jammy\n',
    "amzn-2023": 'ID="amzn"\nVERSION_ID="2023"\nID_LIKE="fedora"\n',
    "openEuler-24.03": 'ID="openEuler"\nVERSION_ID="24.03"\n',
    "kylin-V10": 'ID="kylin"\nVERSION_ID="V10"\n',
    "hce-2.0": 'ID="hce"\nVERSION_ID="2.0"\n',
}
STACK = {
    "gpuchat_registry_mirrors": [],
    "gpuchat_insecure_registries": [],
    "gpuchat_accelerator": "auto",
    "gpuchat_supervisor": "compose",
    "omit": OMIT,
}


@functools.cache
def read_yaml(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@functools.cache
def jinja():
    """Return Jinja with Ansible's own filters and tests."""
    environment = jinja2.nativetypes.NativeEnvironment(undefined=jinja2.StrictUndefined)
    ansibles = {**core.FilterModule().filters(), **mathstuff.FilterModule().filters()}
    environment.filters = {**ansibles, **environment.filters}
    environment.tests.update(core_tests.TestModule().tests())
    return environment


@functools.cache
def compiled(text):
    """Return a template, and the variables that it needs."""
    return jinja().from_string(text), jinja2.meta.find_undeclared_variables(jinja().parse(text))


class Role:
    """A role's variables and tasks, templated as far as they need it."""

    def __init__(self, name="docker", **variables):
        self.folder = ROOT / "roles" / name
        self.variables = {**STACK, **self.read("defaults", "main.yml"), **self.read("vars", "main.yml"), **variables}

    def read(self, *parts):
        return read_yaml(self.folder.joinpath(*parts))

    def templated(self, value):
        if isinstance(value, dict):
            pairs = {key: self.templated(inner) for key, inner in value.items()}
            return {key: inner for key, inner in pairs.items() if inner is not OMIT}
        if isinstance(value, list):
            return [self.templated(inner) for inner in value]
        if not isinstance(value, str) or "{{" not in value:
            return value
        template, needed = compiled(value)
        return template.render(
            {name: self.templated(self.variables[name]) for name in needed if name in self.variables}
        )

    def tasks(self, module, file="main.yml"):
        """Return the arguments of a module's tasks, but for those that are skipped."""
        tasks = [task for task in self.read("tasks", file) if module in task]
        return [self.templated(task[module]) for task in tasks if self.is_run(task)]

    def task(self, module, file="main.yml"):
        (arguments,) = self.tasks(module, file)
        return arguments

    def is_run(self, task):
        condition = task.get("when", True)
        return condition is True or self.templated(f"{{{{ {condition} }}}}")


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
def snaps():
    """Return the paths of snaps, and of programs, that a host has."""
    return set()


@pytest.fixture
def checked(monkeypatch, tmp_path, module_parameters, snaps):
    """Return what a check of a task's arguments would predict on a release with some packages."""

    def check(arguments, name, installed=(), machine="x86_64", modules=b""):
        dpkg = "\n".join(f"Package: {package}\nStatus: install ok installed\nVersion: 1\n" for package in installed)
        rpm = "".join(f"{package}\t1-1\t1\n" for package in installed)
        files = {"/etc/os-release": os_release(name).encode(), "/var/lib/dpkg/status": dpkg.encode()}
        files[f"/lib/modules/{KERNEL}.{machine}/modules.dep"] = modules

        def file_state(path, read=True):
            return host.FileState(files[path], 0o644, 0, 0) if path in files else None

        def run(command, *_, **__):
            return host.Output(0, rpm if "--query" in command else "", "")

        monkeypatch.setattr(host, "STATE_DIRECTORY", str(tmp_path))
        monkeypatch.setattr(host, "file_state", file_state)
        monkeypatch.setattr(host, "run", run)
        monkeypatch.setattr(apt_runner, "_listed", lambda own: [])
        monkeypatch.setattr(host, "http", lambda url, **_: host.Response(0, {}, b"", "nobody asks a network here"))
        running = types.SimpleNamespace(machine=machine, release=f"{KERNEL}.{machine}")
        monkeypatch.setattr(os, "uname", lambda: running)
        programs = {"/usr/bin/dnf", *snaps}
        monkeypatch.setattr(
            host, "program", lambda name: f"/usr/bin/{name}" if f"/usr/bin/{name}" in programs else None
        )
        monkeypatch.setattr(os.path, "lexists", lambda path: path in snaps)
        return runner.ensure(module_parameters(arguments), check=True)

    return check


@pytest.fixture
def predicted(checked):
    """Return what a check of the role docker would predict on a release with some packages."""
    return lambda name, installed=(), machine="x86_64", modules=b"", **variables: checked(
        Role(**variables).task("gpuchat_packages"), name, installed, machine, modules
    )


def os_release(name):
    if name in UNKNOWN:
        return UNKNOWN[name]
    return (RELEASES / f"{name}.os-release").read_text(encoding="utf-8")


def written(result, suffix):
    """Return the text of the file that a result predicts, without the line that tells its mode."""
    (text,) = [entry["after"] for entry in result["diff"] if entry["after_header"].endswith(suffix)]
    return text.partition("\n")[2]


def names_in(result, act):
    """Return the packages that a result predicts to install, hold or remove."""
    texts = [text.removeprefix(f"{act} ") for text in result["msg"].split("; ") if text.startswith(f"{act} ")]
    return [name for text in texts for name in text.split(", ")]


def installed_by(result):
    names = names_in(result, "install")
    assert names
    return names


def apts_repository(result):
    return list(Deb822.iter_paragraphs(written(result, ".sources"), use_apt_pkg=False))


def dnfs_repository(result):
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.read_string(written(result, ".repo"))
    return {section: dict(parsed[section]) for section in parsed.sections()}


# --- docker ---


@pytest.mark.parametrize("name", [name for name in APT if name != "debian-12"])
def test_the_distributions_packages_exist_with_compose_v2(name, predicted):
    packages = installed_by(predicted(name))
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
def test_a_release_whose_own_packages_cannot_serve_is_refused(name, words, predicted):
    with pytest.raises(Refusal, match=words):
        predicted(name)


@pytest.mark.parametrize("name", RECORDED)
def test_dockers_own_packages_are_installed_on_each_release(name, predicted):
    assert set(installed_by(predicted(name, docker_source="docker"))) == OWN


@pytest.mark.parametrize("name", ["rhel-10", "rocky-10", "almalinux-10"])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_on_rhel_10_dockers_first_rule_gets_its_kernel_module(name, machine, predicted):
    package = f"kernel-modules-extra={KERNEL}"
    lacking, complete = b"kernel/net/xt_mark.ko.xz:\n", b"extra/net/netfilter/xt_addrtype.ko.xz:\n"
    result = predicted(name, machine=machine, modules=lacking, docker_source="docker", docker_version="29.7.2")
    assert package in installed_by(result)
    assert set(names_in(result, "hold")) == OWN
    assert package not in installed_by(predicted(name, machine=machine, modules=complete, docker_source="docker"))
    assert package not in installed_by(predicted(name, machine=machine, docker_source="docker"))


@pytest.mark.parametrize("source", ["distribution", "docker", "present"])
def test_a_docker_from_snap_is_refused(source, predicted, snaps):
    snaps.add("/snap/docker/current")
    with pytest.raises(Refusal, match="found /snap/docker/current: a Docker from snap, .* `snap remove docker`"):
        predicted("ubuntu-24.04", docker_source=source)


@pytest.mark.parametrize("source", ["distribution", "docker"])
def test_a_docker_that_was_unpacked_by_hand_is_not_overwritten(source, predicted, monkeypatch, snaps):
    monkeypatch.setattr(apt_runner, "owns", lambda path: False)
    snaps.add("/usr/bin/dockerd")
    with pytest.raises(Refusal, match="found /usr/bin/dockerd, which no package owns: .* set docker_source to present"):
        predicted("ubuntu-24.04", docker_source=source)
    predicted("ubuntu-24.04", docker_source="present")


@pytest.mark.parametrize("source", ["distribution", "docker"])
def test_another_makers_docker_is_not_pushed_out(source, predicted):
    with pytest.raises(Refusal, match="found the package moby-engine 1: .* set docker_source to present"):
        predicted("ubuntu-24.04", ["moby-engine", "moby-cli"], docker_source=source)
    assert not predicted("ubuntu-24.04", ["moby-engine"], docker_source="present")["changed"]


def test_the_containerd_of_a_kubernetes_is_not_removed(predicted):
    with pytest.raises(Refusal, match=r"found the packages kubelet 1 and containerd 1: .* would take the containerd"):
        predicted("ubuntu-24.04", ["kubelet", "containerd"], docker_source="docker")
    predicted("ubuntu-24.04", ["kubelet", "containerd.io"], docker_source="docker")
    predicted("ubuntu-24.04", ["kubelet", "containerd"])


@pytest.mark.parametrize("source", ["distribution", "docker"])
@pytest.mark.parametrize("name", UNKNOWN)
def test_a_release_in_no_table_is_refused_with_a_variable_that_there_is(name, source, predicted):
    with pytest.raises(Refusal, match="install Docker .* on the host yourself and set docker_source to present"):
        predicted(name, docker_source=source)


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_release_whose_driver_nobody_knows_is_refused_with_a_variable_that_there_is(name, driver):
    with pytest.raises(Refusal, match="or set nvidia_driver_packages to what this release calls its driver"):
        driver(name)


@pytest.mark.parametrize("name", ["fedora-43", "ol-9"])
def test_a_release_that_nobody_has_looked_at_is_refused(name, predicted):
    with pytest.raises(Refusal, match="wanted one of debian, rhel, ubuntu"):
        predicted(name, docker_source="docker")


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
def test_apts_repository_reads_as_it_is_meant(name, address, suite, predicted):
    result = predicted(name, docker_source="docker")
    assert apts_repository(result) == [
        {
            "Types": "deb",
            "URIs": address,
            "Suites": suite,
            "Components": "stable",
            "Signed-By": "/etc/apt/keyrings/gpuchat-docker.gpg",
        }
    ]
    assert result["not_predicted"] == [f"the key at {address}/gpg: it is not reached (nobody asks a network here)"]
    assert "9DC858229FC7DD38854AE2D88D81803C0EBFCD88" in str(result["diff"])


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("name", DNF)
def test_dnfs_repository_reads_as_it_is_meant(name, machine, predicted):
    result = predicted(name, docker_source="docker", machine=machine)
    major = name.rpartition("-")[2]
    assert dnfs_repository(result) == {
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


def test_a_mirror_takes_the_place_of_dockers_repositories_and_key(predicted):
    mirror = {
        "docker_source": "docker",
        "docker_repository_url": "https://mirror.example.com/docker",
        "docker_repository_key_url": "https://mirror.example.com/key",
        "docker_repository_key_fingerprint": "A" * 40,
    }
    for name, suffix in (("debian-13", ".sources"), ("rocky-9", ".repo")):
        result = predicted(name, **mirror)
        assert "https://mirror.example.com/docker/" in written(result, suffix)
        assert "https://mirror.example.com/key" in result["not_predicted"][0]
        assert "A" * 40 in str(result["diff"])


@pytest.mark.parametrize("version", ["29.7.2", "29.7.*", "29.*"])
@pytest.mark.parametrize("name", RECORDED)
def test_a_pinned_version_names_engine_and_client_as_the_release_has_them(name, version, predicted):
    result = predicted(name, docker_source="docker", docker_version=version)
    pinned = dict(package.split("=") for package in installed_by(result) if "=" in package)
    there = RECORDED[name]["docker"]
    assert {package: fnmatch.fnmatchcase(there[package], pattern) for package, pattern in pinned.items()} == {
        "docker-ce": True,
        "docker-ce-cli": True,
    }
    assert not fnmatch.fnmatchcase("5:129.7.2-1", pinned["docker-ce"])
    assert set(names_in(result, "hold")) == OWN


@pytest.mark.parametrize("name", [name for name in APT if name != "debian-12"])
def test_a_pinned_version_of_the_distribution_fits_its_own(name, predicted):
    there = RECORDED[name]["distribution"]
    version = there["docker.io"].replace("+", "-").partition("-")[0]
    pinned = dict(
        package.split("=") for package in installed_by(predicted(name, docker_version=version)) if "=" in package
    )
    assert "docker.io" in pinned
    assert all(fnmatch.fnmatchcase(there[package], pattern) for package, pattern in pinned.items())


@pytest.mark.parametrize("name", APT)
def test_each_package_that_docker_conflicts_with_goes_first(name, predicted):
    there = {package for package, version in RECORDED[name]["distribution"].items() if version}
    acts = predicted(name, installed=there, docker_source="docker")["msg"].split("; ")
    removed, installed = acts[-2:]
    assert set(removed.removeprefix("remove ").split(", ")) == there
    assert installed.startswith("install docker-ce")


@pytest.mark.parametrize("name", DNF)
def test_podman_stays_where_what_stands_for_docker_goes(name, predicted):
    result = predicted(name, installed=["podman", "podman-docker", "runc", "crun"], docker_source="docker")
    assert "; remove podman-docker, runc; install docker-ce" in result["msg"]


@pytest.mark.parametrize("name", [name for name in APT if name != "debian-12"])
def test_what_stands_for_docker_goes_before_the_distributions_docker_too(name, predicted):
    assert predicted(name, installed=["podman", "podman-docker"])["msg"].startswith("remove podman-docker; install")


def test_dockers_own_packages_are_not_pushed_out_by_the_distributions(predicted):
    with pytest.raises(Refusal, match="set docker_source to docker or present"):
        predicted("debian-13", installed=["docker-ce"])


@pytest.mark.parametrize("name", ["debian-13", "rocky-9", "fedora-43"])
def test_a_podman_by_the_name_of_docker_is_no_docker_that_is_there(name, predicted):
    with pytest.raises(Refusal, match="found the package podman-docker .*a docker that is Podman's.*set docker_source"):
        predicted(name, installed=["podman", "podman-docker"], docker_source="present")


@pytest.mark.parametrize("name", [*RECORDED, *UNKNOWN, "fedora-43", "ol-9"])
def test_a_docker_that_is_there_is_left_as_it_is(name, predicted):
    result = predicted(name, docker_source="present", docker_version="29.7.2")
    assert (result["changed"], result["diff"]) == (False, [])


@pytest.mark.parametrize(
    ("variables", "settings", "defaults"),
    [
        pytest.param(
            {},
            {},
            {"live-restore": True, "log-driver": "local", "log-opts": {"max-size": "50m", "max-file": "3"}},
            id="by default",
        ),
        pytest.param({"docker_source": "present"}, {}, {}, id="a Docker that is there"),
        pytest.param(
            {"docker_log_driver": "local"},
            {"log-driver": "local", "log-opts": {"max-size": "50m", "max-file": "3"}},
            {"live-restore": True},
            id="a driver of the inventory's choice is for every host",
        ),
        pytest.param(
            {"docker_log_driver": "journald", "docker_live_restore": False},
            {"live-restore": False, "log-driver": "journald"},
            {"live-restore": True},
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
            {},
            id="each variable, and further keys that win",
        ),
    ],
)
def test_variables_become_keys_of_daemon_json(variables, settings, defaults):
    wanted = Role(**variables).task("gpuchat_docker_daemon")
    assert {key: value for key, value in wanted["settings"].items() if value != []} == settings
    assert wanted["defaults"] == defaults


def test_the_disk_is_looked_at_where_docker_is_told_to_put_images_and_data():
    variables = {"docker_data_root": "/data/docker", "docker_settings": {"features": {"containerd-snapshotter": False}}}
    space = Role(**variables).task("gpuchat_packages")["space"]
    assert folders(space["docker_settings"], {}, {}, (), space["docker_version"]) == ("/data/docker",)


@pytest.mark.parametrize("name", [name for name in APT if name != "debian-12"])
def test_the_distributions_docker_is_known_where_it_keeps_images_by_itself(name):
    version = RECORDED[name]["distribution"]["docker.io"]
    known = Release.parse(os_release(name)).row(Role().task("gpuchat_packages")["space"]["docker_versions"])
    assert (known or "29") == version.partition(".")[0]
    assert Role(docker_source="docker").task("gpuchat_packages")["space"]["docker_versions"] == {}


# --- nvidia_driver ---

WANTS_DRIVER = {"accelerator": "nvidia", "install_driver": True, "reboot": False}
ANSIBLES_NAMES = {"debian": "Debian", "ubuntu": "Ubuntu", "rhel": "RedHat", "rocky": "Rocky", "almalinux": "AlmaLinux"}


@pytest.fixture
def driver(checked):
    """Return what a check would predict of a release's kernel headers and of its driver; None for a skipped task."""

    def predict(name, installed=(), accelerator=None, machine="x86_64", **variables):
        accelerator = accelerator or WANTS_DRIVER
        release = Release.parse(os_release(name))
        facts = {
            "distribution": ANSIBLES_NAMES.get(release.id, release.id),
            "distribution_major_version": release.major,
        }
        role = Role("nvidia_driver", __accelerator=accelerator, ansible_facts=facts, **variables)
        results = {
            task["name"]: checked(task, name, installed, machine)
            for task in role.tasks("gpuchat_packages", "install.yml")
        }
        return results.get("nvidia-driver-headers"), results.get("nvidia-driver")

    return predict


@pytest.mark.parametrize("open_modules", [True, False])
@pytest.mark.parametrize("name", APT)
def test_the_distributions_driver_and_headers_exist(name, open_modules, driver):
    headers, packages = driver(name, nvidia_driver_open_modules=open_modules)
    named = names_in(headers, "install") + installed_by(packages)
    assert [package for package in named if not RECORDED[name]["driver"].get(package)] == []


@pytest.mark.parametrize(
    ("name", "variables", "kernel", "module"),
    [
        ("debian-12", {}, "linux-headers-amd64", "nvidia-kernel-dkms"),
        ("debian-13", {}, "linux-headers-amd64", "nvidia-open-kernel-dkms"),
        ("debian-13", {"nvidia_driver_open_modules": False}, "linux-headers-amd64", "nvidia-kernel-dkms"),
        (
            "debian-13",
            {"nvidia_driver_kernel": "cloud-amd64"},
            "linux-headers-cloud-amd64",
            "nvidia-open-kernel-dkms",
        ),
        ("ubuntu-22.04", {}, "linux-image-generic", "linux-modules-nvidia-580-server-open-generic"),
        (
            "ubuntu-24.04",
            {"nvidia_driver_kernel": "generic-hwe-24.04"},
            "linux-image-generic-hwe-24.04",
            "linux-modules-nvidia-580-server-open-generic-hwe-24.04",
        ),
        (
            "ubuntu-26.04",
            {"nvidia_driver_kernel": "aws", "nvidia_driver_open_modules": False},
            "linux-image-aws",
            "linux-modules-nvidia-580-server-aws",
        ),
    ],
)
def test_the_modules_are_those_of_the_kernel_that_the_host_starts(name, variables, kernel, module, driver):
    headers, packages = driver(name, **variables)
    named = names_in(headers, "install") + installed_by(packages)
    assert {kernel, module} <= set(named)
    assert [package for package in named if not RECORDED[name]["driver"].get(package)] == []


@pytest.mark.parametrize("name", APT)
def test_the_driver_is_held_and_what_its_modules_are_built_with_is_not(name, driver):
    """A kernel without headers, or one that outruns its prebuilt modules, would start without GPUs."""
    headers, packages = driver(name)
    assert names_in(headers, "hold") == []
    assert names_in(packages, "hold") == installed_by(packages)
    assert any(package.startswith("linux-image-") for package in installed_by(packages)) is name.startswith("ubuntu")
    assert names_in(driver(name, nvidia_driver_hold=False)[1], "hold") == []


@pytest.mark.parametrize(
    ("name", "installed"),
    [
        ("ubuntu-24.04", "linux-image-generic-hwe-24.04"),
        ("ubuntu-22.04", "linux-image-aws"),
        ("debian-13", "linux-image-cloud-amd64"),
        ("debian-13", "linux-image-arm64-16k"),
        ("ubuntu-24.04", "linux-image-nvidia-64k"),
        ("ubuntu-22.04", "linux-image-nvidia-64k-hwe-22.04"),
        ("ubuntu-24.04", "linux-image-lowlatency-hwe-24.04"),
        ("ubuntu-24.04", "linux-image-oem-24.04b"),
        ("ubuntu-24.04", "linux-image-aws-lts-24.04"),
        ("debian-13", "linux-image-liquorix-amd64"),
    ],
)
@pytest.mark.parametrize("source", ["distribution", "nvidia"])
def test_a_kernel_of_another_kind_is_refused_with_the_hint(name, installed, source, driver):
    with pytest.raises(Refusal, match=f"found the package {installed} 1: .*set nvidia_driver_kernel to it"):
        driver(name, [installed], nvidia_driver_source=source)
    driver(name, [installed], nvidia_driver_source=source, nvidia_driver_kernel=installed.removeprefix("linux-image-"))


@pytest.mark.parametrize(
    ("name", "installed"),
    [
        ("debian-13", "proxmox-kernel-6.14.11-4-pve-signed"),
        ("debian-12", "pve-kernel-6.2.16-3-pve"),
        ("debian-13", "linux-image-6.12.8-x64v3-xanmod1"),
        ("ubuntu-24.04", "linux-image-6.16.3-zabbly+"),
        ("ubuntu-24.04", "linux-image-unsigned-6.14.0-061400-generic"),
    ],
    ids=["Proxmox", "an older Proxmox", "XanMod", "Zabbly", "a build of the mainline"],
)
@pytest.mark.parametrize("source", ["distribution", "nvidia"])
def test_a_kernel_of_another_maker_is_refused_before_modules_are_built_for_none(name, installed, source, driver):
    with pytest.raises(
        Refusal, match=f"found the package {re.escape(installed)} 1: .*set nvidia_driver_install to false"
    ):
        driver(name, [installed], nvidia_driver_source=source)
    driver(name, [installed], nvidia_driver_source=source, nvidia_driver_packages=["nvidia-driver"])


def test_a_kernel_of_ubuntus_own_that_is_not_signed_is_no_other_makers(driver):
    driver("ubuntu-24.04", ["linux-image-unsigned-6.8.0-45-generic"])


@pytest.mark.parametrize("source", ["distribution", "nvidia"])
def test_a_driver_that_nvidias_installer_put_there_gets_no_second_one_beside_it(source, driver, monkeypatch, snaps):
    monkeypatch.setattr(apt_runner, "owns", lambda path: False)
    snaps.add("/usr/bin/nvidia-uninstall")
    with pytest.raises(Refusal, match=r"found /usr/bin/nvidia-uninstall, .* run `nvidia-uninstall`"):
        driver("ubuntu-24.04", nvidia_driver_source=source)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("distribution", "the distribution ships no NVIDIA driver; wanted one; install it as NVIDIA's guide says"),
        ("nvidia", "its driver comes in module streams .* set nvidia_driver_packages, nvidia_driver_repository_url"),
    ],
)
@pytest.mark.parametrize("name", DNF)
def test_the_driver_of_a_rhel_is_its_owners_to_install(name, source, words, driver):
    with pytest.raises(Refusal, match=words):
        driver(name, nvidia_driver_source=source)


@pytest.mark.parametrize("name", [*RECORDED, "fedora-43", "ol-9"])
def test_a_driver_that_works_is_left_alone(name, driver):
    assert driver(name, accelerator={**WANTS_DRIVER, "install_driver": False}) == (None, None)


@pytest.mark.parametrize(
    ("name", "folder", "key", "fingerprint"),
    [
        ("debian-12", "debian12", "3bf863cc.pub", "EB693B3035CD5710E231E123A4B469963BF863CC"),
        ("debian-13", "debian13", "8793F200.pub", "02182E60104FCDC26EAE1B8597A5D4CB8793F200"),
        ("ubuntu-22.04", "ubuntu2204", "3bf863cc.pub", "EB693B3035CD5710E231E123A4B469963BF863CC"),
        ("ubuntu-24.04", "ubuntu2404", "3bf863cc.pub", "EB693B3035CD5710E231E123A4B469963BF863CC"),
        ("ubuntu-26.04", "ubuntu2604", "60DF8A40.pub", "14BAFBC7562AD710CA04E69905FBB6DA60DF8A40"),
    ],
)
def test_nvidias_own_driver_comes_with_the_key_of_its_release(name, folder, key, fingerprint, driver):
    headers, packages = driver(name, nvidia_driver_source="nvidia")
    assert installed_by(headers) == [f"linux-headers-{'amd64' if name.startswith('debian') else 'generic'}"]
    assert installed_by(packages) == ["nvidia-open"]
    address = f"https://developer.download.nvidia.com/compute/cuda/repos/{folder}/x86_64"
    assert apts_repository(packages) == [
        {"Types": "deb", "URIs": address, "Suites": "/", "Signed-By": "/etc/apt/keyrings/gpuchat-nvidia-driver.gpg"}
    ]
    assert packages["not_predicted"] == [f"the key at {address}/{key}: it is not reached (nobody asks a network here)"]
    assert fingerprint in str(packages["diff"])


@pytest.mark.parametrize(("machine", "folder"), [("x86_64", "x86_64"), ("aarch64", "sbsa"), ("ppc64le", "ppc64el")])
def test_nvidias_folder_of_an_arm_server_has_a_name_of_its_own(machine, folder, driver):
    _headers, packages = driver("ubuntu-24.04", machine=machine, nvidia_driver_source="nvidia")
    (repository,) = apts_repository(packages)
    assert repository["URIs"] == f"https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2404/{folder}"
    assert any(f"/ubuntu2404/{folder}/3bf863cc.pub" in note for note in packages["not_predicted"])


@pytest.mark.parametrize(
    ("name", "source", "package"),
    [
        ("ubuntu-24.04", "nvidia", "cuda-drivers-580"),
        ("debian-12", "nvidia", "cuda-drivers-580"),
        ("ubuntu-24.04", "distribution", "linux-modules-nvidia-580-server-generic"),
        ("debian-13", "distribution", "nvidia-kernel-dkms"),
    ],
)
def test_gpus_older_than_turing_get_closed_modules_of_the_last_branch(name, source, package, driver):
    _headers, packages = driver(name, accelerator={**WANTS_DRIVER, "last_branch": "580"}, nvidia_driver_source=source)
    assert package in installed_by(packages)
    assert not [one for one in installed_by(packages) if "open" in one]


def test_a_key_of_the_users_own_comes_before_the_recorded_one(driver):
    _headers, packages = driver(
        "ubuntu-26.04",
        nvidia_driver_source="nvidia",
        nvidia_driver_repository_key_url="https://example.com/key",
        nvidia_driver_repository_key_fingerprint="A" * 40,
    )
    assert installed_by(packages) == ["nvidia-open"]
    assert "A" * 40 in str(packages["diff"])


def test_the_release_is_asked_for_only_where_its_key_is_wanted():
    def asked(**variables):
        role = Role("nvidia_driver", __accelerator=WANTS_DRIVER, **variables)
        return len(role.tasks("ansible.builtin.setup", "install.yml"))

    assert (asked(), asked(nvidia_driver_source="nvidia")) == (0, 1)
    assert asked(nvidia_driver_source="nvidia", nvidia_driver_repository_key_fingerprint="A" * 40) == 0


@pytest.mark.parametrize("name", DNF)
def test_packages_that_are_named_come_from_the_repository_that_is_named(name, driver):
    headers, packages = driver(
        name,
        nvidia_driver_source="nvidia",
        nvidia_driver_packages=["nvidia-driver-cuda=3:580.*", "kmod-nvidia-open-dkms"],
        nvidia_driver_repository_url="https://mirror.example.com/rhel{version_major}/{arch}",
        nvidia_driver_repository_key_url="https://mirror.example.com/key",
        nvidia_driver_repository_key_fingerprint="A" * 40,
    )
    assert headers is None
    assert installed_by(packages)[:2] == ["nvidia-driver-cuda=3:580.*", "kmod-nvidia-open-dkms"]
    repository = dnfs_repository(packages)["gpuchat-nvidia-driver"]
    assert repository["baseurl"] == f"https://mirror.example.com/rhel{name.rpartition('-')[2]}/x86_64"
    assert (repository["gpgcheck"], repository["repo_gpgcheck"]) == ("1", "0")


@pytest.mark.parametrize(("source", "signed"), [("distribution", ["ubuntu"]), ("nvidia", [])])
def test_secure_boot_lets_in_ubuntus_own_modules_alone(source, signed):
    look = Role("nvidia_driver", nvidia_driver_source=source, gpuchat_toolbox="/t").task(
        "gpuchat_accelerator", "detect.yml"
    )
    assert look["signed_modules"] == signed


# --- nvidia_container_toolkit ---

TOOLKIT = [
    "nvidia-container-toolkit",
    "nvidia-container-toolkit-base",
    "libnvidia-container-tools",
    "libnvidia-container1",
]
"""The packages' names, deb and rpm, by packaging/ of NVIDIA/nvidia-container-toolkit 1.20.0."""
FOUND = {
    "accelerator": "nvidia",
    "driver_version": "580.95.05",
    "gpus": [{"uuid": f"GPU-{index}", "memory_free_bytes": 1, "mig_devices": []} for index in range(2)],
}


def toolkit_role(**variables):
    image = {"reference": "image"}
    daemon = {"digest": "d", "reload_digest": "r"}
    own = {"__nvidia_container_toolkit_image": image, "__nvidia_container_toolkit_daemon": daemon}
    return Role("nvidia_container_toolkit", **{"__accelerator": FOUND, **own, **variables})


@pytest.fixture
def toolkit(checked):
    """Return what a check of the toolkit's packages would predict on a release with some packages."""

    def predict(name, installed=(), machine="x86_64", **variables):
        return checked(toolkit_role(**variables).task("gpuchat_packages", "present.yml"), name, installed, machine)

    return predict


@pytest.mark.parametrize("version", ["1.20.0-1", "1.17.8-1"])
@pytest.mark.parametrize("name", [*RECORDED, "fedora-43", "ol-9"])
def test_the_four_packages_of_the_toolkit_have_one_version_and_keep_it(name, version, toolkit):
    result = toolkit(name, nvidia_container_toolkit_version=version)
    pinned = [f"{package}={version}" for package in TOOLKIT]
    assert installed_by(result)[:4] == pinned
    assert names_in(result, "hold") == TOOLKIT


@pytest.mark.parametrize(("machine", "arch"), [("x86_64", "amd64"), ("aarch64", "arm64")])
@pytest.mark.parametrize("name", APT)
def test_the_toolkits_repository_reads_as_it_is_meant_for_apt(name, machine, arch, toolkit):
    result = toolkit(name, machine=machine)
    assert apts_repository(result) == [
        {
            "Types": "deb",
            "URIs": f"https://nvidia.github.io/libnvidia-container/stable/deb/{arch}",
            "Suites": "/",
            "Signed-By": "/etc/apt/keyrings/gpuchat-nvidia-container-toolkit.gpg",
        }
    ]
    assert "the key at https://nvidia.github.io/libnvidia-container/gpgkey: " in result["not_predicted"][0]
    assert "C95B321B61E88C1809C4F759DDCAE044F796ECB0" in str(result["diff"])


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("name", DNF)
def test_the_toolkits_repository_reads_as_it_is_meant_for_dnf(name, machine, toolkit):
    """NVIDIA signs the metadata, and not the packages, as its own nvidia-container-toolkit.repo says."""
    result = toolkit(name, machine=machine)
    assert dnfs_repository(result) == {
        "gpuchat-nvidia-container-toolkit": {
            "name": "gpuchat-nvidia-container-toolkit",
            "baseurl": f"https://nvidia.github.io/libnvidia-container/stable/rpm/{machine}",
            "enabled": "1",
            "gpgcheck": "0",
            "repo_gpgcheck": "1",
            "gpgkey": "file:///etc/pki/rpm-gpg/gpuchat-nvidia-container-toolkit",
        }
    }
    assert "C95B321B61E88C1809C4F759DDCAE044F796ECB0" in str(result["diff"])


def test_a_mirror_takes_the_place_of_the_toolkits_repository_suite_and_key(toolkit):
    mirror = {
        "nvidia_container_toolkit_repository_url": "https://mirror.example.com/toolkit",
        "nvidia_container_toolkit_repository_suite": "frozen/",
        "nvidia_container_toolkit_repository_key_url": "https://mirror.example.com/key",
        "nvidia_container_toolkit_repository_key_fingerprint": "A" * 40,
    }
    (repository,) = apts_repository(toolkit("debian-13", **mirror))
    assert (repository["URIs"], repository["Suites"]) == ("https://mirror.example.com/toolkit/deb/amd64", "frozen/")
    result = toolkit("rocky-9", **mirror)
    (repository,) = dnfs_repository(result).values()
    assert repository["baseurl"] == "https://mirror.example.com/toolkit/rpm/x86_64"
    assert result["not_predicted"] == [
        "the key at https://mirror.example.com/key: it is not reached (nobody asks a network here)"
    ]
    assert "A" * 40 in str(result["diff"])


@pytest.mark.parametrize("name", RECORDED)
def test_the_toolkits_forerunners_go_first(name, toolkit):
    old = ["nvidia-docker2", "nvidia-container-runtime", "nvidia-container-runtime-hook"]
    assert set(names_in(toolkit(name, installed=old), "remove")) == set(old)


def described(**variables):
    """Return which units describe the GPUs for CDI, and which further files of tasks are to."""
    role = toolkit_role(**variables)
    services = [task["name"] for task in role.tasks("gpuchat_service", "present.yml")]
    files = [task["file"] for task in role.tasks("ansible.builtin.include_tasks", "present.yml")]
    return [*(name for name in services if name != "docker"), *files]


@pytest.mark.parametrize(
    ("variables", "by"),
    [
        ({}, ["nvidia-cdi-refresh.path", "nvidia-cdi-refresh"]),
        ({"nvidia_container_toolkit_version": "1.18.*"}, ["nvidia-cdi-refresh.path", "nvidia-cdi-refresh"]),
        ({"nvidia_container_toolkit_version": "1.17.8-1"}, ["specification.yml"]),
        ({"nvidia_container_toolkit_cdi": False}, []),
        ({"nvidia_container_toolkit_cdi": False, "nvidia_container_toolkit_version": "1.17.8-1"}, []),
    ],
)
def test_the_toolkits_own_units_describe_the_gpus_from_1_18_on(variables, by):
    assert described(**variables) == by


def test_the_gpus_are_described_anew_when_driver_or_gpus_or_their_division_change():
    def digest(driver="580.95.05", uuid="GPU-0", divided=(), free=1):
        gpu = {"uuid": uuid, "memory_free_bytes": free, "mig_devices": [{"uuid": one} for one in divided]}
        found = {"driver_version": driver, "gpus": [gpu]}
        tasks = toolkit_role(__accelerator=found).tasks("gpuchat_service", "present.yml")
        (one,) = [task["digest"] for task in tasks if task["name"] == "nvidia-cdi-refresh"]
        return one

    assert digest() == digest(free=2)
    changed = [digest(), digest(driver="580.178.04"), digest(uuid="GPU-1"), digest(divided=["MIG-0"])]
    assert len(set(changed)) == len(changed)
    assert all(len(one) == 64 for one in changed)


@pytest.mark.parametrize("devices", [None, []])
def test_a_division_that_was_not_reported_counts_as_none(devices):
    found = {"driver_version": None, "gpus": [{"uuid": None, "mig_devices": devices}]}
    assert toolkit_role(__accelerator=found).tasks("gpuchat_service", "present.yml")


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_users_docker_gets_the_runtime_and_settings_of_its_own(state):
    role = toolkit_role(nvidia_container_toolkit_rootless_user="alice", nvidia_container_toolkit_state=state)
    daemon = role.task("gpuchat_docker_daemon", "rootless.yml")
    assert (daemon["path"], daemon["nvidia_runtime"], daemon["state"]) == (
        "~alice/.config/docker/daemon.json",
        "present",
        state,
    )
    users = [task for task in role.read("tasks", "rootless.yml") if "become_user" in task]
    assert [role.templated(task["become_user"]) for task in users] == ["alice", "alice"]
    file_set = role.task("gpuchat_files", "rootless.yml")
    assert file_set["state"] == state
    texts = {file["dest"]: file["content"] for file in file_set["files"] if "content" in file}
    (unit, settings) = texts
    parsed = {}
    for path, text in texts.items():
        parsed[path] = configparser.ConfigParser(interpolation=None)
        parsed[path].optionxform = str
        parsed[path].read_string(text)
    assert dict(parsed[unit]["Service"]) == {"Environment": f"NVIDIA_CTK_CONFIG_FILE_PATH={settings}"}
    assert dict(parsed[settings]["nvidia-container-cli"]) == {"no-cgroups": "true"}


@pytest.mark.parametrize(("daemon", "files"), list(itertools.product([True, False], repeat=2)))
def test_a_users_docker_is_restarted_only_on_a_change(daemon, files):
    role = toolkit_role(
        nvidia_container_toolkit_rootless_user="alice",
        __nvidia_container_toolkit_user_daemon={"changed": daemon},
        __nvidia_container_toolkit_user_files={"changed": files},
    )
    restarts = role.tasks("ansible.builtin.systemd_service", "rootless.yml")
    assert [task["state"] for task in restarts] == ["restarted"] * (daemon or files)


@pytest.mark.parametrize(
    ("variables", "files"),
    [
        ({}, ["present.yml"]),
        ({"nvidia_container_toolkit_state": "absent"}, ["absent.yml"]),
        ({"nvidia_container_toolkit_rootless_user": "alice"}, ["present.yml", "rootless.yml"]),
        ({"__accelerator": {"accelerator": "cpu"}, "nvidia_container_toolkit_rootless_user": "alice"}, []),
    ],
)
def test_the_toolkit_is_for_hosts_that_compute_with_nvidias_gpus(variables, files):
    includes = toolkit_role(**variables).tasks("ansible.builtin.include_tasks")
    assert [include["file"] for include in includes] == files
