# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarts vLLM engines of this host that hang: gpuchat_watchdog.py [--check] CONFIG.

A hung engine answers /health as if nothing were wrong, so that alone says nothing, and neither does a probe without an
answer: it waits behind people's requests. An engine hangs when it was healthy since its start, a probe had no answer
(or its server is silent), none of its figures has moved for a window, and its processes do not compute.

Before that time is over, and until it answers, a mark tells the host's door that it is silent, where other hosts serve
its model: they get what is asked meanwhile.

This is one file, for it runs on hosts that have Python 3.9 and nothing else. Its first half decides and touches
nothing; its second half reads, asks and acts.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

# ---- What is decided -------------------------------------------------------------------------------------------------

HOUR = 3600.0
BUSY = 0.05
"""Share of one core from which on processes count as computing; answers to our own questions take a tenth of it."""
SHORTEST_MEASURE = 1.0
"""Seconds below which CPU time, which the kernel counts in steps of 10 ms, says nothing."""
ANSWER_SECONDS = 5.0
"""For /health and /metrics."""
SILENT_SHARE = 1 / 3
"""Of the window, after which an engine counts as silent: others answer for it, and that costs nobody anything."""
SLACK = 30.0
"""Seconds by which a look may be late before it counts as if nobody had looked."""

LONGEST_LINE = 10_000
"""Characters of a figure's line beyond which it is none of vLLM's."""

ANSWERED = "answered"
SILENT = "silent"
UNCLEAR = "unclear"

PROBES = {"chat": "/v1/completions", "embed": "/v1/embeddings"}
"""Which address takes a probe, by task; engines of other tasks are judged by their figures alone."""

FIGURES = (
    "vllm:generation_tokens_total",
    "vllm:prompt_tokens_total",
    "vllm:request_success_total",
    "vllm:iteration_tokens_total_count",
    "vllm:num_preemptions_total",
    # The scheduler says these with each step, also within a long prefill, in which the counters above stand still.
    "vllm:kv_cache_usage_perc",
    "vllm:gpu_cache_usage_perc",
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
)
REQUESTS = ("vllm:num_requests_running", "vllm:num_requests_waiting")
NOT_THE_ENGINES = ('finished_reason="abort"', 'finished_reason="error"')
"""Requests that the server ends by itself: a probe that we gave up is no progress."""
SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)(?:\s+-?\d+)?")


def figures_of(text: str) -> dict[str, float]:
    """Return the figures that move while an engine works, each over all of its parts, from what /metrics says."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        match = SAMPLE.fullmatch(line.strip()) if line.startswith("vllm:") and len(line) < LONGEST_LINE else None
        if match and match["name"] in FIGURES and not any(word in (match["labels"] or "") for word in NOT_THE_ENGINES):
            with contextlib.suppress(ValueError):
                found[match["name"]] = found.get(match["name"], 0.0) + float(match["value"])
    return found


@dataclass(frozen=True)
class Process:
    """One process of an engine's container.

    Attributes:
        name: as the kernel calls it, 15 characters at most; vLLM names its own VLLM::EngineCore and the like.
        state: its letter in proc(5); T is stopped, D waits for a disk.
        seconds: CPU time that it has taken.
    """

    name: str
    state: str
    seconds: float


Processes = Mapping[tuple[int, int], Process]
"""By process id and start time, for ids come again."""


@dataclass(frozen=True)
class Look:
    """What one look at an engine shows.

    Attributes:
        at: seconds of a clock that never jumps.
        container: which start of which container; empty where none runs.
        healthy: /health answered 200.
        figures: of /metrics; None where it did not answer.
        probe: how a probe just before ended; empty where none was made.
    """

    at: float
    container: str
    healthy: bool = False
    figures: Mapping[str, float] | None = None
    processes: Processes = field(default_factory=dict)
    probe: str = ""


@dataclass(frozen=True)
class Limits:
    """After which seconds what counts, and how often an engine is restarted."""

    interval: float = 10.0
    window: float = 30.0
    busy_window: float = 600.0
    probe_timeout: float = 20.0
    restarts_per_hour: int = 3

    @property
    def longest_gap(self) -> float:
        return self.interval + self.probe_timeout + SLACK


@dataclass(frozen=True)
class Watch:
    """What is remembered of an engine.

    Attributes:
        was_healthy: since this start of its container; before that it loads, however long that takes.
        looked_at: when it was last looked at; None where that was never.
        moved_at: when it last showed progress.
        computed_at: when its processes last computed.
        silent_since: since when its server has not answered.
        unanswered: a probe has had no answer since the last progress.
        heard_at: when a probe was last answered, in whatever way.
        unclear: such an answer told nothing of the engine.
        restarts: when it was restarted within the last hour.
        rests: that the limit is reached has been said.
    """

    container: str = ""
    was_healthy: bool = False
    looked_at: float | None = None
    moved_at: float = 0.0
    computed_at: float = 0.0
    measured_at: float = 0.0
    silent_since: float | None = None
    unanswered: bool = False
    heard_at: float = 0.0
    unclear: bool = False
    figures: Mapping[str, float] | None = None
    processes: Processes = field(default_factory=dict)
    restarts: tuple[float, ...] = ()
    rests: bool = False


@dataclass(frozen=True)
class Verdict:
    """What follows from a look.

    Attributes:
        watch: the new memory.
        act: ``probe``, ``restart``, ``rest``, or nothing to do.
        reason: why it is restarted or rests.
        silent: nobody should ask it meanwhile who can ask another.
    """

    watch: Watch
    act: str = ""
    reason: str = ""
    silent: bool = False


def judge(watch: Watch, look: Look, limits: Limits, task: str) -> Verdict:
    """Judge an engine by a look at it and what is remembered."""
    if look.container != watch.container:
        # Where none runs, whoever stopped it wants it so, or Docker restarts it.
        return Verdict(_anew(Watch(look.container, look.healthy, restarts=watch.restarts), look))
    if not look.container:
        return Verdict(watch)
    gap = None if watch.looked_at is None else look.at - watch.looked_at
    if gap is None or not 0 <= gap <= limits.longest_gap:  # nobody knows what was in between
        return Verdict(_anew(replace(watch, was_healthy=watch.was_healthy or look.healthy), look))
    if not watch.was_healthy:
        return Verdict(_anew(replace(watch, was_healthy=look.healthy), look))
    seen = _with_look(watch, look)
    still = _stillness(seen, look, limits, task)
    reason = _hang(seen, still, limits)
    if reason:
        return _restart(seen, look, limits, reason)
    idle = look.healthy and look.figures is not None and seen.moved_at < look.at
    act = "probe" if idle and not look.probe and task in PROBES else ""
    return Verdict(seen, act, silent=still.quiet >= SILENT_SHARE * limits.window)


def _anew(watch: Watch, look: Look) -> Watch:
    """Return a watch whose evidence begins with a look."""
    return replace(
        watch,
        looked_at=look.at,
        moved_at=look.at,
        computed_at=look.at,
        measured_at=look.at,
        silent_since=None,
        unanswered=False,
        figures=look.figures,
        processes=look.processes,
    )


def _with_look(watch: Watch, look: Look) -> Watch:
    if look.probe in (ANSWERED, UNCLEAR):
        watch = replace(watch, unanswered=False, heard_at=look.at, unclear=look.probe == UNCLEAR)
    if look.probe == ANSWERED or _has_moved(watch.figures, look.figures):
        return _anew(watch, look)
    silent = not look.healthy or look.figures is None
    seen = replace(
        watch,
        looked_at=look.at,
        silent_since=(look.at if watch.silent_since is None else watch.silent_since) if silent else None,
        unanswered=watch.unanswered or look.probe == SILENT,
        figures=watch.figures if look.figures is None else look.figures,
    )
    elapsed = look.at - watch.measured_at
    if elapsed < SHORTEST_MEASURE:
        return seen
    busy = compute(watch.processes, look.processes, elapsed, silent)
    return replace(
        seen,
        computed_at=look.at if busy else seen.computed_at,
        measured_at=look.at,
        processes=look.processes,
    )


def _has_moved(before: Mapping[str, float] | None, now: Mapping[str, float] | None) -> bool:
    return before is not None and now is not None and dict(before) != dict(now)


def compute(before: Processes, now: Processes, elapsed: float, with_server: bool = False) -> bool:
    """Whether an engine's processes have computed in a time; where that cannot be known, they have.

    Those of the API server do not count where they can be told from the engine's, unless it is the server that is
    looked for: it goes on taking requests while the engine hangs. One process that is stopped stops them all, however
    much the others take while they wait for it. One that waits for a disk is no less at work than one that computes.
    """
    named = any(process.name.startswith("VLLM::") for process in now.values())
    chosen = {
        key: process for key, process in now.items() if with_server or not named or not _is_of_server(process.name)
    }
    if not chosen:
        return True
    if any(process.state == "T" for process in now.values()):
        return False
    if any(process.state == "D" for process in chosen.values()):
        return True
    taken = sum(process.seconds - (before[key].seconds if key in before else 0.0) for key, process in chosen.items())
    return taken > BUSY * elapsed


def _is_of_server(name: str) -> bool:
    return name == "vllm" or name.startswith("VLLM::API")


@dataclass(frozen=True)
class Stillness:
    """What speaks against an engine: what was found, its seconds, and those of them in which its processes rested."""

    found: str
    lasted: float
    quiet: float


def _stillness(watch: Watch, look: Look, limits: Limits, task: str) -> Stillness:
    still = look.at - watch.moved_at
    silent = 0.0 if watch.silent_since is None else look.at - watch.silent_since
    figures = watch.figures or {}
    waits = any(figures.get(name, 0.0) > 0 for name in REQUESTS)
    if watch.unanswered:
        lasted, found = min(still, look.at - watch.heard_at), f"no answer to a probe of {limits.probe_timeout:g} s"
    elif waits and watch.silent_since is None and (watch.unclear or task not in PROBES):
        lasted, found = still, "requests that wait"
    else:
        lasted, found = silent, "no answer from its server"
    return Stillness(found, lasted, min(lasted, look.at - max(watch.moved_at, watch.computed_at)))


def _hang(watch: Watch, still: Stillness, limits: Limits) -> str:
    """Return what says that an engine hangs, or nothing."""
    if still.quiet >= limits.window:
        return f"{still.found}, its figures and its processes at a standstill for {still.quiet:.0f} s"
    # A step takes minutes at most; without figures nobody knows whether it is one step or many.
    if watch.figures and still.lasted >= limits.busy_window:
        return f"{still.found}, and its figures at a standstill for {still.lasted:.0f} s, though it computes"
    return ""


def _restart(watch: Watch, look: Look, limits: Limits, reason: str) -> Verdict:
    recent = tuple(at for at in watch.restarts if 0 <= look.at - at < HOUR)
    if len(recent) >= limits.restarts_per_hour:
        return Verdict(replace(watch, restarts=recent, rests=True), "" if watch.rests else "rest", reason, silent=True)
    acted = replace(_anew(watch, look), restarts=(*recent, look.at), rests=False)
    return Verdict(acted, "restart", reason, silent=True)


# ---- What is configured ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Engine:
    """One engine, as the configuration names it; ``silent_mark`` is the file for its door, or empty."""

    name: str
    slug: str
    container: str
    unit: str
    supervisor: str
    socket: str
    key_file: str
    task: str
    silent_mark: str


@dataclass(frozen=True)
class Config:
    limits: Limits
    engines: tuple[Engine, ...]


class Wrong(Exception):
    """The configuration cannot be used."""


def config_of(text: str) -> Config:
    """Read the configuration.

    Raises:
        Wrong: it cannot be used, and why.
    """
    try:
        data = json.loads(text)
        limits = Limits(
            interval=float(data["interval"]),
            window=float(data["window"]),
            busy_window=float(data["busy_window"]),
            probe_timeout=float(data["probe_timeout"]),
            restarts_per_hour=int(data["restarts_per_hour"]),
        )
        names = tuple(Engine.__dataclass_fields__)
        engines = tuple(Engine(**{name: str(engine[name]) for name in names}) for engine in data["engines"])
    except (ValueError, TypeError, KeyError) as error:
        raise Wrong(f"found {error!r} in the configuration; wanted what the role watchdog writes") from error
    wanted = {
        "interval": limits.interval,
        "window (watchdog_window_seconds)": limits.window,
        "probe_timeout (watchdog_probe_seconds)": limits.probe_timeout,
    }
    for name, value in wanted.items():
        if value < 1:
            raise Wrong(f"found {value:g} seconds as {name}; wanted 1 or more")
    if limits.busy_window < limits.window:
        raise Wrong(
            f"found watchdog_busy_seconds {limits.busy_window:g}, wanted no less than watchdog_window_seconds "
            f"({limits.window:g}); set one of them"
        )
    return Config(limits, engines)


# ---- What acts -------------------------------------------------------------------------------------------------------

COMMAND_SECONDS = 10.0
RESTART_SECONDS = 180.0
STOP_SECONDS = 10
"""For a hung engine to end by itself, which says where it stands and frees what it shares; its answers are lost."""
BY_UNIT = ("quadlet", "venv")
"""Supervisors whose engines are processes of their unit: Podman's containers, and those that are in none."""
LONGEST_ANSWER = 4 << 20
"""Bytes; the figures are a twentieth of it."""
TICKS = os.sysconf("SC_CLK_TCK")


class TimedSocket(socket.socket):
    """A Unix socket whose whole use has an end: a byte now and then prolongs nothing."""

    def __init__(self, seconds: float) -> None:
        super().__init__(socket.AF_UNIX)
        self.end = time.monotonic() + seconds
        self.settimeout(seconds)

    def recv_into(self, *words: Any, **options: Any) -> int:
        """Receive, which is all that is done after a request was sent."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self.settimeout(left)
        return super().recv_into(*words, **options)


class SocketConnection(http.client.HTTPConnection):
    """Speaks HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        """Take the socket's path, and seconds for the whole exchange."""
        super().__init__("localhost", timeout=timeout)
        self.path = path
        self.seconds = timeout

    def connect(self) -> None:
        self.sock = TimedSocket(self.seconds)
        self.sock.connect(self.path)


def ask(
    path: str, address: str, timeout: float, key: str = "", body: Mapping[str, Any] | None = None
) -> tuple[int, str]:
    """Ask a server behind a socket; return status and text, the status 0 where no answer came.

    Whatever runs in the container answers, so neither its lengths nor its patience are trusted.
    """
    connection = SocketConnection(path, timeout)
    headers = {"Connection": "close"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    try:
        if body is None:
            connection.request("GET", address, headers=headers)
        else:
            text = json.dumps(body)
            connection.request("POST", address, text, {**headers, "Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read(LONGEST_ANSWER).decode(errors="replace")
    except (OSError, http.client.HTTPException, ValueError, ArithmeticError, MemoryError) as error:
        return 0, str(error) or type(error).__name__
    finally:
        connection.close()


def probe(engine: Engine, timeout: float) -> tuple[str, int]:
    """Have an engine make one token, or embed one; return how that ended, and the answer's status."""
    try:
        key = pathlib.Path(engine.key_file).read_text(encoding="utf-8").strip()
    except OSError:
        return UNCLEAR, 0
    body: dict[str, Any] = {"model": engine.name}
    body.update({"input": "1"} if engine.task == "embed" else {"prompt": "1", "max_tokens": 1, "temperature": 0})
    status, _text = ask(engine.socket, PROBES[engine.task], timeout, key, body)
    if status == 200:
        return ANSWERED, status
    return (UNCLEAR if status else SILENT), status


def run(command: Sequence[str], timeout: float = COMMAND_SECONDS) -> tuple[int, str]:
    """Run a command; return its exit status and what it said."""
    try:
        done = subprocess.run(
            list(command),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        )
    except OSError as error:
        return 127, str(error)
    except subprocess.TimeoutExpired:
        return 124, f"no end after {timeout:g} s"
    said = done.stdout if done.returncode == 0 else done.stderr or done.stdout
    return done.returncode, said.decode(errors="replace").strip()


def start_of(engine: Engine) -> tuple[str, int] | None:
    """Return which start of an engine runs, and its first process; '' where it does not, None where nobody knows."""
    return unit_of(engine.unit) if engine.supervisor in BY_UNIT else container_of(engine.container)


def unit_of(name: str) -> tuple[str, int] | None:
    """Return the same as `container_of` of a unit: Podman itself works by folders that are not for this."""
    names = "--property=ActiveState,InvocationID,MainPID"
    rc, said = run(["systemctl", "show", names, name])
    found = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    if rc != 0 or not found.get("MainPID", "").isdigit():
        return None
    if found.get("ActiveState") != "active" or found["MainPID"] == "0":
        return "", 0
    return found.get("InvocationID", ""), int(found["MainPID"])


def container_of(name: str) -> tuple[str, int] | None:
    """Return which start of a container runs, and its first process; '' where it does not, None where nobody knows."""
    rc, said = run(["docker", "container", "inspect", name])
    if rc != 0:
        return ("", 0) if "no such container" in said.lower() else None
    try:
        found = json.loads(said)[0]
        state = found["State"]
        if not state["Running"] or state.get("Paused") or state.get("Restarting"):
            return "", 0
        return f"{found['Id']} {state['StartedAt']}", int(state["Pid"])
    except (ValueError, LookupError, TypeError):
        return None


def processes_of(first: int) -> dict[tuple[int, int], Process]:
    """Return a process and all that descend from it."""
    found: dict[int, tuple[int, int, Process]] = {}
    for folder in os.listdir("/proc"):
        if folder.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):  # it has ended
                found[int(folder)] = _read_stat(pathlib.Path("/proc", folder, "stat").read_text(errors="replace"))
    family = {first}
    grown = True
    while grown:
        more = {pid for pid, (parent, _start, _process) in found.items() if parent in family} - family
        family |= more
        grown = bool(more)
    return {(pid, found[pid][1]): found[pid][2] for pid in sorted(family) if pid in found}


def _read_stat(text: str) -> tuple[int, int, Process]:
    """Read proc_pid_stat(5): the parent, the start time, and the rest."""
    name = text[text.index("(") + 1 : text.rindex(")")]  # which may hold blanks and brackets
    words = text[text.rindex(")") + 2 :].split()
    taken = (int(words[11]) + int(words[12])) / TICKS
    return int(words[1]), int(words[19]), Process(name, words[0], taken)


def look_at(engine: Engine) -> Look | None:
    """Look at an engine; None where what runs it does not answer."""
    at = time.monotonic()
    found = start_of(engine)
    if found is None:
        return None
    container, pid = found
    if not container:
        return Look(at, "")
    healthy = ask(engine.socket, "/health", ANSWER_SECONDS)[0] == 200
    status, text = ask(engine.socket, "/metrics", ANSWER_SECONDS) if healthy else (0, "")
    figures = figures_of(text) if status == 200 else None
    return Look(at, container, healthy, figures, processes_of(pid))


def restart(engine: Engine) -> tuple[int, str]:
    """Restart an engine by its supervisor."""
    seconds = str(STOP_SECONDS)
    if engine.supervisor in BY_UNIT:
        # Its own stop would wait for what a hung one does not do; what is left of it, the unit removes.
        run(["systemctl", "kill", "--signal=SIGKILL", engine.unit], RESTART_SECONDS)
        return run(["systemctl", "restart", engine.unit], RESTART_SECONDS)
    if engine.supervisor == "systemd":
        # The unit's own stop gives a working engine time for its answers, which a hung one does not need.
        run(["docker", "stop", "-t", seconds, engine.container], RESTART_SECONDS)
        return run(["systemctl", "restart", engine.unit], RESTART_SECONDS)
    return run(["docker", "restart", "-t", seconds, engine.container], RESTART_SECONDS)


def say(text: str) -> None:
    """Write one line into the journal."""
    print(" ".join(text.split()), flush=True)


class Watcher:
    """Watches one engine."""

    def __init__(self, engine: Engine, limits: Limits, folder: str = "") -> None:
        """Take what was known before from a folder, where one is named: it lasts until the host restarts."""
        self.engine = engine
        self.limits = limits
        self.record = pathlib.Path(folder, f"{engine.slug}.json") if folder else None
        self.watch = self._remembered()
        self.unclear = -1

    def look(self) -> None:
        """Look once, and act on what is found."""
        look = look_at(self.engine)
        if look is None:
            return
        verdict = judge(self.watch, look, self.limits, self.engine.task)
        if verdict.act == "probe":
            doubt = threading.Timer(SILENT_SHARE * self.limits.window, self._doubt, (verdict.watch,))
            doubt.start()
            outcome, status = probe(self.engine, self.limits.probe_timeout)
            doubt.cancel()
            doubt.join()
            self._say_unclear(status if outcome == UNCLEAR else -1)
            after = look_at(self.engine)
            if after is not None:
                probed = replace(after, probe=outcome)
                verdict = judge(verdict.watch, probed, self.limits, self.engine.task)
        self._keep(verdict.watch)
        self._mark(verdict.silent)
        if verdict.act == "restart":
            self._restart(verdict)
        elif verdict.act == "rest":
            limit = self.limits.restarts_per_hour
            say(
                f"{self.engine.name}: found {verdict.reason}; left it so, for it was restarted {limit} times within an "
                "hour, which is the limit; look at its log, or set watchdog_restarts_per_hour"
            )

    def _restart(self, verdict: Verdict) -> None:
        container = verdict.watch.container
        now = start_of(self.engine)
        if now is None or now[0] != container:
            say(f"{self.engine.name}: found {verdict.reason}; left it, for somebody stopped or restarted it just now")
            return
        number = f"{len(verdict.watch.restarts)} of {self.limits.restarts_per_hour} in an hour"
        say(f"{self.engine.name}: found {verdict.reason}; restarting {self.engine.container} ({number})")
        rc, said = restart(self.engine)
        done = "restarted" if rc == 0 else f"could not be restarted, status {rc}: {said[-500:]}"
        say(f"{self.engine.name}: {self.engine.container} {done}")

    def _doubt(self, watch: Watch) -> None:
        """Tell the door of an engine that is silent as yet, while its probe still waits."""
        look = look_at(self.engine)
        if look is not None and judge(watch, replace(look, probe=SILENT), self.limits, self.engine.task).silent:
            self._mark(True)

    def _mark(self, silent: bool) -> None:
        """Tell the door whether the engine is silent."""
        mark = pathlib.Path(self.engine.silent_mark) if self.engine.silent_mark else None
        if mark is None or mark.exists() is silent:
            return
        with contextlib.suppress(OSError):  # it is looked at, and restarted, all the same
            if silent:
                mark.touch()
                say(f"{self.engine.name}: found no answer and no movement; other hosts get what is asked meanwhile")
            else:
                mark.unlink()
                say(f"{self.engine.name}: it is asked again")

    def _say_unclear(self, status: int) -> None:
        if status not in (-1, self.unclear):
            found = f"the status {status}" if status else f"no key in {self.engine.key_file}"
            say(f"{self.engine.name}: found {found} for a probe, wanted 200; it is judged by its figures alone")
        self.unclear = status

    def _keep(self, watch: Watch) -> None:
        if watch.was_healthy and not (self.watch.was_healthy and self.watch.container == watch.container):
            say(f"{self.engine.name}: it is healthy, and watched from now on")
        before, now = _lasting(self.watch), _lasting(watch)
        self.watch = watch
        if self.record and before != now:
            draft = self.record.with_suffix(".new")
            with contextlib.suppress(OSError):  # it is remembered as long as this runs
                draft.write_text(json.dumps(now), encoding="utf-8")
                draft.replace(self.record)

    def _remembered(self) -> Watch:
        try:
            kept = json.loads(self.record.read_text(encoding="utf-8")) if self.record else {}
            restarts = tuple(float(at) for at in kept.get("restarts", ()))
            return Watch(
                container=str(kept.get("container", "")),
                was_healthy=bool(kept.get("was_healthy")),
                restarts=restarts,
                rests=bool(kept.get("rests")),
            )
        except (OSError, ValueError, TypeError, AttributeError):
            return Watch()


def _lasting(watch: Watch) -> dict[str, object]:
    return {
        "container": watch.container,
        "was_healthy": watch.was_healthy,
        "restarts": list(watch.restarts),
        "rests": watch.rests,
    }


def keep_watching(watcher: Watcher, ended: threading.Event) -> None:
    """Look again and again; what goes wrong in a look ends that look alone, for others watch other engines."""
    said = ""
    try:
        while not ended.is_set():
            begin = time.monotonic()
            try:
                watcher.look()
                said = ""
            except Exception as error:  # noqa: BLE001 what it is cannot be known; it is said once, and looked at again
                if said != repr(error):
                    said = repr(error)
                    say(f"{watcher.engine.name}: found {said[:500]} in a look at it; looking again")
            ended.wait(max(0.0, begin + watcher.limits.interval - time.monotonic()))
    finally:
        ended.set()


def main(words: Sequence[str]) -> int:
    """Watch each engine in a thread of its own, for a probe takes its time."""
    if len(words) not in (1, 2) or (len(words) == 2 and words[0] != "--check"):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        config = config_of(pathlib.Path(words[-1]).read_text(encoding="utf-8"))
    except (OSError, Wrong) as error:
        print(error, file=sys.stderr)
        return 2
    if words[0] == "--check":
        return 0
    ended = threading.Event()
    folder = os.environ.get("RUNTIME_DIRECTORY", "")
    for engine in config.engines:
        watcher = Watcher(engine, config.limits, folder)
        threading.Thread(target=keep_watching, args=(watcher, ended), name=engine.slug, daemon=True).start()
    say(f"watching {', '.join(engine.name for engine in config.engines) or 'nothing'}")
    ended.wait()
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
