# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What engines of a host run with, which of them wait for each other, and what of a retired one may go."""

from __future__ import annotations

import pathlib
import socket
import subprocess
import sys
import threading
import time

import pytest
import yaml
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker.container import (
    Container,
    compose_project,
    quadlet,
    systemd_unit,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.engines import engines


def inventory(name, **more):
    """Return an engine as the preflight derives it."""
    return {
        "name": name,
        "slug": name,
        "aliases": [],
        "container": f"gpuchat-vllm-{name}",
        "folder": f"/etc/gpuchat/vllm/{name}",
        "cache": f"/var/cache/gpuchat/vllm/{name}",
        "run": f"/var/lib/gpuchat/vllm/{name}",
        "socket_url": f"unix://%2Frun%2F{name}",
        "path": f"/srv/models/{name}",
        "version": "",
        "image": "",
        "environment": {},
        **more,
    }


def params(*given, **more):
    return {
        "engines": list(given),
        "plans": {},
        "metadata": {},
        "version": "0.32.0",
        "image": "vllm/vllm-openai:v0.32.0",
        "cpu_image": "vllm/vllm-openai-cpu:v0.32.0",
        "on_gpu": True,
        "environment": {},
        "start_seconds": 0,
        "stop_seconds": 30,
        "uid": 69980,
        "door_group": "www-data",
        "api_key": "k3y",
        "supervisor": "compose",
        **more,
    }


def one_of(given, **more):
    return engines.joined(params(given, **more))[0]


def test_an_engine_is_what_inventory_plan_and_files_say_of_it():
    plan = {
        "args": {"max-model-len": 8192},
        "env": {"A": 1, "B": 1},
        "devices": ["0"],
        "task": "embed",
        "tool_call": True,
    }
    engine = one_of(
        inventory("a", aliases=["default"], environment={"C": 3}),
        plans={"a": plan},
        metadata={"a": {"commit": "abc", "start_seconds": 700}},
        environment={"B": 2, "C": 2},
    )
    assert (engine.names, engine.args, engine.devices) == (("a", "default"), {"max-model-len": 8192}, ("0",))
    assert (engine.commit, engine.start_seconds, engine.task, engine.tool_call) == ("abc", 700, "embed", True)
    assert engine.environment == {**engines.ENVIRONMENT, "A": "1", "B": "2", "C": "3"}


@pytest.mark.parametrize(
    ("option", "plan", "metadata", "seconds"),
    [(5, 6, 7, 5), (0, 6, 7, 6), (0, None, 7, 7), (0, None, None, 600)],
    ids=["the option", "the plan", "the model's size", "nothing known"],
)
def test_how_long_a_start_may_take_is_said_by(option, plan, metadata, seconds):
    given = {"plans": {"a": {"start_seconds": plan}}, "metadata": {"a": {"start_seconds": metadata}}}
    assert one_of(inventory("a"), start_seconds=option, **given).start_seconds == seconds


@pytest.mark.parametrize(
    ("given", "host", "image"),
    [
        ({}, {}, "vllm/vllm-openai:v0.32.0"),
        ({}, {"on_gpu": False}, "vllm/vllm-openai-cpu:v0.32.0"),
        ({"image": "me/vllm:1"}, {}, "me/vllm:1"),
        ({"version": "0.32.0"}, {"image": "me/vllm:edge"}, "me/vllm:edge"),
        ({"version": "0.30.1"}, {}, "vllm/vllm-openai:v0.30.1"),
        ({"version": "0.30.1"}, {"image": "r:5000/me/vllm:0.32.0-me"}, "r:5000/me/vllm:0.30.1-me"),
    ],
    ids=["a GPU", "a CPU", "its own", "the version of all", "another version", "in another's tag"],
)
def test_the_image_of_an_engine(given, host, image):
    assert one_of(inventory("a", **given), **host).image == image


@pytest.mark.parametrize("image", ["me/vllm:edge", "r:5000/me/vllm"])
def test_another_version_of_an_image_whose_tag_says_none_is_refused(image):
    with pytest.raises(Refusal, match="found the version 0.30.1 of the model a.*an image of its own in gpuchat_models"):
        one_of(inventory("a", version="0.30.1"), image=image)


@pytest.mark.parametrize(
    ("devices", "locked"),
    [
        ([["0"], ["1"]], [("0",), ("1",)]),
        ([["0"], ["0", "1"], ["2"]], [("0",), ("0", "1"), ("2",)]),
        ([["all"], ["1"], ["0"]], [("0", "1", "all"), ("1",), ("0",)]),
        ([["all"], ["all"]], [("all",), ("all",)]),
        ([["all"]], [("all",)]),
        ([[], []], [("cpu",), ("cpu",)]),
        ([["0"], []], [("0",), ("cpu",)]),
    ],
    ids=["a GPU for each", "one GPU shared", "all and some", "all twice", "alone", "the CPU", "both"],
)
def test_engines_wait_for_each_other_where_they_share_a_device(devices, locked):
    names = [f"m{number}" for number in range(len(devices))]
    plans = {name: {"devices": its} for name, its in zip(names, devices, strict=True)}
    found = engines.locks(engines.joined(params(*map(inventory, names), plans=plans)))
    assert [tuple(sorted(found[name])) for name in names] == locked


@pytest.mark.parametrize("planned", [[["0", "1"]], [0, 1]], ids=["by node", "of this host"])
def test_the_plan_says_an_engines_gpus(planned):
    assert one_of(inventory("a"), plans={"a": {"devices": planned}}).devices == ("0", "1")
    assert one_of(inventory("a"), plans={"a": {"devices": planned}}, on_gpu=False).devices == ()


def test_the_configuration_is_yaml_with_a_key_on_each_line():
    args = {"max-model-len": 8192, "enable-prefix-caching": True, "limit-mm-per-prompt": {"image": 1}, "x": "été: #"}
    text = engines.config(one_of(inventory("a", aliases=["b"]), plans={"a": {"args": args}}))
    always = {"model": "/model", "served-model-name": ["a", "b"], "uds": "/run/vllm/vllm.sock"}
    assert yaml.safe_load(text) == {**always, **args}
    assert len(text.splitlines()) == 1 + 3 + 4


def test_an_engine_has_its_gpus_and_its_files():
    engine = one_of(inventory("a"), plans={"a": {"devices": ["0", "GPU-1"]}})
    given = engines.container(engine, ("0", "GPU-1"), params())
    assert given["gpus"] == "0,GPU-1"
    assert [one["dest"] for one in given["files"]] == [
        "/var/cache/gpuchat/vllm/a",
        "/var/lib/gpuchat/vllm/a",
        "/etc/gpuchat/vllm/a/config.yaml",
        "/etc/gpuchat/vllm/a/api_key",
        "/etc/gpuchat/vllm/a/start.py",
    ]


def test_nothing_of_an_engine_changes_when_another_comes_to_its_device():
    plans = {"a": {"devices": ["0"]}, "b": {"devices": ["0"]}}
    alone, beside = (engines.joined(params(*map(inventory, names), plans=plans)) for names in ("a", "ab"))
    seen = [engines.container(some[0], engines.locks(some)["a"], params()) for some in (alone, beside)]
    assert seen[0] == seen[1]


def test_an_engine_starts_when_no_other_starts_on_its_devices():
    engine = one_of(inventory("a"), plans={"a": {"devices": ["MIG-1/2"]}}, start_seconds=90)
    given = engines.container(engine, ("MIG-1/2",), params())
    start = "exec python3 /etc/vllm/start.py /run/vllm/vllm.sock 90 /run/starts/MIG-1-2 -- vllm serve"
    assert start in given["entrypoint"][2]
    assert given["volumes"][-1] == f"{engines.STARTS}/MIG-1-2:/run/starts/MIG-1-2:ro"
    assert given["files"][-1] == {"dest": "/etc/gpuchat/vllm/a/start.py", "content": engines.IN_TURN}


def test_an_engine_can_touch_no_lock_of_a_device_that_is_not_its_own_and_change_none():
    plans = {"a": {"devices": ["0"]}, "b": {"devices": ["1"]}}
    both = engines.joined(params(inventory("a"), inventory("b"), plans=plans))
    locked = engines.locks(both)
    seen = [one for one in engines.container(both[0], locked["a"], params())["volumes"] if engines.STARTS in one]
    assert seen == [f"{engines.STARTS}/0:/run/starts/0:ro"]


def test_the_folder_of_the_locks_is_roots():
    common = engines.common_files({"a": ("0",)}, params())
    (folder,) = [one for one in common if one["dest"] == engines.STARTS]
    assert folder == {"dest": engines.STARTS, "folder": True}


def test_each_device_has_a_file_to_lock():
    names = [one["dest"] for one in engines.common_files({"a": ("0", "MIG-1/2"), "b": ("0",)}, params())]
    assert names[-3:] == [engines.STARTS, f"{engines.STARTS}/0", f"{engines.STARTS}/MIG-1-2"]


def test_no_secret_stands_in_what_everybody_may_read():
    engine = one_of(inventory("a"))
    given = engines.container(engine, (), params())
    (secret,) = [one for one in given["files"] if "k3y" in str(one)]
    assert (secret["secret"], secret["mode"], secret["secret_content"]) == (True, "0400", "k3y\n")
    assert "k3y" not in str({**given, "files": []})


@pytest.mark.parametrize(
    ("given", "host", "secret"),
    [({}, {}, False), ({"environment": {"HF_TOKEN": "t"}}, {}, True), ({}, {"environment": {"HF_TOKEN": "t"}}, True)],
    ids=["ours alone", "of the model", "of the host"],
)
def test_an_environment_that_somebody_gives_may_hold_secrets(given, host, secret):
    plans = {"a": {"env": {"VLLM_X": "1"}}}
    engine = one_of(inventory("a", **given), plans=plans, **host)
    assert engines.container(engine, (), params())["secret_environment"] is secret


def test_beside_an_engine_stands_whether_its_model_is_its_owners():
    dests = {
        source: [one["dest"] for one in engines.container(one_of(inventory("a", source=source)), (), params())["files"]]
        for source in ("path", "huggingface")
    }
    assert set(dests["path"]) - set(dests["huggingface"]) == {f"/etc/gpuchat/vllm/a/{engines.THEIRS}"}


class Engine:
    """A process under start.py that answers on its socket when the test lets it."""

    def __init__(self, folder, name, command, seconds=600):
        self.socket, self.started = folder / f"{name}.sock", folder / f"{name}.started"
        (folder / "start.py").write_text(engines.IN_TURN)
        for device in "01":
            (folder / device).touch(mode=0o400)
        line = f"import pathlib; pathlib.Path({str(self.started)!r}).touch(); {command}"
        words = [
            folder / "start.py",
            self.socket,
            str(seconds),
            folder / "0",
            folder / "1",
            "--",
            sys.executable,
            "-c",
            line,
        ]
        self.process = subprocess.Popen([sys.executable, *words])

    def begins(self, within):
        end = time.monotonic() + within
        while not self.started.exists() and time.monotonic() < end:
            time.sleep(0.02)
        return self.started.exists()

    def answer(self):
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(self.socket))
        listening.listen()

        def serve():
            while True:
                asked, _address = listening.accept()
                asked.recv(100)
                asked.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                asked.close()

        threading.Thread(target=serve, daemon=True).start()


@pytest.fixture
def start(tmp_path, monkeypatch):
    made = []

    def begin(*words, **more):
        made.append(Engine(tmp_path, *words, **more))
        return made[-1]

    yield begin
    for one in made:
        one.process.kill()
        one.process.wait()


SLEEP = "import time; time.sleep(600)"


def test_the_next_engine_begins_when_the_one_before_answers(start):
    first = start("first", SLEEP)
    assert first.begins(60)
    second = start("second", SLEEP)
    assert not second.begins(0.7)
    first.answer()
    assert second.begins(60)


@pytest.mark.parametrize(
    ("command", "seconds"), [("exit(1)", 600), (SLEEP, 1)], ids=["that has ended", "that has had its time"]
)
def test_the_next_engine_does_not_wait_for_one(start, command, seconds):
    first = start("first", command, seconds)
    assert first.begins(60)
    if command != SLEEP:
        first.process.wait(60)
    assert start("second", SLEEP).begins(60)


def test_only_engines_of_ours_that_nobody_wants_are_retired():
    names = ["door", "gpuchat-vllm", "gpuchat-vllm-a", "gpuchat-vllm-old", "gpuchat-vllm-old", engines.HOST_SET]
    assert engines.retired(names, engines.joined(params(inventory("a")))) == ["gpuchat-vllm", "gpuchat-vllm-old"]


def test_a_retired_engine_is_known_by_what_its_project_says():
    text = '["/data/m:/model:ro", "/data/c:/cache", "/data/r:/run/vllm"]'
    owned = ["/etc/gpuchat/vllm/b/config.yaml", "/etc/gpuchat/vllm/b/not-fetched"]
    assert engines.described("gpuchat-vllm-b", text, owned) == engines.Retired(
        "gpuchat-vllm-b", "b", "/data/c", "/data/r", ("/data/m",), ("/data/m",), ("cpu",)
    )
    usual = engines.described("gpuchat-vllm", "")
    assert (usual.name, usual.cache, usual.run, usual.models) == ("gpuchat-vllm", engines.CACHES, engines.RUNS, ())


@pytest.mark.parametrize("write", [compose_project, systemd_unit, quadlet])
@pytest.mark.parametrize(
    ("gpus", "places"), [("0,GPU-1", ("0", "GPU-1")), ("2", ("2",)), ("all", ("all",)), ("", ("cpu",))]
)
def test_a_retired_engines_devices_are_those_of_its_project_or_unit(write, gpus, places):
    text = write(Container(name="gpuchat-vllm-b", image="i", user="1:1", gpus=gpus))
    assert engines.described("gpuchat-vllm-b", text).places == places


def test_where_nothing_says_a_retired_engines_devices_it_may_have_any():
    assert engines.described("gpuchat-vllm-b", "").places == ("all",)


@pytest.mark.parametrize(
    ("some", "others", "shared"),
    [("0", "0", True), ("0", "1", False), ("all", "1", True), ("1", "all", True), ("all", "cpu", False)],
)
def test_two_engines_share_a_device_where_one_has_the_others_or_all(some, others, shared):
    assert engines.share([some], [others]) is shared


@pytest.mark.parametrize(
    ("path", "used", "may"),
    [
        ("/srv/models/a", [], True),
        ("/srv/models/a", ["/srv/models/b", "/srv/models/ab"], True),
        ("/srv/models/a", ["/srv/models/a/"], False),
        ("/srv/models/a", ["/srv/models/a/b"], False),
        ("/srv/models/a/b", ["/srv/models/a"], False),
        ("/srv/models", [], False),
        ("/srv/models/../a", [], False),
        ("/home/a", [], False),
        ("", [], False),
    ],
)
def test_what_may_go_lies_below_our_folder_and_is_nobody_elses(path, used, may):
    assert engines.may_go(path, "/srv/models", used) is may


# --- One engine over several hosts -----------------------------------------------------------------------------------


def part(rank, **more):
    """Return a host's part of an engine over two, as the container that runs it."""
    span = {"hosts": ["gpu0", "gpu1"], "rank": rank, "addresses": ["10.0.0.1", "10.0.0.2"], "port": 29501}
    plan = {"args": {"tensor-parallel-size": 2, **more}, "devices": [["0", "1"], ["2", "3"]]}
    there = {"10.0.0.1": "eth1", "10.0.0.2": "ens4"}
    given = params(inventory("a", span=span), plans={"a": plan}, metadata={"a": {"commit": "abc"}})
    (engine,) = engines.joined(given, there)
    return engine, engines.container(engine, ["0"], given)


def content(built, name):
    return next(str(one["content"]) for one in built["files"] if one["dest"].endswith(f"/{name}"))


def test_a_rank_has_the_hosts_network_and_is_reached_by_people_through_its_socket_alone():
    for rank in (0, 1):
        _engine, built = part(rank)
        assert built["network"] == {"name": "host"}
        config = yaml.safe_load(content(built, "config.yaml"))
        assert (config["uds"], "host" in config, "port" in config) == (engines.SOCKET, False, False)
        assert (config["nnodes"], config["node-rank"], config.get("headless")) == (2, rank, True if rank else None)


def test_a_rank_has_its_own_hosts_gpus_and_interface():
    engine, built = part(1)
    assert built["gpus"] == "2,3"
    assert (engine.serves, part(0)[0].serves) == (False, True)
    wanted = {"VLLM_HOST_IP": "10.0.0.2", "GLOO_SOCKET_IFNAME": "ens4", "NCCL_SOCKET_IFNAME": "=ens4"}
    assert wanted.items() <= built["environment"].items()


def test_ranks_start_by_what_keeps_them_together_with_the_same_mark():
    first, second = (part(rank)[1]["entrypoint"][-1] for rank in (0, 1))
    assert "ranks.py 0 2 10.0.0.1 29502 " in first
    assert "ranks.py 1 2 10.0.0.1 29502 " in second
    assert first.partition("ranks.py 0 ")[2] == second.partition("ranks.py 1 ")[2]
    assert part(1, **{"max-num-seqs": 8})[1]["entrypoint"][-1] != second
    assert "start anew" in content(part(1)[1], "ranks.py")


def test_an_engine_of_one_host_has_none_of_that():
    built = engines.container(one_of(inventory("a", span={})), ["0"], params())
    assert built["network"] == {"name": "none"}
    assert "ranks.py" not in str(built)


def test_an_engine_sees_its_adapters_and_starts_anew_with_other_files_of_theirs():
    lent = [{"name": "sql", "path": "/srv/models/sql"}, {"name": "law", "path": "/nfs/law", "source": "path"}]
    given = inventory("a", adapters=lent)
    metadata = {"a": {"commit": "1"}, "sql": {"commit": "2"}, "law": {"commit": "3"}}
    engine = one_of(given, metadata=metadata)
    described = engines.container(engine, (), params(given))
    assert {"/srv/models/sql:/adapters/sql:ro", "/nfs/law:/adapters/law:ro"} <= set(described["volumes"])
    assert engine.folders == ("/srv/models/a", "/srv/models/sql", "/nfs/law")
    marks = [one["dest"] for one in described["files"] if engines.THEIRS in str(one["dest"])]
    assert marks == ["/etc/gpuchat/vllm/a/not-fetched-law"]
    assert described["digest"] == "1+2+3"
    assert one_of(given, metadata={**metadata, "law": {"commit": "4"}}).commit == "1+2+4"


@pytest.mark.parametrize("write", [compose_project, systemd_unit, quadlet])
def test_the_adapters_of_a_retired_engine_are_known_by_its_project(write):
    volumes = ("/data/m:/model:ro", "/data/law:/adapters/law:ro", "/data/sql:/adapters/sql:ro")
    text = write(Container("gpuchat-vllm-b", "docker.io/x@sha256:" + "0" * 64, user="1:1", volumes=volumes))
    found = engines.described("gpuchat-vllm-b", text, ["/etc/gpuchat/vllm/b/not-fetched-law"])
    assert set(found.models) == {"/data/m", "/data/law", "/data/sql"}
    assert found.theirs == ("/data/law",)


TILES = """
import ctypes
granted = ctypes.c_ulong()
ctypes.CDLL(None).syscall(158, 0x1022, ctypes.byref(granted))  # arch_prctl(ARCH_GET_XCOMP_PERM)
print(granted.value >> 18 & 1)
"""


def test_on_a_cpu_each_process_of_an_engine_may_use_its_matrix_tiles_from_its_start(tmp_path):
    on_cpu = params(inventory("a"), on_gpu=False)
    (engine,) = engines.joined(on_cpu)
    described = engines.container(engine, (), on_cpu)
    assert engine.environment["PYTHONPATH"] == engines.PYTHON
    assert "/etc/gpuchat/vllm/a/python:/etc/vllm/python:ro" in described["volumes"]
    (program,) = [one["content"] for one in described["files"] if str(one["dest"]).endswith("/sitecustomize.py")]
    (tmp_path / "sitecustomize.py").write_text(program)
    run = [sys.executable, "-c", TILES]
    done = subprocess.run(run, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True)
    has_tiles = " amx_tile " in pathlib.Path("/proc/cpuinfo").read_text()
    assert (done.stdout.strip(), done.stderr) == ("1" if has_tiles else "0", "")


def test_an_engine_on_a_gpu_begins_as_its_image_does():
    engine = one_of(inventory("a"))
    described = engines.container(engine, (), params(inventory("a")))
    assert "PYTHONPATH" not in engine.environment
    assert not [one for one in described["volumes"] if engines.PYTHON in one]
