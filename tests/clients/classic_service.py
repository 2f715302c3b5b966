"""Receives files as the services of the classic protocol do.

Usage: classic_service.py FILE

Listens on a port of the system's choice and writes its number as the first line. One read of 1024
bytes is taken for the size; then reads of 1024 bytes go into FILE until the size is reached. The
connection is left open. For each file a line with its size is written.
"""

import socket
import sys


def main():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(5)
    print(listener.getsockname()[1])
    left_open = []
    while True:
        connection, _ = listener.accept()
        left_open.append(connection)
        size = str(connection.recv(1024), encoding="utf-8")
        connection.sendall(b"ack")
        total = int(size)
        received = 0
        with open(sys.argv[1], "wb") as file:
            while received != total:
                data = connection.recv(1024)
                if not data:
                    break
                file.write(data)
                received += len(data)
        print(received)


main()
