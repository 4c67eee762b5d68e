"""`clove` for a relay: within the test's process, or on a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import struct
import subprocess
import sys
import termios

from click.testing import CliRunner, Result

from clove.cli.main import main
from tests.integration.relay.relay_process import RelayProcess

__all__ = ["Commands", "on_terminal"]

MAIN = "import sys; sys.argv[0] = 'clove'; from clove.cli.main import main; main()"
SECONDS = 60
"""It may be silent for so long; then it is killed."""
STYLE = re.compile(r"\x1b\[[0-9;]*m")


class Commands:
    """Runs `clove` for a relay.

    @ivar environ: what it has in its environment.
    """

    def __init__(self, relay: RelayProcess) -> None:
        self.url = f"http://127.0.0.1:{relay.port}"
        self.environ = {"CLOVE_RELAY": self.url, "CLOVE_RELAY_TOKEN": relay.admin}

    def __call__(self, *words: str, **environ: str | None) -> Result:
        return self.typed("", *words, **environ)

    def typed(self, text: str, *words: str, **environ: str | None) -> Result:
        """With this on standard input."""
        return CliRunner().invoke(main, words, input=text, env={**self.environ, **environ})

    def out(self, *words: str) -> str:
        result = self(*words)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *words: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out(*words, "--json").splitlines()]


def on_terminal(environ: dict[str, str], *words: str, typed: str = "") -> tuple[int, list[str]]:
    """`clove` on a terminal of 80 columns: its exit code, and the lines on the terminal, without colours.

    @param typed: is typed when it asks for something.
    """
    inner, outer = os.openpty()
    fcntl.ioctl(outer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, *words],
        stdin=outer,
        stdout=outer,
        stderr=outer,
        env={**os.environ, "TERM": "xterm", **environ},
        start_new_session=True,
    ) as process:
        os.close(outer)
        shown = b""
        try:
            while select.select([inner], [], [], SECONDS)[0]:
                shown += os.read(inner, 65536)
                if typed and shown.endswith(b": "):
                    os.write(inner, typed.encode())
                    typed = ""
            process.kill()
        except OSError:  # all ends of it are closed
            pass
        os.close(inner)
    text = STYLE.sub("", shown.decode()).replace("\r\n", "\n")
    return process.returncode, text.splitlines()
