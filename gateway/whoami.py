"""`GET /v1/whoami`: who the gateway takes the caller for; and where a client that has no token yet gets one."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from policy.values import Attribute, Principal

from .parts import Parts

AN_HOUR = "public, max-age=3600"


class WhoamiView(BaseModel):
    """The verified principal: what rules, grants and entries know of the caller."""

    name: str = Field(description="the token's `sub`", examples=["ana"])
    kind: str = Field(description="`person` or `service`", examples=["person"])
    teams: list[str] = Field(examples=[["research.ml"]])
    attributes: dict[str, Attribute] = Field(
        description="what conditions may ask for, as `principal.<name>`", examples=[{"privacy_training": "current"}]
    )
    issuer: str = Field(description="who vouches for it", examples=["https://login.example.com/realms/staff"])
    expires: datetime = Field(description="when the token ends", examples=["2026-11-21T09:15:00Z"])


class ResourceMetadata(BaseModel):
    """OAuth 2.0 Protected Resource Metadata (RFC 9728 §2), and what `remit login` has to know beside it."""

    resource: str = Field(description="where clients reach this gateway", examples=["https://remit.example.com"])
    authorization_servers: list[str] = Field(examples=[["https://login.example.com/realms/staff"]])
    bearer_methods_supported: list[str] = ["header"]
    resource_name: str = "Remit"
    remit_audience: str = Field(description="what an access token's `aud` must hold", examples=["remit"])
    remit_client_id: str = Field(description="what `remit login` is known as to the issuer", examples=["remit-cli"])


def routes(parts: Parts, caller: Callable[..., Principal]) -> APIRouter:
    """The two calls, for one gateway."""
    router = APIRouter(tags=["identity"])
    Who = Annotated[Principal, Depends(caller)]  # noqa: N806  # a type
    settings = parts.settings
    metadata = ResourceMetadata(
        resource=settings.public_url,
        authorization_servers=[settings.oidc_issuer],
        remit_audience=settings.oidc_audience,
        remit_client_id=settings.client_id,
    )

    @router.get("/v1/whoami")
    def whoami(who: Who, request: Request, response: Response) -> WhoamiView:
        """Who the caller is, as this gateway verified it."""
        response.headers["Cache-Control"] = "no-store"
        return WhoamiView(
            name=who.name,
            kind=who.kind,
            teams=list(who.teams),
            attributes=dict(who.attributes),
            issuer=settings.oidc_issuer,
            expires=datetime.fromtimestamp(request.state.token_ends, UTC),
        )

    @router.get("/.well-known/oauth-protected-resource")
    async def protected_resource(response: Response) -> ResourceMetadata:
        """Whose tokens this gateway takes, and for which audience; needs no token and names nobody."""
        response.headers["Cache-Control"] = AN_HOUR
        return metadata

    return router
