# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports as the reference policy of the RHEL family lists them; no host with SELinux was run for this."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system import selinux

LISTED = """\
SELinux Port Type              Proto    Port Number

http_cache_port_t              tcp      8080, 8118, 8123, 10001-10010
http_port_t                    tcp      80, 81, 443, 488, 8008, 8009, 8443, 9000
http_port_t                    udp      9443
soundd_port_t                  tcp      8000, 9433, 16001
unreserved_port_t              tcp      1024-32767, 61001-65535
"""
ON = "setsebool -P httpd_can_network_connect on"


@pytest.mark.parametrize(
    ("can_connect", "ports", "wanted"),
    [
        pytest.param(True, (80, 443), [], id="all is said already"),
        pytest.param(False, (80, 443), [ON], id="the usual ports"),
        pytest.param(
            True, (9443, 443), ["semanage port --add --type http_port_t --proto tcp 9443"], id="a port of nobody's"
        ),
        pytest.param(
            True,
            (8000,),
            ["semanage port --modify --type http_port_t --proto tcp 8000"],
            id="another's port",
        ),
    ],
)
def test_selinux_is_told_what_it_does_not_know(can_connect, ports, wanted):
    assert [" ".join(step) for step in selinux.steps(LISTED, can_connect, ports)] == wanted


def test_what_was_told_is_not_told_again():
    told = LISTED + "http_port_t                    tcp      8000, 9443, 80, 443\n"
    assert selinux.steps(told, True, (8000, 9443, 80)) == []
