"""Bytes of an answer as the parts they were made of, written one behind the other without being copied together."""

from collections.abc import Iterator, Sequence

SMALL = 4_096
"""Bytes below which a part is rather copied beside its neighbours than handed to the system by itself."""


class Piece:
    """Stands where `bytes` would, between an encoder and a connection that knows it; `bytes` of it copies."""

    def __init__(self, parts: Sequence[memoryview]) -> None:
        self.parts = parts
        self._size = sum(part.nbytes for part in parts)

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return b"".join(self.parts)

    def __iter__(self) -> Iterator[bytes | memoryview]:
        """The parts to write, in their order."""
        small = bytearray()
        for part in self.parts:
            if part.nbytes < SMALL:
                small += part
                continue
            if small:
                yield bytes(small)
                small = bytearray()
            yield part
        if small:
            yield bytes(small)


Body = bytes | Piece


def together(bodies: Sequence[Body]) -> Body:
    """All of them as one."""
    if len(bodies) == 1:
        return bodies[0]
    return Piece([part for body in bodies for part in (body.parts if isinstance(body, Piece) else (memoryview(body),))])
