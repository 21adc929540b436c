# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import configparser

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.packages.dnf import (
    parse_erase_test,
    parse_query,
    repository_text,
    specification,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.packages.plan import InstalledPackage, Repository

# What rpm 4.18 and dnf 4.14 said of stand-in packages with Docker's names, epochs and relations.
QUERIED = """docker-ce\t3:29.0.0-1.el9\t1795180839
docker-ce-cli\t1:29.0.0-1.el9\t1795180839
containerd.io\t0:2.1.5-1.el9\t1795180839
gpg-pubkey\t765cc3aa-6b004925\t1795180838
gpg-pubkey\t0e91667b-6b004960\t1795180801
podman\t2:5.2.2-1.el9\t1795180790
"""
LOCKS = """
# Added lock on Fri Nov 20 13:20:39 2026
docker-ce-3:29.0.0-1.el9.*
!docker-ce-cli-1:28.5.1-1.el9.*

# Added lock on Fri Nov 20 13:20:39 2026
containerd.io-0:2.1.5-1.el9.*
"""


def test_rpms_answer_gives_versions_and_the_locks_what_is_held():
    assert parse_query(QUERIED, LOCKS) == {
        "docker-ce": InstalledPackage("3:29.0.0-1.el9", held=True),
        "docker-ce-cli": InstalledPackage("1:29.0.0-1.el9"),
        "containerd.io": InstalledPackage("2.1.5-1.el9", held=True),
        "gpg-pubkey": InstalledPackage("765cc3aa-6b004925"),
        "podman": InstalledPackage("2:5.2.2-1.el9"),
    }
    assert parse_query("", "") == {}


def test_what_rpm_says_between_its_rows_is_no_package():
    said = "warning: Found bdb_ro Packages database\nerror: rpmdb open failed\npackage x is not installed\n(none)\n"
    assert parse_query(said + QUERIED + said, LOCKS) == parse_query(QUERIED, LOCKS)


def test_of_several_kernels_the_one_that_came_last_counts_in_whatever_order_they_are_reported():
    lines = ["kernel\t5.14.0-427.13.1.el9_4\t100\n", "kernel\t5.14.0-503.11.1.el9_5\t200\n"]
    for text in ("".join(lines), "".join(reversed(lines))):
        assert parse_query(text, "")["kernel"].version == "5.14.0-503.11.1.el9_5"


def test_a_lock_of_a_longer_name_holds_no_other_package():
    assert parse_query("docker-ce\t3:29.0.0-1.el9\t1\n", "docker-ce-cli-1:29.0.0-1.el9.*\n") == {
        "docker-ce": InstalledPackage("3:29.0.0-1.el9")
    }


ERASE_TEST = """error: Failed dependencies:
\trunc is needed by (installed) needs-runc-1.0-1.el9.noarch
\tlibfoo.so.1()(64bit) is needed by (installed) cri-o-0:1.30.4-2.el9.x86_64
\tlibbar.so.1()(64bit) is needed by (installed) cri-o-0:1.30.4-2.el9.x86_64
"""


def test_a_tried_removal_names_each_package_that_stands_in_its_way():
    assert parse_erase_test(ERASE_TEST) == ("needs-runc", "cri-o")
    assert parse_erase_test("") == ()


@pytest.mark.parametrize(
    ("wanted", "written"),
    [
        ("docker-ce", "docker-ce"),
        ("docker-ce=*:29.*-*", "docker-ce-29.*-*"),
        ("docker-ce=3:29.0.0-1.el9", "docker-ce-3:29.0.0-1.el9"),
        ("nvidia-container-toolkit=1.20.0-1", "nvidia-container-toolkit-1.20.0-1"),
    ],
    ids=["any version", "any epoch", "an epoch", "no epoch"],
)
def test_a_version_is_written_as_dnf_reads_it(wanted, written):
    assert specification(wanted) == written


@pytest.mark.parametrize(
    ("signed", "packages", "metadata"), [("packages", "1", "0"), ("metadata", "0", "1"), ("both", "1", "1")]
)
def test_a_repository_file_has_what_its_owner_signs_checked(signed, packages, metadata):
    repository = Repository("https://example.com/rpm/9/x86_64", signed=signed)
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.read_string(repository_text("x", repository, "/etc/pki/rpm-gpg/gpuchat-x"))
    assert dict(parsed["gpuchat-x"]) == {
        "name": "gpuchat-x",
        "baseurl": "https://example.com/rpm/9/x86_64",
        "enabled": "1",
        "gpgcheck": packages,
        "repo_gpgcheck": metadata,
        "gpgkey": "file:///etc/pki/rpm-gpg/gpuchat-x",
    }


def test_a_repository_without_a_key_of_its_own_is_checked_with_those_that_rpm_has():
    text = repository_text("x", Repository("https://example.com"), "")
    assert "gpgcheck=1\n" in text
    assert "gpgkey" not in text
