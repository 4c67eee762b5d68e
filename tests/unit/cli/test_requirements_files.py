"""Requirements files are read with what they include, and hashed by what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from clove.cli.package_indexes import Index
from clove.cli.requirements import MOST_FILES, read_requirements
from clove.cli.run_environment import key_of
from clove.errors import InvalidRequest, NotFound

INDEX = Index(("https://pypi.org/simple",), frozenset(), (), (), {})


def write(place: Path, **texts: str) -> None:
    for name, text in texts.items():
        path = place / f"{name.replace('__', '/')}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def test_files_include_each_other_by_their_numbers(tmp_path: Path) -> None:
    write(
        tmp_path,
        main="one==1  # first\n-r sub/more.txt # why\n--requirement=main.txt\n-c 'bounds.txt'\n",
        sub__more="two\n--constraint ../bounds.txt\n",
        bounds="two<3",
    )
    found = read_requirements([str(tmp_path / "main.txt")])
    assert found.texts == (
        "one==1  # first\n-r 1.txt\n-r 0.txt\n-c 2.txt\n",
        "two\n-c 2.txt\n",
        "two<3\n",
    )
    assert found.first == (0,)


def test_constraints_of_the_user_bind_all(tmp_path: Path) -> None:
    write(tmp_path, main="one", bounds="one<2")
    found = read_requirements([str(tmp_path / "main.txt")], [str(tmp_path / "bounds.txt")])
    assert found.texts == ("one\n", "one<2\n", "-c 1.txt\n")
    assert found.first == (0, 2)


@pytest.mark.parametrize(
    "line",
    ["-e .", "--editable=./x", "./package", "../package", ".", "/srv/one.whl", "file:///srv/x"],
)
def test_what_lies_in_a_directory_is_refused(tmp_path: Path, line: str) -> None:
    write(tmp_path, main=f"one\n{line}\n")
    with pytest.raises(InvalidRequest, match="can change at any time"):
        read_requirements([str(tmp_path / "main.txt")])


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for number in range(MOST_FILES + 1):
        write(tmp_path, **{f"n{number}": f"-r n{number + 1}.txt"})
    write(tmp_path, remote="-r https://x.test/r.txt", gone="-r none.txt")
    tmp_path.joinpath("bytes.txt").write_bytes(b"\xff")
    for name, kind in (
        ("n0", InvalidRequest),
        ("remote", InvalidRequest),
        ("gone", NotFound),
        ("bytes", InvalidRequest),
    ):
        with pytest.raises(kind):
            read_requirements([str(tmp_path / f"{name}.txt")])
    with pytest.raises(InvalidRequest):
        read_requirements([str(tmp_path)])


def test_an_environment_is_found_by_all_that_decides_what_is_in_it(tmp_path: Path) -> None:
    write(tmp_path, main="one\n-c bounds.txt", bounds="one<2", other="one\n-c bounds.txt")
    python = ["/usr/bin/python3.11", 1, 2]

    def key(name: str = "main", python: list[object] = python, index: Index = INDEX) -> str:
        return key_of(read_requirements([str(tmp_path / f"{name}.txt")]), python, index)

    first = key()
    assert key("other") == first
    assert key(python=["/usr/bin/python3.11", 1, 3]) != first
    assert key(index=INDEX._replace(urls=("https://a.test/",))) != first
    hidden = INDEX._replace(urls=("https://user:hush@pypi.org/simple",))
    assert key(index=hidden) == first
    write(tmp_path, bounds="one<3")
    assert key() != first
