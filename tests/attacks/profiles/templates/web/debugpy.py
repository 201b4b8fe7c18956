"""Listens where it is told to, as the real one does, and greets whoever comes."""

import socketserver
import threading


class Greeting(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(1000)
        self.request.sendall(b"Content-Length: 0\n")


def configure(**_):
    pass


def listen(address):
    server = socketserver.ThreadingTCPServer(address, Greeting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
