"""A server for pods of the tests that answers at once and knows nothing of Rollcall.

What it takes to answer, and to end, is what the machine takes at that moment. Standard library
only, for it runs as `python3 - PORT`. A `POST` ends it; it prints when it ended.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

PORT = 8399


class Handler(BaseHTTPRequestHandler):
    """Says an empty object, whatever is asked."""

    def do_GET(self) -> None:
        """Answer a program that compares."""
        self.send_response_only(200)  # without a line of log
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_POST(self) -> None:
        """Answer, and end the server."""
        self.do_GET()
        Thread(target=self.server.shutdown).start()


def main() -> None:
    """Serve until a `POST`, and print one line of JSON."""
    with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler) as server:
        server.serve_forever()
    sys.stdout.write(json.dumps({"ended_at": time.time()}) + "\n")


if __name__ == "__main__":
    main()
