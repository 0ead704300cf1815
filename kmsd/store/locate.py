"""Locate: a query's conditions as portable SQL that starts from an index.

Where a label or range that few objects have is asked for, the search starts from those objects.
Otherwise it starts from the index of the owner's objects and, for what others granted, from the
grants.
"""

from typing import Any

import msgspec

from kmsd.kmip.enums import State
from kmsd.store.dialects import Transaction
from kmsd.store.interfaces import EVERYONE, Found, Query, Range
from kmsd.store.rows import SEARCHED, findable, label_text, text

_FEW = 1000
_NO_LIMIT = (1 << 62) - 1


class Clause(msgspec.Struct, frozen=True):
    """A piece of SQL with the values of its marks."""

    sql: str
    values: tuple[Any, ...] = ()


# What an object's stored state and dates must be for its state to be … at the moment `?`; the same
# as `kmip.states.effective_state`, which a test compares.
_BEGUN = (
    f"(o.state = {State.ACTIVE:d} OR (o.state = {State.PRE_ACTIVE:d} AND o.activation_date <= ?))"
)
_OFF = "(o.activation_date IS NULL OR o.activation_date > ?)"
_ON = "(o.deactivation_date IS NULL OR o.deactivation_date > ?)"
_STATES: dict[State, tuple[str, int]] = {
    State.PRE_ACTIVE: (f"(o.state = {State.PRE_ACTIVE:d} AND {_OFF})", 1),
    State.ACTIVE: (f"({_BEGUN} AND {_ON})", 2),
    State.DEACTIVATED: (
        f"(o.state = {State.DEACTIVATED:d} OR ({_BEGUN} AND o.deactivation_date <= ?))",
        2,
    ),
}

_COLUMNS = {name.replace("_", ""): name for name in SEARCHED}


def find(transaction: Transaction, query: Query) -> Found:
    """Return the page of identifiers that `query` asks for; runs in the database's thread."""
    if query.accessible_to is not None and not findable(query.accessible_to):
        return Found((), 0)
    conditions = _conditions(query)
    starts = [_label(*label) for label in query.labels]
    starts += [clause for each in query.ranges if (clause := _label_range(each)) is not None]
    start = _narrowest(transaction, starts, query)
    if start is None:
        found = _from_owner(query, [*conditions, *map(_exists, starts)])
    else:
        rest = [_exists(each) for each in starts if each is not start]
        found = _from_label(query, start, [*conditions, *rest])
    return _page(transaction, found, query)


def _conditions(query: Query) -> list[Clause]:
    """Return the conditions on the object's own row."""
    equal = {
        "object_type": query.object_type,
        "cryptographic_algorithm": query.cryptographic_algorithm,
        "cryptographic_length": query.cryptographic_length,
    }
    clauses = [
        Clause(f"o.{name} = ?", (int(value),)) for name, value in equal.items() if value is not None
    ]
    if query.states:
        clauses.append(_states(query.states, query.now))
    for each in query.ranges:
        column = _COLUMNS.get(_folded(each.name))
        if column is not None:
            clauses.append(_between(f"o.{column}", each))
    return clauses


def _states(states: frozenset[State], now: int) -> Clause:
    parts, values = [], []
    for state in sorted(states):
        sql, marks = _STATES.get(state, (f"o.state = {state:d}", 0))
        parts.append(sql)
        values += [now] * marks
    return Clause(f"({' OR '.join(parts)})", tuple(values))


def _folded(name: str) -> str:
    return name.replace("_", "").replace(" ", "").lower()


def _between(column: str, each: Range) -> Clause:
    bounds = [(f"{column} >= ?", each.low), (f"{column} <= ?", each.high)]
    given = [(sql, value) for sql, value in bounds if value is not None]
    if not given:
        return Clause(f"{column} IS NOT NULL")
    return Clause(" AND ".join(sql for sql, _ in given), tuple(value for _, value in given))


def _label(name: str, value: str) -> Clause:
    return Clause("l.name = ? AND l.value = ?", (label_text(name), label_text(value)))


def _label_range(each: Range) -> Clause | None:
    """Return the condition on a label's number, unless the range is one of a column."""
    if _folded(each.name) in _COLUMNS:
        return None
    between = _between("l.number", each)
    return Clause(f"l.name = ? AND {between.sql}", (label_text(each.name), *between.values))


def _exists(label: Clause) -> Clause:
    return Clause(
        f"EXISTS (SELECT 1 FROM labels l WHERE {label.sql} AND l.uid = o.uid)",  # noqa: S608
        label.values,
    )


def _narrowest(transaction: Transaction, starts: list[Clause], query: Query) -> Clause | None:
    """Return the label that fewest objects have, or None if all are common and there is better."""
    if not starts:
        return None
    counts = [_count_up_to(transaction, start) for start in starts]
    least = min(counts)
    if least == _FEW and query.accessible_to is not None:
        return None
    return starts[counts.index(least)]


def _count_up_to(transaction: Transaction, start: Clause) -> int:
    statement = f"SELECT COUNT(*) FROM (SELECT 1 FROM labels l WHERE {start.sql} LIMIT {_FEW}) few"  # noqa: S608
    [(count,)] = transaction.rows(statement, *start.values)
    return int(count)


def _joined(clauses: list[Clause]) -> Clause:
    sql = "".join(f" AND {clause.sql}" for clause in clauses)
    return Clause(sql, tuple(value for clause in clauses for value in clause.values))


def _from_label(query: Query, start: Clause, conditions: list[Clause]) -> Clause:
    """Search among the objects that have a label. CROSS JOIN keeps SQLite to this order."""
    rest = _joined([*conditions, *_access(query.accessible_to)])
    once = "" if "l.value = ?" in start.sql else "DISTINCT "  # several numbers of one object
    return Clause(
        f"SELECT {once}o.uid FROM labels l CROSS JOIN objects o"  # noqa: S608
        f" WHERE {start.sql} AND o.uid = l.uid{rest.sql}",
        (*start.values, *rest.values),
    )


def _access(caller: str | None) -> list[Clause]:
    if caller is None:
        return []
    granted = "EXISTS (SELECT 1 FROM grants g WHERE g.uid = o.uid AND g.grantee IN (?, ?))"
    return [Clause(f"(o.owner = ? OR {granted})", (caller, caller, EVERYONE))]


def _from_owner(query: Query, conditions: list[Clause]) -> Clause:
    """Search among the caller's objects and those that others granted: two sets that are apart."""
    rest, caller = _joined(conditions), query.accessible_to
    if caller is None:
        return Clause(f"SELECT o.uid FROM objects o WHERE 1 = 1{rest.sql}", rest.values)  # noqa: S608
    return Clause(
        f"SELECT {_UNSORTED} FROM objects o WHERE o.owner = ?{rest.sql}"  # noqa: S608
        f" UNION ALL SELECT {_UNSORTED} FROM objects o WHERE o.uid IN"
        " (SELECT g.uid FROM grants g WHERE g.grantee IN (?, ?))"
        f" AND o.owner <> ?{rest.sql}",
        (caller, *rest.values, caller, EVERYONE, caller, *rest.values),
    )


# Not a plain column: an index that gives the order must not win over one that gives the answer.
_UNSORTED = "COALESCE(o.uid, '') AS uid"


def _page(transaction: Transaction, found: Clause, query: Query) -> Found:
    limit = _NO_LIMIT if query.limit is None else query.limit
    rows = transaction.rows(
        f"SELECT uid FROM ({found.sql}) found ORDER BY uid LIMIT ? OFFSET ?",  # noqa: S608
        *found.values,
        limit,
        query.offset,
    )
    total = query.offset + len(rows)
    if len(rows) == limit or (query.offset and not rows):
        statement = f"SELECT COUNT(*) FROM ({found.sql}) found"  # noqa: S608
        [(total,)] = transaction.rows(statement, *found.values)
    return Found(tuple(text(uid) for (uid,) in rows), int(total))
