"""A command that was not understood, as a problem: what is wrong with it, and what was probably meant."""

import re

from typer.exceptions import TyperException

from remit.answers import Problem


def problem_of(error: TyperException) -> Problem:
    """Why the command line was not understood, and what to do next."""
    said, _, meant = re.sub(r" \(Possible options?: .*\)$", "", error.format_message()).partition(" Did you mean ")
    said = said.replace(": Value error, ", ": ")  # whose check it was is nothing to whoever typed it
    detail = re.sub(r": (-\S+)$", r" `\1`", re.sub(r"'([^']*)'", r"`\1`", said.rstrip(".")))
    near = getattr(error, "possibilities", None) or re.findall(r"'([^']+)'", meant)
    context = getattr(error, "ctx", None)
    help = f"`{context.command_path if context else 'remit'} --help` says what there is"
    if near:
        help = f"did you mean {' or '.join(f'`{each}`' for each in near)}? {help}"
    return Problem(code="usage", detail=detail[:1].lower() + detail[1:], help=help)


def help_of(error: TyperException) -> str | None:
    """The help that a command which only others follow gets, instead of a complaint that none did."""
    context = getattr(error, "ctx", None)
    return error.message if context is not None and error.message == context.get_help() else None
