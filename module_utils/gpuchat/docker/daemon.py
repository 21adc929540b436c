# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker's daemon.json: which keys are whose, what the file becomes, and how Docker takes it up.

Settings are handled as claims: one per place in the file (the keys that lead to a value), so that several owners and
everybody else can live in one object.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..core.change import Difference, Plan
from ..core.errors import Refusal, no_text
from .daemon_command import Flag, key_of

Json = dict[str, object]
Place = tuple[str, ...]
# The value that an owner wants at each place; None: nothing shall stand there.
Claims = Mapping[Place, object]

STOCK_RUNTIME = "runc"
DEFAULT_RUNTIME: Place = ("default-runtime",)
# What a SIGHUP takes up while the file holds it (moby 20.10 to 29: daemon/reload.go, daemon/reload_unix.go). `features`
# is not among them: it is read again, but containerd-snapshotter and cdi count only at the start. Nor is `runtimes`: it
# is taken up, but `--gpus` is offered only where NVIDIA's hook was there at the start (daemon/nvidia_linux.go).
RELOADED_WHILE_THERE = frozenset(
    """
    allow-nondistributable-artifacts debug default-cgroupns-mode default-ipc-mode default-runtime default-shm-size
    default-stop-timeout insecure-registries labels live-restore registry-mirrors shutdown-timeout
    """.split()
)
# And what falls back to its default by a SIGHUP once the file does not hold it any more.
RELOADED_WHEN_GONE = frozenset(
    """
    authorization-plugins max-concurrent-downloads max-concurrent-uploads max-download-attempts
    network-diagnostic-port nri-opts
    """.split()
)
RELOADED = RELOADED_WHILE_THERE | RELOADED_WHEN_GONE
# A driver's options are refused by another driver, when Docker starts and not before (moby: daemon/logger, and the
# storage drivers' own): with a driver goes what belongs to it.
OPTIONS_OF = {"log-driver": "log-opts", "storage-driver": "storage-opts"}
# Of the drivers that keep no files of their own, each refuses these (moby: daemon/logger).
OF_FILES = frozenset(("max-size", "max-file", "compress"))
WITHOUT_FILES = frozenset("awslogs etwlogs fluentd gcplogs gelf journald splunk syslog".split())
# Where others' images come from too: without theirs, their containers could not be pulled any more.
REGISTRIES = ("insecure-registries", "registry-mirrors")
STOCK_LOG_DRIVER = "json-file"
STOCK_DATA_ROOT = "/var/lib/docker"
LIVE_RESTORE = "live-restore"
CONTAINERD_IMAGES = "containerd-snapshotter"
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
CREDENTIALS = re.compile(r"(?<=://)[^/@\s\"]+(?=@)")
NUMBER_OR_TEXT = re.compile(r'"(?:\\.|[^"\\])*"|(NaN|-?Infinity|-?[\d.]+(?:[eE][+-]?\d+)?)')
# moby: cmd/dockerd and daemon/command.
CAUSE = re.compile(
    r"(?:failed to start daemon|unable to configure the Docker daemon|Error reconfiguring the daemon|level=fatal).*"
)
DEEPEST = 50
LONGEST_NUMBER = 400  # characters; Python's integers end at 4300, Go's at 20


@dataclass(frozen=True)
class Wish:
    """What an owner asks for.

    Attributes:
        defaults: settings that hold where nobody else has set them, nor the driver that they belong to.
        nvidia_runtime: "present", "absent", or None: the runtime is not this owner's.
        default_runtime: containers that name no runtime get NVIDIA's.
        cdi: the value of the feature; None: not this owner's.
    """

    settings: Json = field(default_factory=dict)
    defaults: Json = field(default_factory=dict)
    nvidia_runtime: str | None = None
    runtime_name: str = "nvidia"
    runtime_path: str = "nvidia-container-runtime"
    default_runtime: bool = False
    cdi: bool | None = None


@dataclass(frozen=True)
class Record:
    """What is remembered of one daemon.json.

    Attributes:
        owners: each owner's claims.
        missing: there was no file before the first owner came.
        unseen: how often the file changed in a way that the claims do not show (a key went that a SIGHUP leaves as it
            is, or somebody else's change was undone), for a restart and for a reload.
    """

    owners: Mapping[str, Claims] = field(default_factory=dict)
    missing: bool = False
    unseen: tuple[int, int] = (0, 0)

    def as_json(self) -> Json:
        """Return the record as it is kept on the host."""
        pairs = {
            name: [[list(place), value] for place, value in claims.items()] for name, claims in self.owners.items()
        }
        return {"owners": pairs, "missing": self.missing, "unseen": list(self.unseen)}

    @staticmethod
    def from_json(kept: Mapping[str, object]) -> Record:
        """Return the record that was kept as JSON."""
        owners: Mapping[str, Sequence[Sequence[Sequence[str]]]] = kept["owners"]  # type: ignore[assignment]
        restarts, reloads = kept["unseen"]  # type: ignore[misc]
        claims = {name: {tuple(place): value for place, value in pairs} for name, pairs in owners.items()}
        return Record(claims, bool(kept["missing"]), (restarts, reloads))  # type: ignore[has-type]

    @property
    def claims(self) -> Claims:
        """All owners' claims."""
        return {place: value for claims in self.owners.values() for place, value in claims.items()}

    @property
    def digest(self) -> str:
        """Digest of what Docker takes up only by a restart: it does not depend on the order of keys or owners."""
        return self._digest(self.unseen[0], lambda key: key not in RELOADED)

    @property
    def reload_digest(self) -> str:
        """Digest of what Docker takes up by a reload."""
        return self._digest(self.unseen[1], lambda key: key in RELOADED)

    def _digest(self, unseen: int, belongs: Callable[[str], bool]) -> str:
        claims = sorted((place, _canonical(value)) for place, value in self.claims.items() if belongs(place[0]))
        return hashlib.sha256(_canonical([unseen, claims]).encode()).hexdigest()


@dataclass(frozen=True)
class Found:
    """What is on the host.

    Attributes:
        text: the file's bytes, None where there is none.
        backup: the bytes of the file as it was before the first owner came, None where none are kept.
        record: None where the file was never ours.
        flags: what stands on the command line of the dockerd that reads the file.
        swarm: the host is a node of a swarm.
    """

    text: bytes | None
    backup: bytes | None = None
    record: Record | None = None
    flags: tuple[Flag, ...] = ()
    swarm: bool = False


@dataclass(frozen=True)
class Rewrite:
    """What the runner does.

    Attributes:
        text: the file's new bytes, None: no file; they are written only where they differ from the present ones.
        validate: the text is ours, so dockerd is to accept it first.
        keep: bytes to keep as the backup first, where there are any.
        begun: the record while the file is being written: old and new claims.
        record: the record once it is written.
        given_back: the file is as it was before the first owner came, so that the backup can go.
        restart: Docker takes up the change by a restart only.
        reload: a reload is enough.
        leaves: the keys that may make Docker start without the containers and images that it has, with the value that
            it will start with: new ones, and those in the file that it may not have started with yet.
    """

    text: bytes | None
    validate: bool
    keep: bytes | None
    begun: Record
    record: Record
    given_back: bool
    restart: bool
    reload: bool
    leaves: Mapping[str, object] = field(default_factory=dict)


def decode(text: bytes) -> str:
    """Return a file's text without the byte order mark by which dockerd distinguishes UTF-16 from UTF-8."""
    return text.decode("utf-16" if text.startswith(UTF_16_MARKS) else "utf-8-sig")


def parse(text: bytes, path: str) -> Json:
    """Read daemon.json as dockerd does; an empty file counts as an empty object.

    Raises:
        Refusal: no JSON, with line and column, no object, or a key twice: dockerd would take the last of two values
            and mix two objects, so rewriting the file could change what it means.
    """

    def once(pairs: list[tuple[str, object]]) -> Json:
        keys = [key for key, _value in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise Refusal(f"{path} holds the key {twice[0]} twice in one object{left}")
        return dict(pairs)

    left = "; the file was left alone; fix it and run again"
    try:
        decoded = decode(text)
        value = json.loads(decoded, object_pairs_hook=once) if decoded.strip() else {}
        if _is_deep(value):
            raise RecursionError
        json.dumps(value, allow_nan=False)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise Refusal(f"{path} is no valid JSON ({where}){left}") from None
    except UnicodeDecodeError as error:
        raise Refusal(f"{path} is no valid JSON ({no_text(error)}){left}") from None
    except RecursionError:
        raise Refusal(
            f"{path} is no JSON that Docker can use (objects or lists lie too deep in one another){left}"
        ) from None
    except ValueError:
        raise Refusal(f"{path} is no valid JSON ({_no_number(decoded)}){left}") from None
    if not isinstance(value, dict):
        raise Refusal(f"{path} holds no JSON object{left}")
    return value


def _refuse_no_json(settings: Json) -> None:
    """Refuse settings that a daemon.json could not hold, or that would be read there as something else.

    Raises:
        Refusal: there are some.
    """
    for key, value in settings.items():
        try:
            parse(json.dumps({key: value}).encode(), "it")
            sound = _has_texts_as_keys({key: value})
        except (RecursionError, Refusal, TypeError, ValueError):
            sound = False
        if not sound:
            raise Refusal(
                f"found under {key} in settings what daemon.json cannot hold (a number that is none or has no end, "
                "a key that is no text, or too deep a nesting); wanted what JSON knows; set settings to such"
            )


def _has_texts_as_keys(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(_has_texts_as_keys, value.values()))
    return all(map(_has_texts_as_keys, value)) if isinstance(value, list) else True


def _is_deep(value: object) -> bool:
    """Tell whether a value lies deeper than Docker's settings do, and than every program can follow."""
    level = [value]
    for _depth in range(DEEPEST):
        objects = [one for one in level if isinstance(one, (dict, list))]
        level = [inner for one in objects for inner in (one.values() if isinstance(one, dict) else one)]
    return bool(level)


def _no_number(text: str) -> str:
    """Say where the first number stands that Python reads and JSON does not know, or that is beyond every use."""
    tokens = [token for token in NUMBER_OR_TEXT.finditer(text) if token[1]]
    found = [token for token in tokens if len(token[1]) > LONGEST_NUMBER or not math.isfinite(float(token[1]))]
    if not found:
        return "a number in it is none"
    start = found[0].start()
    line, column = text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
    long = len(found[0][1]) > LONGEST_NUMBER
    return f"line {line}, column {column}: " + (
        "a number too long to be one" if long else f"{found[0][1]} is no number"
    )


def claims_of(settings: Mapping[str, object], above: Place = ()) -> Claims:
    """Return the claims that settings amount to.

    A key without a value (at the top also an empty list or object) is left out. A runtime is one value, not merged:
    what was left of another definition could contradict it.
    """
    claims: dict[Place, object] = {}
    for key, value in settings.items():
        place = (*above, key)
        if isinstance(value, dict) and value and above != ("runtimes",):
            claims.update(claims_of(value, place))
        elif value is not None and (above or value not in ([], {})):
            claims[place] = value
    return claims


def settings_for(wish: Wish, theirs: Collection[str], swarm: bool) -> Json:
    """Return an owner's settings, and those of its defaults that nobody else has set.

    In a swarm Docker does not start with live-restore (moby: daemon/cluster), so that is no default there.

    Args:
        wish: what the owner asks for.
        theirs: the keys that somebody else has set.
        swarm: whether the host is a node of a swarm.

    Raises:
        Refusal: live-restore is a setting, and the host is a node of a swarm.
    """
    if swarm and wish.settings.get(LIVE_RESTORE):
        raise Refusal(
            f"{LIVE_RESTORE} is on in the settings, and this host is a node of a swarm: Docker would not start; "
            f"wanted one of the two; set settings without {LIVE_RESTORE}"
        )
    taken = {*theirs, *([LIVE_RESTORE] if swarm else [])}
    for driver, options in OPTIONS_OF.items():
        if driver in taken or options in taken or driver in wish.settings:
            taken |= {driver, options}
    wanted = {key: value for key, value in wish.defaults.items() if key not in taken}
    for key, value in wish.settings.items():
        inner = wanted.get(key)
        wanted[key] = {**inner, **value} if isinstance(inner, dict) and isinstance(value, dict) else value
    return wanted


def _beside_theirs(settings: Json, first: Json, current: Json) -> Json:
    """Return settings whose registries stand before those of somebody else, as far as the file still has these."""
    joined = dict(settings)
    for key in REGISTRIES:
        ours, before, now = settings.get(key), first.get(key), current.get(key)
        if isinstance(ours, list) and ours and isinstance(before, list) and isinstance(now, list):
            joined[key] = [*ours, *(one for one in before if one in now and one not in ours)]
    return joined


def _options_of_another(settings: Json, files: Sequence[Json], record: Record) -> Claims:
    """Return a driver's options as one value where a file has some of another driver, which this one would refuse.

    They stay one value as long as they are claimed, for the file forgets that it had others.
    """
    whole: dict[Place, object] = {}
    for driver, options in OPTIONS_OF.items():
        before = [{"log-driver": STOCK_LOG_DRIVER, **file} for file in files if file.get(options)]
        is_another = any(settings.get(driver) != file.get(driver) for file in before)
        if settings.get(driver) is not None and (is_another or (options,) in record.claims):
            whole[options,] = settings.get(options) or None
    return whole


def claims_for(wish: Wish, current: Json, first: Json, record: Record, owner: str, wanted: Json) -> Claims:
    """Return an owner's claims: its settings, and what nvidia_runtime, default_runtime and cdi stand for.

    They are those of `nvidia-ctk runtime configure` and, for a runtime to be absent, of its RemoveRuntime
    (nvidia-container-toolkit 1.20, pkg/config/engine/docker/docker.go), which puts the stock runtime in the place of
    a default that goes. Other features stay.

    Raises:
        Refusal: the wishes contradict each other.
    """
    whole = _options_of_another(wanted, (first, current), record)
    settings = {**{place: value for place, value in claims_of(wanted).items() if place[:1] not in whole}, **whole}
    runtime: Place = ("runtimes", wish.runtime_name)
    more: dict[Place, object] = {}
    if wish.default_runtime and wish.nvidia_runtime != "present":
        raise Refusal("default_runtime is on, but the runtime is not wanted; set nvidia_runtime to present")
    if wish.nvidia_runtime == "present":
        more[runtime] = {"args": [], "path": wish.runtime_path}
        if wish.default_runtime:
            more[DEFAULT_RUNTIME] = wish.runtime_name
    elif wish.nvidia_runtime == "absent":
        more[runtime] = None
        theirs = first if DEFAULT_RUNTIME in record.claims else current
        named = theirs.get(DEFAULT_RUNTIME[0]) == wish.runtime_name
        was_named = record.owners.get(owner, {}).get(DEFAULT_RUNTIME) == STOCK_RUNTIME
        if (named or was_named) and DEFAULT_RUNTIME not in settings:
            more[DEFAULT_RUNTIME] = STOCK_RUNTIME
    if wish.cdi is not None:
        more["features", "cdi"] = wish.cdi
    _refuse_conflict(more, settings, "{} is wanted twice and differently, by settings and by nvidia_runtime or cdi")
    return {**settings, **more}


def _refuse_conflict(claims: Claims, others: Claims, message: str) -> None:
    for place, value in claims.items():
        for there, theirs in others.items():
            length = min(len(place), len(there))
            if place[:length] == there[:length] and (place != there or _canonical(value) != _canonical(theirs)):
                raise Refusal(message.format(".".join(place)) + "; take it out of one of the two")


def applied(current: Json, wanted: Claims, owned: Claims, first: Json) -> Json:
    """Return the file as it should be.

    Args:
        current: the file as it is.
        wanted: what all owners want in it now.
        owned: what they wanted before; where it is not wanted any more, what the first file had comes back.
        first: the file as it was before the first owner came.
    """
    result = copy.deepcopy(current)
    for place in sorted(owned):
        if place not in wanted:
            _give_back(result, place, first)
    for place, value in wanted.items():
        if value is None:
            _remove(result, place, first)
        elif _canonical(_at(result, place)) != _canonical((value,)):  # what is so already keeps its order
            _put(result, place, value)
    return result


def _at(value: object, place: Place) -> tuple[object, ...]:
    """Return what stands at a place, as a tuple that is empty where nothing does."""
    for key in place:
        if not isinstance(value, dict) or key not in value:
            return ()
        value = value[key]
    return (value,)


def drifted(text: bytes | None, record: Record, path: str) -> tuple[str, ...]:
    """Return the keys of ours that no longer hold what was recorded, or why the file cannot be read."""
    try:
        current = parse(text or b"", path)
    except Refusal as refusal:
        return (str(refusal),)
    wrong = []
    for place, value in record.claims.items():
        there = _at(current, place)
        if _canonical(there[0] if there else None) != _canonical(value):
            wrong.append(".".join(place))
    return tuple(sorted(wrong))


def _put(result: Json, place: Place, value: object) -> None:
    for key in place[:-1]:
        inner = result.get(key)
        if not isinstance(inner, dict):
            inner = result[key] = {}
        result = inner
    result[place[-1]] = copy.deepcopy(value)


def _remove(result: Json, place: Place, first: Json) -> None:
    """Remove what stands at a place, and the objects that it leaves empty unless they were so at first."""
    if not _at(result, place):
        return
    holders = [_at(result, place[:depth])[0] for depth in range(len(place))]
    for depth in range(len(place), 0, -1):
        del holders[depth - 1][place[depth - 1]]  # type: ignore[attr-defined]
        if holders[depth - 1] or _at(first, place[: depth - 1]) == ({},):
            return


def _give_back(result: Json, place: Place, first: Json) -> None:
    original = _at(first, place)
    if original:
        _put(result, place, original[0])
        return
    _remove(result, place, first)
    for depth in range(1, len(place)):
        above = _at(first, place[:depth])
        if above and not isinstance(above[0], dict) and not _at(result, place[:depth]):
            _put(result, place[:depth], above[0])  # an object of ours stood in its place


def plan_daemon(found: Found, wish: Wish, owner: str, path: str) -> Plan:
    """Decide what becomes of daemon.json when an owner asks for something, or for nothing any more.

    Raises:
        Refusal: the file is no JSON, the settings cannot be, two owners want one key differently, or dockerd's command
            line has it.
    """
    record = found.record or Record()
    current = parse(found.text or b"", path)
    _refuse_no_json({**wish.defaults, **wish.settings})
    fresh = not record.owners
    first = found.text if fresh else None if record.missing else found.backup
    missing = first is None and (fresh or record.missing)
    first_json = _first_json(first, path)

    ours = {place[0] for place in record.claims}
    theirs = {
        *first_json,
        *(key for key in current if key not in ours),
        *(key for flag in found.flags for key in flag.keys),
    }
    settings = _beside_theirs(settings_for(wish, theirs, found.swarm), first_json, current)
    wanted = claims_for(wish, current, first_json, record, owner, settings)
    others = {name: claims for name, claims in record.owners.items() if name != owner}
    for name, claims in others.items():
        _refuse_conflict(wanted, claims, f"{{}} in {path} is wanted differently by the owners {owner} and {name}")
    _refuse_flags(wanted, found.flags, owner, path)

    owners = {**others, owner: wanted} if wanted else others
    result = applied(current, Record(owners).claims, record.claims, first_json)
    _refuse_options(wanted, result, found.flags, path)
    differs = _canonical(result) != _canonical(current)
    if not differs and _canonical_claims(owners) == _canonical_claims(record.owners):
        return Plan(reason=f"{path} holds the wanted settings")

    known = missing or first is not None
    is_first = known and _canonical(result) == _canonical(first_json)
    text = found.text
    if differs:
        text = first if is_first else _written(result, decode(found.text or first or b""))
    restart, reload = _effect(current, result)
    after = _with_unseen(record, Record(owners, missing and bool(owners)), restart, reload)
    mine = {**record.owners.get(owner, {}), **wanted}
    action = Rewrite(
        text=text,
        validate=differs and not is_first,
        # A backup without a record is older than what the file holds of ours already.
        keep=found.text if fresh and (found.record or found.backup is None) else None,
        begun=replace(after, owners={**others, owner: mine}, missing=missing),
        record=after,
        given_back=not owners and text == first,
        restart=restart,
        reload=reload,
        leaves=_leaves(current, result) if restart else {},
    )
    if not differs:
        return Plan((), (action,), f"{path} holds the wanted settings; whose they are is to be recorded")
    difference = Difference(path, _shown(found.text), _shown(text))
    return Plan((difference,), (action,), f"{path} is to change")


def _first_json(first: bytes | None, path: str) -> Json:
    try:
        return parse(first or b"", path)
    except Refusal:  # the backup has been damaged since
        return {}


def _refuse_flags(wanted: Claims, flags: Sequence[Flag], owner: str, path: str) -> None:
    for flag in flags if wanted else ():
        if flag.name == "config-file" and flag.value != path:
            raise Refusal(
                f"Docker reads its settings from {flag.value} (--config-file in {flag.place}), not from {path};"
                " set path to that file"
            )
    for place in wanted:
        for flag in flags:
            if key_of(place) in flag.keys:
                raise Refusal(
                    f"{key_of(place)} is wanted in {path} by the owner {owner}, and stands on dockerd's command line"
                    f" (--{flag.name} in {flag.place}): Docker would not start with both; take it out of one of the two"
                )


def _refuse_options(wanted: Claims, result: Json, flags: Sequence[Flag], path: str) -> None:
    """Refuse options of files beside somebody else's log driver that has none: Docker would not start."""
    told = [(flag.value, f"on dockerd's command line, in {flag.place}") for flag in flags if flag.name == "log-driver"]
    driver, where = (*told, (result.get("log-driver"), f"in {path}"))[0]
    odd = sorted(place[1] for place in wanted if place[0] == "log-opts" and place[1:] and place[1] in OF_FILES)
    if driver in WITHOUT_FILES and odd:
        raise Refusal(
            f"found the log driver {driver} {where}, which takes no {', '.join(odd)}, and Docker would not start with "
            "both; wanted options of that driver, or another; set settings with a log-driver too, or with log-opts "
            f"without {', '.join(odd)}"
        )


def _leaves(current: Json, result: Json) -> Json:
    new, old = _holding(result), _holding(current)
    stays = {CONTAINERD_IMAGES, *({"data-root"} & set(result))}
    return {key: value for key, value in new.items() if value is not None and (value != old[key] or key in stays)}


def _holding(settings: Json) -> Json:
    """Return the settings that say where containers and images are."""
    return {
        "data-root": settings.get("data-root", STOCK_DATA_ROOT),
        "storage-driver": settings.get("storage-driver"),
        CONTAINERD_IMAGES: (_at(settings, ("features", CONTAINERD_IMAGES)) or (None,))[0],
    }


def has_images_with_containerd(info: Json) -> bool:
    """Tell by Docker's own words about itself (``docker info``)."""
    return "io.containerd.snapshotter" in str(info.get("DriverStatus"))


def refuse_to_leave(leaves: Mapping[str, object], info: Json, containers: Sequence[str]) -> None:
    """See that Docker starts with the containers that it has.

    Args:
        leaves: the keys that say where they are, with their new values.
        info: Docker's own words about itself (``docker info``).
        containers: names of those that are not ours.

    Raises:
        Refusal: it would not.
    """
    present = {"data-root": info.get("DockerRootDir"), "storage-driver": info.get("Driver")}
    present[CONTAINERD_IMAGES] = has_images_with_containerd(info)
    mapped = re.fullmatch(r"(.+)/\d+\.\d+", str(present["data-root"]))  # below the root, by userns-remap
    if mapped is not None and mapped[1] == leaves.get("data-root"):
        present["data-root"] = mapped[1]
    changed = [key for key, value in leaves.items() if present[key] not in (None, value)]
    if changed and containers:
        named = ", ".join(sorted(containers)[:5]) + (" and others" if len(containers) > 5 else "")
        raise Refusal(
            f"found containers in this Docker that are not gpuchat's ({named}), and with {changed[0]} "
            f"{leaves[changed[0]]} instead of {present[changed[0]]} it would start without them; wanted to leave "
            f"nothing behind; move or remove them first, or see that {changed[0]} stays as it is: set settings so, and "
            "daemon.json where it says so already"
        )


def remap_warning(settings: Json, path: str) -> str:
    """Return a warning of users that are others on the host than in containers, '' where they are the same.

    Args:
        settings: what dockerd is told by its file and on its command line.
        path: the file.
    """
    told = settings.get("userns-remap")
    if not told:
        return ""
    return (
        f"found userns-remap {told} in {path} or on dockerd's command line, by which users of containers are others on "
        "the host; wanted the same, for gpuchat's containers cannot use their files and sockets; take it out where "
        "this Docker has no other containers, for it starts without them then, or run gpuchat on another host"
    )


def cause(log: str) -> str:
    """Return why Docker did not start or reload, in its own words; empty where it does not say so."""
    found = [match[0].strip() for line in log.splitlines() for match in [CAUSE.search(line)] if match]
    return found[-1] if found else ""


def _effect(current: Json, result: Json) -> tuple[bool, bool]:
    """Return whether Docker takes up a change by a restart only, or else by a reload."""
    keys = {*current, *result}
    changed = {key for key in keys if _canonical(_at(current, (key,))) != _canonical(_at(result, (key,)))}
    kept_by_reload = {key for key in changed - RELOADED_WHEN_GONE if key not in RELOADED or key not in result}
    return bool(kept_by_reload), bool(changed) and not kept_by_reload


def _with_unseen(before: Record, after: Record, restart: bool, reload: bool) -> Record:
    """Return the new record with digests that differ from the old one's where Docker has something to take up."""
    after = replace(after, unseen=before.unseen)
    restarts, reloads = before.unseen
    restarts += restart and after.digest == before.digest
    reloads += reload and after.reload_digest == before.reload_digest
    return replace(after, unseen=(restarts, reloads))


def _written(value: Json, like: str) -> bytes:
    """Return an object as text, with another text's indentation, line ends and alphabet where it shows them."""
    indented = re.search(r"\{[^\S\n]*\n([ \t]+)\"", like)
    ascii_only = like.isascii() or "\\ud" in like.lower()  # half a character can be written as an escape only
    text = json.dumps(value, indent=indented[1] if indented else 2, ensure_ascii=ascii_only)
    text += "\n" if like.endswith("\n") or not like.strip() else ""
    return text.replace("\n", "\r\n" if "\r\n" in like else "\n").encode()


def _shown(text: bytes | None) -> str:
    """Return a file's text for a diff: without the names and passwords that its addresses (of proxies) may hold."""
    return CREDENTIALS.sub("xxxxx", decode(text or b""))


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _canonical_claims(owners: Mapping[str, Claims]) -> dict[str, dict[Place, str]]:
    return {name: {place: _canonical(value) for place, value in claims.items()} for name, claims in owners.items()}
