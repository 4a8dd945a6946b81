"""Hill-climbs with the standard library alone and writes where it arrived."""

import random
import sys

random.seed(7)
place = 5.0
for _ in range(200):
    candidate = place + random.gauss(0.0, 0.5)
    if abs(candidate) < abs(place):
        place = candidate
with open(sys.argv[1], "w") as file:
    file.write(f"{place.hex()} {random.random()}\n")
