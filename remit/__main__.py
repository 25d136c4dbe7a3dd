"""`python -m remit` is the command `remit`."""

from .cli import main

main()
