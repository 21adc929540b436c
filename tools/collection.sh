#!/usr/bin/env bash
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Builds and installs the collection below a folder, and looks at what arrived: collection.sh BUILD
set -euo pipefail
cd "$(dirname "$0")/.."
inventory=$PWD/inventories/demo
modules=(library/gpuchat_*.py)
staged=$(python tools/stage.py "$1")
cd "$1"

rm -rf collections
ansible-galaxy collection build --force --output-path . "$staged"
ansible-galaxy collection install --force --collections-path collections gpuchat-stack-*.tar.gz

# From here on nothing of the checkout is in reach.
export ANSIBLE_COLLECTIONS_PATH=$PWD/collections
cd collections
for module in "${modules[@]}"; do
    name=gpuchat.stack.$(basename "$module" .py)
    ansible-doc --type module "$name" >/dev/null
    echo "$name has its documentation"
done
for playbook in site hosts plan verify; do
    ansible-playbook "gpuchat.stack.$playbook" --syntax-check -i "$inventory"
done
