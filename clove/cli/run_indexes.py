"""What `clove run --index` adds to a program's grants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from clove.cli.option_types import DirectoryGrant
from clove.cli.package_indexes import find_index, grants_of
from clove.cli.run_options import RunIndexes

__all__ = ["indexes_of"]


def indexes_of(
    kinds: Iterable[str],
    dirs: Iterable[DirectoryGrant],
    environ: Mapping[str, str],
    *,
    passwords: bool = False,
) -> RunIndexes:
    """What the indexes of these programs need; looks names up.

    @param kinds: of `pip` and `npm`.
    @param dirs: what is granted already.
    @param passwords: it gets those that are in the URLs of the user's configuration.
    """
    found = [grants_of(find_index(kind, environ), passwords=passwords) for kind in kinds]
    granted = [grant.path for grant in dirs]
    grants: dict[str, DirectoryGrant] = {}
    for real, path in (pair for each in found for pair in each.paths):
        if not any(f"{real}/".startswith(f"{one.rstrip('/')}/") for one in granted):
            grants[real] = DirectoryGrant(real, False, "" if path == real else path)
    env: dict[str, str] = {}
    for each in found:
        env |= each.env
    return RunIndexes(
        tuple(domain for each in found for domain in each.domains),
        tuple(grants.values()),
        env,
        "; ".join(dict.fromkeys(text for each in found for text in each.remarks)),
    )
