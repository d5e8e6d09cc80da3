#!/usr/bin/env python3
"""What a hostile host can do to a GPU's link, which is memory it can read and write at will (docs/formats/link.md).

  link_host.py find FILE TEXT [--seconds N]   says whether TEXT ever stands in the bounce buffers; exit 0 found, 1 not found
  link_host.py flip FILE [--seconds N]        keeps flipping one bit in every payload that passes; exit 0

FILE is run/gpuN.link of a deployment. Both stop early when the file's work stops (standard input is closed).
"""
import os
import select
import sys
import time

PAGE = 4096
# docs/formats/link.md: registers, mailbox, one control page a channel, then the rings: slots of a header page and a payload.
RINGS = PAGE + 3 * PAGE + 32 * PAGE
STRIDE = PAGE + 256 * 1024


def data_ranges(fd, start):
    """The parts of the sparse file that were ever written."""
    at = start
    while True:
        try:
            begin = os.lseek(fd, at, os.SEEK_DATA)
            end = os.lseek(fd, begin, os.SEEK_HOLE)
        except OSError:
            return
        yield begin, end
        at = end


def until(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([sys.stdin], [], [], 0)[0]:
            return
        yield


def find(fd, text, seconds):
    for _ in until(seconds):
        for begin, end in data_ranges(fd, RINGS):
            if text in os.pread(fd, end - begin, begin):
                print("found in the bounce buffers")
                return 0
    print("not found in the bounce buffers")
    return 1


def flip(fd, seconds):
    flips = 0
    for _ in until(seconds):
        for begin, end in data_ranges(fd, RINGS):
            slot = (begin - RINGS) // STRIDE
            while RINGS + slot * STRIDE < end:
                payload = RINGS + slot * STRIDE + PAGE
                byte = os.pread(fd, 1, payload)
                if byte:
                    os.pwrite(fd, bytes([byte[0] ^ 1]), payload)
                    flips += 1
                slot += 1
    print(f"flipped a bit {flips} times")
    return 0


def main():
    arguments = sys.argv[1:]
    seconds = 10.0
    if "--seconds" in arguments:
        at = arguments.index("--seconds")
        seconds = float(arguments[at + 1])
        del arguments[at:at + 2]
    if len(arguments) == 3 and arguments[0] == "find":
        return find(os.open(arguments[1], os.O_RDONLY), arguments[2].encode(), seconds)
    if len(arguments) == 2 and arguments[0] == "flip":
        return flip(os.open(arguments[1], os.O_RDWR), seconds)
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
