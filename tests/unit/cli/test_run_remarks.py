"""What `clove run` says of directories whose files are not the agent's."""

from __future__ import annotations

from clove.cli.run_spawn import remark_on_owners

MOUNTS: list[dict[str, object]] = [{"path": "/data", "writable": True}, {"path": "/other"}]


def test_directories_that_were_asked_for_and_keep_their_owners_are_named() -> None:
    owners = {"mapped": {"/other": 1000}, "kept": {"/data": "on overlay", "/script": "on nfs"}}
    said = remark_on_owners({"isolation": {"owners": owners}}, MOUNTS)
    assert said == "the files in /data are not the agent's: on overlay"


def test_where_all_are_the_agents_nothing_is_said() -> None:
    owners = {"mapped": {"/data": 0, "/other": 0}, "kept": {}}
    assert remark_on_owners({"isolation": {"owners": owners}}, MOUNTS) == ""
    assert remark_on_owners({"isolation": {}}, MOUNTS) == ""
