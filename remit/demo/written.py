"""Files of the demo that appear whole, with the mode that they keep."""

import os
from pathlib import Path


def write(path: Path, text: str, mode: int) -> None:
    """Put a file in the place of the one that is there, if one is."""
    draft = path.with_name(f".{path.name}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(text)
    draft.rename(path)
