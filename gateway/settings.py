"""Settings, read once from the environment; one that is not understood stops the start with its name."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from audit import ledger_keys
from audit.cosignatures import Quorum
from audit.cosigner import WitnessAt
from audit.errors import BadNote
from audit.notes import Verifier, decimal
from audit.severities import Severity
from policy.tables import closest

CLIENT_SIDE = {"REMIT_URL", "REMIT_TOKEN", "REMIT_CLIENT_SECRET"}
"""Settings of the command line and the Python client; the gateway passes over them."""


class BadSetting(ValueError):
    """A setting that is not understood; the message names it and says what it should be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set; the field `x` is `REMIT_X` in the environment.

    `listen` is (host, port); `database_url` is libpq's, empty for the embedded database. `public_url` is where clients
    reach the gateway, without a slash at its end; `client_id` is what `remit login` is known as to the issuer. Alerts
    of `contain` or worse contain themselves; None: none of them.
    """

    home: Path
    database_url: str
    policies: Path
    catalog: Path
    listen: tuple[str, int]
    public_url: str
    oidc_issuer: str
    oidc_audience: str
    teams_claim: str
    attribute_claims: tuple[str, ...]
    client_id: str
    alert_urls: tuple[str, ...]
    escalation: Path | None
    ledger_key: Path
    ledger_name: str
    witnesses: Quorum
    contain: Severity | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read every `REMIT_…` variable; raises `BadSetting`."""
        given = {name: value for name, value in environment.items() if name.startswith("REMIT_")}
        known = {f"REMIT_{field.upper()}" for field in cls.__slots__} | CLIENT_SIDE | {"REMIT_WITNESSES_REQUIRED"}
        for name in sorted(given.keys() - known):
            near = closest(name, known)
            raise BadSetting(f"unknown setting `{name}`" + (f"; did you mean `{near}`?" if near else ""))
        listen = _address(given.get("REMIT_LISTEN") or "127.0.0.1:8470")
        return cls(
            home=Path(given.get("REMIT_HOME") or ".remit").absolute(),
            database_url=_database(given.get("REMIT_DATABASE_URL", "")),
            policies=Path(given.get("REMIT_POLICIES") or "policies.conf").absolute(),
            catalog=Path(given.get("REMIT_CATALOG") or "catalog.toml").absolute(),
            listen=listen,
            public_url=_public_url(given.get("REMIT_PUBLIC_URL") or _url_of(*listen)),
            oidc_issuer=_issuer(given.get("REMIT_OIDC_ISSUER", "")),
            oidc_audience=given.get("REMIT_OIDC_AUDIENCE") or "remit",
            teams_claim=given.get("REMIT_TEAMS_CLAIM") or "groups",
            attribute_claims=_names(given.get("REMIT_ATTRIBUTE_CLAIMS", "")),
            client_id=given.get("REMIT_CLIENT_ID") or "remit-cli",
            alert_urls=tuple(given.get("REMIT_ALERT_URLS", "").split()),
            escalation=Path(given["REMIT_ESCALATION"]).absolute() if given.get("REMIT_ESCALATION") else None,
            ledger_key=ledger_key(given),
            ledger_name=_ledger_name(given.get("REMIT_LEDGER_NAME", "")),
            witnesses=witnesses(given),
            contain=_contain(given.get("REMIT_CONTAIN") or "SEV1"),
        )


def ledger_key(given: Mapping[str, str]) -> Path:
    """Where the key that signs checkpoints is."""
    home = Path(given.get("REMIT_HOME") or ".remit")
    return Path(given.get("REMIT_LEDGER_KEY") or home / ledger_keys.NAME).absolute()


def witnesses(given: Mapping[str, str]) -> Quorum:
    """Whom checkpoints are shown to, and how many of them have to sign one; all where that is not said."""
    words = given.get("REMIT_WITNESSES", "").split()
    try:
        if len(words) % 2 or not all(word.startswith(("https://", "http://")) for word in words[::2]):
            raise BadNote("write each witness as its URL, a space and its key, with spaces between several")
        found = tuple(WitnessAt(url, Verifier.parse(key)) for url, key in zip(words[::2], words[1::2], strict=True))
    except BadNote as wrong:
        raise BadSetting(f"`REMIT_WITNESSES`: {wrong}") from wrong
    required = given.get("REMIT_WITNESSES_REQUIRED") or str(len(found))
    try:
        return Quorum(found, decimal(required))
    except BadNote as wrong:
        raise BadSetting(f"`REMIT_WITNESSES_REQUIRED`: {wrong}") from wrong


def _contain(value: str) -> Severity | None:
    levels = {"none": None, "SEV1": Severity.SEV1, "SEV2": Severity.SEV2}
    if value not in levels:
        raise BadSetting(f"`REMIT_CONTAIN` is not understood: `{value}`; write SEV1, SEV2 (that and worse) or none")
    return levels[value]


def _ledger_name(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z0-9._/-]{1,200}", value):
        raise BadSetting("`REMIT_LEDGER_NAME` is no name: write it like remit.example.com/ledger")
    return value


def _database(value: str) -> str:
    if value and not value.startswith(("postgresql://", "postgres://")):
        raise BadSetting("`REMIT_DATABASE_URL` is not a database: write it as postgresql://role@host/name")
    return value


def _address(value: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise BadSetting(f"`REMIT_LISTEN` is not an address: `{value}`; write it as 127.0.0.1:8470")
    return host, int(port)


def _url_of(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _split(value: str) -> SplitResult | None:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _public_url(value: str) -> str:
    parts = _split(value)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise BadSetting(f"`REMIT_PUBLIC_URL` is not an address: `{value}`; write it as https://remit.example.com")
    return value.rstrip("/")


def _issuer(value: str) -> str:
    if not value:
        raise BadSetting("`REMIT_OIDC_ISSUER` is not set: name the issuer whose tokens are to be believed")
    parts = urlsplit(value)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise BadSetting("`REMIT_OIDC_ISSUER` has to start with https:// (http:// only on loopback)")
    return value


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _names(value: str) -> tuple[str, ...]:
    names = dict.fromkeys(name.strip() for name in value.split(",") if name.strip())
    for name in names:
        if not re.fullmatch("[a-z0-9_]+", name):
            raise BadSetting(f"`REMIT_ATTRIBUTE_CLAIMS`: no condition can name `{name}`: use a-z, 0-9 and _")
    return tuple(names)
