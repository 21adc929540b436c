# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an engine that starts anew answers as sensibly as the one before it on the same host.

Words may differ from one version or model to the next, so they are not compared. Wrong is what is no language, as from
kernels that do not fit the GPU, and an engine that knows nothing of what the one before it knew.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

QUESTIONS = (
    ("What is 17 plus 25? Answer with the number alone.", re.compile(r"\b42\b")),
    ("Which city is the capital of France? Answer with its name alone.", re.compile(r"\bParis\b", re.IGNORECASE)),
    ("Write this word again and nothing else: lighthouse", re.compile(r"\blighthouse\b", re.IGNORECASE)),
    ("Count from 1 to 30 in digits.", re.compile(r"\b1\b.*\b15\b.*\b30\b", re.DOTALL)),
)
"""Each with what stands in a right answer."""

LONGEST_TOKENS = 256
SHORTEST_TEXT = 12
"""Letters, or words, from which on a text says whether it is one."""
SAME_SHARE, ODD_SHARE = 0.8, 0.3
LEAST_TOKENS = 20
"""From which on an answer says how fast it was made."""
MUCH_SLOWER = 4.0


@dataclass(frozen=True)
class Answer:
    """What was said to one question.

    Attributes:
        text: empty where the model was still thinking when its tokens were used up.
        tokens: made for it, thoughts among them; 0 where that was not said.
        seconds: from the question to the end.
    """

    text: str
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Trial:
    """What an engine's answers show.

    Attributes:
        right: how many are.
        answered: how many have a text.
        garbled: the first text that is no language; empty where there is none.
        speed: tokens a second in the longest answer; 0 where none says.
    """

    right: int
    answered: int
    garbled: str = ""
    speed: float = 0.0


def judge(answers: Sequence[Answer]) -> Trial:
    """Judge the answers to ``QUESTIONS``, in their order."""
    said = [one.text for one in answers if one.text.strip()]
    right = [one for one, (_question, sign) in zip(answers, QUESTIONS) if sign.search(one.text)]
    longest = max(answers, key=lambda one: one.tokens, default=Answer(""))
    measured = longest.tokens >= LEAST_TOKENS and longest.seconds > 0
    return Trial(
        len(right),
        len(said),
        next((text for text in said if is_garbled(text)), ""),
        longest.tokens / longest.seconds if measured else 0.0,
    )


def is_garbled(text: str) -> bool:
    """Whether a text is the same letter or word again and again, or signs that no language has."""
    letters = [letter for letter in text if not letter.isspace()]
    if len(letters) < SHORTEST_TEXT:
        return False
    odd = sum(letter == "\ufffd" or not letter.isprintable() for letter in letters)
    words = text.split()
    return (
        odd / len(letters) > ODD_SHARE
        or Counter(letters).most_common(1)[0][1] / len(letters) > SAME_SHARE
        or (len(words) >= SHORTEST_TEXT and Counter(words).most_common(1)[0][1] / len(words) > SAME_SHARE)
    )


def why_worse(before: Trial | None, now: Trial | None) -> str:
    """Return why an engine must not take the place of the one before it, or nothing; None is not known."""
    if before is None or now is None:
        return ""
    if now.garbled and not before.garbled:
        return f"found the answer {now.garbled[:60]!r}, wanted a text, as before"
    if before.right and not now.right and now.answered:
        return (
            f"found none of {now.answered} simple questions answered rightly, wanted one or more; there were "
            f"{before.right} before"
        )
    return ""


def why_slower(before: Trial | None, now: Trial | None) -> str:
    """Return a word on an engine that is far slower than the one before it, or nothing; another model may be."""
    if before is None or now is None or not (before.speed and now.speed) or now.speed * MUCH_SLOWER > before.speed:
        return ""
    return f"found {now.speed:.3g} tokens a second for one who asks alone, and {before.speed:.3g} before"
