"""Witness. Co-sign a ledger that only ever grew."""
