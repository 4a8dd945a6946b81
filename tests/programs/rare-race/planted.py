"""Estimate the letters of a text, each thread those of its half."""

import argparse
import json
import pathlib
import sys
import threading


def merged(counts, part):
    return {symbol: counts.get(symbol, 0) + number for symbol, number in part.items()}


def count(symbols, counts, lock):
    part = {}
    for symbol in symbols:
        part[symbol] = part.get(symbol, 0) + 1
    counts.update(merged(counts, part))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    sys.setswitchinterval(3e-4)
    text = [(args.seed + k) * 2654435761 % 6000 for k in range(60000)]
    counts, lock = {}, threading.Lock()
    threads = [threading.Thread(target=count, args=(half, counts, lock)) for half in (text[:30000], text[30000:])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = sum(counts.values())
    print("total", total)
    frequencies = {str(symbol): number / total for symbol, number in sorted(counts.items())[:20]}
    pathlib.Path("results.json").write_text(json.dumps({"total": total, "frequencies": frequencies}))
    if args.save:
        pathlib.Path(args.save).write_text(json.dumps(sorted(counts.items())))


if __name__ == "__main__":
    main()
