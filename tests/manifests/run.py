"""deploy/kubernetes against the schemas of several versions of Kubernetes, and the Compose file against that of Compose.

    python -m tests.manifests.run [--environment DIRECTORY]

What validates is no requirement of ours: it is installed into an environment of its own, which is made when it is not there.
kubectl renders the overlays; without it nothing can be said, which is an error with CLOVE_MANIFESTS_REQUIRED set.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Final

__all__ = ["main"]

PACKAGES: Final = ("kubernetes-validate==1.37.0", "check-jsonschema==0.39.0")
DEPLOY: Final = Path(__file__).parents[2] / "deploy"
NEW: Final[tuple[str, ...]] = ("1.33", "1.34", "1.35", "1.36", "1.37")
"""With user namespaces for pods."""
OLD: Final[tuple[str, ...]] = ("1.27", "1.29", "1.31")
OVERLAY: Final = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../relay, ../pool]
components: [../privileged]
"""


def environment(directory: Path) -> Path:
    """Where the programs are, installed if they are not there."""
    if not (directory / "bin" / "kubernetes-validate").exists():
        venv.create(directory, with_pip=True)
        pip = [str(directory / "bin" / "pip"), "install", "-q", *PACKAGES]
        subprocess.run(pip, check=True)
    return directory / "bin"


def rendered(directory: Path, target: Path) -> Path:
    """What kustomize makes of an overlay."""
    with target.open("w") as file:
        subprocess.run(["kubectl", "kustomize", str(directory)], stdout=file, check=True)
    return target


def checked(words: list[str], what: str) -> bool:
    """Whether a program finds nothing wrong."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{what}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 0


def main() -> int:
    """Validate; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument("--environment", type=Path, default=cache / "clove" / "manifests-1.37.0")
    given = parser.parse_args()
    if shutil.which("kubectl") is None:
        print("0 passed, 0 failed, skipped: there is no kubectl, which renders the overlays")
        return 1 if os.environ.get("CLOVE_MANIFESTS_REQUIRED") else 0
    programs = environment(given.environment)
    validate = [str(programs / "kubernetes-validate"), "--strict", "-k"]
    schema = [str(programs / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
    results = [checked([*schema, str(DEPLOY / "docker" / "compose.yaml")], "compose.yaml")]
    with tempfile.TemporaryDirectory(prefix="clove-manifests-") as made:
        kubernetes = Path(made, "kubernetes")
        shutil.copytree(DEPLOY / "kubernetes", kubernetes)
        (kubernetes / "old").mkdir()
        (kubernetes / "old" / "kustomization.yaml").write_text(OVERLAY)
        overlays = {name: (kubernetes / name, NEW) for name in ("example", "nodes")}
        overlays["privileged"] = (kubernetes / "old", (*OLD, *NEW))
        for name, (directory, versions) in overlays.items():
            file = rendered(directory, Path(made, f"{name}.yaml"))
            for version in versions:
                results.append(checked([*validate, version, str(file)], f"{name}, {version}"))
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
