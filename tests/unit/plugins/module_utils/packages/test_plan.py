# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.change import Difference
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.packages.plan import (
    Act,
    InstalledPackage,
    Ours,
    WantedPackage,
    check_key,
    leaving,
    packages_for,
    plan_packages,
    refuse_collateral,
)
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.system.release import Release

RELEASES = pathlib.Path(__file__).resolve().parent / "releases"


def release(name):
    return Release.parse((RELEASES / f"{name}.os-release").read_text(encoding="utf-8"))


REBUILT = ("rhel", "centos", "fedora")


@pytest.mark.parametrize(
    ("name", "read", "names", "system"),
    [
        ("debian-12", Release("debian", "12", "bookworm"), ("debian-12", "debian", "default"), "apt"),
        ("debian-13", Release("debian", "13", "trixie"), ("debian-13", "debian", "default"), "apt"),
        (
            "ubuntu-22.04",
            Release("ubuntu", "22.04", "jammy", ("debian",)),
            ("ubuntu-22.04", "ubuntu-22", "ubuntu", "default"),
            "apt",
        ),
        (
            "ubuntu-26.04",
            Release("ubuntu", "26.04", "resolute", ("debian",)),
            ("ubuntu-26.04", "ubuntu-26", "ubuntu", "default"),
            "apt",
        ),
        ("rhel-9", Release("rhel", "9.4", "", ("fedora",)), ("rhel-9.4", "rhel-9", "rhel", "default"), "dnf"),
        (
            "rhel-10",
            Release("rhel", "10.0", "", ("centos", "fedora")),
            ("rhel-10.0", "rhel-10", "rhel", "default"),
            "dnf",
        ),
        (
            "rocky-9",
            Release("rocky", "9.3", "", REBUILT),
            ("rocky-9.3", "rocky-9", "rocky", "rhel-9", "rhel", "default"),
            "dnf",
        ),
        (
            "almalinux-10",
            Release("almalinux", "10.0", "", REBUILT),
            ("almalinux-10.0", "almalinux-10", "almalinux", "rhel-10", "rhel", "default"),
            "dnf",
        ),
        (
            "centos-9",
            Release("centos", "9", "", ("rhel", "fedora")),
            ("centos-9", "centos", "rhel-9", "rhel", "default"),
            "dnf",
        ),
        ("ol-9", Release("ol", "9.1", "", ("fedora",)), ("ol-9.1", "ol-9", "ol", "default"), "dnf"),
        ("fedora-43", Release("fedora", "43", ""), ("fedora-43", "fedora", "default"), "dnf"),
    ],
)
def test_a_release_is_read_from_os_release(name, read, names, system):
    found = release(name)
    assert found == read
    assert (found.names, found.system) == (names, system)


@pytest.mark.parametrize(
    ("text", "system"),
    [("# nothing here\n", ""), ("ID=arch\n", ""), ("ID=linuxmint\nID_LIKE='ubuntu debian'\n", "apt")],
)
def test_a_release_without_apt_or_dnf_has_no_system(text, system):
    assert Release.parse(text).system == system


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ('ID=rocky\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.5"\nPLATFORM_ID="platform:el9"\n', True),
        ('ID=some\nID_LIKE="rhel fedora"\nVERSION_ID="9.5"\n', True),
        ('ID="alinux"\nID_LIKE="rhel fedora centos anolis"\nVERSION_ID="3"\nPLATFORM_ID="platform:al8"\n', False),
        ('ID="tencentos"\nID_LIKE="rhel fedora centos"\nVERSION_ID="3.1"\nPLATFORM_ID="platform:el8"\n', False),
    ],
    ids=["Rocky Linux 9", "one that says no platform", "Alibaba Cloud Linux 3", "TencentOS 3, which is of RHEL 8"],
)
def test_a_relative_of_rhel_that_counts_its_releases_by_itself_gets_none_of_rhels_packages(text, shares):
    found = Release.parse(text)
    assert found.system == "dnf"
    assert (found.row({"rhel": "docker-ce"}) is not None) == shares


@pytest.mark.parametrize(
    ("name", "text", "filled"),
    [
        ("ubuntu-24.04", "https://example.com/{id}/dists/{codename}", "https://example.com/ubuntu/dists/noble"),
        ("rocky-9", "https://example.com/{id}/{version_major}/{arch}", "https://example.com/rocky/9/some-machine"),
        ("rhel-10", "{version_major}", "10"),
        ("ubuntu-24.04", "{id}{version}", "ubuntu2404"),
        ("debian-13", "no word {of} ours", "no word {of} ours"),
    ],
)
def test_an_address_is_filled_with_the_releases_words(name, text, filled):
    assert release(name).filled(text, "some-machine") == filled


TABLE = {
    "debian-13": ["docker.io"],
    "ubuntu": ["docker-ce=5:28.*"],
    "rhel": ["moby"],
    "rocky-10": ["special"],
    "default": ["nginx"],
}


@pytest.mark.parametrize(
    ("name", "table", "packages"),
    [
        pytest.param("debian-13", TABLE, (WantedPackage("docker.io"),), id="by id and version"),
        pytest.param("ubuntu-22.04", TABLE, (WantedPackage("docker-ce", "5:28.*"),), id="by id"),
        pytest.param("debian-12", TABLE, (WantedPackage("nginx"),), id="default"),
        pytest.param("almalinux-10", TABLE, (WantedPackage("moby"),), id="a rebuild of RHEL"),
        pytest.param("debian-13", {"debian": ["linux-{arch}"]}, (WantedPackage("linux-amd64"),), id="by machine"),
        pytest.param("rocky-10", TABLE, (WantedPackage("special"),), id="its own row before RHEL's"),
        pytest.param("ol-9", TABLE, (WantedPackage("nginx"),), id="one that calls itself no rebuild"),
        pytest.param(
            "debian-13", {**TABLE, "debian": ["other"]}, (WantedPackage("docker.io"),), id="the most exact one counts"
        ),
    ],
)
def test_packages_are_chosen_by_release(name, table, packages):
    assert packages_for(release(name), table, {}, "amd64") == packages


@pytest.mark.parametrize(
    ("name", "refused", "message"),
    [
        pytest.param(
            "debian-12",
            {"debian-12": "no Compose v2; set docker_source to docker"},
            "found debian 12: no Compose v2; set docker_source to docker",
            id="refused by the table",
        ),
        pytest.param(
            "rocky-9",
            {"rhel": "it ships Podman"},
            "found rocky 9.3: it ships Podman",
            id="refused with what it rebuilds",
        ),
        pytest.param(
            "debian-12",
            {},
            "found debian 12; wanted one of debian-13, ubuntu; use one of these",
            id="in no table",
        ),
    ],
)
def test_a_release_that_cannot_serve_is_refused(name, refused, message):
    with pytest.raises(Refusal) as refusal:
        packages_for(release(name), {"debian-13": [], "ubuntu": []}, refused)
    assert str(refusal.value) == message


def test_a_removal_that_takes_only_what_is_named_is_allowed():
    refuse_collateral(["a", "b"], ["b", "a", "c"])


def test_a_removal_that_takes_more_is_refused():
    with pytest.raises(Refusal) as refused:
        refuse_collateral(["runc", "kubelet", "cri-o"], ["runc"])
    assert str(refused.value) == (
        "found that removing runc would take cri-o, kubelet along; wanted to remove nothing that was not named; "
        "remove cri-o, kubelet yourself if nobody needs it, and run again"
    )


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
        pytest.param((A,), HELD_A, {"own_holds": ["a"]}, (Act("unhold", ("a",)),), id="held by an earlier run"),
        pytest.param(
            (A,), HELD_A, {"own_holds": ["a"], "hold": True}, (), id="held by an earlier run, and still wanted"
        ),
        pytest.param((A,), HAVE_A, {"own_holds": ["a"]}, (), id="a hold that somebody has released"),
        pytest.param(
            (A,),
            {**HELD_A, "b": InstalledPackage("1", held=True)},
            {"own_holds": ["a", "b"], "hold": True},
            (Act("unhold", ("b",)),),
            id="a hold of a package that is no longer ours",
        ),
        pytest.param(
            (WantedPackage("a", "2"),),
            HELD_A,
            {"hold": True, "own_holds": ["a"]},
            (Act("install", ("a=2",)), Act("hold", ("a",))),
            id="a version that changes is held anew",
        ),
        pytest.param(
            (A,),
            HAVE_A,
            {"hold": True, "needed_to_hold": ["lock"]},
            (Act("install", ("lock",)), Act("hold", ("a",))),
            id="what holding needs is installed, and not held",
        ),
        pytest.param((A,), HAVE_A, {"needed_to_hold": ["lock"]}, (), id="nothing to hold, nothing needed for it"),
        pytest.param((), {}, {"hold": True, "needed_to_hold": ["lock"]}, (), id="no packages at all"),
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
    described = "; ".join(f"{act.act} {', '.join(act.names)}" for act in acts) or "all packages are as wanted"
    assert (plan.actions, plan.reason) == (acts, described)
    assert bool(plan.differences) == plan.changed


@pytest.mark.parametrize(
    ("wanted", "installed", "options", "shown"),
    [
        pytest.param((A,), {}, {}, ("package a", "", "the newest there is\n"), id="new"),
        pytest.param((B,), {"b": InstalledPackage("1")}, {}, ("package b", "1\n", "2.*\n"), id="another version"),
        pytest.param((A,), HAVE_A, {"present": False}, ("package a", "1\n", ""), id="removed"),
        pytest.param((A,), HAVE_A, {"hold": True}, ("package a", "not held\n", "held\n"), id="held"),
        pytest.param((A,), HELD_A, {"own_holds": ["a"]}, ("package a", "held\n", "not held\n"), id="released"),
        pytest.param(
            (WantedPackage("a", "2"),), HELD_A, {"hold": True}, ("package a", "1\n", "2\n"), id="held before and after"
        ),
        pytest.param((A,), HAVE_A, {"units_to_mask": ["u"]}, ("unit u", "not masked\n", "masked\n"), id="masked"),
    ],
)
def test_a_diff_shows_versions_holds_and_masks(wanted, installed, options, shown):
    (difference,) = plan_packages(wanted, installed, **options).differences
    assert (difference.name, difference.before, difference.after) == shown


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


@pytest.mark.parametrize(
    ("ours", "taken_along", "goes", "stays"),
    [
        (["a", "b"], {"a": ["a", "b"], "b": ["b"]}, ("a", "b"), {}),
        (["a", "b"], {"a": ["a"], "b": ["b", "theirs"]}, ("a",), {"b": ("theirs",)}),
        (["a", "b"], {"a": ["a", "b", "theirs"], "b": ["b", "theirs"]}, (), {"a": ("theirs",), "b": ("theirs",)}),
        ([], {}, (), {}),
    ],
    ids=["all of it is ours", "one is needed", "what ours needs is needed too", "nothing is ours"],
)
def test_a_package_that_somebody_elses_needs_stays(ours, taken_along, goes, stays):
    assert leaving(ours, taken_along) == (goes, stays)


def test_what_is_kept_of_packages_reads_back_and_knows_an_older_release():
    ours = Ours().more(installed=["b", "a"], held=["x"]).less(held=["x"])
    assert ours == Ours(installed=("a", "b"))
    assert Ours.read(ours.as_json()) == ours
    assert Ours.read({"held": ["x"]}) == Ours(held=("x",))
    assert Ours().as_json() == {}
