"""An HTTP server that can cut, delay and lie, in a process of its own; it counts what it sends.

`GET /<file>` serves a file; `PUT /control/faults` sets what goes wrong with the next requests, in order, and for good
after the last one when `repeat` is set; `GET /control/stats` answers what was sent.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOCK = 1 << 16


@dataclass
class Script:
    """What the server has, what goes wrong next, and what it did."""

    contents: dict[str, bytes] = field(default_factory=dict)
    faults: list[dict] = field(default_factory=list)
    repeat: dict | None = None
    requests: list[dict] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_fault(self) -> dict:
        with self.lock:
            return self.faults.pop(0) if self.faults else dict(self.repeat or {})


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: Script

    def log_message(self, *arguments: object) -> None:
        pass

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        script = self.script
        with script.lock:
            if self.path == "/control/faults":
                order = json.loads(body)
                script.faults, script.repeat, script.requests = order["faults"], order.get("repeat"), []
            else:
                script.contents[self.path] = body
        self._plain(b"")

    def do_GET(self) -> None:
        script = self.script
        if self.path == "/control/stats":
            with script.lock:
                self._plain(json.dumps(script.requests).encode())
            return
        content = script.contents.get(self.path)
        if content is None:
            self.send_error(404)
            return
        fault = script.next_fault()
        record = {"path": self.path, "range": self.headers.get("Range"), "sent": 0, "at": time.monotonic()}
        with script.lock:
            script.requests.append(record)
        time.sleep(fault.get("latency", 0))
        if "status" in fault:
            self._failure(fault)
            return
        self._file(content, fault, record)

    def _failure(self, fault: dict) -> None:
        self.send_response(fault["status"])
        for name, value in fault.get("headers", {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _file(self, content: bytes, fault: dict, record: dict) -> None:
        content = altered(content, fault)
        start, stop = self._asked(len(content), fault)
        wrong_start = start + fault.get("shift", 0)
        self.send_response(206 if start is not None and not fault.get("whole") else 200)
        begin = 0 if start is None or fault.get("whole") else max(0, wrong_start)
        end = len(content) if stop is None or fault.get("whole") else stop
        body = content[begin:end]
        if start is not None and not fault.get("whole"):
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(content)}")
        if not fault.get("no_ranges"):
            self.send_header("Accept-Ranges", "bytes")
        if "etag" not in fault or fault["etag"]:
            self.send_header("ETag", fault.get("etag", '"1"'))
        length = fault.get("length", "right")
        if length == "right":
            self.send_header("Content-Length", str(len(body)))
        elif length == "cut":
            self.send_header("Content-Length", str(min(len(body), fault["cut"])))
        elif length == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self._body(body, fault, record)

    def _asked(self, size: int, fault: dict) -> tuple[int, int]:
        header = self.headers.get("Range")
        if header is None or fault.get("whole") or fault.get("no_ranges"):
            fault["whole"] = True
            return 0, size
        first, _, last = header.removeprefix("bytes=").partition("-")
        return int(first), min(size, int(last) + 1 if last else size)

    def _body(self, body: bytes, fault: dict, record: dict) -> None:
        cut = min(fault.get("cut", len(body)), len(body))
        step = fault.get("step", BLOCK)
        sent = 0
        try:
            while sent < cut:
                piece = body[sent : min(sent + step, cut)]
                if fault.get("length") == "chunked":
                    piece = f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
                self.wfile.write(piece)
                sent = min(sent + step, cut)
                record["sent"] = sent
                if sent >= fault.get("stall_at", 1 << 60):
                    time.sleep(fault["stall"])
                    fault = {**fault, "stall_at": 1 << 60}
                time.sleep(fault.get("pause", 0))
            if fault.get("length") == "chunked" and cut == len(body):
                self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True
            return
        if cut < len(body) or fault.get("length") in {"none", "cut"}:
            self.close_connection = True

    def _plain(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def altered(content: bytes, fault: dict) -> bytes:
    """The content this request is answered with."""
    kind = fault.get("wrong")
    if kind is None:
        return content
    middle = len(content) // 2
    if kind == "bit":
        return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]
    if kind == "swapped":
        return content[middle:] + content[:middle]
    if kind == "other":
        return bytes(len(content))
    if kind == "html":
        return b"<html><body>502 Bad Gateway</body></html>"
    if kind == "gzip":
        import gzip

        return gzip.compress(content)
    return content[::-1] + b"another model"


def main() -> None:
    class Bound(Handler):
        script = Script()

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, request: object, client_address: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Bound)
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    print(server.server_port, flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
    server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
