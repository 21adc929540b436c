# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container as one unit of state: in which order its parts change, and what stays when one fails."""

from __future__ import annotations

import json

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import CommandFailed, Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker import container, container_runner

pytestmark = pytest.mark.usefixtures("state_directory")
DIGEST = "sha256:" + "0" * 64
RUNNING = [{"Name": "/one", "State": {"Running": True, "Status": "running"}, "RestartCount": 0}]


@pytest.fixture
def params(tmp_path, monkeypatch):
    monkeypatch.setattr(container_runner, "unit_path", lambda name: f"{tmp_path}/{name}.service")
    monkeypatch.setattr(host, "program", lambda name: f"/usr/bin/{name}")

    def build(**more):
        usual = {
            "name": "one", "image": "a/b:1", "registry_map": {}, "registry_mirrors": [],
            "registry_logins": [], "insecure_registries": [],
            "lock_file": "lock.yml", "locked_digest": DIGEST, "timeout": 60, "supervisor": "compose",
            "folder": f"{tmp_path}/one", "files": [], "user": "1:1", "entrypoint": [], "command": [],
            "environment": {"PORT": 8000}, "volumes": [], "tmpfs": ["/tmp"], "shm_size": "", "gpus": "",
            "network": None, "replaces": [],
            "health_command": [], "start_seconds": 60, "stop_seconds": 10, "digest": "", "health": None,
            "state": "present",
        }  # fmt: skip
        return {**usual, **more}

    return build


@pytest.fixture
def docker(commands, monkeypatch):
    """A Docker that holds no image, and runs the container once it was asked to."""
    monkeypatch.setattr(container_runner.images_runner, "resolve", lambda *_: DIGEST)
    commands.answer("docker image inspect", rc=1)
    up = lambda: any(" up " in line for line in commands.made)  # noqa: E731
    commands.answer("docker ps", lambda: "c\n" if up() else "")
    commands.answer("docker inspect", json.dumps(RUNNING))
    return commands


def acts(commands):
    verbs = ("pull", "config", "up", "down")
    return [next(verb for verb in verbs if verb in line.split()) for line in commands.that(*verbs)]


def test_a_container_is_pulled_validated_and_started_in_this_order(params, docker):
    result = container_runner.ensure(params(), check=False)
    assert acts(docker) == ["pull", "config", "up"]
    assert (result["changed"] and result["started"], result["reference"]) == (True, f"docker.io/a/b@{DIGEST}")
    assert [one["before_header"].rpartition("/")[2] for one in result["diff"]] == [
        "b:1",
        "one",
        "compose.yml",
        "service one",
    ]


def test_a_second_run_changes_nothing(params, docker):
    container_runner.ensure(params(), check=False)
    docker.answer("docker image inspect", rc=0)
    docker.made.clear()
    docker.answer("docker ps", "c\n")
    result = container_runner.ensure(params(), check=False)
    assert (result["changed"], result["started"], result["diff"], acts(docker)) == (False, False, [], [])


@pytest.mark.parametrize("change", [{"environment": {"PORT": 8001}}, {"digest": "another model"}, {"stop_seconds": 20}])
def test_whatever_it_runs_with_is_a_new_start(params, docker, change):
    container_runner.ensure(params(), check=False)
    docker.answer("docker image inspect", rc=0)
    docker.answer("docker ps", "c\n")
    docker.made.clear()
    assert container_runner.ensure(params(**change), check=False)["changed"]
    assert any("--force-recreate" in line for line in docker.made)


def test_check_mode_predicts_all_and_touches_nothing(params, docker, tmp_path):
    result = container_runner.ensure(
        params(health={"url": "http://localhost:1/", "status": 200, "timeout": 1}), check=True
    )
    assert len(result["diff"]) == 4
    assert result["not_predicted"] == ["the health of one: it can be known only after the change"]
    assert acts(docker) in ([], ["config"])
    assert not (tmp_path / "one").exists()


def test_where_the_pull_fails_nothing_else_was_touched(params, docker, tmp_path):
    docker.answer("docker pull", rc=1, stderr="no such host")
    with pytest.raises(CommandFailed, match="no such host"):
        container_runner.ensure(params(), check=False)
    assert not (tmp_path / "one").exists()
    assert acts(docker) == ["pull"]


def test_where_the_files_are_not_valid_the_running_container_is_left_alone(params, docker):
    docker.answer("/usr/bin/docker compose", rc=15, stderr="bad project")
    with pytest.raises(Refusal, match="bad project"):
        container_runner.ensure(params(), check=False)
    assert "up" not in acts(docker)


def test_an_absent_container_is_stopped_before_its_files_go(params, docker, tmp_path):
    container_runner.ensure(params(), check=False)
    docker.made.clear()
    docker.answer("docker ps", "c\n")
    assert container_runner.ensure(params(state="absent"), check=False)["changed"]
    assert acts(docker) == ["down"]
    assert not (tmp_path / "one").exists()
    docker.answer("docker ps", "")
    assert not container_runner.ensure(params(state="absent"), check=False)["changed"]


def test_one_that_takes_the_place_of_another_stops_it_before_it_starts_and_keeps_its_data(params, docker, tmp_path):
    kept = tmp_path / "data"
    container_runner.ensure(params(name="old", files=[{"dest": str(kept), "folder": True}]), check=False)
    (kept / "history").write_text("said")
    docker.answer("docker image inspect", rc=0)
    docker.answer("docker ps", "c\n")
    new = params(name="new", folder=f"{tmp_path}/new", replaces=["old", "never-there"])
    docker.made.clear()
    assert "service old" in str(container_runner.ensure(new, check=True)["diff"])
    assert (acts(docker), (tmp_path / "one" / "compose.yml").exists()) == (["config"], True)
    docker.made.clear()
    container_runner.ensure(new, check=False)
    lines = [line for line in docker.made if " down" in line or " up " in line]
    assert ["down" in line and "old" in line for line in lines if "never-there" not in line] == [True, False]
    assert ((kept / "history").read_text(), (tmp_path / "one").exists()) == ("said", False)


def test_where_it_cannot_start_for_its_files_the_one_in_its_place_runs_on(params, docker, tmp_path):
    container_runner.ensure(params(name="old"), check=False)
    docker.answer("/usr/bin/docker compose", rc=15, stderr="bad project")
    with pytest.raises(Refusal, match="bad project"):
        container_runner.ensure(params(name="new", folder=f"{tmp_path}/new", replaces=["old"]), check=False)
    assert "down" not in acts(docker)


def test_under_systemd_the_unit_lies_where_systemd_reads_it():
    assert container.unit_path("one") == "/etc/systemd/system/one.service"


def test_under_podman_the_file_lies_where_its_generator_reads_it_and_is_validated_by_that(params):
    given = params(supervisor="quadlet")
    (entry,) = [one for one in container_runner.files_of(given, f"a/b@{DIGEST}") if "content" in one]
    assert entry["dest"] == "/etc/containers/systemd/one.container"
    fileset = container_runner.set_of(given, [])
    assert fileset["validate"][:2] == ["env", "QUADLET_UNIT_DIRS={staged}/etc/containers/systemd"]
    assert (fileset["validate"][2], fileset["validate_requires"]) == (
        container_runner.GENERATOR,
        [container_runner.GENERATOR],
    )


def test_systemd_forgets_what_was_made_of_a_quadlet_file_that_has_gone(commands):
    container_runner.forget_units({"changed_files": ["/etc/gpuchat/one/compose.yml"]})
    assert commands.made == []
    container_runner.forget_units({"changed_files": ["/etc/containers/systemd/one.container"]})
    assert commands.made == ["systemctl daemon-reload"]


@pytest.mark.parametrize("supervisor", ["compose", "systemd"])
def test_a_secret_of_the_environment_is_for_root_alone(params, supervisor):
    given = params(supervisor=supervisor, environment={"HF_TOKEN": "hf_s3cret", "A": "b=c d"}, secret_environment=True)
    own = container_runner.files_of(given, f"a/b@{DIGEST}")
    (holds,) = [one for one in own if "hf_s3cret" in str(one)]
    assert (holds["secret"], "hf_s3cret" in holds["secret_content"], "content" in holds) == (True, True, False)
    entry = {**container_runner.files_runner.USUAL, **holds}
    assert container_runner.files_runner._wanted(entry).mode == 0o600
    if supervisor == "systemd":
        unit = own[-1]["content"]
        assert f'--env-file "{given["folder"]}/environment"' in unit
        assert " --env " not in unit
        assert holds["secret_content"].splitlines()[1:] == ["HF_TOKEN=hf_s3cret", "A=b=c d"]


def test_a_secret_of_the_environment_is_in_no_difference(params, docker):
    given = params(environment={"HF_TOKEN": "hf_s3cret"}, secret_environment=True)
    assert "hf_s3cret" not in str(container_runner.ensure(given, check=False))


def test_a_variable_of_several_lines_is_refused_where_it_would_be_cut(params):
    given = params(supervisor="systemd", environment={"CERT": "a\nB=c"}, secret_environment=True)
    with pytest.raises(Refusal, match="found a line break in the variable CERT"):
        container_runner.files_of(given, f"a/b@{DIGEST}")
