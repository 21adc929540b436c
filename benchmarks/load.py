# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lays the figures of playbooks/load.yml beside those of `vllm bench serve`, on the same engine and the same work.

    load.py IMAGE MODEL [--users N] [--seconds N] [--rounds N] [--docker WORDS] [-- OPTION_OF_VLLM...]

IMAGE is vLLM's, MODEL a folder with a model that chats. The engine runs on this machine's loopback; both ask it in
turn, ours for some seconds and the bench for as many answers, with the same users, prompts of the same words, and
answers of the same length. Who is first changes with the round, for the second finds a warmer engine.

Exit status: 0 the medians of all rounds are within the limit of each other, 1 they are not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import pathlib
import random
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "module_utils"))

from gpuchat.load import figures, work  # noqa: E402
from gpuchat.load.runner import Edge, Load, Place  # noqa: E402

NAME = "gpuchat-bench-load"
SERVED = "measured"
OURS = "ours"
"""By this word the program asks itself, in its container."""

START_SECONDS = 900
LIMIT = 0.15
"""How far medians may lie apart: two runs of either alone do as much on two busy cores."""

MEDIANS = {
    "ttft_ms": "median_ttft_ms",
    "tpot_ms": "median_tpot_ms",
    "itl_ms": "median_itl_ms",
    "e2el_ms": "median_e2el_ms",
    "output_throughput": "output_throughput",
    "request_throughput": "request_throughput",
}
"""Our figures, and what the bench calls the same."""


def main(words: Sequence[str]) -> int:
    if words[:1] == [OURS]:
        print(json.dumps(ours(**json.loads(words[1]))))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--users", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument(
        "--prompt-tokens", type=int, default=256, help="at most 900, for the bench leaves longer ones out"
    )
    parser.add_argument("--answer-tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--port", type=int, default=18000)
    parser.add_argument("--docker", default="", help="further words for `docker run`, such as '--gpus all'")
    parser.add_argument("--json", type=pathlib.Path, help="where to write all figures")
    given = list(words)
    end = given.index("--") if "--" in given else len(given)
    options = parser.parse_args(given[:end])
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(1))  # the engine has to go
    start(options, given[end + 1 :])
    try:
        wait(options.port)
        rounds = [one_round(options, number) for number in range(-1, options.rounds)][1:]  # the first warms it up
    finally:
        subprocess.run(["docker", "rm", "--force", NAME], capture_output=True, check=False)
    if options.json:
        options.json.write_text(json.dumps(rounds, indent=1), encoding="utf-8")
    return report(rounds)


def start(options: argparse.Namespace, of_vllm: Sequence[str]) -> None:
    """Start the engine on the loopback."""
    command = ["docker", "run", "--detach", "--rm", "--name", NAME, "--network", "host", "--shm-size", "1g"]
    command += [
        *shlex.split(options.docker),
        "--volume",
        f"{options.model.resolve()}:/model:ro",
        "--entrypoint",
        "vllm",
    ]
    command += [options.image, "serve", "/model", "--served-model-name", SERVED, "--host", "127.0.0.1"]
    subprocess.run([*command, "--port", str(options.port), *of_vllm], check=True, stdout=subprocess.DEVNULL)


def wait(port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
        there = subprocess.run(["docker", "inspect", NAME], capture_output=True, check=False)
        if there.returncode != 0:
            raise SystemExit("the engine has ended before it answered; start it by hand to see why")
    raise SystemExit(f"the engine does not answer after {START_SECONDS} s")


def one_round(options: argparse.Namespace, number: int) -> dict[str, Any]:
    """Let both ask, in turn; the one that is bound by its time says how much the other one has to ask."""
    if number % 2:
        made, asked = load(options)
        return {"ours": made, "theirs": bench(options, asked, made["completed"])}
    words = load(argparse.Namespace(**{**vars(options), "seconds": 2}))[1]
    theirs = bench(options, words, max(options.users, math.ceil(options.seconds * 2)))
    again = argparse.Namespace(**{**vars(options), "seconds": max(2, round(theirs["duration"]))})
    return {"ours": load(again)[0], "theirs": theirs}


def load(options: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Ask as the play does; return the figures, and the words of a prompt.

    It runs in a container too: each has its share of the processors, whatever else goes on outside, and who waits for
    a processor reads several chunks at once.
    """
    names = ("port", "users", "seconds", "prompt_tokens", "answer_tokens")
    asked = json.dumps({name: getattr(options, name) for name in names})
    command = ["docker", "run", "--rm", "--network", "host", "--volume", f"{HERE.parent}:/gpuchat:ro"]
    command += ["--entrypoint", "python3", options.image, "-B", f"/gpuchat/benchmarks/{pathlib.Path(__file__).name}"]
    done = subprocess.run([*command, OURS, asked], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the load has failed:\n{(done.stdout + done.stderr)[-4000:]}")
    found, words = json.loads(done.stdout)
    if found["failed"] or not found["completed"]:
        raise SystemExit(f"the load has failed: {found['errors']}")
    return found, words


def ours(port: int, users: int, seconds: int, prompt_tokens: int, answer_tokens: int) -> tuple[dict[str, Any], int]:
    """Ask, in this process."""
    edge = Edge(Place("127.0.0.1", port, plain=True), "", 1000, users)
    one = Load(edge, work.Target(SERVED, SERVED), work.Wish(users, seconds, prompt_tokens, answer_tokens))
    asyncio.run(one.run(lambda: False))
    return figures.measure(one.requests, one.gaps.values, one.seconds), one.words


def bench(options: argparse.Namespace, words: int, count: int) -> dict[str, Any]:
    """Let `vllm bench serve` ask for some answers; return its own figures."""
    pick = random.Random(os.urandom(16)).randrange
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder).chmod(0o777)  # the image may have a user of its own
        # In ShareGPT's form, which the bench reads without pandas: a question, and an answer that counts for nothing.
        asked = [{"conversations": [{"value": work.prompt(words, pick)}, {"value": "."}]} for _place in range(count)]
        pathlib.Path(folder, "prompts.json").write_text(json.dumps(asked), encoding="utf-8")
        command = ["docker", "run", "--rm", "--network", "host", "--volume", f"{folder}:/bench"]
        command += ["--volume", f"{options.model.resolve()}:/model:ro", "--entrypoint", "vllm", options.image]
        command += ["bench", "serve", "--backend", "openai-chat", "--endpoint", "/v1/chat/completions"]
        command += ["--base-url", f"http://127.0.0.1:{options.port}", "--model", "/model"]
        command += ["--served-model-name", SERVED, "--dataset-name", "sharegpt"]
        command += ["--dataset-path", "/bench/prompts.json", "--sharegpt-output-len", str(options.answer_tokens)]
        command += ["--num-prompts", str(count), "--max-concurrency", str(options.users), "--ignore-eos"]
        command += ["--temperature", "0", "--percentile-metrics", "ttft,tpot,itl,e2el", "--disable-tqdm"]
        command += ["--metric-percentiles", "50,90,99", "--save-result", "--result-dir", "/bench"]
        done = subprocess.run(
            [*command, "--result-filename", "result.json"], capture_output=True, text=True, check=False
        )
        result = pathlib.Path(folder, "result.json")
        if done.returncode != 0 or not result.exists():
            raise SystemExit(f"vllm bench serve has failed:\n{(done.stdout + done.stderr)[-4000:]}")
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return {name: value for name, value in found.items() if isinstance(value, (int, float, str))}


def median_of(mine: Mapping[str, Any], theirs: Mapping[str, Any], name: str) -> tuple[float, float]:
    return float(figures.main_value(mine, name) or math.nan), float(theirs[MEDIANS[name]])


def report(rounds: Sequence[Mapping[str, Any]]) -> int:
    """Print the medians of all rounds side by side; return the exit status."""
    first = rounds[0]
    print(
        f"{len(rounds)} rounds; ours {[one['ours']['completed'] for one in rounds]} answers, "
        f"the bench {[one['theirs']['completed'] for one in rounds]}"
    )
    for who in ("ours", "theirs"):
        one = first[who]
        print(
            f"{who}: {one['total_input_tokens'] / one['completed']:.0f} tokens asked, "
            f"{one['total_output_tokens'] / one['completed']:.0f} answered"
        )
    print(f"\n{'median':<22}{'ours':>10}{'bench':>10}{'ratio':>8}   by round")
    apart = []
    for name in MEDIANS:
        pairs = [median_of(one["ours"], one["theirs"], name) for one in rounds]
        mine, theirs = (statistics.median(values) for values in zip(*pairs, strict=True))
        by_round = " ".join(f"{a / b:.2f}" for a, b in pairs)
        print(f"{name:<22}{mine:>10.2f}{theirs:>10.2f}{mine / theirs:>8.2f}   {by_round}")
        if abs(mine / theirs - 1) > LIMIT:
            apart.append(name)
    print(f"\nmore than {LIMIT:.0%} apart: {', '.join(apart)}" if apart else f"\nall within {LIMIT:.0%}")
    return 1 if apart else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
