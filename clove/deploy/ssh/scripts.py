"""What runs on a machine that is deployed to: scripts of POSIX sh, which a login shell of another kind may start.

They have no single quotes and no backslashes, so that any shell reads their one quoted word alike.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ACTIVATE",
    "APPEND",
    "CLAIM",
    "CLEAR",
    "FORGET",
    "INSTALL",
    "INSTALLED",
    "PROBE",
    "PUT",
    "REMOVE_OTHERS",
    "RUNS",
    "STAGED",
    "START",
    "STOP",
    "UNINSTALL",
    "UNPACK",
    "UNPACKED",
]

PROBE: Final = """
say() { printf "%s=%s
" "$1" "$2"; }
say system "$(uname -s)"
say machine "$(uname -m)"
os=$(. /etc/os-release 2> /dev/null; echo "$PRETTY_NAME")
say os "$os"
say libc "$(getconf GNU_LIBC_VERSION 2> /dev/null)"
python=
for name in python3 python3.14 python3.13 python3.12 python3.11; do
    found=$(command -v $name) || continue
    version=$($found -I -c "import sys; print(sys.version_info[0], sys.version_info[1], sep=chr(46))")
    case $version in 3.1[1-4]) python=$found; break;; esac
    say other_python "$version"
done
say python "${python:+$version}"
say python_path "$python"
root=
if [ "$(id -u)" = 0 ]; then root=direct
elif sudo -n true 2> /dev/null; then root=sudo; fi
say root "$root"
say user "$(id -un)"
[ ! -d /run/systemd/system ] || say systemd yes
[ ! -S "${XDG_RUNTIME_DIR:-/run/user/$(id -u)}/systemd/private" ] || say user_systemd yes
[ ! -e "/var/lib/systemd/linger/$(id -un)" ] || say linger yes
say home "$HOME"
say data "${XDG_DATA_HOME:-$HOME/.local/share}/clove"
say config "${XDG_CONFIG_HOME:-$HOME/.config}/clove"
say staging "${XDG_CACHE_HOME:-$HOME/.cache}/clove-deploy"
for where in /opt/clove "${XDG_DATA_HOME:-$HOME/.local/share}/clove"; do
    say "claim $where" "$(cat "$where/deployment" 2> /dev/null)"
    say "current $where" "$(readlink "$where/current")"
    there=$where
    while [ ! -e "$there" ]; do there=$(dirname "$there"); done
    say "free $where" "$(df -Pk "$there" | tail -n 1)"
done
as=
[ "$root" != sudo ] || as="sudo -n"
[ -z "$root" ] || ! $as test -e /var/lib/clove || say state_system /var/lib/clove
own=${XDG_STATE_HOME:-$HOME/.local/state}/clove
[ ! -e "$own/ids" ] || say state_user "$own"
if [ -n "$python" ]; then
    say relay "$($python -I -c "
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 10).close()
    print(chr(111) + chr(107))
except OSError as error:
    print(error)
" "$1" "$2" 2>&1)"
fi
[ -z "${https_proxy:-$HTTPS_PROXY}" ] || say proxy yes
"""
"""Says what there is, as KEY=VALUE lines. $1, $2: host and port of the relay's hub."""

CLAIM: Final = """
set -e
umask 022
mkdir -p "$1"
if [ "$3" = user ] && [ ! -e "/var/lib/systemd/linger/$(id -un)" ]; then
    : > "$1/.lingers"
    loginctl enable-linger || { rm -f "$1/.lingers"; rmdir "$1"; exit 1; }
fi
printf "%s" "$2" > "$1/.deployment.$$"
ln "$1/.deployment.$$" "$1/deployment" 2> /dev/null || true
rm -f "$1/.deployment."*
claim=$(cat "$1/deployment")
[ "$claim" = "$2" ] || { echo "it has just been claimed for $claim" >&2; exit 1; }
"""
"""$1: prefix; $2: the deployment's name; $3: user: services are to go on when the user has logged out."""

FORGET: Final = """
[ "$(cat "$1/deployment" 2> /dev/null)" = "$2" ] || exit 0
[ ! -e "$1/.lingers" ] || loginctl disable-linger
rm -f "$1/.deployment."* "$1/.lingers"
rmdir "$3" 2> /dev/null
if [ ! -e "$1/current" ]; then
    for begun in "$1"/*/.clove-begun; do
        [ ! -e "$begun" ] || rm -rf "$(dirname "$begun")" || exit
    done
    rm -f "$1/current" "$1/placed.json" "$1/.lock"
fi
rm -f "$1/deployment"
rmdir "$1" 2> /dev/null || [ ! -e "$1/current" ]
"""
"""Take a claim back, and remove what an uninstallation that was cut short has left. $1: prefix; $2: the deployment's name; $3: where the configuration was."""

STAGED: Final = """
umask 077
mkdir -p "$1" && cd "$1" || exit
[ ! -e "$2.part" ] || { wc -c < "$2.part"; head -c "$3" "$2.part" | sha256sum; }
"""
"""How much of an archive is there. $1: directory; $2: name; $3: bytes that it has."""

APPEND: Final = """
cd "$1" || exit
have=$(wc -c < "$2.part" 2> /dev/null || echo 0)
[ $((have)) = "$3" ] || : > "$2.part"
cat >> "$2.part" || exit
wc -c < "$2.part"
"""
"""Add standard input to an archive. $3: bytes that it has before; where it has others, it is begun anew."""

UNPACK: Final = """
set -e
cd "$1"
echo "$3  $2.part" | sha256sum -c --status || { rm -f "$2.part"; echo it was damaged on the way >&2; exit 3; }
rm -rf "$4" unpacking
mkdir unpacking
tar -xzf "$2.part" -C unpacking
mv "unpacking/$4" "$4"
rm -rf unpacking "$2.part"
"""
"""$3: SHA-256; $4: the directory in it."""

INSTALL: Final = """
cd "$1" && shift && PYTHON=$1 && export PYTHON && shift && exec ./install --json "$@"
"""
"""$1: the unpacked bundle; $2: Python; the others are options of install."""

UNPACKED: Final = """
[ -x "$1/install" ]
"""
"""Whether a bundle is unpacked at $1."""

INSTALLED: Final = """
release=$(readlink "$1/current") && [ -e "$1/$release/.clove-release" ] && echo "$release"
"""
"""The release in use. $1: prefix."""

ACTIVATE: Final = """
prefix=$1 release=$2
shift 2
[ -e "$prefix/$release/.clove-release" ] || exit 3
cd / && exec "$prefix/current/bin/python" -I -m clove.deploy.installer.main --activate "$release" "$@"
"""
"""$1: prefix; $2: release; the others are options of install."""

REMOVE_OTHERS: Final = """
prefix=$1 used=$(readlink "$1/current") kept=$2
shift 2
cd / || exit
install() { "$prefix/current/bin/python" -I -m clove.deploy.installer.main "$@"; }
for path in "$prefix"/*/.clove-release; do
    [ -e "$path" ] || continue
    release=$(basename "$(dirname "$path")")
    case $release in current | "$used" | "$kept") continue;; esac
    install --remove "$release" "$@" < /dev/null || exit
done
"""
"""Remove the releases besides the one in use and $2. $1: prefix; the others are options of install."""

UNINSTALL: Final = """
prefix=$1 staged=$2
shift 2
if [ -e "$prefix/.lock" ] && command -v flock > /dev/null; then
    { flock -w 120 9; } 9< "$prefix/.lock" || [ ! -e "$prefix/.lock" ] || {
        echo "another installation or removal runs there: wait for its end, then run this again" >&2
        exit 1
    }
fi
for release in "$prefix/current" "$prefix"/[0-9]*; do
    [ ! -e "$release/.clove-release" ] || { cd / && exec "$release/bin/python" -I -m clove.deploy.installer.main --uninstall "$@"; }
done
[ ! -x "$staged/install" ] || exec "$staged/install" --uninstall "$@"
"""
"""Once an installer ends whose connection was cut: what it removes meanwhile is not to be looked at. $1: prefix; $2: the unpacked bundle, where a killed installation has left nothing that runs."""

CLEAR: Final = """
rm -rf "$1"
rmdir "$(dirname "$1")" 2> /dev/null || true
"""

PUT: Final = """
set -e
umask 022
mkdir -p "$(dirname "$1")"
cat > "$1.new"
chmod "$2" "$1.new"
mv "$1.new" "$1"
"""
"""Standard input into a file. $1: path; $2: mode."""

_SYSTEMD: Final = """
mode=$1 prefix=$2 settings=$3
control=systemctl
if [ "$mode" = user ]; then
    control="systemctl --user"
    XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
    export XDG_RUNTIME_DIR
fi
state=$prefix/state
clove() { "$prefix/current/bin/clove" --socket "$state/clove.sock" "$@"; }
"""
"""$1: system, user or background; $2: prefix; $3: where the configuration is."""

RUNS: Final = (
    _SYSTEMD
    + """
case $mode in
background) clove ps --json > /dev/null 2>&1;;
*) $control is-active --quiet clove-kernel.service;;
esac
"""
)

START: Final = (
    _SYSTEMD
    + """
[ "$mode" = background ] || { $control restart clove-kernel.service; exit; }
clove down --force --json > /dev/null || exit
umask 077
mkdir -p "$state"
clove up --no-systemd --state-dir "$state" --config "$settings/clove.toml" --json
"""
)
"""Also where it runs already: so it is of the release in use."""

STOP: Final = (
    _SYSTEMD
    + """
if [ "$mode" = background ]; then
    [ ! -x "$prefix/current/bin/clove" ] || clove down --force --json || exit
    rm -rf "$state"
elif $control cat clove-kernel.service > /dev/null 2>&1; then
    $control disable --now clove-kernel.socket 2> /dev/null
    $control disable --now clove-kernel.service || exit
fi
case $mode in
system) rm -rf /var/lib/clove /run/clove;;
user)
    own=${XDG_STATE_HOME:-$HOME/.local/state}/clove
    for each in agents audit blank ids kernel.lock kernel.log logs run spare tunnel; do rm -rf "$own/$each"; done
    rmdir "$own" 2> /dev/null;;
esac
rm -f "$settings/authority.pem" "$settings/authority.pem.new"
"""
)
