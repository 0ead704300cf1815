"""`kmsd-admin`: what a server's operator does to its database from outside.

It moves, backs up and restores; it needs no running server, and copies while one runs.
"""
