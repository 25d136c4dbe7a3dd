"""Who the gateway takes a caller for, and where somebody without a token learns whose tokens it takes."""

from datetime import UTC, datetime

import pytest
from service import HTTP, Service

from gateway.settings import BadSetting, Settings

ISSUER = {"REMIT_OIDC_ISSUER": "https://login.example.com"}


def test_whoami_says_the_principal_as_rules_and_grants_know_it(service: Service) -> None:
    response = service.call("GET", "/v1/whoami", "ana")
    said = response.json()
    expires = datetime.fromisoformat(said.pop("expires"))
    assert said == {
        "name": "ana",
        "kind": "person",
        "teams": ["research.ml"],
        "attributes": {"privacy_training": "current", "region": "eu"},
        "issuer": service.provider.url,
    }
    assert datetime.now(UTC) < expires
    assert response.headers["Cache-Control"] == "no-store"


def test_attributes_that_no_setting_names_and_teams_that_are_no_names_are_not_said(service: Service) -> None:
    token = service.provider.issue("ana", ("research.ml", "/not/a/name"), privacy_training=True, salary=1)
    said = HTTP.get(f"{service.url}/v1/whoami", headers={"Authorization": f"Bearer {token}"}).json()
    assert said["teams"] == ["research.ml"]
    assert said["attributes"] == {"privacy_training": True}


def test_whoami_needs_a_token_and_says_how_to_get_one(service: Service) -> None:
    response = service.call("GET", "/v1/whoami", None)
    assert (response.status_code, response.json()["code"]) == (401, "no_token")
    assert "remit login" in response.json()["help"]


def test_whoever_has_no_token_learns_whose_tokens_are_taken_and_no_more(service: Service) -> None:
    response = service.call("GET", "/.well-known/oauth-protected-resource", None)
    assert response.json() == {
        "resource": service.url,
        "authorization_servers": [service.provider.url],
        "bearer_methods_supported": ["header"],
        "resource_name": "Remit",
        "remit_audience": "remit",
        "remit_client_id": "remit-cli",
    }


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://127.0.0.1:8470"),
        ({"REMIT_LISTEN": "[::1]:80"}, "http://[::1]:80"),
        ({"REMIT_PUBLIC_URL": "https://remit.example.com/"}, "https://remit.example.com"),
    ],
)
def test_the_gateway_calls_itself_by_its_public_url_or_where_it_listens(given: dict[str, str], url: str) -> None:
    assert Settings.from_environment(ISSUER | given).public_url == url


@pytest.mark.parametrize(
    "url", ["remit.example.com", "ftp://x", "https://", "https://[x", "https://x:y", "https://x?y"]
)
def test_a_public_url_that_is_none_stops_the_start(url: str) -> None:
    with pytest.raises(BadSetting, match="REMIT_PUBLIC_URL"):
        Settings.from_environment(ISSUER | {"REMIT_PUBLIC_URL": url})
