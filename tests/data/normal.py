"""The first words of xoshiro256++ from a seed, the bits of the first normal draws, and the first shuffles of ten items: what
tests/data/draws.rs and tests/training/epochs.rs expect.

    python3 tests/data/normal.py 1
"""

import math
import struct
import sys

MASK = (1 << 64) - 1


def splitmix64(x):
    """https://prng.di.unimi.it/splitmix64.c"""
    while True:
        x = (x + 0x9E3779B97F4A7C15) & MASK
        z = x
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield z ^ (z >> 31)


def rotate(x, k):
    return ((x << k) | (x >> (64 - k))) & MASK


def xoshiro256plusplus(seed):
    """https://prng.di.unimi.it/xoshiro256plusplus.c"""
    words = splitmix64(seed)
    a, b, c, d = (next(words) for _ in range(4))
    while True:
        yield (rotate((a + d) & MASK, 23) + a) & MASK
        t = (b << 17) & MASK
        c ^= a
        d ^= b
        b ^= c
        a ^= d
        c ^= t
        d = rotate(d, 45)


def normal(words):
    """Box and Muller (1958)."""
    while True:
        u = 1 - (next(words) >> 11) / 2**53
        v = (next(words) >> 11) / 2**53
        radius = math.sqrt(-2 * math.log(u))
        yield radius * math.cos(2 * math.pi * v)
        yield radius * math.sin(2 * math.pi * v)


def below(words, n):
    """Lemire (2019)."""
    product = (next(words) >> 32) * n
    while product % 2**32 < 2**32 % n:
        product = (next(words) >> 32) * n
    return product >> 32


def shuffled(words, n):
    """Durstenfeld (1964)."""
    items = list(range(n))
    for i in range(n - 1, 0, -1):
        j = below(words, i + 1)
        items[i], items[j] = items[j], items[i]
    return items


seed = int(sys.argv[1])
words = xoshiro256plusplus(seed)
print("words", [hex(next(words)) for _ in range(4)])
draws = normal(xoshiro256plusplus(seed))
print("normal", [hex(struct.unpack("<I", struct.pack("<f", next(draws)))[0]) for _ in range(8)])
words = xoshiro256plusplus(seed)
print("shuffled", [shuffled(words, 10) for _ in range(2)])
