"""Provides the voice of probe calls: real speech by espeak-ng, else the generated voice of ``speech``.

It is made once when the process starts, and is equal on all machines with the same espeak-ng. The name says which voice
it is. The loop is ``LOOP_S`` long: two short sentences by two voices, with a pause between them.
"""

from __future__ import annotations

import functools
import io
import logging
import subprocess
import wave
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bedrock.child_environment import child_environment
from calls.media.audio.opus import SAMPLE_RATE
from calls.media.audio.speech import LOOP_S, speech_pcm

logger = logging.getLogger(__name__)

ESPEAK, GENERATED = "espeak-ng", "generated"
LIVE = "live-"
"""Prefix of the tag of every such voice."""
_SENTENCES = (
    ("en-us+f3", "The night train leaves at a quarter past eleven, so please bring both tickets."),
    ("en-us+m3", "Six warm loaves were stacked on the shelf beside the old brown kettle."),
)
_WORDS_A_MINUTE = 165
_PEAK = 0.5
_TIMEOUT_S = 60.0
"""Generous, because a process with a different voice loses the scores of all its calls, and the machine may be busy."""
_UTTERANCES_MAX = 5

Sound = npt.NDArray[np.float64]
Speak = Callable[[Sequence[str]], bytes]
"""Runs a program and returns its standard output. Raises OSError or subprocess.SubprocessError."""


@dataclass(frozen=True, slots=True)
class LiveVoice:
    """``LOOP_S`` seconds of 16-bit mono samples at 48 kHz."""

    name: str
    """``espeak-ng`` or ``generated``."""
    pcm: bytes

    @property
    def tag(self) -> str:
        """Identifies this voice. Two ends with the same tag know what the other says."""
        return f"{LIVE}{zlib.crc32(self.pcm):08x}"


@functools.cache
def live_voice() -> LiveVoice:
    """Returns this machine's voice; the first call takes about 0.3 s."""
    return make_voice(_run)


def make_voice(speak: Speak) -> LiveVoice:
    """Returns real speech when ``speak`` can run espeak-ng, else the generated voice."""
    try:
        parts = [_spoken(speak, voice, sentence) for voice, sentence in _SENTENCES]
    except (OSError, subprocess.SubprocessError, ValueError, EOFError, wave.Error) as error:
        logger.warning("probes speak with a generated voice: espeak-ng is not usable (%s)", error)
        return LiveVoice(GENERATED, speech_pcm())
    slot = LOOP_S * SAMPLE_RATE // len(parts)
    loop = np.concatenate([np.pad(part[:slot], (0, max(0, slot - len(part)))) for part in parts])
    scaled = loop * (_PEAK * 32767 / np.max(np.abs(loop)))
    return LiveVoice(ESPEAK, bytes(scaled.astype("<i2").tobytes()))


def _utterance(speak: Speak, voice: str, sentence: str) -> bytes:
    """Returns audio that espeak-ng has produced twice: about once in thousands of runs its output differs slightly.

    Raises ValueError when no output repeats.
    """
    argv = ["espeak-ng", "-v", voice, "-s", str(_WORDS_A_MINUTE), "--stdout", sentence]
    heard: set[bytes] = set()
    for _ in range(_UTTERANCES_MAX):
        wav = speak(argv)
        if wav in heard:
            return wav
        heard.add(wav)
    raise ValueError("espeak-ng gave five different outputs for the same sentence")


def _spoken(speak: Speak, voice: str, sentence: str) -> Sound:
    """Returns one sentence at 48 kHz without the silence around it. Raises ValueError when there is no sound."""
    wav = _utterance(speak, voice, sentence)
    with wave.open(io.BytesIO(wav)) as file:
        if (file.getsampwidth(), file.getnchannels()) != (2, 1):
            raise ValueError("espeak-ng's output is not 16-bit mono")
        rate = file.getframerate()
        # A header written to a pipe states any length; use the data that arrived.
        samples = np.frombuffer(wav[44 : 44 + 2 * (len(wav[44:]) // 2)], dtype="<i2").astype(np.float64)
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.max(np.abs(samples), initial=1.0))
    if len(loud) < rate:
        raise ValueError("espeak-ng's output is shorter than 1 s")
    return _at_48_khz(samples[loud[0] : loud[-1] + 1], rate)


def _at_48_khz(samples: Sound, rate: int) -> Sound:
    """Resamples by padding the spectrum: exact here, because the sentence begins and ends in near silence."""
    count = len(samples) * SAMPLE_RATE // rate
    return np.asarray(np.fft.irfft(np.fft.rfft(samples), count)) * (count / len(samples))


def _run(argv: Sequence[str]) -> bytes:
    return subprocess.run(
        argv, check=True, capture_output=True, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL, env=child_environment()
    ).stdout
