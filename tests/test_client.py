"""The Python client, against a server that speaks the contract over real HTTP."""

from collections.abc import Iterator
from threading import Event

import pyarrow as pa
import pytest
from wire import Answer, Wire, arrow_stream, rows, says

import remit

BATCH = pa.record_batch({"x": pa.array([1, 2, None], pa.int32()), "who": ["ann", None, "bo"]})
STREAM = arrow_stream(BATCH, BATCH)
PROBLEM = {
    "type": "urn:remit:beyond_columns",
    "title": "the read is refused",
    "status": 403,
    "detail": "columns outside the scope: `text`",
    "code": "beyond_columns",
    "read": "r-1",
    "entry": 42,
    "excess": {"declared": "x, y", "asked": "text"},
    "rules": ["pointer_for_training"],
    "help": "leave these columns out",
}


@pytest.fixture
def wire() -> Iterator[Wire]:
    server = Wire()
    yield server
    server.close()


@pytest.fixture
def client(wire: Wire) -> Iterator[remit.Client]:
    with remit.connect(wire.url, token="a.b.c", timeout=10) as connected:
        yield connected


def test_rows_come_as_a_reader_of_record_batches(wire: Wire, client: remit.Client) -> None:
    said = {
        "Remit_Read": "r-1",
        "Remit_Grant": "g-1",
        "Remit_Entry": "7",
        "Remit_Rows": "x < '5%25%C3%A4'",
        "Remit_Limit": "9",
    }
    wire.answers("POST", "/v1/reads", rows(STREAM, **said))
    reader = client.read("pointer_events", columns=["x", "who"], rows="x < 5", limit=9)
    assert isinstance(reader, pa.RecordBatchReader)
    assert reader.read_all().equals(pa.Table.from_batches([BATCH, BATCH]))
    assert reader.receipt == remit.Receipt("r-1", "g-1", 7, "x < '5%ä'", "9")


def test_whoever_closes_a_reader_or_its_client_is_told_so_and_not_of_a_broken_connection(wire: Wire) -> None:
    big = pa.record_batch({"x": pa.array(range(1_000_000), pa.int64())})
    wire.answers("POST", "/v1/reads", rows(arrow_stream(big, big, big)))
    client = remit.connect(wire.url, token="a.b.c", timeout=10)
    left, closed = client.read("p"), client.read("p")
    with closed:
        assert closed.read_next_batch().num_rows == 1_000_000
    client.close()
    for reader in (left, closed):
        with pytest.raises(remit.BrokenStream, match="the reader was closed"):
            reader.read_all()
    with pytest.raises(remit.Misuse, match="connect again"):
        client.whoami()


def test_a_read_says_only_what_it_was_given_and_who_asks(wire: Wire, client: remit.Client) -> None:
    wire.answers("POST", "/v1/reads", rows(STREAM))
    client.read("pointer_events").read_all()
    client.read("p", columns=("x",), rows="x = 'ä'", limit=0, purpose="train_ai_system", grant="g-1").read_all()
    plain, full = wire.asked
    assert plain.body == {"dataset": "pointer_events"}
    assert full.body == {
        "dataset": "p",
        "columns": ["x"],
        "rows": "x = 'ä'",
        "limit": 0,
        "purpose": "train_ai_system",
        "grant": "g-1",
    }
    assert plain.headers["authorization"] == "Bearer a.b.c"
    assert plain.headers["accept"] == "application/vnd.apache.arrow.stream"
    assert plain.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("ending", ["well", "reset"])
def test_a_stream_cut_at_any_byte_never_looks_complete(wire: Wire, client: remit.Client, ending: str) -> None:
    for cut in range(len(STREAM)):
        wire.answers("POST", "/v1/reads", rows(STREAM[:cut], ending=ending))
        with pytest.raises(remit.BrokenStream):
            client.read("d").read_all()


def test_a_broken_stream_stays_broken_however_often_it_is_asked(wire: Wire, client: remit.Client) -> None:
    wire.answers("POST", "/v1/reads", rows(STREAM[:-8]))
    reader = client.read("d")
    assert [next(reader), next(reader)] == [BATCH, BATCH]
    for _ in range(3):
        with pytest.raises(remit.BrokenStream):
            next(reader)
    with pytest.raises(remit.BrokenStream):
        reader.read_all()


def test_a_broken_stream_is_an_error_for_whoever_takes_it_over(wire: Wire, client: remit.Client) -> None:
    wire.answers("POST", "/v1/reads", rows(STREAM[:-8]))
    taken = pa.RecordBatchReader.from_stream(client.read("d"))
    with pytest.raises((OSError, pa.ArrowException, remit.BrokenStream)):
        taken.read_all()


def test_an_end_that_is_not_followed_by_the_end_of_the_answer_is_none(wire: Wire, client: remit.Client) -> None:
    for answer in (rows(STREAM, ending="reset"), rows([STREAM, b"more"])):
        wire.answers("POST", "/v1/reads", answer)
        with pytest.raises(remit.BrokenStream):
            client.read("d").read_all()


@pytest.mark.parametrize("size", [1, 3, 7, 64])
def test_rows_may_arrive_in_pieces_of_any_size(wire: Wire, client: remit.Client, size: int) -> None:
    wire.answers("POST", "/v1/reads", rows([STREAM[at : at + size] for at in range(0, len(STREAM), size)]))
    assert client.read("d").read_all().num_rows == 6


def test_dictionaries_large_batches_and_no_rows_at_all_arrive(wire: Wire, client: remit.Client) -> None:
    large = pa.record_batch({"id": pa.array(["a", "b"] * 200_000).dictionary_encode(), "n": pa.nulls(400_000)})
    for batch in (large, BATCH.slice(0, 0)):
        wire.answers("POST", "/v1/reads", rows(arrow_stream(batch)))
        assert client.read("d").read_all().equals(pa.Table.from_batches([batch]))


def test_rows_can_be_used_before_the_last_one_has_arrived(wire: Wire, client: remit.Client) -> None:
    first = len(arrow_stream(BATCH)) - 8
    rest = Event()
    wire.answers("POST", "/v1/reads", rows([STREAM[:first], STREAM[first:]], holds=rest))
    reader = client.read("d")
    assert next(reader) == BATCH
    rest.set()
    assert list(reader) == [BATCH]


def test_closing_a_reader_early_ends_the_read(wire: Wire, client: remit.Client) -> None:
    go_on = Event()
    wire.answers("POST", "/v1/reads", rows([STREAM[:-8], *[bytes(65_536)] * 500], holds=go_on))
    with client.read("d") as reader:
        next(reader)
    go_on.set()
    assert wire.hung_up.wait(10)


def test_a_stream_that_falls_silent_is_broken(wire: Wire) -> None:
    wire.answers("POST", "/v1/reads", rows(STREAM[:-8], ending="silent"))
    with remit.connect(wire.url, timeout=2.0) as client, pytest.raises(remit.BrokenStream):
        client.read("d").read_all()


def test_a_refusal_says_what_was_too_much_and_what_to_do_next(wire: Wire, client: remit.Client) -> None:
    wire.answers("POST", "/v1/reads", says(PROBLEM, 403))
    with pytest.raises(remit.Refused) as caught:
        client.read("d")
    refused = caught.value
    assert (refused.code, refused.entry, refused.rules) == ("beyond_columns", 42, ("pointer_for_training",))
    assert refused.excess == remit.Compared("x, y", "text")
    assert refused.help == "leave these columns out"
    assert str(refused) == "beyond_columns: columns outside the scope: `text`; leave these columns out"


@pytest.mark.parametrize("status", [400, 401, 404, 422, 423])
def test_every_status_below_500_with_a_problem_is_a_refusal(wire: Wire, client: remit.Client, status: int) -> None:
    wire.answers("GET", "/v1/datasets/d", says({"code": "paused", "status": status}, status))
    with pytest.raises(remit.Refused) as caught:
        client.dataset("d")
    assert caught.value.excess is None


def test_a_gateway_that_cannot_is_a_fault_and_not_a_refusal(wire: Wire, client: remit.Client) -> None:
    wire.answers("POST", "/v1/reads", says({"code": "not_recorded", "detail": "the ledger is away"}, 503))
    with pytest.raises(remit.GatewayFault, match="not_recorded: the ledger is away") as caught:
        client.read("d")
    assert caught.value.problem is not None
    assert caught.value.problem.code == "not_recorded"


@pytest.mark.parametrize(
    "answer",
    [
        Answer([b"<html>welcome</html>"], 200, {"Content-Type": "text/html"}),
        Answer([b"<html>no</html>"], 404, {"Content-Type": "text/html"}),
        Answer([b"[]"], 502, {"Content-Type": "application/json"}),
        Answer([b"not arrow at all, but it says so"], 200, {"Content-Type": "application/vnd.apache.arrow.stream"}),
        Answer([b""], 302, {"Location": "http://127.0.0.1:1/v1/reads"}),
        Answer([b"{"], 200, {"Content-Type": "application/json"}),
    ],
)
def test_what_is_no_gateway_is_an_error_that_names_the_address(
    wire: Wire, client: remit.Client, answer: Answer
) -> None:
    wire.answers("POST", "/v1/reads", answer)
    with pytest.raises((remit.GatewayFault, remit.BrokenStream)):
        client.read("d").read_all()
    wire.answers("GET", "/v1/datasets/d", answer)
    with pytest.raises(remit.GatewayFault, match="REMIT_URL"):
        client.dataset("d")


def test_a_redirect_is_never_followed_with_the_token(wire: Wire, client: remit.Client) -> None:
    elsewhere = Wire()
    wire.answers("GET", "/v1/datasets/d", Answer([b""], 307, {"Location": f"{elsewhere.url}/v1/datasets/d"}))
    with pytest.raises(remit.GatewayFault):
        client.dataset("d")
    elsewhere.close()
    assert elsewhere.asked == []


def test_an_address_where_nobody_answers_is_unreachable(wire: Wire) -> None:
    wire.close()
    with remit.connect(wire.url) as client, pytest.raises(remit.Unreachable, match="remit serve"):
        client.read("d")


def test_an_answer_that_never_comes_is_unreachable(wire: Wire) -> None:
    wire.answers("GET", "/v1/datasets/d", Answer([], ending="silent"))
    with remit.connect(wire.url, timeout=1.0) as client, pytest.raises(remit.Unreachable):
        client.dataset("d")


@pytest.mark.parametrize("url", ["localhost:8470", "", "ftp://h", "http://", "http://h:x", "http://\x00", "x" * 99_999])
def test_an_address_that_cannot_be_used_is_refused_before_anything_is_sent(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMIT_URL", url.replace("\x00", "") or "nonsense")
    with pytest.raises(remit.Misuse, match=r"127\.0\.0\.1:8470"):
        remit.connect(url)


@pytest.mark.parametrize("token", ["a b", "a\r\nX-Other: 1", "töken", "a\x00b"])
def test_a_token_that_cannot_be_one_is_refused_and_never_shown(token: str) -> None:
    with pytest.raises(remit.Misuse) as caught:
        remit.connect("http://127.0.0.1:8470", token=token)
    assert token not in str(caught.value)


def test_address_and_token_come_from_the_environment(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMIT_URL", wire.url)
    monkeypatch.setenv("REMIT_TOKEN", "from.the.environment")
    wire.answers("GET", "/v1/grants", says({"items": [], "next": None}))
    with remit.connect() as client:
        assert list(client.grants()) == []
    assert wire.asked[0].headers["authorization"] == "Bearer from.the.environment"


def test_a_proxy_of_the_environment_never_sees_a_token_for_this_machine(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Wire()
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    wire.answers("GET", "/v1/grants", says({"items": [], "next": None}))
    with remit.connect(wire.url, token="t") as client:
        list(client.grants())
    proxy.close()
    assert proxy.asked == []


def test_a_name_cannot_leave_its_place_in_the_path(wire: Wire, client: remit.Client) -> None:
    for name in ("../alerts", "a/b", "a?b=c", "a#b", "é", "%2e%2e", "\udc80"):
        with pytest.raises(remit.GatewayFault):
            client.dataset(name)
    assert all(asked.path.startswith("/v1/datasets/") and asked.path.count("/") == 3 for asked in wire.asked)
    assert not any(asked.query for asked in wire.asked)
    for name in ("", ".", ".."):
        with pytest.raises(remit.Misuse):
            client.dataset(name)


def test_what_is_no_text_is_refused_and_not_sent(wire: Wire, client: remit.Client) -> None:
    with pytest.raises(remit.Misuse):
        next(client.entries(actor="\udcff"))
    assert wire.asked == []


def test_columns_are_a_list_and_not_one_text(client: remit.Client) -> None:
    with pytest.raises(remit.Misuse, match="columns"):
        client.read("d", columns="xy")


def test_a_list_is_fetched_page_after_page(wire: Wire, client: remit.Client) -> None:
    pages = [{"items": [{"name": "a"}, {"name": "b"}], "next": "b"}, {"items": [{"name": "c"}], "next": None}]
    wire.answers("GET", "/v1/datasets", *map(says, pages))
    assert [each.name for each in client.datasets()] == ["a", "b", "c"]
    assert [asked.query for asked in wire.asked] == [{}, {"before": ["b"]}]


def test_a_list_whose_cursor_stands_still_is_a_fault(wire: Wire, client: remit.Client) -> None:
    wire.answers("GET", "/v1/datasets", says({"items": [{"name": "a"}], "next": "a"}))
    with pytest.raises(remit.GatewayFault, match="never ends"):
        list(client.datasets())


def test_unknown_fields_of_a_newer_gateway_are_passed_over(wire: Wire, client: remit.Client) -> None:
    column = {"name": "x", "class": "user.behavior.pointer", "type": "integer", "new": 1}
    wire.answers("GET", "/v1/datasets/d", says({"name": "d", "columns": [column], "later": {}}))
    assert client.dataset("d").columns[0].data_class == "user.behavior.pointer"
