#!/usr/bin/env bash
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Pins requirements/*.in anew into requirements/*.txt, with hashes, for every platform and Python from 3.11 on.
set -euo pipefail
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch"
"$scratch/bin/pip" install --quiet uv

# run first: the pins of test are bound to it.
for name in run test core-2.17 core-2.18; do
    "$scratch/bin/uv" pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
        "requirements/$name.in" --output-file "requirements/$name.txt"
    echo "requirements/$name.txt: $(grep --count == "requirements/$name.txt") packages"
done
