# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.units import GIB, gib, human


@pytest.mark.parametrize(("size", "text"), [(0, "0.0 GiB"), (GIB, "1.0 GiB"), (44.44 * GIB, "44.4 GiB")])
def test_memory_is_counted_in_powers_of_1024(size, text):
    assert gib(size) == text


@pytest.mark.parametrize(("size", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "2 kB"), (6.1e10, "61.0 GB")])
def test_files_are_counted_in_powers_of_1000(size, text):
    assert human(size) == text
