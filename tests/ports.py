"""Ports for what a test starts as a process of its own."""

import random
from contextlib import suppress
from socket import create_server


def free_port() -> int:
    """One that nobody listens on, below those that the kernel gives to connections: a second start gets it too."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with suppress(OSError), create_server(("127.0.0.1", port)):
            return port
