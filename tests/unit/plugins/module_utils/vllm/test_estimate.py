# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm.estimate import (
    REACHED_BANDWIDTH,
    STEP_SECONDS,
    Machine,
    Work,
    all_reduce_seconds,
    estimate,
    prefill_rate,
    rounded,
    step_seconds,
    touched,
)
from hypothesis import given
from hypothesis import strategies as st

WORK = Work(
    layers=32,
    width=4096,
    dense_bytes=15e9,
    expert_bytes=0,
    expert_share=0,
    active_weights=7.5e9,
    kv_bytes_per_token=131072,
    file_bytes=16e9,
)
MIXED = replace(WORK, dense_bytes=2e9, expert_bytes=28e9, expert_share=8 / 128, active_weights=3e9)
A100 = Machine(bandwidth=2.0e12, arithmetic=312e12)


def test_one_conversation_waits_for_the_weights_to_be_read():
    reading = 15e9 / (2.0e12 * REACHED_BANDWIDTH)
    assert step_seconds(WORK, A100, 1, 0) == pytest.approx(reading + STEP_SECONDS)


def test_a_long_conversation_waits_for_its_cache_too():
    reading = (15e9 + 32768 * 131072) / (2.0e12 * REACHED_BANDWIDTH)
    assert step_seconds(WORK, A100, 1, 32768) == pytest.approx(reading + STEP_SECONDS)


def test_many_conversations_wait_for_the_arithmetic():
    weak = replace(A100, arithmetic=1e12)
    assert step_seconds(WORK, weak, 64, 0) == pytest.approx(64 * 2 * 7.5e9 / 0.5e12 + STEP_SECONDS)


def test_one_token_reads_its_own_experts_and_a_large_batch_reads_all():
    assert touched(8 / 128, 1) == 8 / 128
    assert touched(8 / 128, 1000) == pytest.approx(1)
    assert step_seconds(MIXED, A100, 1, 0) < step_seconds(MIXED, A100, 64, 0) / 3


def test_a_ring_of_one_sends_nothing_and_of_many_twice_the_data():
    assert all_reduce_seconds(1e9, A100) == 0
    many = all_reduce_seconds(150e9, replace(A100, tensor_parallel_size=1000))
    assert many == pytest.approx(2, rel=0.01)


def test_links_matter_to_tensor_parallelism_alone():
    split, staged = replace(A100, tensor_parallel_size=4), replace(A100, pipeline_parallel_size=4)
    for machine, is_slower in ((split, True), (staged, False)):
        apart = replace(machine, is_linked=False)
        assert (step_seconds(WORK, apart, 8, 0) > step_seconds(WORK, machine, 8, 0)) is is_slower


def test_a_pipeline_shares_arithmetic_and_cache_but_each_part_of_a_batch_reads_all_weights():
    staged = replace(A100, pipeline_parallel_size=4)
    assert step_seconds(WORK, staged, 1, 0) == step_seconds(WORK, A100, 1, 0)
    assert step_seconds(WORK, staged, 4, 0) == pytest.approx(step_seconds(WORK, A100, 4, 0), rel=0.02)
    assert step_seconds(WORK, staged, 8192, 0) < step_seconds(WORK, A100, 8192, 0) / 3
    assert step_seconds(WORK, staged, 256, 32768) < step_seconds(WORK, A100, 256, 32768) / 3


@pytest.mark.parametrize("stages", [1, 2, 4, 10])
@pytest.mark.parametrize("batch", [1, 4, 64, 1024])
def test_in_company_nobody_is_served_faster_than_alone(stages, batch):
    described = estimate(WORK, replace(A100, pipeline_parallel_size=stages), batch, 4096)
    assert described.decode_full_each <= described.decode_alone


def test_replicas_multiply_the_sum_and_not_the_speed_of_one():
    one, four = (estimate(WORK, replace(A100, replicas=count), 8, 4096) for count in (1, 4))
    assert four.decode_full == pytest.approx(4 * one.decode_full, rel=0.06)
    assert (four.decode_alone, four.decode_full_each) == (one.decode_alone, one.decode_full_each)
    assert (one.batch, four.batch) == (8, 32)


def test_reading_prompts_is_bound_by_arithmetic():
    assert prefill_rate(WORK, A100) == pytest.approx(312e12 * 0.5 / (2 * 7.5e9), rel=0.1)


def test_the_weights_load_as_fast_as_a_disk_reads():
    assert estimate(WORK, A100, 1, 0).load_seconds == (8.0, 80.0)


@pytest.mark.parametrize(("number", "described"), [(1234.5, 1200), (0.0567, 0.057), (99.6, 100), (5, 5)])
def test_an_estimate_has_two_figures(number, described):
    assert rounded(number) == described


@given(st.integers(1, 500), st.integers(0, 100_000), st.sampled_from([WORK, MIXED]))
def test_one_more_conversation_slows_each_and_speeds_up_all(batch, context, work):
    fewer, more = (step_seconds(work, A100, count, context) for count in (batch, batch + 1))
    assert more >= fewer
    assert (batch + 1) / more >= batch / fewer * (1 - 1e-9) or work is MIXED
