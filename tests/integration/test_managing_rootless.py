"""What operators do to agents and their files, under the kernel of an ordinary user."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest

from tests.adversary.isolated import PATHS, unprivileged_python
from tests.integration.commands import clove
from tests.integration.conftest import KernelProcess
from tests.integration.exposed import ORDINARY, OrdinaryKernel
from tests.integration.test_cli_files import (
    agent,
    test_a_directory_is_copied_without_links_and_fifos,
    test_diff_shows_what_the_agent_made,
    test_files_are_copied_to_an_agent,
    test_ls_shows_names_and_kinds,
    test_rm_removes_what_is_named,
)
from tests.integration.test_file_tree import (
    test_a_level_without_write_changes_nothing,
    test_no_agent_names_another_ones_files,
)
from tests.integration.test_limits_updated import (
    test_a_parent_changes_its_children_within_its_own_limits,
    test_sizes_of_file_systems_hold_from_the_next_start_on,
)
from tests.integration.test_managing import (
    test_a_paused_agent_can_be_restarted,
    test_a_renamed_agent_frees_its_name,
    test_a_restarted_agent_is_the_same_agent_in_a_new_process,
    test_a_signal_reaches_the_main_program_alone,
    test_a_stranger_manages_nothing,
    test_a_stubborn_agent_without_grace_ends_at_once,
)

__all__ = [
    "agent",
    "clove",
    "test_a_directory_is_copied_without_links_and_fifos",
    "test_a_level_without_write_changes_nothing",
    "test_a_parent_changes_its_children_within_its_own_limits",
    "test_a_paused_agent_can_be_restarted",
    "test_a_renamed_agent_frees_its_name",
    "test_a_restarted_agent_is_the_same_agent_in_a_new_process",
    "test_a_signal_reaches_the_main_program_alone",
    "test_a_stranger_manages_nothing",
    "test_a_stubborn_agent_without_grace_ends_at_once",
    "test_diff_shows_what_the_agent_made",
    "test_files_are_copied_to_an_agent",
    "test_ls_shows_names_and_kinds",
    "test_no_agent_names_another_ones_files",
    "test_rm_removes_what_is_named",
    "test_sizes_of_file_systems_hold_from_the_next_start_on",
]


@pytest.fixture(scope="module")
def kernel() -> Iterator[KernelProcess]:
    """As in `conftest.py`, but an ordinary user's: root is its operator, too."""
    if os.getuid() != 0:
        pytest.skip("the other files try that already: this user is an ordinary one")
    if not unprivileged_python():
        pytest.skip("no interpreter that an ordinary user can run")
    directory = tempfile.mkdtemp(dir="/tmp", prefix="c")
    os.chown(directory, ORDINARY, ORDINARY)
    environ = {"PYTHONPATH": os.pathsep.join(PATHS), "HOME": directory}
    found = OrdinaryKernel(directory, environ=environ)
    try:
        found.start()
        yield found
    finally:
        if found.process is not None:
            found.stop()
        shutil.rmtree(directory)
