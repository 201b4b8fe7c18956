"""A page that says which code made it."""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

TEXT = b"packaged\n"


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(TEXT)


if __name__ == "__main__":
    HTTPServer((sys.argv[1], 8000), Page).serve_forever()
