# Copyright (c) gpuchat contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A person with a fresh browser: signs in, asks one question, reads the answer, looks at earlier talks, signs out.

Chromium (Debian's `chromium`) is driven by Playwright. It trusts the demo's authority as a user's
browser does, by the NSS database (`certutil` of Debian's `libnss3-tools`) of a fresh home. Waits for
what appears on the screen, never for the clock, and knows no word of any language of the interface.
Prints one line of JSON; on failure a message, and an exit code other than 0.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Locator, Page, expect, sync_playwright
from playwright.sync_api import Error as BrowserError

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
    # LobeHub's fonts and logo have a fixed public address; without internet others stand in.
    re.compile(r"https://registry\.npmmirror\.com/"),
    # It looks for channels too, which nobody has.
    re.compile(r"status of 404 .*/api/v1/channels/"),
    # Of the page of the company that the tests have.
    re.compile(r"https://(cdn\.jsdelivr\.net/npm/@picocss/|[^/]+/favicon\.ico)"),
)

# A page learns a moment after the last key what was typed, and sends what it knows: until its timers for that have run.
TAKEN_IN = "() => new Promise(resolve => setTimeout(resolve, 500))"

# What a browser tells a page on which a file is dropped.
DROP = """(place, [name, text]) => {
    const data = new DataTransfer();
    data.items.add(new File([text], name, {type: "text/plain"}));
    for (const kind of ["dragenter", "dragover", "drop"])
        place.dispatchEvent(new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: data}));
}"""

# Chromium drops its connections when a network interface of the machine comes or goes, as each
# container's does: this says something about the machine and nothing about the chat.
NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"
VISITS = 3

# A person who sees nothing happen presses the key again, after this many milliseconds.
PATIENCE = 2000


class Failure(Exception):
    """What the person did not see."""


class NetworkChanged(Failure):
    """The machine's network changed during the visit."""


@dataclass
class Console:
    """The page's errors, sorted as they come."""

    ignored: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def message(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.add(f"{message.text} ({message.location.get('url', '')})")

    def add(self, text: str) -> None:
        ignore = any(pattern.search(text) for pattern in IGNORED)
        (self.ignored if ignore else self.errors).append(text)
        print(f"console, {'ignored' if ignore else 'error'}: {text}", file=sys.stderr)


@dataclass
class Person:
    """Somebody in front of a page.

    Attributes:
        timeout: seconds for each thing awaited.
        clicks: how often the person had to reach for the mouse.
    """

    page: Page
    timeout: float
    clicks: int = 0

    # What a person recognizes on the page, in any language of the interface.
    EMAIL: ClassVar[str] = "input#email"
    PASSWORD: ClassVar[str] = "input#password"
    EDITOR: ClassVar[str]
    QUESTION: ClassVar[str]
    ANSWER: ClassVar[str]
    MODEL: ClassVar[str]
    TALK: ClassVar[str]
    COMPANY: ClassVar[str]

    def sign_in_by_company(self, email: str) -> None:
        """Come in by the page of a company's issuer, where anybody is who they say."""
        self.click(self.find(self.COMPANY).first)
        self.type_in(self.page.locator("input[name=sub]"), email)
        self.page.keyboard.press("Enter")

    def sign_in(self, email: str, password: str) -> None:
        raise NotImplementedError

    def is_in(self) -> None:
        """Wait until the page takes a question."""
        expect(self.find(self.EDITOR).first, "no field to write in").to_be_visible()

    def show_talks(self) -> None:
        """Do what it takes to see the list of earlier talks."""

    def sign_out(self) -> None:
        raise NotImplementedError

    def find(self, what: str) -> Locator:
        return self.page.locator(what).locator("visible=true")

    def click(self, what: Locator) -> None:
        what.click()
        self.clicks += 1

    def type_in(self, place: Locator, text: str) -> None:
        """Type where the cursor is; put it there by a click only where it is elsewhere."""
        if not place.evaluate("place => place.contains(document.activeElement)"):
            self.click(place)
        self.page.keyboard.type(text)

    def ask(self, question: str) -> None:
        """Ask once: the key is pressed again only as long as the page left the question where it was typed."""
        place = self.page.locator(self.EDITOR).first
        self.type_in(place, question)
        expect(place, "the field holds something else than was typed").to_have_text(question)
        self.page.evaluate(TAKEN_IN)
        end = time.monotonic() + self.timeout
        while place.inner_text().strip() == question:
            if time.monotonic() > end:
                raise Failure("the page takes no notice of the question")
            self.page.keyboard.press("Enter")
            with contextlib.suppress(AssertionError):
                expect(place).not_to_have_text(question, timeout=PATIENCE)
        expect(self.find(self.QUESTION).first, "the question does not appear above its answer").to_be_visible()

    def attach(self, file: Path) -> None:
        """Give the page a file for the next question."""
        raise NotImplementedError

    def is_attached(self, file: Path) -> None:
        expect(self.page.get_by_text(file.name).first, "the page does not show the file").to_be_visible()

    def may_attach(self) -> bool:
        """Whether the page takes a file, as far as one sees before one tries."""
        raise NotImplementedError

    def may_speak(self) -> bool:
        """Whether the page offers to listen."""
        raise NotImplementedError

    def read(self, wanted: str) -> str:
        answer = self.find(self.ANSWER).last
        expect(answer, "the assistant's answer is another").to_have_text(wanted)
        return answer.inner_text()

    def read_end(self, wanted: str) -> str:
        """Read an answer before which the page shows what the model did for it."""
        answer = self.find(self.ANSWER).last
        expect(answer.locator("p").last, "the assistant's answer ends otherwise").to_have_text(wanted)
        return answer.locator("p").last.inner_text()

    def model(self, name: str) -> str:
        """Read who answers."""
        shown = self.find(self.MODEL).first
        expect(shown, "the page names another model").to_have_text(name)
        return shown.inner_text()

    def look_back(self, wanted: str) -> int:
        """Look through the earlier talks for a text; return how many are listed."""
        home = self.page.url
        links = self.talks()
        for link in links:
            self.click(self.find(f'a[href="{link}"]').first)
            expect(self.find(self.ANSWER).last, "an earlier talk holds no answer").to_be_visible()
            if self.find(f"{self.QUESTION}, {self.ANSWER}").filter(has_text=wanted).count():
                return len(links)
            self.page.goto(home)
            self.is_in()
            self.show_talks()
        raise Failure(f"none of {len(links)} earlier talks holds: {wanted}")

    def talks(self) -> list[str]:
        """Return the addresses of the earlier talks, once there is one."""
        self.show_talks()
        expect(self.find(self.TALK).first, "no earlier talk is listed").to_be_visible()
        return list(dict.fromkeys(str(one.get_attribute("href")) for one in self.find(self.TALK).all()))


class OfLobeHub(Person):
    """In front of LobeHub 2, which puts the cursor where something is to be typed."""

    EDITOR = '[contenteditable="true"]'
    QUESTION = '.message-wrapper[style*="flex-end"] article'
    ANSWER = '.message-wrapper:not([style*="flex-end"]) article'
    MODEL = ".ant-tag"
    TALK = 'a[href*="?topic="]'
    INBOX = 'a[href^="/agent/"]:not([href*="?"])'
    NAME = "xpath=//*[@id='user-dropdown-icon']/../.."
    LAST_ENTRY = ".ant-popover li.ant-menu-item"
    PAPERCLIP = "svg.lucide-paperclip"
    MICROPHONE = "svg.lucide-mic"
    COMPANY = "button:has-text('OIDC')"

    def sign_in(self, email: str, password: str) -> None:
        for place, text in ((self.EMAIL, email), (self.PASSWORD, password)):
            # It is typed over as long as the page has not come to life.
            expect(self.page.locator(place), "no field for signing in that has the cursor").to_be_focused()
            self.page.keyboard.type(text)
            self.page.keyboard.press("Enter")

    def is_in(self) -> None:
        super().is_in()
        # Before it has the person's agents, the page keeps a question to itself.
        expect(self.find(self.INBOX).first, "no agent to ask").to_be_visible()

    def attach(self, file: Path) -> None:
        # Dropped on the field, for the entries of its menu bear no name that is the same in every language.
        self.page.locator(self.EDITOR).first.evaluate(DROP, [file.name, file.read_text(encoding="utf-8")])
        self.is_attached(file)

    def may_attach(self) -> bool:
        return self.find(self.PAPERCLIP).count() > 0

    def may_speak(self) -> bool:
        return self.find(self.MICROPHONE).count() > 0

    def sign_out(self) -> None:
        self.click(self.find(self.NAME).first)
        self.click(self.find(self.LAST_ENTRY).last)
        expect(self.page.locator(self.EMAIL), "no field for signing in again").to_be_visible()


class OfOpenWebUI(Person):
    """In front of Open WebUI."""

    EDITOR = "#chat-input"
    QUESTION = ".chat-user .markdown-prose"
    ANSWER = ".chat-assistant .markdown-prose"
    MODEL = "#response-message-model-name"
    TALK = '#sidebar a[href^="/c/"]'
    CLOSED = '#sidebar button[class*="e-resize"]'
    PORTRAIT = '#sidebar button:has(img[src*="/profile/image"])'
    LAST_ENTRY = "[role=menu] [role=menuitem]"
    FILES = 'input[type="file"][multiple]'
    MICROPHONE = "#voice-input-button"
    COMPANY = "button:has-text('SSO')"

    def sign_in(self, email: str, password: str) -> None:
        self.type_in(self.page.locator(self.EMAIL), email)
        self.page.keyboard.press("Tab")
        self.type_in(self.page.locator(self.PASSWORD), password)
        self.page.keyboard.press("Enter")

    def show_talks(self) -> None:
        expect(self.find("#sidebar").first, "no list of talks").to_be_visible()
        if self.find(self.CLOSED).count():
            self.click(self.find(self.CLOSED).first)

    def attach(self, file: Path) -> None:
        self.page.locator(self.FILES).first.set_input_files(file)
        self.is_attached(file)

    def may_attach(self) -> bool:
        return self.page.locator(self.FILES).count() > 0

    def may_speak(self) -> bool:
        return self.find(self.MICROPHONE).count() > 0

    def sign_out(self) -> None:
        self.click(self.find(self.PORTRAIT).first)
        self.click(self.find(self.LAST_ENTRY).last)
        expect(self.page.locator(self.EMAIL), "no field for signing in again").to_be_visible()


PEOPLE = {"lobehub": OfLobeHub, "open_webui": OfOpenWebUI}


def trust(home: Path, authorities: Sequence[Path]) -> None:
    """Import authorities as a user does in the browser's settings."""
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True)
    certutil = ("certutil", "-d", f"sql:{database}")
    subprocess.run((*certutil, "-N", "--empty-password"), check=True)
    for number, authority in enumerate(authorities):
        subprocess.run((*certutil, "-A", "-t", "C,,", "-n", f"gpuchat {number}", "-i", str(authority)), check=True)


def converse(page: Page, args: argparse.Namespace) -> dict[str, object]:
    """Do what was ordered, in the order of a person's day."""
    person = PEOPLE[args.interface](page, args.timeout)
    seconds: dict[str, float] = {}
    seen: dict[str, object] = {"seconds": seconds}
    start = time.monotonic()

    def passed(step: str) -> None:
        nonlocal start
        seconds[step], start = round(time.monotonic() - start, 1), time.monotonic()

    page.goto(args.url)
    expect(page.locator(person.EMAIL), "no field for signing in").to_be_visible()
    passed("page")
    if args.company:
        person.sign_in_by_company(args.email)
    else:
        person.sign_in(args.email, args.password_file.read_text().strip())
    person.is_in()
    passed("sign_in")
    if args.history:
        seen["talks"] = person.look_back(args.history)
        seen["clicks_to_history"], person.clicks = person.clicks, 0
        passed("history")
    if args.expect:
        if args.history:
            page.goto(args.url)
            person.is_in()
        seen |= {"may_attach": person.may_attach(), "may_speak": person.may_speak()}
        if args.file:
            person.attach(args.file)
            passed("file")
        person.ask(args.message)
        seen["answer"] = (person.read_end if args.last_paragraph else person.read)(args.expect)
        passed("answer")
        if args.model_name:
            seen["model"] = person.model(args.model_name)
    seen |= {"url": page.url, "clicks": person.clicks}
    if args.screenshot:
        page.screenshot(path=args.screenshot, animations="disabled")
    if args.sign_out:
        page.goto(args.url)
        person.is_in()
        person.sign_out()
        page.goto(args.url)
        expect(page.locator(person.EMAIL), "the page still knows who signed out").to_be_visible()
        passed("sign_out")
    return seen


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
    places = [f"{urlsplit(args.url).hostname}={args.address}"] if args.address else []
    places += [args.company] if args.company else []
    rules = ",".join(f"MAP {name} {address}" for name, _equals, address in (one.partition("=") for one in places))
    with tempfile.TemporaryDirectory(prefix="gpuchat-browser-") as folder, sync_playwright() as playwright:
        home = Path(folder)
        trust(home, [one for one in (args.ca, args.company_ca) if one])
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
            seen = converse(page, args)
            if console.errors:
                raise Failure(f"{len(console.errors)} errors on the console, the first: {console.errors[0]}")
        except (Failure, AssertionError, BrowserError) as error:
            if args.screenshot:
                page.screenshot(path=args.screenshot, animations="disabled")
            changed = any(NETWORK_CHANGED in text for text in (*console.errors, *console.ignored, str(error)))
            # Playwright's messages go on with its log and the whole page's text.
            message = str(error).partition("\nCall log:")[0]
            raise (NetworkChanged if changed else Failure)(f"{message} ({page.url})") from None
        finally:
            browser.close()
    return {**seen, "console_ignored": len(console.ignored), "screenshot": args.screenshot and str(args.screenshot)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="https://DOMAIN/")
    parser.add_argument("--interface", choices=sorted(PEOPLE), default="lobehub", help="what people chat with")
    parser.add_argument("--address", help="where DOMAIN is, instead of what DNS says")
    parser.add_argument("--ca", type=Path, help="file with the authority to trust")
    parser.add_argument("--email", required=True, help="who signs in")
    parser.add_argument("--password-file", type=Path, required=True)
    parser.add_argument(
        "--company", metavar="HOST=ADDRESS", help="sign in by the issuer's page there, without a password"
    )
    parser.add_argument("--company-ca", type=Path, help="file with the authority of that page's certificate")
    parser.add_argument("--history", metavar="TEXT", help="what an earlier talk must hold, before anything is asked")
    parser.add_argument("--message", default="hello")
    parser.add_argument("--expect", metavar="TEXT", help="the whole answer; nothing is asked without it")
    parser.add_argument("--last-paragraph", action="store_true", help="expect TEXT at the end of the answer")
    parser.add_argument("--file", type=Path, help="a text to send along with the message")
    parser.add_argument("--model-name", help="what the page must call who answers")
    parser.add_argument("--sign-out", action="store_true", help="at the end, and see that the page forgot who it was")
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
