"""A day of work inside, for `make test-work`; it takes minutes and needs a package index."""

from __future__ import annotations

import os

collect_ignore_glob = [] if "CLOVE_TEST_WORK" in os.environ else ["test_*.py"]
