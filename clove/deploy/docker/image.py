"""The step C{image}: the image that the container is made from, built from a bundle or fetched."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path
from typing import Final

from clove._version import __version__
from clove.deploy.bundle.reading import read_facts
from clove.deploy.docker.containers import Containers
from clove.deploy.step import Facts, Planned, Progress
from clove.errors import Unavailable

__all__ = ["ImageStep", "image_files"]

PYTHON: Final = "3.11"
"""Of the Dockerfile's base."""


def image_files() -> Path:
    """The directory with the Dockerfile, what it copies, and the seccomp profile."""
    return Path(str(files("clove.deploy").joinpath("files", "docker")))


class ImageStep:
    """There is an image of this Clove.

    @param given: an image to fetch; "": one is built.
    @param base: what it is built on; "": as the Dockerfile says.
    @param directory: where the build's files may lie meanwhile.
    @param bundle: what it is built from; "": a bundle of this Clove is made.
    """

    name = "image"

    def __init__(
        self,
        containers: Containers,
        deployment: str,
        given: str,
        base: str,
        directory: Path,
        bundle: str = "",
    ) -> None:
        self._containers = containers
        self._deployment = deployment
        self._given = given
        self._base = base
        self._context = directory / "context"
        self._bundle = bundle

    def tag(self, version: str = "") -> str:
        """The image for a version of Clove; by itself for that of the bundle, or this one."""
        if self._given:
            return self._given
        version = version or (
            read_facts(Path(self._bundle)).release if self._bundle else __version__
        )
        return f"localhost/clove:{self._deployment}.{version}"

    def plan(self, facts: Facts) -> Planned:
        """Which image."""
        engine = self._containers.engine
        if self._given:
            return Planned(f"{engine} pull {self._given}, if it is not there")
        return Planned(f"build the image {self.tag()} with {engine}, from a bundle of Clove")

    def look(self, facts: Facts) -> Facts | None:
        """The image of the container that is there; else the one that it would be made from."""
        if self._context.exists():
            return None  # of a build that was killed
        container = self._containers.container()
        image = self.tag() if container is None else container.image
        return {"image": image} if self._containers.image_exists(image) else None

    def do(self, facts: Facts, progress: Progress) -> Facts:
        """Build it, or fetch it."""
        if self._given:
            progress.note(f"fetching {self._given}")
            self._containers.pull(self._given)
            return {"image": self._given}
        if self._containers.image_exists(self.tag()):
            shutil.rmtree(self._context, ignore_errors=True)
        else:
            self.build(self.tag(), self._bundle, progress)
        return {"image": self.tag()}

    def build(self, image: str, bundle: str, progress: Progress) -> None:
        """Build one from a bundle.

        @param bundle: path; "": one of this Clove is made.
        """
        context = self._context
        shutil.rmtree(context, ignore_errors=True)
        try:
            context.mkdir(mode=0o700)
            for name in ("Dockerfile", "entrypoint", "health", "drain"):
                shutil.copyfile(image_files() / name, context / name)
            if bundle:
                shutil.copyfile(bundle, context / Path(bundle).name)
            else:
                progress.note("making a bundle")
                _make_bundle(context)
            progress.note(f"building {image} (about a minute)")
            self._containers.build(image, str(context), self._base)
        except OSError as error:
            raise Unavailable(
                f"the image's files cannot be put together: {error.strerror} ({error.filename})",
                hint="make room there",
            ) from None
        finally:
            shutil.rmtree(context, ignore_errors=True)

    def undo(self, facts: Facts, progress: Progress) -> None:
        """Remove what was built; one that was fetched stays."""
        if not self._given:
            self._containers.remove_images()
        shutil.rmtree(self._context, ignore_errors=True)


def _make_bundle(directory: Path) -> None:
    import platform

    from clove.deploy.bundle import Target, make_bundle

    make_bundle(directory, Target(PYTHON, platform.machine()))
