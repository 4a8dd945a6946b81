"""Names of packages: what training programs compute with, and what installs, builds, tests, shows and reports."""

from __future__ import annotations

import re
from typing import Literal

# fmt: off
_TOOLS = frozenset({
    # install and build
    "-libgcc-mutex", "-openmp-mutex", "anaconda-client", "build", "cibuildwheel", "cmake", "conda", "conda-build",
    "conda-verify", "hatch", "hatchling", "make", "mamba", "meson", "micromamba", "ninja", "packaging", "pdm",
    "pip", "pipenv", "pkg-config", "poetry", "pybind11", "scikit-build", "scikit-build-core", "setuptools",
    "setuptools-scm", "twine", "uv", "virtualenv", "wheel",
    # test and check
    "black", "codecov", "coverage", "flake8", "hypothesis", "isort", "mypy", "nox", "parameterized", "pre-commit",
    "pylint", "pytest", "pytest-cov", "pytest-xdist", "ruff", "tox",
    # document
    "furo", "mkdocs", "mkdocs-material", "myst-parser", "nbsphinx", "pydata-sphinx-theme", "sphinx",
    "sphinx-design", "sphinx-gallery", "sphinx-rtd-theme",
    # command lines, settings and messages
    "argcomplete", "click", "colorama", "coloredlogs", "colorlog", "configargparse", "docopt", "fire", "gin-config",
    "hydra-core", "loguru", "ml-collections", "omegaconf", "prettytable", "pydantic", "python-dotenv", "pyyaml",
    "rich", "simple-parsing", "tabulate", "termcolor", "tqdm", "typer", "typing-extensions", "tyro", "yacs",
    # watch, show and serve
    "aim", "bokeh", "clearml", "comet-ml", "fastapi", "flask", "gpustat", "gradio", "graphviz", "gunicorn", "ipdb",
    "ipykernel", "ipython", "ipywidgets", "jinja2", "jupyter", "jupyterlab", "matplotlib", "neptune", "notebook",
    "nvidia-ml-py", "nvitop", "plotly", "psutil", "pydot", "pynvml", "seaborn", "streamlit", "tensorboard",
    "tensorboardx", "uvicorn", "visdom", "wandb",
    # fetch
    "awscli", "boto3", "gdown", "gsutil", "requests", "urllib3", "wget",
})
# What training programs compute with, or what they compute on goes through.
_NUMERICAL = frozenset({
    "accelerate", "albumentations", "apex", "audiomentations", "bitsandbytes", "blas", "catboost", "cuda-toolkit",
    "cudatoolkit", "cudnn", "cupy", "datasets", "deepspeed", "dgl", "diffusers", "einops", "fairseq", "faiss",
    "faiss-cpu", "faiss-gpu", "fastai", "flash-attn", "flax", "gensim", "gpytorch", "gym", "gymnasium", "h5py",
    "horovod", "imageio", "imgaug", "jax", "jaxlib", "keras", "kornia", "libblas", "librosa", "lightgbm",
    "lightning", "magma", "mkl", "monai", "mpi4py", "nccl", "networkx", "nltk", "numba", "numexpr", "numpy", "onnx",
    "onnxruntime", "openblas", "opencv", "opencv-python", "opencv-python-headless", "optax", "pandas", "peft",
    "pillow", "polars", "pyg", "pykeops", "pymc", "pyro-ppl", "pytorch", "pytorch-cuda", "pytorch-lightning", "ray",
    "rdkit", "sacrebleu", "safetensors", "scikit-image", "scikit-learn", "scipy", "sentence-transformers",
    "sentencepiece", "soundfile", "spacy", "stable-baselines3", "statsmodels", "tensorflow", "tensorflow-cpu",
    "tensorflow-gpu", "timm", "tokenizers", "torch", "torch-cluster", "torch-geometric", "torch-scatter",
    "torch-sparse", "torchaudio", "torchmetrics", "torchtext", "torchvision", "transformers", "triton", "trl",
    "vllm", "xformers", "xgboost",
})
# fmt: on
# Of what apt installs: interpreters, numerical libraries, the driver's, and what decodes data.
_COMPUTES = re.compile(
    r"python[\d.]*|python3-(numpy|scipy|sklearn|torch|pandas|opencv).*|r-base.*|octave.*|julia|"
    r"lib(open)?blas.*|lib(atlas|lapack|mkl|fftw|gsl|gomp|omp|cudnn|cublas|nccl|nvinfer|cuda).*|"
    r"lib(opencv|avcodec|avformat|jpeg|tiff).*|"
    r"cuda.*|nvidia-.*|tensorrt.*|intel-(mkl|oneapi).*|ffmpeg|sox|libsox.*|libsndfile.*"
)

Use = Literal["numerical", "tool", "unknown"]


def use_of(name: str) -> Use:
    """What a distribution, or a conda package, is to a training program, by its name."""
    known = re.sub(r"[-_.]+", "-", name).lower()
    return "tool" if known in _TOOLS else "numerical" if known in _NUMERICAL else "unknown"


def system_computes(name: str) -> bool:
    """Whether a program is known to compute with a package of this name that apt installs."""
    return _COMPUTES.fullmatch(name) is not None
