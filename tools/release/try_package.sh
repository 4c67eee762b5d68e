#!/bin/bash
# The life of the Debian package, in a fresh Debian (tools/fresh-root): install, use, upgrade, remove, purge. Root.
# Where systemd runs (tools/release/booted) the kernel is its service, else `clove up` starts it.
#
#   CLOVE_FRESH_DIST=dist tools/fresh-root/run root tools/release/try_package.sh
#   tools/release/booted dist tools/release/try_package.sh
set -euo pipefail
package=$(echo /srv/dist/clove_*.deb)
work=$(mktemp -d)
booted=
[ ! -d /run/systemd/system ] || booted=1

say() { printf '%s\n' "$*"; }
fail() { say "FAILED: $*"; exit 1; }
listing() { # what a package or a kernel may leave
    { find /opt /etc/clove /etc/systemd /usr/bin /usr/lib/systemd /usr/lib/sysusers.d /usr/lib/tmpfiles.d /var/lib/clove* /run/clove* /tmp \
        -not -path "$work*" -not -path '/tmp/systemd-private*' -not -path /opt 2> /dev/null || true; } | sort
}
process=0 # of the kernel that systemd started
restarted() { # systemd runs a kernel of the release in use, and another one than before
    local now
    systemctl is-active -q clove-kernel || { systemctl status --no-pager clove-kernel; fail 'the kernel does not run'; }
    now=$(systemctl show -P MainPID clove-kernel)
    [ "$now" != "$process" ] || fail 'the kernel of the earlier release still runs'
    tr '\0' ' ' < "/proc/$now/cmdline" | grep -q "^/opt/clove/$(readlink /opt/clove/current)/bin/python " ||
        fail "the kernel is $(tr '\0' ' ' < "/proc/$now/cmdline")"
    process=$now
}
use() { # the kernel runs, an agent as well; again: it is the same process
    local said
    if [ ! "$booted" ]; then clove up > /dev/null; elif [ ! "${1:-}" ]; then restarted; fi
    said=$(clove run -- echo hello)
    [ "$booted" ] || clove down > /dev/null
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
    printf '[Service]\nExecStart=/usr/bin/sleep 1d\n[Install]\nWantedBy=multi-user.target\n' > "$tree/usr/lib/systemd/system/clove-extra.service"
    dpkg-deb --root-owner-group -Zgzip -z1 -b "$tree" "$work/next.deb" > /dev/null
}

listing > "$work/before"
say install
dpkg -i "$package" > "$work/log" 2>&1 || { cat "$work/log"; fail install; }
clove-twistd --help | grep -q clove-relay || fail 'twistd does not know the relay'
if [ "$booted" ]; then
    ! systemctl is-enabled -q clove-kernel 2> /dev/null || fail 'the package enables a unit'
    systemctl enable --now clove-kernel 2> "$work/log" || { cat "$work/log"; fail 'the unit does not start'; }
fi
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
[ ! "$booted" ] || systemctl enable --now clove-extra 2> /dev/null || fail 'the later unit does not start'
say 'and back'
dpkg -i "$package" > "$work/log" 2>&1 || { cat "$work/log"; fail downgrade; }
[ "$(readlink /opt/clove/current)" = "$first" ] && [ ! -e /opt/clove/later ] || fail 'the later release is left'
if [ "$booted" ]; then
    ! systemctl is-active -q clove-extra || fail 'a unit that this release has no more still runs'
    [ -z "$(find /etc/systemd -name clove-extra.service)" ] || fail 'a unit that this release has no more is still enabled'
fi
use
say 'a bundle over it, and its end'
tar -C "$work" -xf /srv/dist/clove-*-linux-*.tar.gz
! "$work"/clove-*/install 2> "$work/log" || fail 'a bundle was installed over the package'
grep -q 'dpkg --remove clove first' "$work/log" || { cat "$work/log"; fail 'that is not said'; }
"$work"/clove-*/install --uninstall > "$work/log" || { cat "$work/log"; fail uninstall; }
[ "$(readlink /opt/clove/current)" = "$first" ] || fail 'the link of the package is gone'
use again
say remove
dpkg -r clove > "$work/log" 2>&1 || { cat "$work/log"; fail remove; }
[ ! -e /opt/clove ] || fail "left in /opt/clove: $(find /opt/clove | head)"
grep -q '# mine' /etc/clove/clove.toml || fail 'the configuration is gone'
[ -d /var/lib/clove ] || fail 'the state is gone'
if [ "$booted" ]; then
    left=$(systemctl list-units --plain --no-legend 'clove*'; pgrep -af clove-kernel || true)
    [ -z "$left" ] || fail "still there: $left"
fi
say purge
dpkg -P clove > "$work/log" 2>&1 || { cat "$work/log"; fail purge; }
listing > "$work/after"
diff "$work/before" "$work/after" || fail 'the above is left'
rm -r "$work"
say "the package was installed, used, upgraded, taken back, removed and purged"
