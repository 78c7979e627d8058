"""A signed file verifies; whatever is changed, cut or copied out of it is found; hostile files break nothing."""

from __future__ import annotations

import hashlib
import importlib
import json
import random
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import c2pa
import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from chimera.adapters.aws.content_signer import KmsContentSigner
from chimera.adapters.local.certificates import SIGNING_DAYS, LocalContentSigner
from chimera.domain.bill import BillItem, BillOfMaterials
from chimera.errors import ChimeraError
from chimera.media import process, provenance_worker
from chimera.media.inspect import inspect
from chimera.media.provenance import read, sign
from chimera.settings import Settings
from chimera_local.cli.provenance import describe

PICTURE = "testsrc2=size=180x320:rate=24:duration=2"


def ffmpeg(*arguments: object) -> None:
    process.run([process.executable(), "-hide_banner", "-loglevel", "error", "-y", *map(str, arguments)])


def boxes(data: bytes) -> dict[str, tuple[int, int]]:
    """The file's top boxes: name -> (start, end)."""
    found, at = {}, 0
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        found[name.decode()] = (at, at + size)
        at += size
    return found


@dataclass(frozen=True)
class Made:
    """One short clip, before and after it was signed."""

    folder: Path
    plain: Path
    video: Path
    signer: LocalContentSigner
    bill: BillOfMaterials

    def copy(self, path: Path) -> Path:
        path.write_bytes(self.plain.read_bytes())
        return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("provenance")
    plain, video, picture = folder / "plain.mp4", folder / "video.mp4", folder / "scene-000.png"
    ffmpeg("-f", "lavfi", "-i", PICTURE, "-f", "lavfi", "-i", "sine=duration=2", "-c:v", "libx264", "-preset", "ultrafast",
           "-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", "+faststart", plain)  # fmt: skip
    cv2.imwrite(str(picture), np.full((64, 36, 3), 90, np.uint8))
    digest = hashlib.sha256(picture.read_bytes()).hexdigest()
    items = [
        BillItem(
            kind="picture", name=picture.name, author="cards", licence="ours", sha256=digest, prompt="secret plan"
        ),
        BillItem(kind="font", name="Inter", licence="OFL-1.1", origin="person"),
    ]
    bill = BillOfMaterials(
        content_id="c-1",
        title="Ein Täst\u202e!",
        generator="Chimera",
        digital_source_type="algorithmicMedia",
        items=items,
    )
    signer = LocalContentSigner(folder / "keys")
    video.write_bytes(plain.read_bytes())
    sign(video, bill, signer, parts={digest: picture})
    return Made(folder, plain, video, signer, bill)


def test_a_signed_file_says_who_made_it_of_what(made: Made) -> None:
    found = read(made.video, roots=made.signer.root)
    assert (found.state, found.problems) == ("ours", ())
    assert found.generator.startswith("Chimera") and found.signed_by == "Chimera content credentials"
    assert found.digital_source_type == "algorithmicMedia"
    assert set(found.training.values()) == {"notAllowed"} and len(found.training) == 4
    assert [(i.kind, i.name, i.licence) for i in found.bill] == [
        ("picture", "scene-000.png", "ours"),
        ("font", "Inter", "OFL-1.1"),
    ]
    assert [p["title"] for p in found.ingredients] == ["scene-000.png"]
    assert found.title == "Ein Täst !", "nothing in it can turn a terminal's text around"
    assert datetime.fromisoformat(found.signed_at) <= datetime.now(UTC)
    assert b"secret plan" not in made.video.read_bytes(), "prompts are in the bill, not in what is published"
    shown = describe(found)
    assert "unaltered; signed by this installation" in shown and "licence: OFL-1.1" in shown


def test_intact_by_a_stranger_is_neither_ours_nor_altered(made: Made, tmp_path: Path) -> None:
    assert read(made.video).state == "intact"
    other = LocalContentSigner(tmp_path / "other")
    assert read(made.video, roots=other.root).state == "intact"
    assert read(made.plain, roots=made.signer.root).state == "none"


def test_signing_changes_neither_picture_nor_sound_nor_the_index_in_front(made: Made) -> None:
    before, after = inspect(made.plain).measurements, inspect(made.video).measurements
    assert after.pop("size_bytes") - before.pop("size_bytes") < 40_000
    assert after == before and after["faststart"] is True
    assert after["av_difference_seconds"] < 0.1
    names = list(boxes(made.video.read_bytes()))
    assert names.index("uuid") < names.index("moov") < names.index("mdat")
    old, new = made.plain.read_bytes(), made.video.read_bytes()
    assert old[slice(*boxes(old)["mdat"])] == new[slice(*boxes(new)["mdat"])]


def places(made: Made, count: int) -> list[int]:
    """Bytes of index and media data, first and last ones too; and of the manifest's claim."""
    data = made.video.read_bytes()
    found, rng = boxes(data), random.Random(7)
    out: list[int] = []
    for name in ("moov", "mdat"):
        start, end = found[name]
        out += [start + 8, end - 1, *(rng.randrange(start + 8, end) for _ in range(count))]
    return out


def flipped(data: bytes, at: int, bit: int = 0) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def test_one_flipped_bit_anywhere_in_index_and_media_is_found(made: Made, tmp_path: Path) -> None:
    data, target = made.video.read_bytes(), tmp_path / "flipped.mp4"
    for number, at in enumerate(places(made, 40)):
        target.write_bytes(flipped(data, at, number % 8))
        answer = provenance_worker.read({"path": str(target), "anchors": made.signer.root})
        assert answer.get("state") not in {"Trusted", "Valid"}, f"byte {at}"


def test_a_changed_claim_is_found(made: Made, tmp_path: Path) -> None:
    data, target = made.video.read_bytes(), tmp_path / "claim.mp4"
    target.write_bytes(data.replace(b"OFL-1.1", b"OFL-9.9"))
    assert read(target, roots=made.signer.root).state == "altered"
    target.write_bytes(data.replace(b"algorithmicMedia", b"digitalCreation!"))
    assert read(target, roots=made.signer.root).state == "altered"


def test_flipped_cut_and_extended_files_are_altered(made: Made, tmp_path: Path) -> None:
    data, target = made.video.read_bytes(), tmp_path / "x.mp4"
    start, end = boxes(data)["mdat"]
    extra = struct.pack(">I4s", 16, b"mdat") + b"moremore"
    for name, changed in {
        "flipped": flipped(data, (start + end) // 2),
        "cut": data[: end - 1000],
        "extended": data + extra,
        "emptied": data[: start + 8] + bytes(end - start - 8),
    }.items():
        target.write_bytes(changed)
        found = read(target, roots=made.signer.root)
        assert found.state in {"altered", "unreadable"}, name
        assert found.problems, name
    target.write_bytes(flipped(data, (start + end) // 2))
    found = read(target, roots=made.signer.root)
    assert found.state == "altered" and "assertion.bmffHash.mismatch" in found.problems[0]
    assert describe(found).startswith("x.mp4: ALTERED")


def test_a_remuxed_file_has_lost_its_manifest_and_a_transplanted_manifest_does_not_fit(
    made: Made, tmp_path: Path
) -> None:
    copy, other = tmp_path / "copy.mp4", tmp_path / "other.mp4"
    ffmpeg("-i", made.video, "-c", "copy", copy)
    assert read(copy, roots=made.signer.root).state == "none"
    ffmpeg("-i", made.video, "-c", "copy", "-ss", "1", copy)
    assert read(copy, roots=made.signer.root).state == "none"
    signed, plain = made.video.read_bytes(), copy.read_bytes()
    at = boxes(plain)["ftyp"][1]
    other.write_bytes(plain[:at] + signed[slice(*boxes(signed)["uuid"])] + plain[at:])
    assert read(other, roots=made.signer.root).state == "altered"


# --- keys and certificates


def test_keys_are_made_once_private_and_reused(made: Made) -> None:
    folder = made.folder / "keys"
    again = LocalContentSigner(folder)
    assert again.chain == made.signer.chain
    assert {p.name: p.stat().st_mode & 0o777 for p in folder.iterdir()} == {
        "content-root.pem": 0o600, "content-signing.pem": 0o600, "content-root.crt": 0o644, "content-signing.crt": 0o644,
    }  # fmt: skip


def test_a_missing_certificate_is_made_anew_and_an_open_or_foreign_key_is_refused(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    first = LocalContentSigner(folder)
    (folder / "content-signing.crt").unlink()
    second = LocalContentSigner(folder)
    assert second.root == first.root and second.chain != first.chain
    video = made.copy(tmp_path / "v.mp4")
    assert sign(video, made.bill, second).signed_by == "Chimera content credentials"

    (folder / "content-signing.crt").write_text(made.signer.chain.split("-----END")[0] + "-----END CERTIFICATE-----\n")
    with pytest.raises(ChimeraError, match=r"content-signing\.crt is not of the key"):
        LocalContentSigner(folder)
    (folder / "content-signing.crt").write_text("nonsense")
    with pytest.raises(ChimeraError, match="cannot be read; remove it"):
        LocalContentSigner(folder)
    (folder / "content-root.pem").chmod(0o644)
    with pytest.raises(ChimeraError, match="open to others"):
        LocalContentSigner(folder)


def test_a_certificate_near_its_end_is_renewed_under_the_same_root(tmp_path: Path) -> None:
    old = LocalContentSigner(tmp_path, now=datetime.now(UTC) - timedelta(days=SIGNING_DAYS - 30))
    new = LocalContentSigner(tmp_path)
    assert new.root == old.root and new.chain != old.chain


def test_an_expired_certificate_signs_nothing(made: Made, tmp_path: Path) -> None:
    signer = LocalContentSigner(tmp_path / "keys", now=datetime.now(UTC) - timedelta(days=SIGNING_DAYS + 1))
    video = made.copy(tmp_path / "v.mp4")
    with pytest.raises(ChimeraError) as caught:
        sign(video, made.bill, signer)
    assert caught.value.details["reason"] == "provenance"
    assert video.read_bytes() == made.plain.read_bytes(), "the file is as it was"
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["v.mp4"], "nothing is left behind"


def test_a_certificate_that_expired_since_is_told_apart_from_an_altered_file(made: Made, tmp_path: Path) -> None:
    lives = 3.0
    end = datetime.now(UTC) + timedelta(seconds=lives)
    signer = LocalContentSigner(tmp_path / "keys", now=end - timedelta(days=SIGNING_DAYS))
    video = made.copy(tmp_path / "v.mp4")
    sign(video, made.bill, signer)
    time.sleep(max((end - datetime.now(UTC)).total_seconds(), 0) + 1.1)
    found = read(video, roots=signer.root)
    assert found.state == "bad_certificate" and any("expired" in p or "Validity" in p for p in found.problems)
    data = video.read_bytes()
    video.write_bytes(flipped(data, boxes(data)["mdat"][1] - 9))
    assert read(video, roots=signer.root).state == "altered"


class WrongChain:
    """Another one's certificates before our key."""

    def __init__(self, key: LocalContentSigner, certificates: LocalContentSigner) -> None:
        self.chain, self.root, self.sign = certificates.chain, certificates.root, key.sign


def test_a_certificate_of_another_key_signs_nothing(made: Made, tmp_path: Path) -> None:
    video = made.copy(tmp_path / "v.mp4")
    with pytest.raises(ChimeraError) as caught:
        sign(video, made.bill, WrongChain(made.signer, LocalContentSigner(tmp_path / "keys")))
    assert caught.value.details["reason"] == "provenance"
    assert video.read_bytes() == made.plain.read_bytes()


class Kms:
    """KMS's Sign by a key of our own: takes a digest, gives DER."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())

    def public_pem(self) -> bytes:
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, **asked: Any) -> dict[str, Any]:
        assert asked["MessageType"] == "DIGEST" and len(asked["Message"]) == 32 and asked["KeyId"] == "arn"
        return {"Signature": self.key.sign(asked["Message"], ec.ECDSA(Prehashed(hashes.SHA256())))}


def test_a_key_in_kms_signs_with_a_certificate_made_for_it(made: Made, tmp_path: Path) -> None:
    kms, video = Kms(), made.copy(tmp_path / "v.mp4")
    chain = made.signer.chain_for(kms.public_pem())
    signer = KmsContentSigner(kms, "arn", chain.replace("\n", "\\n"))
    many = [BillItem(kind="source", name=f"https://example.org/{i}", licence="cited") for i in range(120)]
    sign(video, made.bill.model_copy(update={"items": [*made.bill.items, *many]}), signer)
    assert read(video, roots=made.signer.root).state == "ours"

    with pytest.raises(ChimeraError, match="not of the key CHIMERA_CONTENT_KEY_ARN"):
        sign(made.copy(video), made.bill, KmsContentSigner(Kms(), "arn", chain))
    with pytest.raises(ChimeraError, match="expected the signing one and its root"):
        KmsContentSigner(kms, "arn", "")
    other = rsa.generate_private_key(65537, 2048).public_key()
    pem = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for wrong in (b"x", pem):
        with pytest.raises(ChimeraError) as caught:
            made.signer.chain_for(wrong)
        assert caught.value.code == "VALIDATION_FAILED"


# --- files of strangers


def uuid_box(payload: bytes, size: int | None = None) -> bytes:
    """A C2PA box as a manifest lies in, with any payload."""
    head = bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + bytes(4) + b"manifest\0" + bytes(8)
    return struct.pack(">I4s", size or len(head) + len(payload) + 8, b"uuid") + head + payload


def nested(depth: int) -> bytes:
    """Boxes in boxes."""
    data = b""
    for _ in range(depth):
        data = struct.pack(">I4s", len(data) + 8, b"jumb") + data
    return data


def hostile(made: Made) -> dict[str, bytes]:
    plain = made.plain.read_bytes()
    signed = made.video.read_bytes()
    at = boxes(plain)["ftyp"][1]
    start, end = boxes(signed)["uuid"]
    rng = random.Random(3)
    noise = bytearray(signed)
    for _ in range(60):
        noise[rng.randrange(start, end)] = rng.randrange(256)
    return {
        "empty": b"",
        "text": b"hello",
        "noise": rng.randbytes(5000),
        "garbage manifest": plain[:at] + uuid_box(rng.randbytes(3000)) + plain[at:],
        "a box that says 4 GB": plain[:at] + uuid_box(b"", 0xFFFFFFF0) + plain[at:],
        "a box of no size": plain[:at] + uuid_box(b"", 1)[:30] + plain[at:],
        "64-bit size": plain[:at] + struct.pack(">I4sQ", 1, b"uuid", 2**63 - 1) + plain[at:],
        "deep boxes": plain[:at] + uuid_box(nested(20_000)) + plain[at:],
        "deep moov": plain[:at] + nested(50_000).replace(b"jumb", b"moov"),
        "broken manifest": bytes(noise),
        "half a manifest": signed[: (start + end) // 2],
    }


NAMES = ["empty", "text", "noise", "garbage manifest", "a box that says 4 GB", "a box of no size", "64-bit size", "deep boxes",
         "deep moov", "broken manifest", "half a manifest"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_file_is_an_answer_not_a_crash(name: str, made: Made, tmp_path: Path) -> None:
    cases = hostile(made)
    assert sorted(cases) == sorted(NAMES)
    path = tmp_path / "odd.mp4"
    path.write_bytes(cases[name])
    found = read(path, roots=made.signer.root)
    assert found.state in {"unreadable", "altered", "none"}
    assert all(len(problem) < 1100 and problem.isprintable() for problem in found.problems)
    assert describe(found)


def test_the_reader_is_stopped_by_its_limits(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from chimera.media import provenance

    hog = tmp_path / "chimera_hog.py"
    hog.write_text(
        "from chimera.media.provenance_worker import limit\nlimit()\n"
        "try:\n    open('made', 'wb').write(b'x' * 10)\n    print('wrote')\nexcept OSError:\n    pass\n"
        "kept = bytearray(3_000_000_000)\nprint('took it')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    real = provenance.subprocess.run

    def run(command: list[str], **options: Any) -> Any:
        return real([*command[:-1], "chimera_hog"], cwd=tmp_path, **options)

    monkeypatch.setattr(provenance.subprocess, "run", run)
    found = read(made.video)
    assert found.state == "unreadable" and "MemoryError" in found.problems[0]
    assert not (tmp_path / "made").exists() or (tmp_path / "made").stat().st_size == 0


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.mp4"):
        with pytest.raises(ChimeraError) as caught:
            read(path)
        assert caught.value.code == "NOT_FOUND"


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/manifest.c2pa", asked
    server.shutdown()
    server.server_close()


def test_the_reader_fetches_nothing(made: Made, tmp_path: Path, listener: tuple[str, list[str]]) -> None:
    url, asked = listener
    target = tmp_path / "remote.png"
    picture = tmp_path / "p.png"
    cv2.imwrite(str(picture), np.zeros((16, 16, 3), np.uint8))
    manifest = {
        "claim_generator_info": [{"name": "t"}], "format": "image/png",
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [
            {"action": "c2pa.created", "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/composite"}]}}],
    }  # fmt: skip
    with (
        c2pa.Context.from_dict({"verify": {"verify_after_sign": False}}) as context,
        c2pa.Builder(json.dumps(manifest), context=context) as builder,
        c2pa.Signer.from_callback(made.signer.sign, c2pa.C2paSigningAlg.ES256, made.signer.chain) as key,
    ):
        builder.set_no_embed()
        builder.set_remote_url(url)
        builder.sign_file(picture, target, key)
    assert url.encode() in target.read_bytes()
    assert read(target, roots=made.signer.root).state in {"none", "unreadable"}
    assert asked == []
    # what an unguarded reader would do
    with pytest.raises(c2pa.C2paError), target.open("rb") as file:
        c2pa.Reader(file)
    assert asked == ["/manifest.c2pa"]


# --- the command


def command(made: Made, monkeypatch: pytest.MonkeyPatch, home: Path, *arguments: object) -> tuple[int, str]:
    module = importlib.import_module("chimera_local.cli.provenance")
    monkeypatch.setattr(module, "get_settings", lambda: Settings(home=home, _env_file=None))  # type: ignore[call-arg]
    result = CliRunner().invoke(module.provenance, list(map(str, arguments)), standalone_mode=False)
    if isinstance(result.exception, ChimeraError):
        raise result.exception
    return int(result.return_value), result.output


def test_the_command_tells_ours_strangers_and_altered_apart(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text = command(made, monkeypatch, made.folder, made.video, "--json")
    assert code == 0 and json.loads(text)["state"] == "ours"
    code, text = command(made, monkeypatch, tmp_path, made.video)
    assert code == 0 and "does not know" in text
    assert list(tmp_path.iterdir()) == [], "who only reads makes no keys"
    root = made.folder / "keys/content-root.crt"
    code, text = command(made, monkeypatch, tmp_path, made.video, "--trust", root, "--json")
    assert code == 0 and json.loads(text)["state"] == "ours"
    changed = tmp_path / "changed.mp4"
    changed.write_bytes(flipped(made.video.read_bytes(), made.video.stat().st_size - 100))
    code, text = command(made, monkeypatch, made.folder, changed)
    assert code == 5 and "ALTERED" in text
    for arguments in ((tmp_path / "no.mp4",), (made.video, "--trust", tmp_path / "no.pem")):
        with pytest.raises(ChimeraError) as caught:
            command(made, monkeypatch, made.folder, *arguments)
        assert caught.value.code == "NOT_FOUND"


def test_the_command_certifies_a_key_that_is_kept_elsewhere(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kms, public = Kms(), tmp_path / "public.pem"
    public.write_bytes(kms.public_pem())
    code, chain = command(made, monkeypatch, made.folder, public, "--certify")
    assert code == 0 and chain.count("BEGIN CERTIFICATE") == 2
    video = made.copy(tmp_path / "v.mp4")
    sign(video, made.bill, KmsContentSigner(kms, "arn", chain))
    assert read(video, roots=made.signer.root).state == "ours"
