"""Whose files a granted path shows as the agent's, and what of it must not be written."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace

from clove.kernel.mounts.mount_plan import MountPlan, Root, arrange_mounts
from clove.kernel.mounts.mount_request import (
    NOTHING,
    Grants,
    MountRequest,
    grants_of,
    mount_request,
)
from clove.kernel.mounts.owners import Owners, group_of, hands_between
from clove.kernel.mounts.set_id_files import SetIdSearch, TooManyFiles
from clove.policy import parse
from clove.sandbox.id_maps import IdMaps
from clove.sandbox.spec import Bind, Isolation, Owner

ALICE = Owner(1000, 100)
ME = Owner(os.getuid(), os.getgid())


def arranged(root: Root, guarded: list[str]) -> dict[str, Bind]:
    plan = arrange_mounts(
        [root],
        [],
        read_only=["/srv/kernel"],
        guarded=guarded,
        unguarded=[],
        blank_directory="/blank",
        blank_file="/blank-file",
    )
    return {bind.target: bind for bind in plan.binds}


def test_all_that_lies_in_an_owned_root_has_its_owner_but_what_is_the_kernels() -> None:
    binds = arranged(Root("/srv", writable=True, owner=ALICE), ["/srv/a/b/su"])
    part = ALICE._replace(whole=False)
    assert binds == {
        "/srv": Bind("/srv", "/srv", writable=True, owner=ALICE),
        "/srv/kernel": Bind("/srv/kernel", "/srv/kernel"),
        "/srv/a": Bind("/srv/a", "/srv/a", writable=True, owner=part),
        "/srv/a/b": Bind("/srv/a/b", "/srv/a/b", writable=True, owner=part),
        "/srv/a/b/su": Bind("/srv/a/b/su", "/srv/a/b/su", owner=part),
    }


def test_nothing_is_guarded_in_what_is_read_only() -> None:
    assert list(arranged(Root("/srv", owner=ALICE), ["/srv/a/su"])) == ["/srv"]


def test_a_grant_is_of_its_owner_only_by_one_who_has_the_owners_rights() -> None:
    wanted = parse(None, {"allowed_read_paths": ["/data"], "allowed_write_paths": ["/out"]})
    both = ("allowed_read_paths", "allowed_write_paths")
    assert grants_of(both, wanted).as_owner == ()
    assert grants_of(both, wanted, as_owner=True).as_owner == ("read", "write")
    earlier = Grants(("/data",), ("/out",))
    assert grants_of(both[1:], wanted, earlier, as_owner=True).as_owner == ("write",)
    earlier = grants_of(both, wanted, as_owner=True)
    assert grants_of(both[:1], wanted, earlier).as_owner == ("write",)
    assert grants_of((), wanted, earlier) == earlier
    assert grants_of((), wanted, as_owner=True) == NOTHING


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (0o755, ""),
        (0o777, "can be written by all"),
        (0o1777, ""),
        (0o775, ""),
    ],
)
def test_a_path_is_in_the_hands_of_its_owner_alone(tmp_path: Path, mode: int, said: str) -> None:
    (tmp_path / "between" / "mine").mkdir(parents=True)
    (tmp_path / "between").chmod(mode)
    found = hands_between(f"{tmp_path}/between/mine", ME)
    assert (found == "") if not said else (said in found)


def test_a_group_of_its_own_is_another_hand(tmp_path: Path) -> None:
    (tmp_path / "between").mkdir()
    (tmp_path / "between").chmod(0o775)
    if os.getuid() != 0:
        pytest.skip("only root can give a directory to another group")
    os.chown(tmp_path / "between", 0, 4242)
    assert "can be written by group 4242" in hands_between(f"{tmp_path}/between/x", ME)
    assert hands_between(f"{tmp_path}/between/x", Owner(0, 4242)) == ""


def test_a_directory_of_another_user_is_another_hand(tmp_path: Path) -> None:
    (tmp_path / "between").mkdir()
    if os.getuid() != 0:
        pytest.skip("only root can give a directory away")
    os.chown(tmp_path / "between", 4242, 0)
    assert "belongs to user 4242" in hands_between(f"{tmp_path}/between/x", ME)
    assert hands_between(f"{tmp_path}/between/x", Owner(4242, 0)) == ""


def test_set_id_files_are_found_at_any_depth_and_by_no_link(tmp_path: Path) -> None:
    for name, mode in (("a/b/su", 0o4755), ("sg", 0o2711), ("plain", 0o755), ("dir/x", 0o644)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        path.chmod(mode)
    (tmp_path / "dir").chmod(0o2755)
    (tmp_path / "outside").symlink_to("/usr/bin")
    top = str(tmp_path)
    search = SetIdSearch(frozenset(), 100)
    assert sorted(search.search(top)) == [f"{top}/a/b/su", f"{top}/sg"]
    assert search.entries == 100 - 8
    assert SetIdSearch(frozenset([f"{top}/a"]), 100).search(top) == [f"{top}/sg"]
    assert SetIdSearch(frozenset(), 8).search(top)
    with pytest.raises(TooManyFiles, match=r"limits\.agents\.owned_entries"):
        SetIdSearch(frozenset(), 7).search(top)


class NoMaps:
    """Stands for a host without user namespaces."""

    def open_map(self, owner: tuple[int, int], agent: int) -> int:
        raise OSError(28, "No space left on device")


def test_what_cannot_be_mapped_is_kept_with_the_reason_and_a_remedy(tmp_path: Path) -> None:
    owners = Owners(cast("IdMaps", NoMaps()), 70000, 100)
    root = Root(str(tmp_path), as_owner=True)
    owned = owners.assign([root, Root("/usr")], [])
    assert [one.owner for one in owned.roots] == [None, None]
    [reason] = owned.kept.values()
    assert "No space left on device" in reason
    assert "copy what is needed into the workspace" in reason


def test_each_pattern_has_the_owner_that_its_own_grant_gives() -> None:
    grants = Grants(("/a",), ("/b",), ("/c",), ("/d",), ("write", "mounts"))
    permissions = parse(
        None, {"allowed_read_paths": ["/a", "/c", "/d"], "allowed_write_paths": ["/b", "/d"]}
    )
    request = mount_request(permissions, grants)
    assert (request.read, request.write) == (("/a", "/c", "/d"), ("/b", "/d"))
    owned = {("read", "/c"), ("read", "/d"), ("write", "/b"), ("write", "/d")}
    assert set(request.as_owner) == owned
    assert mount_request(permissions, replace(grants, as_owner=())).as_owner == ()


def test_the_report_promises_no_owner_without_a_filter() -> None:
    plan = MountPlan(mapped={"/srv": 0}, kept={"/other": "why"})
    request = MountRequest(read=("/srv",))
    filtered = plan.report(request, Isolation(seccomp=True))["owners"]
    assert filtered == {"mapped": {"/srv": 0}, "kept": {"/other": "why"}}
    without = plan.report(request, Isolation())["owners"]
    assert without["mapped"] == {}
    assert "set-id" in without["kept"]["/srv"]
    assert "owners" not in MountPlan().report(request, Isolation(seccomp=True))


def test_no_group_comes_with_an_owner_who_is_not_in_it() -> None:
    daemon = pwd.getpwnam("daemon")
    assert group_of(daemon.pw_uid, daemon.pw_gid) == daemon.pw_gid
    for group in (0, pwd.getpwnam("mail").pw_gid, 0x70000000):
        assert group_of(daemon.pw_uid, group) == daemon.pw_gid
    assert group_of(0, 8) == 8  # root has the rights of all
    unknown = 0x70000001
    assert (group_of(unknown, 8), group_of(unknown, 0)) == (8, unknown)
