# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with a stack on it, whose files are real and whose commands are a table."""

from __future__ import annotations

import json
import os
import pwd
import socket
import types

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import CommandFailed, Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker import daemon_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker.container import Container, systemd_unit
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model.files import FORMAT, MANIFEST
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model.store_runner import Store
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.packages import runner as packages_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.packages.plan import InstalledPackage, Ours
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.removal import (
    data_runner,
    docker_runner,
    packages_removal_runner,
    reading_runner,
    runner,
    trees_runner,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system import files_runner, service_runner

ME = {"owner": str(os.getuid()), "group": str(os.getgid())}
ENGINE = "gpuchat-vllm-small"
IMAGE = "registry/vllm@sha256:" + "0" * 64


class System:
    """Packages, each with those that need it."""

    def __init__(self, commands):
        self.there = {}
        self.manual = set()
        self.commands = commands

    def installed(self):
        return {name: InstalledPackage("1") for name in self.there}

    def chosen_since(self):
        return self.manual

    def removed_with(self, names):
        return tuple({*names, *(by for name in names for by in self.there.get(name, ()))})

    def remove(self, names):
        self.commands.made.append(f"remove {' '.join(names)}")
        for name in names:
            del self.there[name]

    def purge(self, names):
        self.commands.made.append(f"purge {' '.join(names)}")
        for name in names:
            self.there.pop(name, None)

    def unhold(self, names):
        self.commands.made.append(f"unhold {' '.join(names)}")


@pytest.fixture
def place(tmp_path, state_directory, monkeypatch, commands):
    """A bare host below a folder."""
    root = tmp_path / "host"
    etc, cache, units = root / "etc" / "gpuchat", root / "cache", root / "units"
    units.mkdir(parents=True)
    monkeypatch.setattr(reading_runner, "CONFIGURATION", str(etc))
    monkeypatch.setattr(reading_runner, "MEMBERSHIP", str(etc / "stack"))
    monkeypatch.setattr(reading_runner, "STAMPS", str(root / "stamps"))
    monkeypatch.setattr(reading_runner, "LETSENCRYPT", str(root / "letsencrypt"))
    monkeypatch.setattr(reading_runner, "CLUSTERS", str(root / "clusters"))
    monkeypatch.setattr(reading_runner, "LEFT_BY_CERTBOT", (str(etc / "edge" / "acme.pem"),))
    monkeypatch.setattr(runner, "MEMBERSHIP", str(etc / "stack"))
    monkeypatch.setattr(runner, "LEFT_EMPTY", (str(root / "opt"),))
    monkeypatch.setattr(docker_runner, "LEFT_EMPTY", ())
    monkeypatch.setattr(docker_runner, "USUAL_FOLDER", str(root / "usual"))
    monkeypatch.setattr(trees_runner, "MOUNTS", str(root / "mounts"))
    monkeypatch.setattr(data_runner, "CACHE", str(cache))
    monkeypatch.setattr(data_runner, "MODELS", str(root / "models"))
    monkeypatch.setattr(data_runner, "CONTAINERD", str(root / "containerd"))
    monkeypatch.setattr(packages_runner, "SYSTEMD_UNITS", str(units))
    monkeypatch.setattr(host, "program", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(host, "wait_for", lambda *_: None)
    system = System(commands)
    monkeypatch.setattr(packages_runner, "system_here", lambda: system)
    commands.answer("docker network inspect", rc=1)
    commands.answer("docker image inspect", rc=1)
    return types.SimpleNamespace(root=root, etc=etc, cache=cache, units=units, system=system, state=state_directory)


def entry(dest, content=None, **more):
    usual = {"content": None, "secret_content": None, "folder": content is None, "mode": None, "secret": False}
    return {**usual, "keep": False, "program": None, **ME, "dest": str(dest), "content": content, **more}


def write_set(name, *files):
    files_runner.ensure(
        {"name": name, "files": files, "validate": None, "validate_requires": [], "state": "present"}, False
    )


@pytest.fixture
def stack(place):
    """The stack on it: an edge, an engine with its model and cache, packages, a replaced file."""
    place.etc.mkdir(parents=True)
    (place.etc / "stack").write_text("api_key 1\n")
    theirs = place.root / "theirs.yaml"
    theirs.write_bytes(b"theirs\r\n")
    write_set(
        "edge",
        entry(place.etc, folder=True),
        entry(place.etc / "edge", folder=True),
        entry(place.etc / "edge" / "nginx.conf", "x"),
        entry(theirs, "ours"),
    )
    model = place.root / "models" / "small"
    model.mkdir(parents=True)
    (model / "weights").write_bytes(b"12345678")
    unit = systemd_unit(Container(ENGINE, IMAGE, "1:1", volumes=(f"{model}:/model:ro", f"{place.cache}/small:/cache")))
    write_set(
        ENGINE,
        entry(place.cache / "small", folder=True),
        entry(place.state / "vllm" / "small", folder=True),
        entry(place.units / f"{ENGINE}.service", unit),
    )
    (place.cache / "small" / "kernel").write_text("123")
    for name in ("gpuchat-edge", ENGINE):
        host.write_json(service_runner.record_path(name), {"supervisor": "systemd", "digest": "d"})
    packages_runner.write_record(
        "nginx", Ours(installed=("nginx", "libx"), asked=("nginx",), masked=("nginx.service",))
    )
    os.symlink("/dev/null", place.units / "nginx.service")
    place.system.there = {"nginx": (), "libx": ("nginx",), "theirs": ()}
    place.theirs, place.model = theirs, model
    return place


def params(**more):
    return {"confirm": "yes", "packages": True, "data": False, "toolbox": "/nowhere/toolbox", **more}


def files_below(folder):
    return sorted(
        os.path.relpath(os.path.join(where, name), folder)
        for where, _folders, names in os.walk(folder)
        for name in names
    )


def test_without_a_confirmation_nothing_is_removed(stack):
    before = files_below(stack.root)
    with pytest.raises(Refusal, match="found no confirmation"):
        runner.ensure(params(confirm=""), check=False)
    assert files_below(stack.root) == before


def test_a_check_asks_for_none_and_predicts_what_is_then_removed(stack, commands):
    before = files_below(stack.root), files_below(stack.state)
    predicted = runner.ensure(params(confirm=""), check=True)
    assert (files_below(stack.root), files_below(stack.state)) == before
    assert commands.that("stop", "disable", "unmask", "purge", "remove", "rm") == []
    done = runner.ensure(params(), check=False)
    assert predicted["changed"] is done["changed"] is True
    assert predicted["removed"] == done["removed"]


def test_what_stood_before_comes_back_and_nothing_of_the_stack_is_left_but_data(stack, commands):
    done = runner.ensure(params(), check=False)
    assert stack.theirs.read_bytes() == b"theirs\r\n"
    assert not stack.etc.exists()
    assert files_below(stack.root) == [
        "cache/small/kernel",
        "models/small/weights",
        "theirs.yaml",
        "units/nginx.service",
    ]
    assert stack.system.there == {"theirs": ()}
    assert commands.that("purge") == ["purge libx nginx"]
    assert commands.that("unmask") == ["systemctl unmask nginx.service"]
    assert [one["bytes"] for one in done["kept"] if one["name"] == str(stack.cache)] == [3]


def test_a_second_removal_changes_nothing_and_tells_the_same_data(stack):
    first = runner.ensure(params(), check=False)
    (stack.units / "nginx.service").unlink()  # as the command would have
    second = runner.ensure(params(), check=False)
    assert (second["changed"], second["removed"]) == (False, [])
    assert second["kept"] == first["kept"]


def test_data_can_be_removed_later_by_what_the_first_removal_has_remembered(stack):
    runner.ensure(params(), check=False)
    (stack.units / "nginx.service").unlink()
    done = runner.ensure(params(data=True), check=False)
    assert done["changed"] is True
    assert files_below(stack.root) == ["models/small/weights", "theirs.yaml"]
    assert not stack.cache.exists()
    assert not stack.state.exists()
    assert runner.ensure(params(data=True), check=False)["changed"] is False


def test_a_model_that_its_owner_has_put_there_stays_and_is_told(stack):
    done = runner.ensure(params(data=True), check=False)
    assert {"name": str(stack.model), "reason": "its owner has put it there", "bytes": 8} in done["kept"]
    assert (stack.model / "weights").exists()


def fetched(model):
    """Write what a download leaves beside a model's weights."""
    of = {"source": "path", "repo": "x", "revision": "", "include": [], "exclude": []}
    kept = {"format": FORMAT, "commit": "c", **of, "files": [{"path": "weights", "size": 8}]}
    (model / MANIFEST).write_text(json.dumps(kept))


def test_a_model_that_no_engine_reads_any_more_is_found_beside_the_others(stack):
    old = stack.root / "models" / "old"
    old.mkdir()
    (old / "weights").write_bytes(b"12345678")
    fetched(old)
    assert str(old) in {one["name"] for one in runner.ensure(params(), check=False)["kept"]}
    runner.ensure(params(data=True), check=False)
    assert not old.exists()


def test_a_model_that_runs_have_fetched_goes_with_the_data_and_a_strangers_file_stays(stack):
    fetched(stack.model)
    (stack.model / "stranger").write_text("x")
    runner.ensure(params(data=True), check=False)
    assert [one.name for one in stack.model.iterdir()] == ["stranger"]


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "ceph", "lustre", "9p", "fuse.sshfs", "fuse.glusterfs", "ext4"])
def test_a_model_on_a_networks_disk_stays_for_other_hosts_may_serve_it(stack, kind):
    fetched(stack.model)
    share = stack.root / "models"
    (stack.root / "mounts").write_text(f"/dev/sda / ext4 rw 0 0\nfiler:/x {share} {kind} rw 0 0\n")
    done = runner.ensure(params(data=True), check=False)
    assert stack.model.exists() is (kind != "ext4")
    if kind != "ext4":
        assert f"({kind} at {share})" in reasons_of(done)[str(stack.model)]
        again = runner.ensure(params(data=True), check=False)
        assert again["kept"] == done["kept"]


def test_a_model_that_another_run_holds_stays_and_the_rest_goes(stack, monkeypatch):
    fetched(stack.model)
    monkeypatch.setattr(data_runner, "PATIENCE_SECONDS", 0.0)
    with Store(str(stack.model)).locked(0):
        done = runner.ensure(params(data=True), check=False)
    assert "another run" in reasons_of(done)[str(stack.model)]
    assert not stack.cache.exists()
    assert not stack.etc.exists()
    runner.ensure(params(data=True), check=False)
    assert not stack.model.exists()


def test_somebodys_model_is_not_ours_by_a_record_that_he_may_have_written(stack, monkeypatch):
    fetched(stack.model)
    usual = os.stat
    monkeypatch.setattr(data_runner.os, "stat", lambda path, **more: owned(usual(path, **more), path, stack.model))
    done = runner.ensure(params(data=True), check=False)
    assert reasons_of(done)[str(stack.model)] == "it belongs to another user (4711)"
    assert (stack.model / "weights").exists()


def owned(status, path, whose):
    """Let a place belong to a stranger."""
    return os.stat_result((*status[:4], 4711, *status[5:])) if str(path) == str(whose) else status


def test_a_link_of_an_engines_leads_no_removal_out_of_its_folder(stack, monkeypatch):
    mine = stack.root / "mine"
    mine.mkdir()
    (mine / "file").write_text("x")
    (stack.state / "room").symlink_to(mine)
    usual = os.lstat
    monkeypatch.setattr(
        trees_runner.os, "lstat", lambda path, **more: owned(usual(path, **more), path, stack.state / "room")
    )
    done = runner.ensure(params(data=True), check=False)
    assert (mine / "file").exists()
    assert "the user 4711" in reasons_of(done)[str(stack.state / "room")]


def test_what_root_has_moved_elsewhere_goes_with_its_link(stack):
    stack.cache.rename(stack.root / "big")
    stack.cache.symlink_to(stack.root / "big")
    runner.ensure(params(data=True), check=False)
    assert not stack.cache.is_symlink()
    assert not (stack.root / "big").exists()


def test_a_disk_that_is_mounted_in_a_cache_is_not_entered(stack):
    (stack.cache / "disk").mkdir()
    (stack.cache / "disk" / "mine").write_text("x")
    (stack.root / "mounts").write_text(f"/dev/sdb {stack.cache}/disk ext4 rw 0 0\n")
    done = runner.ensure(params(data=True), check=False)
    assert files_below(stack.cache) == ["disk/mine"]
    assert reasons_of(done)[str(stack.cache)] == f"something is mounted at {stack.cache}/disk"


def test_a_socket_whose_folder_became_a_link_meanwhile_takes_no_other_file(stack, monkeypatch):
    theirs = stack.root / "run"
    theirs.mkdir()
    monkeypatch.chdir(theirs)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("docker.sock")
    monkeypatch.chdir("/")
    (stack.state / "vllm" / "small" / "deep").symlink_to(theirs)
    assert trees_runner.unlink_socket(str(stack.state), f"{stack.state}/vllm/small/deep/docker.sock") is False
    assert (theirs / "docker.sock").exists()


def test_a_folder_that_became_a_link_gets_no_owner_back_through_it(stack):
    mine = stack.root / "mine"
    mine.mkdir(mode=0o750)
    folder = stack.root / "theirs"
    folder.mkdir(mode=0o777)
    write_set("moved", entry(folder, folder=True, mode="0700"))
    folder.rmdir()
    folder.symlink_to(mine)
    before = mine.stat().st_mode
    done = runner.ensure(params(), check=False)
    assert mine.stat().st_mode == before
    assert folder.is_symlink()
    assert reasons_of(done)[str(folder)] == "no run has put the link there"


def test_a_socket_that_a_killed_engine_left_does_not_keep_its_folder(stack, monkeypatch):
    monkeypatch.chdir(stack.state / "vllm" / "small")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("vllm.sock")
    monkeypatch.chdir("/")
    runner.ensure(params(), check=False)
    assert not (stack.state / "vllm").exists()


def test_of_a_host_of_an_earlier_release_no_empty_folder_is_left(stack):
    write_set("all", entry(stack.etc / "vllm", folder=True))
    write_set("small", entry(stack.etc / "vllm" / "small", folder=True), entry(stack.etc / "vllm" / "small" / "a", "x"))
    os.unlink(files_runner.former_path())
    runner.ensure(params(), check=False)
    assert not stack.etc.exists()


def test_a_removal_that_was_interrupted_is_finished_by_the_next(stack, monkeypatch):
    with monkeypatch.context() as patched:

        def dies(names):
            raise CommandFailed("no more power")

        patched.setattr(stack.system, "purge", dies)
        with pytest.raises(CommandFailed):
            runner.ensure(params(), check=False)
    assert (stack.etc / "stack").exists()
    runner.ensure(params(), check=False)
    assert not stack.etc.exists()
    assert stack.system.there == {"theirs": ()}


def test_a_package_that_somebody_elses_needs_stays_with_its_reason(stack):
    stack.system.there["libx"] = ("nginx", "theirs")
    done = runner.ensure(params(), check=False)
    assert stack.system.there == {"libx": ("nginx", "theirs"), "theirs": ()}
    assert {"name": "the package libx", "reason": "it is needed by theirs, which is not the stack's", "bytes": 0} in (
        done["kept"]
    )


def test_a_package_that_came_along_and_was_asked_for_since_stays(stack):
    stack.system.manual = {"nginx", "libx"}
    runner.ensure(params(), check=False)
    assert set(stack.system.there) == {"libx", "theirs"}


def test_nginx_stays_where_somebody_has_unmasked_its_unit(stack):
    (stack.units / "nginx.service").unlink()
    done = runner.ensure(params(), check=False)
    assert "nginx" in stack.system.there
    assert any("nginx.service is not masked any more" in one["reason"] for one in done["kept"])


@pytest.mark.parametrize(
    ("role", "reason"),
    [
        ("firewall", "somebody else's rules"),
        ("edge-acme", "somebody else's certificates: shop"),
        ("postgresql", "somebody else's databases: 17/main"),
    ],
)
def test_a_program_that_holds_what_is_somebody_elses_stays(stack, commands, role, reason):
    packages_runner.write_record(role, Ours(installed=("program",), asked=("program",)))
    stack.system.there["program"] = ()
    commands.answer("systemctl is-enabled nftables.service", "enabled\n")
    (stack.root / "letsencrypt" / "shop").mkdir(parents=True)
    (stack.root / "clusters" / "17" / "main").mkdir(parents=True)
    (stack.root / "clusters" / "17" / "main" / "postgresql.conf").write_text("")
    done = runner.ensure(params(data=True), check=False)
    assert "program" in stack.system.there
    assert any(reason in one["reason"] for one in done["kept"])


def test_packages_stay_where_that_is_asked_for(stack):
    done = runner.ensure(params(packages=False), check=False)
    assert set(stack.system.there) == {"nginx", "libx", "theirs"}
    assert any("remove_packages is false" in one["reason"] for one in done["kept"])


def test_a_file_in_our_folder_that_no_run_has_put_there_stays_and_is_told(stack):
    (stack.etc / "notes").write_text("mine")
    done = runner.ensure(params(), check=False)
    assert (stack.etc / "notes").read_text() == "mine"
    assert str(stack.etc / "notes") in {one["name"] for one in done["kept"]}


def test_somebody_elses_container_keeps_docker_and_ours_goes(stack, commands):
    packages_runner.write_record("docker", Ours(installed=("docker.io",), asked=("docker.io",)))
    stack.system.there["docker.io"] = ()
    shown = [{"Name": "/shop", "HostConfig": {}}, {"Name": f"/{ENGINE}", "HostConfig": {}}]
    commands.answer("docker ps --all --quiet", "1 2")
    commands.answer("docker inspect", json.dumps(shown))
    done = runner.ensure(params(), check=False)
    assert "docker.io" in stack.system.there
    assert any("somebody else's containers: shop" in one["reason"] for one in done["kept"])


def dockers_folder(path, *volumes):
    """Make a folder as Docker makes its own, with a layer of an image and volumes."""
    (path / "overlay2").mkdir(parents=True)
    (path / "overlay2" / "layer").write_text("12345")
    (path / "volumes").mkdir()
    (path / "volumes" / "metadata.db").write_text("")
    for name in volumes:
        (path / "volumes" / name).mkdir()
    return path


def test_docker_goes_without_its_images_and_these_go_with_the_data(stack, commands, monkeypatch):
    packages_runner.write_record("docker", Ours(installed=("docker.io",), asked=("docker.io",)))
    stack.system.there["docker.io"] = ()
    images = dockers_folder(stack.root / "docker")
    commands.answer("docker info --format {{.DockerRootDir}}", f"{images}\n")
    known = {"dockerd": lambda: "docker.io" in stack.system.there}
    monkeypatch.setattr(host, "program", lambda name: name if known.get(name, lambda: True)() else None)
    done = runner.ensure(params(), check=False)
    assert commands.that("docker.io") == ["remove docker.io"]
    bytes_of = {one["name"]: one["bytes"] for one in done["kept"]}
    assert (bytes_of[str(images)], bytes_of["the configuration of docker.io"]) == (5, 0)
    assert runner.ensure(params(), check=False)["changed"] is False
    done = runner.ensure(params(data=True), check=False)
    assert commands.that("docker.io") == ["remove docker.io", "purge docker.io"]
    assert not images.exists()
    assert not stack.state.exists()
    assert runner.ensure(params(data=True), check=False)["changed"] is False


def test_docker_is_purged_at_once_where_the_data_goes_too_but_not_over_somebody_elses_volume(
    stack, commands, monkeypatch
):
    packages_runner.write_record("docker", Ours(installed=("docker.io",), asked=("docker.io",)))
    stack.system.there["docker.io"] = ()
    images = dockers_folder(stack.root / "docker")
    commands.answer("docker info --format {{.DockerRootDir}}", f"{images}\n")
    commands.answer("docker volume ls", f"shop\n{'0' * 64}\n")
    there = lambda name: name != "dockerd" or "docker.io" in stack.system.there  # noqa: E731
    monkeypatch.setattr(host, "program", lambda name: name if there(name) else None)
    done = runner.ensure(params(data=True), check=False)
    assert commands.that("docker.io") == ["remove docker.io"]
    assert (images / "overlay2" / "layer").exists()
    reasons = {one["name"]: one["reason"] for one in done["kept"]}
    assert reasons[str(images)] == "somebody else's are in it: volume shop"


@pytest.fixture
def gone(stack, monkeypatch):
    """A host that Docker has left, and whose data has stayed."""
    images = dockers_folder(stack.root / "docker", "0" * 64)
    host.write_json(data_runner.record_path(), {"folders": [str(images), str(stack.root / "containerd")]})
    stack.programs = {"systemctl", "nft"}
    monkeypatch.setattr(host, "program", lambda name: name if name in stack.programs else None)
    stack.images = images
    return stack


def reasons_of(done):
    return {one["name"]: one["reason"] for one in done["kept"]}


def test_of_a_folder_that_held_more_than_docker_only_dockers_own_goes(gone):
    (gone.images / "photos").mkdir()
    (gone.images / "photos" / "holiday").write_text("x")
    runner.ensure(params(data=True), check=False)
    assert files_below(gone.images) == ["photos/holiday"]
    assert runner.ensure(params(data=True), check=False)["changed"] is False


def test_a_folder_that_docker_has_never_kept_volumes_in_is_not_dockers(gone):
    (gone.images / "volumes" / "metadata.db").unlink()
    runner.ensure(params(data=True), check=False)
    assert (gone.images / "overlay2" / "layer").exists()


def test_dockers_usual_folder_is_known_without_its_book_as_a_purge_may_have_left_it(gone):
    left = gone.root / "usual" / "overlay2"
    left.mkdir(parents=True)
    host.write_json(data_runner.record_path(), {"folders": [str(left.parent)]})
    runner.ensure(params(data=True), check=False)
    assert not left.parent.exists()


def test_empty_folders_of_a_containerd_that_goes_on_stay(gone, monkeypatch):
    folder = gone.root / "cni"
    folder.mkdir()
    monkeypatch.setattr(docker_runner, "LEFT_EMPTY", (str(folder),))
    gone.programs.add("containerd")
    runner.ensure(params(data=True), check=False)
    assert folder.exists()


def test_an_entry_of_dockers_folder_that_leads_elsewhere_or_at_which_a_disk_is_mounted_stays(gone):
    disk = gone.images / "containers"
    disk.mkdir()
    (disk / "mine").write_text("x")
    (gone.root / "elsewhere").mkdir()
    (gone.root / "elsewhere" / "mine").write_text("x")
    (gone.images / "image").symlink_to(gone.root / "elsewhere")
    (gone.root / "mounts").write_text(f"/dev/sdb {disk} ext4 rw 0 0\n")
    done = runner.ensure(params(data=True), check=False)
    assert reasons_of(done)[str(gone.images)] == f"something is mounted at {disk}"
    assert (disk / "mine").exists()
    assert (gone.images / "image").is_symlink()
    assert (gone.root / "elsewhere" / "mine").exists()
    assert not (gone.images / "overlay2").exists()


def test_a_volume_with_a_name_that_came_later_keeps_dockers_folder(gone):
    (gone.images / "volumes" / "shop").mkdir()
    done = runner.ensure(params(data=True), check=False)
    assert reasons_of(done)[str(gone.images)] == "somebody else's are in it: volume shop"
    assert (gone.images / "overlay2" / "layer").exists()


def test_a_volume_that_its_owner_has_removed_since_keeps_nothing(gone):
    kept = host.read_json(data_runner.record_path())
    host.write_json(data_runner.record_path(), {**kept, "others": ["volume shop"]})
    runner.ensure(params(data=True), check=False)
    assert not gone.images.exists()


@pytest.mark.parametrize("by", ["its program", "a namespace"])
def test_containerds_folder_stays_where_somebody_else_has_containerd(gone, by):
    folder = gone.root / "containerd"
    tasks = folder / "io.containerd.runtime.v2.task" / ("k8s.io" if by == "a namespace" else "moby") / "1"
    tasks.mkdir(parents=True)
    gone.programs |= {"containerd"} if by == "its program" else set()
    done = runner.ensure(params(data=True), check=False)
    assert ("containerd is there still" in reasons_of(done)[str(folder)]) is (by == "its program")
    assert tasks.exists()


@pytest.mark.parametrize(("ours", "kept"), [(("docker.io",), False), (("docker.io", "containerd"), True)])
def test_the_folder_of_a_containerd_that_was_there_before_is_none_of_ours(stack, ours, kept):
    packages_runner.write_record("docker", Ours(installed=ours, asked=ours))
    stack.system.there |= {"docker.io": (), "containerd": ()}
    runner.ensure(params(), check=False)
    folders = host.read_json(data_runner.record_path()).get("folders") or []
    assert (str(stack.root / "containerd") in folders) is kept


def test_containerds_own_goes_where_nobody_has_it_any_more(gone):
    folder = gone.root / "containerd"
    (folder / "io.containerd.content.v1.content").mkdir(parents=True)
    (folder / "mine").write_text("x")
    runner.ensure(params(data=True), check=False)
    assert files_below(folder) == ["mine"]


def test_somebodys_containers_in_containerd_keep_docker_with_it(stack, commands):
    packages_runner.write_record("docker", Ours(installed=("docker.io",), asked=("docker.io",)))
    stack.system.there["docker.io"] = ()
    commands.answer("ctr namespaces list", "moby\nempty\nk8s.io\n")
    commands.answer("ctr --namespace k8s.io containers", "1\n")
    done = runner.ensure(params(data=True), check=False)
    assert "docker.io" in stack.system.there
    assert any("containers: containerd's namespace k8s.io" in reason for reason in reasons_of(done).values())


def test_dockers_usual_folder_that_an_earlier_docker_has_left_is_not_purged(stack, commands, monkeypatch):
    packages_runner.write_record("docker", Ours(installed=("docker.io",), asked=("docker.io",)))
    stack.system.there["docker.io"] = ()
    dockers_folder(stack.root / "usual", "shop")
    runner.ensure(params(data=True), check=False)
    assert commands.that("docker.io") == ["remove docker.io"]


def test_volumes_that_cannot_be_asked_for_count_as_somebodys(stack, commands):
    packages_runner.write_record("docker", Ours(installed=("docker.io",), asked=("docker.io",)))
    stack.system.there["docker.io"] = ()
    commands.answer("docker volume ls", rc=1)
    runner.ensure(params(data=True), check=False)
    assert commands.that("docker.io") == ["remove docker.io"]


@pytest.mark.parametrize(
    ("program", "again", "waits"),
    [("dockerd", False, True), ("dockerd", True, False), ("nothing", False, False)],
    ids=["another package's Docker", "the same package", "no Docker"],
)
def test_what_somebody_has_installed_since_is_not_purged(gone, commands, program, again, waits):
    host.write_json(data_runner.record_path(), {"purge": ["docker.io"]})
    gone.programs.add(program)
    gone.system.there |= {"docker.io": ()} if again else {}
    done = runner.ensure(params(data=True), check=False)
    assert ("purge docker.io" in commands.made) is (not waits and not again)
    assert ("the configuration of docker.io" in reasons_of(done)) is waits
    assert ("docker.io" in (host.read_json(data_runner.record_path()).get("purge") or [])) is waits


def test_what_could_not_be_purged_at_once_is_purged_when_nothing_speaks_against_it_any_more(
    stack, commands, monkeypatch
):
    packages_runner.write_record("docker", Ours(installed=("docker.io",), asked=("docker.io",)))
    stack.system.there["docker.io"] = ()
    images = dockers_folder(stack.root / "docker", "shop")
    commands.answer("docker info --format {{.DockerRootDir}}", f"{images}\n")
    there = lambda name: name != "dockerd" or "docker.io" in stack.system.there  # noqa: E731
    monkeypatch.setattr(host, "program", lambda name: name if there(name) else None)
    runner.ensure(params(data=True), check=False)
    assert commands.that("docker.io") == ["remove docker.io"]
    (images / "volumes" / "shop").rmdir()
    runner.ensure(params(data=True), check=False)
    assert commands.that("docker.io") == ["remove docker.io", "purge docker.io"]
    assert not images.exists()


def test_an_image_that_somebodys_container_uses_is_remembered(stack, commands):
    commands.answer("docker image inspect", "5")
    commands.answer("docker image rm", rc=1, stderr="a container uses it")
    done = runner.ensure(params(data=True), check=False)
    assert reasons_of(done)[IMAGE] == "a container uses it"
    assert host.read_json(data_runner.record_path())["images"] == [IMAGE]


def test_a_docker_that_does_not_answer_stays_for_nobody_knows_what_it_runs(stack, commands):
    packages_runner.write_record("docker", Ours(installed=("docker.io",), asked=("docker.io",)))
    stack.system.there["docker.io"] = ()
    commands.answer("docker ps --all --quiet", rc=1)
    done = runner.ensure(params(), check=False)
    assert "docker.io" in stack.system.there
    assert any("Docker does not answer" in one["reason"] for one in done["kept"])


def test_dockers_settings_come_back_byte_for_byte(stack, monkeypatch, tmp_path):
    path = tmp_path / "daemon.json"
    path.write_bytes(b'{ "debug":true }')
    monkeypatch.setattr(daemon_runner, "_validate", lambda *_: ())
    wish = {"settings": {"live-restore": True}, "defaults": {}, "nvidia_runtime": None, "cdi": None}
    wish |= {"runtime_name": "nvidia", "runtime_path": "x", "default_runtime": False}
    daemon_runner.ensure({**wish, "path": str(path), "owner": "gpuchat", "service": "", "state": "present"}, False)
    assert b"live-restore" in path.read_bytes()
    runner.ensure(params(), check=False)
    assert path.read_bytes() == b'{ "debug":true }'
    assert [one.name for one in tmp_path.glob("daemon.json*")] == ["daemon.json"]


def test_accounts_that_came_with_packages_go_but_a_group_that_somebody_has_joined_stays(stack, commands, monkeypatch):
    groups = stack.root / "group"
    groups.write_text("one:x:1:\ntwo:x:2:me\n")
    monkeypatch.setattr(packages_runner, "GROUPS", str(groups))
    record = packages_runner.read_record("nginx").more(groups=["one", "two", "gone"])
    packages_runner.write_record("nginx", record)
    runner.ensure(params(), check=False)
    assert [line for line in commands.made if "groupdel" in line] == ["/usr/bin/groupdel one"]


def test_an_account_under_which_something_runs_still_is_told(stack, commands, monkeypatch):
    users = stack.root / "passwd"
    users.write_text("web:x:1:1::/:/bin/sh\n")
    monkeypatch.setattr(packages_runner, "USERS", str(users))
    commands.answer("/usr/bin/userdel", rc=8, stderr="user web is currently used by process 7")
    packages_runner.write_record("nginx", packages_runner.read_record("nginx").more(users=["web"]))
    done = runner.ensure(params(), check=False)
    assert "used by process 7" in reasons_of(done)["the account web"]


@pytest.fixture
def database(stack, commands, monkeypatch):
    """What people have said, in a database whose account came with its package."""
    me = pwd.getpwuid(os.getuid()).pw_name
    users, groups = stack.root / "passwd", stack.root / "group"
    users.write_text(f"{me}:x:1:1::/:/bin/sh\n")
    groups.write_text(f"{me}:x:1:\n")
    monkeypatch.setattr(packages_runner, "USERS", str(users))
    monkeypatch.setattr(packages_runner, "GROUPS", str(groups))
    record = Ours(installed=("postgresql-17",), asked=("postgresql-17",), users=(me,), groups=(me,))
    packages_runner.write_record("postgresql", record)
    stack.system.there["postgresql-17"] = ()
    folder = stack.state / "postgresql" / "17"
    folder.mkdir(parents=True)
    (folder / "PG_VERSION").write_text("17")
    return types.SimpleNamespace(account=me, folder=folder)


def test_a_group_that_an_account_of_ours_has_joined_goes_with_that_account(stack, database, commands):
    groups = stack.root / "group"
    groups.write_text(f"{database.account}:x:1:\nssl-cert:x:2:{database.account}\n")
    record = packages_runner.read_record("postgresql")
    packages_runner.write_record("postgresql", record.more(groups=["ssl-cert"]))
    runner.ensure(params(), check=False)
    assert commands.that("groupdel") == []
    assert "ssl-cert" in packages_runner.read_record("postgresql").groups
    groups.write_text(f"{database.account}:x:1:\nssl-cert:x:2:\n")  # userdel takes it out
    (stack.units / "nginx.service").unlink()
    runner.ensure(params(data=True), check=False)
    assert "/usr/bin/groupdel ssl-cert" in commands.made


def test_what_people_said_stays_with_the_account_that_it_belongs_to(stack, database, commands):
    done = runner.ensure(params(), check=False)
    assert "postgresql-17" not in stack.system.there
    assert (database.folder / "PG_VERSION").exists()
    assert commands.that("userdel", "groupdel") == []
    reasons = reasons_of(done)
    assert reasons[f"the account {database.account}"] == "files of its own stay (remove_data is false)"
    assert "data is kept" in reasons[str(stack.state / "postgresql")]


def test_what_people_said_goes_later_with_its_account_where_that_is_asked_for(stack, database, commands):
    runner.ensure(params(), check=False)
    (stack.units / "nginx.service").unlink()
    again = runner.ensure(params(), check=False)
    assert again["changed"] is False
    assert f"the account {database.account}" in reasons_of(again)
    runner.ensure(params(data=True), check=False)
    assert not stack.state.exists()
    assert [line.split()[0] for line in commands.made if "userdel" in line or "groupdel" in line] == [
        "/usr/bin/userdel",
        "/usr/bin/groupdel",
    ]


def test_backups_below_our_folder_stay_whatever_is_asked_for(stack, database):
    for name in ("data", "keys", "snapshots"):
        (stack.state / "backups" / "chat" / name).mkdir(parents=True)
    (stack.state / "backups" / "chat" / "config").write_text("sealed")
    done = runner.ensure(params(data=True), check=False)
    assert (stack.state / "backups" / "chat" / "config").read_text() == "sealed"
    assert "no removal takes away" in reasons_of(done)[str(stack.state / "backups")]
    assert not database.folder.exists()


def test_what_a_package_leaves_when_it_is_purged_goes_but_for_what_somebody_has_put_beside_it(stack):
    www = stack.root / "www" / "html"
    www.mkdir(parents=True)
    (www / "index").write_text("Welcome")
    (stack.root / "www" / "mine").write_text("mine")
    made = [str(www / "index"), str(www), str(stack.root / "www")]
    packages_runner.write_record("nginx", packages_runner.read_record("nginx").more(made=made))
    runner.ensure(params(), check=False)
    assert files_below(stack.root / "www") == ["mine"]
    assert not www.exists()


@pytest.mark.parametrize(("text", "stays"), [("Welcome", False), ("my shop", True)])
def test_a_first_page_that_somebody_has_altered_since_stays(stack, monkeypatch, text, stays):
    page, first = stack.root / "index.html", stack.root / "first.html"
    page.write_text(text)
    first.write_text("Welcome")
    monkeypatch.setattr(packages_removal_runner, "COPIES", {str(page): str(first)})
    packages_runner.write_record("nginx", packages_runner.read_record("nginx").more(made=[str(page)]))
    runner.ensure(params(), check=False)
    assert page.exists() is stays


def test_a_host_without_a_stack_is_left_alone(place, commands):
    assert runner.ensure(params(data=True), check=False) == {
        "changed": False,
        "diff": [],
        "msg": "nothing is left to remove",
        "removed": [],
        "kept": [],
    }
    assert commands.that("stop", "rm", "purge") == []


def test_containerds_folder_for_programs_goes_where_nobody_has_installed_one(tmp_path):
    (tmp_path / "io.containerd.metadata.v1.bolt").mkdir()
    (tmp_path / "opt" / "bin").mkdir(parents=True)
    assert docker_runner.containerds_entries(str(tmp_path)) == ("io.containerd.metadata.v1.bolt", "opt")
    (tmp_path / "opt" / "bin" / "tool").write_text("")
    assert docker_runner.containerds_entries(str(tmp_path)) == ("io.containerd.metadata.v1.bolt",)


def test_check_mode_asks_containerd_nothing_for_it_would_write_a_file(monkeypatch, tmp_path):
    monkeypatch.setattr(docker_runner, "CONTAINERD", str(tmp_path))
    monkeypatch.setattr(docker_runner.host, "run", lambda *_args: pytest.fail("it was asked"))
    (tmp_path / docker_runner.TASKS / "k8s.io" / "pod").mkdir(parents=True)
    assert docker_runner.spaces(check=True) == ("containerd's namespace k8s.io",)
