"""Reads an encrypted recording as src/sinks/recorder/FORMAT.md describes it, version 1; knows nothing else of trunkline.

    python3 reader.py FILE KEY_IN_HEX > content      exit code 0: whole; 1: damaged; 3: authentic, its end not proven

The key is what `age -d` makes of the age file in the head (see age_file()).
"""

import hashlib
import struct
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HEAD = struct.Struct("<8sII16s")
CHUNK = struct.Struct("<4sBBHIIQII16s")
DATA, SIZE, FINAL = range(3)


def age_file(data):
    _, description, age, _ = HEAD.unpack_from(data)
    start = HEAD.size + description
    return data[start : start + age]


def read(data, key):
    """The content, and 'whole', 'open' (its end is not proven) or why it is damaged."""
    magic, description, age, file_id = HEAD.unpack_from(data)
    if magic != b"tlenc\0\0\1":
        return b"", "not version 1"
    at = HEAD.size + description + age
    digest = hashlib.sha256(data[:at]).digest()
    content, cipher, last_use, number = bytearray(), AESGCM(key), -1, 0
    while at < len(data):
        if at + CHUNK.size > len(data):
            return bytes(content), f"chunk {number} is cut off"
        header = data[at : at + CHUNK.size]
        mark, kind, _, zero, found, use, position, length, _, tag = CHUNK.unpack(header)
        sealed = data[at + CHUNK.size : at + CHUNK.size + length]
        if (mark, zero, found) != (file_id[:4], 0, number) or use <= last_use or len(sealed) < length:
            return bytes(content), f"chunk {number} is damaged"
        try:
            plain = cipher.decrypt(struct.pack("<IQ", use, 0), sealed + tag, digest + header[:32])
        except InvalidTag:
            return bytes(content), f"chunk {number} is damaged"
        end = position + len(plain)
        content.extend(bytes(max(0, end - len(content))))
        if kind == DATA:
            content[position:end] = plain
        else:
            del content[position:]
        at += CHUNK.size + length
        digest, last_use, number = hashlib.sha256(digest + header).digest(), use, number + 1
        if kind == FINAL:
            return bytes(content), "whole" if at == len(data) else "bytes follow its end"
    return bytes(content), "open"


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        result, state = read(file.read(), bytes.fromhex(sys.argv[2]))
    sys.stdout.buffer.write(result)
    print(state, file=sys.stderr)
    sys.exit({"whole": 0, "open": 3}.get(state, 1))
