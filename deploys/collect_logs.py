# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects the logs and states of chosen hosts in one archive on this machine, for its owner's eyes alone.

The journal of the stack's units, its containers' logs, and what systemd, Docker, the packet filter, the disks and the
GPUs say. Secrets are left out: no file of an environment is collected, and what stands in the stack's secret files is
masked wherever it appears. Look through it before you hand it on, for logs can hold what people wrote.

Exit status: 0 all hosts are in it, 3 one could not be reached (the archive says why).
"""

from __future__ import annotations

import argparse
import io
import os
import pathlib
import re
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence

import fleet
from gpuchat.core.errors import Refusal
from gpuchat.core.names import plain
from gpuchat.system.masking import mask


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    fleet.arguments(parser)
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="a name that ends in .tar.gz")
    parser.add_argument("--lines", type=int, default=2000, help="of each log, at most (2000)")
    parser.add_argument("--timeout", type=int, default=180, metavar="SECONDS", help="for each host (180)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be collected")
    options = parser.parse_args(words)
    output = pathlib.Path(options.output or time.strftime("gpuchat-logs-%Y%m%dT%H%M%SZ.tar.gz", time.gmtime()))
    if not options.dry_run and output.exists():
        raise Refusal(f"found {output}; wanted a new file; name another by --output")
    members = fleet.chosen(options)
    program = fleet.zipapp("system.collection_runner:collect")
    given = {"lines": options.lines, "act": not options.dry_run}
    outcomes = fleet.run(members, program, lambda _member: given, timeout=options.timeout)
    if options.dry_run:
        return _say(outcomes)
    return _write(output, outcomes, {one.name: one for one in members})


def _say(outcomes: Iterator[fleet.Outcome]) -> int:
    lost = 0
    for one in outcomes:
        lost += one.stage != "done"
        print(f"{one.name}: {plain(one.problem) or 'would collect'}")
        for name, command in one.value["commands"].items() if one.stage == "done" else ():
            print(plain(f"  {name}: {command}"))
    return 3 if lost else 0


def _write(output: pathlib.Path, outcomes: Iterator[fleet.Outcome], members: Mapping[str, fleet.Member]) -> int:
    """Write the archive under another name first, so that a half one is never taken for a whole."""
    beside = output.with_name(f".{output.name}.part")
    top = output.name.removesuffix(".tar.gz")
    lost = 0
    try:
        with (
            open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file,
            tarfile.open(fileobj=file, mode="w:gz") as archive,
        ):
            os.fchmod(file.fileno(), 0o600)  # one that an earlier run has left may have another
            for one in outcomes:
                data = members[one.name].data
                own = [str(data[name]) for name in ("_sudo_password", "ssh_password") if data.get(name)]
                texts = one.value["files"] if one.stage == "done" else {"problem.txt": one.problem + "\n"}
                if one.stage == "done" and one.value["cut"]:
                    texts["cut.txt"] = "".join(f"{name}\n" for name in one.value["cut"])
                for name, text in texts.items():
                    _add(archive, f"{top}/{_within(one.name.replace('/', '_'))}/{_within(name)}", mask(text, own))
                lost += one.stage != "done"
                print(f"{one.name}: {plain(one.problem) or f'{len(texts)} files'}", file=sys.stderr, flush=True)
        beside.rename(output)
    finally:
        beside.unlink(missing_ok=True)
    print(output)
    return 3 if lost else 0


def _within(name: str) -> str:
    """Return a name that leads nowhere else, whatever a host calls its files."""
    return "/".join(re.sub(r"[^\w.@:-]|^\.+$", "_", part) for part in name.split("/") if part)


def _add(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), 0o600, int(time.time())
    archive.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    fleet.command(main)
