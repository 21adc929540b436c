# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A page for the browser as tests look at it: what it says, and what it would ask of others."""

from __future__ import annotations

import html.parser
import re

ASKING = set("script link img image use iframe object embed base form video audio source".split())
ADDRESSES = ("src", "href", "xlink:href", "action", "background", "srcset", "data")


class Elements(html.parser.HTMLParser):
    """What a page is made of: elements and attributes by their names, addresses, words, and style."""

    def __init__(self, text):
        super().__init__()
        self.seen, self.attributes, self.addresses, self.words, self.style = set(), set(), set(), [], []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self._inside = tag
        self.seen.add(tag)
        self.attributes |= {name for name, _value in attrs}
        self.addresses |= {value for name, value in attrs if name in ADDRESSES}
        self.style += [value for name, value in attrs if name == "style"]

    def handle_data(self, data):
        (self.style if self._inside == "style" else self.words).append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def asked_by(text):
    """Return what a page would have a browser fetch or do; nothing of a page that needs nothing else."""
    found = Elements(text)
    elsewhere = {address for address in found.addresses if not address.startswith("#")}
    acts = {name for name in found.attributes if name.startswith("on")}
    fetched = set(re.findall(r"https?:|//|url\(|@import|@font-face", "".join(found.style)))
    return found.seen & ASKING | elsewhere | acts | fetched
