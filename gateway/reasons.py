"""Why somebody does something. It stands in the ledger for good, and whoever looks into it later has nothing else."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

SAYS = r"\S"


def _says_something(text: str) -> str:
    if not re.search(SAYS, text):
        raise ValueError("it is blank; say why, in a few words")
    return text


Because = Annotated[
    str, Field(min_length=1, max_length=2000, json_schema_extra={"pattern": SAYS}), AfterValidator(_says_something)
]
"""A reason that is there: not empty, and not of blanks alone."""
