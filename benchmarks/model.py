# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times the download of a model, ours and others', in turn in one run, from the same servers on this machine.

    model.py [--size 4G] [--rounds 3] [--folder /var/tmp] [--only loopback,line,again] [--without NAME,...]
             [--flushed] [--profile]

nginx serves the bytes, the world's hub the listings. Three questions:

loopback: how fast, when the wire is no limit? Ours with its verification; `hf download` (Xet off; it compares sizes
    only) and `modelscope download` (it compares SHA-256); `aria2c -x16 -s16` and `curl`, each followed by
    `sha256sum --check`; and the limit: `cp` and `openssl dgst -sha256` on the same disk.
line: how fast over 50 ms and 200 Mbit/s per connection? nginx's limit_rate gives the rate, netem in a network
    namespace the delay; on a kernel without netem slow_line.py does, which costs processor time that all share.
again: what does a run cost that has nothing to do, at 200 files and 400 GB (sparse)? Ours, and `hf download`.

What counts is the ratio. The model's files lie in the page cache when the first clock starts, what a download writes
is in it when the clock stops (nobody waits for the disk unless the tool itself does); between two downloads
everything is written out and the copy removed. Where memory is short, or others work on the machine, both blur.
`--flushed` lets each clock run until the disk has the copy: ours waits for that in any case, the others do not.
`--folder /dev/shm` leaves the disk out (the model lies there twice).
Memory is that of the largest process (what is below 40 MiB shows as that: it is this script's own, before exec).
Needs nginx, aria2c, curl and openssl (apt-get install nginx-light aria2 curl openssl), and .cache/hubs for the hubs'
own clients and for our download (requirements/hubs.txt: `tools/venv.sh .cache/hubs requirements/hubs.txt`).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import json
import os
import pathlib
import re
import shlex
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
HUB = ROOT / "molecule" / "world" / "images" / "hub"
CLIENTS = ROOT / ".cache" / "hubs" / "bin"
REPO = "bench/model"
SHARDS = 8
SMALL_FILES = 20
RATE = "25m"
"""nginx's bytes per second on one connection: 200 Mbit/s."""

ROUND_TRIP = 0.05
MANY_FILES, MANY_BYTES = 200, 400_000_000_000

OPTIONS = {"name": "model", "source": "huggingface", "repo": REPO}
OURS = """
import runpy, sys
sys.path.append(sys.argv.pop(1))
runpy.run_module("gpuchat_bench.library.gpuchat_model", run_name="__main__", alter_sys=True)
"""
"""Runs the module as Ansible would on a host whose Python has requests (which comes from .cache/hubs)."""

PROFILED = """
import collections, sys, threading, time
seen = collections.Counter()
def look():
    while True:
        time.sleep(0.005)
        for thread, frame in sys._current_frames().items():
            if thread != threading.get_ident():
                seen[f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno} {frame.f_code.co_name}"] += 1
threading.Thread(target=look, daemon=True).start()
import atexit, json
atexit.register(lambda: print("PROFILE", json.dumps(seen.most_common(12)), flush=True))
"""
"""Looks 200 times a second where each thread is. In C without the lock (hashing, receiving) counts as its caller."""


@dataclass(frozen=True)
class Cost:
    """What one download took: wall and processor time (seconds), the largest process (bytes), and what it said."""

    seconds: float
    processor: float
    memory: int
    output: str


@dataclass(frozen=True)
class Site:
    """Where to download from, and how to run a command that reaches it.

    Attributes:
        hub: the hub's address.
        files: nginx's address of the tree of models.
        prefix: the words before every command (a network namespace's).
    """

    hub: str
    files: str
    prefix: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """A download: from where, into which folder, and a folder for lists (which holds models/ and sums too)."""

    site: Site
    dest: pathlib.Path
    folder: pathlib.Path

    def names(self) -> list[str]:
        return _names(self.folder / "models")


# --- the contestants: each returns the commands of a download, as one shell line ---


def ours(job: Job) -> str:
    options = job.folder / "ours.json"
    arguments = {"models": [OPTIONS | {"endpoints": [job.site.hub], "path": str(job.dest)}]}
    options.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    (libraries,) = CLIENTS.parent.glob("lib/python3*/site-packages")
    return f"{ROOT}/.venv/bin/python -c {shlex.quote(OURS)} {libraries} {options}"


def hf(job: Job) -> str:
    return f"HF_ENDPOINT={job.site.hub} {CLIENTS}/hf download {REPO} --local-dir {job.dest}"


def modelscope(job: Job) -> str:
    return f"MODELSCOPE_ENDPOINT={job.site.hub} {CLIENTS}/modelscope download --model {REPO} --local_dir {job.dest}"


def aria2c(job: Job) -> str:
    urls = job.folder / "aria2c.txt"
    urls.write_text("".join(f"{job.site.files}/{REPO}/{name}\n out={name}\n" for name in job.names()))
    options = "-x16 -s16 --file-allocation=falloc --quiet"
    return f"aria2c {options} -d {job.dest} -i {urls} && cd {job.dest} && sha256sum --check --quiet {job.folder}/sums"


def curl(job: Job) -> str:
    urls = job.folder / "curl.txt"
    urls.write_text("".join(f"url={job.site.files}/{REPO}/{name}\noutput={job.dest}/{name}\n" for name in job.names()))
    options = "--parallel --fail --silent --show-error --create-dirs"
    return f"curl {options} --config {urls} && cd {job.dest} && sha256sum --check --quiet {job.folder}/sums"


def ours_profiled(job: Job) -> str:
    return ours(job).replace(shlex.quote(OURS), shlex.quote(PROFILED + OURS))


def limit(job: Job) -> str:
    copy = f"cp -r --reflink=never {job.folder}/models/{REPO} {job.dest}"
    return f"{copy} && cd {job.dest} && openssl dgst -sha256 * > /dev/null"


CONTESTANTS: dict[str, Callable[[Job], str]] = {
    "gpuchat_model": ours,
    "hf download": hf,
    "modelscope": modelscope,
    "aria2c": aria2c,
    "curl": curl,
    "limit": limit,
}


def _names(models: pathlib.Path) -> list[str]:
    return sorted(path.name for path in (models / REPO).iterdir())


# --- the model and its servers ---


def make_model(folder: pathlib.Path, size: int) -> None:
    """Write a model of 8 shards of random bytes, its index and small files, and its sums beside it."""
    model = folder / "models" / REPO
    model.mkdir(parents=True)
    shards = [f"model-{n + 1:05}-of-{SHARDS:05}.safetensors" for n in range(SHARDS)]
    for number, name in enumerate(shards):
        data = size // SHARDS
        header = json.dumps({f"layer.{number}": {"dtype": "U8", "shape": [data], "data_offsets": [0, data]}}).encode()
        with open(model / name, "wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            file.writelines(os.urandom(min(16 << 20, data - start)) for start in range(0, data, 16 << 20))
    index = {
        "metadata": {"total_size": size // SHARDS * SHARDS},
        "weight_map": {f"layer.{number}": name for number, name in enumerate(shards)},
    }
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    (model / "config.json").write_text('{"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}')
    for number in range(SMALL_FILES):
        (model / f"extra-{number}.json").write_text(json.dumps({"n": number, "fill": "x" * 20_000}))
    sums = "".join(f"{_sha256(model / name)}  {name}\n" for name in _names(folder / "models"))
    (folder / "sums").write_text(sums)


def _sha256(path: pathlib.Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def nginx_config(folder: pathlib.Path, models: pathlib.Path, port: int, rate: str) -> str:
    scratch = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off;\npid {folder}/nginx.pid;\nerror_log stderr error;\nworker_processes auto;\n"
        + ("user root;\n" if os.geteuid() == 0 else "")
        + "events { worker_connections 1024; }\n"
        + f"http {{\naccess_log off;\nsendfile on;\ntcp_nopush on;\nkeepalive_requests 100000;\n{scratch}"
        + f"server {{ listen 127.0.0.1:{port}; root {models}; limit_rate {rate}; }}\n}}\n"
    )


@contextlib.contextmanager
def running(command: Sequence[str], ports: Sequence[int], prefix: Sequence[str] = ()) -> Iterator[None]:
    """Run a server until the block ends; the block begins once its ports answer."""
    look = f"import socket; [socket.create_connection(('127.0.0.1', port), 1).close() for port in {list(ports)}]"
    with subprocess.Popen([*prefix, *command], stderr=sys.stderr, stdout=subprocess.DEVNULL) as server:
        try:
            for _turn in range(200):
                if server.poll() is not None:
                    raise SystemExit(f"{command[0]} ended with {server.returncode}")
                if _works([*prefix, sys.executable, "-c", look]):
                    break
                time.sleep(0.05)
            yield
        finally:
            server.terminate()


@contextlib.contextmanager
def site(
    folder: pathlib.Path, *, rate: str = "0", delay: float = 0.0, sums: Mapping[str, str] | None = None
) -> Iterator[Site]:
    """Serve folder/models with a rate (nginx's words) and a delay (seconds, one way) on each connection."""
    models = folder / "models"
    with contextlib.ExitStack() as stack:
        prefix = stack.enter_context(netem(delay)) if delay else ()
        hub, files, near_hub, near_files = (free_port() for _n in range(4))
        relayed = bool(delay and not prefix)
        if relayed:
            command = [
                sys.executable,
                str(HERE / "slow_line.py"),
                str(delay),
                f"{near_hub}:{hub}",
                f"{near_files}:{files}",
            ]
        else:
            near_hub, near_files = hub, files
        config = folder / "nginx.conf"
        config.write_text(nginx_config(folder, models, files, rate))
        stack.enter_context(running(["nginx", "-c", str(config), "-e", "stderr"], [files], prefix))
        words = ["--root", str(models), "--listen", f"127.0.0.1:{hub}", "--files-url", f"http://127.0.0.1:{near_files}"]
        if sums:
            (folder / "known.json").write_text(json.dumps(sums))
            words += ["--sums", str(folder / "known.json")]
        stack.enter_context(running([sys.executable, str(HUB / "hub.py"), *words], [hub], prefix))
        if relayed:
            stack.enter_context(running(command, [near_hub, near_files]))
        found = Site(f"http://127.0.0.1:{near_hub}", f"http://127.0.0.1:{near_files}", tuple(prefix))
        ask = f"import urllib.request; urllib.request.urlopen('{found.hub}/api/models/{REPO}').read()"
        subprocess.run([*prefix, sys.executable, "-c", ask], check=True)  # so that the hub knows its hashes
        yield found


@contextlib.contextmanager
def netem(delay: float) -> Iterator[tuple[str, ...]]:
    """Make a network namespace whose loopback delays each packet; nothing where the kernel (or the user) cannot."""
    name = f"gpuchat-bench-{os.getpid()}"
    prefix = ("ip", "netns", "exec", name)
    shape = ["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", f"{delay * 1000:.0f}ms", "limit", "1000000"]
    made = False
    try:
        made = _works(["ip", "netns", "add", name])
        if made:
            subprocess.run([*prefix, "ip", "link", "set", "lo", "up"], check=True)
            if _works([*prefix, *shape]):
                yield prefix
                return
        print("  no netem here: slow_line.py delays instead")
        yield ()
    finally:
        if made:
            subprocess.run(["ip", "netns", "del", name], check=True)


def _works(command: Sequence[str]) -> bool:
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0


# --- measuring ---


def measure(line: str, prefix: Sequence[str], home: pathlib.Path) -> Cost:
    """Run a shell line, which has to succeed, and return what it cost."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("HF_", "MODELSCOPE_"))},
        "HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "PYTHONPATH": str(home),
    }
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        process = subprocess.Popen([*prefix, "sh", "-c", line], env=environment, stdout=output, stderr=output)
        _pid, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read().decode()
    if process.returncode != 0:
        raise SystemExit(f"{line}\nfailed with {process.returncode}:\n{said[-3000:]}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, said)


def check(dest: pathlib.Path, folder: pathlib.Path) -> None:
    """Make sure that a copy is right, and stop everything if it is not."""
    for line in (folder / "sums").read_text().splitlines():
        digest, _space, name = line.partition("  ")
        if _sha256(dest / name) != digest:
            raise SystemExit(f"{dest}/{name} is not what the hub holds")


def compare(folder: pathlib.Path, found: Site, names: Sequence[str], rounds: int, then: str = "") -> None:
    """Let the contestants download in turn, each with what is to be done then, and print medians and ratios."""
    costs: dict[str, list[Cost]] = {name: [] for name in names}
    size = sum(path.stat().st_size for path in (folder / "models" / REPO).iterdir())
    for turn in range(rounds):
        for name in [*names[turn % len(names) :], *names[: turn % len(names)]]:
            dest = folder / "copy"
            os.sync()
            line = CONTESTANTS[name](Job(found, dest, folder)) + then
            costs[name].append(measure(line, found.prefix, folder / "home"))
            if turn == 0:
                check(dest, folder)
            shutil.rmtree(dest)
    medians = {name: statistics.median(one.seconds for one in of_name) for name, of_name in costs.items()}
    base = medians[names[0]]
    print(f"  {'':<14} {'seconds':>8} {'(all rounds)':<24} {'GB/s':>5} {'cpu s':>6} {'MiB':>5} {'of ' + names[0]:>18}")
    for name, seconds in sorted(medians.items(), key=lambda one: one[1]):
        rest = " ".join(f"{one.seconds:.1f}" for one in costs[name])
        processor = statistics.median(one.processor for one in costs[name])
        memory = max(one.memory for one in costs[name]) >> 20
        speed = size / seconds / 1e9
        ratio = f"{seconds / base:.2f} x"
        print(
            f"  {name:<14} {seconds:8.2f} ({rest + ')':<23} {speed:5.2f} {processor:6.1f} {memory:5} {ratio:>18}",
            flush=True,
        )


def profile(folder: pathlib.Path, found: Site) -> None:
    """Print where the threads of our download are, as shares of all looks at all threads."""
    job = Job(found, folder / "copy", folder)
    os.sync()
    said = measure(ours_profiled(job), found.prefix, folder / "home").output
    shutil.rmtree(job.dest)
    places = json.loads(said.partition("PROFILE ")[2].splitlines()[0])
    looks = sum(count for _place, count in places)
    for place, count in places:
        print(f"  {count / looks:6.1%} {place}")


def bounds(folder: pathlib.Path, found: Site) -> None:
    """Print what bounds every download on this machine: one thread's SHA-256, and one connection's bytes."""
    block = os.urandom(1 << 20)
    started = time.monotonic()
    digest = hashlib.sha256()
    for _n in range(1024):
        digest.update(block)
    hashing = (1 << 30) / (time.monotonic() - started)
    first = next(name for name in _names(folder / "models") if name.endswith(".safetensors"))
    started = time.monotonic()
    size = 0
    with urllib.request.urlopen(f"{found.files}/{REPO}/{first}") as answer:
        while part := answer.read(1 << 20):
            size += len(part)
    wire = size / (time.monotonic() - started)
    print(
        f"  bounds: SHA-256 {hashing / 1e9:.2f} GB/s on one thread, {wire / 1e9:.2f} GB/s on one connection", flush=True
    )


def again(folder: pathlib.Path, home: pathlib.Path, rounds: int) -> None:
    """Time a run that has nothing to do, at 200 sparse files of 2 GB, told to both tools as downloaded before."""
    model = folder / "models" / REPO
    model.mkdir(parents=True)
    (model / "config.json").write_text('{"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}')
    size = MANY_BYTES // MANY_FILES
    header = json.dumps({"w": {"dtype": "U8", "shape": [size - 70], "data_offsets": [0, size - 70]}})
    start = struct.pack("<Q", 62) + header.ljust(62).encode()
    sums = {}
    for number in range(MANY_FILES):
        path = model / f"model-{number + 1:05}-of-{MANY_FILES:05}.safetensors"
        with open(path, "wb") as file:
            file.write(start)
            file.truncate(size)
        sums[f"{REPO}/{path.name}"] = hashlib.sha256(path.name.encode()).hexdigest()
    with site(folder, sums=sums) as found:
        with urllib.request.urlopen(f"{found.hub}/api/models/{REPO}/tree/main") as answer:
            rows = json.load(answer)
        with urllib.request.urlopen(f"{found.hub}/api/models/{REPO}") as answer:
            commit = json.load(answer)["sha"]
        tools = {"gpuchat_model": (ours, as_if_ours), "hf download": (hf, as_if_hf)}
        jobs = {name: Job(found, folder / name.partition(" ")[0], folder) for name in tools}
        for name, (_line, pretend) in tools.items():
            subprocess.run(["cp", "-r", "--sparse=always", str(model), str(jobs[name].dest)], check=True)
            pretend(jobs[name].dest, commit, rows)
        lines = {name: line(jobs[name]) for name, (line, _pretend) in tools.items()}
        lines["empty module"] = f"{ROOT}/.venv/bin/python -c 'import ansible.module_utils.basic'"
        costs: dict[str, list[Cost]] = {name: [] for name in lines}
        for _turn in range(rounds):
            for name, line in lines.items():
                costs[name].append(measure(line, (), home))
    for name, of_name in costs.items():
        rest = " ".join(f"{one.seconds:.2f}" for one in of_name)
        own = re.search(r'"seconds": ([\d.]+)', of_name[-1].output)
        said = f", by its own clock {own[1]} s" if own else ""
        print(f"  {name:<14} {statistics.median(one.seconds for one in of_name):6.2f} s ({rest}){said}", flush=True)


def as_if_hf(dest: pathlib.Path, commit: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what `hf download` writes beside a file that it has downloaded (huggingface_hub's _local_folder.py)."""
    marks = dest / ".cache" / "huggingface" / "download"
    marks.mkdir(parents=True)
    for row in rows:
        etag = row["lfs"]["oid"] if "lfs" in row else row["oid"]
        (marks / f"{row['path']}.metadata").write_text(f"{commit}\n{etag}\n{time.time()}\n")


def as_if_ours(dest: pathlib.Path, commit: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the manifest that our download writes."""
    ours = importlib.import_module("gpuchat_bench.module_utils.gpuchat.model.files")
    wanted = ours.Wanted("huggingface", REPO, "main", str(dest))
    files = []
    for row in rows:
        sha256 = row["lfs"]["oid"] if "lfs" in row else _sha256(dest / row["path"])
        status = (dest / row["path"]).stat()
        files.append(ours.ModelFile(row["path"], status.st_size, sha256, mtime_ns=status.st_mtime_ns))
    (dest / ours.MANIFEST).write_text(ours.Manifest(commit, wanted.record(), tuple(files)).text())


def main() -> None:
    """Run what the command line asks for."""
    summary, _blank, text = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="4G", help="the model's size (K, M, G; default 4G)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--folder", type=pathlib.Path, default=pathlib.Path("/var/tmp"), help="scratch, on the disk in question"
    )
    parser.add_argument("--only", default="loopback,line,again")
    parser.add_argument("--without", default="", help="contestants to leave out")
    parser.add_argument("--flushed", action="store_true", help="count the time until the disk has the copy (loopback)")
    parser.add_argument("--profile", action="store_true", help="show where the time of our download goes")
    words = parser.parse_args()
    size = int(words.size.rstrip("KMG")) << {"K": 10, "M": 20, "G": 30}.get(words.size[-1], 0)
    names = [name for name in CONTESTANTS if name not in words.without.split(",")]
    with tempfile.TemporaryDirectory(prefix="gpuchat-bench-", dir=words.folder) as scratch:
        folder = pathlib.Path(scratch)
        package = folder / "home" / "gpuchat_bench"
        package.mkdir(parents=True)
        (package / "module_utils").symlink_to(ROOT / "module_utils")
        (package / "library").symlink_to(ROOT / "library")
        (folder / "many").mkdir()
        if {"loopback", "line"} & set(words.only.split(",")):
            make_model(folder, size)
        if "loopback" in words.only:
            print(f"a model of {words.size} over loopback (medians of {words.rounds}, in turn)")
            with site(folder) as found:
                bounds(folder, found)
                compare(folder, found, names, words.rounds, f" && sync -f {folder}" if words.flushed else "")
                if words.profile:
                    profile(folder, found)
        if "line" in words.only:
            print(f"\na model of {words.size} over {ROUND_TRIP * 1000:.0f} ms and 200 Mbit/s per connection")
            with site(folder, rate=RATE, delay=ROUND_TRIP / 2) as found:
                compare(folder, found, [name for name in names if name != "limit"], words.rounds)
                if words.profile:
                    profile(folder, found)
        if "again" in words.only:
            print(f"\nnothing to do, {MANY_FILES} files and {MANY_BYTES / 1e9:.0f} GB")
            sys.path.insert(0, str(folder / "home"))
            again(folder / "many", folder / "home", words.rounds)


if __name__ == "__main__":
    main()
