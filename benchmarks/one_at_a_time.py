"""`remit serve` without group commit: every entry waits for a transaction, and so for an fsync, of its own."""

from audit import committer
from remit.cli import main

committer.LARGEST_BATCH = 1
main()
