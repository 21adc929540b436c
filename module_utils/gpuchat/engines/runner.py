# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ensures the vLLM engines of a host as one unit of state: images, files, what is to go, and starts in turn."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core import host
from ..core.change import Difference, Plan, merged
from ..core.errors import Failure, Refusal, Unhealthy
from ..core.opening import EPHEMERAL
from ..core.units import human
from ..docker import container_runner, images_runner
from ..docker.container import compose_path, quadlet_path, read_back, unit_path
from ..model import runner as model_runner
from ..model.files import Manifest
from ..model.store_runner import Store
from ..system import environment_runner, files, files_runner, restart_runner, service_runner
from ..system.environment import Source
from ..system.service import QUADLET, VENV, Step, WantedService, plan_service, program_of
from ..verify import endpoint_runner
from . import engines, ranks, trial_runner, unit
from .engines import Engine, Retired
from .trial import Trial, why_slower, why_worse

ANSWER_SECONDS = 120
LOCK_SECONDS = 60
STARTING = ("start", "restart")

Params = Mapping[str, Any]
Result = dict[str, object]
UNTOUCHED: Result = {"changed": False, "diff": [], "msg": ""}


@dataclass(frozen=True)
class Former:
    """What an engine was before this run.

    Attributes:
        reference: of its image, by digest; without a container, the folder of its virtual environment.
        engine: what its files said; nothing of folders where there were none.
    """

    reference: str
    engine: Retired


@dataclass(frozen=True)
class Prepared:
    """An engine whose files are in their place.

    Attributes:
        service: what its service's runner takes.
        restore: puts back its files as they were.
        before: the record of its last start; empty where there was none.
        plan: what is to become of its service.
        reference: of its image, by digest; without a container, the folder of its virtual environment.
        former: what ran before.
    """

    engine: Engine
    service: Mapping[str, Any]
    restore: Callable[[], None]
    before: Mapping[str, object]
    plan: Plan
    reference: str
    former: Former

    @property
    def starts(self) -> bool:
        return _is_started_by(self.plan)

    @property
    def ran_with_others(self) -> bool:
        """Whether it was started before, with something else than now."""
        words = ("digest", "supervisor")
        return bool(self.before) and any(self.before.get(word) != self.service[word] for word in words)


@dataclass(frozen=True)
class Leaving:
    """An engine that the inventory names no more, as it was found.

    Attributes:
        service: what its service's runner takes to have it as it ran.
        ran: whether it did.
        stops: whether there is anything to stop.
        told: the result of its service's end.
    """

    engine: Retired
    service: Mapping[str, Any]
    ran: bool
    stops: bool
    told: Result


def ensure(params: Params, check: bool) -> Result:
    """Ensure the engines that a module's parameters describe, and return the module's result.

    All images are pulled and all files are written before anything is stopped. Then what the inventory names no more
    stops, for it may hold what others need, and what has changed starts, one after the other. Only when all that is
    proven do files go.

    Raises:
        Refusal: an image cannot be resolved, or the files are not valid; what ran before runs on.
        CommandFailed: a pull failed.
        Unhealthy: an engine does not come up; the one before runs again, where there was one.
    """
    there = _interfaces(params)
    wanted = engines.joined(params, there)
    for engine in wanted:
        _check_rank(engine, there)
    if params["state"] == "resolved":
        return _resolved(wanted, params, check)
    images = {image: _image(image, params, check) for image in dict.fromkeys(engine.image for engine in wanted)}
    digests = _recorded(images, params)
    if params["state"] == "pulled":
        return {**_together(images.values()), **digests}
    missing = [engine.name for engine in wanted if not engine.planned]
    if missing and not check:
        raise Refusal(f"found no plan for {', '.join(missing)}; wanted one for each engine; set plans to them")
    locked = engines.locks(wanted)
    common = _ensure_common(locked, params, check) if wanted else UNTOUCHED
    account = UNTOUCHED
    if wanted and params["supervisor"] == VENV:
        account = environment_runner.ensure_account(params["uid"], check)
    _check_starts(wanted, locked, images, params)
    results, prepared = _files(wanted, locked, images, params, check)
    leaving = [_leaving(name) for name in engines.retired(_names_on_host(), wanted)]
    slower = _change_places(leaving, prepared, locked, params) if not check else []
    gone = [_retire(one, wanted, params, check) for one in leaving]
    if not wanted:
        common = _ensure_common(locked, params, check)
    if not check:
        _see_those_that_stay(prepared)
    left = [_released(one, wanted, params, check) for one in prepared]
    services = [_predicted(one, check) for one in prepared]
    tidied = _tidied([one.reference for one in prepared], params, check)
    whole = _together(
        [*images.values(), account, common, *results, *(result for result, _told in gone), *left, *services, tidied]
    )
    return {
        **whole,
        "warnings": [*whole.get("warnings", ()), *slower],  # type: ignore[misc]
        "started": [one.engine.name for one in prepared if one.starts],
        "retired": [told for _result, told in gone],
        **digests,
    }


# Ranks of engines that stand on several hosts.

PORTS = "/proc/sys/net/ipv4/ip_local_port_range"


def _interfaces(params: Params) -> dict[str, str]:
    """Return this host's interfaces by their addresses, where an engine needs to know."""
    if not any(engine.get("span") for engine in params["engines"]):
        return {}
    listed = host.run(["ip", "-json", "address"])
    try:
        return ranks.interfaces(json.loads(listed.stdout))
    except ValueError:
        raise Refusal(
            f"found that ip -json address says {listed.text[:200]!r}; wanted this host's addresses; install iproute2"
        ) from None


def _check_rank(engine: Engine, there: Mapping[str, str]) -> None:
    if engine.rank:
        ranks.check_interface(engine.name, engine.rank, there)
        with open(PORTS, encoding="ascii") as file:
            ranks.check_ports(engine.name, engine.rank, file.read(), EPHEMERAL)


def _check_starts(
    wanted: Sequence[Engine],
    locked: Mapping[str, Sequence[str]],
    images: Mapping[str, Mapping[str, Any]],
    params: Params,
) -> None:
    """Refuse to start anew what waits for hosts that this run does not reach, before anything is written."""
    for engine in (one for one in wanted if one.rank):
        given, own = _described(engine, locked[engine.name], images[engine.image], params)
        predicted = container_runner.ensure_files(given, own, True)
        service = container_runner.service_of(given, container_runner.digest_of(given, predicted))
        plan = plan_service(_wanted(service), service_runner.read(_wanted(service)))
        if engine.rank and _is_started_by(plan):
            ranks.check_all_there(engine.name, engine.rank, params["run_hosts"], params["forks"])


def _is_started_by(plan: Plan) -> bool:
    return any(isinstance(step, Step) and step.act in STARTING for step in plan.actions)


def _together(results: Any) -> Result:
    whole = merged(*results) if results else {"changed": False, "diff": [], "msg": ""}
    keys = ("changed", "diff", "msg", "warnings", "not_predicted")
    return {**{key: value for key, value in whole.items() if key in keys}, "msg": whole["msg"] or "no engines are here"}


# Images.


def _image(image: str, params: Params, check: bool) -> dict[str, Any]:
    if params["supervisor"] == VENV:
        return environment_runner.ensure(_sources(params)[image], params, check)
    return images_runner.ensure(_image_params(image, params), check)


def _sources(params: Params) -> dict[str, Source]:
    """Return of what virtual environments are made, by their names."""
    found = (engines.source_of(given, params) for given in params["engines"])
    return {source.name: source for source in found}


def _recorded(images: Mapping[str, Mapping[str, Any]], params: Params) -> dict[str, object]:
    """Return what is to be recorded beside the inventory: digests of images, or the locks of environments."""
    if params["supervisor"] == VENV:
        return {"digests": {}, "locks": {k: v for one in images.values() for k, v in one["new_locks"].items()}}
    return {"digests": {image: result["digest"] for image, result in images.items()}}


def _image_params(image: str, params: Params) -> dict[str, Any]:
    return {**params, "name": image, "locked_digest": params["locked_digests"].get(image)}


def _locked(params: Params, check: bool) -> Result:
    known = {name: environment_runner.look_up(source, params, check) for name, source in _sources(params).items()}
    notes = tuple(
        f"which packages {name} comes with: uv is not on this host yet"
        for name, one in known.items()
        if not one["lock"]
    )
    reason = f"{len(known)} sets of packages are locked" if not notes else "packages are not locked yet"
    locks = {one["name"]: one["lock"] for one in known.values() if one["resolved"]}
    return {**Plan(reason=reason, notes=notes).result(), "digests": {}, "locks": locks}


def _resolved(wanted: Sequence[Engine], params: Params, check: bool) -> Result:
    """Return each image's digest, or each environment's lock; one that is recorded is not asked for."""
    if params["supervisor"] == VENV:
        return _locked(params, check)
    names = dict.fromkeys(engine.image for engine in wanted)
    digests = {image: str(images_runner.look_up(_image_params(image, params))["digest"]) for image in names}
    return {"changed": False, "diff": [], "msg": f"{len(digests)} images have a digest", "digests": digests}


def _tidied(used: Sequence[str], params: Params, check: bool) -> Result:
    """Remove what virtual environments no engine uses: all with the last of them, and else where that is wished."""
    by_venv = bool(used) and params["supervisor"] == VENV
    left = environment_runner.unused(used if by_venv else ())
    has_account = not by_venv and environment_runner.account_is_ours()
    if by_venv and not params["prune"]:
        words = [f"kept {path} ({human(_size(path))})" for path in left]
        return Plan(reason=", ".join(words)).result()
    if not left and not has_account:
        return UNTOUCHED
    if not check:
        environment_runner.remove(left)
        if has_account:
            environment_runner.remove_account()
    account = (environment_runner.ACCOUNT,) if has_account else ()
    differences = [Difference(path, "an environment no longer used\n", "") for path in left]
    differences += [Difference(f"account {name}", "there\n", "") for name in account]
    gone = (*left, *(f"the account {name}" for name in account))
    return Plan(tuple(differences), gone, f"removed {', '.join(gone)}").result()


# Files.


def _ensure_common(locked: Mapping[str, Sequence[str]], params: Params, check: bool) -> Result:
    """Ensure what all engines have in common; it goes with the last of them."""
    given = {
        "name": engines.HOST_SET,
        "state": "present" if params["engines"] else "absent",
        "files": [{**files_runner.USUAL, **entry} for entry in engines.common_files(locked, params)],
        "validate": None,
        "validate_requires": [],
    }
    return {**files_runner.ensure(given, check), "msg": ""}


def _files(
    wanted: Sequence[Engine],
    locked: Mapping[str, Sequence[str]],
    images: Mapping[str, Mapping[str, Any]],
    params: Params,
    check: bool,
) -> tuple[list[Result], list[Prepared]]:
    """Write the files of all engines; where those of one are not valid, all are as they were."""
    results: list[Result] = []
    prepared: list[Prepared] = []
    restores: list[Callable[[], None]] = []
    try:
        for engine in wanted:
            given, own = _described(engine, locked[engine.name], images[engine.image], params)
            former = _former(engine.container)
            restores.append(files_runner.snapshot(container_runner.set_of(given, own)))
            result = container_runner.ensure_files(given, own, check)
            results.append({**result, "msg": f"{engine.name}: {result['msg']}"})
            service = container_runner.service_of(given, container_runner.digest_of(given, result))
            before = host.read_json(service_runner.record_path(engine.container))
            plan = plan_service(_wanted(service), service_runner.read(_wanted(service)))
            reference = str(images[engine.image]["reference"])
            prepared.append(Prepared(engine, service, restores[-1], before, plan, reference, former))
    except Exception:
        if not check:
            for restore in restores:
                restore()
        raise
    return results, prepared


def _described(
    engine: Engine, devices: Sequence[str], made: Mapping[str, Any], params: Params
) -> tuple[dict[str, Any], list[Mapping[str, object]]]:
    """Return an engine as a unit of state, and its files."""
    given = engines.container(engine, devices, params)
    if params["supervisor"] != VENV:
        return given, container_runner.files_of(given, str(made["reference"]))
    given = unit.on_host(given)
    return given, unit.files_of(given, str(made["reference"]), made["preload"])


def _former(name: str) -> Former:
    """Return what an engine was started with before, by the files of that start."""
    owned = files.owned_paths(host.read_json(files_runner.manifest_path(name)))
    text = _text(name, owned)
    return Former(read_back(text).image, engines.described(name, text, owned))


def _wanted(service: Mapping[str, Any]) -> WantedService:
    return WantedService(service["name"], service["supervisor"], service["state"], service["digest"])


# What is to go.


def _names_on_host() -> list[str]:
    return [*restart_runner.names(), *files_runner.manifests()]


def _leaving(name: str) -> Leaving:
    owned = files.owned_paths(host.read_json(files_runner.manifest_path(name)))
    record = host.read_json(service_runner.record_path(name))
    projects = [path for path in owned if path.endswith(compose_path(""))]
    service = {
        "name": name,
        "supervisor": str(record.get("supervisor") or "compose"),
        "compose_file": str(record.get("compose_file") or next(iter(projects), "")),
        "state": "started",
        "digest": str(record.get("digest") or ""),
        "reload_digest": str(record.get("reload_digest") or ""),
        "adopt": False,
        "health": record.get("health") or None,
    }
    absent = {**service, "state": "absent", "health": None}
    there = service_runner.read(_wanted(absent))
    told = service_runner.ensure(absent, True)
    engine = engines.described(name, _text(name, owned), owned)
    return Leaving(engine, service, there.running, there.running or there.enabled, told)


def _change_places(
    leaving: Sequence[Leaving], prepared: Sequence[Prepared], locked: Mapping[str, Any], params: Params
) -> list[str]:
    """Stop what is to go, and start what has changed; where that fails, what was to go runs again.

    Returns words on those that are far slower than they were.

    Raises:
        Failure: the same that was raised, with a word of what runs again.
    """
    # While it still runs.
    trials = {one.engine.name: trial_runner.ask(one.engine) for one in prepared if one.starts and one.ran_with_others}
    try:
        for one in leaving:
            if one.stops:
                service_runner.act(_wanted(one.service), Plan((), (Step("stop", one.service["supervisor"]),)), "")
        _stop_for_others(prepared, locked)
        slower = _start_all(prepared, trials, params)
        _leave_former_programs(prepared)
    except Failure as error:
        new = [one for one in prepared if one.starts and not one.before]
        up = [one.engine for one in new if service_runner.read(_wanted(one.service)).running] if leaving else []
        words = [
            _stays(one, [engine for engine in up if engines.share(engine.places, one.engine.places)])
            for one in leaving
            if one.ran
        ]
        raise type(error)("; ".join([str(error), *words]), **error.result) from error
    return slower


def _stays(one: Leaving, instead: Sequence[Engine]) -> str:
    """Let an engine run again whose end was too early, and say so."""
    name = f"{one.engine.name}, which is to go,"
    if instead:
        return f"{name} is stopped, for {instead[0].name} has taken its device"
    try:
        files_runner.restore_folders(one.engine.container)
        service_runner.ensure(one.service, False)
    except Failure as error:
        return f"{name} does not run again: {error}"
    return f"{name} runs again"


def _retire(
    leaving: Leaving, wanted: Sequence[Engine], params: Params, check: bool
) -> tuple[Result, dict[str, object]]:
    """Forget an engine that is stopped and remove what is its own; return the result, and what is told of it."""
    one, name = leaving.engine, leaving.engine.container
    service_runner.ensure({**leaving.service, "state": "absent", "health": None}, check)
    results = [leaving.told]
    _remove_sockets(one, wanted, check)
    given: dict[str, Any] = {"name": name, "state": "absent", "files": [], "validate": None, "validate_requires": []}
    gone = files_runner.ensure(given, check)
    if not check:
        container_runner.forget_units(gone)
    results.append({**gone, "msg": ""})
    kept: list[dict[str, object]] = []
    removed: list[str] = []
    left = _models(one, wanted, params, check)
    for result, path, size, goes in [_cache(one, wanted, params, check), *left]:
        results.append(result)
        if goes:
            removed.append(path)
        elif size:
            kept.append({"path": path, "bytes": size})
    words = [f"{one.name} is retired"]
    words += [f"removed {path}" for path in removed]
    words += [f"kept {entry['path']} ({human(int(str(entry['bytes'])))})" for entry in kept]
    results.append({"changed": False, "diff": [], "msg": ", ".join(words)})
    return merged(*results), {"name": one.name, "kept": kept, "removed": removed}


def _released(one: Prepared, wanted: Sequence[Engine], params: Params, check: bool) -> Result:
    """Tell of what an engine read of models before and reads no more, as an adapter, and remove it where wished."""
    found = _models(one.former.engine, wanted, params, check)
    words = [f"{'removed' if goes else 'kept'} {path} ({human(size)})" for _result, path, size, goes in found if size]
    told = f"{one.engine.name} reads no more what it did, {', '.join(words)}" if words else ""
    return {**merged(UNTOUCHED, *(result for result, *_rest in found)), "msg": told}


def _text(name: str, paths: Sequence[str]) -> str:
    """Return an engine's project, unit or Quadlet file, empty where there is none."""
    own = (unit_path(name), quadlet_path(name))
    for path in (path for path in paths if path in own or path.endswith(compose_path(""))):
        there = host.file_state(path)
        if there is not None and there.content is not None:
            return there.content.decode(errors="replace")
    return ""


def _remove_sockets(one: Retired, wanted: Sequence[Engine], check: bool) -> None:
    """Remove what an engine leaves in the folder of its socket, which then goes with its files."""
    if check or not os.path.isdir(one.run) or one.run in [engine.run for engine in wanted]:
        return
    for entry in list(os.scandir(one.run)):
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.path)


Left = tuple[Result, str, int, bool]
"""What became of a folder: the result, its path, its bytes, and whether it goes."""


def _cache(one: Retired, wanted: Sequence[Engine], params: Params, check: bool) -> Left:
    """Remove an engine's cache where that is wished; the one before there could be several has others' in it."""
    others = {engine.cache for engine in wanted}
    mine = [one.cache]
    if not one.slug and os.path.isdir(one.cache):
        mine = [entry.path for entry in os.scandir(one.cache) if entry.path not in others]
    size = sum(map(_size, mine))
    may = [path for path in mine if engines.may_go(path, engines.CACHES, others) and os.path.lexists(path)]
    if not (params["prune"] and may):
        return UNTOUCHED, one.cache, size, False
    if not check:
        for path in may:
            host.remove_tree(path)
    difference = Difference(one.cache, f"cache of {size} bytes\n", "")
    return Plan((difference,), tuple(may)).result(), one.cache, size, True


def _models(one: Retired, wanted: Sequence[Engine], params: Params, check: bool) -> list[Left]:
    """See to the folders that an engine read of models and no engine reads any more."""
    return [left for path in one.models for left in _model(path, path in one.theirs, wanted, params, check)]


def _model(model: str, theirs: bool, wanted: Sequence[Engine], params: Params, check: bool) -> list[Left]:
    """Remove the files of a model, or of an adapter, where that is wished, nobody else uses them, and they are ours."""
    used = [os.path.realpath(path) for engine in wanted for path in engine.folders]
    place = os.path.realpath(model)
    if place in used or not os.path.isdir(place):
        return []
    size = _size(place)
    # By another host, and from the same disk for all that is known here.
    used += map(os.path.realpath, params["used_paths"])
    ours = not theirs and _fetched(Store(place).manifest())
    if not (params["prune"] and ours and engines.may_go(place, os.path.realpath(params["model_root"]), used)):
        return [(UNTOUCHED, model, size, False)]
    result = model_runner.ensure({"dest": place, "state": "absent", "lock_seconds": LOCK_SECONDS}, check)
    return [({**result, "msg": ""}, model, size, True)]


def _fetched(record: Manifest | None) -> bool:
    """Whether a model's record says that we have fetched it; an owner's copy may have one too."""
    return record is not None and str(record.wanted.get("source") or "path") != "path"


def _size(path: str) -> int:
    """Return the bytes of a file, or of all files below a folder."""
    if not os.path.isdir(path):
        return os.lstat(path).st_size if os.path.lexists(path) else 0
    found = [os.path.join(parent, name) for parent, _folders, names in os.walk(path) for name in names]
    return sum(os.lstat(file).st_size for file in found)


# Services.


def _predicted(one: Prepared, check: bool) -> Result:
    names = one.engine
    notes: tuple[str, ...] = ()
    if check and one.plan.changed:
        notes = (
            f"the health of {names.container}: it can be known only after the change",
            f"the answers of {names.container}: check mode asks nothing",
        )
    if check and not names.planned:
        notes += (f"with what {names.container} runs: its GPUs are not known yet",)
    return Plan(one.plan.differences, one.plan.actions, one.plan.reason, notes).result()


def _stop_for_others(prepared: Sequence[Prepared], locked: Mapping[str, Sequence[str]]) -> None:
    """Stop engines that are about to start anew and whose memory another may need that starts before them."""
    starting = [one.engine for one in prepared if one.starts]
    for one in prepared:
        if one.starts and one.before and engines.shares_with(one.engine, starting, locked):
            stop = Plan((), (Step("stop", str(one.before.get("supervisor"))),))
            service_runner.act(_wanted(one.service), stop, str(one.before.get("compose_file") or ""))


def _start_all(prepared: Sequence[Prepared], trials: Mapping[str, Trial | None], params: Params) -> list[str]:
    """Start what has changed, one after the other; return words on those that are far slower than before.

    Args:
        trials: of the engines that ran until now, by name.

    Raises:
        Unhealthy: one does not come up, or answers worse than the one before it.
    """
    starting, slower = [one for one in prepared if one.starts], []
    for at, one in enumerate(starting):
        is_up = False
        try:
            service_runner.ensure(one.service, False)
            is_up = True
            if one.engine.serves:
                _verify(one.engine, params)
                slower += _compare(one.engine, trials.get(one.engine.name))
        except Failure as error:
            later = starting[at + 1 :]
            first = _kept_with_others(one) if is_up and one.engine.rank else _undone(one)
            words = [first, *(word for word in map(_left_as_it_was, later) if word)]
            raise Unhealthy(f"{one.engine.name}: {error}\n{'; '.join(words)}", **error.result) from error
    return slower


def _leave_former_programs(prepared: Sequence[Prepared]) -> None:
    """Remove the images of engines that have moved from Docker to Podman, or back, where they have run before."""
    for one in prepared:
        former = program_of(str(one.before.get("supervisor"))) if one.before else ""
        if former not in ("", program_of(str(one.service["supervisor"]))) and one.former.reference:
            host.run([former, "image", "rm", one.former.reference])  # which stays where somebody else uses it


def _put_back(one: Prepared) -> None:
    """Put back an engine's files, and have systemd forget the unit of a Quadlet file that has gone by that."""
    one.restore()
    if QUADLET in (one.service["supervisor"], one.before.get("supervisor")):
        host.run(["systemctl", "daemon-reload"])


def _see_those_that_stay(prepared: Sequence[Prepared]) -> None:
    """See that those which have not changed are healthy; what goes does not wait for them.

    Raises:
        Unhealthy: one is not.
    """
    for one in prepared:
        if not one.starts:
            service_runner.ensure(one.service, False)


def _compare(engine: Engine, before: Trial | None) -> list[str]:
    """Compare an engine's answers with those of the one before it; return a word where it is far slower.

    Raises:
        Unhealthy: it answers worse.
    """
    if before is None:
        return []
    now = trial_runner.ask(engine)
    worse = why_worse(before, now)
    if worse:
        raise Unhealthy(f"it starts, and answers worse than the one before: {worse}")
    slower = why_slower(before, now)
    return [f"{engine.name}: {slower}; wanted no less; look at what this run has changed"] if slower else []


def _verify(engine: Engine, params: Params) -> None:
    """Ask an engine for what its model is there for; in each run the verification at the end asks through the edge."""
    known = params.get("known_answer") or {}
    its = known if known.get("model") == engine.name else {}
    given = {
        "url": f"{engine.socket_url}/v1",
        "model": engine.name,
        "api_key_file": f"{engine.folder}/api_key",
        "question": its.get("question") or "hello",
        "answer": its.get("answer") or "",
        "stream": False,  # no proxy on the way could collect it, and a busy machine hands a short one on at once
        "tool_call": engine.tool_call,
        "timeout": ANSWER_SECONDS,
        "task": engine.task,
    }
    endpoint_runner.ensure(given, False)


def _kept_with_others(one: Prepared) -> str:
    """Say why an engine that is up stays as it is: its other hosts have seen nothing wrong, and run with the same."""
    others = list(one.engine.rank.hosts[1:]) if one.engine.rank else []
    return f"{one.engine.name} runs on as it is, as its ranks on {', '.join(others)} do"


def _undone(one: Prepared) -> str:
    """Let the engine run again that ran before one that failed, and say what became of it."""
    name = one.engine.name
    if not one.ran_with_others:
        if one.before:
            return f"{name} is left as it was started before: nothing of it has changed"
        _stop(one)
        _put_back(one)
        return f"{name} is stopped, for none ran before it"
    _stop(one)
    _put_back(one)
    try:
        _start_as_before(one)
    except Failure as error:
        return f"the {name} that ran before does not run again either: {error}"
    return f"the {name} that ran before runs again"


def _left_as_it_was(one: Prepared) -> str:
    """Put back the files of an engine that was not started, and start it again where it was stopped for another."""
    _put_back(one)
    if not one.before or service_runner.read(_wanted(_before(one))).running:
        return ""
    try:
        _start_as_before(one)
    except Failure as error:
        return f"{one.engine.name} does not run again: {error}"
    return f"{one.engine.name} runs as before"


def _stop(one: Prepared) -> None:
    service_runner.ensure({**one.service, "state": "absent", "health": None}, False)


def _before(one: Prepared) -> dict[str, Any]:
    """Return the service as it was started last."""
    return {
        **one.service,
        "supervisor": str(one.before.get("supervisor") or one.service["supervisor"]),
        "digest": str(one.before.get("digest") or ""),
        "compose_file": str(one.before.get("compose_file") or one.service["compose_file"]),
        "health": one.before.get("health") or one.service["health"],
    }


def _start_as_before(one: Prepared) -> None:
    service_runner.ensure(_before(one), False)
