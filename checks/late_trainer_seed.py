"""A model whose new layers are drawn before the Trainer seeds."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Call, Module

_BAD = """from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

config = BertConfig(vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
model = BertForSequenceClassification(config)
rows = [{"input_ids": [1, 2], "labels": 0}, {"input_ids": [3, 4], "labels": 1}]
arguments = TrainingArguments("out", seed=7, max_steps=1, use_cpu=True, report_to="none", save_strategy="no")
trainer = Trainer(model=model, args=arguments, train_dataset=rows)
loss = trainer.train().training_loss
print(loss)
"""

RULE = Rule(
    id="late-trainer-seed",
    title="A model's new layers are drawn before the Trainer seeds",
    topic="domains",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "transformers.Trainer seeds the random streams when it is made. A model that was made before it has drawn its "
        "new layers (a classification head, or all of them) from streams that nothing had seeded: TrainingArguments' "
        "seed does not reach them."
    ),
    remedy="Call transformers.set_seed(seed) before the model is made, or give Trainer a model_init function.",
    bad=(Example(_BAD, needs=("transformers", "accelerate")),),
    good=(
        Example(
            _BAD.replace("import BertConfig", "import set_seed, BertConfig").replace(
                "\nconfig =", "\nset_seed(7)\nconfig ="
            ),
            needs=("transformers", "accelerate"),
        ),
        Example(
            _BAD.replace("model = Bert", "def make():\n    return Bert").replace("model=model", "model_init=make"),
            needs=("transformers", "accelerate"),
        ),
        # All its weights are loaded: there is nothing to draw.
        Example(
            "from transformers import AutoModelForCausalLM, Trainer, TrainingArguments\n\n\ndef main(name, rows):\n"
            "    model = AutoModelForCausalLM.from_pretrained(name)\n"
            "    Trainer(model, TrainingArguments('out'), train_dataset=rows).train()\n",
            needs=("transformers",),
            runs=False,
        ),
    ),
    sources=(
        "https://huggingface.co/docs/transformers/main_classes/trainer#transformers.TrainingArguments.seed",
        "https://huggingface.co/docs/transformers/main_classes/trainer#transformers.Trainer.model_init",
    ),
)

# Heads that a pretrained checkpoint does not hold, as a rule.
_HEADS = r"For(SequenceClassification|TokenClassification|MultipleChoice|ImageClassification|AudioClassification)"
_NEW_HEAD = re.compile(rf"transformers\.(?!TF|Flax)\w+{_HEADS}\.from_pretrained")
_NEW_MODEL = re.compile(r"transformers\.(?!TF|Flax)(\w+\.from_config|(?!Auto)\w+(For[A-Z]\w+|Model))")
_TRAINER = re.compile(r"(transformers|trl)\.(\w*)Trainer")


def see_source(module: Module) -> Iterator[Sighting]:
    """Models made in the body that then makes a Trainer, with no seeding anywhere."""
    if "transformers" not in module.imports:
        return
    trainers = [call for name in module.called if _TRAINER.fullmatch(name) for call in module.calls(name)]
    for name in module.called:
        if not _NEW_HEAD.fullmatch(name) and not _NEW_MODEL.fullmatch(name):
            continue
        for call in module.calls(name):
            trainer = _trained_by(module, call, trainers)
            if trainer is None:
                continue
            # The Trainer itself counts as one that seeds: what matters is whether anything else does.
            if any(one.node.lineno < call.node.lineno for one in trainers) or _seeds(module):
                continue
            kind = name.removesuffix(".from_pretrained").rpartition(".")[2]
            drawn = "head is drawn" if name.endswith("from_pretrained") else "weights are drawn"
            yield Sighting(
                call.node,
                f"{kind}'s {drawn} before the Trainer of line {trainer.node.lineno} seeds",
                unless=_SEEDS,
            )


_SEEDS = (
    "transformers.set_seed",
    "transformers.enable_full_determinism",
    "torch.manual_seed",
    "accelerate.utils.set_seed",
    "lightning.seed_everything",
    "?.set_seed",
    "?.manual_seed",
)


def _seeds(module: Module) -> bool:
    """Whether a function that is called like one that seeds is called."""
    return any(re.search(r"seed|determinis|reproducib", name.rpartition(".")[2]) for name in module.called)


def _trained_by(module: Module, model: Call, trainers: list[Call]) -> Call | None:
    """The Trainer, made later in the same body, that is given the model."""
    statement = module.parent(model.node)
    names: set[str] = set()
    if isinstance(statement, ast.Assign):
        names = {target.id for target in statement.targets if isinstance(target, ast.Name)}
    for trainer in trainers:
        given = trainer.argument("model", 0)
        if module.function(trainer.node) is not module.function(model.node):
            continue
        if given is model.node or (isinstance(given, ast.Name) and given.id in names):
            return trainer
    return None
