"""A drive with podman's store, in which the image is, for a guest that has no way to an index (tools/image/store).

python -m tests.image.store DIRECTORY FILE      the bundle is in the directory
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.image.engine import BASE, Podman, build_image


def main() -> None:
    """Write it."""
    work, drive = Path(sys.argv[1]), Path(sys.argv[2])
    engine = Podman(work)
    build_image(work, "--squash")
    engine("rmi", BASE)
    with drive.open("wb") as file:
        file.truncate(1 << 30)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-d", work / "store", drive], check=True)


if __name__ == "__main__":
    main()
