# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model folder: what must be in it, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .plan import Refusal

WEIGHT_ENDINGS = (".safetensors", ".bin", ".pt", ".gguf")
READING_BYTES_PER_SECOND = 200_000_000
"""A slow disk's rate: what a cold start may take is reckoned with it."""

ENGINE_START_SECONDS = 300
"""What the engine needs besides reading weights: imports, compilation, graph capture."""


@dataclass(frozen=True)
class Folder:
    """What is known of a model folder.

    Attributes:
        sizes: bytes by file name.
        config: config.json as data.
        unreadable: files that only their owner may read.
        outside: links that lead out of the folder, which alone the engine sees.
    """

    path: str
    sizes: Mapping[str, int]
    config: Mapping[str, object] | None
    unreadable: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()

    @property
    def weights_bytes(self) -> int:
        return sum(size for name, size in self.sizes.items() if name.endswith(WEIGHT_ENDINGS))

    @property
    def start_seconds(self) -> int:
        """Longest time (seconds) that an engine may take from its start to its first healthy answer."""
        return ENGINE_START_SECONDS + self.weights_bytes // READING_BYTES_PER_SECOND


def check_folder(folder: Folder | None, path: str) -> Folder:
    """Refuse what is no model folder.

    Raises:
        Refusal: the folder is missing, or holds no config.json or no weights.
    """
    if folder is None:
        raise Refusal(
            f"found no folder {path} on this host; wanted a model's folder; put it there or set gpuchat_model.path"
        )
    if folder.config is None:
        raise Refusal(
            f"{path} holds no readable config.json; wanted a model as Hugging Face lays it out; set gpuchat_model.path"
        )
    if not folder.weights_bytes:
        endings = ", ".join(WEIGHT_ENDINGS)
        raise Refusal(f"{path} holds no weights ({endings}); is the download complete? set gpuchat_model.path")
    if folder.unreadable:
        raise Refusal(
            f"{path} holds files that only their owner may read ({', '.join(folder.unreadable[:3])}); "
            f"wanted files that the engine's own user can read; run `chmod -R a+rX {path}`"
        )
    if folder.outside:
        raise Refusal(
            f"{path} holds links that lead out of it ({', '.join(folder.outside[:3])}); wanted the files themselves; "
            f"copy the folder with `cp -rL` and set gpuchat_model.path to the copy"
        )
    return folder
