# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What LobeHub is told of the models, and which settings a version takes."""

from __future__ import annotations

import json
import pathlib

import pytest
import yaml
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat import lobehub, neighbours
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat.facts import lobehub as facts
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.served import Served

from .test_neighbours import interface

READ_WHOLE, NEWEST = "2.1.26", "2.2.19"
ROLE = pathlib.Path(__file__).parents[5] / "roles" / "lobehub"
MODELS = (Served("qwen3-8b", tool_calls=True, context=32768), Served("small"), Served("bge-m3", "embed"))


def environment(*served, version=READ_WHOLE):
    return lobehub.wire(served, version).environment


def test_the_models_that_are_served_are_offered_and_no_others():
    assert environment(*MODELS)["VLLM_MODEL_LIST"] == "-all,+qwen3-8b=qwen3-8b<32768:fc>,+small=small<0>"
    sees = Served("vl", context=4096, vision=True)
    assert environment(sees)["VLLM_MODEL_LIST"] == "-all,+vl=vl<4096:vision>"
    assert environment()["VLLM_MODEL_LIST"] == "-all"


def test_people_meet_the_first_model_and_it_does_the_work_behind_the_page():
    wired = environment(*MODELS)
    assert wired["DEFAULT_AGENT_CONFIG"] == 'model="qwen3-8b";provider=vllm'
    assert wired["SYSTEM_AGENT"] == "default=vllm/qwen3-8b"
    assert not {"DEFAULT_AGENT_CONFIG", "SYSTEM_AGENT"} & set(environment())


def test_files_are_offered_where_a_model_embeds_them():
    wired = lobehub.wire(MODELS, READ_WHOLE)
    assert wired.environment["DEFAULT_FILES_CONFIG"] == "embedding_model=vllm/bge-m3"
    assert (wired.feature_flags, wired.environment.get("CHUNKS_AUTO_EMBEDDING")) == ("", None)
    without = lobehub.wire(MODELS[:2], READ_WHOLE)
    assert "DEFAULT_FILES_CONFIG" not in without.environment
    assert (without.feature_flags, without.environment["CHUNKS_AUTO_EMBEDDING"]) == ("-knowledge_base", "0")


@pytest.mark.parametrize(
    ("dimensions", "askable", "offered"),
    [
        pytest.param(None, None, True, id="somebody else's, of which no plan says"),
        pytest.param(1024, (1024,), True, id="its own length"),
        pytest.param(2560, (), True, id="longer, and can be cut"),
        pytest.param(2560, (512, 1024), True, id="longer, and can be cut so"),
        pytest.param(2560, (512,), False, id="longer, and cannot be cut so"),
        pytest.param(4096, None, False, id="longer, and cannot be cut"),
        pytest.param(1024, None, False, id="its own length, which its engine refuses to be asked for"),
        pytest.param(384, (), False, id="shorter"),
    ],
)
def test_files_are_offered_with_vectors_that_its_database_holds_and_else_the_owner_is_told(
    dimensions, askable, offered
):
    wired = lobehub.wire([Served("e", "embed", dimensions=dimensions, askable_dimensions=askable)], READ_WHOLE)
    assert ("DEFAULT_FILES_CONFIG" in wired.environment) is offered
    assert wired.feature_flags == ("" if offered else "-knowledge_base")
    assert len(wired.warnings) == (not offered)
    assert all(f"e in gpuchat_models makes vectors of {dimensions} numbers" in one for one in wired.warnings)


def test_of_two_models_the_one_whose_vectors_fit_serves_the_files():
    small = Served("small", "embed", dimensions=384)
    wired = lobehub.wire([small, Served("bge", "embed", dimensions=1024, askable_dimensions=(1024,))], READ_WHOLE)
    assert wired.environment["DEFAULT_FILES_CONFIG"] == "embedding_model=vllm/bge"
    assert wired.warnings == ()


def test_providers_that_are_on_without_a_key_are_off():
    wired = environment(*MODELS)
    assert {wired[name] for name in facts.SWITCHES} == {"0"}
    assert {"ENABLED_OPENAI", "ENABLED_OLLAMA"} <= set(facts.SWITCHES)


@pytest.mark.parametrize("name", ["a,b", "a\uff0cb", "a=b", "a<b", 'a"b', "a;b", " a", "a ", "a\nb", ""])
def test_a_name_that_lobehubs_lists_cannot_hold_is_left_out_and_told(name):
    wired = lobehub.wire((Served(name), Served("good")), READ_WHOLE)
    assert wired.environment["VLLM_MODEL_LIST"] == "-all,+good=good<0>"
    assert wired.environment["SYSTEM_AGENT"] == "default=vllm/good"
    assert wired.left_out == (name,)


@pytest.mark.parametrize("name", ["Qwen/Qwen3-8B", "llama3:8b", "7", "true", "-all", "+x", "a.b_c"])
def test_a_name_that_its_lists_can_hold_stands_as_it_is(name):
    wired = environment(Served(name))
    assert wired["VLLM_MODEL_LIST"] == f"-all,+{name}={name}<0>"
    assert wired["DEFAULT_AGENT_CONFIG"] == f'model="{name}";provider=vllm'


def test_a_version_that_wants_an_extension_is_told_to_search_without_it():
    old, new = lobehub.wire(MODELS, READ_WHOLE), lobehub.wire(MODELS, NEWEST)
    assert (old.skipped_migrations, old.environment.get("FTS_SEARCH_PROVIDER")) == ((), None)
    assert new.environment["FTS_SEARCH_PROVIDER"] == "pg_like"
    assert len(new.skipped_migrations) == 2
    assert lobehub.wire(MODELS, "2.3.0").skipped_migrations == new.skipped_migrations
    assert lobehub.wire(MODELS).skipped_migrations == new.skipped_migrations


def test_the_wiring_is_plain_data():
    told = lobehub.wire(MODELS, NEWEST).as_dict()
    assert json.loads(json.dumps(told)) == told
    assert set(told) == {"environment", "feature_flags", "skipped_migrations", "left_out"}


@pytest.mark.parametrize("version", facts.RELEASES)
def test_each_variable_that_the_role_and_the_wiring_set_is_one_that_the_version_reads(version):
    told = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())
    names = {
        *told["_lobehub_environment"],
        *told["_lobehub_secret_environment"],
        *neighbours.find(interface("lobehub"), "open").environment,
        *environment(*MODELS, version=version),
    }
    assert names - lobehub._known(version) == set()


def test_what_the_role_sets_cannot_be_set_beside_it():
    told = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())
    free = {
        "AGENTS_INDEX_URL", "CRAWLER_IMPLS", "LLM_VISION_IMAGE_USE_BASE64", "MARKET_BASE_URL",
        "NEXT_TELEMETRY_DISABLED", "PLUGINS_INDEX_URL", "TELEMETRY_DISABLED",
    }  # fmt: skip
    names = {*told["_lobehub_environment"], *told["_lobehub_secret_environment"]}
    names |= {*neighbours.find(interface("lobehub"), "open").environment}
    assert names - free <= {*lobehub.OWNED, *lobehub.CLOSED}
    assert not set(lobehub.OWNED) & set(lobehub.CLOSED)


def test_the_roles_feature_flags_are_flags_of_lobehubs():
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    flags = defaults["lobehub_feature_flags"].strip().split(",")
    assert {flag[1:] for flag in flags} <= set(facts.FLAGS)
    assert "-provider_settings" in flags


@pytest.mark.parametrize(
    ("version", "accepted", "words"),
    [
        ("2.2.19", False, []),
        ("2.10.0", False, []),
        ("2.1.26", True, []),
        ("2.1.26", False, ["CVE-2026-39411"]),
        ("2.1.47", False, ["CVE-2026-39411", "pg_search"]),
        ("2.1.47", True, ["pg_search"]),
        ("2.1.48", False, ["pg_search"]),
        ("2.2.18", False, ["pg_search"]),
        ("1.143.3", True, ["keeps no accounts"]),
        ("latest", False, ["three numbers"]),
        ("2.2", False, ["three numbers"]),
    ],
)
def test_a_version_with_a_known_hole_or_need_is_refused_unless_it_is_accepted(version, accepted, words):
    found = lobehub.version_faults(version, accepted)
    assert len(found) == len(words)
    assert all(word in fault for word, fault in zip(words, found, strict=True))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SMTP_HOTS", "did you mean SMTP_HOST?"),
        ("MADE_UP", "does not read"),
        ("ACCESS_CODE", "does not start"),
        ("NEXT_AUTH_SECRET", "does not start"),
        ("NEXTAUTH_URL", "does not start"),
        ("ENABLE_MAGIC_LINK", "set AUTH_ENABLE_MAGIC_LINK in its place"),
        ("OIDC_JWKS_KEY", "set JWKS_KEY in its place"),
        ("AUTH_SECRET", "set lobehub_auth_secret"),
        ("VLLM_API_KEY", "the door in its room holds the key"),
        ("SSRF_ALLOW_PRIVATE_IP_ADDRESS", "any address inside"),
    ],
)
def test_a_variable_that_would_do_nothing_or_harm_is_refused_with_the_right_one(name, words):
    (fault,) = lobehub.unknown_settings(READ_WHOLE, {name: "x"})
    assert words in fault
    assert fault.startswith("lobehub_environment holds")


@pytest.mark.parametrize("name", ["SMTP_HOST", "SEARXNG_URL", "OPENAI_MODEL_LIST", "TZ", "CUSTOM_FONT_URL"])
def test_a_variable_that_the_version_reads_passes(name):
    assert lobehub.unknown_settings(READ_WHOLE, [name]) == []
    assert lobehub.unknown_settings(NEWEST, [name]) == []


def test_of_a_version_that_was_read_in_part_an_unknown_name_passes_unless_it_looks_mistyped():
    assert lobehub.unknown_settings(NEWEST, ["SOMETHING_NEW_ALTOGETHER"]) == []
    assert "did you mean SMTP_HOST" in lobehub.unknown_settings(NEWEST, ["SMTP_HOSS"])[0]
    assert lobehub.unknown_settings("2.5.0", ["FTS_SEARCH_PROVIDER"]) == []
    assert "does not read" in lobehub.unknown_settings(READ_WHOLE, ["FTS_SEARCH_PROVIDER"])[0]


def test_what_was_read_and_what_ran_is_told_apart():
    assert [lobehub.is_read_whole(one) for one in (READ_WHOLE, NEWEST, "9.9.9")] == [True, False, False]
    assert [one["ran"] for one in facts.RELEASES.values()] == [True, False]


def test_upstreams_published_examples_are_no_secrets(monkeypatch):
    published = "published example"
    assert set(facts.EXAMPLES.values()) == {"AUTH_SECRET", "KEY_VAULTS_SECRET", "JWKS_KEY"}
    monkeypatch.setattr(facts, "EXAMPLES", {lobehub.hashlib.sha256(published.encode()).hexdigest(): "x"})
    assert lobehub.published_secrets({"AUTH_SECRET": "of our own", "JWKS_KEY": "no json"}) == []
    assert "lobehub_auth_secret" in lobehub.published_secrets({"AUTH_SECRET": published})[0]
    key = json.dumps({"keys": [{"kty": "RSA", "n": published}]})
    (fault,) = lobehub.published_secrets({"JWKS_KEY": key})
    assert "lobehub_jwks_key" in fault
    assert published not in fault


SIGNING = {"kty": "RSA", "alg": "RS256", "kid": "a", "n": "hunter2", "e": "AQAB", "d": "hunter2"}


@pytest.mark.parametrize(
    ("key", "is_right"),
    [
        pytest.param(json.dumps({"keys": [SIGNING]}), True, id="a key"),
        pytest.param(json.dumps({"keys": [SIGNING]}, indent=2) + "\n", True, id="on many lines"),
        pytest.param("", True, id="nothing, of which another rule speaks"),
        pytest.param("hunter2", False, id="no JSON"),
        pytest.param(json.dumps(SIGNING), False, id="a key without its set"),
        pytest.param(json.dumps({"keys": []}), False, id="an empty set"),
        pytest.param(json.dumps({"keys": ["hunter2"]}), False, id="a key that is a word"),
        pytest.param(json.dumps({"keys": [{**SIGNING, "d": ""}]}), False, id="the public half"),
        pytest.param(json.dumps({"keys": [{**SIGNING, "kty": "EC"}]}), False, id="of another kind"),
        pytest.param("[" * 100_000, False, id="nested without end"),
    ],
)
def test_the_key_of_a_server_is_one_by_which_it_can_sign(key, is_right):
    found = lobehub.faults(NEWEST, False, {}, [], {"JWKS_KEY": key})
    assert [word.partition(",")[0] for word in found] == ["lobehub_jwks_key is no JWKS with an RSA private key"] * (
        not is_right
    )
    assert "hunter2" not in "".join(found)


def test_all_that_is_wrong_is_told_at_once():
    found = lobehub.faults(READ_WHOLE, False, {"ACCESS_CODE": "x"}, ["MADE_UP"], {"AUTH_SECRET": "of our own"})
    assert [word in fault for word, fault in zip(("CVE", "ACCESS_CODE", "MADE_UP"), found, strict=True)] == [True] * 3
    assert found[2].startswith("lobehub_secret_environment")
    assert lobehub.faults(NEWEST, False, {"SMTP_HOST": "mail"}, ["SMTP_PASS"], {}) == []
