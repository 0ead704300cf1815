"""The commands, a file for each group. `kmsd.cli.main.COMMANDS` lists them."""
