"""Libraries and functions that go by several names, each brought to one."""

from __future__ import annotations

from functools import lru_cache

# Longest first where one begins with another. What stands on the right is what rules ask for.
_ALIASES = (
    ("lightning.pytorch", "lightning"),
    ("pytorch_lightning", "lightning"),
    ("lightning.fabric", "lightning"),
    ("lightning_fabric", "lightning"),
    ("lightning_lite", "lightning"),
    ("lightning.utilities.seed", "lightning"),
    ("lightning.seed", "lightning"),
    ("gym", "gymnasium"),
    ("torch.utils.data.dataloader", "torch.utils.data"),
    ("torch.utils.data.dataset", "torch.utils.data"),
    ("torch.utils.data.sampler", "torch.utils.data"),
    ("torch.random", "torch"),
    ("torch.cuda.random", "torch.cuda"),
    ("tensorflow.keras", "keras"),
    ("tensorflow.python.keras", "keras"),
    ("tensorflow.compat.v1", "tensorflow"),
    ("tensorflow.compat.v2", "tensorflow"),
    ("transformers.trainer_utils", "transformers"),
    ("transformers.trainer", "transformers"),
    ("transformers.training_args", "transformers"),
    ("numpy.random.mtrand", "numpy.random"),
    ("jax.numpy.random", "jax.random"),
    ("concurrent.futures.process", "concurrent.futures"),
    ("concurrent.futures.thread", "concurrent.futures"),
    ("multiprocessing.pool", "multiprocessing"),
    ("torch.multiprocessing", "multiprocessing"),
    ("sklearn.ensemble._forest", "sklearn.ensemble"),
    ("stable_baselines3.common.vec_env", "stable_baselines3.vec_env"),
    ("stable_baselines3.common.env_util", "stable_baselines3.env_util"),
)


@lru_cache(maxsize=1 << 16)
def canonical(name: str) -> str:
    """The one name of a dotted name."""
    for alias, known in _ALIASES:
        if name == alias or name.startswith(alias + "."):
            return known + name[len(alias) :]
    return name
