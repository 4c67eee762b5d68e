#!/bin/bash
# A new user's first minutes, in a fresh Debian (tools/fresh-root) without a network, as an ordinary user: from nothing to
# an agent's output, then through a relay. Says each command with its seconds. The wheels of the
# bundle stand for a package index.
#
#   CLOVE_FRESH_DIST=dist CLOVE_FRESH_OFFLINE=1 tools/fresh-root/run user tools/release/newcomer.sh
set -euo pipefail
tar -C "$HOME" --strip-components=1 --wildcards -xf /srv/dist/clove-*-linux-*.tar.gz '*/wheels/*'
export PIP_CONFIG_FILE=/dev/null PIP_NO_INDEX=1 PIP_FIND_LINKS=$HOME/wheels PIP_DISABLE_PIP_VERSION_CHECK=1
export PATH=$HOME/.venv-clove/bin:$PATH
example=$PWD/examples/fleet/work.py
mkdir "$HOME/work"
cd "$HOME/work"
cp "$example" .
count=0 total=0

typed() { # a command as it is typed: shown, timed, counted; its output
    local begun=${EPOCHREALTIME/./} spent
    count=$((count + 1))
    printf '\n%d $ %s\n' "$count" "$1"
    bash -o pipefail -c "$1" || { echo "FAILED: $1"; exit 1; }
    spent=$(((${EPOCHREALTIME/./} - begun) / 1000))
    total=$((total + spent))
    printf '  (%d.%03d s)\n' $((spent / 1000)) $((spent % 1000))
}
report() { printf '\n%s: %d commands, %d.%03d s\n' "$1" "$count" $((total / 1000)) $((total % 1000)); }
finish() { { clove relay down; clove down; } > /dev/null 2>&1 || true; }
trap finish EXIT

echo 'From nothing to an agent'"'"'s output:'
typed 'python3 -m venv ~/.venv-clove && ~/.venv-clove/bin/pip install -q clove'
typed 'clove up'
installed=$count spent_installing=$total
typed 'clove run work.py a report'
report 'the first agent'

echo
echo 'From nothing to the output of an agent on a machine of a relay (here it is the same one); the first two are as above:'
count=$installed total=$spent_installing
typed 'clove relay up'
typed 'clove machines join m1 | clove tunnel join ws://127.0.0.1:8765 m1'
typed 'clove agent run work.py --machine m1 a report' > said
cat said
report 'through the relay'
grep -q report said || { echo 'FAILED: the agent said nothing of a report'; exit 1; }
[ "$count" -le 5 ]
