"""The `easel` command, and the programs that maintain this repository.

A subcommand is a file of `commands`; what several need is in the packages beside it.
"""
