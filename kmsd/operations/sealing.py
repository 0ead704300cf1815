"""The job that seals every object under the present KEK: after the first or a new one was named.

It may be stopped and begun again at any time: each object tells under which KEK it is sealed, so
what is done is passed over. Requests go on meanwhile; an object that one of them writes is sealed
under the present KEK by that.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from kmsd.operations import kek
from kmsd.operations.sealed_store import SealedStore
from kmsd.store.interfaces import Query, Record, Replace, StaleRecord, StoreDamaged

PAGE = 100


@dataclass(frozen=True)
class Progress:
    """How far the job is, under which KEK: objects in all, looked at, sealed anew, not opened."""

    identifier: str
    total: int
    seen: int = 0
    sealed: int = 0
    failed: int = 0
    finished: bool = False


Report = Callable[[Progress], None]


async def seal_all(store: SealedStore, report: Report, page: int = PAGE) -> Progress:
    """Go through all objects, `page` at a time, and tell `report` how far it is after each page.

    An object whose KEK is not here, or that is damaged, is counted as failed and left as it is.

    Raises:
        KekMissing: there is no KEK to seal under.
        StoreUnavailable: the database does not answer: begin again later.
    """
    current = await store.ring.current(store.store)
    total = (await store.store.find(Query(limit=1))).total
    progress = Progress(current.identifier, total)
    after = ""
    while records := await store.store.scan(after, page):
        after = records[-1].unique_identifier
        keks = await store.ring.keks(records, store.store)
        for record in records:
            if record.unique_identifier not in keks:
                progress = await _step(store, record, progress)
        seen = progress.seen + len(records)
        progress = replace(progress, seen=seen, total=max(progress.total, seen))
        report(progress)
    progress = replace(progress, finished=True)
    report(progress)
    return progress


async def _step(store: SealedStore, record: Record, progress: Progress) -> Progress:
    try:
        done = await _seal_anew(store, record, progress.identifier)
    except (kek.KekMissing, StoreDamaged):
        return replace(progress, failed=progress.failed + 1)
    return replace(progress, sealed=progress.sealed + done)


async def _seal_anew(store: SealedStore, record: Record, current: str) -> bool:
    """Seal one object under the present KEK; tell whether that was to be done."""
    if not kek.must_seal(record) or kek.sealed_under(record) == current:
        return False
    clear = record
    if kek.is_sealed(record):
        clear = await kek.unseal(record, store.ring, store.store)
    sealed = await kek.seal(clear, await store.ring.current(store.store))
    try:
        await store.store.write(Replace(sealed))
    except StaleRecord:  # who wrote it meanwhile has sealed it, or removed it
        return False
    return True
