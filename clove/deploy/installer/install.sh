#!/bin/sh
# Install this bundle of Clove. `./install --help` says how; nothing is fetched, python3 is all that it needs.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
for candidate in ${PYTHON:-python@PYTHON@ python3 /usr/bin/python3}; do
    command -v "$candidate" > /dev/null || continue
    "$candidate" -I -c 'import sys; sys.exit(sys.version_info[:2] != @TUPLE@)' 2> /dev/null || continue
    exec "$candidate" -I -c '
import glob, sys
(wheel,) = glob.glob(sys.argv[1] + "/wheels/clove-*.whl")
sys.path.insert(0, wheel)
from clove.deploy.installer.main import main
sys.exit(main(sys.argv[2:], bundle=sys.argv[1]))
' "$here" "$@"
done
echo "install: this bundle is for CPython @PYTHON@; found: $(python3 --version 2>&1 || echo no python3)" >&2
echo "install: name one (PYTHON=/path/to/python@PYTHON@ ./install), or make a bundle for the Python of this machine" >&2
exit 3
