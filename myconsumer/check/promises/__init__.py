"""
What the contract promises: each module names the chapters of docs/pull-contract.md
that it holds an endpoint to.  The docstring of each check is its line of the report.
"""
