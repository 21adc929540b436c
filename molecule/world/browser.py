# Copyright (c) gpuchat contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A person with a fresh browser: opens the chat, asks one question, reads the answer.

Chromium (Debian's `chromium`) is driven by Playwright. It trusts the demo's authority as a user's
browser does, by the NSS database (`certutil` of Debian's `libnss3-tools`) of a fresh home. Waits for
what appears on the screen, never for the clock. Prints one line of JSON; on failure a message, and
an exit code other than 0.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Page, expect, sync_playwright
from playwright.sync_api import Error as BrowserError

# What a person recognizes on LobeChat 1's page, in any language of the interface.
EDITOR = '[contenteditable="true"]'
HEAD_MODEL = ".ant-dropdown-trigger > .ant-tag"
REPLY = '[data-layout="vertical"]'
ANSWER = f"{REPLY} article"
CODE = f"{REPLY} input[type=password]"
CONFIRM = f"{REPLY} button.ant-btn-primary"

FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
)

# Errors on the console that do not matter, as "text (address)".
IGNORED = (
    # The interface's fonts and logo have a fixed public address; without internet others stand in.
    re.compile(r"https://registry\.npmmirror\.com/"),
)
IGNORED_BEFORE_CODE = (
    # The browser reports each refusal for want of the code: of the question, and of its title.
    re.compile(r"status of 401 .*/webapi/chat/"),
    # LobeChat reports the refused title once more, without a word about the reason.
    re.compile(r"^Error\s+at Object\.onErrorHandle"),
)


# Chromium drops its connections when a network interface of the machine comes or goes, as each
# container's does: this says something about the machine and nothing about the chat.
NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"
VISITS = 3


class Failure(Exception):
    """What the person did not see."""


class NetworkChanged(Failure):
    """The machine's network changed during the visit."""


@dataclass
class Console:
    """The page's errors, sorted as they come."""

    ignored: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    code_wanted: bool = True

    def message(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.add(f"{message.text} ({message.location.get('url', '')})")

    def add(self, text: str) -> None:
        known = IGNORED + IGNORED_BEFORE_CODE if self.code_wanted else IGNORED
        ignore = any(pattern.search(text) for pattern in known)
        (self.ignored if ignore else self.errors).append(text)
        print(f"console, {'ignored' if ignore else 'error'}: {text}", file=sys.stderr)


def trust(home: Path, authority: Path) -> None:
    """Import the authority as a user does in the browser's settings."""
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True)
    certutil = ("certutil", "-d", f"sql:{database}")
    subprocess.run((*certutil, "-N", "--empty-password"), check=True)
    subprocess.run((*certutil, "-A", "-t", "C,,", "-n", "gpuchat", "-i", str(authority)), check=True)


def converse(page: Page, args: argparse.Namespace, console: Console) -> dict[str, object]:
    """Ask, enter the access code when asked for it, and read."""
    start = time.monotonic()
    page.goto(args.url)
    editor = page.locator(EDITOR).first
    expect(editor, "no field to write in").to_be_visible()
    expect(page.locator(HEAD_MODEL), "the page's head names another model").to_have_text(args.model_name)
    opened = time.monotonic()

    editor.click()
    page.keyboard.type(args.message)
    page.keyboard.press("Enter")
    answer, code = page.locator(ANSWER), page.locator(CODE)
    expect(answer.or_(code).first, "neither an answer nor a question for the code").to_be_visible()
    asked_for_code = code.is_visible()
    if asked_for_code:
        if args.access_code_file is None:
            raise Failure("the page asks for an access code, and none was given (--access-code-file)")
        code.fill(args.access_code_file.read_text().strip())
        console.code_wanted = False
        page.locator(CONFIRM).click()
    sent = time.monotonic()
    expect(answer, "the assistant's answer is another").to_have_text(args.expect)
    expect(page.locator(HEAD_MODEL), "the page's head names another model").to_have_text(args.model_name)
    return {
        "url": page.url,
        "asked_for_code": asked_for_code,
        "model": page.locator(HEAD_MODEL).inner_text(),
        "answer": answer.inner_text(),
        "seconds": {"page": round(opened - start, 1), "answer": round(time.monotonic() - sent, 1)},
    }


def visit(args: argparse.Namespace) -> dict[str, object]:
    """One visit with a profile that did not exist before, and one more if the network changed in it."""
    for _visit in range(VISITS - 1):
        try:
            return visit_once(args)
        except NetworkChanged as error:
            print(f"once more: {error}", file=sys.stderr)
    return visit_once(args)


def visit_once(args: argparse.Namespace) -> dict[str, object]:
    console = Console()
    rules = f"MAP {urlsplit(args.url).hostname} {args.address}" if args.address else ""
    with tempfile.TemporaryDirectory(prefix="gpuchat-browser-") as folder, sync_playwright() as playwright:
        home = Path(folder)
        if args.ca:
            trust(home, args.ca)
        browser = playwright.chromium.launch_persistent_context(
            home / "profile",
            args=[*FLAGS, *([f"--host-resolver-rules={rules}"] if rules else [])],
            env={**os.environ, "HOME": folder},
            executable_path=args.browser,
            headless=True,
            locale=args.locale,
            viewport={"width": 1280, "height": 800},
        )
        browser.set_default_timeout(args.timeout * 1000)
        expect.set_options(timeout=args.timeout * 1000)
        page = browser.pages[0]
        page.on("console", console.message)
        page.on("pageerror", lambda error: console.add(f"{error} ({page.url})"))
        try:
            seen = converse(page, args, console)
            if console.errors:
                raise Failure(f"{len(console.errors)} errors on the console, the first: {console.errors[0]}")
        except (Failure, AssertionError, BrowserError) as error:
            changed = any(NETWORK_CHANGED in text for text in (*console.errors, *console.ignored, str(error)))
            # Playwright's messages go on with its log and the whole page's text.
            message = str(error).partition("\nCall log:")[0]
            raise (NetworkChanged if changed else Failure)(message) from None
        finally:
            if args.screenshot:
                page.screenshot(path=args.screenshot, animations="disabled")
            browser.close()
    return {**seen, "console_ignored": len(console.ignored), "screenshot": args.screenshot and str(args.screenshot)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="https://DOMAIN/")
    parser.add_argument("--address", help="where DOMAIN is, instead of what DNS says")
    parser.add_argument("--ca", type=Path, help="file with the authority to trust")
    parser.add_argument("--access-code-file", type=Path)
    parser.add_argument("--message", default="hello")
    parser.add_argument("--expect", required=True, help="the whole answer")
    parser.add_argument("--model-name", required=True, help="what the page's head must call the model")
    parser.add_argument("--locale", default="en-US", help="the browser's language")
    parser.add_argument("--screenshot", type=Path)
    parser.add_argument("--timeout", type=float, default=60, help="seconds for each thing awaited")
    parser.add_argument("--browser", default="/usr/bin/chromium")
    try:
        print(json.dumps(visit(parser.parse_args()), ensure_ascii=False))
    except (Failure, BrowserError, OSError, subprocess.CalledProcessError) as error:
        print(f"browser: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
