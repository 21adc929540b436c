# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a model: which are asked for, what the manifest says of them, and whether weights are whole."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import math
import re
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..core.errors import Refusal

MANIFEST = "gpuchat-model.json"
"""Lies in each published folder: our record on a host, and the listing of a plain tree on a web server."""

FORMAT = 1
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
"""Weights whose loading can run code; left out unless ``include`` asks for them."""

OTHER_ENGINES = ("*.onnx", "*.onnx_data*", "*.msgpack", "*.h5", "*.ot", "*.tflite", "*.mlmodel", "*.mlpackage/*")
"""Weights that vLLM cannot read; left out unless ``include`` asks for them."""

SMALL_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "adapter_config.json",
    "hf_quant_config.json",
    "params.json",
    "chat_template.json",
    "chat_template.jinja",
)
SMALL_FILES_BY_FORM = re.compile(
    r"\d+_Dense/config\.json|sentence_[\w-]+_config\.json|additional_chat_templates/[^/]+\.jinja"
)
"""Of the layers after a model for vectors, which say how long those are; how long a text of such a model may be;
further chat templates of a model."""

INDEX_ENDING = ".safetensors.index.json"
POINTER = b"version https://git-lfs.github.com/spec/"
"""How a file begins that git-lfs has not fetched yet (git-lfs: docs/spec.md)."""

SIDE_FOLDERS = frozenset((".git", ".cache", "._____temp"))
"""What git, Hugging Face's and ModelScope's own clients keep beside a model for themselves."""

LARGEST_POINTER = 1023
READ_BY_ENGINES = (".safetensors", ".bin", ".pt", ".gguf", ".json", ".jinja", ".model", ".tiktoken", ".txt")
MAXIMUM_HEADER = 100_000_000
"""Longest header (bytes) that safetensors itself accepts."""

LONGEST_PATH = 4095
"""Most bytes of a path on Linux."""

SHOWN_OF_NAME = 40
CASELESS = frozenset(("vfat", "msdos", "exfat", "cifs", "smb3", "hfsplus"))
"""File systems that do not tell letters' cases apart, unless somebody has set them up so."""

BITS = {
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
    "F4": 4,
}
"""Of one element, by safetensors' names of kinds (its tensor.rs)."""

LARGEST_GIT_BLOB = 64 << 20
"""Up to here (bytes) git's own SHA-1 is computed too: hubs keep larger files as LFS objects with a SHA-256."""


@dataclass(frozen=True)
class ModelFile:
    """One file of a model.

    Attributes:
        path: below the model's folder, with slashes.
        size: bytes.
        sha256: its SHA-256 in hex, empty where the source does not say.
        git_sha1: SHA-1 of its git blob in hex, where the source says that alone.
        mtime_ns: its time on this host, in the manifest alone.
        kind: what it is where it is no file, such as a link, in a listing alone.
    """

    path: str
    size: int
    sha256: str = ""
    git_sha1: str = ""
    mtime_ns: int = 0
    kind: str = ""

    def identity(self) -> str:
        """Return what distinguishes its bytes from others, for people and for comparison."""
        if self.sha256:
            return f"sha256:{self.sha256}"
        return f"git:{self.git_sha1}" if self.git_sha1 else "unverified"

    def same_bytes(self, other: ModelFile) -> bool:
        """Whether two files are known to hold the same bytes."""
        if self.size != other.size:
            return False
        if self.sha256 and other.sha256:
            return self.sha256 == other.sha256
        return bool(self.git_sha1) and self.git_sha1 == other.git_sha1

    def key(self, place: str) -> str:
        """Return the name under which its bytes wait until they are published.

        Bytes that a hash proves may come from anywhere; others belong to one place and path.
        """
        proof = self.identity() if self.sha256 or self.git_sha1 else f"{place}\n{self.path}"
        return hashlib.sha256(f"{self.size}\n{proof}".encode()).hexdigest()[:40]


@dataclass(frozen=True)
class Status:
    """A file on the disk: size in bytes, time in nanoseconds, and whether it is one (not a link)."""

    size: int
    mtime_ns: int
    is_file: bool = True


@dataclass(frozen=True)
class Wanted:
    """What a task asks for."""

    source: str
    repo: str
    revision: str
    dest: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.repo or self.dest

    def record(self) -> dict[str, object]:
        """Return what the manifest keeps of it."""
        return {
            "source": self.source,
            "repo": self.repo,
            "revision": self.revision,
            "include": list(self.include),
            "exclude": list(self.exclude),
        }


def wanted_as_recorded(manifest: Manifest) -> Wanted:
    """Return what the task asked for that a manifest is the record of."""
    source, repo, revision = (str(manifest.wanted[key]) for key in ("source", "repo", "revision"))
    patterns = [manifest.wanted[key] for key in ("include", "exclude")]
    include, exclude = (tuple(map(str, one)) if isinstance(one, list) else () for one in patterns)
    return Wanted(source, repo, revision, "", include, exclude)


@dataclass(frozen=True)
class Listing:
    """What a source holds at a commit.

    Attributes:
        files: those that are asked for.
        place: the endpoint that said so.
        left_out: the paths of the others.
        links: what is asked for and is no file, with what it is.
    """

    commit: str
    files: tuple[ModelFile, ...]
    place: str = ""
    left_out: tuple[str, ...] = ()
    links: tuple[str, ...] = ()

    @property
    def bytes_total(self) -> int:
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class Manifest:
    """The record of a published model."""

    commit: str
    wanted: Mapping[str, object]
    files: tuple[ModelFile, ...]
    place: str = ""

    def text(self) -> str:
        """Return it as the file that lies in the model's folder."""
        entries = []
        for file in sorted(self.files, key=lambda file: file.path):
            entry: dict[str, object] = {"path": file.path, "size": file.size, "mtime_ns": file.mtime_ns}
            entry.update((key, value) for key, value in (("sha256", file.sha256), ("git", file.git_sha1)) if value)
            entries.append(entry)
        head = {"format": FORMAT, "commit": self.commit, "place": self.place, **self.wanted}
        return json.dumps({**head, "files": entries}, indent=1) + "\n"


def parse_manifest(text: bytes) -> Manifest | None:
    """Read a manifest; None for what is none of ours or damaged, which then proves nothing."""
    try:
        value = json.loads(text)
        if value["format"] != FORMAT:
            return None
        files = tuple(
            ModelFile(
                checked_path(str(entry["path"])),
                int(entry["size"]),
                str(entry.get("sha256", "")),
                str(entry.get("git", "")),
                int(entry.get("mtime_ns", 0)),
            )
            for entry in value["files"]
        )
        wanted = {key: value[key] for key in ("source", "repo", "revision", "include", "exclude")}
        return Manifest(str(value["commit"]), wanted, files, str(value.get("place", "")))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, Refusal):
        return None


def intact(manifest: Manifest | None, there: Mapping[str, Status]) -> dict[str, ModelFile]:
    """Return the manifest's files whose size and time are still what they were, by path."""
    if manifest is None:
        return {}
    return {file.path: file for file in manifest.files if there.get(file.path) == Status(file.size, file.mtime_ns)}


def checked_path(path: str) -> str:
    """Return a path that stays below the folder it is joined to.

    Raises:
        Refusal: it would lead out of it, is not in its plain form, or is the manifest's own.
    """
    parts = path.split("/")
    odd = any(letter in "\0\\" or "\ud800" <= letter <= "\udfff" for letter in path)
    if not path or odd or {"", ".", ".."} & set(parts):
        raise Refusal(
            f"found the file name {path!r} in the listing; wanted one below the model's folder, with slashes alone; "
            "nothing was fetched; set exclude to leave it out"
        )
    return path


def check_lengths(paths: Iterable[str], folder: str, longest: int) -> None:
    """Refuse names that a file system cannot take, before a byte is fetched.

    Args:
        paths: of the files to be fetched.
        folder: where they are to lie.
        longest: most bytes of one name there.

    Raises:
        Refusal: a name, or the path to it, is too long; with what to leave out.
    """
    for path in paths:
        name = max(path.split("/"), key=lambda part: len(part.encode()))
        count, whole = len(name.encode()), len(f"{folder}/{path}".encode())
        if count <= longest and whole <= LONGEST_PATH:
            continue
        found, most = (count, longest) if count > longest else (whole, LONGEST_PATH)
        whose, shorter = ("", "") if count > longest else (" with its folders", ", or path to a shorter path")
        pattern = f"{path[: path.index(name) + SHOWN_OF_NAME]}*"
        raise Refusal(
            f"found the file name {name[:SHOWN_OF_NAME]!r} and so on, of {found} bytes{whose}, in the listing; wanted "
            f"{most} at most, as the file system of {folder.rpartition('/')[0]} takes them; set exclude to "
            f"[{pattern!r}] to leave it out{shorter}"
        )


def check_case(paths: Iterable[str], folder: str, filesystem: str) -> None:
    """Refuse names that a file system takes for one, before a byte is fetched: the last would replace the others.

    Raises:
        Refusal: there are two.
    """
    seen: dict[str, str] = {}
    for path in paths if filesystem in CASELESS else ():
        other = seen.setdefault(path.casefold(), path)
        if other != path:
            raise Refusal(
                f"found {other!r} and {path!r} in the listing, and {folder} on {filesystem}, which takes them for one "
                "file; wanted names that differ by more than case there; set exclude to leave one out, or path to "
                "another disk"
            )


def printable(text: str) -> str:
    """Return a text in which what would steer a terminal is written out; lines stay lines."""
    return "".join(one if one.isprintable() or one == "\n" else ascii(one)[1:-1] for one in text)


def folders_of(path: str) -> list[str]:
    """Return the folders that a path leads through, the innermost last."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def chosen(files: Iterable[ModelFile], include: Sequence[str], exclude: Sequence[str]) -> tuple[ModelFile, ...]:
    """Return the files that are asked for, in the order of their paths.

    A pattern is a shell pattern whose ``*`` crosses folders, as the hubs' own clients have it; one that ends in a
    slash stands for all below it. Without ``include`` everything is asked for but pickled weights, those of other
    engines, git's own files, and our manifest.

    Links and submodules are left out, unless `include` names one by its whole path.

    Raises:
        Refusal: of what is asked for, two entries are of one path, a path leads out of the folder, or one is a link.
    """
    found: dict[str, ModelFile] = {}
    for file in files:
        if not _is_asked_for(file.path, include, exclude):  # of what is not fetched, no name does harm
            continue
        if checked_path(file.path) in found:
            raise Refusal(f"found {file.path!r} twice in the listing; wanted each file once; nothing was fetched")
        if file.size < 0:
            raise Refusal(
                f"found {file.size} bytes for {file.path!r} in the listing; wanted a size; nothing was fetched"
            )
        found[file.path] = file
    for path in [path for path, file in found.items() if not file.kind]:
        for folder in folders_of(path):
            if folder in found:
                raise Refusal(f"found {folder!r} as a file and as a folder in the listing; nothing was fetched")
    asked = next((file for file in found.values() if file.kind and file.path in include), None)
    if asked is not None:
        raise Refusal(
            f"found {asked.path!r} in the listing as {asked.kind}; wanted a file; set include to the file that it "
            "leads to, or repo to what it stands for"
        )
    wanted = [file for file in found.values() if not file.kind]
    return tuple(sorted(wanted, key=lambda file: file.path))


def others_of(files: Iterable[ModelFile], asked_for: Iterable[ModelFile]) -> tuple[str, ...]:
    """Return the paths of the files that are not asked for."""
    return tuple(sorted({file.path for file in files} - {file.path for file in asked_for}))


def links_of(files: Iterable[ModelFile], include: Sequence[str], exclude: Sequence[str]) -> tuple[str, ...]:
    """Return what is asked for and is no file, with what it is."""
    return tuple(
        f"{file.path} ({file.kind})" for file in files if file.kind and _is_asked_for(file.path, include, exclude)
    )


def _is_asked_for(path: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    if path == MANIFEST or path == ".gitattributes" or matches(path, exclude):
        return False
    return matches(path, include) if include else not matches(path, (*PICKLES, *OTHER_ENGINES))


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Whether a path fits one of some shell patterns; case counts."""
    return any(fnmatch.fnmatchcase(path, f"{one}*" if one.endswith("/") else one) for one in patterns)


def is_small_file(path: str) -> bool:
    """Whether a file is among those that say what a model is, read before its weights are fetched."""
    is_index = path.endswith(INDEX_ENDING) and "/" not in path
    return path in SMALL_FILES or is_index or SMALL_FILES_BY_FORM.fullmatch(path) is not None


def small_file(path: str, content: bytes) -> object:
    """Return what such a file says: a text where it is a template, else the data in it.

    Raises:
        ValueError: it is no text, or no JSON.
    """
    text = content.decode("utf-8")
    try:
        return text if path.endswith(".jinja") else json.loads(text)
    except RecursionError:
        raise ValueError(f"{path} is nested without end") from None


def refuse_unfinished(folder: str, paths: Collection[str]) -> None:
    """Refuse what aria2 has begun: such a file has its whole size, and a control file beside it until it is done.

    Raises:
        Refusal: there is one.
    """
    begun = sorted(path for path in paths if f"{path}.aria2" in paths)
    if begun:
        raise Refusal(
            f"{folder} holds {', '.join(begun[:3])}, which aria2 has not finished (its control file lies there); "
            "wanted the model whole; finish that download, or set source and repo to where it comes from"
        )


def refuse_pointers(folder: str, pointers: Sequence[str]) -> None:
    """Refuse a clone whose files git-lfs has not fetched.

    Raises:
        Refusal: with some of them, and the command that fetches them.
    """
    if pointers:
        more = len(pointers) - 3
        raise Refusal(
            f"{folder} holds {', '.join(pointers[:3])}{f' and {more} more' if more > 0 else ''} as pointers of "
            "git-lfs, and not as the files that these stand for; wanted the model itself; "
            f"run `git -C {folder} lfs pull`, or set source and repo to where it comes from"
        )


def verified(file: ModelFile, content: bytes) -> bool:
    """Whether some bytes are those of a file, as far as its source says."""
    return len(content) == file.size and Proof(file.size).update(content).fits(file)


class Proof:
    """Both hashes of a file, computed while its bytes go by."""

    def __init__(self, size: int) -> None:
        """Begin with nothing of a file of `size` bytes."""
        self._sha256 = hashlib.sha256()
        self._git = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False) if size <= LARGEST_GIT_BLOB else None

    def update(self, content: bytes | bytearray | memoryview) -> Proof:
        """Take the next bytes; large ones are hashed without the interpreter's lock."""
        self._sha256.update(content)
        if self._git is not None:
            self._git.update(content)
        return self

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def found(self, file: ModelFile) -> str:
        """Return what was found, in the terms in which the source proves the file."""
        if file.git_sha1 and not file.sha256 and self._git is not None:
            return f"git:{self._git.hexdigest()}"
        return f"sha256:{self.sha256}"

    def fits(self, file: ModelFile) -> bool:
        """Whether the bytes are the file's, as far as its source says."""
        return file.identity() in ("unverified", self.found(file))


def digest_of(files: Iterable[ModelFile]) -> str:
    """Return a stand-in for the commit of a source that names none: it changes with any file."""
    lines = sorted(f"{file.path}\n{file.size}\n{file.identity()}" for file in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:40]


def check_safetensors(path: str, size: int, head: bytes) -> frozenset[str]:
    """Return the names of the tensors in a safetensors file, after a look at its header.

    Args:
        path: for messages.
        size: the file's bytes.
        head: its first bytes, the whole header among them where it is sane.

    Raises:
        Refusal: no such file, or its tensors do not fill it exactly.

    Format: 8 bytes little-endian length, a JSON object, the tensors (safetensors' own documentation).
    """
    length = int.from_bytes(head[:8], "little")
    if len(head) < 8 or length > min(MAXIMUM_HEADER, size - 8) or len(head) < 8 + length:
        raise Refusal(f"{path} begins with no safetensors header; wanted the weights that its ending promises")
    try:
        header = json.loads(head[8 : 8 + length])
        tensors = {name: value["data_offsets"] for name, value in header.items() if name != "__metadata__"}
        spans = sorted((int(begin), int(end)) for begin, end in tensors.values())
        bits = {name: BITS[header[name]["dtype"]] for name in tensors if header[name].get("dtype") in BITS}
        sizes = {name: bits[name] * math.prod(map(int, header[name]["shape"])) for name in bits}
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise Refusal(f"{path} holds a damaged safetensors header; wanted one that names its tensors") from None
    end = 0
    for begin, stop in spans:
        if begin != end or stop < begin:
            raise Refusal(f"{path} holds tensors with a gap or an overlap at byte {end}; wanted one after the other")
        end = stop
    for name, wanted in sizes.items():
        found = tensors[name][1] - tensors[name][0]
        if found * 8 != wanted:
            raise Refusal(
                f"{path} holds {found} bytes of the tensor {name}; wanted {wanted / 8:.0f}, as its own header says of "
                "its kind and shape"
            )
    if 8 + length + end != size:
        raise Refusal(f"{path} holds {size} bytes; wanted {8 + length + end} as its own header says")
    return frozenset(tensors)


def header_length(head: bytes, size: int) -> int:
    """Return how many bytes of a safetensors file hold its header, 8 where its length makes no sense."""
    length = int.from_bytes(head[:8], "little")
    return 8 + length if length <= min(MAXIMUM_HEADER, max(0, size - 8)) else 8


def check_shards(
    path: str, index: object, files: Container[str], include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> dict[str, set[str]]:
    """Return the tensors that an index places in each shard, by the shard's path.

    Args:
        path: the index's own path.
        index: it, as data.
        files: the paths that are there, or are to be.
        include: what was asked for,
        exclude: and what not: shards left out on purpose are none of our business.

    Raises:
        Refusal: it is no index, or a shard is missing.
    """
    weights = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weights, dict):
        raise Refusal(f"{path} holds no weight_map; wanted the index of the model's shards")
    folder = path.rpartition("/")[0]
    placed: dict[str, set[str]] = {}
    for tensor, shard in weights.items():
        placed.setdefault(f"{folder}/{shard}" if folder else str(shard), set()).add(tensor)
    for where in sorted(placed):
        if where in files:
            continue
        if where.endswith(".safetensors") and _is_asked_for(where, include, exclude):
            raise Refusal(
                f"{path} names the shard {where}, which is not among the files; wanted all of them; check repo"
            )
        del placed[where]
    return placed


def misplaced_tensors(
    path: str,
    index: object,
    tensors: Mapping[str, frozenset[str]],
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> dict[str, str]:
    """Return the tensors that an index places where they are not, with the file that it names.

    As ``check_shards``; `tensors` holds those of each file whose header is known, by path.

    Raises:
        Refusal: it is no index, or a shard is missing.
    """
    return {
        tensor: shard
        for shard, named in sorted(check_shards(path, index, tensors, include, exclude).items())
        for tensor in sorted(named - tensors[shard])
    }


def with_proof(file: ModelFile, sha256: str) -> ModelFile:
    """Return a file as the manifest keeps it, but for its time, which it has once it lies there."""
    return replace(file, sha256=sha256 or file.sha256, mtime_ns=0)
