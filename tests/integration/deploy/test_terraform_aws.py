"""terraform itself tries the module for AWS: against the schema of AWS's provider, without an account or a network."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TREE = Path(__file__).parents[3]
MODULE = TREE / "deploy" / "terraform" / "aws"
HOME = Path.home()


def plugins() -> Path | None:
    """A directory of providers that has AWS's, where terraform or an administrator keeps such."""
    places: list[str | Path] = [
        os.environ.get("TF_PLUGIN_CACHE_DIR", ""),
        HOME / ".terraform.d" / "plugins",
        HOME / ".local" / "share" / "terraform" / "plugins",
        "/usr/local/share/terraform/plugins",
        "/usr/share/terraform/plugins",
        *Path("/opt").glob("*"),
    ]
    within = Path("registry.terraform.io", "hashicorp", "aws")
    return next((Path(place) for place in places if place and Path(place, within).is_dir()), None)


def terraform(directory: Path, *words: str) -> str:
    done = subprocess.run(
        ["terraform", f"-chdir={directory}", *words],
        env={"PATH": os.environ["PATH"], "HOME": str(directory), "CHECKPOINT_DISABLE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.skipif(shutil.which("terraform") is None, reason="there is no terraform here")
def test_terraform_plans_and_applies_the_module(tmp_path: Path) -> None:
    """C{init}, C{validate}, and C{test}: plans and applies with the provider's schema and made-up answers."""
    providers = plugins()
    if providers is None:
        pytest.skip("there is no directory of terraform providers with AWS's here")
    module = tmp_path / "module"
    shutil.copytree(MODULE, module)
    shutil.copytree(TREE / "tests" / "terraform" / "aws", module / "tests")
    (module / "tests" / "user-data").write_text("#cloud-config\n")
    terraform(module, "init", "-input=false", f"-plugin-dir={providers}")
    assert "The configuration is valid" in terraform(module, "validate", "-no-color")
    said = terraform(module, "test", "-no-color")
    assert "5 passed, 0 failed" in said
    assert not list(module.glob("*.tfstate"))
