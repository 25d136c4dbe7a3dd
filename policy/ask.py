"""Understand an ask: everything that it names exists, and its filter fits the dataset."""

from collections.abc import Iterable
from dataclasses import dataclass

from .bundle import Bundle
from .decision import Code, Refuse
from .engine import Answer
from .errors import BadRows
from .rows import Filter, columns_of, parse, typed
from .tables import closest
from .values import Action, ColumnType, Dataset, Principal, ReadRequest, Sensitivity


@dataclass(frozen=True, slots=True)
class Ask:
    """An ask that was understood, with the rules that will be asked about it."""

    request: ReadRequest
    principal: Principal
    dataset: Dataset
    rows: Filter | None
    bundle: Bundle

    @property
    def filtered(self) -> frozenset[str]:
        """The columns that its filter names."""
        return columns_of(self.rows) if self.rows is not None else frozenset()

    def answers(self, columns: Iterable[str], purpose: str) -> dict[str, Answer]:
        """What the rules say of each of `columns` that the catalog declares, for `purpose`."""
        declared, engine = self.dataset.columns, self.bundle.engine
        return {
            name: engine.ask(self.principal, purpose, self.dataset, declared[name].data_class, Action.READ).of(
                declared[name]
            )
            for name in columns
            if name in declared
        }

    def classes(self, columns: Iterable[str]) -> tuple[str, ...]:
        """The data classes of `columns`, sorted; a column without one adds none."""
        declared = self.dataset.columns
        return tuple(sorted({declared[name].data_class for name in columns if name in declared}))

    def sensitivity(self, columns: Iterable[str]) -> Sensitivity:
        """The highest among `columns`; a column without a class counts as critical, and so does none at all."""
        declared, of = self.dataset.columns, self.bundle.policies.sensitivity_of
        levels = (of(declared[name].data_class) if name in declared else Sensitivity.CRITICAL for name in columns)
        return max(levels, default=Sensitivity.CRITICAL)


def column_types(dataset: Dataset) -> dict[str, ColumnType]:
    """What the row language may name of `dataset`: each declared column and its type."""
    return {name: column.type for name, column in dataset.columns.items()}


def understand(request: ReadRequest, principal: Principal, bundle: Bundle) -> Ask | Refuse:
    """The ask, or the refusal that says what it names wrongly."""
    if (refusal := _ill_formed(request, bundle)) is not None:
        return refusal
    dataset = bundle.catalog.datasets.get(request.dataset)
    if dataset is None:
        near = _near(request.dataset, bundle.catalog.datasets)
        return Refuse(
            Code.UNKNOWN_DATASET,
            f"there is no dataset `{request.dataset}`",
            near or "`remit datasets` lists what there is",
        )
    if (unknown := _unknown_column(request.columns or (), dataset)) is not None:
        return unknown
    rows = _filter(request.rows, dataset)
    return rows if isinstance(rows, Refuse) else Ask(request, principal, dataset, rows, bundle)


def _filter(text: str, dataset: Dataset) -> Filter | Refuse | None:
    """The filter, typed; one that names undeclared columns has no types to fit, and is refused for naming them."""
    try:
        if not text:
            return None
        rows = parse(text)
        named = columns_of(rows)
        if (unknown := _unknown_column(sorted(named), dataset)) is not None:
            return unknown
        return rows if named & dataset.undeclared else typed(rows, column_types(dataset))
    except BadRows as bad:
        return Refuse(
            Code.BAD_ROWS,
            f"the filter was not understood: {bad}",
            "a filter is made of columns, literals, `= != < <= > >= in between like is null and or not` and brackets",
        )


def _ill_formed(request: ReadRequest, bundle: Bundle) -> Refuse | None:
    if request.purpose is not None and not bundle.policies.knows_purpose(request.purpose):
        near = _near(request.purpose, bundle.policies.purposes)
        return Refuse(
            Code.BAD_REQUEST,
            f"there is no purpose `{request.purpose}`",
            near or "name a purpose of the taxonomy, or leave it out: then it is the grant's",
        )
    if request.limit is not None and request.limit < 1:
        return Refuse(Code.BAD_REQUEST, "`limit` is less than 1", "ask for at least one row, or leave `limit` out")
    if request.columns is not None and len(set(request.columns)) != len(request.columns):
        return Refuse(Code.BAD_REQUEST, "a column is named twice", "name each column once")
    if request.columns == ():
        return Refuse(
            Code.BAD_REQUEST, "`columns` is empty", "name a column, or leave `columns` out: all of the scope's"
        )
    return None


def _unknown_column(names: Iterable[str], dataset: Dataset) -> Refuse | None:
    known = dataset.columns.keys() | dataset.undeclared
    name = next((name for name in names if name not in known), None)
    if name is None:
        return None
    near = _near(name, dataset.columns)
    detail = f"dataset `{dataset.name}` has no column `{name}`"
    return Refuse(Code.UNKNOWN_COLUMN, detail, near or f"`remit datasets {dataset.name}` lists its columns")


def _near(name: str, known: Iterable[str]) -> str | None:
    near = closest(name, known)
    return f"did you mean `{near}`?" if near else None
