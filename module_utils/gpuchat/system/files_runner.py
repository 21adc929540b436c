# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts a file set on a host: reads, validates the staged set, renames, records."""

from __future__ import annotations

import contextlib
import grp
import os
import pathlib
import pwd
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence

from ..core import host
from ..core.change import Plan
from ..core.errors import Refusal
from . import files

SHORTEST_SECRET = 8
OPTIONS: dict[str, dict[str, object]] = {
    "dest": {"type": "path", "required": True},
    "template": {"type": "str"},
    "vars": {"type": "dict"},
    "program": {"type": "str"},
    "copies": {"type": "list", "elements": "path"},
    "content": {"type": "str"},
    "secret_content": {"type": "str", "no_log": True},
    "folder": {"type": "bool", "default": False},
    "owner": {"type": "str", "default": "0"},
    "group": {"type": "str", "default": "0"},
    "mode": {"type": "str"},
    "secret": {"type": "bool", "default": False, "no_log": False},
    "keep": {"type": "bool", "default": False},
}
"""An entry of a module's ``files``, as an argument specification."""

USUAL = {name: option.get("default") for name, option in OPTIONS.items()}


def manifest_path(name: str) -> str:
    return f"{host.STATE_DIRECTORY}/files/{name}.json"


def former_path() -> str:
    return f"{host.STATE_DIRECTORY}/before.json"


def names() -> list[str]:
    """Return the names of all sets on this host."""
    return host.names_in(os.path.dirname(manifest_path("x")), ".json")


def manifests() -> dict[str, dict[str, object]]:
    """Return the manifests of all sets on this host, by name."""
    return {name: host.read_json(manifest_path(name)) for name in names()}


def former() -> dict[str, files.Former]:
    """Return what was on this host before any set, by path."""
    return {path: files.Former.read(kept) for path, kept in host.read_json(former_path()).items()}


def put_back(path: str, before: files.Former) -> None:
    """Put back what was at a path before a set; where that is nothing, remove what the set has put there."""
    if before.link:
        temporary = f"{path}.gpuchat-link"
        host.remove_file(temporary)
        os.symlink(before.link, temporary)
        os.replace(temporary, path)
    elif before.content is not None:
        host.write_atomically(path, before.content, before.mode, before.uid, before.gid)
    elif not before.there:
        _remove(path)


def forget_former(paths: Sequence[str]) -> None:
    """Drop what is kept of paths that are as they were."""
    kept = host.read_json(former_path())
    left = {path: one for path, one in kept.items() if path not in paths}
    if left and left != kept:
        host.write_json(former_path(), left)
    elif kept and not left:
        os.unlink(former_path())


def ensure(params: Mapping[str, object], check: bool) -> dict[str, object]:
    """Ensure the set that a module's parameters describe, and return the module's result.

    Raises:
        Refusal: the set cannot be, or its validation failed; nothing was changed.
    """
    name = str(params["name"])
    wanted = tuple(map(_wanted, params["files"])) if params["state"] == "present" else ()  # type: ignore[call-overload]
    manifest = host.read_json(manifest_path(name))
    paths = [file.path for file in wanted] + list(files.owned_paths(manifest))
    for folder in (file for file in wanted if file.content is None):
        _place_of(folder.path)
    current = {path: host.file_state(path) for path in paths}
    partial = bool(params.get("partial"))
    if partial and not manifest:
        raise Refusal("found none of its files on this host; wanted those of a whole run; run site.yml first")
    plan = files.plan_files(wanted, current, manifest, partial, former())
    writes = [action.file for action in plan.actions if isinstance(action, files.Write)]
    programs = [*(params["validate"] or [])[:1], *params["validate_requires"]]  # type: ignore[index, misc]
    removals = [action.path for action in plan.actions if isinstance(action, files.Remove)]
    to_validate = wanted and (writes or removals)
    placed = [file.over(current[file.path]) for file in wanted]
    if partial:
        placed += _rest(manifest, current, {file.path for file in wanted})
    notes = _validate(placed, params["validate"], programs, check) if to_validate else ()  # type: ignore[arg-type]
    if not check:
        apply(name, plan)
    result = Plan(plan.differences, plan.actions, plan.reason, notes).result()
    result["changed_files"] = [file.path for file in writes] + removals
    if wanted:
        result["digest"] = files.manifest_of(wanted, manifest if partial else None)["digest"]
    return result


def _rest(
    manifest: Mapping[str, object], current: Mapping[str, host.FileState | None], wanted: set[str]
) -> list[files.WantedFile]:
    """Return the files of a set that are not to change, as they are, for the validation of the whole."""
    there = [(path, current[path]) for path in sorted(files.owned_paths(manifest)) if path not in wanted]
    # What only its owner may read counts as secret, so no word of it is repeated.
    return [
        files.WantedFile(path, state.content, state.mode, state.uid, state.gid, secret=state.mode & 0o077 == 0)
        for path, state in there
        if state is not None
    ]


def snapshot(params: Mapping[str, object]) -> Callable[[], None]:
    """Return what puts back a set's files and its manifest as they are now."""
    name = str(params["name"])
    manifest = host.read_json(manifest_path(name))
    wanted: Sequence[Mapping[str, object]] = params["files"]  # type: ignore[assignment]
    paths = dict.fromkeys([*(str(file["dest"]) for file in wanted), *files.owned_paths(manifest)])
    before = {path: host.file_state(path) for path in paths}

    def restore() -> None:
        for path, state in before.items():
            now = host.file_state(path)
            if state is None and now is not None:
                _remove(path)
            elif state is not None and state.content is not None and state != now:
                host.write_atomically(path, state.content, state.mode, state.uid, state.gid)
        _record(name, manifest or None)

    return restore


def restore_folders(name: str) -> None:
    """Give a set's folders the owner and mode that it recorded, where another set has changed them since.

    Raises:
        Refusal: in the place of one is somebody's link.
    """
    entries = host.read_json(manifest_path(name)).get("files")
    for path, entry in sorted(entries.items()) if isinstance(entries, dict) else ():
        if os.path.isdir(path):
            _make_folder(files.WantedFile(path, None, int(entry["mode"], 8), entry["uid"], entry["gid"]))


def apply(name: str, plan: Plan) -> None:
    """Perform a plan: folders, then every file staged, then renames, removals, and the manifest last.

    What is there before is kept first, for the day on which the set goes.
    """
    _keep_former([action.file.path for action in plan.actions if isinstance(action, files.Write)])
    before = former()
    staged: list[host.Staged] = []
    try:
        for action in plan.actions:
            if isinstance(action, files.Write) and action.file.content is None:
                _make_folder(action.file)
        for action in plan.actions:
            if isinstance(action, files.Write) and action.file.content is not None:
                file = action.file
                staged.append(host.stage(file.path, file.content or b"", file.mode, file.uid, file.gid))
        _commit(staged)
    except BaseException:
        for one in staged:
            one.discard()
        raise
    for action in plan.actions:
        if isinstance(action, files.Remove):
            put_back(action.path, before.get(action.path, files.Former()))
        elif isinstance(action, files.Record):
            _record(name, action.manifest)
    # Only now: a run that dies after a file has come back must not take it for the set's own.
    removed = [action.path for action in plan.actions if isinstance(action, files.Remove)]
    forget_former([path for path in removed if path in before and not os.path.isdir(path)])


def _commit(staged: Sequence[host.Staged]) -> None:
    """Put each file of a set in its place, or none of them.

    Raises:
        OSError: one cannot be put there; what the others have replaced is there again.
    """
    replaced: list[tuple[str, files.Former]] = []
    try:
        for one in staged:
            path = one.destination
            replaced.append((path, files.Former.of(host.file_state(path), _link(path))))
            one.commit()
    except OSError:
        for path, before in replaced[:-1]:
            put_back(path, before)
        raise


def _keep_former(paths: Sequence[str]) -> None:
    if not paths:
        return
    kept = host.read_json(former_path())
    places = [place for path in paths for place in (*_missing_folders(path), path)]
    new = files.first_seen(places, kept, manifests().values())
    if new:
        now = {path: files.Former.of(host.file_state(path), _link(path)).as_json() for path in new}
        host.write_json(former_path(), {**kept, **now})


def _missing_folders(path: str) -> list[str]:
    """Return the folders above a path that are yet to be made."""
    missing: list[str] = []
    folder = os.path.dirname(path)
    while folder not in ("", "/") and not os.path.lexists(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    return missing


def _link(path: str) -> str:
    return os.readlink(path) if os.path.islink(path) else ""


def _record(name: str, manifest: dict[str, object] | None) -> None:
    if manifest is not None:
        host.write_json(manifest_path(name), manifest)
        return
    host.remove_file(manifest_path(name))


def _remove(path: str) -> None:
    if not os.path.isdir(path):
        os.unlink(path)
        return
    with contextlib.suppress(OSError):  # a folder that still holds somebody's files stays
        os.rmdir(path)


def _make_folder(folder: files.WantedFile) -> None:
    """Make a folder and give it its owner and mode; what has come there meanwhile, such as a link, is left alone."""
    place = _place_of(folder.path)
    os.makedirs(place, exist_ok=True)
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchown(handle, folder.uid, folder.gid)
        os.fchmod(handle, folder.mode)
    finally:
        os.close(handle)


def _place_of(path: str) -> str:
    """Return where a folder lies: root may have moved it elsewhere by a link.

    Raises:
        Refusal: the link is somebody else's, who could so have any folder of the host.
    """
    place = host.behind(path)
    if place is None:
        raise Refusal(
            f"found a link at {path} that belongs to the user {os.lstat(path).st_uid}; wanted a folder, or a link of "
            "root; remove it, or set dest to another path"
        )
    return place


def _wanted(entry: Mapping[str, object]) -> files.WantedFile:
    content = entry["secret_content"] if entry["secret"] else entry["content"]
    if bool(entry["folder"]) == (content is not None):
        raise Refusal(
            f"{entry['dest']} has {'both content and' if content is not None else 'neither content nor'} folder; "
            "set one of them"
        )
    usual = "0755" if entry["folder"] else ("0600" if entry["secret"] else "0644")
    mode = str(entry["mode"] or usual)
    if not re.fullmatch("[0-7]{4}", mode):  # YAML reads an unquoted 0640 as the number 416
        raise Refusal(
            f"{entry['dest']} has the mode {mode!r}; wanted octal digits; set mode to '0644' or the like, in quotes"
        )
    return files.WantedFile(
        path=str(entry["dest"]),
        content=None if content is None else str(content).encode(),
        mode=int(mode, 8),
        uid=_number(str(entry["owner"]), lambda name: pwd.getpwnam(name).pw_uid, "owner"),
        gid=_number(str(entry["group"]), lambda name: grp.getgrnam(name).gr_gid, "group"),
        secret=bool(entry["secret"]),
        keep=bool(entry["keep"]),
        program=str(entry["program"] or ""),
    )


def _number(name: str, look_up, option: str) -> int:  # type: ignore[no-untyped-def]
    if name.isdigit():
        return int(name)
    try:
        return int(look_up(name))
    except KeyError:
        raise Refusal(
            f"{option} {name!r} is not known on this host; make the account first or set {option} to a number"
        ) from None


def _validate(
    wanted: Sequence[files.WantedFile], command: Sequence[str] | None, programs: Sequence[str], check: bool
) -> tuple[str, ...]:
    """Run the validation on a staged copy of the whole set; return what could not be validated in check mode."""
    if not command:
        return ()
    missing = ", ".join(name for name in programs if host.program(name) is None and not os.path.isfile(name))
    if missing:
        if check:
            return (f"the validation by {command[0]}: {missing} is not installed yet",)
        raise Refusal(f"{missing} is not installed, and the set must be validated with it; install it before this task")
    with _staged_copy(wanted) as staged:
        path = host.program(command[0]) or command[0]
        output = host.run([path, *(word.replace("{staged}", staged) for word in command[1:])])
        if output.rc != 0:
            said = _without_secrets(output.text.replace(staged, ""), wanted)
            raise Refusal(
                f"the new files are not valid, so the old ones were left in place. {' '.join(command)} said:\n{said}"
            )
    return ()


def _without_secrets(text: str, wanted: Sequence[files.WantedFile]) -> str:
    """Mask each word of the set's secret files that a program repeats, as in a line that it complains of."""
    contents = b" ".join(file.content or b"" for file in wanted if file.secret).decode(errors="replace")
    words = {word for word in re.split(r"[^\w+/=.~-]+", contents) if len(word) >= SHORTEST_SECRET}
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, "(secret)")
    return text


@contextlib.contextmanager
def _staged_copy(wanted: Sequence[files.WantedFile]) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="gpuchat-staged-") as root:
        for file in wanted:
            target = pathlib.Path(root + file.path)
            if file.content is None:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.content)
        yield root
