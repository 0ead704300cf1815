"""A process that writes until it is killed, and tells what was acknowledged.

`crashing.py FOLDER [SECRET|make]`: with a secret, in a tenant's database; `make` makes such.
Each line of the output is one fact: `+ uid` a pair was acknowledged, `~ uid` a removal begins,
`- uid` it was acknowledged, `= uid N` the object's N-th change was acknowledged.
"""

import os
import random
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from kmsd.store import Database, encrypted, open_store, open_tenants, secret
from kmsd.store.interfaces import Insert, IStore, Remove, Replace
from tests.records import changed, record


def tell(fact: str) -> None:
    os.write(1, f"{fact}\n".encode())


async def write_on(store: IStore, name: str) -> None:
    chance = random.Random(name)  # noqa: S311
    number = 0
    while True:
        number += 1
        uid = f"{name}-{number}"
        pair = (record(uid, tags=("t", name)), record(f"{uid}_pk", tags=("t", name)))
        await store.write(*map(Insert, pair))
        tell(f"+ {uid}")
        if chance.random() < 0.3:
            found = await store.get(uid)
            assert found is not None
            await store.write(Replace(changed(found, comment="changed")))
            tell(f"= {uid} 2")
            await store.grant(uid, "bob", frozenset({"get"}))
        elif chance.random() < 0.3:
            tell(f"~ {uid}")
            await store.write(Remove(uid, 1), Remove(f"{uid}_pk", 1))
            tell(f"- {uid}")


def make_on(folder: Path) -> None:
    """Make encrypted databases for ever: `? secret` one is begun, `! secret` it is complete."""
    while True:
        made = secret.new()
        tell(f"? {secret.written(made)}")
        encrypted._create(folder, made)
        tell(f"! {secret.written(made)}")


async def main(folder: Path, text: str | None) -> None:
    if text:
        store = await open_tenants(reactor, folder).select(text)  # type: ignore[arg-type]
    else:
        database = Database(type="sqlite", path=folder)
        store = open_store(reactor, database)  # type: ignore[arg-type]
    for number in range(6):
        Deferred.fromCoroutine(write_on(store, f"{os.getpid()}-{number}"))


if __name__ == "__main__":
    if sys.argv[2:] == ["make"]:
        make_on(Path(sys.argv[1]))
    Deferred.fromCoroutine(main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))
    reactor.run()
