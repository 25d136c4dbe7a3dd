"""Ask the gateway whose tokens it takes: its protected resource metadata (RFC 9728)."""

from dataclasses import dataclass

from pydantic import TypeAdapter

from remit.connection import Connection
from remit.errors import LoginFailed

from .provider import is_safe
from .values import Target

PATH = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the gateway says of itself; unknown members are passed over."""

    resource: str
    authorization_servers: tuple[str, ...]
    remit_audience: str
    remit_client_id: str


_METADATA = TypeAdapter(Metadata)


def target_of(
    gateway: str, connection: Connection, *, issuer: str | None, client_id: str | None, client_secret: str | None
) -> Target:
    """What a login at `gateway` is for; `issuer` refuses any other, `client_id` goes before the gateway's own."""
    said = connection.get(PATH, _METADATA)
    if said.resource.rstrip("/") != gateway:
        # else a token for the one could be asked for in the name of the other (RFC 9728 §3.3)
        raise LoginFailed(
            f"the gateway at `{gateway}` calls itself `{said.resource}`; set REMIT_URL to that, or let whoever runs it "
            "set REMIT_PUBLIC_URL"
        )
    chosen = issuer or next(iter(said.authorization_servers), "")
    if chosen not in said.authorization_servers:
        named = ", ".join(f"`{each}`" for each in said.authorization_servers)
        raise LoginFailed(f"the gateway takes tokens of {named} and not of `{chosen}`; leave --issuer out, or mend it")
    if not is_safe(chosen, or_loopback=True):
        raise LoginFailed(f"the gateway names the issuer `{chosen}`, which is not https; ask whoever runs it")
    return Target(gateway, chosen, client_id or said.remit_client_id, said.resource, said.remit_audience, client_secret)
