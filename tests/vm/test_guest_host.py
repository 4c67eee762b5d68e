"""What the guest is: a full kernel under systemd."""
from pathlib import Path
def test_cgroup_v2_has_the_controllers() -> None:
    controllers = Path("/sys/fs/cgroup/cgroup.controllers").read_text().split()
    assert {"cpu", "memory", "pids"} <= set(controllers)
