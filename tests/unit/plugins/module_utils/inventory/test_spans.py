# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model that spans hosts: one of them serves it, the others hold their part, and nobody else reaches any of that."""

from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory import doors as doors_of
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.metrics import sources
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.models import faults as model_faults
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.models import read
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.openings import openings
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.preflight import OLDEST_SPAN
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.inventory.topology import ENGINE, derive
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.vllm import plan

from .layouts import HOSTS, SETTINGS
from .test_preflight import faults

SPAN = {"hosts": ["b", "c"], "addresses": ["10.0.0.2", "10.0.0.3"], "port": 29501}
GROUPS = {"gpu": ["b", "c"], "chat": ["a"], "edge": ["a"], "monitoring": ["a"]}


def stack(*models, groups=GROUPS):
    settings = {host: {**SETTINGS, "gpuchat_private_address": f"10.0.0.{n}"} for n, host in enumerate(HOSTS, 1)}
    return derive(groups, settings, read(models or [{"name": "big", "span": True}], groups))


# --- Who serves, and who has a part ----------------------------------------------------------------------------------


def test_its_first_host_alone_can_be_asked():
    one = stack()
    assert [service.host for service in one.of(ENGINE)] == ["b"]
    (model,) = one.as_dict()["models"]
    assert model["hosts"] == ["b"]
    (route,) = doors_of.routes_of_edge(one, "a")
    assert route.upstream.places == ("10.0.0.2:8000",)


def test_each_host_knows_its_rank_and_who_the_others_are():
    hosts = stack().as_dict()["hosts"]
    (first,), (second,) = hosts["b"]["engines"], hosts["c"]["engines"]
    assert (first["serves"], first["span"]) == (True, {**SPAN, "rank": 0})
    assert (second["serves"], second["span"]) == (False, {**SPAN, "rank": 1})
    assert first["container"] == second["container"]


def test_an_upgrade_knows_which_hosts_start_anew_together():
    hosts = stack({"name": "big", "span": True}, {"name": "small", "hosts": ["b"]}).as_dict()["hosts"]
    assert {host: one["spans"] for host, one in hosts.items()} == {"a": False, "b": True, "c": True}
    assert not any(one["spans"] for one in stack({"name": "big"}).as_dict()["hosts"].values())


def test_a_host_that_only_follows_has_no_door_to_the_engine_and_shows_no_figures_of_it():
    one = stack()
    assert [door.kind for door in doors_of.doors(one, "b")] == [ENGINE, ENGINE, "metrics"]
    assert [door.kind for door in doors_of.doors(one, "c")] == ["metrics"]
    assert [source.model for source in sources(one, "b") if source.model] == ["big"]
    assert [source.model for source in sources(one, "c") if source.model] == []


def test_a_model_on_several_hosts_that_does_not_span_them_is_served_by_each():
    one = stack({"name": "big", "span": False})
    assert [service.host for service in one.of(ENGINE)] == ["b", "c"]
    assert {engine["serves"] for host in "bc" for engine in one.as_dict()["hosts"][host]["engines"]} == {True}
    assert not any(opening.engines for host in HOSTS for opening in openings(one, host, 0))


# --- Who gets in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("host", "own", "other"), [("b", "10.0.0.2", "10.0.0.3"), ("c", "10.0.0.3", "10.0.0.2")])
def test_its_hosts_are_open_to_each_other_and_to_nobody_else(host, own, other):
    gathering, others = [one for one in openings(stack(), host, 0) if one.engines]
    # Where they gather, PyTorch listens at every address of the host.
    assert (gathering.ports, gathering.networks, gathering.address) == ((29501, 29502), (other,), "")
    assert (others.ports, others.range, others.networks, others.address) == ((), (32768, 60999), (other,), own)


def test_a_host_of_another_part_is_open_to_none_of_them():
    assert not any(one.engines for one in openings(stack(), "a", 0))


def test_doors_come_first_for_their_ports_may_lie_among_those_of_the_ranks():
    assert [one.engines for one in openings(stack(), "b", 0)] == [False, False, True, True]


# --- What is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        pytest.param(
            [{"name": "big", "span": True, "hosts": ["b"]}],
            ["gpuchat_models[0].span is true and b serves it; wanted two hosts or more"],
            id="one host",
        ),
        pytest.param(
            [{"name": "big", "span": True}, {"name": "small", "hosts": ["c"]}],
            ["gpuchat_models[0] spans b, c, and gpuchat_models[1] (small) is served by c too; wanted nothing else"],
            id="a host that serves another model",
        ),
        pytest.param(
            [{"name": "big", "span": True}, {"name": "huge", "span": "yes"}],
            ["gpuchat_models[0] spans b, c, and gpuchat_models[1] (huge) is served by b, c too"],
            id="two that span, said once",
        ),
        pytest.param([{"name": "big", "span": True}], [], id="two hosts of its own"),
        pytest.param([{"name": "big", "span": "false", "hosts": ["b"]}], [], id="a model that spans nothing"),
    ],
)
def test_a_model_spans_hosts_that_serve_nothing_else(given, wanted):
    groups = {**GROUPS, "all": list(HOSTS)}
    said = list(model_faults([{"source": "huggingface", "repo": "a/b", **one} for one in given], groups))
    assert len(said) == len(wanted)
    assert all(text.startswith(begin) for text, begin in zip(said, wanted, strict=True))


SPREAD = {"all": ["one", "two"], "gpu": ["one", "two"], "chat": ["one"], "edge": ["one"]}
BIG = [{"name": "big", "source": "huggingface", "repo": "a/b", "span": True}]


def of_span(**given):
    variables = {"gpuchat_private_address": "10.0.0.1", "vllm_version": "0.32.0", **given}
    version = variables["vllm_version"]  # ranks of one engine have it alike
    others = {"gpuchat_private_address": "10.0.0.2", "gpuchat_models": BIG, "vllm_version": version}
    return [text for text in faults(groups=SPREAD, gpuchat_models=BIG, others=others, **variables) if "span" in text]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param({"gpuchat_supervisor": "quadlet"}, ["quadlet", "compose or systemd"], id="Podman"),
        pytest.param({"vllm_version": "0.11.0"}, ["0.11.0", "Ray", "0.11.1 or newer"], id="a version that cannot"),
        pytest.param({"gpuchat_private_address": ""}, ["gpuchat_private_address is not set"], id="no address"),
        pytest.param(
            {"gpuchat_vllm_port": 29501}, ["gpuchat_vllm_port and gpuchat_span_port"], id="a port that is taken"
        ),
        pytest.param(
            {"gpuchat_vllm_port": 29502}, ["29502, which gpuchat_span_port 29501 takes too"], id="the next one"
        ),
    ],
)
def test_what_keeps_a_model_from_spanning_its_hosts_is_found_before_any_host_is_asked(given, words):
    said = of_span(**given)
    for word in words:
        assert any(word in text for text in said), said


def test_the_first_version_that_spans_hosts_is_the_one_that_plans_are_made_for():
    assert tuple(int(part) for part in OLDEST_SPAN.split(".")) == plan.SPAN_WITHOUT_RAY


@pytest.mark.parametrize("version", ["0.11.1", "0.32.0", "0.33.0rc1"])
def test_a_version_that_spans_hosts_by_itself_is_taken(version):
    assert of_span(vllm_version=version) == []


@pytest.mark.parametrize("flag", ["nnodes", "node-rank", "master-addr", "master-port", "--nnodes"])
def test_ranks_are_not_counted_by_hand(flag):
    (word,) = faults(vllm_args={flag: 2})
    assert f"vllm_args holds {flag}; wanted it not to be set" in word
