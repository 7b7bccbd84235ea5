"""The ledger: identities, records, the stores that keep them, and how files are written."""
