"""Downloads, against an imitation of the hub on the loopback address: no other network is ever touched."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file

from dvd.backbones import hub, registry
from dvd.backbones.hub import HubFile
from dvd.backbones.wan.checkpoints import save_release
from dvd.backbones.wan.transformer import TransformerConfig, WanTransformer
from dvd.errors import ModelError

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILE = HubFile("someone/model", "weights.bin", "a licence")


class FakeHub:
    """Serves `files` at /{repo}/resolve/{revision}/{name} as the hub does; can cut off, fail and give wrong hashes."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.etags: dict[str, str] = {}
        self.cut_after: int | None = None
        self.status_after_cut = 200
        self.gated = False
        self.requests: list[tuple[str, str, str | None]] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def put(self, file: HubFile, content: bytes, etag: str | None = None) -> None:
        self.files[f"/{file.repo}/resolve/main/{file.name}"] = content
        self.etags[f"/{file.repo}/resolve/main/{file.name}"] = etag or hashlib.sha256(content).hexdigest()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def gets(self) -> list[str | None]:
        """The byte range that each GET asked for."""
        return [span for method, _, span in self.requests if method == "GET"]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self._answer(send=False)

            def do_GET(self) -> None:
                self._answer(send=True)

            def log_message(self, format: str, *args: object) -> None:
                pass

            def _answer(self, send: bool) -> None:
                span = self.headers.get("Range")
                fake.requests.append((self.command, self.path, span))
                path = self.path.replace(f"/{COMMIT}/", "/main/")
                if fake.gated or path not in fake.files:
                    self.send_response(403 if fake.gated else 404)
                    self.send_header("X-Error-Code", "GatedRepo" if fake.gated else "EntryNotFound")
                    self.end_headers()
                    return
                if send and fake.cut_after is None and fake.status_after_cut != 200:
                    self.send_error(fake.status_after_cut)
                    return
                content, etag = fake.files[path], fake.etags[path]
                start = int(span.removeprefix("bytes=").split("-")[0]) if span else 0
                self.send_response(206 if span else 200)
                if span:
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                for name, value in {
                    "ETag": f'"{etag}"',
                    "X-Linked-Etag": f'"{etag}"',
                    "X-Linked-Size": str(len(content)),
                    "X-Repo-Commit": COMMIT,
                    "Content-Length": str(len(content) - start),
                    "Accept-Ranges": "bytes",
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                if not send:
                    return
                stop = len(content)
                if fake.cut_after is not None:
                    stop, fake.cut_after = start + fake.cut_after, None
                    self.close_connection = True
                self.wfile.write(content[start:stop])

        return Handler


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100_000)  # what a cut-off connection loses at most
    return tmp_path / "cache"


@pytest.fixture
def fake(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    fake = FakeHub()
    monkeypatch.setenv("HF_ENDPOINT", fake.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("TQDM_POSITION", "-1")  # the bar shows without a terminal too
    yield fake
    fake.close()


CONTENT = bytes(range(256)) * 4096


def incomplete(cache: Path) -> list[Path]:
    return list(cache.rglob("*.incomplete"))


def test_a_file_is_downloaded_verified_and_its_licence_shown(
    fake: FakeHub, cache: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.put(FILE, CONTENT)
    with caplog.at_level(logging.INFO):
        (path,) = hub.fetch(FILE)
    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(cache)
    assert hub.cached(FILE) == path
    assert not incomplete(cache)
    assert "a licence" in caplog.text
    bar = capsys.readouterr().err
    assert "weights.bin" in bar
    assert "100%" in bar
    assert f"verified: sha256 {hashlib.sha256(CONTENT).hexdigest()}" in caplog.text


def test_a_cached_file_needs_no_network(fake: FakeHub) -> None:
    fake.put(FILE, CONTENT)
    first = hub.fetch(FILE)
    seen = len(fake.requests)
    assert hub.fetch(FILE) == first
    assert len(fake.requests) == seen


def test_a_small_file_is_verified_by_its_git_hash(fake: FakeHub) -> None:
    text = b"lora_rank: 512\n"
    fake.put(FILE, text, hashlib.sha1(b"blob 15\0" + text).hexdigest())
    assert hub.fetch(FILE)[0].read_bytes() == text


@pytest.mark.slow
def test_a_download_that_fails_leaves_nothing_behind(fake: FakeHub, cache: Path) -> None:
    fake.put(FILE, CONTENT)
    fake.cut_after, fake.status_after_cut = 300_000, 503
    with pytest.raises(ModelError, match=r"weights\.bin of someone/model: cannot be downloaded .*run it again"):
        hub.fetch(FILE)
    assert not incomplete(cache)
    assert hub.cached(FILE) is None

    fake.status_after_cut = 200
    assert hub.fetch(FILE)[0].read_bytes() == CONTENT


@pytest.mark.slow
def test_a_cut_connection_is_resumed(fake: FakeHub) -> None:
    fake.put(FILE, CONTENT)
    fake.cut_after = 300_000
    assert hub.fetch(FILE)[0].read_bytes() == CONTENT
    assert fake.gets == [None, "bytes=300000-"]


def test_a_file_with_a_wrong_hash_is_removed_and_refused(fake: FakeHub, cache: Path) -> None:
    fake.put(FILE, CONTENT, "ab" * 32)
    with pytest.raises(ModelError, match=f"not {'ab' * 32}; download it again"):
        hub.fetch(FILE)
    assert hub.cached(FILE) is None
    assert not [path for path in cache.rglob("*") if path.is_file() and path.stat().st_size == len(CONTENT)]


def test_an_etag_that_is_no_hash_is_refused(fake: FakeHub) -> None:
    fake.put(FILE, CONTENT, "../../escape")
    with pytest.raises(ModelError, match="does not tell its size and hash"):
        hub.fetch(FILE)


def test_a_full_disk_is_refused_before_the_download(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.put(FILE, CONTENT)
    nearly_full = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(hub.shutil, "disk_usage", lambda path: nearly_full)
    with pytest.raises(ModelError, match=r"0\.0 GB free in .*make room or set HF_HOME"):
        hub.fetch(FILE)
    assert not fake.gets


def test_a_gated_repository_is_named_as_such(fake: FakeHub) -> None:
    fake.gated = True
    with pytest.raises(ModelError, match=r"weights\.bin of someone/model: .*is gated: accept its terms .*hf auth"):
        hub.fetch(FILE)


def test_a_file_that_is_missing_on_the_hub_is_refused(fake: FakeHub) -> None:
    with pytest.raises(ModelError, match=r"weights\.bin of someone/model: cannot be downloaded \(.*404"):
        hub.fetch(FILE)


@pytest.mark.parametrize("why", ["HF_HUB_OFFLINE is set; unset it", "downloading is off; allow it"])
def test_offline_is_answered_at_once_with_the_file_and_its_page(
    fake: FakeHub, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    offline = why.startswith("HF_HUB_OFFLINE")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    other = HubFile("another/model", "vae.pth", "a licence")
    start = time.perf_counter()
    with pytest.raises(ModelError) as caught:
        hub.fetch(FILE, other, download=offline)
    assert time.perf_counter() - start < 1
    assert not fake.requests
    message = str(caught.value)
    assert why in message
    assert f"{fake.url}/someone/model/resolve/main/weights.bin and {fake.url}/another/model" in message
    assert "give its path as the model" in message


def test_no_network_is_answered_at_once(cache: Path, fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the port of "discard", where nobody listens
    start = time.perf_counter()
    with pytest.raises(ModelError, match="cannot be downloaded"):
        hub.fetch(FILE)
    assert time.perf_counter() - start < 3


@pytest.mark.slow
def test_a_named_model_is_downloaded_once_and_loaded(fake: FakeHub, tmp_path: Path) -> None:
    transformer = WanTransformer(TransformerConfig(dim=128, ffn_dim=64, text_dim=32, num_heads=1, num_layers=1))
    save_release(transformer.state_dict(), tmp_path / "release.safetensors")
    entry = registry.find("dvd-1.1")
    weights, vae = entry.files
    fake.put(weights, (tmp_path / "release.safetensors").read_bytes())
    fake.put(vae, (GOLDEN / "wan_vae_tiny.pth").read_bytes())
    assert not registry.is_here(entry)

    backbone = registry.load("dvd-1.1")
    assert registry.is_here(entry)
    assert (backbone.card.name, backbone.card.size, backbone.card.window, backbone.card.overlap) == (
        "dvd-1.1",
        (480, 640),
        45,
        9,
    )
    assert "BY-NC" in backbone.card.licence
    latent = load_file(str(GOLDEN / "tensors.safetensors"))["window.rgb_latent"][None]
    with torch.no_grad():
        expected = transformer(latent, 500.0)
    torch.testing.assert_close(backbone.forward(latent, 500.0), expected, rtol=1e-4, atol=1e-5)

    fake.close()
    again = registry.load("dvd-1.1", dtype=torch.bfloat16)
    assert again.dtype == torch.bfloat16
