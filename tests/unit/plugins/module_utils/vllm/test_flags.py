# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
import yaml
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.units import GIB
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm import flags, releases
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.facts import memory, versions
from hypothesis import given
from hypothesis import strategies as st

VERSIONS = list(versions.RELEASES)


@pytest.mark.parametrize(
    ("args", "version"),
    [
        ({"max-model-len": "32k"}, "0.8.5"),
        ({"max_model_len": 32768}, "0.8.0"),
        ({"max-model-len": "auto"}, "0.32.0"),
        ({"max-model-len": -1}, "0.16.0"),
        ({"gpu-memory-utilization": "0.9"}, "0.32.0"),
        ({"tensor-parallel-size": "2"}, "0.32.0"),
        ({"enable-prefix-caching": False, "no-enable-chunked-prefill": True}, "0.32.0"),
        ({"disable-prefix-caching": True}, "0.33.0"),
        ({"device-memory-utilization": 0.9}, "0.33.0"),
        ({"served-model-name": "a"}, "0.32.0"),
        ({"served-model-name": ["a", "b"]}, "0.32.0"),
        ({"speculative-config": {"method": "ngram"}}, "0.32.0"),
        ({"speculative-config": '{"method": "ngram"}'}, "0.32.0"),
        ({"compilation-config.mode": 3}, "0.32.0"),
        ({"hf-overrides": {"rope_theta": 1}}, "0.9.2"),
        ({"tool-call-parser": "mine", "tool-parser-plugin": "/mine.py"}, "0.32.0"),
        ({"reasoning-parser": ""}, "0.32.0"),
        ({"hf-token": True}, "0.32.0"),
        ({"tokenizer-mode": "mine"}, "0.32.0"),
        ({"block-size": "16"}, "0.12.0"),
    ],
)
def test_arguments_that_the_version_takes_pass(args, version):
    assert flags.check_args(args, version, "vllm_args") == ()


@pytest.mark.parametrize(
    ("args", "version", "message"),
    [
        (
            {"max-seq-len-to-capture": 8192},
            "0.32.0",
            (
                "found max-seq-len-to-capture in vllm_args; vLLM 0.32.0 does not know it (0.10.2 was the "
                "last version with "
                "it); remove it, CUDA graphs now serve sequences of any length"
            ),
        ),
        (
            {"disable-log-requests": True},
            "0.32.0",
            (
                "found disable-log-requests in vllm_args; vLLM 0.32.0 does not know it (0.16.0 was the last "
                "version with "
                "it); remove it, requests are logged only where enable-log-requests is true"
            ),
        ),
        (
            {"guided-decoding-backend": "xgrammar"},
            "0.20.0",
            (
                "found guided-decoding-backend in vllm_args; vLLM 0.20.0 does not know it (0.11.2 was the last version "
                "with it); give structured-outputs-config instead"
            ),
        ),
        (
            {"device-ids": "0,1"},
            "0.16.0",
            (
                "found device-ids in vllm_args; vLLM 0.16.0 does not know it (it came with 0.24.0); remove it or set "
                "vllm_version to 0.24.0 or newer"
            ),
        ),
        (
            {"max-modle-len": 1},
            "0.32.0",
            "found max-modle-len in vllm_args; vLLM 0.32.0 does not know it; did you mean max-model-len?",
        ),
        (
            {"batch_timeout_ms": 5},
            "0.32.0",
            "found batch-timeout-ms in vllm_args; vLLM 0.32.0 does not know it; remove it",
        ),
        (
            {"max-model-len": "auto"},
            "0.9.2",
            "found 'auto' as vllm_args.max-model-len; vLLM 0.9.2 wants a whole number, or one like 32k there",
        ),
        (
            {"tensor-parallel-size": "two"},
            "0.32.0",
            "found 'two' as vllm_args.tensor-parallel-size; vLLM 0.32.0 wants a whole number there",
        ),
        (
            {"tensor-parallel-size": True},
            "0.32.0",
            "found True as vllm_args.tensor-parallel-size; vLLM 0.32.0 wants a whole number there",
        ),
        (
            {"trust-remote-code": "yes"},
            "0.32.0",
            "found 'yes' as vllm_args.trust-remote-code; vLLM 0.32.0 wants true or false there",
        ),
        (
            {"speculative-config": "ngram"},
            "0.32.0",
            "found 'ngram' as vllm_args.speculative-config; vLLM 0.32.0 wants a mapping there",
        ),
        *(
            (
                {flag: value},
                "0.32.0",
                f"found {value!r} as vllm_args.{flag}; vLLM 0.32.0 wants a mapping there",
            )
            for flag, value in (
                ("limit-mm-per-prompt", 4),
                ("limit-mm-per-prompt", "4"),
                ("limit-mm-per-prompt", ["image"]),
                ("mm-processor-kwargs", "null"),
                ("kv-transfer-config", '"x"'),
                ("override-generation-config", "[1]"),
                ("attention-config", 0),
            )
        ),
        (
            {"allowed-origins": {"a": 1}},
            "0.32.0",
            "found {'a': 1} as vllm_args.allowed-origins; vLLM 0.32.0 wants a list there",
        ),
        *(
            (
                {"cpu-offload-gb": value},
                "0.32.0",
                f"found {value!r} as vllm_args.cpu-offload-gb; vLLM 0.32.0 wants a number there",
            )
            for value in (float("nan"), float("inf"), "nan", "-inf")
        ),
        (
            {"port.low": 3},
            "0.32.0",
            "found port.low in vllm_args; port is no mapping in vLLM 0.32.0",
        ),
        (
            {"seed": None},
            "0.32.0",
            "found no value for vllm_args.seed; vLLM 0.32.0 wants a whole number there; remove it to leave it",
        ),
        (
            {"kv_cache_dtype": "fp9"},
            "0.16.0",
            (
                "found fp9 as vllm_args.kv_cache_dtype; vLLM 0.16.0 knows auto, bfloat16, fp8, fp8_ds_mla, fp8_e4m3, "
                "fp8_e5m2, fp8_inc; did you mean fp8?"
            ),
        ),
        (
            {"tool-call-parser": "openai"},
            "0.10.1.1",
            (
                "found openai as vllm_args.tool-call-parser; vLLM 0.10.1.1 has no such parser (it came with "
                "0.10.2); set "
                "vllm_version to 0.10.2 or newer"
            ),
        ),
        (
            {"tool-call-parser": "qwen3coder"},
            "0.32.0",
            "found qwen3coder as vllm_args.tool-call-parser; vLLM 0.32.0 has no such parser; did you mean qwen3_coder?",
        ),
        (
            {"reasoning-parser": "GptOss"},
            "0.32.0",
            (
                "found GptOss as vllm_args.reasoning-parser; vLLM 0.32.0 has no such parser (0.10.1.1 was "
                "the last version "
                "with it); its name is openai_gptoss now"
            ),
        ),
        (
            {"tool-call-parser": "zzz"},
            "0.8.5",
            (
                "found zzz as vllm_args.tool-call-parser; vLLM 0.8.5 has no such parser; "
                "it has granite, granite-20b-fc, hermes, internlm, jamba, llama3_json, llama4_json, "
                "mistral, phi4_mini_json, "
                "pythonic"
            ),
        ),
        (
            {"-tp": 2},
            "0.32.0",
            "found tp in vllm_args; vLLM 0.32.0 does not know it; give tensor-parallel-size, its long name, instead",
        ),
        (
            {"q": "fp8"},
            "0.32.0",
            "found q in vllm_args; vLLM 0.32.0 does not know it; give quantization, its long name, instead",
        ),
        (
            {"block-size": -1},
            "0.32.0",
            "found -1 as vllm_args.block-size; vLLM 0.32.0 wants a whole number from 1 there",
        ),
        ({"block_size": 0}, "0.32.0", "found 0 as vllm_args.block_size; vLLM 0.32.0 wants a whole number from 1 there"),
        ({"swap-space": "-1"}, "0.16.0", "found '-1' as vllm_args.swap-space; vLLM 0.16.0 wants a number from 0 there"),
        (
            {"cpu-offload-gb": -0.5},
            "0.9.2",
            "found -0.5 as vllm_args.cpu-offload-gb; vLLM 0.9.2 wants a number from 0 there",
        ),
        ({"max-loras": 0}, "0.11.0", "found 0 as vllm_args.max-loras; vLLM 0.11.0 wants a whole number from 1 there"),
        (
            {"stream-interval": 0},
            "0.33.0",
            "found 0 as vllm_args.stream-interval; vLLM 0.33.0 wants a whole number from 1 there",
        ),
        (
            {"max-logprobs": -2},
            "0.32.0",
            "found -2 as vllm_args.max-logprobs; vLLM 0.32.0 wants a whole number from -1 there",
        ),
        (
            {"seed": -1},
            "0.32.0",
            "found -1 as vllm_args.seed; vLLM 0.32.0 wants a whole number from 0 and up to 4294967295 there",
        ),
        (
            {"watermark": 1},
            "0.33.0",
            "found 1 as vllm_args.watermark; vLLM 0.33.0 wants a number from 0 and below 1 there",
        ),
        (
            {"kv-cache-metrics-sample": 0},
            "0.33.0",
            "found 0 as vllm_args.kv-cache-metrics-sample; vLLM 0.33.0 wants a number above 0 and up to 1 there",
        ),
        (
            {"max-num-scheduled-tokens": 0},
            "0.33.0",
            "found 0 as vllm_args.max-num-scheduled-tokens; vLLM 0.33.0 wants a whole number from 1 there",
        ),
        (
            {"load_format": "gguf"},
            "0.32.0",
            (
                "found gguf as vllm_args.load_format; vLLM 0.32.0 does not load such weights (0.23.0 was the last "
                "version that does); remove it, and set the model's repo or path to safetensors"
            ),
        ),
        (
            {"load-format": "safetensor"},
            "0.32.0",
            ("found safetensor as vllm_args.load-format; vLLM 0.32.0 has no such loader; did you mean safetensors?"),
        ),
    ],
)
def test_what_the_version_does_not_take_is_refused_with_the_hint(args, version, message):
    with pytest.raises(Refusal) as refused:
        flags.check_args(args, version, "vllm_args")
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("loader", "version"), [("gguf", "0.23.0"), ("gguf", "0.10.0"), ("auto", "0.32.0"), ("fastsafetensors", "0.32.0")]
)
def test_a_loader_that_the_version_has_is_taken(loader, version):
    assert flags.check_args({"load-format": loader}, version, "vllm_args") == ()


@pytest.mark.parametrize(
    ("args", "version", "warning"),
    [
        ({"disable-log-requests": True}, "0.16.0", "vllm_args.disable-log-requests is deprecated in vLLM 0.16.0"),
        ({"task": "generate"}, "0.12.0", "vllm_args.task is deprecated in vLLM 0.12.0"),
        (
            {"quantization": "bitsandbytes"},
            "0.32.0",
            (
                "vllm_args.quantization is bitsandbytes, which vLLM 0.32.0 does not know without a plugin "
                "(0.27.1 was the "
                "last version with it)"
            ),
        ),
        (
            {"load-format": "netloader"},
            "0.32.0",
            "vllm_args.load-format is netloader, which vLLM 0.32.0 does not know without a plugin",
        ),
        ({"seed": 1}, "0.99.0", releases.release("0.99.0").warning),
    ],
)
def test_what_works_with_a_catch_is_warned_of(args, version, warning):
    assert flags.check_args(args, version, "vllm_args") == (warning,)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_default_passes_its_own_check(version):
    for flag in flags.known_flags(version).values():
        plain = flag.default is not None and not str(flag.default).startswith("<")
        if plain and flag.default not in ("", (), {}) and not flag.deprecated:
            flags.check_args({flag.name: flag.default}, version, "vllm_args")


def loaded(forms, reads_false, reads_lists, reads_mappings):
    """Return the words that a version's ``--config`` makes of a file; those of old versions read less."""
    words = []
    for key, value in yaml.safe_load(yaml.safe_dump(forms, sort_keys=False)).items():
        if isinstance(value, bool):
            words += [f"--{key}"] if value else [f"--no-{key}"] if reads_false else []
        elif isinstance(value, list) and reads_lists:
            words += [f"--{key}", *map(str, value)]
        elif isinstance(value, dict) and reads_mappings:
            words += [f"--{key}", json.dumps(value)]
        else:
            words += [f"--{key}", str(value)]
    return words


ARGS = {
    "enable_prefix_caching": False,
    "trust-remote-code": False,
    "enforce-eager": True,
    "hf_overrides": {"rope_parameters": {"factor": 2.0}},
    "served-model-name": ["a"],
    "allowed-origins": ["https://chat.example.com"],
    "max-model-len": 4096,
}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_versions_reader_makes_the_same_of_a_configuration_file(version):
    forms = flags.config_file(ARGS, version)
    numbers = releases.parse_version(version)
    words = loaded(forms, numbers >= (0, 28), numbers >= (0, 10, 2), numbers >= (0, 15))
    assert words == [
        "--no-enable-prefix-caching",
        "--enforce-eager",
        "--hf-overrides",
        '{"rope_parameters": {"factor": 2.0}}',
        "--served-model-name",
        "a",
        "--allowed-origins",
        '["https://chat.example.com"]',
        "--max-model-len",
        "4096",
    ]


def test_a_list_that_an_old_reader_cannot_take_is_refused():
    args = {"served-model-name": ["a", "b"]}
    assert flags.config_file(args, "0.10.2") == args
    with pytest.raises(Refusal, match=r"set one or set vllm_version to 0\.10\.2 or newer"):
        flags.config_file(args, "0.10.1.1")


def test_a_double_no_is_a_yes():
    assert flags.config_file({"no-enable-prefix-caching": False}, "0.32.0") == {"enable-prefix-caching": True}


NAMES = sorted(flags.known_flags("0.32.0"))


@given(st.dictionaries(st.sampled_from(NAMES), st.booleans() | st.integers(0, 9) | st.text("abc"), max_size=4))
def test_arguments_in_a_configuration_file_are_still_known(args):
    known = flags.known_flags("0.32.0")
    for name in flags.config_file(args, "0.32.0"):
        assert name in known or name.removeprefix("no-") in known


@pytest.mark.parametrize(
    ("version", "gib", "name", "tokens", "sequences"),
    [
        ("0.8.0", 80, "NVIDIA H100 80GB HBM3", 8192, 1024),
        ("0.8.0", 80, "NVIDIA A100-SXM4-80GB", 2048, 1024),
        ("0.8.4", 24, "NVIDIA GeForce RTX 4090", 2048, 256),
        ("0.8.5", 80, "NVIDIA A100-SXM4-80GB", 8192, 1024),
        ("0.9.2", 79.2, "NVIDIA A100-SXM4-80GB", 2048, 256),
        ("0.9.2", 79.2, "NVIDIA H100 80GB HBM3", 8192, 1024),
        ("0.27.0", 178, "NVIDIA B200", 8192, 1024),
        ("0.28.0", 178, "NVIDIA B200", 16384, 1024),
        ("0.32.0", 69.9, "NVIDIA H100 80GB HBM3", 2048, 256),
        ("0.32.0", 70, "NVIDIA H100 80GB HBM3", 8192, 1024),
        ("0.33.0", 119, "NVIDIA GB10", 2048, 256),
    ],
)
def test_batches_default_by_version_and_gpu(version, gib, name, tokens, sequences):
    found = flags.defaults_for(version, int(gib * GIB), name)
    assert (found.max_num_batched_tokens, found.max_num_seqs) == (tokens, sequences)


def test_the_share_of_a_gpu_changes_where_upstream_changed_it():
    old, new = (flags.defaults_for(version, 24 * GIB) for version in ("0.16.0", "0.20.0"))
    assert (old.gpu_memory_utilization, new.gpu_memory_utilization) == (0.9, 0.92)


def test_graphs_are_counted_from_the_version_on_that_takes_them_off_the_cache_by_itself():
    first = next(since for since, _last, value in versions.DEFAULTS["estimate_cuda_graphs"] if value)
    assert releases.parse_version(first)[:2] == memory.GRAPHS_COUNTED_SINCE


@pytest.mark.parametrize(
    ("version", "capability", "engine"),
    [
        ("0.8.5", "7.5", "v0"),
        ("0.8.5", "8.0", "v1"),
        ("0.10.1.1", "7.0", "v0"),
        ("0.10.2", "7.5", "v1"),
        ("0.32.0", "12.0", "v1"),
    ],
)
def test_the_old_engine_serves_what_the_new_one_could_not(version, capability, engine):
    assert flags.engine(version, capability) == engine


@pytest.mark.parametrize(
    "args",
    [
        {"limit-mm-per-prompt": {"image": 4}},
        {"limit-mm-per-prompt": '{"image": 4}'},
        {"compilation-config": 3},
        {"compilation-config": '{"cudagraph_mode": "NONE"}'},
        {"allowed-origins": ["https://a"]},
        {"allowed-methods": '["GET"]'},
        {"kv-transfer-config": {"kv_connector": "LMCacheConnectorV1"}},
        {"cpu-offload-gb": "4.5"},
        {"cpu-offload-gb": 8},
    ],
)
def test_mappings_lists_and_numbers_pass_as_themselves_and_as_text(args):
    assert flags.check_args(args, "0.32.0", "vllm_args") == ()
