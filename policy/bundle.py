"""The bundle: `policies.conf` and `catalog.toml`, loaded whole, known by one digest, replaced whole."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .catalog import Catalog, load_catalog
from .engine import Engine
from .errors import Misread, MisreadAll
from .looks import Look, with_schema
from .policies import Policies, load_policies

Looking = Callable[[Catalog], Mapping[str, Look]]
"""Looks into the stores: dataset → column → type, or why the dataset cannot be read."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything that decisions are made under; the texts are the files' own, and `digest_of` them is `digest`."""

    policies: Policies
    catalog: Catalog
    engine: Engine
    digest: str
    policies_text: str
    catalog_text: str


def digest_of(policies: bytes, catalog: bytes) -> str:
    """`sha256:` and the hex digest over each file's length (8 bytes, big endian) and bytes.

    The lengths keep a line that moves from one file into the other from leaving the digest as it was.
    """
    digest = hashlib.sha256()
    for data in (policies, catalog):
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return f"sha256:{digest.hexdigest()}"


def load_bundle(policies: Path, catalog: Path, look: Looking) -> Bundle:
    """The bundle that both files make, with what `look` sees in the stores.

    Each file is read once, so that what is digested is what was understood. Raises `MisreadAll` where a file
    cannot be read or is refused; what `look` raises passes through.
    """
    policies_data, catalog_data = _read(policies), _read(catalog)
    rules = load_policies(policies_data, file=policies.name)
    described = load_catalog(catalog_data, rules, folder=catalog.parent, file=catalog.name)
    completed = with_schema(described, look(described))
    digest = digest_of(policies_data, catalog_data)
    return Bundle(rules, completed, Engine(rules), digest, policies_data.decode(), catalog_data.decode())


def past_bundle(policies: str, catalog: str) -> Bundle:
    """The bundle that was these texts, for decisions of the past: nobody looks into the stores.

    So no column has a type, and none is known to be undeclared. Raises `MisreadAll` where they are not understood now.
    """
    rules = load_policies(policies.encode())
    described = load_catalog(catalog.encode(), rules, folder=None)
    digest = digest_of(policies.encode(), catalog.encode())
    return Bundle(rules, described, Engine(rules), digest, policies, catalog)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = f"cannot be read: {(error.strerror or 'unknown fault').lower()}"
        raise MisreadAll([Misread(path.name, None, reason)]) from error
