"""``lsl:NAME``: a stream of Lab Streaming Layer.

LSL has no sequence numbers. Its inlet keeps what comes for `BUFFER_S` seconds and then drops the
oldest samples without a word; that, like all that is lost before it, shows in the time stamps or,
exactly, in a counter channel. liblsl listens on all interfaces of the machine, whatever its
configuration says.
"""

from __future__ import annotations

import math
import re
import threading
import time
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.acquisition.driver import ConnectionLost, Packet
from brainforge.acquisition.lsl_info import info_from_description, parse_description
from brainforge.acquisition.lsl_library import Correction, library, predicate, resolve
from brainforge.acquisition.lsl_markers import MarkerInlets
from brainforge.errors import InputError
from brainforge.info import Info

#: seconds of samples that the inlet keeps for a reader that is held up
BUFFER_S: Final = 60
#: seconds between two looks into the inlet: a reader that waits is woken for every single sample
PACE_S: Final = 0.05
#: seconds to look for a stream, and for it to answer
LOOK_S, REPLY_S = 1.0, 2.0
#: seconds for which a stream of markers that was named has to be there before it is gone without:
#: longer than a session waits for its source, shorter than a recorder that takes over can
MARKERS_S: Final = 8.0
#: seconds without a sample after which the sender is asked whether it is still there; and again
QUIET_S, ASK_S = 0.4, 1.0
#: seconds that it has to answer; the reader waits meanwhile
ANSWER_S: Final = 0.2
#: a jump of the stamps from which on liblsl may have gone over to another sender by itself; its
#: search takes a second at least
JUMP_S: Final = 0.8
#: samples of a packet at most
LARGEST: Final = 8192
GONE, REPLACED = "the sender is gone", "another sender has taken its place"
#: source ids that pylsl makes up where a sender gives none: others after every start
GENERATED: Final = re.compile(r"-?\d{15,}")
KEYS: Final = {"name": "name", "type": "type", "source_id": "source_id", "host": "hostname"}
OPTIONS: Final = ("unit", "markers", "pace")


def driver(address: str, **options: str) -> LslDriver:
    """Return the Driver of ``lsl:NAME`` or ``lsl:name=NAME,type=MEG,source_id=ID,host=HOST``.

    Parameters
    ----------
    address : str
        Without the scheme. Options may stand in it as well, behind the name.
    **options
        ``unit``: of channels of which the stream names none. ``markers``: streams of markers
        (see `brainforge.acquisition.lsl_markers.MarkerInlets`). ``pace``: seconds between two
        looks, 0.001 to 1; shorter ones cost more and give younger samples.

    Raises
    ------
    InputError
        An unknown key, or a pace that is none.
    """
    first, *rest = address.removeprefix("lsl:").split(",")
    pairs = dict(item.partition("=")[::2] for item in rest)
    key, equals, value = first.partition("=")
    if equals and (key in KEYS or key in OPTIONS):
        pairs[key] = value
    else:
        pairs["name"] = first
    pairs |= options
    unknown = sorted(set(pairs) - set(KEYS) - set(OPTIONS))
    if unknown or not any(pairs.get(key) for key in KEYS):
        raise InputError(
            where=f"source lsl:{address}",
            expected=f"lsl:NAME or keys among {', '.join((*KEYS, *OPTIONS))}",
            got=unknown[0] if unknown else "none",
        )
    query = {theirs: pairs[ours] for ours, theirs in KEYS.items() if pairs.get(ours)}
    return LslDriver(
        query, unit=pairs.get("unit"), markers=pairs.get("markers", ""),
        pace_s=_pace(pairs.get("pace", str(PACE_S)), address),
    )  # fmt: skip


def _pace(text: str, address: str) -> float:
    try:
        pace = float(text)
    except ValueError:
        pace = math.nan
    if not 1e-3 <= pace <= 1.0:
        raise InputError(
            where=f"source lsl:{address}", expected="a pace of 0.001 to 1 seconds", got=text
        )
    return pace


def discover(timeout: float = 1.0) -> list[dict[str, Any]]:
    """Return the streams that are there: source, name, type, channels, rate, host, source_id."""
    return [
        {
            "source": f"lsl:{s.name()}", "name": s.name(), "type": s.type(),
            "channels": s.channel_count(), "rate_hz": s.nominal_srate(), "host": s.hostname(),
            "source_id": s.source_id(),
        }
        for s in resolve({}, timeout)
    ]  # fmt: skip


class LslDriver:
    """Driver of an LSL stream.

    The inlet may recover by itself, because one that may not throws away what has come but was
    not yet taken when its sender goes. That a sender is gone is found by asking it.

    Parameters
    ----------
    query : dict
        LSL's properties that the stream has to have.
    unit : str | None
        Of channels of which the stream names none.
    markers : str
        Which streams of markers come along.
    pace_s : float
        Seconds between two looks into the inlet.
    buffer_s : int
        Seconds of samples that the inlet keeps.
    """

    counter_bits: int | None = None

    def __init__(
        self,
        query: dict[str, str],
        *,
        unit: str | None = None,
        markers: str = "",
        pace_s: float = PACE_S,
        buffer_s: int = BUFFER_S,
    ) -> None:
        only = list(query) == ["name"]
        self.name = "lsl:" + (
            query["name"] if only else ",".join(f"{k}={v}" for k, v in query.items())
        )
        self._query, self._unit, self._wanted = query, unit, markers
        self._pace_s, self._buffer_s = pace_s, buffer_s
        self._woken = threading.Event()
        self._identity: dict[str, str] = {}
        self._known = False
        self._began = math.inf
        self._markers: MarkerInlets | None = None
        self._clear()

    def _clear(self) -> None:
        self._inlet: Any = None
        if self._markers is not None:
            self._markers.close()
        self._others: Any = None
        self._lost = ""
        self._last = math.nan

    def open(self, resume: int | None) -> Info:
        """Find the stream and subscribe. Nothing can be resumed: LSL keeps nothing for us.

        Takes about a second the first time, because others of the same name have to be ruled out.

        Raises
        ------
        InputError
            More than one stream fits, or this one cannot be used.
        ConnectionLost
            None fits, or a stream of markers that was named is missing; the message names those
            that are there.
        """
        self._pylsl = library()
        self._clear()
        self._began = min(self._began, time.monotonic())
        stream, there = self._find()
        self._stream = stream
        again = bool(stream.source_id())  # without one liblsl could not find it again
        inlet = self._pylsl.StreamInlet(stream, self._buffer_s, recover=again)
        correction = Correction(inlet)
        try:
            described = parse_description(inlet.info(REPLY_S).as_xml())
            info = info_from_description(described, self._unit)
            self._dtype, self._kept = _dtypes(self._pylsl, stream, self.name)
            self._markers = self._markers or MarkerInlets(self._wanted)
            missing = self._markers.open(there, described.source_id)
            if missing and not self._known and time.monotonic() < self._began + MARKERS_S:
                raise ConnectionLost(missing)
            correction.start()
            inlet.open_stream(REPLY_S)
        except (self._pylsl.util.TimeoutError, self._pylsl.util.LostError) as error:
            raise ConnectionLost(str(error)) from error
        self._inlet, self._correction = inlet, correction
        self._identity = _identity(described.source_id, described.host)
        self._sfreq, self._known = info.sfreq, True
        self._looked = self._seen = time.monotonic()
        self._asked = -math.inf
        return info

    def _find(self) -> tuple[Any, list[Any]]:
        """Return the stream, and all that were seen; at once where it is known from before."""
        there = resolve(self._query | self._identity if self._known else {}, LOOK_S)
        found = [s for s in there if all(getattr(s, k)() == v for k, v in self._query.items())]
        found = [s for s in found if s.nominal_srate() > 0] or found
        if not found:
            names = ", ".join(sorted({f"{s.name()} ({s.type()})" for s in there})[:8])
            raise ConnectionLost(
                f"no such stream answers; there are {names or 'no streams at all'}"
            )
        if len(found) > 1:
            which = "; ".join(f"host={s.hostname()},source_id={s.source_id()}" for s in found)
            if self._known:  # may pass; a recording does not end for it
                raise ConnectionLost(f"more than one stream fits: {which}")
            raise InputError(
                where=self.name, expected="one stream", got=which,
                fix="name one of them: lsl:name=NAME,source_id=ID",
            )  # fmt: skip
        return found[0], there

    def receive(self, timeout: float) -> list[Packet]:
        """Return what has come; looks into the inlet at its pace.

        Where nothing comes for `QUIET_S` the sender is asked, which takes up to `ANSWER_S`.

        Raises
        ------
        ConnectionLost
            The sender is gone, or another one has taken its place.
        """
        until = time.monotonic() + timeout
        while True:
            now = time.monotonic()
            look = min(max(self._looked + self._pace_s, now), until)
            if self._woken.wait(max(look - now, 0.0)):
                self._woken.clear()
                return []
            packets = self._look()
            if packets or time.monotonic() >= until:
                return packets

    def _look(self) -> list[Packet]:
        if self._lost:
            raise ConnectionLost(self._lost)
        now = self._looked = time.monotonic()
        try:
            packets = self._pull(now)
        except self._pylsl.util.LostError as error:
            raise ConnectionLost(GONE) from error
        if any(len(packet.data) for packet in packets):  # markers are another sender's life
            self._seen, self._asked, self._others = now, -math.inf, None
        elif now - self._seen > QUIET_S and now - self._asked > ASK_S:
            self._asked = now
            self._ask()
        return packets

    def _pull(self, now: float) -> list[Packet]:
        """Return one packet with all that waits, markers included."""
        n = min(max(self._inlet.samples_available(), 1), LARGEST)
        data = np.empty((n, self._stream.channel_count()), self._dtype)
        _, listed = self._inlet.pull_chunk(timeout=0.0, max_samples=n, dest_obj=data)
        stamps = np.array(listed, dtype=np.float64)
        stamps = stamps[: self._border(stamps)]
        markers = self._markers.take(now) if self._markers is not None else ()
        if not len(stamps) and not markers:
            return []
        data = data[: len(stamps)].astype(self._kept, copy=False)
        if not np.isfinite(stamps).all():  # a sender's nonsense; they count as they come
            return [Packet(data, now, markers=markers)]
        if len(stamps):
            self._last = float(stamps[-1])
            stamps += self._correction.offset(now, self._last)
        return [Packet(data, now, stamps=stamps, markers=markers)]

    def _border(self, stamps: npt.NDArray[np.float64]) -> int:
        """Return how many samples are still of the sender whose description we know."""
        if not len(stamps):
            return 0
        steps = np.diff(stamps, prepend=self._last)
        jumps = np.flatnonzero(np.abs(steps - 1 / self._sfreq) > JUMP_S)
        if not len(jumps):
            return len(stamps)
        if self._inlet.was_clock_reset():  # liblsl has gone over to another sender by itself
            self._lost = REPLACED
        else:
            self._ask()
        return int(jumps[0]) if self._lost else len(stamps)

    def _ask(self) -> None:
        """Ask the sender for its description, where it was: a process that is gone refuses."""
        try:
            inlet = self._pylsl.StreamInlet(self._stream, 1, recover=False)
            if inlet.info(ANSWER_S).uid() != self._stream.uid():
                self._lost = REPLACED
        except self._pylsl.util.LostError:
            self._lost = GONE
        except self._pylsl.util.TimeoutError:
            self._look_for_others()

    def _look_for_others(self) -> None:
        """See whether the sender, which hangs or cannot be reached, has come back elsewhere."""
        if self._others is None:
            query = predicate(self._query | self._identity)
            self._others = self._pylsl.ContinuousResolver(pred=query, forget_after=2.0)
        elif {s.uid() for s in self._others.results()} - {self._stream.uid()}:
            self._lost = REPLACED

    def close(self) -> None:
        """Unsubscribe; what waits in the inlet is given up."""
        self._clear()

    def wake(self) -> None:
        """Let a waiting `receive` return at once."""
        self._woken.set()


def _identity(source_id: str, host: str) -> dict[str, str]:
    """Return what the stream has to have when it comes back: another device never takes over."""
    if source_id and not GENERATED.fullmatch(source_id):
        return {"source_id": source_id}
    return {"hostname": host}


def _dtypes(pylsl: Any, stream: Any, name: str) -> tuple[Any, Any]:
    """Return the dtype that comes and the one that is kept; both hold the same values."""
    formats = {
        pylsl.cf_float32: ("float32", "float32"), pylsl.cf_double64: ("float64", "float64"),
        pylsl.cf_int32: ("int32", "int32"), pylsl.cf_int16: ("int16", "int16"),
        pylsl.cf_int8: ("int8", "int16"),
    }  # fmt: skip
    try:
        came, kept = formats[stream.channel_format()]
    except KeyError:
        raise InputError(
            where=name,
            expected="samples in int8, int16, int32, float32 or double64",
            got="text or int64",
            fix="streams of markers come along with markers=NAME",
        ) from None
    return np.dtype(came), np.dtype(kept)
