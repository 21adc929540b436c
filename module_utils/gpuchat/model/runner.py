# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches a model to a host: asks its source, fetches what is missing, proves it, and puts it in place in one step."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..core import front, host
from ..core.change import Difference, Plan
from ..core.errors import Refusal
from ..core.units import human
from ..system import toolbox_runner
from . import hub_runner
from .files import (
    INDEX_ENDING,
    MANIFEST,
    SIDE_FOLDERS,
    Listing,
    Manifest,
    ModelFile,
    Status,
    Wanted,
    check_safetensors,
    check_shards,
    folders_of,
    header_length,
    intact,
    misplaced_tensors,
    printable,
    refuse_pointers,
    refuse_unfinished,
    wanted_as_recorded,
    with_proof,
)
from .hubs import COMMIT, DEFAULT_REVISION
from .job_runner import Job, Report, Result, forget_old
from .journal_runner import begin_with, gathered
from .plan import (
    Folder,
    ModelPlan,
    check_files,
    check_folder,
    check_space,
    parse_rate,
    plan_model,
    short,
    start_seconds,
)
from .source_runner import FetchResult, FolderSource, GitSource, HubSource, Source, pointers_in, said_in
from .store_runner import FULL, Store, check_weights, disk_full, filesystem_of, hash_file, read_head
from .transfer import Progress
from .transfer_runner import Settings
from .weights import INDEXES, OF_ADAPTERS, check_adapter, check_model, check_tensors, shards_of, spare_files, weights_in

ASKING_SECONDS = 2.0
"""How long a run that has all it needs waits for the hub's word on a moved branch."""

NEEDED = {
    errno.EFBIG: "a file system that takes files so large (FAT takes 4 GiB)",
    errno.ENODEV: "a file system whose files can be mapped into memory",
}
"""What a file system lacks that refuses so."""

Params = Mapping[str, Any]


def ensure(params: Params, check: bool) -> Result:
    """Ensure a model, and return the module's result.

    Raises:
        Refusal: what is there is no model, or the wanted one cannot be fetched; what was there is still whole.
    """
    begin = time.monotonic()
    states = {"present": _present, "metadata": _present, "export": _export, "absent": _absent}
    with _plain_words(str(params["dest"])):
        try:
            result = states[str(params["state"])](params, check)
        except Refusal as refusal:
            if printable(str(refusal)) == str(refusal):
                raise
            raise Refusal(printable(str(refusal))) from None
    result.update((key, _shown(result[key])) for key in ("msg", "diff", "warnings") if key in result)
    result.setdefault("seconds", round(time.monotonic() - begin, 3))
    return result


def _shown(value: object) -> object:
    """Return what a terminal is to show: a file's name may hold anything."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {key: _shown(one) for key, one in value.items()}
    return [_shown(one) for one in value] if isinstance(value, list) else value


@contextlib.contextmanager
def _plain_words(dest: str) -> Iterator[None]:
    """Say what the disk refused."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL and not error.filename:  # else the file says which disk
            raise disk_full(error, dest) from error
        path = os.fsdecode(error.filename or dest)
        needed = NEEDED.get(error.errno or 0, "")
        cure = f"{needed}; set path" if needed else f"to read and write; {front.way_out(error, path)}, or set path"
        raise Refusal(f"found {os.strerror(error.errno or 0)!r} at {path}; wanted {cure}") from error


# What is on the host.


def read(path: str) -> Folder | None:
    """Return what lies in a folder and below it, or None where there is no folder."""
    if not os.path.isdir(path):
        return None
    found = {
        os.path.relpath(os.path.join(parent, name), path): os.stat(os.path.join(parent, name))
        for parent, _folders, names in os.walk(path)
        if not SIDE_FOLDERS.intersection(os.path.relpath(parent, path).split(os.sep))
        for name in names
        if name != MANIFEST and os.path.exists(os.path.join(parent, name))
    }
    sizes = {name: status.st_size for name, status in found.items()}
    closed = {name for name, status in found.items() if not status.st_mode & stat.S_IROTH}
    folders = {path, *(os.path.join(path, one) for name in found for one in folders_of(name))}
    enter = stat.S_IROTH | stat.S_IXOTH
    closed |= {os.path.relpath(one, path) for one in folders if os.stat(one).st_mode & enter != enter}
    unreadable = tuple(sorted(closed))
    root = os.path.realpath(path) + os.sep
    outside = tuple(sorted(name for name in found if not os.path.realpath(os.path.join(path, name)).startswith(root)))
    config = host.read_json(os.path.join(path, "config.json")) or None
    return Folder(path, sizes, config, unreadable, outside, _shards_in(path, sizes), filesystem_of(path))


def _shards_in(folder: str, there: Container[str]) -> dict[str, frozenset[str]]:
    return shards_of({name: host.read_json(os.path.join(folder, name)) for name in INDEXES if name in there})


@dataclass(frozen=True)
class LocalState:
    """What is on the host: the record of the last run, and the files as they are."""

    manifest: Manifest | None
    files: Mapping[str, Status]

    @classmethod
    def read(cls, store: Store, verify: str, before: LocalState | None = None) -> LocalState:
        """Read it; with ``always`` files whose bytes are no longer the recorded ones count as changed.

        What was read and right a moment `before`, and is as it was, is not read again.
        """
        manifest, files = store.manifest(), store.files()
        right = before.files if before is not None and before.manifest == manifest else {}
        if verify == "always":
            for path, file in intact(manifest, files).items():
                if right.get(path) != files[path] and not hash_file(store.path(path)).fits(file):
                    files[path] = Status(-1, 0)
        return cls(manifest, files)

    def is_whole(self) -> bool:
        """Whether each file of the manifest is as it was recorded."""
        return self.manifest is not None and len(intact(self.manifest, self.files)) == len(self.manifest.files)

    def holds(self, wanted: Wanted) -> bool:
        """Whether it is all that is wanted, as far as the host alone can know."""
        return self.manifest is not None and self.manifest.wanted == wanted.record() and self.is_whole()

    @property
    def strangers(self) -> list[str]:
        """Return files that are none of ours."""
        ours = {file.path for file in self.manifest.files} if self.manifest else set()
        return sorted(set(self.files) - ours)


def wanted_of(params: Params) -> Wanted:
    """Return what a module's parameters ask for."""
    source, repo = str(params["source"]), str(params["repo"] or "")
    return Wanted(
        source,
        repo if source == "path" else repo.strip("/"),
        str(params["revision"] or DEFAULT_REVISION.get(source, "")),
        str(params["dest"]),
        tuple(params["include"] or (OF_ADAPTERS if params.get("adapter") else ())),
        tuple(params["exclude"] or ()),
    )


def is_settled(params: Params) -> bool:
    """Whether a model is there as far as the host alone can know; somebody's own folder is only looked at."""
    wanted, store = wanted_of(params), Store(str(params["dest"]))
    if wanted.source == "path" and os.path.realpath(wanted.repo or wanted.dest) == store.dest:
        return True
    return _is_there(wanted, LocalState.read(store, "download"), params)


def _is_there(wanted: Wanted, here: LocalState, params: Params) -> bool:
    return here.holds(wanted) and (COMMIT.fullmatch(wanted.revision) is not None or not params["update"])


# The states.


def _present(params: Params, check: bool) -> Result:
    wanted, store = wanted_of(params), Store(str(params["dest"]))
    if wanted.source == "path" and os.path.realpath(wanted.repo or wanted.dest) == store.dest:
        return _in_place(wanted, store, params)
    metadata = params["state"] == "metadata"
    job = Job(store.side, str(params["job"])) if params["job"] and not (check or metadata) else None
    if job is not None and job.exists():
        return _waited_for(job, store, params)
    if store.was_torn_apart() and not (check or metadata):
        with store.locked(float(params["lock_seconds"])):
            store.recover()
    here = LocalState.read(store, str(params["verify"]))
    if _is_there(wanted, here, params):
        if not (check or metadata):
            _tidy(store)
        result = _settled(wanted, store, here, _moved_to(wanted, here, params))
        known = here.manifest.files if here.manifest else ()
        return {**result, **_said_by(said_in(store.dest, known))} if metadata else result
    if wanted.source not in ("path", "git") and not (check or metadata):
        _need_library(str(params["toolbox"]))
    store.check_place()
    source = _source(wanted, here, params)
    paths = {file.path for file in source.listing.files}
    if paths and params.get("adapter"):
        check_adapter(f"{source.place} {wanted.repo}", paths, source.listing.left_out)
    elif paths and not wanted.include:
        check_model(f"{source.place} {wanted.repo}", paths, source.listing.left_out, source.data, wanted.exclude)
    store.check_names(sorted(paths))
    for path, index in source.data.items():
        if path.endswith(INDEX_ENDING):  # before all is fetched in vain
            check_shards(path, index, paths, wanted.include, wanted.exclude)
    if metadata:
        _look(source, wanted, store, here, params)
        return _metadata(source)
    return _ensure_from(source, wanted, store, here, params, check, job)


def _look(source: Source, wanted: Wanted, store: Store, here: LocalState, params: Params) -> Mapping[str, bytes]:
    """Compare each index with the headers of its shards before these are fetched; return the headers that came."""
    shards = shards_of(source.data)
    trusted = intact(here.manifest, here.files)
    files = [file for file in source.listing.files if any(file.path in named for named in shards.values())]
    held = {file.path: store.path(file.path) for file in files if file.path in trusted}
    held = {file.path: held[file.path] for file in files if file.path in held and trusted[file.path].same_bytes(file)}
    if len(held) == len(files):
        return {}
    heads = {}
    for file in files:
        key = _key(file, source.listing, wanted, params)
        have = file.size if file.path in held else gathered(store, file, key, from_start=True)
        waiting = store.done(key) if have == file.size else store.part(key)
        heads[file.path] = read_head(held.get(file.path, waiting), file.size, have)
    came = source.heads([file for file in files if not heads[file.path]])
    fetched = came if isinstance(source, HubSource) else {}  # a folder's are copied with the rest
    tensors = {}
    for file in files:
        head = heads[file.path] or came.get(file.path, b"")
        if len(head) >= 8 and len(head) >= header_length(head, file.size):
            with contextlib.suppress(Refusal):  # by the wire, perhaps: the hash says so later
                tensors[file.path] = check_safetensors(file.path, file.size, head)
    for path in shards:
        index = source.data[path]
        placed = index["weight_map"] if isinstance(index, dict) else {}
        known = {"weight_map": {tensor: shard for tensor, shard in placed.items() if shard in tensors}}
        warning = check_tensors(
            path,
            misplaced_tensors(path, known, tensors),
            frozenset().union(*tensors.values()),
            source.data.get("config.json"),
            strict=params["verify"] != "never" and len(tensors) == len(files),
        )
        if warning:
            source.warnings += (warning,)
    return {path: head for path, head in fetched.items() if path in tensors or len(head) < hub_runner.HEAD}


def _key(file: ModelFile, listing: Listing, wanted: Wanted, params: Params) -> str:
    """Return the name under which a file's bytes wait."""
    kind = "-unverified" if params["verify"] == "never" else ""  # not to be taken for verified by a later run
    return f"{file.key(f'{listing.place} {wanted.repo} {listing.commit}')}{kind}"


def _ensure_from(
    source: Source,
    wanted: Wanted,
    store: Store,
    here: LocalState,
    params: Params,
    check: bool,
    job: Job | None = None,
) -> Result:
    plan = plan_model(wanted, source.listing, here.manifest, here.files)
    surely = plan.bytes_to_take if check else sum(take.file.size for take in plan.takes if not take.spare)
    check_space(surely - store.waiting_bytes(), store.free(), store.dest)
    check_files(len(plan.takes), store.free_files(), store.dest)
    heads = _look(source, wanted, store, here, params) if plan.takes else {}
    if check or not plan.plan.changed:
        if not check:
            _tidy(store)
        keys = {_key(take.file, source.listing, wanted, params): take.file for take in plan.takes}
        return _described(plan, source, waiting=sum(gathered(store, file, key) for key, file in keys.items()))

    def work(report: Report) -> Result:
        with _plain_words(store.dest), store.locked(float(params["lock_seconds"])):
            return _install(wanted, store, source, params, report, heads, here)

    return work(_report_nothing) if job is None else _waited_for(job, store, params, work)


def _tidy(store: Store) -> None:
    """Remove what earlier runs left, unless another is at work on the next revision."""
    if store.leftovers():
        with contextlib.suppress(Refusal), store.locked(0):
            forget_old(store.side)
            store.recover()
            store.tidy()


def _report_nothing(progress: Progress) -> None:
    """Somebody called the module without its action plugin, and hears at the end."""


def _ended(_report: Report) -> Result:
    raise Refusal("the transfer had ended already; run again")


def _waited_for(job: Job, store: Store, params: Params, work: Any = _ended) -> Result:
    result = job.run(work, float(params["job_seconds"]))
    if not result.get("running"):
        with contextlib.suppress(Refusal), store.locked(0):
            store.leave()
    return result


def _source(wanted: Wanted, here: LocalState, params: Params) -> Source:
    if wanted.source == "path":
        return FolderSource(wanted)
    return GitSource(wanted, params) if wanted.source == "git" else HubSource(wanted, here.manifest, params)


def _install(
    wanted: Wanted,
    store: Store,
    source: Source,
    params: Params,
    report: Report,
    heads: Mapping[str, bytes],
    before: LocalState,
) -> Result:
    """Fetch what is missing and publish; the folder is locked, and may have changed since we looked."""
    begin = time.monotonic()
    store.recover()
    source.prepare()
    here = LocalState.read(store, str(params["verify"]), before)
    plan = plan_model(wanted, source.listing, here.manifest, here.files)
    if not plan.plan.changed:
        store.tidy()
        return _described(plan, source)
    listing, settings = source.listing, _settings(params)
    keys = {take.file.path: _key(take.file, listing, wanted, params) for take in plan.takes}
    store.forget_but(set(keys.values()))
    adopted = _adopt(plan, keys, store) if settings.verify else {}
    waiting = sum(gathered(store, take.file, keys[take.file.path]) for take in plan.takes)
    fetched = _fetch(plan, keys, store, source, heads, settings, report)
    files, sources = _proven(plan, keys, {**adopted, **fetched.sha256}, store, settings.verify)
    # Fetching may have taken hours: what others put there meanwhile moves along, and what they changed is none of ours.
    there = store.files()
    _refuse_changed(plan, intact(here.manifest, there), store)
    strangers = plan_model(wanted, listing, here.manifest, there).strangers
    store.publish(
        Manifest(listing.commit, wanted.record(), files, source.place),
        sources,
        strangers,
        lambda folder: check_weights(folder, files, wanted.include, wanted.exclude, settings.verify),
    )
    store.tidy()
    result = _described(plan, source, files, waiting)
    result["bytes_fetched"] = fetched.count
    result["config"] = host.read_json(store.path("config.json"))
    result["seconds"] = round(time.monotonic() - begin, 3)  # the calls that waited for us know their own alone
    failed = f", after {' and '.join(fetched.failed)} failed" if fetched.failed else ""
    result["msg"] = (
        f"{wanted.dest} holds {wanted.name} at {short(listing.commit)}: {len(files)} files, "
        f"{human(listing.bytes_total)}, {human(fetched.count)} of it fetched from {source.place}{failed}"
    )
    return result


def _adopt(plan: ModelPlan, keys: Mapping[str, str], store: Store) -> dict[str, str]:
    """Take files of the old folder for those that are to come; return the digests of these by key."""
    sha256: dict[str, str] = {}
    for take in plan.takes:
        key = keys[take.file.path]
        if not os.path.exists(store.done(key)):  # two paths may hold the same
            sha256[key] = store.adopt(take.file, take.spare, key) or ""
    return sha256


def _fetch(
    plan: ModelPlan,
    keys: Mapping[str, str],
    store: Store,
    source: Source,
    heads: Mapping[str, bytes],
    settings: Settings,
    report: Report,
) -> FetchResult:
    """Fetch what does not wait whole, if there is room for it; what was looked at already counts as fetched."""
    wanted = {keys[take.file.path]: take.file for take in plan.takes}
    missing = {key: file for key, file in wanted.items() if not os.path.exists(store.done(key))}
    needed = sum(file.size - gathered(store, file, key) for key, file in missing.items())
    twice = 0 if store.has_second_names() else source.listing.bytes_total  # it is published by copies then
    check_space(needed + twice, store.free(), store.dest)
    others = [file for file in source.listing.files if keys.get(file.path, "") not in missing]
    looked_at = sum(begin_with(store, file, key, heads.get(file.path, b"")) for key, file in missing.items())
    fetched = source.fetch(store, missing, others, settings, report)
    return replace(fetched, count=looked_at + fetched.count)


def _proven(
    plan: ModelPlan, keys: Mapping[str, str], sha256: Mapping[str, str], store: Store, verify: bool
) -> tuple[tuple[ModelFile, ...], dict[str, str]]:
    """Return the files as the manifest is to keep them, and where each lies now.

    Args:
        sha256: digests that are known, by key.
    """
    files = [with_proof(keep.file, keep.sha256) for keep in plan.keeps]
    sources = {keep.file.path: store.path(keep.old) for keep in plan.keeps}
    for take in plan.takes:
        key = keys[take.file.path]
        sources[take.file.path] = store.done(key)
        proof = take.file.sha256 or sha256.get(key, "")
        if not proof and verify:  # it waited whole from an earlier run
            proof = hash_file(store.done(key)).sha256
        files.append(with_proof(take.file, proof))
    return tuple(files), sources


def _refuse_changed(plan: ModelPlan, unchanged: Iterable[str], store: Store) -> None:
    changed = sorted({keep.old for keep in plan.keeps} - set(unchanged))
    if changed:
        raise Refusal(
            f"{store.path(changed[0])} was changed while the rest was fetched; wanted it as it was; run again, and it "
            "is put right"
        )


def _settings(params: Params) -> Settings:
    return Settings(
        workers=max(1, int(params["workers"])),
        connections_per_file=max(1, int(params["connections_per_file"])),
        rate=parse_rate(str(params["rate_limit"] or "")),
        verify=params["verify"] != "never",
        silent=float(params["stall_seconds"]),
    )


def _moved_to(wanted: Wanted, here: LocalState, params: Params) -> str:
    """Return the commit that a branch stands for now, where that is another; a hub that is silent is left alone."""
    if here.manifest is None or wanted.source not in ("huggingface", "modelscope", "http"):
        return ""
    if COMMIT.fullmatch(wanted.revision):
        return ""
    asker = hub_runner.asker_for(params)
    now = hub_runner.commit_of(asker, wanted, list(params["endpoint"] or ()), ASKING_SECONDS, here.manifest.commit)
    return now if now != here.manifest.commit else ""


def _in_place(wanted: Wanted, store: Store, params: Params) -> Result:
    """Look at a folder that somebody else filled, or that an earlier run did; nothing is changed."""
    folder = check_folder(read(wanted.dest), wanted.dest, bool(params.get("adapter")))
    here = LocalState.read(store, str(params["verify"]))
    if here.manifest is not None and not here.is_whole():
        damaged = sorted({file.path for file in here.manifest.files} - set(intact(here.manifest, here.files)))
        raise Refusal(
            f"{wanted.dest} holds files that are not as they were fetched ({', '.join(damaged[:3])}); wanted the model "
            "whole; set source and repo to where it comes from, and it is put right"
        )
    commit = here.manifest.commit if here.manifest else ""
    known = {file.path: file for file in here.manifest.files} if here.manifest else {}
    files = tuple(known.get(name, ModelFile(name, size)) for name, size in folder.sizes.items())
    if here.manifest is None:
        spare = spare_files(folder.sizes, folder.shards)
        read_by_engine = [file for file in files if file.path not in spare]
        refuse_unfinished(wanted.dest, folder.sizes)
        refuse_pointers(wanted.dest, pointers_in(wanted.dest, read_by_engine))
        top = [file for file in read_by_engine if "/" not in file.path]  # below, somebody may keep anything
        check_weights(wanted.dest, top, (), (), params["verify"] != "never")
    return {
        **_facts(commit, files, wanted.dest, folder.config, folder.shards),
        **(_said_by(said_in(wanted.dest, files)) if params["state"] == "metadata" else {}),
        "changed": False,
        "msg": f"{len(folder.sizes)} files, {folder.weights_bytes} bytes of weights",
        "unknown": here.strangers if here.manifest else [],
    }


def _facts(
    commit: str,
    files: Iterable[ModelFile],
    place: str,
    config: object,
    shards: Mapping[str, frozenset[str]] | None = None,
) -> Result:
    """Return what every result says of a model."""
    files = sorted(files, key=lambda file: file.path)
    weights = weights_in({file.path: file.size for file in files}, shards)
    return {
        "commit": commit,
        "files": [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in files],
        "bytes_total": sum(file.size for file in files),
        "bytes_to_fetch": 0,
        "bytes_fetched": 0,
        "source_used": place,
        "config": config or {},
        "weights_bytes": weights,
        "start_seconds": start_seconds(weights),
        "moved_to": "",
        "unknown": [],
    }


def _settled(wanted: Wanted, store: Store, here: LocalState, moved_to: str) -> Result:
    manifest = here.manifest or Manifest("", {}, ())
    reason = f"{wanted.dest} holds {wanted.name} at {short(manifest.commit)}"
    if moved_to:
        reason += f"; {wanted.revision} stands for {short(moved_to)} now: set update to follow it"
    config = host.read_json(store.path("config.json"))
    shards = _shards_in(store.dest, {file.path for file in manifest.files})
    result = {**_facts(manifest.commit, manifest.files, manifest.place, config, shards), **Plan(reason=reason).result()}
    result.update(moved_to=moved_to, unknown=here.strangers)
    return result


def _described(plan: ModelPlan, source: Source, files: tuple[ModelFile, ...] = (), waiting: int = 0) -> Result:
    """Return what a plan comes to; so many bytes of it were `waiting` from an earlier run."""
    outcome = plan.plan
    if outcome.changed and not source.listing.files:
        outcome = Plan(outcome.differences, outcome.actions, outcome.reason, source.notes)
    elif any(take.spare for take in plan.takes) and not files:
        note = "the bytes to fetch: files of the right size are there, and are read before they are fetched"
        outcome = Plan(outcome.differences, outcome.actions, outcome.reason, (note,))
    listing, config = source.listing, source.data.get("config.json")
    result = {
        **_facts(listing.commit, files or listing.files, source.place, config, shards_of(source.data)),
        **outcome.result(),
    }
    result.update(bytes_to_fetch=plan.bytes_to_take - waiting, unknown=list(plan.strangers), moved_to=source.moved_to)
    return _warned(result, source)


def _warned(result: Result, source: Source) -> Result:
    return {**result, "warnings": list(source.warnings)} if source.warnings else result


def _metadata(source: Source) -> Result:
    """Return what is known of a model before its weights are there."""
    listing = source.listing
    result = {
        **_facts(listing.commit, listing.files, source.place, source.data.get("config.json"), shards_of(source.data)),
        "changed": False,
        **_said_by(source.data),
        "moved_to": source.moved_to,
        "msg": f"{len(listing.files)} files, {human(listing.bytes_total)}, at {source.place}",
    }
    return _warned(result, source)


def _said_by(data: Mapping[str, object]) -> Result:
    """Return what the small files say, for what plans; an index says what weights_bytes has counted already."""
    return {"data": {path: value for path, value in data.items() if not path.endswith(INDEX_ENDING)}}


def _need_library(toolbox: str) -> None:
    """Go on in the toolbox where the library that transfers files is missing here."""
    if not (toolbox_runner.respawn_for("requests", toolbox) and hub_runner.available()):
        raise Refusal(
            f"the Python library requests is neither in this host's Python nor in {toolbox}; wanted it for the "
            "source that is set; run the role toolbox first, or set toolbox to where it is"
        )


def _export(params: Params, check: bool) -> Result:
    """Make a plain tree of a published model, for any web server."""
    dest, tree = str(params["dest"]), str(params["export"])
    store = Store(dest)
    manifest = store.manifest()
    if manifest is None and check:
        note = f"the files of {tree}: {dest} holds no model yet"
        plan = Plan((Difference(tree, "", f"a tree of {dest}\n"),), (note,), f"{tree} is to hold {dest}", (note,))
        return {**_facts("", (), "", {}), **plan.result()}
    if manifest is None:
        raise Refusal(f"{dest} holds no model of ours; wanted one to export; bring it with the state present first")
    wanted = replace(wanted_as_recorded(manifest), dest=tree)
    source = FolderSource(replace(wanted, source="path", repo=dest, revision=""))
    store = Store(tree)
    store.check_mounts()
    store.check_names(file.path for file in source.listing.files)
    return _ensure_from(source, wanted, store, LocalState.read(store, str(params["verify"])), params, check)


def _absent(params: Params, check: bool) -> Result:
    """Remove what an earlier run fetched, and nothing else."""
    store = Store(str(params["dest"]))
    if check or not (store.manifest() or store.leftovers()):
        return _absent_now(store, check)
    with store.locked(float(params["lock_seconds"])):
        store.recover()
        result = _absent_now(store, check)
        store.tidy()
    return result


def _absent_now(store: Store, check: bool) -> Result:
    manifest = store.manifest()
    here = LocalState(manifest, store.files())
    if manifest is None:
        note = f"; {len(here.files)} files there are not ours and stay" if here.files else ""
        result = Plan(reason=f"{store.dest} holds no model of ours{note}").result()
        return {**_facts("", (), "", {}), **result, "unknown": here.strangers}
    before = "".join(f"{file.path}  {file.size} bytes\n" for file in manifest.files)
    strangers = here.strangers
    note = f"; {len(strangers)} files that are not ours stay" if strangers else ""
    plan = Plan(
        (Difference(store.dest, before, ""),),
        (manifest,),
        f"{store.dest} has {len(manifest.files)} files of ours that are to go{note}",
    )
    if not check:
        store.remove(manifest)
    return {**_facts("", (), "", {}), **plan.result(), "unknown": strangers}
