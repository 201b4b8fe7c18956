"""Prints each port at which a word passes the host's interfaces in clear, until its input ends."""
import select
import socket
import sys

word = sys.argv[1].encode()
packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
print("listening", flush=True)
ports = set()
while True:
    ready, _, _ = select.select([packets, sys.stdin], [], [])
    if sys.stdin in ready:
        break
    packet = packets.recv(65535)
    if packet[12:14] == b"\x08\x00" and packet[23] == 6 and word in packet:
        start = 14 + (packet[14] & 15) * 4
        ports |= {int.from_bytes(packet[start + at : start + at + 2], "big") for at in (0, 2)}
print(*sorted(ports))
