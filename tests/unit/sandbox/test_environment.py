"""Which variables programs on the host may see."""

import pytest

from clove.sandbox.environment import public_environment


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GEMINI_API_KEY", "x"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/x"),
        ("GH_TOKEN", "x"),
        ("DB_PASSWORD", "x"),
        ("MYSQL_PWD", "x"),
        ("pgpassfile", "x"),
        ("GITHUB_PAT", "x"),
        ("SSH_AUTH_SOCK", "/x"),
        ("SENTRY_DSN", "x"),
        ("CREDENTIALS_DIRECTORY", "/x"),
        ("NOTIFY_SOCKET", "/x"),
        ("LISTEN_FDS", "1"),
        ("DATABASE_URL", "postgres://me:hidden@db/x"),
        ("https_proxy", "http://me:hidden@proxy:3128"),
    ],
)
def test_secrets_are_left_out(name: str, value: str) -> None:
    assert public_environment({name: value, "PATH": "/bin"}) == {"PATH": "/bin"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATH", "/bin"),
        ("PWD", "/"),
        ("HOME", "/root"),
        ("LANG", "C.UTF-8"),
        ("GIT_AUTHOR_NAME", "x"),
        ("VIRTUAL_ENV", "/v"),
        ("http_proxy", "http://proxy:3128"),
        ("REPO", "git@host:path/x.git"),
        ("SHOPPING", "x"),
    ],
)
def test_the_rest_is_inherited(name: str, value: str) -> None:
    assert public_environment({name: value}) == {name: value}
