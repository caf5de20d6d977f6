"""Multiply-adds that are rounded wrongly where they are rounded twice, with the right result, as bits: VECTORS of src/float.rs.

    python3 tests/math/fma.py
"""

import random
import struct
from fractions import Fraction


def value(bits):
    return Fraction(struct.unpack("<f", struct.pack("<I", bits))[0])


def rounded(exact):
    """The bits of the nearest f32, ties to even; of numbers that are not zero and do not overflow."""
    sign, exact = (0x80000000, -exact) if exact < 0 else (0, exact)
    exponent = -149
    while exact / Fraction(2) ** exponent >= 2**24:
        exponent += 1
    quotient = exact / Fraction(2) ** exponent
    whole = int(quotient)
    rest = quotient - whole
    whole += rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2)
    if whole == 2**24:
        whole, exponent = 2**23, exponent + 1
    # Below 2**23 the number is subnormal, and its exponent is the smallest.
    return sign | (whole if whole < 2**23 else ((exponent + 150) << 23) | (whole - 2**23))


def twice(a, b, c):
    """Rounded to f64 first, as double arithmetic without care does it."""
    return struct.unpack("<I", struct.pack("<f", float(value(a) * value(b) + value(c))))[0]


random.seed(1)
vectors = [(0x17000800, 0x9CFFF001, 0x00010002), (0x17000800, 0x1CFFF001, 0x80010002)]
while len(vectors) < 24:
    # A product just beside half an ulp of c; c is subnormal in every second.
    is_subnormal = len(vectors) % 2
    c = random.randrange(1 << 10, 1 << 23) if is_subnormal else random.randrange(0x2F000000, 0x3F800000)
    ulp = value(c + 1) - value(c)
    a = random.randrange(0x1F000000, 0x3F000000) | 0x800
    b = rounded(ulp / 2 / value(a) * random.choice([1, 3])) ^ (random.randrange(2) << 31)
    c ^= random.randrange(2) << 31
    exact = value(a) * value(b) + value(c)
    if exact and twice(a, b, c) != rounded(exact):
        vectors.append((a, b, c))
for a, b, c in vectors:
    right = rounded(value(a) * value(b) + value(c))
    print("        [" + ", ".join(f"0x{x >> 16:04x}_{x & 0xffff:04x}" for x in (a, b, c, right)) + "],")
