# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.units import GIB
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system.space import Place, refuse_small, scarce


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(Place("/a", "/", 20 * GIB, used=False), id="just enough"),
        pytest.param(Place("/a", "/a", 1, used=True), id="full of what is there already"),
    ],
)
def test_a_place_that_holds_enough_is_allowed(place):
    refuse_small([place], 20)


def test_each_place_that_is_too_small_is_named():
    places = [
        Place("/var/lib/docker", "/data", 100 * GIB, used=False),
        Place("/var/lib/containerd", "/var/lib", 20 * GIB - 1, used=False),
        Place("/srv", "/srv", 3 * GIB // 2, used=False),
    ]
    with pytest.raises(Refusal) as refused:
        refuse_small(places, 20)
    assert str(refused.value) == (
        "found 20.0 GiB for /var/lib/containerd (on /var/lib), 1.5 GiB for /srv (on /srv) free; wanted 20 GiB; "
        "mount a larger file system there, or set minimum_gib to what you need"
    )


@pytest.mark.parametrize("used", [True, False])
def test_a_place_that_takes_next_to_no_further_file_is_named(used):
    refuse_small([Place("/a", "/", 20 * GIB, used, 1000), Place("/b", "/", 20 * GIB, used)], 20)
    with pytest.raises(Refusal, match=r"found 999 inodes free for /a \(on /\); wanted 1000: .*`df -i`"):
        refuse_small([Place("/a", "/", 20 * GIB, used, 999)], 20)


def test_the_hint_is_the_callers():
    with pytest.raises(Refusal, match="wanted 1 GiB; buy a disk$"):
        refuse_small([Place("/a", "/", 0, used=False)], 1, "buy a disk")


@pytest.mark.parametrize(
    ("free", "total", "word"),
    [
        pytest.param(GIB, 4 * GIB, "none", id="too little for one image, whatever the percentage"),
        pytest.param(10 * GIB, 1000 * GIB, "none", id="next to nothing"),
        pytest.param(40 * GIB, 1000 * GIB, "few", id="soon full"),
        pytest.param(60 * GIB, 8000 * GIB, "", id="a small part of a large disk"),
        pytest.param(40 * GIB, 100 * GIB, "", id="a good part of a small disk"),
    ],
)
def test_what_is_free_is_enough_by_its_part_or_by_itself(free, total, word):
    assert scarce(free, total) == word
