# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker.client import proxy_warning, refuse_elsewhere


@pytest.mark.parametrize("endpoint", ["", "unix:///var/run/docker.sock", "unix:///run/docker.sock"])
def test_a_program_that_speaks_to_this_hosts_docker_is_taken(endpoint):
    refuse_elsewhere(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    ["tcp://10.0.0.9:2376", "ssh://ops@builder", "unix:///run/user/1000/docker.sock"],
    ids=["another host", "another host by ssh", "a user's rootless Docker"],
)
def test_a_program_that_would_start_containers_elsewhere_is_refused(endpoint):
    with pytest.raises(Refusal, match=f"found that docker speaks to {endpoint} .*run `docker context use default`"):
        refuse_elsewhere(endpoint)


@pytest.mark.parametrize(
    ("configuration", "told"),
    [
        ({}, False),
        ({"auths": {"registry.lan": {}}, "credsStore": "pass"}, False),
        ({"proxies": {}}, False),
        ({"proxies": {"default": {"noProxy": "*.lan"}}}, False),
        ({"proxies": {"default": {"httpProxy": ""}}}, False),
        ({"proxies": {"default": {"httpProxy": "http://proxy:3128", "noProxy": "*.lan"}}}, True),
        ({"proxies": {"unix:///var/run/docker.sock": {"httpsProxy": "http://name:secret@proxy:3128"}}}, True),
        ({"proxies": ["http://proxy:3128"]}, False),
    ],
)
def test_a_proxy_that_containers_would_be_told_of_is_warned_of_without_its_login(configuration, told):
    warning = proxy_warning(configuration, "/root/.docker/config.json")
    assert ("take proxies out of /root/.docker/config.json" in warning) == told
    assert "secret" not in warning
