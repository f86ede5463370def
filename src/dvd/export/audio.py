"""The source's sound beside the new pictures: copied packet by packet, or as AAC where the container cannot hold it.

Damaged sound never costs the pictures: it is logged, and the sound is left out or ends there. A track is tried before
it is used, and every copied packet is muxed into a null output first, because a muxer may refuse a damaged packet only
later, together with pictures. Only a full or failing disk is an error.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from typing import Protocol, TypeAlias

import av
from av.bitstream import BitStreamFilterContext
from av.stream import Disposition

from dvd.export.clock import Clock, Placement
from dvd.media import open_for_reading, open_nowhere
from dvd.types import MediaFile, VideoInfo

log = logging.getLogger(__name__)

_COPIED = {
    "mp4": frozenset(("aac", "mp3", "mp3float", "ac3", "eac3", "alac", "opus", "flac")),
    "mov": frozenset(("aac", "mp3", "mp3float", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le")),
}
_AAC_RATES = frozenset((8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000))
_AAC_LAYOUTS = {1: "mono", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
_DISK = frozenset((errno.ENOSPC, errno.EFBIG, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC)))

_TRIED_PACKETS = 64
"""Packets of a track that are tried before the track is used; about a second."""

_IN_FRAGMENTS = {"movflags": "frag_keyframe+delay_moov", "frag_duration": "1000000"}
"""Options with which a muxer of a null output keeps no sound in memory."""

_TROUBLE = (av.FFmpegError, ValueError, TypeError, AttributeError, RuntimeError)
"""Everything that PyAV raises for a track that it cannot read or write."""

Packet: TypeAlias = "av.Packet[av.AudioStream]"
Output: TypeAlias = "av.container.OutputContainer"


class AudioTrack:
    """Writes the source's sound into `output`, as far as the pictures have come."""

    way: str
    """"copied", "AAC", or "none" where no track can be used."""

    def __init__(self, info: VideoInfo, output: Output, clock: Clock) -> None:
        """`info`: of a source with sound; `clock`: knows the output's zero and whether to keep sound before it."""
        assert info.media is not None
        self._name = info.path.name
        self._clock = clock
        self._placement = Placement(info.timeline.jumps, info.time_base)
        self._latest: int | None = None
        self._source: av.container.InputContainer | None = None
        self._route: _Route | None = None
        self._packets: Iterator[Packet] = iter(())
        self.way = "none"
        self._take_best(info.media, output)
        if self._source is not None and not clock.whole_start and not info.timeline.jumps:
            self._seek(clock.zero)
        self._next = self._read()

    def advance(self, until: Fraction | None) -> None:
        """Write the sound up to `until` seconds of the output; None means all of it."""
        zero = self._clock.zero
        while (packet := self._next) is not None:
            base = packet.time_base
            stamp = packet.pts if packet.pts is not None else packet.dts
            time = self._placement.of(None if stamp is None else stamp * base, None if until is None else until + zero)
            if time is None or (until is not None and time - zero >= until):
                return
            self._placement.passed(time + (packet.duration or 0) * base)
            if time >= zero or self._clock.whole_start:
                self._write_at(packet, round((time - zero) / base))
            self._next = self._read()

    def finish(self, until: Fraction | None) -> None:
        """Write the sound up to `until` as `advance` does, and end the track."""
        self.advance(until)
        self._write(None)

    def close(self) -> None:
        """Close the source."""
        self._next = None
        self._packets = iter(())
        if self._source is not None:
            self._source.close()

    def _write_at(self, packet: Packet, stamp: int) -> None:
        """Write a packet at a stamp later than the last one, as muxers demand; drop one that is clearly earlier."""
        if self._latest is not None and stamp <= self._latest:
            if self._latest - stamp > (packet.duration or 0) // 2:
                return
            stamp = self._latest + 1
        self._latest = packet.pts = packet.dts = stamp
        self._write(packet)

    def _write(self, packet: Packet | None) -> None:
        if self._route is None:
            return
        try:
            self._route.write(packet)
        except _TROUBLE as error:
            _raise_if_disk(error)
            self._give_up(error)

    def _read(self) -> Packet | None:
        """Return the next packet; None at the end, or where the sound is damaged."""
        try:
            return next((packet for packet in self._packets if packet.size), None)
        except _TROUBLE as error:
            self._give_up(error)
            return None

    def _give_up(self, error: Exception) -> None:
        log.warning("%s: its sound ends early in the result (%s)", self._name, _reason(error))
        self._packets, self._route = iter(()), None

    def _seek(self, seconds: Fraction) -> None:
        assert self._source is not None
        try:
            self._source.seek(max(int((seconds - 1) * av.time_base), 0))
        except av.FFmpegError:
            log.debug("%s: no seeking; its sound is read from the start", self._name)

    def _take_best(self, media: MediaFile, output: Output) -> None:
        """Open the first track that can be used, the source's default track before the others."""
        failures: list[str] = []
        with suppress(*_TROUBLE):
            for index in _tracks(media):
                for kind in (_Copy, _AacEncoder):
                    if self._take(media, output, index, kind, failures):
                        return
        reason = "; ".join(dict.fromkeys(failures)) or "it cannot be opened"
        log.warning("%s: its sound is left out, the pictures are not (%s)", self._name, reason)

    def _take(self, media: MediaFile, output: Output, index: int, kind: type[_Route], failures: list[str]) -> bool:
        format = output.format.name
        source = open_for_reading(media.path)
        try:
            stream = source.streams[index]
            assert isinstance(stream, av.AudioStream)
            if stream.codec_context is None:
                raise ValueError("its codec is unknown to this FFmpeg")
            kind.check(
                stream, format, list(islice((packet for packet in source.demux(stream) if packet.size), _TRIED_PACKETS))
            )
            source.close()
            source = open_for_reading(media.path)
            stream = source.streams[index]
            assert isinstance(stream, av.AudioStream)
            self._route = kind(output, stream)
        except _TROUBLE as error:
            source.close()
            _raise_if_disk(error)
            failures.append(f"track {index}: {_reason(error)}")
            return False
        self._source, self.way = source, kind.name
        self._packets = source.demux(stream)
        self._log_choice(stream, index, failures)
        return True

    def _log_choice(self, stream: av.AudioStream, index: int, failures: list[str]) -> None:
        codec = stream.codec_context.name
        if any(not failure.startswith(f"track {index}:") for failure in failures):
            log.warning("%s: the sound of track %d is used, because %s", self._name, index, failures[0])
        if self.way != _Copy.name:
            log.info("%s: its sound (%s) is written as AAC", self._name, codec)


class _Route(Protocol):
    """One way to write packets into the output."""

    name: str

    def __init__(self, output: Output, source: av.AudioStream) -> None: ...

    @classmethod
    def check(cls, source: av.AudioStream, format: str, packets: Sequence[Packet]) -> None:
        """Try the first packets of a track. Raise one of `_TROUBLE` if they cannot be written this way."""
        ...

    def write(self, packet: Packet | None) -> None:
        """Write the next packet; None ends the track."""
        ...


class _Copy:
    """Copies packets; removes the header in front of each packet from the AAC of a broadcast stream."""

    name = "copied"

    def __init__(self, output: Output, source: av.AudioStream) -> None:
        self._output = output
        self._null = _null_output(output.format.name)
        self.taken = 0
        self._trial = self._null.add_stream_from_template(source)
        self._track = output.add_stream_from_template(source)
        bare = source.codec_context.name == "aac" and not source.codec_context.extradata
        self._strip = BitStreamFilterContext("aac_adtstoasc", source) if bare else None

    @classmethod
    def check(cls, source: av.AudioStream, format: str, packets: Sequence[Packet]) -> None:
        codec = source.codec_context.name
        if codec not in _COPIED.get(format, (codec,)):
            raise ValueError(f"{codec} is not copied into {format}")
        trial = cls(_null_output(format), source)
        for packet in packets:
            trial.write(packet)
        if packets and not trial.taken:
            raise ValueError(f"its {codec} is damaged")

    def write(self, packet: Packet | None) -> None:
        if packet is None:
            return
        for ready in self._stripped(packet):
            if self._is_muxed(ready):
                ready.stream = self._track
                self._output.mux(ready)
                self.taken += 1

    def _stripped(self, packet: Packet) -> Sequence[Packet]:
        """Return the packet without its own header; nothing if the packet is damaged."""
        if self._strip is None:
            return (packet,)
        with suppress(av.FFmpegError):
            return self._strip.filter(packet)  # type: ignore[return-value]
        return ()

    def _is_muxed(self, packet: Packet) -> bool:
        packet.stream = self._trial  # type: ignore[assignment]
        with suppress(av.FFmpegError):
            self._null.mux(packet)
            return True
        return False


class _AacEncoder:
    """Decodes packets and encodes them again; leaves out damaged packets."""

    name = "AAC"

    def __init__(self, output: Output, source: av.AudioStream) -> None:
        self._output = output
        self._source = source.codec_context
        self._rate = source.rate if source.rate in _AAC_RATES else 48000
        self._layout = _AAC_LAYOUTS.get(source.layout.nb_channels, "stereo")
        self._stream = output.add_stream("aac", rate=self._rate)
        self._stream.layout = self._layout
        self._kind: object = None
        self._resampler = self._new_resampler()
        self._latest: int | None = None

    @classmethod
    def check(cls, source: av.AudioStream, format: str, packets: Sequence[Packet]) -> None:
        trial = cls(_null_output(format), source)
        for packet in packets:
            trial.write(packet)
        trial.write(None)
        if trial._latest is None:
            raise ValueError(f"its {source.codec_context.name} cannot be decoded")

    def write(self, packet: Packet | None) -> None:
        for frame in [None] if packet is None else self._decoded(packet):
            for ready in self._resampled(frame):
                self._mux(self._stream.encode(ready))
        if packet is None:
            self._mux(self._stream.encode(None))

    def _mux(self, packets: Sequence[av.Packet]) -> None:
        for packet in packets:
            if packet.dts is not None and (self._latest is None or packet.dts > self._latest):
                self._latest = packet.dts
                self._output.mux(packet)

    def _resampled(self, frame: av.AudioFrame | None) -> list[av.AudioFrame]:
        """Resample a frame; begin anew where rate or channels change, as at the joints of broadcasts."""
        if frame is not None:
            kind = (frame.format.name, frame.layout.name, frame.sample_rate)
            if self._kind not in (None, kind):
                self._resampler = self._new_resampler()
            self._kind = kind
        return self._resampler.resample(frame)

    def _new_resampler(self) -> av.AudioResampler:
        # async=1 fills gaps with silence, where damage was left out or the source has no sound.
        fill = {"async": "1"}
        return av.AudioResampler(format="fltp", layout=self._layout, rate=self._rate, frame_size=1024, options=fill)

    def _decoded(self, packet: Packet) -> list[av.AudioFrame]:
        try:
            return [frame for frame in self._source.decode(packet) if isinstance(frame, av.AudioFrame)]
        except av.FFmpegError:
            return []


def _null_output(format: str) -> Output:
    return open_nowhere(format, {} if format == "matroska" else _IN_FRAGMENTS)


def _tracks(media: MediaFile) -> list[int]:
    """Return the indices of the sound streams, those marked as default first."""
    with open_for_reading(media.path) as container:
        tracks = [(not track.disposition & Disposition.default, track.index) for track in container.streams.audio]
    return [index for _, index in sorted(tracks)]


def _raise_if_disk(error: Exception) -> None:
    if getattr(error, "errno", None) in _DISK:
        raise error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
