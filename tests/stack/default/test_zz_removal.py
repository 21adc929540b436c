# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack goes again, and its host is as it was before. The last tests of the scenario: nothing runs after them."""

from __future__ import annotations

import re

import pytest
from running import ROOT, Stack

STATE = (ROOT / "molecule" / "world" / "state-of-host.sh").read_text()
SHOP = "shop"
SAID = "ls /var/lib/gpuchat/postgresql/*/PG_VERSION"
CONFIRMED = ("-e", "remove_confirm=yes")
PACKAGES_STAY = ("-e", "remove_packages=false")
DATA_GOES = ("-e", "remove_data=true")


def remove(stack: Stack, *words: str) -> str:
    """Remove the stack, and return what Ansible says."""
    return stack.must_play(*CONFIRMED, *words, playbook="playbooks/remove.yml")


def changed(stack: Stack, said: str) -> bool:
    """Tell by Ansible's summary whether a removal has changed the host."""
    found = re.search(rf"^{stack.host_of('edge')} .*\bchanged=(\d+)", said, re.MULTILINE)
    assert found, said[-2000:]
    return int(found[1]) > 0


def state(stack: Stack) -> set[str]:
    return set(stack.on("server", STATE).splitlines())


def at_rest(stack: Stack) -> set[str]:
    """Return the same without what a database writes by itself."""
    return {line for line in state(stack) if "/var/lib/gpuchat/postgresql/" not in line}


def bare(stack: Stack) -> set[str]:
    """Return what was noted on the bare host, before its first run."""
    return set(stack.on("server", "cat /root/.bare").splitlines())


def images(stack: Stack) -> list[str]:
    return stack.on("server", "docker image ls --quiet --no-trunc").split()


@pytest.fixture(scope="module")
def shop(stack: Stack) -> str:
    """Somebody else's container, which runs beside the stack."""
    engine = "$(docker ps --quiet --filter name=gpuchat-vllm | head -n 1)"
    image = stack.on("server", f"docker inspect --format '{{{{.Image}}}}' {engine}").strip()
    stack.on("server", f"docker run --detach --name {SHOP} --network none --entrypoint sleep {image} 3600")
    return SHOP


def test_without_a_confirmation_nothing_goes(stack: Stack) -> None:
    done = stack.play(playbook="playbooks/remove.yml")
    assert done.returncode != 0
    assert "found no confirmation" in done.stdout + done.stderr
    assert stack.ask()[0] == 200


def test_a_host_that_the_inventory_does_not_know_is_refused(stack: Stack) -> None:
    done = stack.play(*CONFIRMED, "-e", "remove_host=nowhere", playbook="playbooks/remove.yml")
    assert done.returncode != 0
    assert "found remove_host nowhere" in done.stdout + done.stderr
    assert stack.ask()[0] == 200


@pytest.mark.long
def test_check_mode_says_what_would_go_and_touches_nothing(stack: Stack) -> None:
    before = at_rest(stack)
    said = stack.must_play("--check", "--diff", playbook="playbooks/remove.yml")
    assert "gpuchat-edge" in said
    assert "/etc/gpuchat/edge/nginx.conf" in said
    assert at_rest(stack) == before
    assert stack.ask()[0] == 200


def test_the_host_by_its_name_is_left_by_all_that_runs_and_keeps_packages_and_data(stack: Stack, shop: str) -> None:
    said = remove(stack, *PACKAGES_STAY, "-e", f"remove_host={stack.host_of('edge')}")
    assert "data is kept (remove_data is false)" in said
    assert stack.ask()[0] == 0
    assert stack.on("server", "docker ps --format '{{.Names}}'").split() == [shop]
    assert "gpuchat" not in stack.on("server", "nft list tables")
    assert "gpuchat" not in stack.on("server", "docker network ls --format '{{.Name}}'")
    assert "gpuchat" not in stack.on("server", "systemctl list-unit-files --no-pager")
    assert stack.on("server", "ls /etc/gpuchat", check=False) == ""
    assert stack.on("server", "ls /etc/docker/daemon.json*", check=False) == ""
    assert stack.on("server", "ls /srv/models").strip()
    assert stack.on("server", SAID).strip()
    assert images(stack)
    assert not changed(stack, remove(stack, *PACKAGES_STAY))


def test_docker_stays_with_somebody_elses_container_and_other_packages_go(stack: Stack, shop: str) -> None:
    said = remove(stack)
    assert f"Docker runs somebody else's containers: {shop}" in said
    assert stack.on("server", "docker ps --format '{{.Names}}'").split() == [shop]
    packages = stack.on("server", "dpkg-query --show --showformat '${Package} '").split()
    assert "docker.io" in packages
    assert {"nginx", "nftables"} & set(packages) == set()
    assert not [name for name in packages if name.startswith("postgresql-")]
    # What people said is still whose it was, and nobody else is given that account's number.
    assert stack.on("server", f"stat --format %U $({SAID})").split() == ["postgres"]


def test_with_its_data_and_packages_the_host_is_as_it_was_before_the_first_run(stack: Stack, shop: str) -> None:
    stack.on("server", f"docker rm --force {shop}")
    remove(stack, *DATA_GOES)
    before, after = bare(stack), state(stack)
    assert sorted(after - before) == []
    assert sorted(before - after) == []
    assert stack.on("server", "getent passwd postgres", check=False) == ""
    assert stack.on("server", "ls -A /srv/models /var/cache/gpuchat /var/lib/gpuchat", check=False) == ""


def test_a_removal_of_what_is_gone_changes_nothing(stack: Stack) -> None:
    assert not changed(stack, remove(stack, *DATA_GOES))
