# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx by family of releases; texts of RHEL's family as its manuals and policies show them, none was run here."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system import nginx

PORTS = """\
SELinux Port Type              Proto    Port Number

http_cache_port_t              tcp      8080, 8118, 8123, 10001-10010
http_port_t                    tcp      80, 81, 443, 488, 8008, 8009, 8443, 9000
http_port_t                    udp      80, 443
pegasus_http_port_t            tcp      5988
"""
OFF, ON = {"httpd_can_network_connect": False}, {"httpd_can_network_connect": True}


@pytest.mark.parametrize(
    ("os_release", "user"),
    [
        pytest.param('ID=debian\nVERSION_ID="12"\n', "www-data", id="Debian"),
        pytest.param('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n', "www-data", id="Ubuntu"),
        pytest.param('ID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.4"\n', "nginx", id="RHEL"),
        pytest.param('ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n', "nginx", id="Rocky"),
        pytest.param('ID=fedora\nVERSION_ID="42"\n', "nginx", id="Fedora"),
        pytest.param("", "www-data", id="nothing is known"),
    ],
)
def test_workers_run_as_the_releases_user(os_release, user):
    assert (nginx.of(os_release).user, nginx.of(os_release).group) == (user, user)


def test_ports_of_web_servers_are_read_with_their_ranges():
    assert nginx.ports_of(PORTS) == {80, 81, 443, 488, 8008, 8009, 8443, 9000}
    assert nginx.ports_of("http_port_t tcp 80, 8000-8002\n") == {80, 8000, 8001, 8002}


@pytest.mark.parametrize(
    ("mode", "booleans", "ports", "steps"),
    [
        pytest.param("Disabled\n", OFF, (9443,), [], id="it does not run"),
        pytest.param("Enforcing\n", ON, (80, 443), [], id="all is said already"),
        pytest.param("Enforcing", OFF, (80, 443), ["setsebool -P httpd_can_network_connect on"], id="the usual ports"),
        pytest.param(
            "Permissive",
            ON,
            (9443, 443, 8000),
            [
                "semanage port --add --type http_port_t --proto tcp 8000",
                "semanage port --add --type http_port_t --proto tcp 9443",
            ],
            id="other ports, before it is enforcing",
        ),
    ],
)
def test_selinux_is_told_what_it_does_not_know(mode, booleans, ports, steps):
    assert [" ".join(step) for step in nginx.selinux_steps(mode, PORTS, booleans, ports)] == steps
