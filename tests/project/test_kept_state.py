# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmark reads on a host and gives to each tool to keep."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys

import pytest
import yaml

BENCHMARKS = pathlib.Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import plays  # noqa: E402
from kept_state import DAEMON_JSON, File, Folder, Network, Project, State  # noqa: E402

sys.path.remove(str(BENCHMARKS))

COMPOSE = {
    "services": {"engine": {"image": "engine", "environment": {"A": "$$b"}, "healthcheck": {"test": ["CMD", "x"]}}}
}
UNIT = "[Service]\nExecStart=/usr/sbin/nginx -c /etc/gpuchat/edge/nginx.conf\n"


def file(path: str, content: str = "", owner: int = 0) -> File:
    return File(path, owner, owner, "0644", content)


SETTINGS = file(DAEMON_JSON, '{"live-restore": true}')
COMPOSE_FILE = file("/etc/gpuchat/engine/compose.yml", yaml.safe_dump(COMPOSE))
KEY = file("/etc/gpuchat/engine/key", "secret", 69980)
SITE = file("/etc/gpuchat/edge/nginx.conf", "events {}")
EDGE = file("/etc/systemd/system/edge.service", UNIT)
DROP_IN = file("/etc/systemd/system/nftables.service.d/x.conf", "[Service]\nExecStartPost=/x -f /etc/gpuchat/edge/x\n")
ROOM = Network("room", "172.16.255.248/29", "room")
STATE = State(
    packages=("docker.io", "nginx"),
    masked=("nginx.service",),
    folders=(Folder("/etc/gpuchat/engine", 0, 0, "0755"),),
    files=(SETTINGS, SITE, COMPOSE_FILE, KEY, EDGE, DROP_IN),
    networks=(ROOM,),
    projects=(Project("engine", COMPOSE_FILE.path, "engine"),),
    units=("docker.service", "edge.service"),
)


@pytest.mark.parametrize(
    ("one", "service"),
    [
        (SETTINGS, "docker.service"),
        (COMPOSE_FILE, "engine"),
        (KEY, "engine"),
        (SITE, "edge.service"),
        (EDGE, "edge.service"),
        (DROP_IN, "edge.service"),
    ],
    ids=lambda one: one.path if isinstance(one, File) else one,
)
def test_a_file_is_taken_up_by_the_service_beside_it_or_the_unit_that_names_its_folder(one: File, service: str) -> None:
    assert STATE.service_of(one) == service


def test_a_file_that_nothing_takes_up_is_told() -> None:
    with pytest.raises(SystemExit, match="what takes up /etc/gpuchat/other/x"):
        STATE.service_of(file("/etc/gpuchat/other/x"))


@pytest.mark.parametrize(
    "found",
    [
        dataclasses.replace(STATE, packages=("docker.io",)),
        dataclasses.replace(STATE, projects=()),
        dataclasses.replace(STATE, units=("docker.service",)),
        dataclasses.replace(
            STATE, files=(SETTINGS, dataclasses.replace(SITE, mode="0600"), COMPOSE_FILE, KEY, EDGE, DROP_IN)
        ),
        dataclasses.replace(STATE, files=(SETTINGS, file(SITE.path, "changed"), COMPOSE_FILE, KEY, EDGE, DROP_IN)),
        dataclasses.replace(STATE, networks=()),
    ],
    ids=["a package", "a container", "a service", "a mode", "a content", "a network"],
)
def test_what_a_host_lacks_is_seen_without_its_secrets(found: State) -> None:
    (missing,) = STATE.missing(found)
    assert "secret" not in missing
    assert STATE.missing(STATE) == []


def test_what_the_bare_host_had_is_left_out() -> None:
    bare = dataclasses.replace(STATE, packages=("docker.io",), files=(EDGE,))
    assert STATE.without(bare).packages == ("nginx",)
    assert EDGE not in STATE.without(bare).files


def test_small_containers_keep_all_but_what_they_run() -> None:
    small = STATE.with_small_containers("small:1")
    (changed,) = [one for one in small.files if one not in STATE.files]
    service = yaml.safe_load(changed.content)["services"]["engine"]
    assert (service["image"], service["entrypoint"]) == ("small:1", ["sleep", "infinity"])
    assert service["environment"] == {"A": "$$b"}


@pytest.mark.parametrize("make", [plays.our_stack, plays.stock_stack])
def test_each_play_names_each_package_file_and_service(make) -> None:  # type: ignore[no-untyped-def]
    written = json.dumps(make(STATE, pathlib.Path("/sources")))
    names = (
        *STATE.packages,
        ROOM.subnet,
        "edge",
        "engine",
        "docker",
        *(one.path for one in STATE.files if one != SETTINGS),
    )
    assert [name for name in names if name not in written] == []


def test_no_secret_stands_in_a_play_or_in_what_pyinfra_reads() -> None:
    written = [json.dumps(make(STATE, pathlib.Path("/s"))) for make in (plays.our_stack, plays.stock_stack)]
    assert [text for text in (*written, STATE.as_json()) if "secret" in text] == []
