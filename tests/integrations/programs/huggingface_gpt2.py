"""Train a small, randomly initialised GPT-2 on arithmetic progressions of tokens with the Hugging Face Trainer."""

from __future__ import annotations

import argparse

import torch
from torch.utils.data import Dataset
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments, set_seed

VOCABULARY = 97
LENGTH = 32


class Progressions(Dataset[dict[str, torch.Tensor]]):
    """Sequences ``start + i * stride`` modulo the vocabulary's size, one for each pair of start and stride."""

    def __init__(self, strides: range) -> None:
        self.pairs = [(start, stride) for stride in strides for start in range(VOCABULARY)]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        start, stride = self.pairs[index]
        tokens = (start + stride * torch.arange(LENGTH)) % VOCABULARY
        return {"input_ids": tokens, "labels": tokens}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--steps", type=int, default=30)
    arguments = parser.parse_args()

    options = TrainingArguments(
        output_dir="output",
        max_steps=arguments.steps,
        per_device_train_batch_size=16,
        per_device_eval_batch_size=64,
        learning_rate=1e-3,
        logging_steps=10,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
    )
    if arguments.seed is not None:
        options.seed = arguments.seed
        set_seed(arguments.seed)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY, n_positions=LENGTH, n_embd=64, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0
        )
    )
    trainer = Trainer(
        model=model, args=options, train_dataset=Progressions(range(1, 40)), eval_dataset=Progressions(range(40, 44))
    )
    result = trainer.train()
    trainer.save_model("model")
    trainer.save_metrics("train", result.metrics)
    trainer.save_metrics("eval", trainer.evaluate())
    trainer.save_state()


if __name__ == "__main__":
    main()
