"""What a read leaves in the ledger: entries made from decisions, without a literal that names somebody."""

import hashlib
import hmac

from audit.entries import Entry, Json, Kind
from policy.bundle import Bundle
from policy.decision import Allow, Code, Refuse, Side
from policy.rows import Filter, Literal, parse, render, spelt
from policy.scopes import scope_to_json
from policy.values import Dataset, Principal, ReadRequest, Scope

_NOT_UNDERSTOOD = {Code.BAD_REQUEST, Code.UNKNOWN_DATASET, Code.UNKNOWN_COLUMN, Code.BAD_ROWS}


class Records:
    """Makes the entries of reads. `key` (32 bytes) hides literals of filters on people and devices."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def authorized(self, read: str, principal: Principal, request: ReadRequest, plan: Allow, bundle: Bundle) -> Entry:
        """The entry that stands before the first byte of a read."""
        limit: dict[str, Json] = {} if plan.limit is None else {"limit": plan.limit, "limited_by": plan.limited_by}
        if plan.subjects_left is not None:
            limit["subjects_left"] = plan.subjects_left
        scope = plan.grant.scope.of(plan.dataset.name)
        return Entry(
            Kind.READ_AUTHORIZED,
            actor=principal.name,
            teams=principal.teams,
            read=read,
            dataset=plan.dataset.name,
            purpose=plan.purpose,
            grant=plan.grant.id,
            digest=bundle.digest,
            details={
                "principal": described(principal),
                "columns": [{"name": each.column.name, "treatment": str(each.treatment)} for each in plan.columns],
                "data_classes": sorted({each.column.data_class for each in plan.columns}),
                "sensitivity": str(plan.sensitivity),
                "asked": self._asked(request, plan.dataset, plan.asked_rows, bundle),
                "declared_columns": list(scope.columns) if scope else [],
                "rows": self.applied(plan, bundle, redacted=True),
                "rules": list(plan.rules),
                "lacked": list(plan.lacked),
                **limit,
            },
        )

    def refused(
        self, read: str, principal: Principal, request: ReadRequest, refusal: Refuse, bundle: Bundle, kind: Kind
    ) -> Entry:
        """The entry of a refusal (or of a check that would be refused). Names that do not exist are hashed."""
        dataset = bundle.catalog.datasets.get(request.dataset)
        understood = refusal.code not in _NOT_UNDERSTOOD and dataset is not None
        grant = refusal.grant.id if refusal.grant else None
        details: dict[str, Json] = {
            "principal": described(principal),
            "data_classes": list(refusal.data_classes),
            "columns": list(refusal.columns) if understood else [],
            "asked_columns": list(request.columns or ()) if understood else [],
            "rules": list(refusal.rules),
            "lacked": list(refusal.lacked),
            "asked_rows": self._asked_rows(request.rows, dataset, understood or grant is not None, bundle),
        }
        if refusal.sensitivity is not None:
            details["sensitivity"] = str(refusal.sensitivity)
        for side, value in (("declared", refusal.declared), ("asked", refusal.asked)):
            if value is not None:
                details[side] = self._side(value, dataset, bundle)
        if request.grant is not None and grant is None:
            details["asked_grant"] = fingerprint(request.grant)
        return Entry(
            kind,
            actor=principal.name,
            teams=principal.teams,
            read=read,
            dataset=dataset.name if dataset else None,
            purpose=refusal.purpose if understood else None,
            grant=grant,
            code=refusal.code.value,
            excess=refusal.excess.value if refusal.excess and kind is Kind.READ_REFUSED else None,
            digest=bundle.digest,
            details={name: value for name, value in details.items() if value not in (None, [])},
        )

    def unread(self, read: str, principal: Principal, body: bytes | None, kind: Kind, digest: str) -> Entry:
        """The entry of an ask whose body was not understood; None for one that was too large to be taken in."""
        asked = "larger than what is taken in" if body is None else fingerprint(body)
        details: dict[str, Json] = {"principal": described(principal), "asked_body": asked}
        code, teams = Code.BAD_REQUEST.value, principal.teams
        return Entry(kind, principal.name, teams, read=read, code=code, digest=digest, details=details)

    def declared(self, scope: Scope, bundle: Bundle) -> dict[str, Json]:
        """A scope as the ledger may show it: as it was declared, but for literals that name somebody."""
        datasets = {
            one.dataset: {
                "columns": list(one.columns),
                "rows": self._asked_rows(one.rows, bundle.catalog.datasets.get(one.dataset), True, bundle) or "",
            }
            for one in scope.datasets
        }
        return {**scope_to_json(scope), "datasets": datasets}

    def _asked_rows(self, text: str, dataset: Dataset | None, understood: bool, bundle: Bundle) -> str | None:
        if not text:
            return None
        return self._side(parse(text), dataset, bundle) if understood else fingerprint(text)

    def applied(self, plan: Allow, bundle: Bundle, *, redacted: bool) -> str:
        """The filter that a read gets, scope and ask together; empty where it gets every row."""
        filters = [each for each in (plan.scope_rows, plan.asked_rows) if each is not None]
        show = [self._side(each, plan.dataset, bundle) if redacted else render(each) for each in filters]
        return show[0] if len(show) == 1 else " and ".join(f"({each})" for each in show)

    def _asked(self, request: ReadRequest, dataset: Dataset, rows: Filter | None, bundle: Bundle) -> dict[str, Json]:
        asked: dict[str, Json] = {
            "columns": list(request.columns) if request.columns is not None else None,
            "rows": self._side(rows, dataset, bundle) if rows is not None else None,
            "limit": request.limit,
            "purpose": request.purpose,
            "grant": request.grant,
        }
        return {name: value for name, value in asked.items() if value is not None}

    def _side(self, side: Side, dataset: Dataset | None, bundle: Bundle) -> str:
        if side is None or isinstance(side, str):
            return side or ""
        shown = _harmless(dataset, bundle)
        return render(side, lambda column, literal: spelt(literal) if column in shown else self._hash(literal))

    def _hash(self, literal: Literal) -> str:
        digest = hmac.new(self._key, str(literal.value).encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"'hmac:{digest.hexdigest()[:32]}'"


def fingerprint(text: str | bytes) -> str:
    """What is kept of a text that was not understood: its SHA-256 and its length, never the text."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return f"sha256:{hashlib.sha256(data).hexdigest()} ({len(data)} bytes)"


def _harmless(dataset: Dataset | None, bundle: Bundle) -> frozenset[str]:
    """The columns whose literals may stand in the ledger: declared, and neither the subject nor an identifier."""
    columns = dataset.columns if dataset is not None else {}
    names = (name for name, column in columns.items() if not bundle.policies.is_identifier(column.data_class))
    return frozenset(names) - ({dataset.subject} if dataset is not None else frozenset())


def described(principal: Principal) -> dict[str, Json]:
    """Who asked, beside the name and the teams: what rules may go by."""
    return {"kind": principal.kind, "attributes": dict(principal.attributes)}
