# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.removal.plan import (
    Found,
    Step,
    Wishes,
    plan_removal,
    purge_and_remove,
)

DAEMON = "/etc/docker/daemon.json"
WHOLE = Found(
    services=(
        "docker",
        "gpuchat-acme.timer",
        "gpuchat-backup.timer",
        "gpuchat-door",
        "gpuchat-edge",
        "gpuchat-firewall",
        "gpuchat-lobehub",
        "gpuchat-object-store",
        "gpuchat-open-webui",
        "gpuchat-postgresql",
        "gpuchat-vllm-small",
        "gpuchat-vllm-tall",
        "gpuchat-watchdog",
        "nvidia-cdi-refresh.path",
    ),
    sets=("door", "edge", "firewall", "gpuchat-vllm-small", "nvidia-cdi", "repository-docker", "watchdog"),
    firewall=True,
    leftovers=("/etc/gpuchat/edge/acme.pem",),
    rooms=("gpuchat-room",),
    containers=("gpuchat-old",),
    claims={DAEMON: ("gpuchat", "nvidia_container_toolkit")},
    packages={
        "docker": ("docker.io", "containerd"),
        "nginx": ("nginx",),
        "nvidia-container-toolkit": ("nvidia-container-toolkit",),
        "nvidia-driver": ("libcuda1",),
    },
    masked={"nginx": ("nginx.service",)},
    held={"nvidia-container-toolkit": ("nvidia-container-toolkit",), "nvidia-driver": ("libcuda1",)},
    toolbox=True,
    strays=True,
    records=True,
    data=True,
    member=True,
)


def steps(found, **wishes):
    return [(one.kind, *one.names) for one in plan_removal(found, Wishes(**wishes)).steps]


def kinds(found, **wishes):
    return list(dict.fromkeys(kind for kind, *_names in steps(found, **wishes)))


def stays(found, **wishes):
    return {one.name.partition(":")[0]: one.reason for one in plan_removal(found, Wishes(**wishes)).stays}


def test_nobody_comes_in_before_anything_else_goes_and_membership_goes_last():
    assert kinds(WHOLE, data=True) == [
        "service",
        "container",
        "firewall",
        "leftover",
        "set",
        "room",
        "toolbox",
        "claim",
        "forget",
        "packages",
        "unhold",
        "unmask",
        "data",
        "strays",
        "records",
        "membership",
    ]


def test_services_stop_from_the_door_inwards_and_the_watchdog_before_what_it_starts():
    assert [name for kind, *names in steps(WHOLE) if kind == "service" for name in names] == [
        "gpuchat-door",
        "gpuchat-edge",
        "gpuchat-acme.timer",
        "gpuchat-backup.timer",
        "gpuchat-watchdog",
        "gpuchat-lobehub",
        "gpuchat-open-webui",
        "gpuchat-object-store",
        "gpuchat-postgresql",
        "gpuchat-vllm-small",
        "gpuchat-vllm-tall",
    ]


def test_what_asks_for_metrics_stops_after_the_door_to_them_and_sockets_before_what_they_start():
    names = ("gpuchat-prometheus", "gpuchat-node-exporter.socket", "gpuchat-state.timer", "gpuchat-door")
    found = Found(services=names)
    assert [one for kind, *own in steps(found) if kind == "service" for one in own] == [
        "gpuchat-door",
        "gpuchat-node-exporter.socket",
        "gpuchat-state.timer",
        "gpuchat-prometheus",
    ]


def test_somebody_elses_service_is_forgotten_and_goes_on():
    assert [step for step in steps(WHOLE) if step[0] == "forget"] == [
        ("forget", "docker"),
        ("forget", "nvidia-cdi-refresh.path"),
    ]


def test_a_repository_goes_after_its_packages():
    found = steps(WHOLE)
    packages = next(step for step in found if step[0] == "packages")
    assert packages == ("packages", "nginx", "nvidia-container-toolkit", "docker")
    assert found.index(packages) < found.index(("set", "repository-docker"))
    assert found.index(("set", "edge")) < found.index(packages)


@pytest.mark.parametrize(
    ("change", "wishes", "kept", "reason"),
    [
        ({}, {}, "packages of nvidia-driver", "a kernel and its driver"),
        ({}, {"packages": False}, "packages of nginx", "remove_packages is false"),
        ({"others": ("shop",)}, {}, "packages of docker", "somebody else's containers: shop"),
        ({"others_with_gpus": ("lab",)}, {}, "packages of nvidia-container-toolkit", "use it: lab"),
        ({"others_with_gpus": ("lab",)}, {}, "NVIDIA's runtime in Docker's daemon.json", "use it: lab"),
    ],
    ids=["a driver", "packages that are to be kept", "another's Docker", "another's GPUs", "the runtime of these"],
)
def test_what_stays_is_told_with_its_reason(change, wishes, kept, reason):
    assert reason in stays(replace(WHOLE, **change), **wishes)[kept]


def test_docker_stays_with_its_repository_where_it_runs_somebody_elses_containers():
    found = replace(WHOLE, others=("shop",))
    planned = plan_removal(found, Wishes())
    assert planned.docker_goes is False
    assert Step("set", ("repository-docker",)) not in planned.steps
    assert Step("packages", ("nginx", "nvidia-container-toolkit")) in planned.steps
    assert Step("claim", (DAEMON, "gpuchat")) in planned.steps


def test_what_somebody_elses_containers_need_of_their_gpus_stays_whole():
    planned = steps(replace(WHOLE, others=("lab",), others_with_gpus=("lab",)))
    assert ("claim", DAEMON, "gpuchat") in planned
    assert ("claim", DAEMON, "nvidia_container_toolkit") not in planned
    assert ("set", "nvidia-cdi") not in planned
    assert [step for step in planned if step[0] == "forget"] == []


def test_a_hold_is_released_where_the_package_stays():
    assert ("unhold", "nvidia-driver") in steps(WHOLE)
    assert ("unhold", "nvidia-container-toolkit") not in steps(WHOLE)


@pytest.mark.parametrize(
    ("change", "wishes", "is_unmasked"),
    [({}, {}, True), ({}, {"packages": False}, False), ({"packages": {}}, {"packages": False}, True)],
    ids=["its package goes", "a package of ours stays", "the package was there before"],
)
def test_a_unit_of_a_package_of_ours_stays_masked_as_long_as_the_package_stays(change, wishes, is_unmasked):
    assert (("unmask", "nginx.service") in steps(replace(WHOLE, **change), **wishes)) is is_unmasked


def test_data_goes_only_where_that_is_asked_for():
    assert "data" not in kinds(WHOLE)
    assert "data" in kinds(WHOLE, data=True)


def test_where_nothing_is_there_nothing_is_done():
    assert plan_removal(Found(), Wishes(data=True)).steps == ()


@pytest.mark.parametrize(
    ("others", "wishes", "purged"),
    [((), {}, False), ((), {"data": True}, True), (("volume shop",), {"data": True}, False)],
    ids=["data is kept", "data goes", "data of somebody else's is among it"],
)
def test_docker_is_purged_with_its_images_only_where_all_of_them_may_go(others, wishes, purged):
    planned = plan_removal(replace(WHOLE, others_data=others), Wishes(**wishes))
    assert planned.purged is purged
    together = (("docker.io", "nginx"), ()) if purged else (("nginx",), ("docker.io",))
    assert purge_and_remove(["nginx", "docker.io"], purged) == together


PODMAN = Found(packages={"nginx": ("nginx",), "podman": ("podman",)}, data=True)


def test_environments_and_the_account_of_engines_go_after_the_engines_and_before_packages():
    found = Found(
        services=("gpuchat-vllm-m",),
        environments=("/opt/gpuchat/vllm", "/opt/gpuchat/uv"),
        account=True,
        packages={"uv": ("g++",)},
    )
    assert steps(found) == [
        ("service", "gpuchat-vllm-m"),
        ("environment", "/opt/gpuchat/vllm", "/opt/gpuchat/uv"),
        ("account",),
        ("packages", "uv"),
    ]


@pytest.mark.parametrize(
    ("wishes", "order"),
    [
        ({"data": True}, [("packages", "nginx"), ("data",), ("packages", "podman")]),
        ({}, [("packages", "nginx", "podman")]),
    ],
    ids=["with the images", "without"],
)
def test_podman_stays_until_its_images_have_gone(wishes, order):
    assert steps(PODMAN, **wishes) == order


def test_a_podman_that_somebody_else_uses_stays():
    used = replace(PODMAN, podmans_others=("theirs", "image docker.io/library/redis:7"))
    assert "podman" not in str(steps(used, data=True))
    assert "somebody else's: theirs, image docker.io/library/redis:7" in stays(used)["packages of podman"]
