# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What testssl.sh, which Debian packages, finds at the edge from an allowed network."""

from __future__ import annotations

import json
import pathlib
import subprocess

import pytest
from running import Stack

CHECKS = {"protocols, ciphers, certificate, headers": ("-p", "-s", "-S", "-h"), "known attacks": ("-U",)}
"""At once, for most of it is waiting: a minute where two cores are quiet."""

ALLOWED = {
    "cert_revocation": "the stack's own authority names nobody who would tell of revoked certificates",
    "engine_problem": "this machine's OpenSSL has no cipher of GOST's to try",
    "sessionresumption_ticket": "told, never judged; a ticket of TLS 1.3 that comes late is called a lost connection",
    "sessionresumption_ID": "likewise",
}
HARMLESS = {"OK", "INFO", "LOW"}
LOOKED_AT = {
    "TLS1_1",
    "TLS1_3",
    "cipherlist_aNULL",
    "cert_chain_of_trust",
    "X-Content-Type-Options",
    "heartbleed",
    "ROBOT",
}
"""Some of what each part says, to know that none was cut short."""


@pytest.fixture(scope="module")
def findings(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str, str]]:
    """The name, the severity and the words of each finding."""
    folder = tmp_path_factory.mktemp("testssl")
    authority = stack.inventory / ".gpuchat" / "ca.crt"
    common = ("testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--add-ca", str(authority))
    scans: list[tuple[pathlib.Path, subprocess.Popen[bytes]]] = []
    for number, words in enumerate(CHECKS.values()):
        file = folder / f"{number}.json"
        command = ["timeout", "300", *common, "--ip", stack.address, "--jsonfile", str(file), *words, stack.domain]
        with file.with_suffix(".txt").open("wb") as out:
            scans.append((file, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)))
    found = []
    for file, scan in scans:
        assert scan.wait() not in {124, 127}, file.with_suffix(".txt").read_text()[-2000:]
        found += [(one["id"], one["severity"], one["finding"]) for one in json.loads(file.read_text())]
    return found


def test_the_whole_edge_was_looked_at(findings: list[tuple[str, str, str]]) -> None:
    assert {name for name, _severity, _words in findings} >= LOOKED_AT


def test_testssl_finds_nothing_above_low(findings: list[tuple[str, str, str]]) -> None:
    assert [one for one in findings if one[1] not in HARMLESS and one[0] not in ALLOWED] == []
