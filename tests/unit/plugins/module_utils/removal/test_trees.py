# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.removal.trees_runner import (
    mounted_at_or_below,
    network_of,
    parse_mounts,
)

MOUNTS = parse_mounts(
    "/dev/sda / ext4 rw 0 0\n"
    "filer:/x /srv/models nfs4 rw 0 0\n"
    "/dev/sdb /srv/models/fast xfs rw 0 0\n"
    "filer:/y /srv/a\\040b cifs rw 0 0\n"
    "filer:/z /over nfs rw 0 0\n"
    "/dev/sdc /over xfs rw 0 0\n"
    "/dev/sdd /windows fuseblk rw 0 0\n"
    "\n"
)


@pytest.mark.parametrize(
    ("path", "network"),
    [
        ("/srv/other", ""),
        ("/srv/models", "nfs4 at /srv/models"),
        ("/srv/models/small", "nfs4 at /srv/models"),
        ("/srv/models2", ""),
        ("/srv/models/fast/small", ""),
        ("/srv/a b/small", "cifs at /srv/a b"),
        ("/over/small", ""),
        ("/windows/small", ""),
    ],
)
def test_the_nearest_and_latest_mount_tells_whether_a_path_is_a_networks(path, network):
    assert network_of(path, MOUNTS) == network


def test_where_nothing_is_known_of_mounts_nothing_is_a_networks():
    assert network_of("/srv/models", ()) == ""


def test_mounts_at_and_below_a_path_are_found_and_none_beside_it():
    assert mounted_at_or_below("/srv/models", MOUNTS) == ["/srv/models", "/srv/models/fast"]
    assert mounted_at_or_below("/srv/model", MOUNTS) == []
