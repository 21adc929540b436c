# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What dpkg and apt say and read: the status file, versions, a simulated removal, a repository in the deb822 form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..core.errors import Refusal
from .plan import HINTS, InstalledPackage, Repository, WantedPackage

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64el"}
"""Debian's names by the kernel's."""

REMOVED = re.compile(r"^Remv (\S+)", re.MULTILINE)

LOCKED = re.compile(
    r"^E: (?:Could not get lock|Unable to lock directory)|^dpkg: error: .* locked by another process", re.MULTILINE
)


def parse_dpkg_status(text: str) -> dict[str, InstalledPackage]:
    """Read dpkg's own status file; only packages that are really installed are returned."""
    packages: dict[str, InstalledPackage] = {}
    for paragraph in text.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and not line.startswith(" ")
        )
        want, _flag, state = fields.get("Status", "").partition(" ")
        if state.endswith(" installed"):
            packages[fields["Package"]] = InstalledPackage(fields.get("Version", ""), want == "hold")
    return packages


def parse_simulation(text: str) -> tuple[str, ...]:
    """Return the packages that ``apt-get --simulate remove`` would remove (each on a line that begins with Remv)."""
    return tuple(REMOVED.findall(text))


def parse_madison(text: str) -> tuple[str, ...]:
    """Return the versions that ``apt-cache madison`` lists, newest first."""
    return tuple(line.split("|")[1].strip() for line in text.splitlines() if line.count("|") == 2)


def is_locked(text: str) -> bool:
    """Whether apt or dpkg ended because somebody holds a lock; DPkg::Lock::Timeout waits for dpkg's alone.

    Apt says so too while it waits; that is no error.
    """
    return LOCKED.search(text) is not None


def is_barred(policy: str) -> bool:
    """Whether ``apt-cache policy`` tells of a package that there is and that a pin lets apt take from nowhere."""
    return NO_CANDIDATE.search(policy) is not None


NO_CANDIDATE = re.compile(r"^ *Candidate: \(none\)$", re.MULTILINE)


def warnings(text: str, sources: Sequence[Source] = ()) -> tuple[str, ...]:
    """Return what apt-get update warns of, each with the file of sources that it is about, which apt does not name."""
    found = [line for line in text.splitlines() if line.startswith(("W: ", "E: ")) and "index files failed" not in line]
    return tuple(f"{line}{_listed_in(line, sources)}" for line in dict.fromkeys(map(str.strip, found)))


def _listed_in(line: str, sources: Sequence[Source]) -> str:
    of_files = {source.file for source in sources if re.sub("^cdrom:/*", "cdrom://", source.url) in line}
    return f" (listed in {', '.join(sorted(of_files - {''}))})" if of_files else ""


def specification(text: str, versions: Sequence[str], hint: str = HINTS["version"]) -> str:
    """Return ``name=version`` with the newest version of a package's that fits; apt itself reads no pattern there.

    Raises:
        Refusal: none fits.
    """
    package = WantedPackage.parse(text)
    for version in versions:
        if package.is_met_by(InstalledPackage(version)):
            return f"{package.name}={version}"
    raise Refusal(
        f"found {package.name} in the versions {', '.join(versions) or '(none)'}; wanted {package.version}; {hint}"
    )


@dataclass(frozen=True)
class Source:
    """One address and one suite that a file of sources gives apt (sources.list(5)).

    Attributes:
        types: ``deb``, ``deb-src`` or both.
        architectures: those that it is restricted to; none for all.
        signed_by: keyring, fingerprint or key that its signature must be of; empty for any that apt trusts.
        trusted: apt asks for no signature.
    """

    file: str
    url: str
    suite: str
    components: tuple[str, ...] = ()
    types: tuple[str, ...] = ("deb",)
    architectures: tuple[str, ...] = ()
    signed_by: str = ""
    trusted: bool = False

    @property
    def keyrings(self) -> tuple[str, ...]:
        words = [] if "BEGIN PGP" in self.signed_by else re.split(r"[\s,]+", self.signed_by)
        return tuple(word for word in words if word.startswith("/"))


def parse_sources(file: str, text: str, arch: str) -> tuple[Source, ...]:
    """Read a file of sources, of the form that its name tells; those that are off are left out, as apt does."""
    if not FILE_OF_SOURCES.search(file):
        return ()
    entries = _stanzas(text) if file.endswith(".sources") else _lines(text)
    return tuple(
        Source(
            file,
            url.replace("$(ARCH)", arch).rstrip("/"),
            suite.replace("$(ARCH)", arch),
            tuple(entry.get("components", "").split()),
            tuple(entry.get("types", "").split()),
            tuple(re.split(r"[\s,]+", entry["architectures"])) if entry.get("architectures") else (),
            entry.get("signed-by", "").strip(),
            entry.get("trusted", "").strip().lower() in ON,
        )
        for entry in entries
        if entry.get("enabled", "yes").strip().lower() not in OFF
        for url in entry.get("uris", "").split()
        for suite in entry.get("suites", "").split()
    )


FILE_OF_SOURCES = re.compile(r"(^|/)[\w.-]+\.(list|sources)$", re.ASCII)
OFF = ("no", "false", "without", "off", "disable", "0")
ON = ("yes", "true", "with", "on", "enable", "1")
"""What apt takes for no and yes (apt: StringToBool)."""

LINE = re.compile(r"\s*(deb|deb-src)\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)([^#]*)")
LONG_NAMES = {"arch": "architectures"}


def _lines(text: str) -> Iterator[dict[str, str]]:
    """Yield the sources of the form with one line each, by the field names of the other form."""
    for line in text.splitlines():
        found = LINE.match(line)
        if found:
            kind, options, url, suite, components = found.groups()
            pairs = [option.partition("=") for option in (options or "").replace('"', "").split()]
            more = {LONG_NAMES.get(name.lower(), name.lower()): value for name, _equals, value in pairs}
            yield {**more, "types": kind, "uris": url, "suites": suite.strip('"'), "components": components}


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    """Yield the paragraphs of the deb822 form; names of fields count in any case, and a field may go on below."""
    for paragraph in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in paragraph.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in (" ", "\t"):
                fields[name] = f"{fields.get(name, '')}\n{line.strip()}"
            else:
                name, _colon, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        yield fields


@dataclass(frozen=True)
class Standing:
    """What somebody else's sources mean for a repository of ours.

    Attributes:
        served: they give apt the repository already; a second source would conflict with theirs.
        complaint: why nothing can be installed with them; empty where nothing stands against it.
        by: the source that serves.
    """

    served: bool = False
    complaint: str = ""
    by: Source | None = None


def standing(sources: Sequence[Source], repository: Repository, arch: str) -> Standing:
    """Compare somebody else's sources with a repository.

    Apt refuses two keyrings for one address and suite, and takes the highest version of all suites of an address.
    """
    here = [source for source in sources if source.url == repository.url.rstrip("/")]
    wanted = " ".join([repository.suite, *repository.components])
    for source in sources:
        if _address(source.url) != _address(repository.url):
            continue
        if _suite(source.suite) != _suite(repository.suite) and "deb" in source.types:
            return Standing(
                served=True,
                complaint=f"found {source.file}, which gives apt {source.url} for {source.suite}; wanted {wanted}, "
                "which is this host's; correct that file or remove it, and run again",
            )
    serving = [source for source in here if _serves(source, repository, arch)]
    if not here or serving:
        return Standing(bool(serving), "", serving[0] if serving else None)
    given = here[0]
    for_what = f" for {', '.join(given.architectures)} alone" if given.architectures else ""
    return Standing(
        served=True,
        complaint=f"found {given.file}, which gives apt {' '.join(given.types)} {given.url} {given.suite} "
        f"{' '.join(given.components)}{for_what}; wanted deb {wanted} for {arch}; add that there or remove the "
        "file, and run again",
    )


def _address(url: str) -> str:
    """Return an address by which one repository is known, however apt is to reach it."""
    _way, _slashes, place = url.rstrip("/").partition("://")
    host, slash, path = place.partition("/")
    return f"{host.rpartition('@')[2].lower()}{slash}{path}"


def _suite(text: str) -> str:
    return "/" if text in ("/", "./") else text


def _serves(source: Source, repository: Repository, arch: str) -> bool:
    return (
        "deb" in source.types
        and (not source.architectures or arch in source.architectures)
        and set(repository.components) <= set(source.components)
    )


def sources_text(repository: Repository, keyring: str) -> str:
    """Return the deb822 text of a repository (sources.list(5))."""
    lines = ["# Made by gpuchat.", "Types: deb", f"URIs: {repository.url}", f"Suites: {repository.suite}"]
    if repository.components:
        lines.append(f"Components: {' '.join(repository.components)}")
    if keyring:
        lines.append(f"Signed-By: {keyring}")
    return "\n".join(lines) + "\n"
