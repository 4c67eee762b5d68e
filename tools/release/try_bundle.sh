#!/bin/bash
# The bundle on a fresh Debian (tools/fresh-root) that has python3 alone, no pip and no ensurepip: installed, used, switched to
# another release and back, uninstalled. As root into /opt/clove, or as a user into ~/.local/share/clove.
# Where systemd runs (tools/release/booted) the kernel is its service, else `clove up` starts it.
#
#   CLOVE_FRESH_DIST=dist CLOVE_FRESH_OFFLINE=1 tools/fresh-root/run root|user tools/release/try_bundle.sh
#   tools/release/booted dist tools/release/try_bundle.sh
set -euo pipefail
work=$(mktemp -d)
booted=
[ ! -d /run/systemd/system ] || booted=1
prefix=/opt/clove programs=/usr/local/bin units=/etc/systemd/system
[ "$(id -u)" = 0 ] || prefix=$HOME/.local/share/clove programs=$HOME/.local/bin units=$HOME/.config/systemd/user
export PATH=$programs:$PATH

fail() { echo "FAILED: $*"; exit 1; }
listing() { # files that an installation could leave
    find /opt /etc/clove /etc/systemd /etc/sysusers.d /etc/tmpfiles.d /usr/local "$HOME/.local" "$HOME/.config" \
        -not -type d -not -path '*/state/*' 2> /dev/null | sort || true
}
use() { # the kernel of the release in use starts, an agent runs, all ends
    local said
    if [ "$booted" ]; then systemctl start clove-kernel; else clove up > /dev/null; fi
    said=$(clove run -- echo hello)
    if [ ! "$booted" ]; then
        clove down > /dev/null
    elif [ "${1:-}" != running ]; then
        systemctl stop clove-kernel
    fi
    [ "$said" = hello ] || fail "the agent said: $said"
    echo "  an agent ran, from $(readlink "$prefix/current")"
}

[ "$(id -u)" != 0 ] || rm -rf /usr/lib/python3*/ensurepip
tar -C "$work" -xf /srv/dist/clove-*-linux-*.tar.gz
bundle=$(echo "$work"/clove-*)
listing > "$work/before"
echo 'dry run'
"$bundle/install" --dry-run | sed 's/^/  /'
listing | diff "$work/before" - || fail 'a dry run has done something'
echo install
begun=$SECONDS
"$bundle/install" > "$work/log" || { cat "$work/log"; fail install; }
echo "  $((SECONDS - begun)) s"
[ -e "$units/clove-kernel.service" ] || fail 'there are no units'
grep -q "ExecStart=$prefix/current/bin/twistd" "$units/clove-kernel.service" || fail 'the unit starts something else'
"$prefix/current/bin/twistd" --help | grep -q clove-relay || fail 'twistd does not know the relay'
use
echo 'install another release, and back'
first=$(readlink "$prefix/current")
sed -i 's/"release": "/&9./' "$bundle/bundle.json"
for kind in system user; do # a unit that the first release has not
    printf '[Service]\nExecStart=/usr/bin/sleep 1d\n[Install]\nWantedBy=multi-user.target\n' > "$bundle/systemd/$kind/clove-extra.service"
done
"$bundle/install" > "$work/log" || { cat "$work/log"; fail install; }
[ "$(readlink "$prefix/current")" = "9.$first" ] || fail 'current does not lead to the other release'
use
[ -e "$units/clove-extra.service" ] || fail 'its unit is not there'
[ ! "$booted" ] || systemctl enable --now clove-extra 2> /dev/null || fail 'its unit does not start'
"$prefix/current/bin/python" -m clove.deploy.installer.main --activate "$first"
[ -z "$(find "${units%/*}" -name clove-extra.service)" ] || fail 'the unit of the other release is left'
[ ! "$booted" ] || ! systemctl is-active -q clove-extra || fail 'the unit of the other release still runs'
use running # under systemd the uninstallation stops it
echo uninstall
"$prefix/current/bin/python" -m clove.deploy.installer.main --uninstall > "$work/log" || { cat "$work/log"; fail uninstall; }
listing | diff "$work/before" - || fail 'the above is left'
[ ! -e "$prefix" ] || fail "$prefix is left"
if [ "$booted" ]; then
    left=$(systemctl list-units --plain --no-legend 'clove*'; pgrep -af clove-kernel || true)
    [ -z "$left" ] || fail "still there: $left"
fi
rm -r "$work"
echo "the bundle was installed, used, switched and uninstalled as $(id -un)"
