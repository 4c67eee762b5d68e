"""Which hosts and files `--index` grants, by the configuration of pip and npm."""

from __future__ import annotations

from pathlib import Path

import pytest

from clove.cli.index_addresses import IndexServer, known_hosts, special_addresses
from clove.cli.index_settings import npm_settings, pip_settings
from clove.cli.option_types import DirectoryGrant
from clove.cli.package_indexes import find_index, grants_of
from clove.cli.run_indexes import indexes_of
from clove.errors import InvalidRequest

PUBLIC = "127.0.0.9 files.test index.test npm.test scope.test usual.test\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home without settings."""
    found = tmp_path.resolve() / "user"
    found.mkdir()
    return found


@pytest.fixture
def environ(home: Path) -> dict[str, str]:
    empty = str(home / "nothing")
    return {"HOME": str(home), "XDG_CONFIG_DIRS": empty, "NPM_CONFIG_GLOBALCONFIG": empty}


@pytest.fixture
def hosts(tmp_path: Path) -> str:
    """So that no resolver is asked."""
    path = tmp_path / "hosts"
    path.write_text(PUBLIC)
    return str(path)


def pip_conf(home: Path, text: str) -> None:
    path = home / ".config/pip/pip.conf"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_files_of_the_user_come_after_those_of_the_host_and_variables_last(
    home: Path, environ: dict[str, str]
) -> None:
    shared = home / "shared/pip"
    shared.mkdir(parents=True)
    shared.joinpath("pip.conf").write_text(
        "[global]\nindex-url = https://shared.test/\nretries=77\n"
    )
    pip_conf(home, "[global]\nindex_url = https://user.test/\n[install]\nfind-links = /a /b\n")
    environ["XDG_CONFIG_DIRS"] = str(home / "shared")
    environ["PIP_TRUSTED_HOST"] = "x.test"
    found = pip_settings(environ)
    assert found["retries"] == "77"
    assert found["index-url"] == "https://user.test/"
    assert found["find-links"] == "/a /b"
    assert found["trusted-host"] == "x.test"
    assert pip_settings({**environ, "PIP_INDEX_URL": "x"})["index-url"] == "x"
    assert pip_settings({"HOME": str(home), "PIP_CONFIG_FILE": "/dev/null"}) == {}


def test_an_index_that_is_configured_takes_the_place_of_the_usual_one(
    environ: dict[str, str], hosts: str
) -> None:
    usual = find_index("pip", environ)
    assert usual.urls == ("https://pypi.org/simple", "https://files.pythonhosted.org")
    for name in ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"):
        index = find_index("pip", {**environ, name: "https://index.test:8443/simple"})
        found = grants_of(index, hosts=hosts)
        assert found.domains == ("index.test:8443", "127.0.0.9:8443")
        assert found.env["PIP_INDEX_URL"] == "https://index.test:8443/simple"
    assert find_index("pip", {**environ, "PIP_NO_INDEX": "1"}).urls == ()


def test_indexes_in_files_are_granted_with_the_packages_beside_them(
    home: Path, environ: dict[str, str], hosts: str
) -> None:
    wheels, index, rules = home / "wheels", home / "mirror/simple", home / "rules.txt"
    wheels.mkdir()
    index.mkdir(parents=True)
    rules.write_text("")
    environ |= {
        "PIP_NO_INDEX": "yes",
        "PIP_FIND_LINKS": f"{wheels} file://{index} {home}/gone",
        "PIP_CONSTRAINT": str(rules),
        "PIP_CERT": "/etc/ssl/certs/ca.pem",
    }
    found = indexes_of(["pip"], [], environ)
    assert [grant.path for grant in found.grants] == [
        str(rules),
        str(wheels),
        str(home / "mirror"),
    ]
    assert not any(grant.writable for grant in found.grants)
    assert found.domains == ()
    granted = indexes_of(["pip"], [DirectoryGrant(str(home), True)], environ)
    assert granted.grants == ()


def test_passwords_stay_here_unless_they_are_asked_for(environ: dict[str, str], hosts: str) -> None:
    url = "https://user:hush@index.test/simple"
    index = find_index("pip", {**environ, "PIP_INDEX_URL": url, "PIP_EXTRA_INDEX_URL": url})
    found = grants_of(index, hosts=hosts)
    assert "hush" not in str(found)
    assert found.env["PIP_EXTRA_INDEX_URL"] == "https://index.test/simple"
    assert "your password for index.test" in found.remarks[0]
    whole = grants_of(index, passwords=True, hosts=hosts)
    assert (whole.env["PIP_INDEX_URL"], whole.remarks) == (url, ())


def test_an_index_on_this_host_itself_needs_a_name(environ: dict[str, str]) -> None:
    """A sandbox has a loopback of its own."""
    found = indexes_of(["pip"], [], {**environ, "PIP_INDEX_URL": "http://localhost:3141/"})
    assert "another name in /etc/hosts" in found.remark


def test_registries_of_npm_are_those_of_the_user_and_not_of_a_project(
    home: Path, environ: dict[str, str], hosts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = home / "project"
    project.mkdir()
    project.joinpath(".npmrc").write_text("registry=https://project.test/\n")
    monkeypatch.chdir(project)
    assert find_index("npm", environ).urls == ("https://registry.npmjs.org/",)
    home.joinpath(".npmrc").write_text(
        "; mine\nregistry = https://npm.test/\n@scope:registry=https://scope.test/\n"
        "cafile=/etc/ssl/certs/ca.pem\n//npm.test/:_authToken=secret\n"
    )
    assert "secret" not in str(npm_settings(environ))
    found = grants_of(find_index("npm", environ), hosts=hosts)
    assert found.domains[::2] == ("scope.test:443", "npm.test:443")
    assert found.env == {
        "NPM_CONFIG_REGISTRY": "https://npm.test/",
        "NPM_CONFIG_CAFILE": "/etc/ssl/certs/ca.pem",
    }
    assert found.paths == ()


@pytest.mark.parametrize(
    ("address", "known", "configured", "granted"),
    [
        ("127.0.0.1", True, False, True),
        ("127.0.0.1", False, True, False),
        ("10.1.2.3", True, False, True),
        ("10.1.2.3", False, True, True),
        ("10.1.2.3", False, False, False),
        ("169.254.169.254", True, True, False),
        ("0.0.0.0", True, True, False),
        ("8.8.8.8", True, True, False),
    ],
)
def test_which_addresses_that_are_not_public_an_index_may_have(
    monkeypatch: pytest.MonkeyPatch, address: str, known: bool, configured: bool, granted: bool
) -> None:
    answer = [(2, 1, 6, "", (address, 80))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_a, **_k: answer)
    server = IndexServer("index.test", 80, tls=False, configured=configured)
    found = special_addresses(server, {"index.test": [address]} if known else {}, ())
    assert list(found) == ([address] if granted else [])


def test_a_table_of_hosts_is_read_with_comments(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("# none\n10.0.0.1 A.test b.test # c.test\n\n10.0.0.2 b.test\n")
    assert known_hosts(str(path)) == {"a.test": ["10.0.0.1"], "b.test": ["10.0.0.1", "10.0.0.2"]}
    assert known_hosts(str(tmp_path / "none")) == {}


def test_a_port_that_is_none_is_said_without_the_password(environ: dict[str, str]) -> None:
    url = "https://ann:secret@index.test:99999/simple"
    with pytest.raises(InvalidRequest, match=r"index\.test:99999") as refused:
        grants_of(find_index("pip", {**environ, "PIP_INDEX_URL": url}))
    assert "secret" not in str(refused.value)
