# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ends a module: bad input, a state that must not be touched, a command that failed."""

from __future__ import annotations


class Refusal(Exception):
    """Bad input or a state that must not be touched.

    The text says what was found, what was wanted, and what to set.
    """


class CommandFailed(Exception):
    """A command that had to succeed did not; the text holds the command and what it said."""
