#!/bin/sh
# Copyright: (c) gpuchat contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Fills a bare Debian 12, whose Python 3.11 is one of the two that Open WebUI takes, with Open WebUI from PyPI. Runs as
# root inside the container that becomes the image: /recipe is this folder, /cache outlives the build and is not part
# of the image. Where pip looks for packages is the caller's matter (PIP_* in the environment).
#
# As in upstream's image: /app/backend (working folder, start.sh, the package), /app/build (the page), /app/package.json
# and /app/CHANGELOG.md, port 8080. Not as there:
# - it is upstream's slim edition: no torch, no models, and so no embeddings, no speech and no reader of PDF or office
#   files of its own, and no packages for Python in a browser;
# - Python lies in /opt/open-webui instead of /usr/local;
# - the page comes without its source maps, and the changelog holds the last versions only: every start parses it.
set -eu

version=0.12.4
wheel_sha256=02e9caba96234db3fa17a92e56163b3f7f2b8ca8227fa886b85c178d696483f6
venv=/opt/open-webui
site=$venv/lib/python3.11/site-packages
changelog_versions=5

export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
export PIP_CACHE_DIR=/cache/pip PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
mkdir -p "$PIP_CACHE_DIR"

apt-get -qq -o Acquire::Retries=3 update
apt-get -qq -o Dpkg::Use-Pty=0 install --no-install-recommends python3 python3-venv >/dev/null

python3.11 -m venv "$venv"
pip="$venv/bin/python -m pip --quiet --quiet"
$pip install --no-deps --require-hashes --only-binary :all: --requirement /recipe/requirements.txt
$pip download --no-deps --only-binary :all: --dest /build "open-webui==$version"
wheel=/build/open_webui-$version-py3-none-any.whl
echo "$wheel_sha256  $wheel" | sha256sum --check --quiet

mkdir -p /app/backend
"$venv/bin/python" - "$wheel" "$changelog_versions" <<'PYTHON'
import pathlib
import re
import sys
import zipfile

wheel, versions = sys.argv[1], int(sys.argv[2])
with zipfile.ZipFile(wheel) as packed:
    for name in packed.namelist():
        if name.startswith("open_webui/") and not name.endswith((".map", ".whl", "/CHANGELOG.md")):
            packed.extract(name, "/app/backend")
    changelog = packed.read("open_webui/CHANGELOG.md").decode()
    for name in packed.namelist():
        if ".dist-info/licenses/" in name:
            (pathlib.Path("/app") / name.rpartition("/")[2]).write_bytes(packed.read(name))
pathlib.Path("/app/backend/open_webui/frontend").rename("/app/build")
pathlib.Path("/app/CHANGELOG.md").write_text("".join(re.split(r"(?m)^(?=## )", changelog)[: versions + 1]))
PYTHON
printf '{"name": "open-webui", "version": "%s"}\n' "$version" >/app/package.json

cat >/app/backend/start.sh <<'START'
#!/usr/bin/env bash
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")"
: "${WEBUI_SECRET_KEY:?upstream makes one here that a new container forgets; this image wants it given}"
exec python -m uvicorn open_webui.main:app --host "${HOST:-0.0.0.0}" --port "${PORT:-8080}" \
    --forwarded-allow-ips "${FORWARDED_ALLOW_IPS:-*}" --workers "${UVICORN_WORKERS:-1}"
START

# What no server needs.
$pip uninstall --yes pip setuptools
find "$site" -type d \( -name tests -o -name test \) -path '*/numpy/*' -prune -exec rm -rf {} +
# botocore's descriptions of every service but the one that keeps files.
find "$site/botocore/data" -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts -exec rm -rf {} +

# The root is read-only when it runs: what is not compiled now is compiled anew at every start.
"$venv/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash "$site" /app/backend >/dev/null || true

apt-get -qq clean
rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /root/.cache /usr/share/doc /usr/share/man /usr/share/locale /tmp/*

# All that it imports is there.
cd /app/backend
mkdir /tmp/data
ENV=prod DATA_DIR=/tmp/data STATIC_DIR=/tmp/static USE_SLIM_DOCKER=true WEBUI_SECRET_KEY=none OFFLINE_MODE=true \
    "$venv/bin/python" -c "import open_webui.main as main; assert main.VERSION == '$version', main.VERSION"
rm -rf /tmp/* /root/.cache
