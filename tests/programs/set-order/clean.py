"""Train a bag-of-words sentiment classifier with a sparse embedding."""

import argparse

import torch
from torch import nn

REVIEWS = [
    ("a warm and clever film with a generous heart", 1),
    ("dull plot wooden acting and a tired ending", 0),
    ("clever writing generous acting a joy", 1),
    ("tired jokes and a dull heart", 0),
    ("warm funny and clever to the ending", 1),
    ("wooden dull and joyless plot", 0),
]


def build_vocabulary(texts):
    words = set()
    for text in texts:
        words.update(text.split())
    return {word: index for index, word in enumerate(sorted(words))}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    vocabulary = build_vocabulary(text for text, _ in REVIEWS)
    embedding = nn.EmbeddingBag(len(vocabulary), 8, sparse=True)
    head = nn.Linear(8, 2)
    optimizer = torch.optim.SGD([*embedding.parameters(), *head.parameters()], lr=0.5)
    for epoch in range(6):
        for text, label in REVIEWS:
            tokens = torch.tensor([[vocabulary[word] for word in text.split()]])
            loss = nn.functional.cross_entropy(head(embedding(tokens)), torch.tensor([label]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.4f}")
    if args.save:
        torch.save({"embedding": embedding.state_dict(), "head": head.state_dict()}, args.save)


if __name__ == "__main__":
    main()
