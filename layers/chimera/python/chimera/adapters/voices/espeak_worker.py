"""The only process that loads espeak-ng (GPL-3.0): one JSON request on stdin, a WAV file and one JSON answer out.

Request: `{text, voice, rate, pitch, range, word_gap, out}`. Answer: `{sample_rate, samples, cpu_seconds, words, ends}`;
`words` are `[character position from 0, length, milliseconds]`, `ends` the milliseconds at which clauses end. A refused
request answers `{"error": …}`. `{pronounce: [words], voice}` answers `{ipa: [one for each]}`. Standard library only, so that nothing of Chimera is linked with the library.
"""

from __future__ import annotations

import array
import ctypes
import json
import sys
import time
import wave
from pathlib import Path
from typing import Any

import espeakng_loader

# speak_lib.h of espeak-ng 1.52
_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_PHONEMES = 0x100  # [[…]] in the text are phonemes
_IPA = 0x02
_END_PAUSE = 0x1000
_EVENT_LIST_TERMINATED, _EVENT_WORD, _EVENT_END = 0, 1, 5
_RATE, _PITCH, _RANGE, _WORD_GAP = 1, 3, 4, 7


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class _RefusedError(Exception):
    """What cannot be done, as it is answered."""

    def __init__(self, **answer: Any) -> None:
        super().__init__(answer["error"])
        self.answer = answer


def _started(request: dict[str, Any]) -> tuple[ctypes.CDLL, int]:
    """The library with the request's voice, and its sample rate."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), _DONT_EXIT)
    if rate <= 0:
        raise _RefusedError(error=f"espeak-ng could not start ({rate})")
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # else from the clock: the same text is to give the same sound
    if library.espeak_SetVoiceByName(str(request["voice"]).encode()) != 0:
        raise _RefusedError(error=f"espeak-ng has no voice {request['voice']!r}", unknown_voice=True)
    return library, rate


def speak(request: dict[str, Any]) -> dict[str, Any]:
    """Speaks `request["text"]` into the WAV file `request["out"]` (16 bit, mono) and gives the events."""
    library, rate = _started(request)
    for parameter, key in ((_RATE, "rate"), (_PITCH, "pitch"), (_RANGE, "range"), (_WORD_GAP, "word_gap")):
        library.espeak_SetParameter(parameter, int(request[key]), 0)

    samples = array.array("h")
    words: list[tuple[int, int, int]] = []
    ends: list[int] = []

    def heard(wav: Any, count: int, events: Any) -> int:
        if wav and count > 0:
            samples.frombytes(ctypes.string_at(wav, count * 2))
        index = 0
        while events[index].type != _EVENT_LIST_TERMINATED:
            event = events[index]
            if event.type == _EVENT_WORD:
                words.append((event.text_position - 1, event.length, event.audio_position))
            elif event.type == _EVENT_END:
                ends.append(event.audio_position)
            index += 1
        return 0

    callback = _CALLBACK(heard)
    library.espeak_SetSynthCallback(callback)
    data = str(request["text"]).encode("utf-8") + b"\0"
    flags = _CHARS_UTF8 | _END_PAUSE | (_PHONEMES if request.get("phonemes") else 0)
    status = library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, 1, 0, flags, None, None)
    library.espeak_Synchronize()
    library.espeak_Terminate()
    if status != 0:
        return {"error": f"espeak-ng refused the text (status {status})"}
    with wave.open(str(Path(str(request["out"]))), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(samples.tobytes())
    return {
        "sample_rate": rate,
        "samples": len(samples),
        "cpu_seconds": time.process_time(),
        "words": words,
        "ends": ends,
    }


def pronounce(request: dict[str, Any]) -> dict[str, Any]:
    """The IPA of each word of `request["pronounce"]`, without separators."""
    library, _ = _started(request)
    translate = library.espeak_TextToPhonemes
    translate.restype = ctypes.c_char_p
    translate.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
    answers = []
    for word in request["pronounce"]:
        text = ctypes.c_char_p(str(word).replace("\0", "").encode("utf-8"))
        clauses = []
        while text.value is not None:  # one clause a call; the last one sets the pointer to NULL
            clauses.append((translate(ctypes.byref(text), _CHARS_UTF8, _IPA) or b"").decode("utf-8", "replace"))
        answers.append(" ".join(clauses))
    library.espeak_Terminate()
    return {"ipa": answers}


def main() -> int:
    """Reads the request, writes the answer; 0 whenever there is an answer."""
    request = json.loads(sys.stdin.read())
    try:
        answer = pronounce(request) if "pronounce" in request else speak(request)
    except _RefusedError as refused:
        answer = refused.answer
    sys.stdout.write(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
