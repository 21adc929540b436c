# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.packages.apt import (
    Standing,
    parse_dpkg_status,
    parse_madison,
    parse_simulation,
    parse_sources,
    sources_text,
    specification,
    standing,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.packages.plan import InstalledPackage, Repository

DPKG_STATUS = """Package: nginx
Status: install ok installed
Priority: optional
Section: httpd
Architecture: amd64
Version: 1.22.1-9+deb12u3
Depends: libc6 (>= 2.34), nginx-common (= 1.22.1-9+deb12u3), iproute2
Description: small, powerful, scalable web/proxy server
 Nginx ("engine X") is a high-performance web and reverse proxy server
 .
 Status: deinstall ok config-files
Homepage: https://nginx.org

Package: docker-ce
Status: hold ok installed
Architecture: amd64
Version: 5:28.5.1-1~debian.12~bookworm
Conffiles:
 /etc/default/docker 4a0d4cbd7ab4f3c1a2d8a8b0d3f9e8f1
 /etc/init.d/docker 0d4d1bbd0b8a9d5e7f0c7a6f4f2cbd3a

Package: runc
Status: deinstall ok config-files
Architecture: amd64
Version: 1.1.5+ds1-1+deb12u1

Package: apache2
Status: install ok half-configured
Version: 2.4.65-1~deb12u1

"""


def test_dpkgs_status_gives_what_is_really_installed():
    assert parse_dpkg_status(DPKG_STATUS) == {
        "nginx": InstalledPackage("1.22.1-9+deb12u3"),
        "docker-ce": InstalledPackage("5:28.5.1-1~debian.12~bookworm", held=True),
    }
    assert parse_dpkg_status("") == {}


SIMULATED = """NOTE: This is only a simulation!
Reading package lists...
The following packages will be REMOVED:
  containerd docker.io runc
0 upgraded, 0 newly installed, 3 to remove and 0 not upgraded.
Remv docker.io [20.10.24+dfsg1-1+deb12u1+b6]
Remv containerd [1.6.20~ds1-1+deb12u3]
Remv runc [1.1.5+ds1-1+deb12u1]
"""


def test_a_simulated_removal_names_each_package_that_goes():
    assert parse_simulation(SIMULATED) == ("docker.io", "containerd", "runc")
    assert parse_simulation("Package 'runc' is not installed, so not removed\n") == ()


FROM = "https://download.docker.com/linux/debian trixie/stable amd64 Packages"
MADISON = f""" docker-ce | 5:29.1.3-1~debian.13~trixie | {FROM}
 docker-ce | 5:29.0.1-1~debian.13~trixie | {FROM}
 docker-ce | 5:28.5.1-1~debian.13~trixie | {FROM}
"""
VERSIONS = ("5:29.1.3-1~debian.13~trixie", "5:29.0.1-1~debian.13~trixie", "5:28.5.1-1~debian.13~trixie")


def test_the_versions_that_there_are_are_read_in_their_order():
    assert parse_madison(MADISON) == VERSIONS
    assert parse_madison("N: Unable to locate package docker-ce\n") == ()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("docker-ce=*:29.*-*", "docker-ce=5:29.1.3-1~debian.13~trixie"),
        ("docker-ce=*:29.0.1-*", "docker-ce=5:29.0.1-1~debian.13~trixie"),
        ("docker-ce=5:28.5.1-1~debian.13~trixie", "docker-ce=5:28.5.1-1~debian.13~trixie"),
    ],
)
def test_the_newest_version_that_fits_is_chosen(wanted, found):
    assert specification(wanted, VERSIONS) == found


@pytest.mark.parametrize(
    ("versions", "found"), [(VERSIONS[:1], "5:29.1.3-1~debian.13~trixie"), ((), "(none)")], ids=["another", "none"]
)
def test_a_version_that_is_not_there_is_refused_with_those_that_are(versions, found):
    with pytest.raises(Refusal) as refused:
        specification("docker-ce=*:27.*", versions)
    assert str(refused.value) == (
        f"found docker-ce in the versions {found}; wanted *:27.*; set packages to a version that the repository has"
    )


@pytest.mark.parametrize(
    ("repository", "keyring", "text"),
    [
        pytest.param(
            Repository("https://example.com/debian", "trixie", ("stable", "test")),
            "/k.gpg",
            "# Made by gpuchat.\nTypes: deb\nURIs: https://example.com/debian\nSuites: trixie\n"
            "Components: stable test\nSigned-By: /k.gpg\n",
            id="suite and components",
        ),
        pytest.param(
            Repository("https://example.com/amd64", "./"),
            "",
            "# Made by gpuchat.\nTypes: deb\nURIs: https://example.com/amd64\nSuites: ./\n",
            id="a path, without key",
        ),
    ],
)
def test_a_repository_is_written_in_the_deb822_form(repository, keyring, text):
    assert sources_text(repository, keyring) == text


DOCKERS = Repository("https://example.com/deb", "noble", ("stable",))
FLAT = Repository("https://example.com/deb/amd64", "/")
DEB822 = "Types: deb\nURIs: https://example.com/deb\nSuites: noble\nComponents: stable\n"


@pytest.mark.parametrize(
    ("file", "text", "repository"),
    [
        ("a.list", "deb [arch=amd64 signed-by=/k] https://example.com/deb noble stable\n", DOCKERS),
        ("a.list", "  deb https://example.com/deb/ noble stable test # ours\n", DOCKERS),
        ("a.list", "deb [ arch=arm64,amd64 ] https://example.com/deb noble stable\n", DOCKERS),
        ("a.list", 'deb [arch="amd64" signed-by="/k"] https://example.com/deb noble stable\n', DOCKERS),
        ("a.list", "deb [signed-by=/k] https://example.com/deb/$(ARCH) /\n", FLAT),
        ("a.list", "deb https://example.com/deb/amd64 ./\n", FLAT),
        ("a.sources", DEB822, DOCKERS),
        ("a.sources", "Enabled: yes\n" + DEB822, DOCKERS),
        ("a.sources", "# Docker\n\n" + DEB822.lower(), DOCKERS),
        ("a.sources", DEB822.replace("Suites:", "# why\nSuites:").replace("deb\n", "deb-src deb\n", 1), DOCKERS),
        (
            "a.sources",
            "Types: deb\nURIs: https://other.example.com\n https://example.com/deb/amd64/\nSuites: /\n",
            FLAT,
        ),
    ],
)
def test_a_repository_that_somebody_elses_source_serves_is_not_listed_again(file, text, repository):
    found = standing(parse_sources(f"/etc/apt/sources.list.d/{file}", text, "amd64"), repository, "amd64")
    assert (found.served, found.complaint) == (True, "")


@pytest.mark.parametrize("word", ["yes", "Yes", "true", "1", "on", "enable", "with"])
def test_a_source_whose_owner_wants_no_signature_is_one_in_each_word_of_apts(word):
    found = parse_sources("/x/a.sources", f"{DEB822}Trusted: {word}\n", "amd64")
    found += parse_sources("/x/a.list", f"deb [trusted={word}] https://example.com/deb noble stable\n", "amd64")
    assert [source.trusted for source in found] == [True, True]
    assert not parse_sources("/x/a.sources", f"{DEB822}Trusted: no\n", "amd64")[0].trusted


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.list", "# deb https://example.com/deb noble stable\n#deb https://example.com/deb noble stable\n"),
        ("a.list", "deb https://example.com/deb-old noble stable\n"),
        ("a.list", "deb http://example.com/deb noble stable\n"),
        ("a.list", "deb https://example.com/experimental/deb noble stable\n"),
        ("a.list", ""),
        ("a.list.save", "deb https://example.com/deb noble stable\n"),
        ("with a space.list", "deb https://example.com/deb noble stable\n"),
        ("a.sources", "Enabled: no\n" + DEB822),
        ("a.sources", DEB822 + "enabled: False\n"),
        ("a.sources", DEB822.replace("URIs:", "#URIs:")),
    ],
)
def test_a_source_that_apt_does_not_use_is_none(file, text):
    assert standing(parse_sources(f"/x/{file}", text, "amd64"), DOCKERS, "amd64") == Standing()


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        (
            "a.list",
            "deb https://example.com/deb jammy stable\n",
            "for jammy; wanted noble stable, which is this",
        ),
        ("a.list", "deb http://example.com/deb jammy stable\n", "for jammy; wanted noble stable, which is this"),
        ("a.list", "deb tor+https://EXAMPLE.com/deb jammy stable\n", "for jammy; wanted noble stable, which is this"),
        ("a.sources", DEB822.replace("noble", "jammy noble"), "/x/a.sources, which gives apt .* for jammy"),
        (
            "a.list",
            "deb https://example.com/deb noble test\n",
            " noble test; wanted deb noble stable for amd64",
        ),
        ("a.list", "deb [arch=arm64] https://example.com/deb noble stable\n", "for arm64 alone; wanted .* for amd64"),
        ("a.list", "deb-src https://example.com/deb noble stable\n", "gives apt deb-src https://example.com/deb noble"),
    ],
)
def test_a_source_that_gives_something_else_of_the_repository_is_named_with_what_is_wanted(file, text, words):
    found = standing(parse_sources(f"/x/{file}", text, "amd64"), DOCKERS, "amd64")
    assert re.search(words, found.complaint)
    assert "remove" in found.complaint
