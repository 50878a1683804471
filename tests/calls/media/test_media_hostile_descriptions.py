"""Whatever a service sends as a description: it is read, or refused as a bad description. Nothing else comes out."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import pytest
from media_calls import Ear, factory, open_leg, spec

from calls.media.errors import BadDescription
from calls.media.sdp import negotiation, sdp

OFFERS = sorted((Path(__file__).parent / "descriptions").glob("*.sdp"))
SEED = 20261
READINGS = 3000
LEGS = 300
HOSTILE = (
    "", " ", "0", "-1", "1e999", "nan", "inf", "9" * 5000, "1" * 20, "65536", "4294967296", "\x00", "\x1b[2J",
    "\ud800", "\u00e9", "\u0661\u0662", "\u2028", "x" * 3000, "/", ":", "=", ";", "*", "1_000", "0x10", "%s%n", "::1",
    "127.0.0.1", "a" * 300, "1 udp", "host.local", "\t", "\r", "BUNDLE 0 0 0", "sendrecv", "2147483648", "active",
)  # fmt: skip


def mutated(text: str, rng: random.Random) -> str:
    """Returns ``text`` with one to four things wrong: lines gone, doubled or moved, and values put in for others."""
    lines = text.splitlines()
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(lines))
        line = lines[at]
        match rng.randrange(8):
            case 0 if len(lines) > 1:
                del lines[at]
            case 1:
                lines[at:at] = [line] * rng.choice((1, 2, 100))
            case 2:
                lines.insert(rng.randrange(len(lines)), line)
            case 3:
                lines[at] = line[: rng.randint(0, len(line))] + rng.choice(HOSTILE)
            case 4:
                lines[at] = line.partition(":")[0] + ":" + rng.choice(HOSTILE)
            case 5:
                words = line.split(" ")
                words[rng.randrange(len(words))] = rng.choice(HOSTILE)
                lines[at] = " ".join(words)
            case 6:
                cut = rng.randint(0, len(line))
                lines[at] = line[:cut] + chr(rng.randrange(1, 0x300)) + line[cut:]
            case _:
                lines[at] = line.replace(rng.choice("0123456789:/= "), rng.choice(HOSTILE))
    return rng.choice(("\n", "\r\n")).join(lines)


def test_every_mutation_is_read_or_refused() -> None:
    rng = random.Random(SEED)
    texts = [path.read_text() for path in OFFERS]
    read = 0
    for number in range(READINGS):
        text = mutated(rng.choice(texts), rng)
        try:
            description = sdp.parse(text)
            negotiation.receive_preferences(description)
            negotiation.video_plan(description)
            negotiation.audio_plan(description)
            description.transport()
            description.candidates()
        except BadDescription:
            continue
        except Exception as escaped:
            pytest.fail(f"mutation {number} of seed {SEED} raises {escaped!r}: {text[:2000]!r}")
        read += 1
    assert READINGS * 0.1 < read < READINGS * 0.9, "the mutations are too tame or too wild to test anything"


async def test_no_mutation_hurts_a_leg(caplog: pytest.LogCaptureFixture) -> None:
    """Offers, answers and offers inside a call: only ``BadDescription`` comes out, and nothing fails unforeseen."""
    rng = random.Random(SEED + 1)
    texts = [path.read_text() for path in OFFERS]
    accepted = 0
    with caplog.at_level(logging.ERROR):
        async with factory() as made:
            for number in range(LEGS):
                leg = await open_leg(made, spec(seed=number, media=rng.choice(("audio", "video"))), Ear())
                text = mutated(rng.choice(texts), rng)
                try:
                    if number % 3:
                        answer = await leg.accept_offer(text)
                        sdp.parse(answer.encode().decode())
                        await leg.reaccept_offer(mutated(text, rng))
                    else:
                        await leg.create_offer()
                        await leg.accept_answer(text)
                    accepted += 1
                except BadDescription:
                    pass
                except Exception as escaped:
                    pytest.fail(f"leg {number} of seed {SEED + 1} raises {escaped!r}: {text[:2000]!r}")
                for line in (*rng.sample(HOSTILE, 3), *(" ".join(rng.choices(HOSTILE, k=9)) for _ in range(3))):
                    await leg.add_candidate({"candidate": "candidate:" + line})
                await leg.close()
    assert accepted > LEGS * 0.05
    assert [record.getMessage() for record in caplog.records] == []


def test_a_description_that_is_all_of_one_line_is_bounded() -> None:
    """Sections and fingerprints are counted, so that nothing grows by their product within the 64 KiB."""
    fingerprint = "a=fingerprint:sha-256 AA\n"
    for text in (
        "v=0\n" + fingerprint * 1000 + "m=a 9 b\n" * 4000,
        "v=0\n" + "m=a 9 b\n" * 7000,
        "v=0\nm=audio 9 x\n" + fingerprint * 2000,
    ):
        with pytest.raises(BadDescription):
            sdp.parse(text)
    codecs = "".join(f"a=rtpmap:{number} x/1\n" for number in range(128))
    crowded = sdp.parse("v=0\nm=audio 9 x\n" + codecs + "a=rtcp-fb:* nack\n" * 3500)
    assert len(crowded.sections[0].codecs) == 128
    assert all(codec.feedback == {"nack"} for codec in crowded.sections[0].codecs.values())
