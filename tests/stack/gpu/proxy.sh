#!/bin/sh
# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Makes a neighbour the only way out of a closed network: squid, which wants a login, and servers of a company behind it, whose
# certificate is signed by the company's own authority, /root/ca.crt.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install --no-install-recommends squid nginx-light openssl >/dev/null
cd /root
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj '/CN=The company' \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=company 2>/dev/null
printf 'subjectAltName=DNS:registry.company,DNS:packages.company,DNS:hub.company\nextendedKeyUsage=serverAuth\n' >server.ext
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile server.ext 2>/dev/null
server() {
    # shellcheck disable=SC2016  # nginx has variables too
    printf 'server { listen 443 ssl; server_name %s; location / { proxy_pass http://%s; proxy_set_header Host $host; proxy_set_header X-Forwarded-Proto https; } }\n' "$1" "$2"
}
{
    printf 'events {}\nhttp {\naccess_log off;\nssl_certificate /root/server.crt;\nssl_certificate_key /root/server.key;\n'
    server registry.company registry.world:5000
    server packages.company packages.world
    server hub.company hub.world
    echo '}'
} >/etc/nginx/nginx.conf
printf 'name:%s\n' "$(openssl passwd -apr1 's3cret@word')" >/etc/squid/passwords
cat >/etc/squid/squid.conf <<'SQUID'
auth_param basic program /usr/lib/squid/basic_ncsa_auth /etc/squid/passwords
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
http_port 3128
access_log stdio:/var/log/squid/access.log
cache deny all
shutdown_lifetime 0 seconds
SQUID
grep -q registry.company /etc/hosts || echo '127.0.0.1 registry.company packages.company hub.company' >>/etc/hosts
systemctl restart nginx squid
