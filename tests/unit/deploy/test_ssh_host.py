"""What a machine says of itself, and whether and how Clove can be deployed there."""

from __future__ import annotations

import pytest

from clove.deploy.ssh import scripts
from clove.deploy.ssh.connection import check_host
from clove.deploy.ssh.host import judge, read_probe
from clove.errors import CloveError, InvalidRequest

GOOD = """Welcome to build-7!
system=Linux
machine=x86_64
os=Debian GNU/Linux 12 (bookworm)
libc=glibc 2.36
python=3.11
python_path=/usr/bin/python3
root=sudo
user=ann
systemd=yes
user_systemd=yes
home=/home/ann
data=/home/ann/.local/share/clove
config=/home/ann/.config/clove
staging=/home/ann/.cache/clove-deploy
claim /opt/clove=
current /opt/clove=
free /opt/clove=/dev/vda1 20000000 1000000 19000000 5% /
claim /home/ann/.local/share/clove=
current /home/ann/.local/share/clove=
free /home/ann/.local/share/clove=/dev/vda1 20000000 1000000 19000000 5% /
relay=ok
"""


def judged(user_units: bool = False, /, **said: str) -> dict[str, object]:
    text = GOOD + "".join(f"{key.replace('__', ' ')}={value}\n" for key, value in said.items())
    return judge(read_probe(text), "ann@build-7", "b7", user_units=user_units)


def test_root_by_sudo_gets_services_of_the_system() -> None:
    found = judged()
    assert (found["mode"], found["root"], found["prefix"]) == ("system", "sudo", "/opt/clove")
    assert found["staging"] == "/home/ann/.cache/clove-deploy/b7"
    assert found["claimed"] is False


def test_a_user_gets_services_of_their_own() -> None:
    found = judged(True)
    assert (found["mode"], found["root"]) == ("user", "")
    assert found["prefix"] == "/home/ann/.local/share/clove"
    assert found["settings"] == "/home/ann/.config/clove"


def test_without_systemd_it_is_a_process() -> None:
    assert judged(systemd="", root="")["mode"] == "background"


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ({"system": "Darwin"}, "is no Linux (Darwin)", "namespaces"),
        ({"python": ""}, "has no Python", "apt install python3"),
        ({"python": "", "other_python": "3.9"}, "has Python 3.9", "3.11 or newer"),
        ({"machine": "riscv64"}, "of the kind riscv64", "x86_64 and aarch64"),
        ({"libc": ""}, "has no glibc", "2.28"),
        ({"libc": "glibc 2.27"}, "has glibc 2.27", "2.28"),
        ({"root": ""}, "is not root", "--user-units"),
        ({"relay": "[Errno 111] Connection refused"}, "Connection refused", "--hub"),
        ({"relay": ""}, "does not reach the relay", "--hub"),
        ({"claim__/opt/clove": "other"}, "has the deployment other", "--name other"),
        ({"current__/opt/clove": "0.1.0-1"}, "that no deployment made", "clove tunnel join"),
        ({"state_system": "/var/lib/clove"}, "another Clove in /var/lib/clove", "remove it"),
        ({"free__/opt/clove": "/dev/vda1 1000 990 10 99% /"}, "has 0 MB free", "make room"),
        ({"free__/opt/clove": "?"}, "has 0 MB free", "make room"),
    ],
)
def test_what_is_in_the_way_is_told(said: dict[str, str], message: str, hint: str) -> None:
    with pytest.raises(CloveError) as refused:
        judged(**said)
    assert message in refused.value.message
    assert "build-7" in refused.value.message
    assert hint in refused.value.hint


def test_a_user_without_a_systemd_is_told() -> None:
    with pytest.raises(CloveError, match="no systemd --user") as refused:
        judged(True, user_systemd="")
    assert "libpam-systemd" in refused.value.hint


def test_what_this_deployment_has_made_is_gone_on_with() -> None:
    said = {
        "claim__/opt/clove": "b7",
        "current__/opt/clove": "0.1.0-1",
        "state_system": "/var/lib/clove",
        "free__/opt/clove": "/dev/vda1 1000 990 10 99% /",
    }
    assert judged(**said)["claimed"] is True


def test_where_a_proxy_is_used_the_relay_need_not_be_reached_directly() -> None:
    assert judged(relay="timed out", proxy="yes")["mode"] == "system"


def test_a_greeting_and_control_characters_are_no_facts() -> None:
    found = read_probe("hello\nos=a\x1b[31mb\nno\x00=1\n" + "x=1\n" * 1000)
    assert found["os"] == "a[31mb"
    assert len(found) <= 3


@pytest.mark.parametrize(
    "host", ["ann@build-7", "build-7", "10.0.0.7", "ann@::1", "a_b", "x@[::1]"]
)
def test_hosts(host: str) -> None:
    assert check_host(host) == host


@pytest.mark.parametrize(
    "host", ["", "-oProxyCommand=x", "ann@-x", "-ann@x", "a b", "a\nb", "@x", "a;b", "a@b@c;d", "é"]
)
def test_what_ssh_could_take_for_something_else_is_refused(host: str) -> None:
    with pytest.raises(InvalidRequest, match="is no host"):
        check_host(host)


@pytest.mark.parametrize("name", scripts.__all__)
def test_scripts_are_read_alike_by_every_shell(name: str) -> None:
    assert not {"'", "\\"} & set(getattr(scripts, name))
