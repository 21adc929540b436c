# Copyright (c) gpuchat contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Opens a page of ours in the four forms in which people read it: light, dark, on a phone, and printed.

Prints one line of JSON with what was seen of each form. Its pictures go into a folder.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from browser import FLAGS
from playwright.sync_api import Page, sync_playwright

FORMS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 900}},
    "phone": {
        "color_scheme": "light",
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
    },
    # As A4 with narrow margins has room for, on a screen that is dark.
    "print": {"color_scheme": "dark", "viewport": {"width": 718, "height": 1047}},
}

# What is seen of a page: its own widths, what sticks out of it, and how dark its ground is.
LOOK = """() => {
  const root = document.documentElement, lines = [];
  for (const one of document.querySelectorAll("body *")) {
    if (one.getBoundingClientRect().right > root.clientWidth + 1) lines.push(one.tagName + "." + one.className);
  }
  return {
    scroll: root.scrollWidth, client: root.clientWidth, outside: lines.slice(0, 5),
    ground: getComputedStyle(document.body).backgroundColor, words: document.body.innerText.length,
  };
}"""


def see(page: Page, form: str, address: str, picture: Path) -> dict[str, object]:
    """Open the page in one form, and take its picture; on paper as a PDF too."""
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    if form == "print":
        page.emulate_media(media="print")
        page.pdf(path=picture.with_suffix(".pdf"), format="A4", print_background=True)
    page.screenshot(path=picture, full_page=True, animations="disabled")
    return {**page.evaluate(LOOK), "asked": [one for one in asked if one != address], "errors": errors}


def look(path: Path, folder: Path, name: str, program: str) -> dict[str, dict[str, object]]:
    """Return what was seen of each form."""
    folder.mkdir(parents=True, exist_ok=True)
    seen = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(args=list(FLAGS), executable_path=program, headless=True)
        for form, settings in FORMS.items():
            context = browser.new_context(**settings)  # type: ignore[arg-type]
            seen[form] = see(context.new_page(), form, path.resolve().as_uri(), folder / f"{name}-{form}.png")
            context.close()
        browser.close()
    return seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--folder", type=Path, required=True, help="where the pictures go")
    parser.add_argument("--name", default="page", help="what their names begin with")
    parser.add_argument("--browser", default="/usr/bin/chromium")
    args = parser.parse_args()
    print(json.dumps(look(args.page, args.folder, args.name, args.browser)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
