# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the vectors of a model are, and what vLLM wants to be told so that a request may ask for a length.

Source: ``embedding_size`` and ``is_matryoshka`` of vllm/config/model.py, and ``_set_default_parameters`` of
vllm/pooling_params.py (0.32.0): a request that names ``dimensions`` is refused for a model that is not marked as one
whose vectors can be cut (Matryoshka), at the model's own length too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..checkpoint.config import text_config

DENSE = re.compile(r"(\d+)_Dense/config\.json")
"""Files of the layers after the model itself, in their order; the last one says how long a vector is."""

CUT = re.compile(r"qwen3-?(vl-?)?embedding", re.IGNORECASE)
"""Names of models that were made to be cut and whose config.json does not say so (vLLM's issue 20899)."""

OVERRIDES = "hf-overrides"
MARK, LENGTHS = "is_matryoshka", "matryoshka_dimensions"


@dataclass(frozen=True)
class Vectors:
    """What the vectors of a model are like.

    Attributes:
        dimensions: numbers in each; None where its files do not say.
        askable: numbers that a request may ask for: None where it may name none, and empty where up to all of them.
    """

    dimensions: int | None
    askable: tuple[int, ...] | None

    def may_be(self, wanted: int) -> bool:
        """Whether a request that asks for so many numbers is answered."""
        fits = self.dimensions is None or wanted <= self.dimensions
        return fits and self.askable is not None and (not self.askable or wanted in self.askable)


def read(config: Mapping[str, object], data: Mapping[str, object], args: Mapping[str, object]) -> Vectors:
    """Return what the vectors of a checkpoint are like.

    Args:
        data: the small JSON files of the checkpoint, by path.
        args: of ``vllm serve``; their overrides count as if they stood in config.json.
    """
    config = {**config, **given(args)}
    lengths = config.get(LENGTHS)
    named = tuple(one for one in lengths if _is_count(one)) if isinstance(lengths, (list, tuple)) else ()
    is_cut = bool(named) or bool(config.get(MARK))
    return Vectors(_dimensions(config, data), named if is_cut else None)


def _dimensions(config: Mapping[str, object], data: Mapping[str, object]) -> int | None:
    dense = {int(found[1]): value for path, value in data.items() if (found := DENSE.fullmatch(path))}
    last = dense[max(dense)] if dense else {}
    text = text_config(config)
    told = (
        config.get("embedding_size"),
        last.get("out_features") if isinstance(last, Mapping) else None,
        *(text.get(name) for name in ("hidden_size", "d_model", "n_embd")),
    )
    return next((one for one in told if isinstance(one, int) and _is_count(one)), None)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def given(args: Mapping[str, object]) -> Mapping[str, object]:
    """Return what arguments override of config.json, whether as a mapping, as JSON or by names with dots."""
    value = args.get(OVERRIDES)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    dotted = {flag.partition(".")[2]: one for flag, one in args.items() if flag.startswith(f"{OVERRIDES}.")}
    return {**(value if isinstance(value, Mapping) else {}), **dotted}


def arguments(
    wanted: int, config: Mapping[str, object], data: Mapping[str, object], repo: str, args: Mapping[str, object]
) -> dict[str, object]:
    """Return the arguments by which requests may ask for vectors of a length; none where nothing helps or has to.

    Args:
        wanted: the length.
        args: the owner's; of the overrides in them each stays as it is.
    """
    found, theirs = read(config, data, args), given(args)
    more: dict[str, object] = {}
    if not found.may_be(wanted) and found.dimensions == wanted:
        # Nothing is cut at the model's own length.
        more = {LENGTHS: [*(found.askable or ()), wanted]}
    elif found.askable is None and (found.dimensions or 0) > wanted and CUT.search(repo):
        more = {MARK: True}
    is_apart = any(flag.startswith(f"{OVERRIDES}.") for flag in args)  # which comes over a whole mapping in vLLM
    is_closed = OVERRIDES in args and not theirs  # taken away, or nothing that can be read
    if is_apart or is_closed or not more.keys() - theirs.keys():
        return {}
    return {OVERRIDES: {**more, **theirs}}
