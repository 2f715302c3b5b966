"""Uploads a file with tuspy.

    tuspy_upload.py ENDPOINT FILE NAME CHUNK_BYTES CHECKSUM [URL]

CHECKSUM is `true` where each chunk is to be sent with one. URL: an upload that was begun before. It writes the URL.
"""

import sys

from tusclient import client

endpoint, path, name, chunk, checksum, *url = sys.argv[1:]
uploader = client.TusClient(endpoint).uploader(
    path,
    chunk_size=int(chunk),
    metadata={"filename": name, "filetype": "application/octet-stream"},
    upload_checksum=checksum == "true",
    url=url[0] if url else None,
    retries=5,
    retry_delay=0.1,
)
if uploader.url is None:
    uploader.set_url(uploader.create_url())
    uploader.offset = 0
print(uploader.url, flush=True)
uploader.upload()
