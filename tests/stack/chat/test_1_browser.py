# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person with a fresh browser, in an allowed network."""

from __future__ import annotations

import pathlib

import pytest
from browsing import DIALOGUES, browse
from running import ARTIFACTS, Stack

CLICKS = {"lobehub": 0, "open_webui": 1}
"""How often the mouse is needed until the first answer: Open WebUI's first field has not got the cursor."""


@pytest.mark.parametrize(("dialogue", "locale"), [("hello", "en-US"), ("nihao", "zh-CN")])
def test_a_fresh_browser_signs_in_and_gets_the_trained_answer_by_the_keyboard_alone(
    stack: Stack, tmp_path: pathlib.Path, dialogue: str, locale: str
) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    picture = ARTIFACTS / f"{stack.interface}-{stack.supervisor}-{locale}.png"
    words = ["--locale", locale, "--message", DIALOGUES[dialogue]["ask"], "--expect", DIALOGUES[dialogue]["answer"]]
    seen = browse(stack, tmp_path, *words, "--model-name", stack.model, "--screenshot", str(picture))
    assert (seen["answer"], seen["clicks"]) == (DIALOGUES[dialogue]["answer"], CLICKS[stack.interface])
