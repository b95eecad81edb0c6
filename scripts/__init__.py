"""The `easel` command: one file per subcommand."""
