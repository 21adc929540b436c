# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose only way out is a proxy that wants a login, to servers that a company's own authority vouches for."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator

import pytest
from running import Stack

pytestmark = pytest.mark.long

HERE = pathlib.Path(__file__).parent
HOSTS = "playbooks/hosts.yml"
SECRET = "s3cret"
VARIABLES = "/etc/gpuchat/docker/network.env"
STORE = "/etc/ssl/certs/ca-certificates.crt"
OTHERS = "registry.world packages.world hub.world"


@pytest.fixture(scope="module")
def closed(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[pathlib.Path]:
    """Shut the server's ways out but for the proxy; return the variables that name it, as a file."""
    folder = tmp_path_factory.mktemp("company")
    stack.on("proxy", (HERE / "proxy.sh").read_text())
    (folder / "ca.crt").write_text(stack.on("proxy", "cat /root/ca.crt"))
    address = str(stack.world["hosts"]["proxy"]["addresses"]["inside"])  # type: ignore[index]
    proxy = f"http://name:{SECRET}%40word@{address}:3128"
    given = {
        "gpuchat_proxy": {"http": proxy, "https": proxy},
        "gpuchat_ca_files": [str(folder / "ca.crt")],
        "gpuchat_registry_map": {"docker.io": "registry.company", "ghcr.io": "registry.company"},
        "gpuchat_insecure_registries": [],
        "gpuchat_models": [{**stack.variables["gpuchat_models"][0], "endpoints": ["https://hub.company"]}],  # type: ignore[index]
        "toolbox_index_url": "https://packages.company/pypi/simple",
        "toolbox_trusted_hosts": [],
        "nvidia_container_toolkit_repository_url": "https://packages.company/nvidia-toolkit/stable",
        "nvidia_container_toolkit_version": "1.19.0-1",
    }
    (folder / "closed.json").write_text(json.dumps(given))
    route = stack.on("server", "ip route show default").strip()
    stack.on("server", f"cp /etc/hosts /root/hosts; for one in {OTHERS}; do echo 192.0.2.1 $one; done >>/etc/hosts")
    stack.on(
        "server", f"ip route del default; echo 'ip route replace {route}; cat /root/hosts >/etc/hosts' >/root/open"
    )
    try:
        yield folder / "closed.json"
    finally:
        stack.on("server", "sh /root/open")


def test_packages_wheels_images_and_listings_come_through_the_proxy(stack: Stack, closed: pathlib.Path) -> None:
    stack.on("server", "rm -rf /opt/gpuchat/toolbox*; docker image prune --all --force; apt-get clean")
    output = stack.must_play("-vv", "--diff", "-e", f"@{closed}", playbook=HOSTS)
    assert SECRET not in output
    asked = stack.on("proxy", "cat /var/log/squid/access.log")
    for server in ("registry.company", "packages.company", "hub.company"):
        assert f"CONNECT {server}:443 name " in asked
    assert "dists/trixie" in asked  # Debian's own packages, by http
    assert stack.on("server", f"stat -c %a {VARIABLES}").strip() == "600"
    shown = stack.on("server", "docker info; systemctl show docker; cat /etc/docker/daemon.json")
    assert SECRET not in shown
    found = stack.on("server", f"grep -rIl {SECRET} /etc /var/lib/gpuchat /root /opt/gpuchat; true").split()
    assert found == [VARIABLES]
    assert "changed=0" in stack.must_play("-e", f"@{closed}", playbook=HOSTS)


def test_without_the_variables_the_host_is_as_it_was(stack: Stack, closed: pathlib.Path) -> None:
    stack.on("server", "sh /root/open")
    stack.must_play(playbook=HOSTS)
    left = stack.on(
        "server", "find /etc /usr/local/share/ca-certificates -name 'gpuchat-network*' -o -name 'network.env'"
    )
    assert left == ""
    assert stack.on("server", "ls /usr/local/share/ca-certificates").strip() == ""
    assert "PROXY" not in stack.on("server", "cat /proc/$(pidof dockerd)/environ | tr '\\0' '\\n'")
    authority = (closed.parent / "ca.crt").read_text().splitlines()[1]
    assert authority not in stack.on("server", f"cat {STORE}")
