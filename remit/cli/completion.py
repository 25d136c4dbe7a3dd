"""`remit completion SHELL`, and what is completed: commands offline, datasets and columns from the gateway."""

import os
from collections.abc import Callable
from typing import Annotated, Literal

import typer
from typer.completion import completion_init, get_completion_script  # type: ignore[attr-defined]  # not re-exported

from remit.client import Client, connect, gateway_url
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
    names = _asked(lambda client: [each.name for each in client.datasets()])
    return sorted(name for name in names if name.startswith(incomplete))


def columns(context: typer.Context, incomplete: str) -> list[str]:
    """What may follow in a list of columns: those of the dataset that was typed before, as far as it is known."""
    # an option whose value is still missing keeps the arguments before it from being told apart
    dataset = context.params.get("dataset") or next(iter(context.args), None)
    if dataset is None:
        return []
    before, comma, last = incomplete.rpartition(",")
    names = _asked(lambda client: [each.name for each in client.dataset(dataset).columns])
    new = [name for name in names if name.startswith(last) and name not in before.split(",")]
    return [f"{before}{comma}{name}" for name in new]


def _asked(question: Callable[[Client], list[str]]) -> list[str]:
    try:
        token = os.environ.get("REMIT_TOKEN") or _fresh_token()
        if token is None:
            return []
        with connect(token=token, timeout=SECONDS) as client:
            return question(client)
    except RemitError:
        return []  # a complaint would land in the middle of what is being typed


def _fresh_token() -> str | None:
    # one that would have to be renewed first is not worth the wait
    login = Keeping.of(os.environ).get(gateway_url())
    return login.tokens.access if login is not None and login.is_fresh() else None
