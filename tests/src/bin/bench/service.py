# A receiver as beginners' tutorials have it: the size in one recv, an "ack", then 1024 bytes at a
# time. Unlike theirs it prints its address and closes the connection when it has the file.
import os
import socket
import sys

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(5)
print("listening 127.0.0.1:%d" % listener.getsockname()[1], flush=True)

while True:
    connection, address = listener.accept()
    total_size = int(str(connection.recv(1024), encoding="utf-8"))
    connection.sendall(bytes("ack", encoding="utf-8"))
    has_received = 0
    file = open(os.path.join(sys.argv[1], "new_file.bin"), "wb")
    while has_received != total_size:
        data = connection.recv(1024)
        if not data:
            break
        file.write(data)
        has_received += len(data)
    file.close()
    connection.close()
