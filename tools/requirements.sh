#!/usr/bin/env bash
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Pins requirements/*.in anew into requirements/*.txt, with hashes, for every platform and Python from 3.11 on (3.12 for
# the newest ansible-core); what the roles toolbox and uv install on managed nodes, for Python from 3.9 on.
set -euo pipefail
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch"
"$scratch/bin/pip" install --quiet uv

pin() { # NAME TARGET LOWEST_PYTHON
    "$scratch/bin/uv" pip compile --quiet --upgrade --universal --python-version "$3" --generate-hashes --no-header \
        "requirements/$1.in" --output-file "$2"
    echo "$2: $(grep --count == "$2") packages"
}

# Two travel with the collection. They and run come first: the pins of test are bound to theirs.
pin toolbox roles/toolbox/files/requirements.txt 3.9
pin uv roles/uv/files/requirements.txt 3.9
for name in run test core-2.17 core-2.18 hubs; do
    pin "$name" "requirements/$name.txt" 3.11
done
pin core-2.21 requirements/core-2.21.txt 3.12
