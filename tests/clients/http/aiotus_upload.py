"""Uploads a file with aiotus.

    aiotus_upload.py ENDPOINT FILE NAME CHUNK_BYTES

It writes the URL of the upload, and what the server says of its metadata afterwards.
"""

import asyncio
import sys

import aiotus

endpoint, path, name, chunk = sys.argv[1:]


async def main():
    with open(path, "rb") as file:
        url = await aiotus.upload(
            endpoint, file, {"filename": name.encode(), "note": None}, chunksize=int(chunk)
        )
    if url is None:
        sys.exit(1)
    metadata = await aiotus.metadata(url)
    print(url, metadata["filename"].decode(), metadata["note"])


asyncio.run(main())
