"""Where a context's token is read."""

from __future__ import annotations

from collections.abc import Mapping

from clove.cli.fleet.context import SECRET
from clove.errors import NotFound

__all__ = ["token_of"]


def token_of(name: str, values: Mapping[str, str], token_file: str | None) -> str:
    """The token.

    @param name: the context's; "": there is none, and the token is the user's secret C{relay-token}.
    @param values: the context's.
    @param token_file: a file that was named for this command.
    @raise CloveError: there is none, or it cannot be read.
    """
    if "token" in values and token_file is None:
        return values["token"]
    from clove.cli.option_types import Secret
    from clove.cli.secret_sources import read_secret

    if token_file is not None:
        return read_secret(Secret(SECRET, f"@{token_file}")).strip()
    if "token_file" in values:
        return read_secret(Secret(f"of context {name}", f"@{values['token_file']}")).strip()
    if "token_command" in values:
        return read_secret(Secret(f"of context {name}", f"!{values['token_command']}")).strip()
    if "token_keyring" in values:
        return _of_keyring(values["token_keyring"])
    if name:
        raise NotFound(f"context {name} has no token", hint=f"clove login --name {name}")
    return _own()


def _of_keyring(name: str) -> str:
    import shlex
    import shutil

    from clove.cli.option_types import Secret
    from clove.cli.secret_sources import keyring_words, read_secret

    if shutil.which("secret-tool") is None:
        raise NotFound(
            "the token is in the keyring, and secret-tool is not here",
            hint="install it (Debian: libsecret-tools)",
        )
    words = shlex.join(["secret-tool", "lookup", *keyring_words(name)])
    return read_secret(Secret(f"{name} of the keyring", f"!{words}")).strip()


def _own() -> str:
    from clove.cli.option_types import Secret
    from clove.cli.secret_sources import read_secret, secret_path

    try:
        return read_secret(Secret(SECRET, "")).strip()
    except NotFound:
        raise NotFound(
            "there is no token for the relay",
            hint="clove relay up starts one here, clove login URL takes another's token; or write it into "
            f"{secret_path(SECRET)} (chmod 600), or name its file with --token-file. For agents of "
            "this machine: clove ps",
        ) from None
