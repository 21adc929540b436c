#!/usr/bin/env bash
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs ansible-test sanity on the staged collection: sanity.sh VENV NAME [ARGUMENTS]
# NAME tells apart what runs at the same time.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$(realpath "$1")
name=$2
staged=$("$venv/bin/python" tools/stage.py "build/sanity-$name")
shift 2

# ansible-test keeps its environments in the home folder; this one goes with `make clean`. It passes no settings of
# pip on but those in files.
home=$PWD/.cache/ansible-test/$name
mkdir -p "$home/.ansible/test/cache" "$home/.config/pip"
config=${PIP_CONFIG_FILE:-$HOME/.config/pip/pip.conf}
[[ ! -f $config ]] || cp "$config" "$home/.config/pip/pip.conf"
unset PIP_CONFIG_FILE
export HOME=$home
for name in "${!PIP_@}"; do
    option=${name#PIP_}
    option=${option,,}
    "$venv/bin/pip" config --quiet --user set "global.${option//_/-}" "${!name}"
done

# For each test's environment it would fetch pip's installer from a host that closed networks do not reach. A wheel
# unpacked does as well, and ten times as fast as Python's own ensurepip.
tests=$("$venv/bin/python" -c 'import ansible_test; print(*ansible_test.__path__)')
for version in $(grep -o "pip='[0-9.]*'" "$tests/_internal/python_requirements.py" | tr -dc '0-9.\n'); do
    wheel=$HOME/.ansible/test/cache/pip-$version-py3-none-any.whl
    [[ -e $wheel ]] || "$venv/bin/pip" download --quiet --no-deps --only-binary :all: --dest "${wheel%/*}" "pip==$version"
    cat >"$HOME/.ansible/test/cache/get_pip_${version//./_}.py" <<PYTHON
import subprocess, sys, sysconfig, zipfile
zipfile.ZipFile("$wheel").extractall(sysconfig.get_path("purelib"))
more = [word for word in sys.argv if "==" in word and not word.startswith("pip==")]
if more:
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", *more], check=True, stdout=subprocess.DEVNULL)
PYTHON
done

# Without pyenv's shims, which name Pythons that do not run.
PATH=$venv/bin:$(tr : '\n' <<<"$PATH" | grep -v '/shims$' | paste -sd :)
export PATH
cd "$staged"
ansible-test sanity "$@"
