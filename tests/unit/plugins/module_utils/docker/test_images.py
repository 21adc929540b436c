# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.core.errors import Refusal
from ansible_collections.gpuchat.stack.plugins.module_utils.gpuchat.docker.images import (
    Image,
    Pull,
    Source,
    mirrored,
    plan_image,
    source_of,
    token_request,
)
from hypothesis import given
from hypothesis import strategies as st

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("name", "image"),
    [
        pytest.param("nginx:1.27", Image("docker.io", "library/nginx", "1.27"), id="an official image"),
        pytest.param("vllm/vllm-openai:v0.32.0", Image("docker.io", "vllm/vllm-openai", "v0.32.0"), id="Docker Hub"),
        pytest.param(
            "docker.io/lobehub/lobe-chat:1.143.3", Image("docker.io", "lobehub/lobe-chat", "1.143.3"), id="by its name"
        ),
        pytest.param(
            "docker.io/nginx:1.27", Image("docker.io", "library/nginx", "1.27"), id="an official image by its registry"
        ),
        pytest.param("ghcr.io/a/b/c:main-1", Image("ghcr.io", "a/b/c", "main-1"), id="another registry, deep"),
        pytest.param("registry.world:5000/a:1", Image("registry.world:5000", "a", "1"), id="a registry with a port"),
        pytest.param("localhost/a:1", Image("localhost", "a", "1"), id="localhost"),
    ],
)
def test_a_name_is_read_as_docker_reads_it(name, image):
    assert Image.parse(name) == image


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("vllm/vllm-openai", "none"),
        ("registry.world:5000/a", "none"),
        ("nginx:latest", "latest"),
        (f"nginx:1.27@{DIGEST}", f"1.27@{DIGEST}"),
    ],
    ids=["no tag", "a port is no tag", "latest", "tag and digest"],
)
def test_a_tag_that_is_missing_or_moves_is_refused(name, tag):
    with pytest.raises(Refusal) as refused:
        Image.parse(name)
    assert str(refused.value) == f"found the image {name}; wanted one with a tag that stays, not {tag}; set its version"


def test_a_name_with_a_digest_and_no_tag_is_refused():
    with pytest.raises(Refusal, match=f"^found the image vllm/vllm-openai@{DIGEST}; wanted one with a tag"):
        Image.parse(f"vllm/vllm-openai@{DIGEST}")


parts = st.from_regex(r"[a-z0-9]{1,6}", fullmatch=True)


@given(
    st.sampled_from(["docker.io", "ghcr.io", "localhost", "registry.world:5000"]),
    st.lists(parts, min_size=2, max_size=3).map("/".join),
    st.from_regex(r"[a-z0-9_][a-z0-9._-]{0,8}", fullmatch=True).filter(lambda tag: tag != "latest"),
)
def test_an_images_text_is_read_back_as_the_same_image(registry, repository, tag):
    image = Image(registry, repository, tag)
    assert Image.parse(str(image)) == image


@pytest.mark.parametrize(
    ("registry_map", "name"),
    [
        pytest.param({}, "docker.io/vllm/v", id="no map"),
        pytest.param({"ghcr.io": "other.example.com"}, "docker.io/vllm/v", id="another registry is mapped"),
        pytest.param({"docker.io": "mirror.example.com:5000"}, "mirror.example.com:5000/vllm/v", id="a registry"),
        pytest.param(
            {"docker.io": "mirror.example.com/hub/"}, "mirror.example.com/hub/vllm/v", id="a registry and a path"
        ),
    ],
)
def test_an_image_is_pulled_from_where_the_map_says(registry_map, name):
    assert source_of(Image("docker.io", "vllm/v", "1"), registry_map).name == name


@pytest.mark.parametrize(
    ("host", "insecure", "url"),
    [
        pytest.param("docker.io", (), "https://registry-1.docker.io/v2/a/b/manifests/1", id="Docker Hub"),
        pytest.param("r:5000", ("r:5000",), "http://r:5000/v2/a/b/manifests/1", id="plain HTTP"),
        pytest.param("r:5000", ("r",), "https://r:5000/v2/a/b/manifests/1", id="another port is another registry"),
    ],
)
def test_a_manifest_has_an_address(host, insecure, url):
    assert Source(host, "a/b").manifest_url("1", insecure) == url


def test_an_image_that_is_there_is_not_pulled():
    plan = plan_image(Image("docker.io", "a/b", "1"), Source("r", "a/b"), DIGEST, there=True)
    assert (plan.actions, plan.reason) == ((), f"docker.io/a/b:1 is there as {DIGEST}")


def test_an_image_is_pulled_by_digest_and_shown():
    plan = plan_image(Image("docker.io", "a/b", "1"), Source("r", "a/b"), DIGEST, there=False)
    assert (plan.actions, plan.reason) == ((Pull(f"r/a/b@{DIGEST}"),), "docker.io/a/b:1 is not on this host")
    (difference,) = plan.differences
    assert (difference.name, difference.before, difference.after) == ("image docker.io/a/b:1", "", f"r/a/b@{DIGEST}\n")


@pytest.mark.parametrize(
    ("challenge", "url"),
    [
        pytest.param(
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull"',
            "https://auth.docker.io/token?service=registry.docker.io&scope=repository:a/b:pull",
            id="Docker Hub",
        ),
        pytest.param(
            'bearer realm="https://r/t", scope="repository:a:pull"',
            "https://r/t?scope=repository:a:pull",
            id="lower case, no service",
        ),
        pytest.param('Bearer service="r"', None, id="no realm"),
        pytest.param('Bearer realm="file:///etc/gpuchat/token"', None, id="a file of the host"),
        pytest.param('Basic realm="r"', None, id="a password is wanted"),
        pytest.param("", None, id="no challenge"),
    ],
)
def test_a_challenge_says_where_a_token_is_had(challenge, url):
    assert token_request(challenge) == url


@pytest.mark.parametrize("place", [None, 5, "http://registry.example.com", "", ["a"], "registry example"])
def test_a_registry_map_that_names_no_registry_is_refused_with_the_right_form(place):
    with pytest.raises(Refusal, match="wanted a registry without http:// or https://.*set gpuchat_registry_map"):
        source_of(Image("docker.io", "a/b", "1"), {"docker.io": place})


def test_mirrors_are_written_for_podman_in_their_order_and_by_their_scheme():
    assert mirrored("docker.io", ["https://one.example.com/hub/", "http://two:5000"]).splitlines() == [
        "[[registry]]",
        'location = "docker.io"',
        "[[registry.mirror]]",
        'location = "one.example.com/hub"',
        "[[registry.mirror]]",
        'location = "two:5000"',
        "insecure = true",
    ]
