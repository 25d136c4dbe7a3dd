"""A server that answers any POST of SQL with the rows as an Arrow stream: the gateway's opponent, asking nobody."""

import sys
from collections.abc import Iterator

import pyarrow as pa
import uvicorn
from plain import connect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

ROWS = 65_536
"""Of each message, as the gateway sends them; DuckDB's own batches of 2,048 take longer."""
END = b"\xff\xff\xff\xff\0\0\0\0"
"""The end of an Arrow stream."""

CONNECTION = connect()
VIEW = "CREATE VIEW wide AS SELECT * FROM read_parquet('{file}')"


def arrow(sql: str) -> Iterator[memoryview | bytes]:
    """The stream's bytes, a message at a time, each made once and never copied."""
    with CONNECTION.cursor() as cursor:
        cursor.execute(sql)
        reader = cursor.fetch_record_batch()
        yield memoryview(reader.schema.serialize())
        while gathered := _gathered(reader):
            yield memoryview(pa.concat_batches(gathered).serialize())
        yield END


def _gathered(reader: pa.RecordBatchReader) -> list[pa.RecordBatch]:
    gathered, rows = [], 0
    for batch in reader:
        gathered.append(batch)
        rows += batch.num_rows
        if rows >= ROWS:
            break
    return gathered


async def answer(request: Request) -> StreamingResponse:
    """Any query's rows."""
    return StreamingResponse(arrow((await request.body()).decode()), media_type="application/vnd.apache.arrow.stream")


if __name__ == "__main__":
    file, port = sys.argv[1:]
    with CONNECTION.cursor() as cursor:
        cursor.execute(VIEW.format(file=file))
    app = Starlette(routes=[Route("/", answer, methods=["POST"])])
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning")
