"""Sweep over two learning rates, each in a process of its own, and keep the better one."""

import argparse
import json
import pathlib
import subprocess
import sys


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    scores = {}
    for lr in ("0.01", "0.1"):
        command = [sys.executable, "worker.py", "--lr", lr, "--out", f"lr_{lr}"]
        if lr == "0.01":
            command += ["--seed", str(args.seed)]
        subprocess.run(command, check=True)
        scores[lr] = json.loads(pathlib.Path(f"lr_{lr}/results.json").read_text())["mse"]
    best = min(scores, key=scores.get)
    pathlib.Path("best.json").write_text(json.dumps({"lr": float(best), "mse": scores[best]}))
    if args.save:
        pathlib.Path(args.save).write_bytes(pathlib.Path(f"lr_{best}/model.pt").read_bytes())


if __name__ == "__main__":
    main()
