"""Train word vectors on documents that a thread pool tokenizes."""

import argparse
import concurrent.futures

import torch
from torch import nn


def tokenize(number):
    words = [(number * 31 + k * k) % 50 for k in range(400 + 900 * (number % 7))]
    return torch.tensor(words[:40])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    embedding = nn.Embedding(50, 4)
    optimizer = torch.optim.SGD(embedding.parameters(), lr=0.1)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(tokenize, number) for number in range(24)]
        for future in futures:
            vectors = embedding(future.result())
            loss = (vectors[1:] - vectors[:-1]).square().mean() - 0.1 * vectors.var()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    print("loss", loss.item())
    if args.save:
        torch.save(embedding.state_dict(), args.save)


if __name__ == "__main__":
    main()
