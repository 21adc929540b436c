# shellcheck shell=sh
find / -xdev \( -path /root -o -path /run -o -path /tmp -o -path /var/log -o -path /var/lib/systemd -o -path /srv \) -prune -o -printf '%p %s %T@ %m\n' | grep -v '^/ ' | sort
