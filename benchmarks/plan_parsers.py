# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts plans of many versions of vLLM to each version's own parser.

    plan_parsers.py [VERSION ...] [--samples N] [--seed N]

Without versions: the newest that the tables know, and the last release of three older minors. Of each, the sources
come from PyPI, and tools/vllm_parser.py makes the real parser of them. It is given, as files of arguments,

- for each row of the table of families a model that the row is for, on one card;
- samples, seeded: such a model or a recorded one, on one to eight of the cards that people own, with wishes.

A plan that is refused beforehand is counted, not parsed. What no vLLM takes has to be refused, or nothing is proved.
"""

from __future__ import annotations

import argparse
import itertools
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping

import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT / "module_utils"), str(ROOT / "tools")]

import vllm_facts  # noqa: E402
from gpuchat.core.errors import Refusal  # noqa: E402
from gpuchat.vllm import families, releases  # noqa: E402
from gpuchat.vllm.facts import architectures  # noqa: E402
from gpuchat.vllm.facts import families as facts  # noqa: E402
from gpuchat.vllm.facts import versions as known  # noqa: E402
from gpuchat.vllm.plan import plan_vllm  # noqa: E402

OLDER = 3
CARDS = ("NVIDIA H200", "NVIDIA L40S", "NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 3090", "NVIDIA A100-SXM4-80GB",
         "Tesla V100-SXM2-32GB", "Tesla T4", "NVIDIA B200")  # fmt: skip
MODEL = {
    "hidden_size": 4096, "intermediate_size": 12288, "num_attention_heads": 32, "num_key_value_heads": 8,
    "num_hidden_layers": 36, "vocab_size": 151936, "head_dim": 128, "max_position_embeddings": 40960,
    "torch_dtype": "bfloat16",
}  # fmt: skip
"""Sizes of some dense model; what counts here is how a family is called."""

LENGTHS = ("auto", 4096, 32768)
ARGS: tuple[dict[str, object], ...] = (
    {}, {"enable-prefix-caching": True}, {"kv-cache-dtype": "fp8"}, {"enforce-eager": True, "seed": 1},
    {"max-num-seqs": 16, "gpu-memory-utilization": 0.8}, {"tensor-parallel-size": 2}, {"quantization": "fp8"},
    {"speculative-config": {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 4}},
)  # fmt: skip
"""What people wish."""

Params = dict[str, object]
WRONG: tuple[Params, ...] = ({"max-model-length": 8}, {"max-num-seqs": "many"}, {"dtype": "int1"})
"""What each parser has to refuse: a name, a value and a choice that there are not."""


def named(pattern: str) -> str:
    """Return a name that a pattern of the table fits: of each choice the first, of what may be missing nothing."""
    text = re.sub(r"\(\?[!=<][^)]*\)", "", pattern)
    while "(" in text:
        text = re.sub(r"\(([^()|]*)(?:\|[^()]*)?\)(\?)?", lambda found: "" if found[2] else found[1], text)
    text = re.sub(r"\[([^\]\\])[^\]]*\](\?)?", lambda found: "" if found[2] else found[1], text.partition("|")[0])
    return re.sub(r"\\|\$|.\?", "", text)


def members() -> Iterator[tuple[str, Params]]:
    """Yield a model for each row of the table of families, where one can be told by its name alone."""
    of_text = [name for name, spans in architectures.ARCHITECTURES.items() if spans[-1][2] in ("text", "multimodal")]
    for number, row in enumerate(facts.FAMILIES):
        fitting = [name for name in of_text if re.fullmatch(row.kind, name)] if row.kind else ["Qwen3ForCausalLM"]
        for architecture in fitting:
            repo = f"somebody/{named(row.repo)}"
            if families.row_for({architecture}, repo, "") is row:
                config = {**MODEL, "architectures": [architecture], "model_type": "some"}
                yield f"{number:03} {row.name}", {"model_config": config, "weights_bytes": 16 << 30, "repo": repo}
                break


def recorded() -> Iterator[tuple[str, Params]]:
    for name, row in json.loads((HERE / "data" / "model_configs.json").read_text(encoding="utf-8")).items():
        yield name, {"model_config": row["config"], "weights_bytes": row["weights_bytes"], "repo": name}


def sampled(models: list[tuple[str, Params]], version: str, count: int, seed: int) -> Iterator[tuple[str, Params]]:
    chance = random.Random(f"{seed} {version}")
    for number in range(count):
        name, model = chance.choice(models)
        wished = {"max_model_len": chance.choice(LENGTHS), "extra_args": chance.choice(ARGS)}
        gpus = [{"name": chance.choice(CARDS), "count": chance.choice((1, 2, 4, 8))}]
        yield f"sample {number:04} of {name}", {**model, **wished, "gpus": gpus}


def chosen_versions() -> list[str]:
    """Return the newest version, and the last release of three older minors, spread over those with its behaviour."""
    by_minor = {releases.parse_version(version)[:2]: version for version in known.RELEASES}
    minors = sorted(minor for minor in by_minor if minor >= (0, 18))
    step = (len(minors) - 1) // OLDER
    return [by_minor[minors[-1 - step * back]] for back in range(OLDER + 1)]


def put_to_parser(version: str, plans: Mapping[str, Params]) -> dict[str, str]:
    """Return what the parser of a version says against each plan's arguments; an empty text where it takes them."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "sources").mkdir()
        sources = vllm_facts.unpack(vllm_facts.download(version, folder), folder / "sources")
        given = folder / "given"
        given.mkdir()
        for number, args in enumerate([*plans.values(), *WRONG]):
            (given / f"{number:05}.yaml").write_text(yaml.safe_dump({"model": "/model", **args}), encoding="utf-8")
        command = [sys.executable, str(ROOT / "tools" / "vllm_parser.py"), str(sources), str(given)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"vLLM {version}: its parser was not made\n{done.stderr[-3000:]}")
        said = list(json.loads(done.stdout).values())
    if not all(said[len(plans) :]):
        raise SystemExit(f"vLLM {version}: its parser takes one of {WRONG}, so nothing is proved")
    return dict(zip(plans, said[: len(plans)], strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", nargs="*", default=chosen_versions())
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    of_families, others = list(members()), list(recorded())
    print(f"{len(of_families)} of {len(facts.FAMILIES)} families, {len(others)} recorded models")
    against = 0
    for version in arguments.versions:
        one_card = ((name, {**model, "gpus": [{"name": CARDS[0], "count": 1}]}) for name, model in of_families)
        samples = sampled(of_families + others, version, arguments.samples, arguments.seed)
        plans, refused = {}, {}
        for name, params in itertools.chain(one_card, samples):
            try:
                plan = plan_vllm({**params, "vllm_version": version, "on_unfit": "report"})
            except Refusal as refusal:
                refused[name] = str(refusal)
            else:
                plans[name] = plan.as_dict()["args"]
        said = {name: words for name, words in put_to_parser(version, plans).items() if words}
        against += len(said)
        print(
            f"vLLM {version}: {len(plans)} plans, {len(refused)} refused beforehand, {len(said)} refused by its parser"
        )
        for name, words in said.items():
            print(f"  {name}: {words.strip()[-300:]}\n    {plans[name]}")
    return 1 if against else 0


if __name__ == "__main__":
    sys.exit(main())
