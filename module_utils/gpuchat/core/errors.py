# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ends a module: bad input, a failed command, a service that does not answer."""

from __future__ import annotations


class Failure(Exception):
    """What ends a module. The text says what was found, what was wanted, and what to set.

    Attributes:
        result: further keys of the module's result, such as the rows that were red.
    """

    def __init__(self, message: str, **result: object) -> None:
        super().__init__(message)
        self.result = result


class Refusal(Failure):
    """Bad input or a state that must not be touched; nothing was changed."""


class CommandFailed(Failure):
    """A command that had to succeed did not; the text holds the command and what it said."""


class Unhealthy(Failure):
    """A service does not answer as wanted; the text holds its last log lines, where it has some."""


class NotTaken(Unhealthy):
    """A service that runs has refused its new files, and goes on with those before; the text holds its words."""


def no_text(error: UnicodeDecodeError) -> str:
    """Return in plain words where bytes are none of a text."""
    what = "UTF-16" if error.encoding.lower().startswith("utf-16") else "UTF-8"
    return f"its byte {error.start + 1}, 0x{error.object[error.start]:02x}, is none of a text in {what}"
