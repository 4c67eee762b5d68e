"""Files and links outside of the prefix: placed, written down, and removed again if unchanged."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

__all__ = ["Placed"]


class Placed:
    """What an installation has placed outside of its prefix, by path, in a file.

    It is written down before it is placed; so what is written down may be missing, and nothing is
    forgotten.
    """

    def __init__(self, record: Path) -> None:
        """Read the record, if there is one.

        @raise OSError: it cannot be read.
        @raise ValueError: it is no JSON.
        """
        self._record = record
        self._marks: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}

    @property
    def paths(self) -> list[Path]:
        """All that was written down."""
        return [Path(path) for path in self._marks]

    @property
    def there(self) -> list[Path]:
        """What of it there is."""
        return [path for path in self.paths if _mark(path) is not None]

    def may_replace(self, path: Path) -> bool:
        """Whether nothing is there, or what was placed and is unchanged."""
        return _mark(path) in (None, self._marks.get(str(path)))

    def add_file(self, path: Path, content: bytes, *, mode: int = 0o644) -> None:
        """Place a file.

        @raise OSError: it cannot be written.
        """
        self._write_down(path, f"sha256:{hashlib.sha256(content).hexdigest()}")
        new = path.with_name(f".{path.name}.new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
        new.replace(path)

    def add_link(self, path: Path, target: Path) -> None:
        """Place a symbolic link.

        @raise OSError: it cannot be made.
        """
        self._write_down(path, f"link:{target}")
        new = path.with_name(f".{path.name}.new")
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        new.replace(path)

    def remove(self, path: Path) -> None:
        """Remove one that was placed and is unchanged, and forget it.

        @raise OSError: it cannot be removed.
        """
        path.unlink(missing_ok=True)
        if self._marks.pop(str(path), None) is not None:
            self._save()

    def _write_down(self, path: Path, mark: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._record.parent.mkdir(parents=True, exist_ok=True)
        before = self._marks.get(str(path))
        if before is not None and before != mark and _mark(path) == before:
            path.unlink()  # what was placed before must not look like another's if we end here
        self._marks[str(path)] = mark
        self._save()

    def _save(self) -> None:
        new = self._record.with_name(f".{self._record.name}.new")
        new.write_text(json.dumps(self._marks, indent=2) + "\n")
        new.replace(self._record)


def _mark(path: Path) -> str | None:
    """What is there, in a form to compare; None: nothing."""
    if path.is_symlink():
        return f"link:{os.readlink(path)}"
    if not path.exists():
        return None
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" if path.is_file() else "other"
