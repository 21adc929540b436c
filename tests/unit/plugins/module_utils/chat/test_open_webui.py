# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import pathlib

import pytest
import yaml
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat import neighbours
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat.facts.open_webui import ENVIRONMENT, RELEASES
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.chat.open_webui import (
    AROUND,
    LOWEST,
    OWNED,
    TOOLS_CONTEXT,
    known_variables,
    tool_connections,
    unknown_settings,
    version_faults,
    version_key,
    wire,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.served import Served

from .test_neighbours import interface

ROLE = pathlib.Path(__file__).resolve().parents[5] / "roles" / "open_webui"
STARTER = {"HOST", "PORT"}
"""What the command line takes that starts Open WebUI."""
EMBED = Served("bge", "embed")
RERANK = Served("ranker", "rerank")
HEAR = Served("whisper", "transcribe")


def environment(*served):
    return wire(served).environment


def test_the_first_model_is_chosen_and_titles_talks():
    told = environment(EMBED, Served("qwen"), Served("llama"))
    assert (told["DEFAULT_MODELS"], told["TASK_MODEL_EXTERNAL"]) == ("qwen", "qwen")


def test_models_that_do_not_talk_are_not_offered_for_talking():
    told = environment(EMBED, Served("qwen"), HEAR, Served("llama"), RERANK)
    assert json.loads(told["OPENAI_API_CONFIGS"]) == {"0": {"enable": True, "model_ids": ["qwen", "llama"]}}


def test_without_a_model_nothing_is_offered():
    # An empty list of names alone would offer whatever the engines serve.
    assert json.loads(environment(EMBED)["OPENAI_API_CONFIGS"])["0"]["enable"] is False


@pytest.mark.parametrize(
    ("served", "way"),
    [
        pytest.param([Served("a", tool_calls=True, context=TOOLS_CONTEXT)], "native", id="it calls tools"),
        pytest.param([Served("a", context=TOOLS_CONTEXT)], "legacy", id="its engine would refuse tools"),
        pytest.param([Served("a", tool_calls=True, context=4096)], "legacy", id="tools would leave no room"),
        pytest.param([Served("a", tool_calls=True)], "legacy", id="nobody knows how much it holds"),
        pytest.param(
            [Served("a", tool_calls=True, context=TOOLS_CONTEXT), Served("b", context=TOOLS_CONTEXT)],
            "legacy",
            id="one of two would refuse tools",
        ),
    ],
)
def test_tools_are_given_to_models_only_where_each_can_use_them(served, way):
    assert json.loads(environment(*served)["DEFAULT_MODEL_PARAMS"]) == {"function_calling": way}


ABLE = Served("a", tool_calls=True, context=TOOLS_CONTEXT)


@pytest.mark.parametrize(
    ("served", "servers", "on", "warned"),
    [
        pytest.param([ABLE], [], None, "", id="none"),
        pytest.param([ABLE], ["wiki", "time"], ["server:mcp:wiki", "server:mcp:time"], "", id="two, on from the start"),
        pytest.param([Served("b")], ["wiki"], None, "b calls no tools", id="a model that calls none"),
        pytest.param(
            [ABLE, Served("c", tool_calls=True, context=4096)],
            ["wiki"],
            None,
            "holds fewer than 16,384",
            id="a short one",
        ),
        pytest.param([Served("b")], [], None, "", id="no server, no warning"),
    ],
)  # fmt: skip
def test_the_owners_tools_are_on_in_each_new_talk_where_every_model_can_call_them(served, servers, on, warned):
    found = wire(served, servers)
    assert json.loads(found.environment["DEFAULT_MODEL_METADATA"]).get("toolIds") == on
    assert (len(found.warnings), warned in "".join(found.warnings)) == (bool(warned), True)


@pytest.mark.parametrize(
    ("served", "may"),
    [([Served("a")], False), ([Served("a", vision=True)], True), ([Served("a"), Served("b", vision=True)], True)],
)
def test_images_are_taken_where_a_model_sees(served, may):
    assert json.loads(environment(*served)["DEFAULT_MODEL_METADATA"])["capabilities"] == {"vision": may}


def test_everybody_may_use_the_owners_tools_and_the_interface_holds_no_key():
    (one,) = json.loads(tool_connections([{"name": "wiki", "title": "Our wiki", "url": "http://door/tools/wiki"}]))
    assert (one["type"], one["url"], one["auth_type"], one["key"], one["headers"]) == (
        "mcp",
        "http://door/tools/wiki",
        "none",
        "",
        None,
    )
    assert one["config"]["enable"]
    assert one["config"]["access_grants"] == [{"principal_type": "user", "principal_id": "*", "permission": "read"}]
    assert (one["info"]["id"], one["info"]["name"]) == ("wiki", "Our wiki")


@pytest.mark.parametrize(
    ("served", "whole", "embedding", "reranking", "both"),
    [
        pytest.param([], "True", "", "", "False", id="none: files are read as a whole"),
        pytest.param([EMBED], "False", "bge", "", "False", id="embeddings"),
        pytest.param([EMBED, RERANK], "False", "bge", "ranker", "True", id="embeddings and ranking"),
        pytest.param([RERANK], "True", "", "", "False", id="ranking alone is of no use"),
    ],
)
def test_files_are_searched_by_the_stacks_own_models(served, whole, embedding, reranking, both):
    told = environment(Served("qwen"), *served)
    assert told["BYPASS_EMBEDDING_AND_RETRIEVAL"] == whole
    assert told["RAG_EMBEDDING_MODEL"] == embedding
    assert (told["RAG_RERANKING_MODEL"], told["ENABLE_RAG_HYBRID_SEARCH"]) == (reranking, both)


@pytest.mark.parametrize("served", [[], [EMBED], [EMBED, RERANK, HEAR]])
def test_no_engine_is_one_that_downloads_a_model(served):
    told = environment(*served)
    engines = {name: told[name] for name in ("RAG_EMBEDDING_ENGINE", "RAG_RERANKING_ENGINE", "AUDIO_STT_ENGINE")}
    assert engines == {
        "RAG_EMBEDDING_ENGINE": "openai",
        "RAG_RERANKING_ENGINE": "external",
        "AUDIO_STT_ENGINE": "openai",
    }


@pytest.mark.parametrize(("served", "model", "may"), [([], "", "False"), ([HEAR], "whisper", "True")])
def test_speech_is_heard_by_the_stacks_own_model_or_not_at_all(served, model, may):
    told = environment(Served("qwen"), *served)
    assert (told["AUDIO_STT_MODEL"], told["USER_PERMISSIONS_CHAT_STT"]) == (model, may)


def test_all_that_open_webui_is_told_are_texts_that_it_reads():
    told = wire([Served("qwen"), EMBED, RERANK, HEAR]).as_dict()["environment"]
    assert all(isinstance(value, str) for value in told.values())
    assert set(told) <= known_variables(LOWEST)


def test_the_role_sets_only_what_open_webui_reads():
    variables = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
    told = {*variables["_open_webui_environment"], *variables["_open_webui_secret_environment"]}
    told |= {*neighbours.find(interface("open_webui"), "open").environment}
    unread = told - known_variables(LOWEST) - STARTER
    assert [name for name in unread if not AROUND.fullmatch(name)] == []


def test_what_is_the_stacks_own_is_read_by_open_webui_or_by_what_starts_it():
    assert set(OWNED) - set(ENVIRONMENT) == STARTER


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        pytest.param("ENABLE_CODE_INTERPRETER", None, id="known"),
        pytest.param("HF_ENDPOINT", None, id="a library's"),
        pytest.param("https_proxy", None, id="everybody's"),
        pytest.param(
            "ENABLE_CODE_INTERPRETR",
            "env sets ENABLE_CODE_INTERPRETR, which Open WebUI 0.12.4 does not read; "
            "did you mean ENABLE_CODE_INTERPRETER?",
            id="mistyped",
        ),
        pytest.param(
            "WEBUI_SECRET_KEY",
            "env sets WEBUI_SECRET_KEY, which is the stack's own; set open_webui_secret_key instead",
            id="the stack's own, by another name",
        ),
        pytest.param(
            "GOOGLE_CLIENT_ID",
            "env sets GOOGLE_CLIENT_ID, which is the stack's own; set gpuchat_sso instead",
            id="a sign-in to which nothing leads",
        ),
        pytest.param(
            "WEBUI_AUTH", "env sets WEBUI_AUTH, which is the stack's own; leave it out", id="the stack's own, as it is"
        ),
    ],
)
def test_a_setting_is_refused_that_nothing_reads_or_that_the_stack_makes(name, fault):
    assert unknown_settings("0.12.4", {name: "x"}, "env") == ((fault,) if fault else ())


@pytest.mark.parametrize("version", ["0.12.4", "v0.12.4", "0.13.0", "1.0"])
def test_a_version_that_the_table_lacks_is_judged_by_what_it_has(version):
    assert "ENABLE_SIGNUP" in known_variables(version)


@pytest.mark.parametrize(
    ("version", "words"),
    [("0.12.4", ""), ("0.13.0", ""), ("0.12.3", "known holes"), ("0.9.6", "known holes"), ("main", "such as")],
)
def test_versions_with_known_holes_are_refused(version, words):
    faults = version_faults(version)
    assert bool(faults) == bool(words)
    assert all(words in fault for fault in faults)


def test_versions_are_ordered_by_their_numbers():
    assert version_key("0.9.6") < version_key("v0.12.4") < version_key("0.12.10")


def test_each_row_of_the_table_names_releases_that_were_read():
    assert {version for rows in ENVIRONMENT.values() for row in rows for version in row[:2]} <= set(RELEASES)
