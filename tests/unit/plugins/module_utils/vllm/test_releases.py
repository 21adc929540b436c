# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm import releases
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.facts import versions

VERSIONS = list(versions.RELEASES)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0.32.0", (0, 32, 0)),
        ("v0.32.0", (0, 32, 0)),
        ("0.11", (0, 11, 0)),
        ("0.10.1.1", (0, 10, 1, 1)),
        ("0.8.5.post1", (0, 8, 5, 1)),
        ("v0.20.0-cu129", (0, 20, 0)),
        ("0.8.5.dev169+gce17db808", (0, 8, 5)),
        ("0.31.0rc2", (0, 31, 0)),
    ],
)
def test_a_version_or_a_tag_becomes_numbers(text, numbers):
    assert releases.parse_version(text) == numbers


@pytest.mark.parametrize("text", ["latest", "nightly", "", "v1", "0.x", "32"])
def test_what_names_no_version_is_refused(text):
    with pytest.raises(Refusal, match="set vllm_version to a released version"):
        releases.parse_version(text)


@pytest.mark.parametrize(
    ("wanted", "found", "warning"),
    [
        ("0.32.0", "0.32.0", ""),
        ("0.10.1.1", "0.10.1.1", ""),
        ("0.10.1.2", "0.10.1.1", "vLLM 0.10.1.2 is not in the tables"),
        ("0.99.0", VERSIONS[-1], f"it was judged as if it were {VERSIONS[-1]}"),
    ],
)
def test_a_version_that_the_tables_lack_is_judged_by_the_nearest_older_one(wanted, found, warning):
    judged = releases.release(wanted)
    assert judged.version == found
    assert warning in judged.warning
    assert bool(judged.warning) == bool(warning)


def test_a_version_before_0_8_is_refused():
    with pytest.raises(Refusal, match=r"found vLLM 0\.7\.3; versions from 0\.8\.0 on are served; set vllm_version"):
        releases.release("0.7.3")


@pytest.mark.parametrize(
    ("name", "version", "shown"),
    [
        ("kv_cache_usage_perc", "0.32.0", "vllm:kv_cache_usage_perc"),
        ("kv_cache_usage_perc", "0.8.5", "vllm:gpu_cache_usage_perc"),
        ("prompt_tokens", "0.8.5", "vllm:prompt_tokens_total"),
        ("prompt_tokens", "0.32.0", "vllm:prompt_tokens_total"),
        ("prefix_cache_hits", "0.8.5", "vllm:gpu_prefix_cache_hits_total"),
        ("inter_token_latency_seconds", "0.10.1", "vllm:time_per_output_token_seconds"),
        ("iteration_tokens_total", "0.32.0", "vllm:iteration_tokens_total"),
        ("num_requests_running", "0.8.0", "vllm:num_requests_running"),
    ],
)
def test_a_metric_has_the_name_that_the_version_shows(name, version, shown):
    assert releases.metric(name, version) == shown


def test_a_metric_that_a_version_lacks_is_refused():
    with pytest.raises(
        Refusal, match=r"found no metric admission_rejections in vLLM 0\.9\.0 \(it came with 0\.32\.0\)"
    ):
        releases.metric("admission_rejections", "0.9.0")


@pytest.mark.parametrize(
    ("version", "number"),
    [("0.20.1rc1.dev16+g7a1eb8ac2", (0, 20, 0)), ("0.11.0rc2.dev98+g393de22d2", (0, 11, 0)), ("0.9.0.1", (0, 9, 0, 1))],
)
def test_a_build_on_the_way_to_a_release_follows_the_rules_before_it(version, number):
    assert releases.behaves_like(version) == number
