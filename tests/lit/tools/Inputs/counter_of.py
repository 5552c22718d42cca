"""Prints the first value of random.counter in .safetensors files."""

import json
import struct
import sys

for path in sys.argv[1:]:
    data = open(path, "rb").read()
    (size,) = struct.unpack_from("<Q", data)
    start, _ = json.loads(data[8 : 8 + size])["random.counter"]["data_offsets"]
    print(struct.unpack_from("<q", data, 8 + size + start)[0])
