"""What was in force is replayed from the entries alone, and what they do not tell is said."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from service import CATALOG, POLICIES, scope_of
from sqlalchemy import Engine

from audit.cosignatures import Quorum
from audit.entries import Entry, Json, Kind
from audit.ledger import Ledger
from audit.past import Sought
from audit.report_values import ExposureReport
from audit.reporting import Asked, Reporter, UnknownDataset
from audit.usage import Known
from policy.bundle import digest_of

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DIGEST = digest_of(POLICIES.encode(), CATALOG.encode())
BUNDLE: dict[str, Json] = {"policies": POLICIES, "catalog": CATALOG}
SCOPE = dict(scope_of(starts="2026-11-21T00:00:00Z", ends="2026-11-22T00:00:00Z"))
TRAINED: dict[str, Json] = {"kind": "person", "attributes": {"privacy_training": "current"}}


class Written:
    """A ledger whose entries are a minute apart, from noon on."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.now = NOON
        self.ledger = Ledger(engine, gateway="gw", clock=lambda: self.now)

    def add(self, kind: Kind, actor: str = "eve", details: Mapping[str, Json] | None = None, **more: object) -> int:
        self.now += timedelta(minutes=1)
        return self.ledger.append(Entry(kind, actor, details=details or {}, **more)).seq  # type: ignore[arg-type]

    def bundle(self) -> int:
        return self.add(Kind.POLICY_ACTIVATED, digest=DIGEST, details=BUNDLE)

    def read(self, read: str, end: Kind | None = Kind.READ_COMPLETED, **details: Json) -> None:
        asked = {"principal": TRAINED, "columns": [{"name": "x", "treatment": "clear"}], "rows": ""}
        more: dict[str, object] = {"teams": ("research.ml",), "dataset": "events", "grant": "g-1", "read": read}
        self.add(Kind.READ_AUTHORIZED, "ana", asked, digest=DIGEST, **more)
        if end is not None:
            self.add(end, "ana", details, digest=DIGEST, **more)

    def report(self, *, size: int | None = None, dataset: str = "events", **more: object) -> ExposureReport:
        size = self.ledger.head().size if size is None else size
        sought = Sought(dataset, NOON, NOON + timedelta(hours=2), size)
        reporter = Reporter(self.engine, Quorum(), timedelta(hours=1), **more)  # type: ignore[arg-type]
        return reporter.report(sought, Asked("sam", NOON))


@pytest.fixture
def written(database) -> Iterator[Written]:
    made = Written(database.engine())
    yield made
    made.ledger.close()


def minutes(moment: datetime) -> float:
    return (moment - NOON) / timedelta(minutes=1)


def test_a_bundle_that_is_not_understood_leaves_who_could_open_and_the_report_says_so(written: Written) -> None:
    seq = written.add(Kind.POLICY_ACTIVATED, digest="sha256:1", details={"policies": "[nothing]", "catalog": ""})
    found = written.report()
    assert [bundle.is_understood for bundle in found.bundles] == [False]
    assert any(f"bundle of entry {seq} is not understood" in gap for gap in found.incomplete)


def test_texts_that_are_not_those_of_their_digest_are_not_believed(written: Written) -> None:
    seq = written.add(Kind.POLICY_ACTIVATED, digest="sha256:1", details=BUNDLE)
    found = written.report()
    assert (found.bundles[0].is_understood, found.rules_alone) == (False, ())
    assert any(f"entry {seq} are not those of its digest" in gap for gap in found.incomplete)


def test_a_scope_or_a_pause_that_is_not_understood_is_a_gap_and_no_silence(written: Written) -> None:
    written.bundle()
    broken = {"datasets": {"events": {"columns": ["x"]}}, "nonsense": True}
    grant = written.add(Kind.GRANT_ADDED, grant="g-1", details={"scope": broken})
    pause = written.add(Kind.PAUSE_SET, details={"pause": "p-1", "what": "planet", "target": "mars", "reason": ""})
    gaps = "\n".join(written.report().incomplete)
    assert f"grant `g-1` (entry {grant})" in gaps
    assert f"pause of entry {pause}" in gaps


def test_somebody_who_is_suspended_could_not_read_and_a_lift_that_was_only_proposed_lifts_nothing(
    written: Written,
) -> None:
    written.bundle()
    written.add(Kind.GRANT_ADDED, grant="g-1", details={"scope": SCOPE})
    written.read("r-1", rows=5, ended_by="end")
    for kind in (Kind.PAUSE_SET, Kind.PAUSE_LIFT_PROPOSED, Kind.PAUSE_LIFTED):
        written.add(kind, details={"pause": "p-1", "what": "principal", "target": "ana", "reason": "a stolen token"})
    found = written.report()
    # The bundle is the first minute's entry; set in the fifth, proposed in the sixth, lifted in the seventh.
    assert [(minutes(one.since), minutes(one.until)) for one in found.could] == [(2, 5), (7, 120)]
    assert not [gap for gap in found.incomplete if "pause" in gap]


def test_a_grant_opens_from_its_entry_until_it_is_suspended_and_again_when_it_is_resumed(written: Written) -> None:
    written.bundle()
    written.add(Kind.GRANT_ADDED, grant="g-1", details={"scope": SCOPE})
    written.read("r-1", rows=5, ended_by="end")
    for kind in (Kind.GRANT_SUSPENDED, Kind.GRANT_RESUMED, Kind.GRANT_REVOKED):
        written.add(kind, grant="g-1", details={"why": "because"})
    could = [(minutes(one.since), minutes(one.until)) for one in written.report().could]
    assert could == [(2, 5), (6, 7)]


def test_a_report_of_the_same_size_stays_the_same_whatever_is_written_after_it(written: Written) -> None:
    written.bundle()
    written.add(Kind.GRANT_ADDED, grant="g-1", details={"scope": SCOPE})
    written.read("r-1", rows=5, ended_by="end")
    written.read("r-2", end=None)
    size = written.ledger.head().size
    before = written.report()
    written.add(Kind.READ_COMPLETED, "ana", {"rows": 9, "ended_by": "end"}, read="r-2", dataset="events")
    written.add(Kind.GRANT_REVOKED, grant="g-1", details={"why": "because"})
    written.read("r-3", rows=5, ended_by="end")
    assert written.report(size=size) == before
    assert written.report().totals.rows == 19


def test_a_dataset_that_nothing_names_is_an_error_and_no_reassuring_report(written: Written) -> None:
    written.bundle()
    with pytest.raises(UnknownDataset):
        written.report(dataset="evnts")


def test_a_lost_read_is_told_with_the_most_that_it_could_get(written: Written) -> None:
    written.bundle()
    written.read("r-1", end=Kind.READ_INTERRUPTED, ended_by="lost")
    found = written.report()
    assert (found.totals.rows, found.totals.without_end, found.totals.at_most) == (0, 1, None)
    assert found.did[0].interrupted == 1


def test_employees_are_exact_only_where_each_read_was_accounted_for(written: Written) -> None:
    written.bundle()
    written.read("r-1", rows=5, subjects=3, ended_by="end")
    written.read("r-0", rows=0, ended_by="end")
    asked: list[tuple[str, ...]] = []

    def whose(reads: tuple[str, ...]) -> Known:
        asked.append(tuple(reads))
        return Known(3, ("e-1", "e-2"))

    known = written.report(whose=whose)
    assert (known.totals.employees.count, known.totals.employees.is_complete) == (3, True)
    assert (known.totals.employees.people, known.totals.employees.erased) == (("e-1", "e-2"), 1)
    assert {read for reads in asked for read in reads} == {"r-1"}
    written.read("r-3", rows=5, subjects=4, at_most=True, ended_by="stopping")
    broken = written.report(whose=whose)
    assert not broken.totals.employees.is_complete
    assert any("1 read broke off" in gap for gap in broken.incomplete)
    written.read("r-2", rows=5, ended_by="end")
    unknown = written.report(whose=whose)
    assert not unknown.totals.employees.is_complete
    assert any("more employees" in gap for gap in unknown.incomplete)


def test_files_that_lay_open_are_told_until_a_start_finds_none(written: Written) -> None:
    written.now = NOON - timedelta(hours=1)
    written.bundle()
    written.add(Kind.STORE_EXPOSED, "gateway", {"files": 2, "why": "mode 0644", "example": "a"}, dataset="events")
    assert [one.files for one in written.report().around] == [2]
    written.add(Kind.POLICY_ACTIVATED, digest="sha256:1", details=BUNDLE)
    assert written.report().around == ()
