# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.packages import (
    Act,
    InstalledPackage,
    Release,
    Repository,
    WantedPackage,
    check_key,
    packages_for,
    parse_dpkg_status,
    plan_packages,
    sources_text,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.plan import Difference, Refusal

DEBIAN_12 = """PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
HOME_URL="https://www.debian.org/"
SUPPORT_URL="https://www.debian.org/support"
BUG_REPORT_URL="https://bugs.debian.org/"
"""
DEBIAN_13 = """PRETTY_NAME="Debian GNU/Linux 13 (trixie)"
NAME="Debian GNU/Linux"
VERSION_ID="13"
VERSION="13 (trixie)"
VERSION_CODENAME=trixie
DEBIAN_VERSION_FULL=13.1
ID=debian
HOME_URL="https://www.debian.org/"
SUPPORT_URL="https://www.debian.org/support"
BUG_REPORT_URL="https://bugs.debian.org/"
"""
UBUNTU_2204 = """PRETTY_NAME="Ubuntu 22.04.5 LTS"
NAME="Ubuntu"
VERSION_ID="22.04"
VERSION="22.04.5 LTS (Jammy Jellyfish)"
VERSION_CODENAME=jammy
ID=ubuntu
ID_LIKE=debian
HOME_URL="https://www.ubuntu.com/"
UBUNTU_CODENAME=jammy
"""
UBUNTU_2404 = """PRETTY_NAME="Ubuntu 24.04.3 LTS"
NAME="Ubuntu"
VERSION_ID="24.04"
VERSION="24.04.3 LTS (Noble Numbat)"
VERSION_CODENAME=noble
ID=ubuntu
ID_LIKE=debian
HOME_URL="https://www.ubuntu.com/"
UBUNTU_CODENAME=noble
LOGO=ubuntu-logo
"""


@pytest.mark.parametrize(
    ("text", "release", "names"),
    [
        pytest.param(
            DEBIAN_12, Release("debian", "12", "bookworm"), ("debian-12", "debian", "default"), id="Debian 12"
        ),
        pytest.param(DEBIAN_13, Release("debian", "13", "trixie"), ("debian-13", "debian", "default"), id="Debian 13"),
        pytest.param(
            UBUNTU_2204, Release("ubuntu", "22.04", "jammy"), ("ubuntu-22.04", "ubuntu", "default"), id="Ubuntu 22.04"
        ),
        pytest.param(
            UBUNTU_2404, Release("ubuntu", "24.04", "noble"), ("ubuntu-24.04", "ubuntu", "default"), id="Ubuntu 24.04"
        ),
        pytest.param("# nothing here\n", Release("", "", ""), ("-", "", "default"), id="no words at all"),
    ],
)
def test_a_release_is_read_from_os_release(text, release, names):
    assert Release.parse(text) == release
    assert release.names == names


def test_an_address_is_filled_with_the_releases_words():
    url = "https://example.com/{id}/dists/{codename}"
    assert Release.parse(UBUNTU_2404).filled(url) == "https://example.com/ubuntu/dists/noble"


TABLE = {"debian-13": ["docker.io"], "ubuntu": ["docker-ce=5:28.*"], "default": ["nginx"]}


@pytest.mark.parametrize(
    ("text", "table", "packages"),
    [
        pytest.param(DEBIAN_13, TABLE, (WantedPackage("docker.io"),), id="by id and version"),
        pytest.param(UBUNTU_2204, TABLE, (WantedPackage("docker-ce", "5:28.*"),), id="by id"),
        pytest.param(DEBIAN_12, TABLE, (WantedPackage("nginx"),), id="default"),
        pytest.param(
            DEBIAN_13, {**TABLE, "debian": ["other"]}, (WantedPackage("docker.io"),), id="the most exact one counts"
        ),
    ],
)
def test_packages_are_chosen_by_release(text, table, packages):
    assert packages_for(Release.parse(text), table, {}) == packages


@pytest.mark.parametrize(
    ("text", "refused", "message"),
    [
        pytest.param(
            DEBIAN_12,
            {"debian-12": "no Compose v2; set docker_source to docker"},
            "found debian 12: no Compose v2; set docker_source to docker",
            id="refused by the table",
        ),
        pytest.param(
            DEBIAN_12,
            {},
            "found debian 12; wanted one of debian-13, ubuntu; use one of these, or set the package names",
            id="in no table",
        ),
    ],
)
def test_a_release_that_cannot_serve_is_refused(text, refused, message):
    with pytest.raises(Refusal) as refusal:
        packages_for(Release.parse(text), {"debian-13": [], "ubuntu": []}, refused)
    assert str(refusal.value) == message


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


@pytest.mark.parametrize(
    ("wanted", "version", "met"),
    [
        ("nginx", "1.22.1-9", True),
        ("nginx", None, False),
        ("docker-ce=5:28.*", "5:28.5.1-1~debian.12~bookworm", True),
        ("docker-ce=5:28.*", "5:29.0.0-1~debian.12~bookworm", False),
        ("docker-ce = 5:28.5.1-1", "5:28.5.1-1", True),
    ],
    ids=["any version", "not installed", "pattern", "another version", "exact, with spaces"],
)
def test_a_version_is_a_shell_pattern(wanted, version, met):
    assert WantedPackage.parse(wanted).is_met_by(InstalledPackage(version) if version else None) is met


A, B = WantedPackage("a"), WantedPackage("b", "2.*")
HAVE_A = {"a": InstalledPackage("1")}
HELD_A = {"a": InstalledPackage("1", held=True)}
SOURCES = Difference("/etc/apt/sources.list.d/x.sources", "", "Types: deb\n")


@pytest.mark.parametrize(
    ("wanted", "installed", "options", "acts"),
    [
        pytest.param((A,), HAVE_A, {}, (), id="as wanted"),
        pytest.param((A, B), HAVE_A, {}, (Act("install", ("b=2.*",)),), id="one is missing"),
        pytest.param(
            (B,), {"b": InstalledPackage("1.9")}, {}, (Act("install", ("b=2.*",)),), id="another version is there"
        ),
        pytest.param((A,), HAVE_A, {"conflicts": ["c"]}, (), id="a conflict that is not there"),
        pytest.param(
            (A,),
            {"c": InstalledPackage("3")},
            {"conflicts": ["c"]},
            (Act("remove", ("c",)), Act("install", ("a",))),
            id="a conflict goes first",
        ),
        pytest.param((A,), HAVE_A, {"hold": True}, (Act("hold", ("a",)),), id="to be held"),
        pytest.param(
            (A,), {}, {"hold": True}, (Act("install", ("a",)), Act("hold", ("a",))), id="installed, then held"
        ),
        pytest.param((A,), HELD_A, {"hold": True}, (), id="held already"),
        pytest.param((A,), HELD_A, {}, (), id="held by the administrator"),
        pytest.param((A,), HAVE_A, {"present": False}, (Act("remove", ("a",)),), id="absent"),
        pytest.param(
            (A,), HELD_A, {"present": False}, (Act("unhold", ("a",)), Act("remove", ("a",))), id="absent and held"
        ),
        pytest.param((A,), {}, {"present": False, "hold": True}, (), id="absent already"),
        pytest.param(
            (A,),
            {},
            {"units_to_mask": ["a.service"], "repository_changes": [SOURCES]},
            (Act("mask", ("a.service",)), Act("repository", (SOURCES.name,)), Act("install", ("a",))),
            id="units are masked and the repository is there before the install",
        ),
    ],
)
def test_packages_are_brought_into_their_state(wanted, installed, options, acts):
    plan = plan_packages(wanted, installed, **options)
    told = "; ".join(f"{act.act} {', '.join(act.names)}" for act in acts) or "all packages are as wanted"
    assert (plan.actions, plan.reason) == (acts, told)
    assert bool(plan.differences) == plan.changed


@pytest.mark.parametrize(
    ("wanted", "installed", "options", "shown"),
    [
        pytest.param((A,), {}, {}, ("package a", "", "the newest there is\n"), id="new"),
        pytest.param((B,), {"b": InstalledPackage("1")}, {}, ("package b", "1\n", "2.*\n"), id="another version"),
        pytest.param((A,), HAVE_A, {"present": False}, ("package a", "1\n", ""), id="removed"),
        pytest.param((A,), HAVE_A, {"hold": True}, ("package a", "not held\n", "held\n"), id="held"),
        pytest.param((A,), HAVE_A, {"units_to_mask": ["u"]}, ("unit u", "not masked\n", "masked\n"), id="masked"),
    ],
)
def test_a_diff_shows_versions_holds_and_masks(wanted, installed, options, shown):
    (difference,) = plan_packages(wanted, installed, **options).differences
    assert (difference.name, difference.before, difference.after) == shown


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


GOOD, OTHER = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88", "4B10F9E60CA79301A3005FEB9E7C9D7A2DBF8AB9"


@pytest.mark.parametrize("wanted", [GOOD, GOOD.lower(), "9DC8 5822 9FC7 DD38 854A  E2D8 8D81 803C 0EBF CD88"])
def test_the_pinned_key_is_accepted_however_its_fingerprint_is_written(wanted):
    check_key([GOOD], wanted, "https://example.com/key")


def test_another_key_is_refused():
    with pytest.raises(Refusal) as refused:
        check_key([OTHER], GOOD, "https://example.com/key")
    assert str(refused.value) == (
        f"the key at https://example.com/key has the fingerprint {OTHER}; wanted {GOOD}; "
        "set key_fingerprint only after you have checked it with the repository's owner"
    )


def test_a_file_that_brings_a_further_key_beside_the_pinned_one_is_refused():
    with pytest.raises(Refusal):
        check_key([GOOD, OTHER], GOOD, "https://example.com/key")
