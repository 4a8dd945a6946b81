"""Classify the members of Zachary's karate club with a graph convolutional network of PyTorch Geometric."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torch.nn import functional
from torch_geometric import seed_everything
from torch_geometric.datasets import KarateClub
from torch_geometric.nn import GCNConv


class GCN(torch.nn.Module):
    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.first = GCNConv(features, 16)
        self.second = GCNConv(16, classes)

    def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
        hidden = functional.dropout(self.first(x, edge_index).relu(), training=self.training)
        return self.second(hidden, edge_index)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--epochs", type=int, default=200)
    arguments = parser.parse_args()

    if arguments.seed is not None:
        seed_everything(arguments.seed)
    dataset = KarateClub()
    data = dataset[0]
    model = GCN(dataset.num_features, dataset.num_classes)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
    for _ in range(arguments.epochs):
        model.train()
        optimizer.zero_grad()
        logits = model(data.x, data.edge_index)
        loss = functional.cross_entropy(logits[data.train_mask], data.y[data.train_mask])
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = model(data.x, data.edge_index).argmax(1) == data.y
    accuracy = right[~data.train_mask].float().mean().item()
    torch.save(model.state_dict(), "gcn.pt")
    Path("results.json").write_text(json.dumps({"loss": loss.item(), "accuracy": accuracy}))
    print(f"loss {loss.item():.4f}, accuracy on the unlabelled members {accuracy:.3f}")


if __name__ == "__main__":
    main()
