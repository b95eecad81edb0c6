"""The subcommands of `easel`, one file each, named as the command.

Each has `command`, which `scripts.__main__` imports when it is called. What they share is in the packages
beside this one.
"""
