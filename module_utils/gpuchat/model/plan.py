# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model folder: what must be in it, what it says of itself, and what makes it another revision's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..core.change import Difference, Plan
from ..core.errors import Refusal
from ..core.units import human
from ..system.space import INODES
from .files import (
    OTHER_ENGINES,
    PICKLES,
    Listing,
    Manifest,
    ModelFile,
    Status,
    Wanted,
    folders_of,
    intact,
    matches,
    with_proof,
)
from .weights import NO_WEIGHTS, WEIGHT_ENDINGS, check_adapter, weights_in

OTHER_KINDS = (
    ("adapter_config.json", ", but an adapter, which goes on top of the model that its adapter_config.json names"),
    (".gguf", ", but GGUF weights, which were made from a model in another layout"),
)
"""What people take for a model, by the endings that show it, and the word on it."""

MOUNT_OPTIONS = {
    **dict.fromkeys(("vfat", "exfat", "ntfs", "ntfs3", "fuseblk"), "umask=022"),
    **dict.fromkeys(("cifs", "smb3"), "file_mode=0644,dir_mode=0755"),
}
"""File systems that keep no modes, so that chmod changes nothing there, and what gives all of their files one."""

READING_BYTES_PER_SECOND = 200_000_000
"""A slow disk's rate: what a cold start may take is estimated with it."""

ENGINE_START_SECONDS = 300
"""What the engine needs beyond reading weights: imports, compilation, graph capture."""

SPARE_BYTES = 256 << 20
"""Left free on the disk beside the model, for the manifest, journals and everybody else."""


def start_seconds(weights_bytes: int) -> int:
    """Return the longest time (seconds) that an engine may take from its start to its first healthy answer."""
    return ENGINE_START_SECONDS + weights_bytes // READING_BYTES_PER_SECOND


@dataclass(frozen=True)
class Folder:
    """What is known of a model folder.

    Attributes:
        sizes: bytes by file name.
        config: config.json as data.
        unreadable: files and folders that only their owner may read.
        outside: links that lead out of the folder, which alone the engine sees.
        shards: the shards that each index names.
        filesystem: what it lies on, as the kernel calls it.
    """

    path: str
    sizes: Mapping[str, int]
    config: Mapping[str, object] | None
    unreadable: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    shards: Mapping[str, frozenset[str]] = field(default_factory=dict)
    filesystem: str = ""

    @property
    def weights_bytes(self) -> int:
        return weights_in(self.sizes, self.shards)

    @property
    def start_seconds(self) -> int:
        return start_seconds(self.weights_bytes)


def check_folder(folder: Folder | None, path: str, adapter: bool = False) -> Folder:
    """Refuse what is no model folder.

    Args:
        adapter: whether it is to hold a LoRA adapter.

    Raises:
        Refusal: the folder is missing, or holds no config.json or no weights.
    """
    if folder is None:
        raise Refusal(
            f"found no folder {path} on this host; wanted a model's folder; put it there, or set source and repo to "
            "where it comes from"
        )
    if adapter:
        check_adapter(path, folder.sizes)
    elif folder.config is None:
        found = next((word for ending, word in OTHER_KINDS if any(name.endswith(ending) for name in folder.sizes)), "")
        raise Refusal(
            f"{path} holds no readable config.json{found}; wanted a model as Hugging Face lays it out; set path"
        )
    elif not folder.weights_bytes:
        endings = ", ".join(WEIGHT_ENDINGS)
        others = sorted(
            name for name in folder.sizes if matches(name, (*PICKLES, *OTHER_ENGINES)) and not matches(name, NO_WEIGHTS)
        )
        found = f", but such for other engines ({', '.join(others[:3])})" if others else "; is the download complete?"
        raise Refusal(f"{path} holds no weights ({endings}){found}{'; wanted safetensors;' if others else ''} set path")
    if folder.unreadable:
        option = MOUNT_OPTIONS.get(folder.filesystem)
        cure = f"mount its {folder.filesystem} with {option}" if option else f"run `chmod -R a+rX {path}`"
        raise Refusal(
            f"{path} holds files that only their owner may read ({', '.join(folder.unreadable[:3])}); "
            f"wanted files that the engine's own user can read; {cure}"
        )
    if folder.outside:
        raise Refusal(
            f"{path} holds links that lead out of it ({', '.join(folder.outside[:3])}); wanted the files themselves; "
            f"copy the folder with `cp -rL` and set path to the copy"
        )
    return folder


@dataclass(frozen=True)
class Take:
    """Fetch one file from the source; ``spare`` are files of the old folder that may hold the same bytes."""

    file: ModelFile
    spare: tuple[str, ...] = ()


@dataclass(frozen=True)
class Keep:
    """Take a file of the old folder into the new one without reading it.

    Attributes:
        file: the file as the new revision has it.
        old: where the old folder has it.
        sha256: its hash as the old manifest has it.
    """

    file: ModelFile
    old: str
    sha256: str


@dataclass(frozen=True)
class Publish:
    """Put the new folder in the place of the old one; ``strangers`` are files of others, which move along."""

    strangers: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelPlan:
    """A plan, and what it comes to in files and bytes."""

    plan: Plan
    takes: tuple[Take, ...] = ()
    keeps: tuple[Keep, ...] = ()
    strangers: tuple[str, ...] = ()

    @property
    def bytes_to_take(self) -> int:
        """Bytes that have to come over the wire, unless a file of the old folder holds them after all."""
        return sum(take.file.size for take in self.takes)


def plan_model(wanted: Wanted, listing: Listing, manifest: Manifest | None, there: Mapping[str, Status]) -> ModelPlan:
    """Decide what becomes of a model's folder.

    Args:
        wanted: what the task asks for.
        listing: what the source holds, already without what is not asked for.
        manifest: the record of the last run, None where there is none.
        there: every file below the folder as it is.
    """
    trusted = intact(manifest, there)
    by_proof = {(one.size, proof): one for one in trusted.values() for proof in (one.sha256, one.git_sha1) if proof}
    keeps, takes = [], []
    by_size: dict[int, list[str]] = {}
    for path, status in there.items():
        if status.is_file and path not in trusted:
            by_size.setdefault(status.size, []).append(path)
    same_commit = manifest is not None and manifest.commit == listing.commit
    for file in listing.files:
        old = trusted.get(file.path)
        same = old if old is not None and old.same_bytes(file) else None
        same = same or by_proof.get((file.size, file.sha256 or file.git_sha1))
        if same is None and old is not None and same_commit and file.identity() == "unverified":
            same = old if old.size == file.size else None
        if same is not None:
            keeps.append(Keep(file, same.path, same.sha256))
        else:
            takes.append(Take(file, tuple(sorted(by_size.get(file.size, ())))))
    names = {file.path for file in listing.files}
    ours = set() if manifest is None else {entry.path for entry in manifest.files}
    strangers = tuple(sorted(set(there) - names - ours))
    _check_strangers(strangers, names, wanted.dest)
    as_it_was = None if manifest is None else (manifest.commit, manifest.wanted)
    settled = (listing.commit, wanted.record())
    same_files = not takes and ours == names and all(keep.file.path == keep.old for keep in keeps)
    if same_files and as_it_was == settled:
        return ModelPlan(
            Plan(reason=f"{wanted.dest} holds {wanted.name} at {short(listing.commit)}"), strangers=strangers
        )
    changed = {path: status.size for path, status in there.items() if path not in trusted}
    left = [] if manifest is None else [file for file in manifest.files if file.path in there]
    before = "" if manifest is None else describe(manifest.commit, left, changed)
    known = {keep.file.path: with_proof(keep.file, keep.sha256) for keep in keeps}
    after = describe(listing.commit, [known.get(file.path, file) for file in listing.files])
    plan = Plan(
        (Difference(wanted.dest, before, after),) if before != after else (),
        (*takes, *keeps, Publish(strangers)),
        _reason(wanted, listing, manifest, takes),
    )
    return ModelPlan(plan, tuple(takes), tuple(keeps), strangers)


def _check_strangers(strangers: Iterable[str], names: set[str], dest: str) -> None:
    folders = {folder for name in names for folder in folders_of(name)}
    for stranger in strangers:
        if stranger in folders or names.intersection(folders_of(stranger)):
            raise Refusal(
                f"found {dest}/{stranger}, which is none of ours and in the way of the model's own files; wanted its "
                "place free; move it elsewhere"
            )


def _reason(wanted: Wanted, listing: Listing, manifest: Manifest | None, takes: Iterable[Take]) -> str:
    takes = list(takes)
    count, size = len(takes), human(sum(take.file.size for take in takes))
    fetch = f"{count} of {len(listing.files)} files, {size}, to fetch from {listing.place}"
    if manifest is None:
        return f"{wanted.dest} is to hold {wanted.name} at {short(listing.commit)}: {fetch}"
    if manifest.commit != listing.commit:
        return f"{wanted.dest} is to change from {short(manifest.commit)} to {short(listing.commit)}: {fetch}"
    return f"{wanted.dest} is to be put right: {fetch}"


def describe(commit: str, files: Iterable[ModelFile], changed: Mapping[str, int] | None = None) -> str:
    """Return a folder's contents as text, one line per file, for ``--diff``.

    Args:
        changed: sizes (bytes) of files that are no longer as they were fetched.
    """
    changed = changed or {}
    lines = [
        f"{file.path}  {changed[file.path]} bytes  not as it was fetched"
        if file.path in changed
        else f"{file.path}  {file.size} bytes  {file.identity()[:19]}"
        for file in sorted(files, key=lambda file: file.path)
    ]
    return "\n".join([f"commit {commit}", *lines, ""])


def short(commit: str) -> str:
    """Return a commit as people read it."""
    return commit[:12]


RATE = re.compile(r"\s*([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*([kKMG]?)(?:i?B)?(?:/s)?\s*")


SLOWEST = 1000
"""Bytes a second; fewer are a number whose unit was forgotten."""


def parse_rate(text: str) -> int:
    """Return a rate such as ``20M`` or ``1.5 GB/s`` in bytes per second; 0 for an empty text, which is no limit.

    Raises:
        Refusal: no such rate.
    """
    if not text.strip():
        return 0
    match = RATE.fullmatch(text)
    rate = 0 if match is None else int(float(match[1]) * {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}[match[2].upper()])
    if rate < SLOWEST:
        raise Refusal(f"found the rate {text!r}; wanted bytes per second such as 20M or 1.5G; set rate_limit")
    return rate


def check_files(needed: int, free: int | None, place: str) -> None:
    """Refuse a file system that takes no more files, before a byte is fetched.

    Args:
        needed: files still to be written.
        free: how many it takes, None where it does not count.
        place: where, for the message.

    Raises:
        Refusal: too few.
    """
    if needed and free is not None and needed > free:
        raise Refusal(
            f"found {free} inodes free where {place} lies; wanted {needed} for the files still missing: each {INODES}, "
            "or set path to one"
        )


def check_space(needed: int, free: int, place: str) -> None:
    """Refuse a disk that is too small, before a byte is fetched.

    Args:
        needed: bytes still to be written.
        free: bytes that the disk has left for us.
        place: where, for the message.

    Raises:
        Refusal: too little.
    """
    if needed > 0 and needed + SPARE_BYTES > free:
        raise Refusal(
            f"found {human(free)} free where {place} lies; wanted {human(needed)} for the files still missing and "
            f"{human(SPARE_BYTES)} to spare; free some, or set path to a larger disk"
        )
