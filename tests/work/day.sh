#!/bin/bash
# A day of work on a checkout, under the profiles that are shipped and with no grant beside them: packages from the
# index that this machine's pip and npm use, a commit, tests in parallel, a screenshot. In a new directory, which
# it fills; `clove` is in PATH, and $CLOVE_SOCKET says which kernel. Says each step; ends at the first that fails.
set -eu -o pipefail

coding() { clove run --profile coding "$@"; }
step() { echo "== $*"; }

step a checkout
git init -q .
git config user.name Worker
git config user.email worker@example.org
cat > test_sums.py << 'PYTHON'
import numpy
import pandas
import pytest


@pytest.mark.parametrize("size", [10, 1000])
def test_a_sum(size):
    assert pandas.Series(numpy.arange(size)).sum() == size * (size - 1) / 2


def test_a_product():
    assert (numpy.eye(50) @ numpy.eye(50)).trace() == 50
PYTHON
printf 'numpy\npandas\npytest-xdist\n' > requirements.txt
printf '.venv\nnode_modules\n' > .gitignore

step pip install numpy pandas pytest-xdist
coding -- sh -c 'python3 -m venv .venv && .venv/bin/pip install -q -r requirements.txt'

step pytest -n 2
coding -- .venv/bin/pytest -q -n 2 test_sums.py | tee tests.txt
grep -q '^3 passed' tests.txt
rm tests.txt

step git commit
coding -- sh -c 'git add . && git commit -qm "Sum" && git status --short'
test "$(git log --format='%an %s')" = 'Worker Sum'
test "$(stat -c %u .git/HEAD)" = "$(id -u)"
git fsck --no-progress

step npm install
coding -- npm install --no-update-notifier --no-audit --no-fund is-odd
test "$(coding -- node -p 'require("is-odd")(3)')" = true

step a screenshot
echo '<h1 style="color: blue">Sums</h1>' > index.html
clove run --profile browser -- sh -c '
cat > index.html
python3 -m http.server -b 127.0.0.1 8000 >&2 &
until node -e "fetch(\"http://127.0.0.1:8000/\").catch(() => process.exit(1))"; do sleep 0.1; done
chromium --headless --no-sandbox --window-size=640,480 --screenshot=page.png http://127.0.0.1:8000/ >&2
cat page.png' < index.html > page.png
test "$(head -c 4 page.png | tail -c 3)" = PNG
test "$(wc -c < page.png)" -gt 1000

step the same packages for a program, built once
for time in first second; do
    clove run --profile data --requirements requirements.txt -- pytest -q -n 2 -p no:cacheprovider test_sums.py
done
step done
