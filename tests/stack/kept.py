# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the chat keeps: each row of its database, and each file of its people."""

from __future__ import annotations

from interfaces import interface_of
from running import Stack

TALK = {"lobehub": "messages", "open_webui": "chat"}
FILES = {"lobehub": "/var/lib/gpuchat/object-store", "open_webui": "/var/lib/gpuchat/open-webui"}
TABLES = """SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"""
SUM = "SELECT count(*) || ' ' || coalesce(md5(string_agg(md5(r::text), '' ORDER BY md5(r::text))), '') FROM ONLY {} r"


def rows(stack: Stack) -> dict[str, str]:
    """Each table of the interface's database with the count and the sum of its rows."""
    sums = (f"SELECT '{table}', ({SUM.format(table)})" for table in stack.sql(stack.interface, TABLES))
    return dict(line.split("|") for line in stack.sql(stack.interface, " UNION ALL ".join(sums)))


def files(stack: Stack) -> str:
    """The files of people; what the object store keeps for itself changes by the minute."""
    find = "find . -type f -not -path './.rustfs.sys/*' -not -path './cache/*' -print0 | sort -z"
    return stack.on("interface", f"cd {FILES[stack.interface]} && {find} | xargs -0 -r sha256sum")


def stopped(stack: Stack, verb: str) -> None:
    """Have the interface stand still, so that rows can be compared, or go on."""
    unit = interface_of(stack).container
    command = f"systemctl {verb} {unit}" if stack.supervisor == "systemd" else f"docker {verb} {unit}"
    stack.on("interface", command)


def expect_kept(stack: Stack, wanted: dict[str, str], wanted_files: str) -> None:
    """See that all is there as it was, though the interface has started since.

    A start may write sessions and settings anew, and nothing that people said.
    """
    stopped(stack, "stop")
    try:
        found = rows(stack)
        own = {table for table in wanted if found.get(table) != wanted[table]}
        assert f"public.{TALK[stack.interface]}" not in own
        assert len(own) <= 2, own
        assert files(stack) == wanted_files
    finally:
        stopped(stack, "start")
