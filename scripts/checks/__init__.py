"""The checks of `easel doctor`: `machine` for this machine, `aws` and `leftovers` for the team's account.

Each gives `check.Check`s; nothing here changes anything.
"""
