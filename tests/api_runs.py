"""Schemathesis against a running gateway: everything that the API's description allows, and much that it does not."""

import subprocess
import sys
from pathlib import Path

from service import Service

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)
"""Left out: `positive_data_acceptance`, for a schema cannot say which datasets, grants and filters there are;
`use_after_free` and `ensure_resource_availability`, for nothing is ever deleted; `object_level_authorization`, where
it would take a second user in one run: `test_reads` has those."""


def run(service: Service, who: str | None, examples: int, *, wide: bool = True) -> str:
    """What Schemathesis says after so many examples for each call as one of the staff; raises where it found anything.

    `wide` adds its phase of systematic edge cases. The same examples each time.
    """
    command = [str(Path(sys.executable).with_name("schemathesis")), "--no-color", "run"]
    command += [f"{service.url}/openapi.json", "--checks", ",".join(CHECKS)]
    command += [
        "--phases",
        "examples,coverage,fuzzing" if wide else "examples,fuzzing",
        "--max-examples",
        str(examples),
        "--continue-on-failure",
    ]
    command += ["--generation-deterministic", "--warnings", "off"]
    command += ["--suppress-health-check", "all"]
    if who is not None:
        command += ["--header", f"Authorization: Bearer {service.token(who)}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=service.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
