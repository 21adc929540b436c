# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.secret import membership_runner
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.secret.membership import (
    fingerprints,
    former_fingerprints,
)

KNOWN = {"api_key": "a", "vllm_api_key": "b", "lobehub_key_vaults_secret": "c", "ca_certificate": "d", "tls_key": "e"}


def ensure(folder, known=None, given=(), adopt=False, check=False, former=None):
    params = {
        "path": str(folder / "etc" / "stack"),
        "fingerprints": fingerprints(KNOWN if known is None else known, given),
        "former": former or {},
        "adopt": adopt,
        "folder": "/srv/.gpuchat",
    }
    return membership_runner.ensure(params, check)


def test_a_digest_is_no_secret_and_a_secret_that_a_variable_gives_has_none():
    assert set(fingerprints(KNOWN)) == {"api_key", "ca_certificate", "lobehub_key_vaults_secret", "vllm_api_key"}
    assert not set(fingerprints(KNOWN).values()) & set(KNOWN.values())
    assert "api_key" not in fingerprints(KNOWN, ["api_key"])


def test_a_host_joins_once_and_keeps_the_file_to_root(tmp_path):
    assert ensure(tmp_path, check=True)["changed"]
    assert not (tmp_path / "etc").exists()
    assert ensure(tmp_path)["changed"]
    assert (tmp_path / "etc" / "stack").stat().st_mode & 0o777 == 0o600
    assert not ensure(tmp_path)["changed"]


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("name", ["api_key", "vllm_api_key", "lobehub_key_vaults_secret", "ca_certificate"])
def test_a_run_with_another_secret_is_refused_before_anything_changes(tmp_path, name, check):
    ensure(tmp_path)
    before = (tmp_path / "etc" / "stack").read_text()
    with pytest.raises(Refusal, match=f"stack with other secrets than those in /srv/.gpuchat: {name} ") as refusal:
        ensure(tmp_path, {**KNOWN, name: "other"}, check=check)
    assert "set gpuchat_adopt_secrets to true for one run" in str(refusal.value)
    assert (tmp_path / "etc" / "stack").read_text() == before


def test_a_host_follows_a_run_that_is_asked_for(tmp_path):
    ensure(tmp_path)
    other = {**KNOWN, "ca_certificate": "other"}
    assert ensure(tmp_path, other, adopt=True)["changed"]
    assert not ensure(tmp_path, other)["changed"]


def test_a_new_secret_and_one_that_comes_from_a_variable_now_are_no_reason_to_refuse(tmp_path):
    ensure(tmp_path, {"api_key": "a"})
    assert ensure(tmp_path, KNOWN)["changed"]
    assert not ensure(tmp_path, {**KNOWN, "api_key": "other"}, given=["api_key"])["changed"]


def test_a_host_follows_a_rotation_from_the_secrets_that_it_knows_and_from_no_others(tmp_path):
    ensure(tmp_path)
    rotated = {**KNOWN, "api_key": "new", "api_key_previous": "a", "ca_certificate": "new"}
    elsewhere = former_fingerprints({}, rotated, "_previous")  # from a checkout without the stack's secrets
    with pytest.raises(Refusal, match="stack with other secrets .*: ca_certificate "):
        ensure(tmp_path, rotated, former=elsewhere)
    assert ensure(tmp_path, rotated, former=former_fingerprints(KNOWN, rotated, "_previous"))["changed"]
    assert not ensure(tmp_path, rotated)["changed"]


def test_a_host_that_a_rotation_did_not_reach_follows_the_next_run_while_the_old_secret_is_valid(tmp_path):
    ensure(tmp_path)
    rotated = {**KNOWN, "api_key": "new", "api_key_previous": "a"}
    assert ensure(tmp_path, rotated, former=former_fingerprints(rotated, rotated, "_previous"))["changed"]


def test_without_a_rotation_there_is_nothing_former():
    assert former_fingerprints(KNOWN, KNOWN, "_previous") == {}
