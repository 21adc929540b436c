# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a model comes from: a hub or a plain tree over HTTP, a folder on the host, or git."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import stat
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ..core import host
from ..core.errors import Refusal
from . import hub_runner
from .files import (
    LARGEST_POINTER,
    MANIFEST,
    POINTER,
    READ_BY_ENGINES,
    SIDE_FOLDERS,
    Listing,
    Manifest,
    ModelFile,
    Wanted,
    checked_path,
    chosen,
    digest_of,
    is_small_file,
    links_of,
    others_of,
    parse_manifest,
    refuse_pointers,
    refuse_unfinished,
    small_file,
)
from .hubs import (
    COMMIT,
    Hub,
    check_revision,
    connection_hint,
    credentials,
    endpoints,
    no_endpoint,
    origin,
    quote,
    token_origin,
)
from .job_runner import Report
from .store_runner import Store, copy_file, read_head
from .transfer import Progress
from .transfer_runner import ServerRefusal, Settings, Transfer
from .weights import engine_files

GIT_SECONDS = 86_400.0
MOVED = "the revision {revision} of {name} stands for {new} now, not for {old}; set update to follow it"


@dataclass(frozen=True)
class FetchResult:
    """What a fetch came to.

    Attributes:
        sha256: by key; what is missing was not computed.
        count: bytes that were read for it.
        failed: the places that were tried before the one that fetched the rest.
    """

    sha256: Mapping[str, str]
    count: int
    failed: tuple[str, ...] = ()


class Source(Protocol):
    """What every source can do."""

    place: str
    moved_to: str
    data: Mapping[str, object]
    listing: Listing
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    def heads(self, files: Sequence[ModelFile]) -> Mapping[str, bytes]:
        """Return the first bytes of safetensors files, their headers among them, by path, where they can be had."""

    def prepare(self) -> None:
        """Do what must be done before the listing is final; the model's folder is locked."""

    def fetch(
        self,
        store: Store,
        files: Mapping[str, ModelFile],
        others: Sequence[ModelFile],
        settings: Settings,
        report: Report,
    ) -> FetchResult:
        """Fetch files, by key, among the store's whole ones; `others` are there already."""


def left_out(links: Sequence[str]) -> tuple[str, ...]:
    """Return the warning about what is asked for and is no file."""
    return (f"left out, for they are no files: {', '.join(links)}",) if links else ()


def same_model(wanted: Wanted, manifest: Manifest | None) -> bool:
    """Whether a manifest is about the wanted source, repository and revision."""
    return manifest is not None and all(
        manifest.wanted.get(key) == value for key, value in wanted.record().items() if key not in ("include", "exclude")
    )


class HubSource:
    """A hub, or a plain tree on a web server."""

    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __init__(self, wanted: Wanted, manifest: Manifest | None, params: Mapping[str, Any]) -> None:
        """Ask for the listing and the small files.

        A branch that has moved since the last run is followed only where `update` says so: what is missing of the old
        commit comes from there.
        """
        self._asker = hub_runner.asker_for(params)
        self._silent = min(hub_runner.CONNECT_SECONDS, float(params["stall_seconds"]))
        given = list(params["endpoint"] or ())
        self.moved_to = ""
        asked = wanted
        stay = manifest if same_model(wanted, manifest) and not params["update"] else None
        if stay is not None and wanted.source != "http" and not COMMIT.fullmatch(wanted.revision):
            now = hub_runner.commit_of(self._asker, wanted, given, hub_runner.CONNECT_SECONDS, stay.commit)
            self.moved_to = now if now != stay.commit else ""
            if wanted.source == "huggingface" or now != stay.commit:  # else the name will do, and is always known
                asked = replace(wanted, revision=stay.commit)
        found = self._find(wanted, asked, given, stay)
        self.listing, self.data = found.listing, found.data
        self.place = found.hub.endpoint
        self.warnings += left_out(self.listing.links)
        self._asked = asked
        hubs = hub_runner.hubs_for(asked, given)
        first = hubs.index(found.hub)
        self._hubs = [*hubs[first:], *hubs[:first]]  # those before it had no answer a moment ago
        if stay is not None and self.moved_to == "" and asked is wanted and wanted.source == "modelscope":
            stay = None  # what is recorded is what the name stands for, whatever the record calls it
        if stay is not None and stay.commit != self.listing.commit:
            words = MOVED.format(
                revision=wanted.revision or "wanted", name=wanted.name, new=self.listing.commit, old=stay.commit
            )
            raise Refusal(f"{wanted.dest} is not as it was, and {words}")

    def _find(self, wanted: Wanted, asked: Wanted, given: Sequence[str], stay: Manifest | None) -> hub_runner.Found:
        """Ask the hubs; where they no longer know the recorded commit, say that the revision has moved from it."""
        try:
            return hub_runner.find(self._asker, asked, given)
        except Refusal as refusal:
            if stay is None or not self.moved_to:
                raise
            words = MOVED.format(revision=wanted.revision, name=wanted.name, new=self.moved_to, old=stay.commit)
            raise Refusal(f"{wanted.dest} is not as it is wanted, and {words}; for the old one: {refusal}") from None

    def heads(self, files: Sequence[ModelFile]) -> Mapping[str, bytes]:
        """Ask for the first bytes of files."""
        urls = {self._hubs[0].file_url(self.listing.commit, file.path): file for file in files}
        return hub_runner.heads_of(self._asker, urls, self._silent)

    def prepare(self) -> None:
        """Nothing is left to do."""

    def fetch(
        self,
        store: Store,
        files: Mapping[str, ModelFile],
        others: Sequence[ModelFile],
        settings: Settings,
        report: Report,
    ) -> FetchResult:
        """Fetch files over HTTP; where one endpoint fails on the way, the next one brings the rest.

        Only hashes prove that both mean the same bytes: without them the run ends with the first endpoint.
        """
        verified = settings.verify and all(file.identity() != "unverified" for file in files.values())
        hubs = self._hubs if verified else self._hubs[:1]
        words: dict[str, str] = {}
        count = 0
        for hub in hubs:
            if words and not self._has_the_same(hub):
                words[hub.endpoint] = f"{hub.endpoint} does not hold the commit {self.listing.commit}"
                continue
            left = {key: file for key, file in files.items() if not os.path.exists(store.done(key))}
            there = [*others, *(file for key, file in files.items() if key not in left)]
            transfer = Transfer(store, self._asker, settings, report)
            urls = {key: hub.file_url(self.listing.commit, file.path) for key, file in left.items()}
            try:
                sha256 = transfer.run(left, urls, there, another=hub is not hubs[-1])
            except ServerRefusal as refusal:
                words[hub.endpoint] = str(refusal)
                count += transfer.fetched
                continue
            self.place = hub.endpoint
            return FetchResult(sha256, count + transfer.fetched, tuple(words))
        raise no_endpoint(words.values())

    def _has_the_same(self, hub: Hub) -> bool:
        """Whether a hub holds the commit that was listed; Hugging Face's addresses name it, the others' do not."""
        if hub.source == "huggingface":
            return True
        try:
            found = hub_runner.find(self._asker, self._asked, [hub.endpoint], small_files=False)
        except Refusal:
            return False
        return found.listing.commit == self.listing.commit


class FolderSource:
    """A folder on the host: a tree made with the state export, or any folder that holds a model."""

    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    moved_to = ""

    def __init__(self, wanted: Wanted) -> None:
        """Read the folder."""
        self.place = os.path.realpath(wanted.repo)
        folder = pathlib.Path(self.place)
        if not folder.is_dir():
            raise Refusal(f"found no folder {wanted.repo} on this host; wanted a model's folder; set repo")
        manifest = parse_manifest((folder / MANIFEST).read_bytes()) if (folder / MANIFEST).is_file() else None
        if manifest is not None:
            commit, files = manifest.commit, manifest.files
            check_revision(commit, str(manifest.wanted.get("revision", "")), wanted.revision, self.place)
        else:
            files = tuple(_plain_files(self.place))
            commit = digest_of(replace(file, path=f"{file.path}\n{file.mtime_ns}") for file in files)
        asked_for = chosen(files, wanted.include, wanted.exclude)
        self.listing = Listing(commit, asked_for, self.place, others_of(files, asked_for))
        self.warnings += left_out(links_of(files, wanted.include, wanted.exclude))
        self.data: Mapping[str, object] = said_in(self.place, self.listing.files)
        if manifest is None:
            self.listing = engine_files(self.listing, self.data, wanted.include)
            refuse_unfinished(self.place, {file.path for file in files})
            refuse_pointers(self.place, pointers_in(self.place, self.listing.files))

    def heads(self, files: Sequence[ModelFile]) -> Mapping[str, bytes]:
        """Read the first bytes of files."""
        return {file.path: read_head(os.path.join(self.place, file.path), file.size, file.size) for file in files}

    def prepare(self) -> None:
        """Nothing is left to do."""

    def fetch(
        self,
        store: Store,
        files: Mapping[str, ModelFile],
        others: Sequence[ModelFile],
        settings: Settings,
        report: Report,
    ) -> FetchResult:
        """Copy files."""
        return copy_in(self.place, store, files, others, settings, report)


def copy_in(
    folder: str,
    store: Store,
    files: Mapping[str, ModelFile],
    others: Sequence[ModelFile],
    settings: Settings,
    report: Report,
) -> FetchResult:
    """Copy files from a folder among a store's whole ones, proving each on the way.

    Raises:
        Refusal: a file's bytes are not those of its hash.
    """
    done, copied = sum(file.size for file in others), 0
    total = done + sum(file.size for file in files.values())
    sha256: dict[str, str] = {}
    begin = time.monotonic()

    def went(count: int) -> None:
        nonlocal copied
        copied += count
        if copied % (64 << 20) < count:
            rate = copied / max(time.monotonic() - begin, 1e-3)
            report(Progress(done + copied, copied, total, rate, len(others) + len(sha256), len(others) + len(files)))

    for key, file in files.items():
        proof = copy_file(os.path.join(folder, file.path), store.part(key), went)
        if settings.verify and not proof.fits(file):
            raise Refusal(
                f"{folder}/{file.path} is not what its manifest says: found {proof.found(file)}, wanted "
                f"{file.identity()}; copy it there anew, or set repo to another folder"
            )
        os.chmod(store.part(key), 0o644)
        os.rename(store.part(key), store.done(key))
        sha256[key] = proof.sha256
    return FetchResult(sha256, copied)


def said_in(folder: str, files: Iterable[ModelFile]) -> dict[str, object]:
    """Return what a folder's small files say; a damaged one counts as empty."""
    found: dict[str, object] = {}
    for file in files:
        if is_small_file(file.path):
            found[file.path] = {}
            with contextlib.suppress(OSError, ValueError):
                found[file.path] = small_file(file.path, pathlib.Path(folder, file.path).read_bytes())
    return found


def pointers_in(folder: str, files: Iterable[ModelFile]) -> list[str]:
    """Return what of a folder's files an engine reads and git-lfs has not fetched."""
    found = []
    for file in files:
        if file.size <= LARGEST_POINTER and file.path.endswith(READ_BY_ENGINES):
            with contextlib.suppress(OSError), open(os.path.join(folder, file.path), "rb") as content:
                found += [file.path] if content.read(len(POINTER)) == POINTER else []
    return sorted(found)


def _plain_files(folder: str, within: bool = False) -> list[ModelFile]:
    """Return the files of a folder, and with what they are the links that lead to none.

    Args:
        folder: where to look.
        within: no link out of it is followed, for a stranger who made it could name this host's own files.
    """
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in SIDE_FOLDERS]
        for place in [os.path.join(parent, name) for name in (*folders, *names)]:
            path = os.path.relpath(place, folder)
            kind = _kind_of_link(place, folder, within) if os.path.islink(place) else ""
            if kind:
                found.append(ModelFile(checked_path(path), 0, kind=kind))
                continue
            status = os.stat(place)
            if stat.S_ISREG(status.st_mode) and path != MANIFEST:
                found.append(ModelFile(checked_path(path), status.st_size, mtime_ns=status.st_mtime_ns))
    return found


def _kind_of_link(place: str, folder: str, within: bool) -> str:
    """Return what a link is that is not followed, '' for one to a file."""
    if not os.path.exists(place):
        return "a link that leads nowhere"
    if within and os.path.commonpath((os.path.realpath(place), os.path.realpath(folder))) != os.path.realpath(folder):
        return "a link that leads out of it"
    return "a link to a folder" if os.path.isdir(place) else ""


@dataclass
class GitSource:
    """A repository, cloned with git and git-lfs: for those who insist.

    Nothing is resumed, bytes lie twice on the disk for a while, and what is to be fetched cannot be predicted.
    """

    wanted: Wanted
    params: Mapping[str, Any] = field(repr=False)
    folder: str = ""
    moved_to: str = ""
    notes: tuple[str, ...] = ("the files of the repository: git does not list them before it is cloned",)
    warnings: tuple[str, ...] = ()
    data: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Ask what the revision stands for."""
        if not self.wanted.repo:
            raise Refusal("found no repository for the source git; wanted its path below the endpoint; set repo")
        self.place = endpoints("git", list(self.params["endpoint"] or ()))[0]
        self._url = f"{self.place}/{quote(self.wanted.repo, '/')}"
        self.listing = Listing(self._commit(), (), self.place)

    def _environment(self) -> dict[str, str]:
        """Return git's settings: no questions, no files of its user, and the token for its own host alone."""
        settings = {"http.followRedirects": "false"}
        token = str(self.params["token"] or "")
        if token and origin(self.place) == token_origin("git", str(self.params["token_for"] or "")):
            header = credentials("git", token)["Authorization"]
            settings[f"http.{self.place}/.extraHeader"] = f"Authorization: {header}"
        environment = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
        environment.update(GIT_LFS_SKIP_SMUDGE="1", GIT_CONFIG_COUNT=str(len(settings)))
        for index, (key, value) in enumerate(settings.items()):
            environment[f"GIT_CONFIG_KEY_{index}"] = key
            environment[f"GIT_CONFIG_VALUE_{index}"] = value
        return environment

    def _git(self, *words: str) -> str:
        if host.program("git") is None:
            raise Refusal(
                "git is not installed on this host; wanted git and git-lfs; install them, or set source to http"
            )
        output = host.run(["git", *words], GIT_SECONDS, self._environment())
        if output.rc != 0:
            cure = connection_hint(output.text)
            also = f", or {cure}" if cure else ""
            raise Refusal(f"git cannot read {self._url}: {output.text}; set endpoints, repo, revision and token{also}")
        return output.stdout

    def _commit(self) -> str:
        if COMMIT.fullmatch(self.wanted.revision):
            return self.wanted.revision
        lines = [line.split() for line in self._git("ls-remote", "--", self._url).splitlines()]
        names = {line[1]: line[0] for line in lines if len(line) == 2}
        for name in ("{}", "refs/heads/{}", "refs/tags/{}^{{}}", "refs/tags/{}"):
            if name.format(self.wanted.revision) in names:
                return names[name.format(self.wanted.revision)]
        raise Refusal(f"{self._url} has no revision {self.wanted.revision}; set revision")

    def heads(self, files: Sequence[ModelFile]) -> Mapping[str, bytes]:  # noqa: ARG002 - the others need them
        """Say nothing: before it is cloned, git shows no file."""
        return {}

    def prepare(self) -> None:
        """Clone the repository and fetch its large files."""
        self.folder = f"{os.path.realpath(self.wanted.dest)}.gpuchat/git"
        shutil.rmtree(self.folder, ignore_errors=True)
        self._git("init", "--quiet", self.folder)
        inside = ("-C", self.folder)
        self._git(*inside, "fetch", "--quiet", "--depth", "1", "--", self._url, self.listing.commit)
        self._git(*inside, "checkout", "--quiet", "FETCH_HEAD")
        if (pathlib.Path(self.folder) / ".gitattributes").exists():
            self._git(*inside, "lfs", "pull", self._url)
        there = _plain_files(self.folder, within=True)
        files = chosen(there, self.wanted.include, self.wanted.exclude)
        self.warnings += left_out(links_of(there, self.wanted.include, self.wanted.exclude))
        data = said_in(self.folder, files)
        self.listing = engine_files(replace(self.listing, files=files), data, self.wanted.include)

    def fetch(
        self,
        store: Store,
        files: Mapping[str, ModelFile],
        others: Sequence[ModelFile],
        settings: Settings,
        report: Report,
    ) -> FetchResult:
        """Copy the files out of the clone, and remove it."""
        fetched = copy_in(self.folder, store, files, others, settings, report)
        shutil.rmtree(self.folder)
        return fetched
