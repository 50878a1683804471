"""Serves the files of the web client: compressed once, kept in memory, revalidated by ETag."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

GZIP_FROM_BYTES = 256
COMPRESSIBLE = ("text/", "application/javascript", "application/json", "application/manifest+json", "image/svg+xml")
TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".webmanifest": "application/manifest+json"}

COMMENT_LINES = re.compile(rb"^[ \t]*(?://[^\n]*|/\*.*?\*/)[ \t]*\n", re.MULTILINE | re.DOTALL)
"""Lines of a script or style sheet that hold a comment and nothing else."""


class _Asset(NamedTuple):
    stamp: tuple[int, int]
    content_type: str
    plain: bytes
    packed: bytes | None
    etag: str


class StaticFiles:
    """The files under ``root``, and no others. A changed file is read again."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._assets: dict[Path, _Asset] = {}

    async def index(self, request: web.Request) -> web.StreamResponse:
        """``GET /``."""
        return self._serve(request, "index.html", max_age_s=0)

    async def file(self, request: web.Request) -> web.StreamResponse:
        """``GET /static/...`` and the few files that browsers ask for at the top."""
        return self._serve(request, request.match_info["path"], max_age_s=600)

    def _serve(self, request: web.Request, name: str, *, max_age_s: int) -> web.StreamResponse:
        asset = self._find(name)
        if asset is None:
            raise web.HTTPNotFound(text="there is no such file\n")
        headers = {
            "ETag": asset.etag,
            "Cache-Control": f"public, max-age={max_age_s}" if max_age_s else "no-cache",
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
        }
        if request.headers.get("If-None-Match") == asset.etag:
            return web.Response(status=304, headers=headers)
        headers["Content-Type"] = asset.content_type
        body = asset.plain
        if asset.packed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
            body = asset.packed
        return web.Response(body=body, headers=headers)

    def _find(self, name: str) -> _Asset | None:
        try:
            path = (self._root / name).resolve()
            if not path.is_relative_to(self._root) or any(part.startswith(".") for part in Path(name).parts):
                return None
            if not path.is_file():
                return None
            status = path.stat()
        except (OSError, ValueError):
            return None
        stamp = (status.st_mtime_ns, status.st_size)
        known = self._assets.get(path)
        if known is None or known.stamp != stamp:
            known = self._assets[path] = _load(path, stamp)
        return known


def _load(path: Path, stamp: tuple[int, int]) -> _Asset:
    plain = path.read_bytes()
    if path.suffix in {".js", ".css"}:
        plain = COMMENT_LINES.sub(b"", plain)  # on 2G, 3 kB of comments cost a second before the first call
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    packed = None
    if kind.startswith(COMPRESSIBLE):
        kind = f"{kind}; charset=utf-8"
        if len(plain) >= GZIP_FROM_BYTES:
            packed = gzip.compress(plain, 9, mtime=0)
    return _Asset(stamp, kind, plain, packed, f'"{hashlib.sha256(plain).hexdigest()[:20]}"')
