"""The accesses that entries tell of: who asked for what, so that it can be asked again. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from audit.entries import Json, Kind
from audit.severities import Document
from policy.ask import understand
from policy.bundle import Bundle
from policy.decision import Code, Refuse
from policy.holding import STRANGER, Access
from policy.values import Attribute, Principal, ReadRequest

MOST = 10
"""Accesses that are taken from the entries of one alert; one for each column, so that none hides behind another."""


def accesses_of(documents: Sequence[Document], bundle: Bundle) -> tuple[Access, ...]:
    """The accesses of entries, each once, at most `MOST`; none of what is no access to a dataset that there is."""
    found: dict[Access, None] = {}
    for document in documents:
        for access in _told(document):
            dataset = bundle.catalog.datasets.get(access.request.dataset)
            if dataset is not None:
                found.update(dict.fromkeys(_each_column(_sound(access, bundle), tuple(dataset.columns))))
    return tuple(found)[:MOST]


def access_to_json(access: Access) -> dict[str, Json]:
    """What `access_from_json` reads back; the dataset stands beside it."""
    who, request = access.principal, access.request
    return {
        "name": who.name,
        "kind": who.kind,
        "teams": list(who.teams),
        "attributes": dict(who.attributes),
        "columns": None if request.columns is None else list(request.columns),
        "rows": request.rows,
        "purpose": request.purpose,
    }


def access_from_json(dataset: str, json: Document) -> Access:
    """An access as it was kept."""
    request = ReadRequest(dataset, _texts(json, "columns") or None, _text(json, "rows"), purpose=_purpose(json))
    return Access(_principal(_text(json, "name"), _texts(json, "teams"), json), request)


def _told(document: Document) -> Iterator[Access]:
    details, dataset = _map(document, "details"), _text(document, "dataset")
    kind = _text(document, "kind")
    if kind == Kind.AUDIENCE_EXCEEDED:
        for pair in _maps(details, "pairs"):
            who = _principal(STRANGER, _texts(pair, "teams"), pair)
            yield Access(who, ReadRequest(dataset, _texts(pair, "columns"), purpose=_purpose(pair)))
    elif kind == Kind.GRANT_BREAK_GLASS:
        who = _principal(_text(document, "actor"), _texts(document, "teams"), _map(details, "principal"))
        for name, scope in _map(_map(details, "scope"), "datasets").items():
            columns = _texts(scope, "columns") if isinstance(scope, Mapping) else ()
            yield Access(who, ReadRequest(name, columns or None, purpose=_purpose(document)))
    elif kind.startswith("hold."):
        for one in _maps(details, "accesses"):
            yield access_from_json(dataset, one)
    elif kind.startswith("read."):
        who = _principal(_text(document, "actor"), _texts(document, "teams"), _map(details, "principal"))
        asked = _map(details, "asked")
        columns = _texts(details, "columns") or _texts(details, "asked_columns") or _texts(asked, "columns")
        rows = _text(details, "asked_rows") or _text(asked, "rows")
        yield Access(who, ReadRequest(dataset, columns or None, rows, purpose=_purpose(document)))


def _each_column(access: Access, declared: tuple[str, ...]) -> Iterator[Access]:
    for column in access.request.columns or declared:
        yield replace(access, request=replace(access.request, columns=(column,)))


def _sound(access: Access, bundle: Bundle) -> Access:
    """Without a filter that is not understood, as one whose literals were hashed may not be: it would hide the rest."""
    asked = understand(access.request, access.principal, bundle)
    if isinstance(asked, Refuse) and asked.code in (Code.BAD_ROWS, Code.UNKNOWN_COLUMN) and access.request.rows:
        return replace(access, request=replace(access.request, rows=""))
    return access


def _principal(name: str, teams: tuple[str, ...], said: Document) -> Principal:
    attributes: list[tuple[str, Attribute]] = [
        (key, value) for key, value in sorted(_map(said, "attributes").items()) if isinstance(value, str | int)
    ]
    return Principal(name, "service" if said.get("kind") == "service" else "person", teams, tuple(attributes))


def _purpose(said: Document) -> str | None:
    return _text(said, "purpose") or None


def _map(said: Document, name: str) -> Mapping[str, object]:
    value = said.get(name)
    return value if isinstance(value, Mapping) else {}


def _maps(said: Document, name: str) -> Iterator[Mapping[str, object]]:
    value = said.get(name)
    return (each for each in value if isinstance(each, Mapping)) if isinstance(value, list) else iter(())


def _text(said: Document, name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""


def _texts(said: Document, name: str) -> tuple[str, ...]:
    value = said.get(name)
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list | tuple) else ()
