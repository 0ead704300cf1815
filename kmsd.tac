"""The server for `twistd -ny kmsd.tac`, configured by KMS_ variables and a TOML file."""

from kmsd.app import makeApplication

application = makeApplication()
