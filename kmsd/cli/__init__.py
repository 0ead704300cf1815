"""The command line: `ckms`, and `cosmian_kms_cli` as it was called up to 4.3.

A command is a coroutine that is given a `Session` (the configuration, the server) and returns an
`Outcome` (what to say). `tree` reads the command line, `main` carries out what it means, and the
groups of commands are in `commands`, one file each, imported when they are asked for.
"""
