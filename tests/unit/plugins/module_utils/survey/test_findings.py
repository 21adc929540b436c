# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator is told of a host."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.survey.findings import (
    examine,
    in_order,
    status,
    usual_fingerprints,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.survey.types import Answer, Expected

from .healthy import COMMIT, DAY, ENGINE_IMAGE, EXPECTED, GIB, NOW, READING, UUID, healthy


def found(change=lambda reading: None, expected=EXPECTED, **answer):
    reading = copy.deepcopy(READING)
    change(reading)
    return examine(expected, Answer("done", reading, **answer), NOW)


def kinds(*arguments, **options):
    return [(one.kind, one.severity) for one in found(*arguments, **options).findings]


def put(value, *place):
    """Return a change that puts a value at a place of the reading."""

    def change(reading):
        for key in place[:-1]:
            reading = reading[key]
        reading[place[-1]] = value

    return change


def drift(path, *words):
    return put({path: list(words)}, "files", "door", "drifted")


def service(name, **values):
    return lambda reading: reading["services"][name].update(values)


def gpu(**values):
    return lambda reading: reading["gpu"]["gpus"][0].update(values)


def engine_container(**values):
    return lambda reading: reading["docker"]["containers"][1].update(values)


def model(**values):
    return lambda reading: reading["models"]["/srv/models/demo"].update(values)


def xid(number, *, grave=False, of_program=False):
    one = {"address": "0000:3b:00", "number": number, "words": "it said so", "count": 2}
    return put([{**one, "grave": grave, "of_program": of_program, "fix": "power it off and on"}], "kernel log")


def disk(free, inodes=9_000_000):
    return put(
        {"device": 2, "bytes": 8 * 10**12, "free_bytes": free, "inodes": 10**7, "free_inodes": inodes},
        *("disks", "/srv/models/demo"),
    )


def certificate(days, life=824):
    until = NOW.timestamp() + days * DAY
    return put([{"path": "/etc/gpuchat/edge/acme.pem", "from": until - life * DAY, "until": until}], "certificates")


def without(*place):
    def change(reading):
        for key in place[:-1]:
            reading = reading[key]
        del reading[place[-1]]

    return change


def test_an_engine_whose_adapters_have_revisions_of_their_own_is_not_older_than_its_model():
    assert kinds(service("gpuchat-vllm-demo", commit=f"{COMMIT}+{'b' * 40}")) == []


def test_nothing_is_found_on_a_healthy_host():
    assert kinds() == []
    assert found().state == "ok"


WRONG = {
    "a file changed by hand": (drift("/etc/gpuchat/door/nginx.conf", "content"), "file.content", "warning"),
    "a file removed": (drift("/etc/gpuchat/door/nginx.conf", "missing"), "file.missing", "fault"),
    "a file with another mode": (drift("/etc/gpuchat/door/key.conf", "mode"), "file.mode", "warning"),
    "a file with another owner": (drift("/etc/gpuchat/door/key.conf", "owner"), "file.owner", "warning"),
    "a record that cannot be read": (put("", "files", "door", "digest"), "record.damaged", "warning"),
    "a service that runs with older files": (
        service("gpuchat-vllm-demo", steps=["define", "restart", "record"]),
        *("service.stale", "warning"),
    ),
    "a service that was not reloaded": (
        service("gpuchat-edge", steps=["reload", "record"]),
        *("service.stale", "warning"),
    ),
    "a service stopped": (service("gpuchat-edge", running=False, state="inactive"), "service.stopped", "fault"),
    "a service failed": (service("gpuchat-edge", running=False, state="failed"), "service.failed", "fault"),
    "a service disabled": (service("gpuchat-door", enabled=False), "service.disabled", "warning"),
    "a service that ends again and again": (
        service("gpuchat-door", restarts=9, seconds_up=5.0),
        "service.restarts",
        "warning",
    ),
    "a container that ends again and again": (
        engine_container(restarts=9, seconds_up=5.0),
        "service.restarts",
        "warning",
    ),
    "a service that was never started": (without("services", "gpuchat-edge"), "service.absent", "fault"),
    "an engine that does not answer": (
        put({"healthy": False, "said": "refused", "models": []}, "engines", "gpuchat-vllm-demo"),
        *("engine.silent", "fault"),
    ),
    "an engine that serves another model": (
        put({"healthy": True, "said": "", "models": ["other"]}, "engines", "gpuchat-vllm-demo"),
        *("engine.model", "warning"),
    ),
    "a container of another image than its file's": (engine_container(image="other:1"), "image.running", "fault"),
    "an unhealthy container": (engine_container(health="unhealthy"), "container.unhealthy", "fault"),
    "another image than the lock's": (
        lambda reading: [
            put(ENGINE_IMAGE.replace("aaa", "ccc"), "containers", "gpuchat-vllm-demo", "image")(reading),
            engine_container(image=ENGINE_IMAGE.replace("aaa", "ccc"))(reading),
        ],
        *("image.planned", "warning"),
    ),
    "a host of another stack": (put("ffff", "stack", "ca_certificate"), "stack.other", "fault"),
    "no packet filter": (put({"loaded": False, "same": False}, "packet filter"), "filter.missing", "fault"),
    "a packet filter changed by hand": (
        put({"loaded": True, "same": False}, "packet filter"),
        "filter.changed",
        "fault",
    ),
    "a model that lacks a file": (model(missing=["model.safetensors"]), "model.incomplete", "fault"),
    "a model with a changed file": (model(changed=["config.json"]), "model.changed", "fault"),
    "no model": (put({"there": False}, "models", "/srv/models/demo"), "model.missing", "fault"),
    "a model of another repository": (model(repo="example/other"), "model.planned", "warning"),
    "an engine older than the model on the disk": (model(commit="b" * 40), "model.stale", "warning"),
    "another version of a package than pinned": (
        put("1.17.8-1", "packages", "nvidia-container-toolkit"),
        *("version.planned", "warning"),
    ),
    "daemon.json changed by hand": (
        put({"/etc/docker/daemon.json": ["log-driver"]}, "daemon.json"),
        *("docker.settings", "warning"),
    ),
    "no Docker": (put({"installed": False}, "docker"), "docker.missing", "fault"),
    "a Docker that does not answer": (
        put({"installed": True, "answers": False, "said": "no socket"}, "docker"),
        *("docker.silent", "fault"),
    ),
    "a lost GPU": (
        lambda reading: reading["gpu"].update(state="lost", reason="GPU 0: lost"),
        *("gpu.lost", "fault"),
    ),
    "no driver": (
        lambda reading: reading["gpu"].update(state="no_driver", gpus=[]),
        *("gpu.no_driver", "fault"),
    ),
    "no GPU where the engine wants one": (
        lambda reading: reading["gpu"].update(state="no_gpu", gpus=[]),
        *("gpu.none", "fault"),
    ),
    "a grave Xid": (xid(79, grave=True), "gpu.xid", "fault"),
    "an Xid of a program": (xid(31, of_program=True), "gpu.xid", "warning"),
    "uncorrected ECC errors": (gpu(ecc_errors={"corrected": 0, "uncorrected": 1}), "gpu.ecc", "fault"),
    "a GPU that is held back": (put({UUID: ["too hot"]}, "gpu", "held_back"), "gpu.held_back", "warning"),
    "memory held by somebody else": (
        gpu(processes=[{"pid": 7, "name": "train.py", "memory_bytes": 9 * GIB, "by": "session-4.scope"}]),
        *("gpu.foreign", "warning"),
    ),
    "a disk that is nearly full": (disk(40 * 10**9), "disk.full", "warning"),
    "a full disk": (disk(10**9), "disk.full", "fault"),
    "a disk without inodes": (disk(2 * 10**12, inodes=100), "disk.inodes", "fault"),
    "a certificate that ends soon": (certificate(10), "certificate.soon", "warning"),
    "a certificate at its end": (certificate(-1), "certificate.over", "fault"),
    "a clock that nothing keeps right": (
        put(False, "host", "synchronised"),
        *("clock.unsynchronised", "warning"),
    ),
    "a command that hangs": (
        put({"docker": "no answer within 20 s"}, "unanswered"),
        *("part.silent", "fault"),
    ),
}


@pytest.mark.parametrize(("change", "kind", "severity"), WRONG.values(), ids=WRONG)
def test_it_is_found(change, kind, severity):
    assert kinds(change) == [(kind, severity)]


@pytest.mark.parametrize(("change", "kind", "severity"), WRONG.values(), ids=WRONG)
def test_each_finding_says_what_was_found_what_was_wanted_and_what_to_do(change, kind, severity):
    for one in found(change).findings:
        assert one.found
        assert one.wanted
        assert one.fix
        assert one.text == f"found {one.found}; wanted {one.wanted}; {one.fix}"


RIGHT = {
    "memory that the engine holds": gpu(
        processes=[{"pid": 7, "name": "python3", "memory_bytes": 70 * GIB, "by": "1" * 64}]
    ),
    "memory that an engine under systemd holds": gpu(
        processes=[{"pid": 7, "name": "python3", "memory_bytes": 70 * GIB, "by": "gpuchat-vllm-demo.service"}]
    ),
    "little memory that a desktop holds": gpu(
        processes=[{"pid": 7, "name": "Xorg", "memory_bytes": GIB // 4, "by": "session-1.scope"}]
    ),
    "a container that ended some times, long ago": engine_container(restarts=9),
    "a short-lived certificate that is soon renewed": certificate(5, life=6),
    "a large disk of which a small part is free": disk(400 * 10**9),
    "a file system without a count of inodes": put(
        {"device": 2, "bytes": 10**12, "free_bytes": 10**12, "inodes": 0, "free_inodes": 0}, "disks", "/srv"
    ),
    "a clock that is the machine's": put(None, "host", "synchronised"),
    "a digest that only the control node knows": without("stack", "api_key"),
    "corrected ECC errors": gpu(ecc_errors={"corrected": 90, "uncorrected": 0}),
    "a package that is not installed": without("packages", "nvidia-container-toolkit"),
}


@pytest.mark.parametrize("change", RIGHT.values(), ids=RIGHT)
def test_it_is_no_finding(change):
    assert kinds(change) == []


def test_an_engine_that_was_started_without_gpus_needs_none():
    def by_cpu(reading):
        reading["gpu"].update(state="no_gpu", gpus=[])
        reading["containers"]["gpuchat-vllm-demo"]["gpus"] = False

    assert kinds(by_cpu) == []


def test_packages_of_an_engine_without_a_container_are_not_compared_with_images():
    def by_venv(reading):
        reading["containers"]["gpuchat-vllm-demo"]["image"] = "/opt/gpuchat/vllm/0.32.0-0123456789ab"
        reading["docker"]["containers"] = reading["docker"]["containers"][:1]

    assert "image.planned" in str(kinds(by_venv))

    def recorded(reading):
        by_venv(reading)
        reading["services"]["gpuchat-vllm-demo"]["supervisor"] = "venv"

    assert "image" not in str(kinds(recorded))


def test_an_engine_that_still_starts_is_no_fault():
    def starting(reading):
        reading["engines"]["gpuchat-vllm-demo"] = {"healthy": False, "said": "refused", "models": []}
        reading["docker"]["containers"][1]["health"] = "starting"

    assert kinds(starting) == [("engine.starting", "warning")]


def test_a_stopped_engine_is_told_once():
    def stopped(reading):
        reading["engines"]["gpuchat-vllm-demo"] = {"healthy": False, "said": "refused", "models": []}
        reading["services"]["gpuchat-vllm-demo"]["running"] = False

    assert kinds(stopped) == [("service.stopped", "fault")]


@pytest.mark.parametrize(
    ("supervisor", "log"), [("systemd", "journalctl -u"), ("quadlet", "journalctl -u"), ("compose", "docker logs")]
)
def test_the_log_of_what_stopped_is_where_its_supervisor_keeps_it(supervisor, log):
    def stopped(reading):
        reading["services"]["gpuchat-vllm-demo"].update(running=False, supervisor=supervisor)

    (finding,) = (one for one in found(stopped).findings if one.kind == "service.stopped")
    assert f"`{log} gpuchat-vllm-demo`" in finding.fix


def test_a_folder_that_several_sets_share_is_told_once():
    def drifted(reading):
        for name in ("door", "edge", "firewall"):
            reading["files"][name]["drifted"] = {"/etc/gpuchat": ["mode"]}

    assert kinds(drifted) == [("file.mode", "warning")]


def test_an_image_that_the_inventory_names_and_no_run_has_resolved_is_another_version_than_planned():
    newer = replace(EXPECTED, images={"gpuchat-lobehub": ("lobehub/lobehub:2.2.0",)})
    (one,) = found(expected=newer).findings
    assert (one.kind, "which no run has resolved yet" in one.wanted) == ("image.planned", True)


def test_images_are_not_compared_without_a_lock():
    assert kinds(expected=replace(EXPECTED, lock={})) == []


def test_a_part_that_the_hosts_groups_do_not_ask_for_is_told():
    assert kinds(expected=replace(EXPECTED, groups=("chat", "gpu"))) == [("service.extra", "warning")]


@pytest.mark.parametrize(
    ("interface", "extra"),
    [
        ("open_webui", {"gpuchat-lobehub", "gpuchat-object-store"}),
        ("none", {"gpuchat-lobehub", "gpuchat-object-store", "gpuchat-postgresql"}),
    ],
)
def test_parts_of_an_interface_that_is_not_chosen_any_more_are_told(interface, extra):
    told = [
        one.found.split(",")[0]
        for one in found(expected=replace(EXPECTED, interface=interface)).findings
        if one.kind == "service.extra"
    ]
    assert set(told) == extra


def test_a_chat_that_keeps_has_its_database_and_lobehub_its_files():
    chat = replace(EXPECTED, groups=("chat",), engines={})
    assert chat.services[:4] == ("gpuchat-postgresql", "gpuchat-object-store", "gpuchat-lobehub", "gpuchat-door")
    other = replace(chat, interface="open_webui")
    assert other.services[:3] == ("gpuchat-postgresql", "gpuchat-open-webui", "gpuchat-door")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ({"success": {"time": NOW.timestamp() - 3600}}, []),
        ({}, [("backup.none", "fault")]),
        ({"success": {"time": NOW.timestamp() - 40 * 3600}}, [("backup.old", "fault")]),
        (
            {"success": {"time": NOW.timestamp() - 3600}, "failure": {"message": "no space"}},
            [("backup.failed", "warning")],
        ),
    ],
    ids=["of last night", "none yet", "of the day before", "the last one failed"],
)
def test_backups_are_looked_at_where_they_are_made(status, kind):
    assert kinds(lambda reading: reading.update(backup=status)) == kind


def test_a_gpu_host_without_a_model_has_its_door_and_nothing_more():
    idle = replace(EXPECTED, groups=("gpu",), engines={})
    assert idle.services == ("gpuchat-door", "docker", "gpuchat-firewall")


def test_each_engine_of_one_folder_is_compared_with_it():
    (path,) = {one["path"] for one in EXPECTED.engines.values()}
    two = {**EXPECTED.engines, "gpuchat-vllm-other": {"name": "other", "repo": "example/other", "path": path}}
    found = kinds(expected=replace(EXPECTED, engines=two))
    assert ("model.planned", "warning") in found


def test_a_former_secret_is_known_while_a_rotation_lasts():
    rotating = replace(EXPECTED, fingerprints={"ca_certificate": ("new", "1f1a")})
    assert kinds(expected=rotating) == []


def test_a_revision_is_compared_where_the_inventory_names_one():
    pinned = replace(EXPECTED, engines={name: {**one, "revision": "v2"} for name, one in EXPECTED.engines.items()})
    assert kinds(expected=pinned) == [("model.planned", "warning")]


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        (4.0, []),
        (-6.0, [("clock.off", "warning")]),
        (6.0, [("clock.off", "warning")]),
        (400.0, [("clock.off", "fault")]),
    ],
)
def test_a_clock_is_compared_with_the_control_nodes(ahead, expected):
    assert kinds(clock_ahead=ahead) == expected


BARE = {
    "host": READING["host"],
    "gpu": READING["gpu"],
    "docker": {"installed": False},
    "disks": READING["disks"],
    "services": {},
    "files": {},
    "stack": {},
    "models": {"/srv/models/demo": {"there": False}},
    "unanswered": {},
}


def test_a_host_that_was_never_set_up_has_one_finding():
    bare = examine(EXPECTED, Answer("done", BARE), NOW)
    assert [(one.kind, one.severity) for one in bare.findings] == [("host.bare", "warning")]
    assert "nothing of the stack here yet" in bare.findings[0].found


def test_a_bare_host_without_gpu_in_the_group_gpu_is_a_fault():
    no_gpu = {**BARE, "gpu": {"state": "no_gpu", "reason": "none", "gpus": [], "held_back": {}}}
    assert examine(EXPECTED, Answer("done", no_gpu), NOW).state == "fault"
    by_cpu = replace(EXPECTED, accelerator="cpu")
    assert examine(by_cpu, Answer("done", no_gpu), NOW).state == "warning"


def test_a_host_that_is_none_of_the_stack_is_a_row_without_findings():
    assert examine(Expected("probe", ("outside",)), Answer("done", BARE), NOW).findings == ()


@pytest.mark.parametrize(
    ("stage", "kind", "state"),
    [
        ("connect", "host.unreachable", "unreachable"),
        ("python", "host.python", "fault"),
        ("run", "host.silent", "fault"),
    ],
)
def test_a_host_that_gave_no_reading_is_told_with_the_reason(stage, kind, state):
    host = examine(EXPECTED, Answer(stage, problem="no answer from 10.0.0.5"), NOW)
    assert (host.findings[0].kind, host.state) == (kind, state)
    assert "no answer from 10.0.0.5" in host.findings[0].text


def test_the_exit_status_is_the_worst_hosts():
    well = examine(EXPECTED, healthy(), NOW)
    warned = found(certificate(10))
    faulty = found(without("services", "gpuchat-edge"))
    lost = examine(EXPECTED, Answer("connect", problem="no answer"), NOW)
    assert [status(some) for some in ([], [well], [well, warned], [faulty, warned], [faulty, lost, well])] == [
        *(0, 0, 1, 2, 3)
    ]
    assert in_order([well, warned, lost, faulty]) == (lost, faulty, warned, well)


def test_the_worst_finding_of_a_host_stands_first():
    def both(reading):
        certificate(10)(reading)
        without("services", "gpuchat-edge")(reading)

    assert [one.severity for one in found(both).findings] == ["fault", "warning"]


def test_hosts_are_compared_with_most_where_the_secrets_are_not_known():
    readings = [{"stack": {"api_key": one}} for one in ("a", "b", "a")]
    assert usual_fingerprints([*readings, {}]) == {"api_key": ("a",)}


def test_a_host_that_was_left_out_of_rotation_is_told():
    (one,) = found(put(NOW.timestamp(), "out of rotation since")).findings
    assert (one.kind, one.severity) == ("host.drained", "warning")
    assert "out of rotation since 2026-11-28 12:00 UTC" in one.text
    assert f"run deploys/drain.py {EXPECTED.name} --back" in one.text


EXPORTERS = {
    "gpuchat-node-exporter.socket",
    "gpuchat-state.timer",
    "gpuchat-postgresql-exporter.socket",
    "gpuchat-nginx-exporter.socket",
    "gpuchat-edge-metrics.socket",
}


def watched(*names, **changes):
    there = copy.deepcopy(READING)
    there["services"].update({name: {**there["services"]["gpuchat-edge"]} for name in names})
    for name, state in changes.items():
        there["services"][name].update(running=False, state=state)
    return there


def of_services(there, **changes):
    found = examine(replace(EXPECTED, **changes), Answer("done", there), NOW).findings
    return {(one.kind, one.found) for one in found if one.kind.startswith("service.")}


def test_what_shows_a_host_to_the_monitoring_is_neither_strange_nor_missing():
    assert of_services(watched(*EXPORTERS), monitored=True) == set()
    assert of_services(watched(*EXPORTERS), monitored=None) == set()


def test_without_a_host_that_asks_it_is_too_much_and_without_it_something_is_missing():
    assert {kind for kind, _found in of_services(watched(*EXPORTERS))} == {"service.extra"}
    assert of_services(watched(), monitored=True) == {("service.absent", f"no {name}") for name in EXPORTERS}


@pytest.mark.parametrize(
    ("name", "elsewhere"),
    [
        ("gpuchat-database-door.socket", {"own_database": False}),
        ("gpuchat-store-door.socket", {"own_store": False}),
        ("gpuchat-sso-door.socket", {"own_sign_in": False}),
    ],
)
def test_a_way_to_what_is_elsewhere_is_there_where_the_inventory_names_that_and_nowhere_else(name, elsewhere):
    assert ("service.absent", f"no {name}") in of_services(watched(), **elsewhere)
    assert {kind for kind, found in of_services(watched(name), **elsewhere) if name in found} == set()
    assert {kind for kind, found in of_services(watched(name)) if name in found} == {"service.extra"}


def test_an_exporter_that_was_stopped_is_told():
    there = watched(*EXPORTERS, **{"gpuchat-node-exporter.socket": "inactive", "gpuchat-edge-metrics.socket": "failed"})
    assert of_services(there, monitored=True) == {
        ("service.stopped", "gpuchat-node-exporter.socket stopped"),
        ("service.failed", "gpuchat-edge-metrics.socket failed (success)"),
    }


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        (("gpu",), {"gpuchat-node-exporter.socket", "gpuchat-state.timer", "gpuchat-door"}),
        (("edge",), {*EXPORTERS, "gpuchat-door", "gpuchat-edge"} - {"gpuchat-postgresql-exporter.socket"}),
        (
            ("monitoring",),
            {"gpuchat-prometheus", "gpuchat-alertmanager", "gpuchat-door"}
            | {"gpuchat-node-exporter.socket", "gpuchat-state.timer"},
        ),
    ],
    ids=["gpu", "edge", "monitoring"],
)
def test_a_host_that_is_watched_has_what_shows_its_part(groups, names):
    expected = replace(EXPECTED, groups=groups, engines={}, monitored=True)
    assert set(expected.services) - {"docker", "gpuchat-firewall"} == names
