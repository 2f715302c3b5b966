"""Uploads a file as the clients of the classic protocol do.

Usage: classic_client.py HOST PORT FILE

The size goes first, in decimal and without a line end. Whatever then arrives counts as the
acknowledgement. The file follows, line by line, and the connection is closed.
"""

import os
import socket
import sys


def main():
    host, port, path = sys.argv[1:]
    connection = socket.create_connection((host, int(port)))
    size = os.stat(path).st_size
    connection.sendall(str(size).encode("utf-8"))
    answer = connection.recv(1024)
    if not answer:
        sys.exit("closed without an answer")
    print(answer.decode("utf-8"))
    with open(path, "rb") as file:
        for line in file:
            connection.sendall(line)
    connection.close()


main()
