"""Operations in parts: what waits between two parts under a Correlation Value.

The first part has the Init Indicator and gets a Correlation Value, which the later ones bring
along; the last has the Final Indicator. What has to be remembered in between stays here: the value
is only a random name. It is good for the same caller, operation and key, and every part is checked
like any other operation, so a stream ends when its key may no longer be used. A part that fails
ends its stream as well.

Streams live in one process. They are bounded in number, for each caller and in all, in the bytes
that wait in them, and in time.

Source: KMIP 2.1 §6.1.11, §6.1.17, §6.1.24, §6.1.32, §6.1.33, §6.1.55, §6.1.56.
"""

import enum
import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from kmsd.kmip.enums import Operation, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.operations import slow
from kmsd.operations.call import Call

IDLE_SECONDS = 600
MOST = 4_096
MOST_EACH = 64
STREAM_BYTES = 64 << 20
ALL_BYTES = 256 << 20

_MARK = b"kmsd"
"""How our Correlation Values begin: a late one is told from a value that a client made up."""


class Place(enum.Enum):
    """Where in its stream a request stands."""

    WHOLE = enum.auto()
    FIRST = enum.auto()
    MIDDLE = enum.auto()
    LAST = enum.auto()


class Work(Protocol):
    """An operation under way."""

    @property
    def held(self) -> int:
        """How many bytes of data wait in it."""

    def update(self, data: bytes) -> bytes:
        """Take a part; return what comes out of it already."""

    def finalize(self) -> Any:
        """Return what the operation comes to, all parts being in."""


class Indicated(Protocol):
    """What the requests that can be parts have in common."""

    @property
    def data(self) -> bytes | None:
        """The part."""

    @property
    def correlation_value(self) -> bytes | None:
        """The stream."""

    @property
    def init_indicator(self) -> bool | None:
        """Whether it begins."""

    @property
    def final_indicator(self) -> bool | None:
        """Whether it ends."""


class Part(NamedTuple):
    """What came of a part; without a `correlation_value` it was the last, and all is in `work`."""

    work: Any
    output: bytes
    correlation_value: bytes | None


class Binding(NamedTuple):
    """Who may continue a stream, and with what."""

    operation: Operation
    caller: str
    unique_identifier: str
    digest: bytes | None


class Collected:
    """Work for what cannot be done in parts: it keeps them all."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._data = bytearray()

    @property
    def held(self) -> int:
        """How many bytes were collected."""
        return len(self._data)

    def update(self, data: bytes) -> bytes:
        """Keep a part."""
        self._data += data
        return b""

    def finalize(self) -> bytes:
        """Return all parts in a row."""
        return bytes(self._data)


class _Absorbs(Protocol):
    """A digest or a MAC."""

    def update(self, data: bytes) -> None: ...
    def finalize(self) -> bytes: ...


class Absorbed:
    """Work that parts only go into: a digest, a MAC."""

    held = 0

    def __init__(self, context: _Absorbs) -> None:
        """Feed `context`."""
        self._context = context

    def update(self, data: bytes) -> bytes:
        """Take a part."""
        self._context.update(data)
        return b""

    def finalize(self) -> bytes:
        """Return the result."""
        return self._context.finalize()


def place(request: Indicated) -> Place:
    """Return where in its stream a request stands.

    Raises:
        KmipError: it is the first and the last part at once.
    """
    if request.init_indicator:
        if request.final_indicator:
            raise KmipError(
                ResultReason.INVALID_MESSAGE,
                "a part cannot be both the first (init) and the last: leave both indicators out",
            )
        return Place.FIRST
    if request.correlation_value is None:
        return Place.WHOLE
    return Place.LAST if request.final_indicator else Place.MIDDLE


def is_ours(correlation_value: bytes | None) -> bool:
    """Tell whether a Correlation Value was made here, some time."""
    return correlation_value is not None and correlation_value.startswith(_MARK)


def has_parts(call: Call, request: Indicated) -> bool:
    """Tell whether an Encrypt or Decrypt is one part of several.

    The product knows no such parts: to its 4.x clients, and where a client made up a value without
    saying that it begins or ends anything, the Correlation Value is only given back.

    Raises:
        KmipError: it is the first and the last part at once.
    """
    if request.correlation_value is None and not request.init_indicator:
        return False
    if call.generation is Generation.V4:
        return False
    if call.generation is Generation.KMIP or is_ours(request.correlation_value):
        return True
    return place(request) is not Place.MIDDLE


class Streams:
    """The streams under way."""

    def __init__(self) -> None:
        """Start with none."""
        self._streams: OrderedDict[bytes, tuple[Binding, Work, int]] = OrderedDict()
        self._each: Counter[str] = Counter()
        self._held = 0

    def __len__(self) -> int:
        return len(self._streams)

    def take(self, correlation_value: bytes, binding: Binding, now: int) -> Work:
        """Remove a stream and return its work.

        Raises:
            KmipError: there is none of that name for this caller, operation and key.
        """
        self.expire(now)
        entry = self._streams.get(correlation_value)
        if entry is None or entry[0] != binding:
            raise KmipError(
                ResultReason.INVALID_CORRELATION_VALUE,
                "no operation of yours is under way with this CorrelationValue and key: it has"
                " ended, failed or waited too long: begin anew",
            )
        self._drop(correlation_value)
        return entry[1]

    def keep(self, correlation_value: bytes, binding: Binding, work: Work, now: int) -> None:
        """Keep a stream until its next part, `IDLE_SECONDS` at most.

        Raises:
            KmipError: there are too many, or too much waits in them; this one ends.
        """
        self.expire(now)
        if work.held > STREAM_BYTES or self._held + work.held > ALL_BYTES:
            raise _full("so much data in parts is not kept: send less of it")
        if self._each[binding.caller] >= MOST_EACH or len(self) >= MOST:
            raise _full("too many operations in parts are under way: finish some")
        self._streams[correlation_value] = (binding, work, now)
        self._each[binding.caller] += 1
        self._held += work.held

    def expire(self, now: int) -> None:
        """End the streams that have waited too long; the oldest come first."""
        while self._streams:
            name, (_, _, since) = next(iter(self._streams.items()))
            if now - since < IDLE_SECONDS:
                return
            self._drop(name)

    def _drop(self, correlation_value: bytes) -> None:
        binding, work, _ = self._streams.pop(correlation_value)
        self._held -= work.held
        self._each[binding.caller] -= 1
        if not self._each[binding.caller]:
            del self._each[binding.caller]


STREAMS = Streams()
"""The streams of this process."""


async def step(
    call: Call, operation: Operation, request: Indicated, begin: Callable[[], Work]
) -> Part:
    """Carry out one part: of a new stream, which `begin` makes, or of one that is under way.

    While it is carried out the stream is not here, so no second part can meet it half-way.

    Raises:
        KmipError: there is no such stream, or no room for it.
    """
    binding, data = _binding(call, operation), request.data or b""
    where, name = place(request), request.correlation_value or b""
    if where is Place.FIRST:
        name, work = _MARK + secrets.token_bytes(16), begin()
    else:
        work = STREAMS.take(name, binding, call.now)
    output = await slow.run(call, len(data), work.update, data)
    if where is Place.LAST:
        return Part(work, output, None)
    STREAMS.keep(name, binding, work, call.now)
    return Part(work, output, name)


def _binding(call: Call, operation: Operation) -> Binding:
    """Bind a stream to the caller and, where there is one, to the key as it is now."""
    if not call.targets:
        return Binding(operation, call.caller.name, "", None)
    record = call.target
    digest = record.attributes.digest
    return Binding(
        operation,
        call.caller.name,
        record.unique_identifier,
        digest[0].digest_value if digest else None,
    )


def _full(what: str) -> KmipError:
    return KmipError(ResultReason.SERVER_LIMIT_EXCEEDED, what)
