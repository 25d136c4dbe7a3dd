"""The command line. Exit codes: 0 done, 1 refused or not verified, 2 usage, 3 unreachable or fault."""

import sys
from collections.abc import Mapping, Sequence
from io import TextIOWrapper

import typer

from audit.errors import AuditError
from authz.errors import AuthzError
from gateway.settings import BadSetting
from policy.errors import MisreadAll
from remit.answers import Problem
from remit.errors import BrokenStream, GatewayFault, Misuse, Refused, RemitError, Unreachable

from . import alerts, audit, grants, policy, reads, running, terminal

app = typer.Typer(
    help="Keeps every read of employee data inside what was declared, approved and recorded.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(running.serve)
app.command()(running.demo)
app.command()(reads.datasets)
app.command()(reads.read)
app.command()(reads.check)
app.add_typer(policy.commands, name="policy")
app.add_typer(grants.commands, name="grants")
app.add_typer(audit.commands, name="audit")
app.add_typer(alerts.commands, name="alerts")
app.add_typer(running.database, name="database")

EXITS: Mapping[type[Exception], tuple[int, str]] = {
    Misuse: (2, "usage"),
    BadSetting: (2, "bad_setting"),
    MisreadAll: (1, "not_understood"),
    Unreachable: (3, "unreachable"),
    GatewayFault: (3, "gateway_fault"),
    BrokenStream: (3, "broken_stream"),
    AuditError: (3, "ledger_fault"),
    AuthzError: (3, "store_fault"),
    RemitError: (3, "fault"),
}
"""How each error ends the command, the first that fits, and its name where the gateway gave it no code."""
KNOWN: tuple[type[Exception], ...] = (Refused, *EXITS)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits; every error of Remit's own ends in a problem on standard error."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        # a terminal that cannot show a letter gets its number, never a traceback
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(given, prog_name="remit")
    except KNOWN as error:
        status, problem = _outcome(error)
        show = terminal.print_problem_json if "--json" in given else terminal.problem
        show(problem)
        sys.exit(status)


def _outcome(error: Exception) -> tuple[int, Problem]:
    if isinstance(error, Refused):
        return 1, error.problem
    status, code = next(exit for kind, exit in EXITS.items() if isinstance(error, kind))
    if isinstance(error, GatewayFault) and error.problem is not None:
        return status, error.problem
    return status, Problem(code=code, detail=str(error))
