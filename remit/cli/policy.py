"""`remit policy`: check a file before it is used, make the gateway load its files again."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter

from policy.amounts import amount
from policy.errors import MisreadAll
from remit.answers import Accepted, Reloaded
from remit.errors import Misuse

from . import options, terminal

commands = typer.Typer(help="Check a policies file; make the gateway load its files again.", no_args_is_help=True)


@commands.command()
def check(
    file: Annotated[Path, typer.Argument(help="A policies.conf.")],
    as_json: options.Json = False,
) -> None:
    """Says every problem of a policies file with its line.

    Exits with 1 where there is one."""
    # imported here: the taxonomy behind it takes longer to load than most commands take
    from policy.policies import load_policies

    try:
        policies = load_policies(bytes_of(file), file=file.name)
    except MisreadAll as misread:
        _show_problems(misread, as_json=as_json)
        raise typer.Exit(1) from misread
    counts = {"rules": len(policies.rules), "conditions": len(policies.conditions)}
    counts |= {"data_classes": len(policies.data_classes), "purposes": len(policies.purposes)}
    if as_json:
        terminal.print_json({"problems": [], **counts})
    else:
        terminal.say(
            f"{file}: understood, {amount(counts['rules'], 'rule')} and {amount(counts['conditions'], 'condition')}"
        )


@commands.command()
def reload(
    accept: Annotated[
        str | None,
        typer.Option(metavar="DIGEST", help="Instead, accept a bundle that would open what was closed; two people."),
    ] = None,
    why: Annotated[str | None, typer.Option(help="Why you accept it; stands in the ledger.")] = None,
    as_json: options.Json = False,
) -> None:
    """Makes the gateway load both files again, or accepts a bundle.

    They are `policies.conf` and `catalog.toml`; what is not understood is refused, whole."""
    if accept is not None:
        _accept(accept, why, as_json=as_json)
        return
    with options.gateway() as gateway:
        answer = gateway.reload_policy()
    if as_json:
        terminal.print_json(answer, TypeAdapter(Reloaded))
    else:
        terminal.say(f"decides by {answer.digest} from now on")


def _accept(digest: str, why: str | None, *, as_json: bool) -> None:
    if not why:
        raise Misuse("`--accept` needs `--why`: say why what was closed may be open")
    with options.gateway() as gateway:
        answer = gateway.accept_policy(digest, why)
    if as_json:
        terminal.print_json(answer, TypeAdapter(Accepted))
    elif not answer.alerts:
        terminal.say("it opens nothing that was closed: `remit policy reload` lets it in")
    elif len(answer.by) < answer.needed:
        terminal.say(f"accepted by {', '.join(answer.by)}: it takes {answer.needed} people")
    else:
        terminal.say(f"accepted by {', '.join(answer.by)}: `remit policy reload` lets it in")


def bytes_of(file: Path) -> bytes:
    """The content of a file that the user named."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise Misuse(f"`{file}` cannot be read: {error.strerror}; name a file that can be") from error


def _show_problems(misread: MisreadAll, *, as_json: bool) -> None:
    if not as_json:
        for problem in misread.problems:
            terminal.say(problem)
        return
    terminal.print_json(
        {
            "problems": [
                {"file": each.file, "line": each.line, "reason": each.reason, "suggestion": each.suggestion}
                for each in misread.problems
            ]
        }
    )
