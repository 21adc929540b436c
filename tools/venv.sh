#!/usr/bin/env bash
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes a virtual environment of pinned, hashed packages where it is not there yet: venv.sh FOLDER REQUIREMENTS [NEWEST]
# NEWEST is the newest minor version of Python 3 that will do; PYTHON names the interpreter where none is found.
set -euo pipefail
folder=$1 requirements=$2 newest=${3:-99}

# An environment holds for the pins that it was made from, and in the place where it was made.
marker() { echo "$folder/made-$({ realpath -m "$folder" && cat "$1"; } | sha256sum | cut -c1-12)"; }

[[ ! -e $(marker "$requirements") ]] || exit 0
make=(venv --clear)
for other in requirements/*.txt; do
    [[ ! -e $(marker "$other") ]] || make=(venv)
done

version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

candidates=(python3 python3.{11..14})
[[ -z ${PYTHON:-} ]] || candidates=("$PYTHON")
found=() python=
for candidate in "${candidates[@]}"; do
    number=$(version "$candidate") || continue
    found+=("$candidate is $number")
    minor=${number#3.}
    if [[ $number == 3.* ]] && ((minor >= 11 && minor <= newest)); then
        python=$candidate
        break
    fi
done
if [[ -z $python ]]; then
    wanted="Python 3.11 or newer"
    [[ $newest == 99 ]] || wanted="Python 3.11 to 3.$newest"
    {
        IFS=,
        echo "$folder: found ${found[*]:-no ${PYTHON:-python3}}; wanted $wanted."
        echo "Install one and name it: make PYTHON=/path/to/python3.11 ..."
    } >&2
    exit 1
fi

# Debian and Ubuntu ship a Python that cannot make environments.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    package=python$number-venv
    if ! command -v apt-get >/dev/null; then
        echo "$folder: $python has no ensurepip; install it ($package on Debian), or set PYTHON to another." >&2
        exit 1
    fi
    echo "$folder: installing $package"
    root=()
    [[ $(id -u) == 0 ]] || root=(sudo)
    "${root[@]}" apt-get -qq update
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends "$package"
fi

echo "$folder: Python $number with $(grep --count == "$requirements") packages of $requirements"
"$python" -m "${make[@]}" "$folder"
# Wheels only: what a source distribution fetches to build itself is not hashed.
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
    --require-hashes --requirement "$requirements"
touch "$(marker "$requirements")"
