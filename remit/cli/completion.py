"""`remit completion SHELL`, and what is completed: commands and options offline, datasets from the gateway."""

import os
from typing import Annotated, Literal

import typer
from typer.completion import completion_init, get_completion_script  # type: ignore[attr-defined]  # not re-exported

from remit.client import connect, gateway_url
from remit.errors import RemitError
from remit.login.keeping import Keeping

VARIABLE = "_REMIT_COMPLETE"
"""Set by the shell's script where it asks what could come next."""

SECONDS = 1.0
"""Longer than that nobody waits for a TAB."""


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="bash, zsh or fish.")],
) -> None:
    """Prints a script that completes commands.

    bash: source <(remit completion bash) in ~/.bashrc.
    zsh: source <(remit completion zsh) in ~/.zshrc, after compinit.
    fish: remit completion fish > ~/.config/fish/completions/remit.fish
    """
    typer.echo(get_completion_script(prog_name="remit", complete_var=VARIABLE, shell=shell))


def prepare() -> None:
    """Makes this process answer the shell, where it is the shell that asks."""
    if VARIABLE in os.environ:
        completion_init()


def datasets(incomplete: str) -> list[str]:
    """The names of datasets that begin with `incomplete`; none where the gateway cannot say so at once."""
    try:
        token = os.environ.get("REMIT_TOKEN") or _fresh_token()
        if token is None:
            return []
        with connect(token=token, timeout=SECONDS) as client:
            return sorted(each.name for each in client.datasets() if each.name.startswith(incomplete))
    except RemitError:
        return []  # a complaint would land in the middle of what is being typed


def _fresh_token() -> str | None:
    # one that would have to be renewed first is not worth the wait
    login = Keeping.of(os.environ).get(gateway_url())
    return login.tokens.access if login is not None and login.is_fresh() else None
