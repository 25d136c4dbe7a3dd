"""A server that answers any POST of SQL with the rows as an Arrow stream: the gateway's opponent, asking nobody."""

import sys
from collections.abc import Iterator

import uvicorn
from plain import ROWS, connect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

END = b"\xff\xff\xff\xff\0\0\0\0"
"""The end of an Arrow stream."""

CONNECTION = connect()
VIEW = "CREATE VIEW wide AS SELECT * FROM read_parquet('{file}')"


def arrow(sql: str) -> Iterator[memoryview | bytes]:
    """The stream's bytes, a message at a time, each made once and never copied."""
    with CONNECTION.cursor() as cursor:
        reader = cursor.sql(sql).to_arrow_reader(ROWS)
        yield memoryview(reader.schema.serialize())
        for batch in reader:
            yield memoryview(batch.serialize())
        yield END


async def answer(request: Request) -> StreamingResponse:
    """Any query's rows."""
    return StreamingResponse(arrow((await request.body()).decode()), media_type="application/vnd.apache.arrow.stream")


if __name__ == "__main__":
    file, port = sys.argv[1:]
    with CONNECTION.cursor() as cursor:
        cursor.execute(VIEW.format(file=file))
    app = Starlette(routes=[Route("/", answer, methods=["POST"])])
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning")
