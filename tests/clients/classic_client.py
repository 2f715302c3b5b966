"""Uploads a file as the clients of the classic protocol do.

Usage: classic_client.py HOST PORT FILE [CA]

The size goes first, in decimal and without a line end. Whatever then arrives counts as the
acknowledgement. The file follows, line by line, and the connection is closed.

With the file of an authority, CA, the connection is encrypted, and its end is said.
"""

import os
import socket
import ssl
import sys


def main():
    host, port, path, *ca = sys.argv[1:]
    connection = socket.create_connection((host, int(port)))
    if ca:
        context = ssl.create_default_context(cafile=ca[0])
        connection = context.wrap_socket(connection, server_hostname=host)
    size = os.stat(path).st_size
    connection.sendall(str(size).encode("utf-8"))
    answer = connection.recv(1024)
    if not answer:
        sys.exit("closed without an answer")
    print(answer.decode("utf-8"))
    with open(path, "rb") as file:
        for line in file:
            connection.sendall(line)
    if ca:
        connection = connection.unwrap()
    connection.close()


main()
