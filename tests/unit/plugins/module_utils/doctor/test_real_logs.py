# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs really wrote as they failed, in threads of issue trackers and by their sources, has its cause and fix.

They stand in ``recorded/``, each under whose log it is, the kind that is to be found, and where it was read.
"""

from __future__ import annotations

import pathlib
import re

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.doctor.messages import MESSAGES, recognise


def _parts(name: str) -> list[tuple[str, str]]:
    """Return the parts of a file of logs, each with the line of its head."""
    text = (pathlib.Path(__file__).parent / "recorded" / name).read_text(encoding="utf-8")
    return [(head, log) for head, _end, log in (part.partition("\n") for part in text.split("## ")[1:])]


REAL = [(*head.split(" | ", 2), log) for head, log in _parts("failed.txt")]
CASCADES = [(*head.split(" | ", 2), log) for head, log in _parts("cascades.txt")]
HEALTHY = dict(_parts("healthy.txt"))


@pytest.mark.parametrize(("service", "kind", "source", "log"), REAL, ids=[f"{one[1]}: {one[2]}" for one in REAL])
def test_what_a_program_really_wrote_has_its_cause(service, kind, source, log):
    found = recognise(service, log.splitlines())
    assert found
    assert found.message.kind == f"log.{kind}"


FORMS = (
    ("a time", lambda line: f"2026-11-29T07:10:01.123456789Z {line}"),
    ("a unit", lambda line: f"Nov 29 07:10:01 gpu1 gpuchat-x[71]: {line}"),
    ("a container", lambda line: f"gpuchat-vllm-demo  | {line}"),
    ("colours of the whole", lambda line: f"\x1b[1;31m{line}\x1b[0m"),
    ("colours of each word", lambda line: re.sub(r"(\S+)", "\x1b[0;36m\\1\x1b[0;0m", line)),
    ("what ends a line elsewhere", lambda line: f"{line}\r"),
)


@pytest.mark.parametrize(("name", "form"), FORMS, ids=[name for name, _form in FORMS])
def test_a_message_is_known_in_whatever_form_a_log_comes(name, form):
    other = []
    for service, kind, source, log in REAL:
        found = recognise(service, [form(line) for line in log.splitlines()])
        if not found or found.message.kind != f"log.{kind}":
            other.append((source, kind, found and found.message.kind))
    assert other == []


def test_what_docker_says_is_known_within_the_quotes_of_its_own_log():
    other = []
    for service, kind, source, log in REAL:
        lines = [line for line in log.splitlines() if not line.startswith("time=")]
        said = [line.replace("\\", "\\\\").replace('"', '\\"') for line in lines]
        found = recognise(service, [f'time="2026-11-29T07:10:01.123456789Z" level=error msg="{line}"' for line in said])
        if lines and kind.startswith("docker.") and not (found and found.message.kind == f"log.{kind}"):
            other.append((source, kind, found and found.message.kind))
    assert other == []


@pytest.mark.parametrize(("service", "kind", "name", "log"), CASCADES, ids=[one[2] for one in CASCADES])
def test_the_root_of_what_failed_counts_before_what_follows_from_it(service, kind, name, log):
    for form in (lambda line: line, *(form for _name, form in FORMS)):
        found = recognise(service, [form(line) for line in log.splitlines()])
        assert found
        assert found.message.kind == f"log.{kind}"


@pytest.mark.parametrize("service", HEALTHY)
def test_a_log_of_what_is_well_holds_no_more_than_a_thing_to_wait_for(service):
    found = recognise(service, HEALTHY[service].splitlines())
    assert found is None or found.message.name == "waiting"


ROOT = pathlib.Path(__file__).parents[5]
VARIABLES = frozenset(
    re.findall(r"^\| `([a-z0-9_.]+)`", (ROOT / "docs/variables.md").read_text(encoding="utf-8"), re.MULTILINE)
)
ROLES = frozenset(path.name for path in (ROOT / "roles").iterdir())
OF_OTHERS = frozenset(
    "max_connections shared_buffers work_mem shared_preload_libraries worker_connections proxy_buffer_size shm_size "
    "pg_hba pg_search upgrade_postgresql o200k_base ip_tables nf_nat known_hosts max_user_watches max_user_instances "
    "nf_conntrack_max ip_unprivileged_port_start ip_forward listen_addresses root_squash".split()
)
"""Words of the programs themselves."""


@pytest.mark.parametrize("one", MESSAGES, ids=lambda one: one.kind)
def test_a_fix_names_variables_tags_and_playbooks_that_are_there(one):
    words = set(re.findall(r"\b[a-z0-9]+(?:_[a-z0-9]+)+\b", one.fix))
    assert words - VARIABLES - ROLES - OF_OTHERS == set()
    tags = {tag for some in re.findall(r"--tags ([a-z_,]+)", one.fix) for tag in some.strip(",").split(",")}
    assert tags - ROLES == set()
    assert [path for path in re.findall(r"(?:playbooks|deploys)/\w+\.\w+", one.fix) if not (ROOT / path).exists()] == []


def test_each_message_has_a_line_that_it_really_stood_in():
    of_tests = (pathlib.Path(__file__).parent / "test_messages.py").read_text(encoding="utf-8")
    seen = (
        {kind for _service, kind, _source, _log in REAL}
        | {one[1] for one in CASCADES}
        | set(re.findall(r'^    "(\w+\.\w+)": ', of_tests, re.MULTILINE))
    )
    assert [one.kind for one in MESSAGES if one.kind.removeprefix("log.") not in seen] == []
