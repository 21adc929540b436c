#!/usr/bin/env bash
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs ansible-test sanity on the staged collection: sanity.sh VENV [ARGUMENTS]
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$PWD/$1
shift
staged=$("$venv/bin/python" tools/stage.py "build/$(basename "$venv")")

# ansible-test keeps its environments in the home folder; this one goes with `make clean`. It passes no settings of
# pip on but those in files.
home=$PWD/.cache/ansible-test
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

# It would fetch pip's installer from a host that closed networks do not reach; Python brings one.
tests=$("$venv/bin/python" -c 'import ansible_test; print(*ansible_test.__path__)')
for version in $(grep -o "pip='[0-9.]*'" "$tests/_internal/python_requirements.py" | tr -dc '0-9.\n'); do
    cat >"$HOME/.ansible/test/cache/get_pip_${version//./_}.py" <<'PYTHON'
import subprocess, sys
for words in ["ensurepip"], ["pip", "install", "-q", *(word for word in sys.argv if "==" in word)]:
    subprocess.run([sys.executable, "-m", *words], check=True, stdout=subprocess.DEVNULL)
PYTHON
done

# Without pyenv's shims, which name Pythons that do not run.
PATH=$venv/bin:$(tr : '\n' <<<"$PATH" | grep -v '/shims$' | paste -sd :)
export PATH
cd "$staged"
ansible-test sanity "$@"
