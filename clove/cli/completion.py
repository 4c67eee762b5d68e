"""`clove completion`."""

from __future__ import annotations

import os
from typing import Final

import click

from clove.cli.console import Console, offline_options
from clove.cli.option_types import Choice

__all__ = ["completion"]

SHELLS: Final = ("bash", "zsh", "fish")


@click.command(
    epilog="""\b
Examples:
  eval "$(clove completion bash)"                          in ~/.bashrc
  eval "$(clove completion zsh)"                           in ~/.zshrc, after compinit
  clove completion fish > ~/.config/fish/completions/clove.fish

\b
Commands, options, choices and names are completed: of agents as the kernel has them, of machines and
tokens as the relay has them, of contexts; none, if that does not answer within a second."""
)
@click.argument("shell", type=Choice(SHELLS), required=False)
@offline_options
def completion(console: Console, shell: str | None) -> None:
    """Print what makes SHELL (default: that of $SHELL) complete the words of `clove`."""
    from click.shell_completion import get_completion_class

    from clove.cli.main import main

    name = shell or os.path.basename(os.environ.get("SHELL", ""))
    if name not in SHELLS:
        raise click.UsageError(f"which shell? {', '.join(SHELLS)}")
    kind = get_completion_class(name)
    assert kind is not None
    if name == "bash":  # click asks the bash of the PATH for its version: not needed to print
        kind._check_version = staticmethod(lambda: None)  # type: ignore[attr-defined]
    source = kind(main, {}, "clove", "_CLOVE_COMPLETE").source()
    if console.as_json:
        console.data({"shell": name, "source": source})
    else:
        click.echo(source)
