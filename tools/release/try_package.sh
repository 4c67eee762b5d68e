#!/bin/bash
# The life of the Debian package, in a fresh Debian (tools/fresh-root): install, use, upgrade, remove, purge. Root.
#
#   CLOVE_FRESH_DIST=dist tools/fresh-root/run root tools/release/try_package.sh
set -euo pipefail
package=$(echo /srv/dist/clove_*.deb)
work=$(mktemp -d)

say() { printf '%s\n' "$*"; }
fail() { say "FAILED: $*"; exit 1; }
listing() { # what a package or a kernel may leave
    { find /opt /etc/clove /usr/bin /usr/lib/systemd /usr/lib/sysusers.d /usr/lib/tmpfiles.d /var/lib/clove* /run/clove* /tmp \
        -not -path "$work*" -not -path /opt 2> /dev/null || true; } | sort
}
use() { # the kernel starts, an agent runs, all ends
    local said
    clove up > /dev/null
    said=$(clove run -- echo hello)
    clove down > /dev/null
    [ "$said" = hello ] || fail "the agent said: $said"
    say "  an agent ran under Clove $(clove --version | sed 's/.* //') from $(readlink /opt/clove/current)"
}
next() { # the same package as a later release, so that there is something to upgrade to
    local tree=$work/next release
    dpkg-deb -R "$package" "$tree"
    release=$(readlink "$tree/opt/clove/current")
    mv "$tree/opt/clove/$release" "$tree/opt/clove/later"
    ln -sfn later "$tree/opt/clove/current"
    sed -i "s#/opt/clove/$release#/opt/clove/later#" "$tree"/DEBIAN/p* "$tree"/opt/clove/later/bin/{clove,twistd}
    sed -i "s#opt/clove/$release#opt/clove/later#" "$tree/DEBIAN/md5sums"
    sed -i 's/^Version: .*/Version: 99/' "$tree/DEBIAN/control"
    dpkg-deb --root-owner-group -Zgzip -z1 -b "$tree" "$work/next.deb" > /dev/null
}

listing > "$work/before"
say install
dpkg -i "$package" > "$work/log" 2>&1 || { cat "$work/log"; fail install; }
clove-twistd --help | grep -q clove-relay || fail 'twistd does not know the relay'
use
say upgrade
echo '# mine' >> /etc/clove/clove.toml
next
first=$(readlink /opt/clove/current)
dpkg -i "$work/next.deb" > "$work/log" 2>&1 || { cat "$work/log"; fail upgrade; }
[ "$(readlink /opt/clove/current)" = later ] || fail 'current does not lead to the later release'
[ ! -e "/opt/clove/$first" ] || fail "$first is left"
grep -q '# mine' /etc/clove/clove.toml || fail 'the changed configuration was replaced'
use
say 'and back'
dpkg -i "$package" > "$work/log" 2>&1 || { cat "$work/log"; fail downgrade; }
[ "$(readlink /opt/clove/current)" = "$first" ] && [ ! -e /opt/clove/later ] || fail 'the later release is left'
use
say remove
dpkg -r clove > "$work/log" 2>&1 || { cat "$work/log"; fail remove; }
[ ! -e /opt/clove ] || fail "left in /opt/clove: $(find /opt/clove | head)"
grep -q '# mine' /etc/clove/clove.toml || fail 'the configuration is gone'
[ -d /var/lib/clove ] || fail 'the state is gone'
say purge
dpkg -P clove > "$work/log" 2>&1 || { cat "$work/log"; fail purge; }
listing > "$work/after"
diff "$work/before" "$work/after" || fail 'the above is left'
rm -r "$work"
say "the package was installed, used, upgraded, taken back, removed and purged"
