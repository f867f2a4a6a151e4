"""Requests on their way: budget, attempts, endpoints, the ledger's bookkeeper."""
