# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two servers of somebody else's beside the stack's own engines: see foreign.py."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator

import pytest
from foreign import lent
from running import Stack

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="session", autouse=True)
def fastchat(stack: Stack) -> Iterator[Callable[[], tuple[str, str]]]:
    """Start it, so that it loads beside the first tests."""
    yield from lent(stack, HERE / "fastchat", 9000)


@pytest.fixture(scope="session")
def llamacpp(stack: Stack) -> Iterator[Callable[[], tuple[str, str]]]:
    yield from lent(stack, HERE / "llamacpp", 9001)
