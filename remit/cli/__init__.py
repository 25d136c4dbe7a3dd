"""The command line. Exit codes: 0 done, 1 refused or not verified, 2 usage, 3 unreachable or fault."""

import os
import sys
from collections.abc import Mapping, Sequence
from io import TextIOWrapper

import typer
from typer.exceptions import Abort, TyperException

from audit.errors import AuditError, BadNote, KeyUnfit, NotCosigned, NotProven
from authz.errors import AuthzError, BundleHeld
from gateway.settings import BadSetting
from policy.errors import MisreadAll
from remit.answers import Problem
from remit.errors import BrokenStream, GatewayFault, LoginFailed, Misuse, Refused, RemitError, Unreachable

from . import (
    alerts,
    audit,
    completion,
    datasets,
    export,
    grants,
    login,
    outfile,
    pauses,
    policy,
    reads,
    report,
    requests,
    restore,
    running,
    subjects,
    terminal,
    usage,
    witness,
)

app = typer.Typer(
    help="Keeps every read of employee data inside what was declared, approved and recorded.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(running.serve)
app.command()(running.demo)
app.command()(login.login)
app.command()(login.logout)
app.command()(login.whoami)
app.command()(datasets.datasets)
app.command()(reads.read)
app.command()(reads.check)
audit.commands.command()(export.export)
audit.commands.command("check-export")(export.check_export)
audit.commands.command("restore-check")(restore.restore_check)
app.add_typer(policy.commands, name="policy")
app.add_typer(requests.commands, name="requests")
app.add_typer(grants.commands, name="grants")
app.add_typer(audit.commands, name="audit")
app.add_typer(alerts.commands, name="alerts")
app.add_typer(report.commands, name="report")
app.add_typer(pauses.commands, name="pauses")
app.add_typer(subjects.commands, name="subjects")
app.add_typer(running.database, name="database")
app.add_typer(witness.commands, name="witness")
app.command()(completion.completion)

EXITS: Mapping[type[Exception], tuple[int, str, str]] = {
    Misuse: (2, "usage", ""),
    BadSetting: (2, "bad_setting", "README lists every setting; mend it and start again"),
    MisreadAll: (
        1,
        "not_understood",
        "mend the file that it names; `remit policy check FILE` says whether a policies file is understood",
    ),
    BundleHeld: (
        1,
        "hold_check",
        "put the files back that were in force, start, and have two people accept the new ones",
    ),
    LoginFailed: (1, "not_logged_in", ""),
    Unreachable: (3, "unreachable", "`remit serve` starts a gateway here; REMIT_URL says where another one is"),
    GatewayFault: (3, "gateway_fault", "try again; if it goes on, tell whoever runs the gateway"),
    BrokenStream: (3, "broken_stream", ""),
    BadNote: (1, "not_understood", "it is no note of a ledger: take one from `remit audit checkpoint` or `prove`"),
    NotProven: (1, "not_proven", ""),
    NotCosigned: (3, "witness_fault", "see that the witness runs, and that its URL and its key are right"),
    KeyUnfit: (3, "key_unfit", ""),
    AuditError: (3, "ledger_fault", "see that the database runs, and that REMIT_DATABASE_URL or REMIT_HOME names it"),
    AuthzError: (3, "store_fault", "try again; if it goes on, tell the dataset's owner"),
    outfile.NotWritten: (3, "not_written", ""),
    RemitError: (3, "fault", "try again; if it goes on, tell whoever runs Remit"),
    OSError: (3, "fault", "make room, or let the answer go elsewhere, and run it again"),
}
"""How each error ends the command, the first that fits: its exit code, its name where the gateway gave it no code, and
what to do next where its message does not say so by itself."""
KNOWN: tuple[type[Exception], ...] = (Refused, *EXITS, TyperException, Abort)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits; every error of Remit's own ends in a problem on standard error."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        # a terminal that cannot show a letter gets its number, never a traceback
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    completion.prepare()
    try:
        status = app(given, prog_name="remit", standalone_mode=False)
        print(end="", flush=True)  # what cannot be written is told here, and not on the way out
    except KNOWN as error:
        if isinstance(error, OSError):
            _give_up_output()
        status = _fail(error, as_json="--json" in given)
    sys.exit(status)


def _give_up_output() -> None:
    """Standard output could not be written: what still waits for it would be another fault, and another exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _fail(error: Exception, *, as_json: bool) -> int:
    if isinstance(error, TyperException) and (help := usage.help_of(error)) is not None:
        for line in help.splitlines():
            terminal.note(line)
        return 2
    status, problem = _outcome(error)
    show = terminal.print_problem_json if as_json else terminal.problem
    show(problem)
    return status


def _outcome(error: Exception) -> tuple[int, Problem]:
    if isinstance(error, Refused):
        return 1, error.problem
    if isinstance(error, TyperException):
        return 2, usage.problem_of(error)
    if isinstance(error, Abort):
        return 1, Problem(
            code="stopped", detail="it was not answered", help="`--help` names the option that answers it"
        )
    status, code, help = next(exit for kind, exit in EXITS.items() if isinstance(error, kind))
    if isinstance(error, GatewayFault) and error.problem is not None:
        return status, error.problem
    return status, Problem(code=code, detail=str(error), help=help)
