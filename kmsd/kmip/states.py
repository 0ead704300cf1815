"""The states of an object and what leads from one to another.

An object is made Pre-Active. It becomes Active, and later Deactivated, when a client says so or
when a date that it carries is reached: nobody has to be there for that, so the state that counts is
the stored one *as of now* (`effective_state`), which is worked out whenever an object is looked at.
A stored state is brought up to date whenever the object is written for another reason.

What a key may do follows from its state: an Active key protects (encrypts, signs, wraps …) and
processes (decrypts, verifies, unwraps …), a Deactivated or Compromised one only processes what it
protected before, and all others do nothing (NIST SP 800-57 Part 1 §7).

Source: KMIP 2.1 §4.57.
"""

import enum

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import State


class Event(enum.Enum):
    """What can happen to an object."""

    ACTIVATE = "activate"
    DEACTIVATE = "deactivate"
    COMPROMISE = "compromise"
    DESTROY = "destroy"


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.PRE_ACTIVE, Event.ACTIVATE): State.ACTIVE,
    (State.PRE_ACTIVE, Event.COMPROMISE): State.COMPROMISED,
    (State.PRE_ACTIVE, Event.DESTROY): State.DESTROYED,
    (State.ACTIVE, Event.DEACTIVATE): State.DEACTIVATED,
    (State.ACTIVE, Event.COMPROMISE): State.COMPROMISED,
    (State.DEACTIVATED, Event.COMPROMISE): State.COMPROMISED,
    (State.DEACTIVATED, Event.DESTROY): State.DESTROYED,
    (State.COMPROMISED, Event.DESTROY): State.DESTROYED_COMPROMISED,
    (State.DESTROYED, Event.COMPROMISE): State.DESTROYED_COMPROMISED,
}

PROTECTING = frozenset({State.ACTIVE})
PROCESSING = frozenset({State.ACTIVE, State.DEACTIVATED, State.COMPROMISED})
GONE = frozenset({State.DESTROYED, State.DESTROYED_COMPROMISED})


def effective_state(attributes: Attributes, now: int) -> State:
    """Return the state of an object at `now` (seconds since the epoch)."""
    state = attributes.state or State.PRE_ACTIVE
    if state is State.PRE_ACTIVE and _reached(attributes.activation_date, now):
        state = State.ACTIVE
    if state is State.ACTIVE and _reached(attributes.deactivation_date, now):
        state = State.DEACTIVATED
    return state


def _reached(date: int | None, now: int) -> bool:
    return date is not None and date <= now
