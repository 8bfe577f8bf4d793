"""A web server on this machine that serves some files, in parts when asked to, with or without a key."""

from __future__ import annotations

import hashlib
import http.server
import threading
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args):
        return

    def do_GET(self):
        self.server.seen.append((self.path, self.headers.get("Authorization"), self.headers.get("X-Team")))
        if self.server.failures:
            return self._send(*self.server.failures.pop(0))
        if self.server.key is not None and self.headers.get("Authorization") != f"Bearer {self.server.key}":
            return self._send(401, b"no key", {})
        content = self.server.files.get(unquote(urlsplit(self.path).path))
        if content is None:
            return self._send(404, b"", {})
        headers = {"Accept-Ranges": "bytes", "ETag": f'"{hashlib.sha256(content).hexdigest()[:12]}"'}
        asked = self.headers.get("Range")
        if asked is None:
            return self._send(200, content, headers)
        first, last = asked.removeprefix("bytes=").split("-")
        part = content[int(first) : int(last) + 1 if last else None]
        span = f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"
        return self._send(206, part, headers | {"Content-Range": span})

    def _send(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def served_files(files: dict[str, bytes], key: str | None = None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.files, server.key, server.seen, server.failures = files, key, [], []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
