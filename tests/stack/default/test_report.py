# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report in which a run ends, as people open it and as build servers read it."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
import yaml
from running import ARTIFACTS, ROOT, Stack

FORMS = ("light", "dark", "phone", "print")


@pytest.fixture(scope="module")
def folder(stack: Stack, verified: dict[str, str]) -> pathlib.Path:
    """Return the folder of the run's own files, where a verification was the last."""
    return stack.inventory / ".gpuchat"


@pytest.fixture(scope="module")
def seen(folder: pathlib.Path) -> dict[str, dict[str, object]]:
    """Open the page in each form, and return what was seen; its pictures are among the artifacts."""
    command = [sys.executable, str(ROOT / "molecule/world/page.py"), str(folder / "report.html")]
    done = subprocess.run(
        [*command, "--folder", str(ARTIFACTS), "--name", "report"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("form", FORMS)
def test_the_page_has_room_in_each_form_and_asks_for_nothing(seen: dict[str, dict[str, object]], form: str) -> None:
    found = seen[form]
    assert found["scroll"] <= found["client"], found["outside"]  # type: ignore[operator]
    assert (found["outside"], found["asked"], found["errors"]) == ([], [], [])
    assert found["words"] > 1000  # type: ignore[operator]
    assert (ARTIFACTS / f"report-{form}.png").stat().st_size > 10_000


def test_the_page_is_dark_where_people_like_it_dark_and_white_on_paper(seen: dict[str, dict[str, object]]) -> None:
    grounds = {form: str(seen[form]["ground"]) for form in FORMS}
    assert grounds["light"] == grounds["phone"] != grounds["dark"]
    assert grounds["print"] == "rgb(255, 255, 255)"
    assert (ARTIFACTS / "report-print.pdf").read_bytes().startswith(b"%PDF")


def test_the_page_shows_this_stack(stack: Stack, folder: pathlib.Path) -> None:
    text = (folder / "report.html").read_text()
    report = json.loads((folder / "report.json").read_text())
    locked = yaml.safe_load((folder / "lock.yml").read_text())["images"]
    for words in (f"https://{stack.domain}", stack.model, *stack.hosts, *locked, *locked.values()):
        assert str(words) in text
    assert f"all {len(report['rows'])} checks passed" in text
    assert report["certificate_end"] in text
    assert "Memory, as planned" in text


def test_build_servers_get_a_case_for_each_row(folder: pathlib.Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    suite = next(ET.parse(folder / "report.xml").iter("testsuite"))
    assert [one.get("name") for one in suite.iter("testcase")] == [row["name"] for row in report["rows"]]
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "0")


def test_no_secret_stands_in_a_report(stack: Stack, folder: pathlib.Path) -> None:
    texts = [(folder / f"report.{end}").read_text() for end in ("json", "html", "xml")]
    lines = {name: max(str(text).splitlines(), key=len) for name, text in stack.secrets.items()}
    found = {name for name, line in lines.items() if "certificate" not in name and any(line in text for text in texts)}
    assert found == set()
