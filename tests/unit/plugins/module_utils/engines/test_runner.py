# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engines of a host as one unit of state: in which order they change, and what is there when one fails."""

from __future__ import annotations

import json
import os
import pathlib

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core import host
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import (
    CommandFailed,
    Refusal,
    Unhealthy,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.engines import engines, runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.engines.trial import Trial
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.model.files import (
    MANIFEST,
    Manifest,
    ModelFile,
)

pytestmark = pytest.mark.usefixtures("state_directory")
DIGEST = "sha256:" + "0" * 64


class Docker:
    """A Docker whose engines answer, but for those whose configuration holds a word in ``broken``."""

    def __init__(self, root):
        self.root, self.running, self.images, self.broken, self.acts = root, {}, set(), set(), []
        self.bad_files: set[str] = set()

    def __call__(self, command, timeout=600, environment=None):
        words = list(command)
        line = " ".join(words)
        if line.startswith("docker image inspect"):
            return host.Output(0 if words[3] in self.images else 1, "", "")
        if line.startswith("docker pull"):
            self.images.add(words[-1])
            self.acts.append(f"pull {words[-1].partition('@')[0]}")
        elif "config" in words and "--quiet" in words:
            bad = [one for one in self.bad_files if one in line]
            return host.Output(1 if bad else 0, "", "bad project")
        elif "up" in words:
            name = words[words.index("--project-name") + 1]
            self.acts.append(f"up {name}")
            text = pathlib.Path(words[words.index("--file") + 1]).with_name("config.yaml").read_text()
            self.running[name] = text
        elif "down" in words:
            name = words[words.index("--project-name") + 1]
            self.acts.append(f"down {name}")
            self.running.pop(name, None)
        elif line.startswith("docker ps"):
            name = line.rpartition("=")[2]
            return host.Output(0, f"{name}\n" if name in self.running else "", "")
        elif line.startswith("docker inspect"):
            state = {"Running": True, "Status": "running"}
            return host.Output(0, json.dumps([{"Name": f"/{words[2]}", "State": state, "RestartCount": 0}]), "")
        elif "logs" in words:
            return host.Output(0, "CUDA out of memory", "")
        return host.Output(0, "", "")

    def http(self, url, *_args, **_options):
        name = next((name for name in self.running if url.startswith(f"unix://{name}/")), "")
        ill = not name or any(word in self.running[name] for word in self.broken)
        return host.Response(0 if ill else 200, {}, b"", "refused")


@pytest.fixture
def docker(tmp_path, monkeypatch):
    one = Docker(tmp_path)
    for name in ("FOLDERS", "CACHES", "RUNS", "STARTS"):
        monkeypatch.setattr(engines, name, f"{tmp_path}{getattr(engines, name)}")
    monkeypatch.setattr(host, "run", one)
    monkeypatch.setattr(host, "http", one.http)
    monkeypatch.setattr(host, "program", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(runner.images_runner, "resolve", lambda *_: DIGEST)
    monkeypatch.setattr(host.time, "sleep", lambda _seconds: None)
    asked = []
    monkeypatch.setattr(runner.endpoint_runner, "ensure", lambda given, check: asked.append(given))
    if os.getuid() != 0:
        monkeypatch.setattr(os, "chown", lambda *_: None)
    one.asked = asked
    return one


@pytest.fixture
def params(docker, tmp_path):
    """Return parameters for engines by their names; ``devices`` and ``args`` are the plan's, by name."""

    def build(*names, devices=None, args=None, **more):
        given = [
            {
                "name": name,
                "slug": name,
                "aliases": [],
                "container": f"gpuchat-vllm-{name}",
                "folder": f"{engines.FOLDERS}/{name}",
                "cache": f"{engines.CACHES}/{name}",
                "run": f"{engines.RUNS}/{name}",
                "socket_url": f"unix://gpuchat-vllm-{name}",
                "path": f"{tmp_path}/models/{name}",
                "image": "",
            }
            for name in names
        ]
        plan = {
            name: {"devices": (devices or {}).get(name, [name]), "args": (args or {}).get(name, {}), "task": "chat"}
            for name in names
        }
        usual = {
            "engines": given, "plans": plan, "metadata": {}, "version": "1", "image": "v/gpu:1", "cpu_image": "v/cpu:1",
            "on_gpu": True, "environment": {}, "start_seconds": 0, "stop_seconds": 1, "uid": os.getuid(),
            "door_group": str(os.getgid()), "api_key": "k3y", "supervisor": "compose", "prune": False,
            "model_root": f"{tmp_path}/models", "used_paths": [], "registry_map": {}, "registry_mirrors": [],
            "registry_logins": [], "insecure_registries": [], "lock_file": "lock.yml", "locked_digests": {},
            "timeout": 60, "state": "present",
        }  # fmt: skip
        return {**usual, **more}

    return build


def run(docker, given, check=False):
    """Run the module anew and return its result; ``acts`` are of this run alone."""
    docker.acts.clear()
    docker.asked.clear()
    return runner.ensure({**given, "start_seconds": given["start_seconds"] or 1}, check)


def configured(name):
    return pathlib.Path(f"{engines.FOLDERS}/{name}/config.yaml").read_text()


def test_images_are_pulled_once_and_engines_start_in_their_order(docker, params):
    result = run(docker, params("a", "b"))
    assert docker.acts == ["pull docker.io/v/gpu", "up gpuchat-vllm-a", "up gpuchat-vllm-b"]
    assert (result["changed"], result["started"], result["retired"]) == (True, ["a", "b"], [])
    assert result["digests"] == {"v/gpu:1": DIGEST}
    assert [one["model"] for one in docker.asked] == ["a", "b"]


def test_a_second_run_changes_nothing_and_asks_nobody(docker, params):
    run(docker, params("a", "b"))
    result = run(docker, params("a", "b"))
    assert (result["changed"], result["started"], result["diff"]) == (False, [], [])
    assert (docker.acts, docker.asked) == ([], [])


def test_only_what_has_changed_starts_anew(docker, params):
    run(docker, params("a", "b"))
    result = run(docker, params("a", "b", args={"b": {"max-model-len": 9}}))
    assert (result["started"], docker.acts) == (["b"], ["up gpuchat-vllm-b"])
    assert "max-model-len: 9" in docker.running["gpuchat-vllm-b"]


def test_check_mode_predicts_what_a_run_does_and_touches_nothing(docker, params, tmp_path):
    result = run(docker, params("a", "b"), check=True)
    assert (result["started"], docker.acts) == (["a", "b"], [])
    assert not (tmp_path / "etc").exists()
    assert len(result["not_predicted"]) == 4
    predicted = [one["before_header"] for one in result["diff"]]
    assert [one["before_header"] for one in run(docker, params("a", "b"))["diff"]] == predicted


def test_check_mode_foretells_which_of_those_that_run_start_anew(docker, params):
    run(docker, params("a", "b"))
    changed = params("a", "b", args={"b": {"max-model-len": 9}})
    assert run(docker, params("a", "b"), check=True)["started"] == []
    assert (run(docker, changed, check=True)["started"], docker.acts) == (["b"], [])
    assert run(docker, {**changed, "image": "v/other:1"}, check=True)["started"] == ["a", "b"]


def test_engines_of_one_gpu_make_room_before_the_first_of_them_starts(docker, params):
    shared = {"a": ["0"], "b": ["0"], "c": ["1"]}
    run(docker, params("a", "b", "c", devices=shared))
    run(docker, params("a", "b", "c", devices=shared, args={name: {"x": 1} for name in "abc"}))
    assert docker.acts == [
        "down gpuchat-vllm-a",
        "down gpuchat-vllm-b",
        "up gpuchat-vllm-a",
        "up gpuchat-vllm-b",
        "up gpuchat-vllm-c",
    ]


def test_an_engine_that_fails_gives_way_to_the_one_before(docker, params):
    run(docker, params("a", "b"))
    before = configured("a")
    docker.broken = {"bad-option"}
    changed = params("a", "b", args={"a": {"bad-option": 1}, "b": {"x": 1}})
    with pytest.raises(Unhealthy, match="(?s)^a: .*CUDA out of memory.*the a that ran before runs again") as failed:
        run(docker, changed)
    assert "b does not" not in str(failed.value)
    assert (configured("a"), docker.running["gpuchat-vllm-a"]) == (before, before)
    assert "x:" not in configured("b")
    assert docker.acts == ["up gpuchat-vllm-a", "down gpuchat-vllm-a", "up gpuchat-vllm-a"]
    assert not run(docker, params("a", "b"))["changed"]


def test_one_that_made_room_runs_again_where_the_first_fails(docker, params):
    shared = {"a": ["0"], "b": ["0"]}
    run(docker, params("a", "b", devices=shared))
    docker.broken = {"bad-option"}
    with pytest.raises(Unhealthy, match="a that ran before runs again; b runs as before"):
        run(docker, params("a", "b", devices=shared, args={"a": {"bad-option": 1}, "b": {"x": 1}}))
    assert set(docker.running) == {"gpuchat-vllm-a", "gpuchat-vllm-b"}
    assert not run(docker, params("a", "b", devices=shared))["changed"]


def test_a_new_engine_that_fails_is_stopped(docker, params):
    run(docker, params("a"))
    docker.broken = {"bad-option"}
    with pytest.raises(Unhealthy, match="(?s)^b: .*b is stopped, for none ran before it"):
        run(docker, params("a", "b", args={"b": {"bad-option": 1}}))
    assert set(docker.running) == {"gpuchat-vllm-a"}
    run(docker, params("a"))  # takes away the file of its device
    assert docker.acts == []
    assert not run(docker, params("a"))["changed"]


def test_one_whose_answers_are_wrong_gives_way_too(docker, params, monkeypatch):
    run(docker, params("a"))

    def ensure(given, check):
        raise Unhealthy("no answer")

    monkeypatch.setattr(runner.endpoint_runner, "ensure", ensure)
    with pytest.raises(Unhealthy, match="^a: no answer\nthe a that ran before runs again$"):
        run(docker, params("a", args={"a": {"x": 1}}))
    assert "x:" not in docker.running["gpuchat-vllm-a"]


def test_one_that_answers_worse_than_the_one_before_gives_way_to_it(docker, params, monkeypatch):
    runner.ensure(params("a", args={"a": {"max-model-len": 1024}}), False)
    trials = iter([Trial(3, 4), Trial(0, 4)])
    monkeypatch.setattr(runner.trial_runner, "ask", lambda _engine: next(trials))
    with pytest.raises(Unhealthy, match=r"answers worse than the one before(.|\n)*the a that ran before runs again"):
        runner.ensure(params("a", args={"a": {"max-model-len": 2048}}), False)
    assert "1024" in docker.running["gpuchat-vllm-a"]


def test_one_that_is_far_slower_stays_and_is_told(docker, params, monkeypatch):
    runner.ensure(params("a", args={"a": {"max-model-len": 1024}}), False)
    trials = iter([Trial(3, 4, speed=40.0), Trial(3, 4, speed=4.0)])
    monkeypatch.setattr(runner.trial_runner, "ask", lambda _engine: next(trials))
    result = runner.ensure(params("a", args={"a": {"max-model-len": 2048}}), False)
    (word,) = result["warnings"]
    assert word.startswith("a: found 4 tokens a second for one who asks alone, and 40 before")
    assert "2048" in docker.running["gpuchat-vllm-a"]


def test_an_engine_that_starts_for_the_first_time_is_compared_with_nothing(docker, params, monkeypatch):
    monkeypatch.setattr(runner.trial_runner, "ask", lambda _engine: pytest.fail("asked"))
    runner.ensure(params("a"), False)


def test_what_is_known_word_for_word_is_asked_of_its_model_alone(docker, params):
    known = {"model": "a", "question": "hello", "answer": "Hello!"}
    runner.ensure(params("a", "b", known_answer=known), False)
    assert [(one["model"], one["answer"]) for one in docker.asked] == [("a", "Hello!"), ("b", "")]


def test_one_that_has_not_changed_and_fails_is_left_to_its_supervisor(docker, params):
    run(docker, params("a", args={"a": {"bad-option": 1}}))
    docker.broken = {"bad-option"}
    docker.running.clear()
    with pytest.raises(Unhealthy, match="a is left as it was started before"):
        run(docker, params("a", args={"a": {"bad-option": 1}}))
    assert set(docker.running) == {"gpuchat-vllm-a"}


def test_where_files_of_one_are_not_valid_those_of_all_are_as_before(docker, params):
    run(docker, params("a", "b"))
    docker.bad_files = {"/b/compose.yml"}
    with pytest.raises(Refusal, match="bad project"):
        run(docker, params("a", "b", "c", args={name: {"x": 1} for name in "ab"}))
    assert docker.acts == []
    assert "x:" not in configured("a") + configured("b")
    docker.bad_files = set()
    run(docker, params("a", "b"))  # takes away the file of the third one's device
    assert docker.acts == []
    assert not run(docker, params("a", "b"))["changed"]


def test_where_a_pull_fails_nothing_else_was_touched(docker, params, monkeypatch, tmp_path):
    def fail(*_):
        raise CommandFailed("no such host")

    monkeypatch.setattr(runner.images_runner, "_pull", fail)
    with pytest.raises(CommandFailed):
        run(docker, params("a"))
    assert not (tmp_path / "etc").exists()


def test_without_a_plan_nothing_starts(docker, params):
    given = {**params("a"), "plans": {}}
    with pytest.raises(Refusal, match="no plan for a"):
        run(docker, given)
    assert any("GPUs are not known yet" in word for word in run(docker, given, check=True)["not_predicted"])


@pytest.fixture
def two(docker, params, tmp_path):
    """Two engines that run, with something in their caches, sockets and models; the second's is fetched by us."""
    run(docker, params("a", "b"))
    for name in ("a", "b"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "config.json").write_text("{}")
        pathlib.Path(engines.CACHES, name, "kernel").write_bytes(b"0" * 10)
        pathlib.Path(engines.RUNS, name, "vllm.sock").touch()
    record = Manifest(
        "c", {**dict.fromkeys(("repo", "revision", "include", "exclude"), ""), "source": "huggingface"},
        (ModelFile("config.json", 2),),
    )  # fmt: skip
    (tmp_path / "models" / "b" / MANIFEST).write_text(record.text())
    return docker


def test_an_engine_that_nobody_names_stops_and_leaves_what_is_dear(two, params, tmp_path):
    result = run(two, params("a"))
    (told,) = result["retired"]
    assert (told["name"], told["removed"]) == ("b", [])
    assert [one["path"] for one in told["kept"]] == [f"{engines.CACHES}/b", f"{tmp_path}/models/b"]
    assert "b is retired, kept" in result["msg"]
    assert two.acts == ["down gpuchat-vllm-b"]
    assert not pathlib.Path(engines.FOLDERS, "b").exists()
    assert not pathlib.Path(engines.RUNS, "b").exists()
    assert pathlib.Path(engines.CACHES, "b", "kernel").exists()
    again = run(two, params("a"))
    assert (again["changed"], again["retired"]) == (False, [])


@pytest.mark.parametrize("check", [True, False], ids=["in check mode it is told", "they go"])
def test_where_pruning_is_wished_cache_and_model_go_too(two, params, tmp_path, check):
    (told,) = run(two, params("a", prune=True), check)["retired"]
    assert (told["removed"], told["kept"]) == ([f"{engines.CACHES}/b", f"{tmp_path}/models/b"], [])
    assert pathlib.Path(engines.CACHES, "b").exists() is check
    assert (tmp_path / "models" / "b").exists() is check
    assert (tmp_path / "models" / "a").exists()


def test_a_model_that_is_not_ours_stays_in_any_case(two, params, tmp_path):
    (told,) = run(two, params("b", prune=True))["retired"]
    assert (told["removed"], [one["path"] for one in told["kept"]]) == (
        [f"{engines.CACHES}/a"],
        [f"{tmp_path}/models/a"],
    )


@pytest.mark.parametrize("used", ["models/b", "link/b", "models/b/adapters"])
def test_a_model_that_another_host_may_use_from_the_same_disk_stays_and_is_told(two, params, tmp_path, used):
    (tmp_path / "link").symlink_to(tmp_path / "models")
    (told,) = run(two, params("a", prune=True, used_paths=[f"{tmp_path}/{used}"]))["retired"]
    assert (told["removed"], [one["path"] for one in told["kept"]]) == (
        [f"{engines.CACHES}/b"],
        [f"{tmp_path}/models/b"],
    )
    assert (tmp_path / "models" / "b" / "config.json").exists()


def test_a_model_that_its_owner_copied_with_our_record_stays(two, params, tmp_path):
    given = params("a", "b")
    given["engines"][1]["source"] = "path"
    run(two, given)
    (told,) = run(two, params("a", prune=True))["retired"]
    assert (told["removed"], [one["path"] for one in told["kept"]]) == (
        [f"{engines.CACHES}/b"],
        [f"{tmp_path}/models/b"],
    )


def test_a_model_whose_record_says_that_it_was_somebodys_folder_stays(two, params, tmp_path):
    path = tmp_path / "models" / "b" / MANIFEST
    path.write_text(path.read_text().replace("huggingface", "path"))
    (told,) = run(two, params("a", prune=True))["retired"]
    assert [one["path"] for one in told["kept"]] == [f"{tmp_path}/models/b"]


def test_a_model_that_another_engine_uses_is_not_spoken_of(two, params, tmp_path):
    given = params("a", prune=True)
    given["engines"][0]["path"] = f"{tmp_path}/models/b"
    (told,) = run(two, given)["retired"]
    assert told == {"name": "b", "kept": [], "removed": [f"{engines.CACHES}/b"]}
    assert (tmp_path / "models" / "b" / "config.json").exists()


def test_the_only_engine_of_an_earlier_release_gives_way_to_the_new_ones(docker, params, tmp_path):
    old = params("a")
    old["engines"][0].update(container="gpuchat-vllm", folder=engines.FOLDERS, cache=engines.CACHES, run=engines.RUNS)
    old["engines"][0]["socket_url"] = "unix://gpuchat-vllm"
    run(docker, old)
    pathlib.Path(engines.CACHES, "kernel").write_bytes(b"0" * 10)
    pathlib.Path(engines.RUNS, "vllm.sock").touch()
    result = run(docker, params("a", prune=True))
    assert docker.acts == ["down gpuchat-vllm", "up gpuchat-vllm-a"]
    assert result["retired"] == [{"name": "gpuchat-vllm", "kept": [], "removed": [engines.CACHES]}]
    assert sorted(os.listdir(engines.FOLDERS)) == ["a"]
    assert sorted(os.listdir(engines.RUNS)) == [".start", "a"]
    assert sorted(os.listdir(engines.CACHES)) == ["a"]
    assert not run(docker, params("a"))["changed"]


@pytest.fixture
def renamed(two, params, tmp_path):
    """A model that serves under another name now, by another engine on the same device; what ran goes."""
    given = params("a", "c", devices={"c": ["b"]}, prune=True)
    given["engines"][1]["path"] = f"{tmp_path}/models/c"
    return given


def test_nothing_of_what_goes_is_removed_before_the_new_ones_are_proven(two, renamed, monkeypatch, tmp_path):
    seen = []

    def ensure(given, check):
        places = (f"{engines.FOLDERS}/b/compose.yml", f"{engines.CACHES}/b/kernel", f"{tmp_path}/models/b/config.json")
        seen.append([os.path.exists(path) for path in places])

    monkeypatch.setattr(runner.endpoint_runner, "ensure", ensure)
    result = run(two, renamed)
    assert (two.acts, seen) == (["down gpuchat-vllm-b", "up gpuchat-vllm-c"], [[True] * 3])
    assert result["retired"][0]["removed"] == [f"{engines.CACHES}/b", f"{tmp_path}/models/b"]
    assert not pathlib.Path(engines.FOLDERS, "b").exists()
    assert not run(two, renamed)["changed"]


def test_what_goes_runs_again_where_the_new_one_fails(two, renamed, params, tmp_path):
    two.broken = {'"c"'}
    before = two.running["gpuchat-vllm-b"]
    with pytest.raises(Unhealthy, match="c is stopped, for none ran before it; b, which is to go, runs again$"):
        run(two, renamed)
    assert two.acts == ["down gpuchat-vllm-b", "up gpuchat-vllm-c", "down gpuchat-vllm-c", "up gpuchat-vllm-b"]
    assert two.running["gpuchat-vllm-b"] == before
    assert (tmp_path / "models" / "b" / "config.json").exists()
    assert pathlib.Path(engines.CACHES, "b", "kernel").exists()
    run(two, params("a", "b"))  # takes away nothing that runs
    assert two.acts == []
    two.broken = set()
    assert [one["name"] for one in run(two, renamed)["retired"]] == ["b"]


def test_what_goes_runs_again_where_what_stays_does_not_start_anew(two, params):
    two.broken = {"bad-option"}
    with pytest.raises(Unhealthy, match="a that ran before runs again; b, which is to go, runs again"):
        run(two, params("a", args={"a": {"bad-option": 1}}, prune=True))
    assert set(two.running) == {"gpuchat-vllm-a", "gpuchat-vllm-b"}
    assert pathlib.Path(engines.CACHES, "b", "kernel").exists()


def test_what_goes_stays_stopped_where_a_new_one_runs_on_its_device(two, params):
    two.broken = {'"d"'}
    with pytest.raises(Unhealthy, match="b, which is to go, is stopped, for c has taken its device"):
        run(two, params("a", "c", "d", devices={"c": ["b"]}))
    assert set(two.running) == {"gpuchat-vllm-a", "gpuchat-vllm-c"}
    assert pathlib.Path(engines.FOLDERS, "b").exists()


def test_what_goes_and_did_not_run_is_not_started(two, renamed):
    two.running.pop("gpuchat-vllm-b")
    two.broken = {'"c"'}
    with pytest.raises(Unhealthy, match="c is stopped, for none ran before it$"):
        run(two, renamed)
    assert set(two.running) == {"gpuchat-vllm-a"}


def test_an_engine_that_stays_and_is_ill_keeps_nothing_that_goes(two, params):
    two.broken = {'"a"'}
    with pytest.raises(Unhealthy):
        run(two, params("a"))
    assert set(two.running) == {"gpuchat-vllm-a"}
    assert not pathlib.Path(engines.FOLDERS, "b").exists()


def test_the_only_engine_of_an_earlier_release_gets_its_folders_back_where_the_new_one_fails(docker, params):
    old = params("a")
    old["engines"][0].update(container="gpuchat-vllm", folder=engines.FOLDERS, cache=engines.CACHES, run=engines.RUNS)
    old["engines"][0]["socket_url"] = "unix://gpuchat-vllm"
    run(docker, old)
    manifest = host.read_json(runner.files_runner.manifest_path("gpuchat-vllm"))
    runner.files_runner.restore_folders("gpuchat-vllm")  # an earlier release has no set of common folders
    docker.broken = {"bad-option"}
    with pytest.raises(Unhealthy, match="gpuchat-vllm, which is to go, runs again"):
        run(docker, params("a", args={"a": {"bad-option": 1}}))
    for path in (engines.RUNS, engines.CACHES):
        found = os.stat(path)
        entry = manifest["files"][path]
        assert (f"{found.st_mode & 0o7777:04o}", found.st_uid, found.st_gid) == (
            entry["mode"],
            entry["uid"],
            entry["gid"],
        )
    assert set(docker.running) == {"gpuchat-vllm"}


def test_a_host_that_has_no_engine_any_more_keeps_nothing_of_them(two, params):
    run(two, params("a", "b", devices={"a": ["0"], "b": ["0"]}))
    assert os.listdir(engines.STARTS) == ["0"]
    assert [one["name"] for one in run(two, params())["retired"]] == ["a", "b"]
    assert not two.running
    assert not pathlib.Path(engines.FOLDERS).exists()
    assert not pathlib.Path(engines.STARTS).exists()
    assert not run(two, params())["changed"]


def test_recorded_digests_are_not_asked_for(docker, params, monkeypatch):
    asked = []
    monkeypatch.setattr(runner.images_runner, "resolve", lambda source, *_: asked.append(source.name) or DIGEST)
    given = params("a", "b", state="resolved", locked_digests={"v/gpu:1": DIGEST})
    given["engines"][1]["image"] = "me/b:2"
    given["plans"] = {}
    assert run(docker, given)["digests"] == {"v/gpu:1": DIGEST, "me/b:2": DIGEST}
    assert (asked, docker.acts) == (["docker.io/me/b"], [])


def test_images_alone_can_be_pulled(docker, params, tmp_path):
    result = run(docker, params("a", state="pulled"))
    assert (result["changed"], docker.acts) == (True, ["pull docker.io/v/gpu"])
    assert not (tmp_path / "etc").exists()


# --- One engine over several hosts -----------------------------------------------------------------------------------


@pytest.fixture
def spanned(params, docker, monkeypatch):
    """Return parameters for one rank of an engine over two hosts, in a run that reaches some."""
    listed = [{"ifname": "eth1", "addr_info": [{"family": "inet", "local": f"10.0.0.{n}"} for n in (1, 2)]}]
    monkeypatch.setattr(
        host,
        "run",
        lambda command, *more, **options: (
            host.Output(0, json.dumps(listed), "")
            if list(command) == ["ip", "-json", "address"]
            else docker(command, *more, **options)
        ),
    )

    def build(rank, *, reached=("gpu0", "gpu1"), forks=5, **more):
        given = params("a", devices={"a": [["0"], ["1"]]}, run_hosts=list(reached), forks=forks, **more)
        span = {"hosts": ["gpu0", "gpu1"], "addresses": ["10.0.0.1", "10.0.0.2"], "port": 29501, "rank": rank}
        return {**given, "engines": [{**given["engines"][0], "span": span}]}

    return build


def test_the_first_host_alone_is_asked_for_an_answer(docker, spanned):
    assert run(docker, spanned(1))["started"] == ["a"]
    assert docker.asked == []
    run(docker, spanned(0))
    assert [one["model"] for one in docker.asked] == ["a"]


@pytest.mark.parametrize("less", [{"reached": ["gpu0"]}, {"forks": 1}], ids=["a host left out", "too few forks"])
def test_ranks_that_could_not_all_start_are_not_started_anew(docker, spanned, less):
    run(docker, spanned(0))
    with pytest.raises(Refusal):
        run(docker, spanned(0, args={"a": {"max-model-len": 99}}, **less))
    assert docker.acts == []
    assert "99" not in configured("a")


def test_a_run_without_its_other_hosts_that_changes_nothing_of_it_goes_on(docker, spanned):
    run(docker, spanned(0))
    assert run(docker, spanned(0, reached=["gpu0"], forks=1))["changed"] is False


def test_a_rank_that_came_up_stays_where_its_answer_is_wrong_for_the_others_cannot_know(docker, spanned, monkeypatch):
    run(docker, spanned(0))

    def wrong(_given, _check):
        raise Unhealthy("found another answer")

    monkeypatch.setattr(runner.endpoint_runner, "ensure", wrong)
    with pytest.raises(Unhealthy) as said:
        run(docker, spanned(0, args={"a": {"max-model-len": 99}}))
    assert "a runs on as it is, as its ranks on gpu1 do" in str(said.value)
    assert "99" in configured("a")


def test_a_rank_that_does_not_come_up_gives_way_to_what_ran_before(docker, spanned):
    run(docker, spanned(1))
    docker.broken.add("99")
    with pytest.raises(Unhealthy) as said:
        run(docker, spanned(1, args={"a": {"max-model-len": 99}}))
    assert "runs again" in str(said.value)
    assert "99" not in configured("a")


def test_a_host_without_the_address_that_the_others_look_for_is_refused_before_anything_is_fetched(docker, spanned):
    given = spanned(0)
    given["engines"][0]["span"]["addresses"][0] = "10.9.9.9"
    with pytest.raises(Refusal, match="gpuchat_private_address"):
        run(docker, {**given, "state": "resolved"})


def with_adapter(given, *paths):
    """Return the parameters of one engine that serves adapters at some folders."""
    (engine,) = given["engines"]
    lent = [{"name": pathlib.Path(path).name, "path": str(path), "source": "huggingface"} for path in paths]
    return {**given, "engines": [{**engine, "adapters": lent}]}


@pytest.mark.parametrize("prune", [False, True], ids=["it stays and is told", "where it is wished, it goes"])
def test_an_adapter_that_is_taken_out_is_told_once_the_engine_runs_without_it(two, params, tmp_path, prune):
    kept, former = tmp_path / "models" / "a", tmp_path / "models" / "b"
    first = with_adapter(params("a"), former)
    run(two, first)
    assert run(two, first)["changed"] is False
    result = run(two, {**params("a"), "prune": prune})
    assert f"{'removed' if prune else 'kept'} {former}" in result["msg"]
    assert two.acts[-1].startswith("up gpuchat-vllm-a")
    assert (former.exists(), kept.exists()) == (not prune, True)
    again = run(two, {**params("a"), "prune": prune})
    assert (again["changed"], f"{former}" in again["msg"]) == (False, False)


def test_an_adapter_in_a_folder_of_its_owners_stays_in_any_case(two, params, tmp_path):
    given = with_adapter(params("a"), tmp_path / "models" / "b")
    given["engines"][0]["adapters"][0]["source"] = "path"
    run(two, given)
    run(two, params("a", prune=True))
    assert (tmp_path / "models" / "b" / "config.json").exists()
