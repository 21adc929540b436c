# shellcheck shell=sh
# What a removal has to give back, a line each; docs/removal.md tells what is left out, and why.
kept() {
  find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/tmp -o -path /root -o -path /srv \
    -o -path /var/log -o -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/lib/ucf -o -path /var/lib/systemd \
    -o -path /var/lib/docker -o -path /usr/share/doc -o -path /usr/share/man -o -path /usr/share/info -o -name __pycache__ \
    -o -path /etc/default/locale -o -path /etc/resolv.conf -o -path /etc/hosts -o -path /etc/hostname -o -path /etc/ld.so.cache -o -path /etc/.pwd.lock \
    -o -path '/etc/passwd-' -o -path '/etc/shadow-' -o -path '/etc/group-' -o -path '/etc/gshadow-' \) -prune -o "$@"
}
{
  kept \( -type f -printf 'file %p %m %U:%G\n' -o -type l -printf 'link %p %l\n' -o -type d -printf 'folder %p %m %U:%G\n' \)
  kept -type f -print0 | xargs -0 -r sha256sum
  systemctl list-unit-files --no-legend --no-pager | while read -r unit state _; do echo "unit $unit $state"; done
  getent passwd | cut -d: -f1,3,4 | while read -r user; do echo "user $user"; done
  getent group | while read -r group; do echo "group $group"; done
  dpkg-query --show --showformat 'package ${Package} ${db:Status-Abbrev} ${Version}\n'
  nft list tables 2>/dev/null | grep gpuchat
} | sort
