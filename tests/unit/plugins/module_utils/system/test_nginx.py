# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system import nginx


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


@pytest.mark.parametrize(
    ("os_release", "folder"),
    [
        pytest.param('ID=debian\nVERSION_ID="12"\n', "/usr/lib/nginx/modules", id="Debian"),
        pytest.param(
            'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n', "/usr/lib64/nginx/modules", id="Rocky"
        ),
    ],
)
def test_the_module_for_perl_lies_where_the_release_has_modules(os_release, folder):
    assert nginx.of(os_release).as_dict()["perl_module"] == f"{folder}/ngx_http_perl_module.so"
