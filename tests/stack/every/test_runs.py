# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Molecule's runs did: check on the bare host, the run, the same run again."""

from __future__ import annotations

import re

from running import ROOT, Stack

TASK_BUDGET = 30
FURTHER_ROLES, TASKS_OF_ROLE = ("backup", "door", "firewall", "nginx", "object_store", "postgresql"), 6
WHERE_WANTED = ("exporters", "monitoring")
"""Roles that start no task where the inventory does not name their group."""

DOCUMENTED = (ROOT / "docs" / "check-mode.md").read_text()
NOT_PREDICTED = set(re.findall(r"^\| `(\w+ : [^`]+)` \|", DOCUMENTED, re.MULTILINE))


def runs(stack: Stack) -> list[list[dict[str, object]]]:
    """Return Molecule's runs, which are the first three, each as its records."""
    records = [record for record in stack.records() if record["playbook"] in ("site.yml", "hosts.yml")]
    return [
        [record for record in records if record["run"] == run]
        for run in list(dict.fromkeys(record["run"] for record in records))[:3]
    ]


def changed(run: list[dict[str, object]]) -> set[object]:
    return {record["task"] for record in run if record["changed"]}


def test_the_check_run_on_the_bare_host_predicts_each_task_that_the_run_then_changes(stack: Stack) -> None:
    check, first = runs(stack)[:2]
    assert [check[0]["check"], first[0]["check"]] == [True, False]
    assert changed(first) - {"stack : Create the secrets"}
    assert changed(check) == changed(first)


def test_what_check_mode_cannot_predict_is_said_and_stands_in_the_documented_list(stack: Stack) -> None:
    check = runs(stack)[0]
    documented = NOT_PREDICTED & {record["task"] for record in check if record["state"] != "skipped"}
    assert documented
    assert {record["task"] for record in check if record["not_predicted"]} == documented
    assert all(record["state"] != "failed" for record in check)


def test_the_second_run_changes_nothing(stack: Stack) -> None:
    assert changed(runs(stack)[2]) == set()


def test_a_run_starts_no_more_tasks_than_the_budget_allows(stack: Stack) -> None:
    for run in runs(stack):
        for host in {record["host"] for record in run}:
            of_host = [record for record in run if record["host"] == host]
            counts = {
                role: sum(str(record["task"]).startswith(f"{role} : ") for record in of_host)
                for role in (*FURTHER_ROLES, *WHERE_WANTED)
            }
            wanted = [role for role in WHERE_WANTED if counts[role]]
            assert len(of_host) <= TASK_BUDGET + TASKS_OF_ROLE * (len(FURTHER_ROLES) + len(wanted))
            assert {role: count for role, count in counts.items() if count > TASKS_OF_ROLE} == {}
